"""Which item of Zabbix a series feeds: its discovery rule, its key, its macros; pure.

Every series is one discovered thing, so every item has one source and a repeated value
is recognised by its time. What tells series apart stands in one key parameter,
``{#SERIES}``: ``shop.orders;plan=pro``, ``shop.cart.add``, ``GET /orders/<id> 200``.
Commas, brackets, quotes and the beginnings of Zabbix's own macros are replaced in it,
so it never needs quoting, and no attribute becomes a macro.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from probekit.exporters.naming import Names, Naming
from probekit.exporters.text import word
from probekit.model import FrozenAttributes, Series

Rule: TypeAlias = Literal[
    "functions", "errors", "routes", "counters", "gauges", "histograms"
]
RULES: "tuple[Rule, ...]" = (
    "functions", "errors", "routes", "counters", "gauges", "histograms"
)  # fmt: skip
#: Rule → the item key's name; figures follow the series as a second parameter.
STEMS: "dict[Rule, str]" = {
    "functions": "probekit.function",
    "errors": "probekit.error",
    "routes": "probekit.route",
    "counters": "probekit.counter",
    "gauges": "probekit.gauge",
    "histograms": "probekit.histogram",
}
#: Figures of histograms, as the template has an item for each.
FIGURES = ("count", "sum", "min", "max", "p50", "p90", "p95", "p99")
ERROR_FIGURES = ("count",)
LONGEST = 200  # an item's name has 255 characters, and says the figure too
_FORBIDDEN = re.compile(
    r'[\x00-\x1f\x7f-\x9f",\[\]\\\u2028\u2029\ud800-\udfff\U00010000-\U0010ffff]+'
    r"|\{(?=[#$?{A-Z])"
)
_TEXT = Naming(_FORBIDDEN)
_PART = Naming(re.compile(rf"[;=]+|{_FORBIDDEN.pattern}"))
_UNIT = Naming(_FORBIDDEN, limit=40)
_UNITS = {"By": "B", "1": "", "Cel": "°C", "Hz": "Hz"}
_FUNCTION, _REQUEST = "probekit.function.duration", "http.server.request.duration"


@dataclass(frozen=True, slots=True)
class Identity:
    """What Zabbix knows a series by.

    Attributes:
        rule: The discovery rule that finds it.
        text: The value of ``{#SERIES}``; unique within its rule.
        macros: Further macros of the rule's prototypes, for names, filters and tags.
    """

    rule: Rule
    text: str
    macros: "tuple[tuple[str, str], ...]"

    def key(self, figure: str = "") -> str:
        """The item's key for *figure*; empty where a series is a single number.

        Example:
            >>> Identity("functions", "shop.pay", ()).key("p95")
            'probekit.function[shop.pay,p95]'

        """
        tail = f",{figure}" if figure else ""
        return f"{STEMS[self.rule]}[{self.text}{tail}]"

    def takes(self, figure: str) -> bool:
        """Whether the template has an item for *figure*."""
        return self.rule != "errors" or figure in ERROR_FIGURES


class Identities:
    """Gives every series its identity; two series never get the same."""

    __slots__ = ("_names",)

    def __init__(self) -> None:
        """Start with no names given."""
        self._names = {rule: Names(LONGEST) for rule in RULES}

    def of(self, series: Series) -> Identity:
        """The identity of *series*; always the same for the same series."""
        found = _identity(series)
        text = _TEXT.of(found.text).strip()[:LONGEST].strip() or "_"
        original = (series.name, series.kind, series.unit, series.attributes)
        unique = self._names[found.rule].unique(text, original)
        macros = tuple(
            (name, _TEXT.of(value)[:LONGEST]) for name, value in found.macros
        )
        return replace(found, text=unique, macros=macros)


def _identity(series: Series) -> Identity:
    attributes = {key: word(value) for key, value in series.attributes}
    if series.kind == "histogram":
        if series.name == _FUNCTION and "code.function.name" in attributes:
            return _function(attributes, series.attributes)
        if series.name == _REQUEST and "http.request.method" in attributes:
            return _route(attributes, series.attributes)
    macros = (("{#NAME}", series.name), ("{#UNIT}", _unit(series.unit)))
    rule: Rule = {"counter": "counters", "histogram": "histograms"}.get(
        series.kind, "gauges"
    )  # type: ignore[assignment]
    return Identity(rule, series.name + _tail(series.attributes), macros)


def _function(attributes: "dict[str, str]", all_: FrozenAttributes) -> Identity:
    function, error = attributes["code.function.name"], attributes.get("error.type", "")
    tail = _tail(all_, {"code.function.name", "error.type"})
    macros = (("{#FUNCTION}", function), ("{#ERROR}", error))
    if error:
        return Identity("errors", f"{function} {error}{tail}", macros)
    return Identity("functions", function + tail, macros[:1])


def _route(attributes: "dict[str, str]", all_: FrozenAttributes) -> Identity:
    method, route = attributes["http.request.method"], attributes.get("http.route", "")
    status = attributes.get("http.response.status_code", "")
    said = {"http.request.method", "http.route", "http.response.status_code"}
    said |= {"url.scheme", "network.protocol.version"}
    macros = (
        ("{#METHOD}", method),
        ("{#ROUTE}", route or "-"),
        ("{#STATUS}", status or "-"),
        ("{#ERROR}", attributes.get("error.type", "")),
    )
    text = " ".join(part for part in (method, route or "-", status) if part)
    error = attributes.get("error.type", "")
    if error == status:
        said |= {"error.type"}
    return Identity("routes", text + _tail(all_, said), macros)


def _tail(
    attributes: FrozenAttributes, without: "set[str] | frozenset[str]" = frozenset()
) -> str:
    return "".join(
        f";{_PART.of(key)}={_PART.of(word(value))}"
        for key, value in attributes
        if key not in without
    )


def _unit(unit: str) -> str:
    if unit.startswith("{") and unit.endswith("}"):
        unit = unit[1:-1]  # an annotation: the thing that is counted
    return _UNITS.get(unit, _UNIT.of(unit) if unit else "")
