"""Where the patched libraries' figures go: instruments with bound handles, cached.

Comes from every patched call. It promises never to raise into the host, to keep the
number of series small (a crawler talks to thousands of hosts), and to pay one
dictionary look-up for a call of a kind that it has seen before.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from probekit.model import AttributeValue
from probekit.notice import notice
from probekit.recording import instruments
from probekit.recording.attributes import type_name

Pairs: TypeAlias = "tuple[tuple[str, AttributeValue], ...]"

_HANDLES_LIMIT = 4096
OTHER = "_OTHER"


class Durations:
    """A histogram of seconds, recorded by attribute pairs.

    The instrument is made at the first record, so that patching alone creates none.
    """

    __slots__ = ("_bind", "_description", "_name", "_records")

    def __init__(self, name: str, description: str) -> None:
        """Name the metric; its unit is the second."""
        self._name = name
        self._description = description
        self._bind: Callable[[Any], Any] | None = None
        self._records: dict[Pairs, Callable[[float], object]] = {}

    def record(self, seconds: float, pairs: Pairs) -> None:
        """Record *seconds* in the series of *pairs*."""
        record = self._records.get(pairs)
        if record is None:
            record = self._bound(pairs)
        record(seconds)

    def _bound(self, pairs: Pairs) -> "Callable[[float], object]":
        if self._bind is None:
            self._bind = instruments.histogram(
                self._name,
                unit="s",
                description=self._description,
            ).bind
        if len(self._records) >= _HANDLES_LIMIT:
            self._records.clear()
        record: Callable[[float], object] = self._bind(dict(pairs)).record
        self._records[pairs] = record
        return record


class Names:
    """Keeps a name's variety small: after *limit* different ones all are ``_OTHER``."""

    __slots__ = ("_limit", "_seen")

    def __init__(self, limit: int) -> None:
        """Allow *limit* different names in this process."""
        self._limit = limit
        self._seen: set[str] = set()

    def bounded(self, name: str) -> str:
        """*name*, or ``_OTHER`` when there are too many already."""
        if name in self._seen:
            return name
        if len(self._seen) >= self._limit:
            return OTHER
        self._seen.add(name)
        return name


def error_type(kind: "type[BaseException]") -> str:
    """The word for ``error.type``: the class with its module."""
    return type_name(kind)


def told(library: str, error: Exception) -> None:
    """Say that recording a call of *library* failed; the call itself did not."""
    notice(
        f"library-{library}",
        f"a call through {library} could not be recorded: {type(error).__name__}",
    )
