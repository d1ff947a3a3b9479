"""Low-level discovery: what there is, told to Zabbix before its values.

Zabbix makes the items some time after it was told (its configuration cache is read
anew every minute by default). Until then values of a new series fail; they wait.
"""

import json
from collections.abc import Iterable

from probekit.exporters.zabbix.identity import RULES, Identity, Rule
from probekit.exporters.zabbix.wire import Value

KEY = "probekit.discovery"
_encode = json.JSONEncoder(separators=(",", ":")).encode


def rule_key(rule: Rule) -> str:
    """The key of a discovery rule.

    Example:
        >>> rule_key("functions")
        'probekit.discovery[functions]'

    """
    return f"{KEY}[{rule}]"


def found(identities: "Iterable[Identity]", time_unix_ns: int) -> "list[Value]":
    """All that was found, as one value for each rule; pure.

    A rule's value replaces the one before, so it always holds everything.
    """
    entries: dict[Rule, list[dict[str, str]]] = {rule: [] for rule in RULES}
    for identity in identities:
        entry = {"{#SERIES}": identity.text, **dict(identity.macros)}
        entries[identity.rule].append(entry)
    return [
        Value(rule_key(rule), _encode(entries[rule]), time_unix_ns) for rule in RULES
    ]


class Announcements:
    """When each series was first told, and whether something is to be told now.

    Args:
        wait_s: How long a new series may stay unknown to the server, seconds.
        refresh_s: After how long everything is told again, seconds.
    """

    __slots__ = ("_last_s", "_refresh_s", "_since_s", "_wait_s")

    def __init__(self, wait_s: float, refresh_s: float) -> None:
        """Nothing was told yet."""
        self._wait_s = wait_s
        self._refresh_s = refresh_s
        self._since_s: dict[Identity, float] = {}
        self._last_s: float | None = None

    def is_due(self, known: "dict[Identity, None]", now_s: float) -> bool:
        """Whether there is something new, or the last time is long ago."""
        told_s = self._last_s
        if told_s is None or now_s - told_s >= self._refresh_s:
            return True
        return len(known) != len(self._since_s)

    def told(self, known: "dict[Identity, None]", now_s: float) -> None:
        """Everything in *known* was told now."""
        self._last_s = now_s
        for identity in known:
            self._since_s.setdefault(identity, now_s)

    def is_fresh(self, identity: "Identity | None", now_s: float) -> bool:
        """Whether the server may not know *identity* yet."""
        if identity is None:
            return False
        since_s = self._since_s.get(identity)
        return since_s is not None and now_s - since_s < self._wait_s
