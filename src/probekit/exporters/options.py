"""Typed getters over the query of an exporter's URL, with one clear error each.

A factory asks for every option it knows and then calls ``finish``, which refuses
the names that nobody asked for. So the list of allowed names cannot drift.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from probekit.errors import ConfigError

T = TypeVar("T")
_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})


class Options:
    """Reads one query; remembers which names were asked for."""

    __slots__ = ("_known", "_prefixes", "_query", "_shown")

    def __init__(self, query: "Mapping[str, str]", shown: str) -> None:
        """Read *query* of a target; *shown* names it in errors, without secrets."""
        self._query = query
        self._shown = shown
        self._known: list[str] = []
        self._prefixes: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        """The value as it stands."""
        self._known.append(name)
        return self._query.get(name, default)

    def flag(self, name: str, *, default: bool) -> bool:
        """A switch: 1, true, yes, on or 0, false, no, off."""
        return self._read(name, default, _flag, "must be 1 or 0")

    def seconds(
        self, name: str, default: float, *, low: float = 0.01, high: float = 3600.0
    ) -> float:
        """A duration in seconds, from *low* to *high*."""
        return self._read(
            name,
            default,
            lambda text: _between(float(text), low, high),
            f"must be seconds from {low:g} to {high:g}",
        )

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number from *low* to *high*."""
        return self._read(
            name,
            default,
            lambda text: _between(int(text), low, high),
            f"must be a whole number from {low} to {high}",
        )

    def numbers(self, name: str, default: "Sequence[float]") -> "tuple[float, ...]":
        """Rising numbers separated by commas."""
        return self._read(
            name, tuple(default), _rising, "must be rising numbers with commas"
        )

    def choice(self, name: str, allowed: Sequence[str], default: str) -> str:
        """One word of *allowed*."""
        return self._read(
            name,
            default,
            lambda text: allowed[allowed.index(text)],
            f"must be one of {', '.join(allowed)}",
        )

    def words(
        self, name: str, allowed: Sequence[str], default: Sequence[str]
    ) -> "tuple[str, ...]":
        """Some words of *allowed*, separated by commas."""
        return self._read(
            name,
            tuple(default),
            lambda text: tuple(allowed[allowed.index(w)] for w in text.split(",")),
            f"must be some of {', '.join(allowed)}, with commas",
        )

    def prefixed(self, prefix: str) -> "dict[str, str]":
        """All options whose name begins with *prefix*, without it."""
        self._prefixes.append(prefix)
        return {
            name[len(prefix) :]: value
            for name, value in self._query.items()
            if name.startswith(prefix) and len(name) > len(prefix)
        }

    def finish(self) -> None:
        """Refuse what nobody asked for.

        Raises:
            ConfigError: Names the unknown parameter and the allowed ones.

        """
        for name in self._query:
            if name in self._known or name.startswith(tuple(self._prefixes)):
                continue
            allowed = sorted({*self._known, *(f"{p}NAME" for p in self._prefixes)})
            raise ConfigError(
                f"exporters: {self._shown} does not know the parameter {name!r}; "
                f"allowed: {', '.join(allowed) or 'none'}",
            )

    def refuse(self, name: str, rule: str) -> ConfigError:
        """The error for option *name*; the value is not shown, it may be secret."""
        return ConfigError(f"exporters: {self._shown}: {name} {rule}")

    def _read(
        self, name: str, default: T, convert: "Callable[[str], T]", rule: str
    ) -> T:
        self._known.append(name)
        text = self._query.get(name)
        if text is None:
            return default
        try:
            return convert(text)
        except ValueError:
            raise ConfigError(
                f"exporters: {self._shown}: {name}={text[:40]!r} {rule}",
            ) from None


def _flag(text: str) -> bool:
    word = text.lower()
    if word not in _YES | _NO:
        raise ValueError(text)
    return word in _YES


def _rising(text: str) -> "tuple[float, ...]":
    found = tuple(float(part) for part in text.split(","))
    pairs = itertools.pairwise(found)
    if not all(map(math.isfinite, found)) or any(a >= b for a, b in pairs):
        raise ValueError(text)
    return found


def _between(value: "T", low: float, high: float) -> "T":
    if not low <= value <= high:  # type: ignore[operator]
        raise ValueError(value)
    return value
