"""The two tables beside the bytes: who handles exceptions, and which line is where.

Formats of CPython 3.11 to 3.13 (Objects/exception_handling_notes.txt and
Objects/locations.md in its source).
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import accumulate, pairwise

from probekit.hints import NamedTuple, TypeAlias
from probekit.recording.weave.layout import marks_of, where

_LONG, _NO_COLUMNS, _NOWHERE = 14, 13, 15
_ONE_LINE_FIRST, _ONE_LINE_LAST = 10, 12
_FIRSTS = marks_of(range(0x80, 0x100))  # each entry's first byte, and no other
_ENTRY_UNITS = 8  # most units that one entry of the location table covers
_UNITS = bytes((first & 7) + 1 for first in range(256))  # by an entry's first byte
_CONTINUED = bytes(range(0x80))  # all other bytes of entries


class Guard(NamedTuple):
    """Units ``[start, end)`` whose exceptions go to *target*.

    Attributes:
        start: First unit.
        end: Unit after the last.
        target: First unit of the handler.
        depth: Values that stay on the stack.
        lasti: Whether the handler also gets the place of the failure.
    """

    start: int
    end: int
    target: int
    depth: int
    lasti: bool


# The same without names, where there are many.
AnyGuard: TypeAlias = "tuple[int, int, int, int, bool]"


def read_guards(table: bytes) -> "list[Guard]":
    """Read an exception table."""
    numbers = _numbers(table)
    guards = []
    for start in numbers:
        length, target, packed = next(numbers), next(numbers), next(numbers)
        lasti = bool(packed & 1)
        guards.append(Guard(start, start + length, target, packed >> 1, lasti))
    return guards


def write_guards(guards: "list[AnyGuard]") -> bytes:
    """Write an exception table; the interpreter searches it by the starts."""
    table = bytearray()
    for start, end, target, depth, lasti in sorted(guards):
        begin = len(table)
        table += _number(start)
        table += _number(end - start)
        table += _number(target)
        table += _number(depth << 1 | lasti)
        table[begin] |= 0x80
    return bytes(table)


def _numbers(table: bytes) -> Iterator[int]:
    value = 0
    for byte in table:
        value = value << 6 | byte & 0x3F
        if not byte & 0x40:
            yield value
            value = 0


@lru_cache(maxsize=4096)
def _number(value: int) -> bytes:
    parts = [value & 0x3F]
    while value := value >> 6:
        parts.append(value & 0x3F | 0x40)
    return bytes(reversed(parts))


def moved_locations(
    table: bytes,
    growths: Iterable[tuple[int, int]],
    tail: int,
) -> bytes:
    """Rewrite a location table for code in which something was put.

    Args:
        table: Of the function's own code.
        growths: Old unit and number of units put in there, in order; they get the
            location of that unit.
        tail: Units at the end that have no location.

    """
    starts = [*where(table, _FIRSTS), len(table)]
    entries = [table[start:end] for start, end in pairwise(starts)]
    units = table.translate(_UNITS, _CONTINUED)
    ends = list(accumulate(units))
    more: dict[int, int] = {}
    for place, growth in growths:
        at = bisect_right(ends, place)
        more[at] = more.get(at, 0) + growth
    for at, growth in more.items():
        entries[at] = _stretched(entries[at], units[at] + growth)
    entries.append(_stretched(bytes([0x80 | _NOWHERE << 3]), tail))
    return b"".join(entries)


@lru_cache(maxsize=1024)
def _stretched(entry: bytes, length: int) -> bytes:
    """The same place for another number of units."""
    kind, place = entry[0] >> 3 & 15, entry[1:]
    first = min(length, _ENTRY_UNITS)
    out = bytes([0x80 | kind << 3 | first - 1]) + place
    # A step to another line is made once; what follows stays on it.
    if _ONE_LINE_FIRST <= kind <= _ONE_LINE_LAST:
        kind = _ONE_LINE_FIRST
    elif kind in {_LONG, _NO_COLUMNS}:
        place = _on_the_same_line(place)
    whole, rest = divmod(length - first, _ENTRY_UNITS)
    out += (bytes([0x80 | kind << 3 | _ENTRY_UNITS - 1]) + place) * whole
    if rest:
        out += bytes([0x80 | kind << 3 | rest - 1]) + place
    return out


def _on_the_same_line(place: bytes) -> bytes:
    step = 1
    while place[step - 1] & 0x40:
        step += 1
    return b"\0" + place[step:]
