"""The template that gives a host all items we send to; data for Zabbix's import.

Items come from the same tables as the keys (``identity``), so the two cannot differ.
Its identifiers are made of its name and of the keys: a newer template updates the one
that is there. The form is that of Zabbix 6.0, which later ones import too.
"""

import hashlib
from typing import Any

from probekit.exporters.zabbix.discovery import rule_key
from probekit.exporters.zabbix.identity import FIGURES, RULES, STEMS, Rule
from probekit.exporters.zabbix.values import EVENTS, EXCEPTIONS

Entry = dict[str, Any]
GROUP = "Templates/Applications"
GROUP_UUID = "a571c0d144b14fd4a87a9d9b2aa9fcd6"  # Zabbix's own, the same everywhere
_SLOW, _FAILING = "{$PROBEKIT.SLOW.S}", "{$PROBEKIT.ERRORS}"
_SECONDS = frozenset({"sum", "min", "max", "p50", "p90", "p95", "p99"})
_FIGURE_WORDS = {
    "count": "count in a window",
    "sum": "sum in a window",
    "min": "smallest",
    "max": "largest",
    "p50": "median",
    "p90": "90th percentile",
    "p95": "95th percentile",
    "p99": "99th percentile",
}
_TITLES: "dict[Rule, str]" = {
    "functions": "Functions",
    "errors": "Errors of functions",
    "routes": "Routes",
    "counters": "Counters",
    "gauges": "Gauges",
    "histograms": "Histograms",
}
_TAGS: "dict[Rule, tuple[str, ...]]" = {
    "functions": ("FUNCTION",),
    "errors": ("FUNCTION", "ERROR"),
    "routes": ("METHOD", "ROUTE", "STATUS"),
    "counters": ("NAME",),
    "gauges": ("NAME",),
    "histograms": ("NAME",),
}


def template(name: str = "probekit", allowed_hosts: str = "") -> Entry:
    """Everything that Zabbix's ``configuration.import`` wants.

    Args:
        name: The template's technical name.
        allowed_hosts: Addresses whose values are taken; empty for all.

    Example:
        >>> template()["zabbix_export"]["version"]
        '6.0'

    """
    maker = _Maker(name, allowed_hosts)
    return {
        "zabbix_export": {
            "version": "6.0",
            "groups": [{"uuid": GROUP_UUID, "name": GROUP}],
            "templates": [maker.template()],
        }
    }


class _Maker:
    """Writes entries that all carry the template's name and allowed hosts."""

    def __init__(self, name: str, allowed_hosts: str) -> None:
        self._name = name
        self._allowed = {"allowed_hosts": allowed_hosts} if allowed_hosts else {}

    def template(self) -> Entry:
        return {
            "uuid": self._uuid("template"),
            "template": self._name,
            "name": self._name,
            "description": "Items of an application that probekit watches.",
            "groups": [{"name": GROUP}],
            "items": [
                self._log(EVENTS, "Events"),
                self._log(EXCEPTIONS, "Exceptions"),
            ],
            "discovery_rules": [self._rule(rule) for rule in RULES],
            "macros": [
                {"macro": _SLOW, "value": "5", "description": "A 95th percentile "
                 "above it for five minutes raises a trigger; seconds."},
                {"macro": _FAILING, "value": "0", "description": "More failed calls "
                 "in five minutes raise a trigger."},
            ],
        }  # fmt: skip

    def _log(self, key: str, title: str) -> Entry:
        return {
            "uuid": self._uuid(key),
            "name": title,
            "type": "TRAP",
            "key": key,
            "delay": "0",
            "trends": "0",
            "value_type": "LOG",
            **self._allowed,
            "tags": [{"tag": "component", "value": title.lower()}],
        }

    def _rule(self, rule: Rule) -> Entry:
        made: Entry = {
            "uuid": self._uuid(rule_key(rule)),
            "name": _TITLES[rule],
            "type": "TRAP",
            "key": rule_key(rule),
            "delay": "0",
            **self._allowed,
            "lifetime": "30d",
        }
        if rule == "gauges":
            made["item_prototypes"] = [self._prototype(rule, "", "{#SERIES}")]
        elif rule == "counters":
            total = self._prototype(rule, "", "{#SERIES}: total")
            made["item_prototypes"] = [total, self._rate(total)]
        else:
            figures = ("count",) if rule == "errors" else FIGURES
            made["item_prototypes"] = [
                self._prototype(rule, f, f"{{#SERIES}}: {_FIGURE_WORDS[f]}")
                for f in figures
            ]
        return made

    def _prototype(self, rule: Rule, figure: str, name: str) -> Entry:
        tail = f",{figure}" if figure else ""
        key = f"{STEMS[rule]}[{{#SERIES}}{tail}]"
        made: Entry = {
            "uuid": self._uuid(key),
            "name": name,
            "type": "TRAP",
            "key": key,
            "delay": "0",
            "value_type": "FLOAT",
            **self._allowed,
            "tags": [
                {"tag": tag.lower(), "value": f"{{#{tag}}}"} for tag in _TAGS[rule]
            ],
        }
        units = _units(rule, figure)
        if units:
            made["units"] = units
        triggers = self._triggers(rule, figure, key)
        if triggers:
            made["trigger_prototypes"] = triggers
        return made

    def _rate(self, total: Entry) -> Entry:
        key = "probekit.rate[{#SERIES}]"
        return {
            "uuid": self._uuid(key),
            "name": "{#SERIES}: per second",
            "type": "DEPENDENT",
            "key": key,
            "delay": "0",
            "value_type": "FLOAT",
            "units": "{#UNIT}/s",
            "preprocessing": [{"type": "CHANGE_PER_SECOND", "parameters": [""]}],
            "master_item": {"key": total["key"]},
            "tags": total["tags"],
        }

    def _triggers(self, rule: Rule, figure: str, key: str) -> "list[Entry]":
        if rule == "errors":
            expression = f"sum(/{self._name}/{key},5m)>{_FAILING}"
            title, priority = "{#FUNCTION} fails with {#ERROR}", "WARNING"
        elif rule in {"functions", "routes"} and figure == "p95":
            expression = f"min(/{self._name}/{key},5m)>{_SLOW}"
            title, priority = "{#SERIES} is slow", "AVERAGE"
        else:
            return []
        return [
            {
                "uuid": self._uuid(f"trigger {key}"),
                "expression": expression,
                "name": title,
                "priority": priority,
            }
        ]

    def _uuid(self, what: str) -> str:
        """A version 4 identifier, as the import demands, that is always the same."""
        seed = f"probekit {self._name} {what}".encode()
        digits = hashlib.blake2s(seed, digest_size=16).hexdigest()
        return f"{digits[:12]}4{digits[13:16]}a{digits[17:]}"


def _units(rule: Rule, figure: str) -> str:
    if rule in {"functions", "routes"}:
        return "s" if figure in _SECONDS else ""
    if rule in {"counters", "gauges"}:
        return "{#UNIT}"
    return "{#UNIT}" if figure in _SECONDS else ""
