"""Where everything of a function's code goes when something is put in between.

Written for the word code of CPython 3.11 to 3.13: jumps are relative, some
instructions are followed by cache entries (zero in what ``co_code`` returns, so that
every other byte that is not zero is an operation), ``EXTENDED_ARG`` widens an
argument. Positions are counted in units of two bytes.
"""

import opcode
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate

EXTENDED = opcode.EXTENDED_ARG
_NAMES = opcode.opname


def _caches() -> "list[int]":
    entries = getattr(opcode, "_inline_cache_entries", [])
    if isinstance(entries, dict):  # from 3.13 on: by name, and only where there are any
        return [entries.get(name, 0) for name in _NAMES[:256]]
    return list(entries[:256]) or [0] * 256


CACHES = _caches()
_OPERATIONS = 256  # above them are the compiler's own, never found in code
JUMPS = frozenset(code for code in opcode.hasjrel if code < _OPERATIONS)
_BACKWARD = frozenset(code for code in JUMPS if "BACKWARD" in _NAMES[code])


def marks_of(values: Iterable[int]) -> bytes:
    """A table for ``bytes.translate`` that makes *values* 1 and all others 0."""
    wanted = set(values)
    return bytes(value in wanted for value in range(256))


def where(raw: bytes, marks: bytes, start: int = 0) -> Iterator[int]:
    """Where in *raw* the values of *marks* are, from *start* on; searched in C."""
    found = raw.translate(marks)
    at = found.find(1, start)
    while at >= 0:
        yield at
        at = found.find(1, at + 1)


class Site:
    """An instruction of the function's own that may have to change.

    Attributes:
        start: First unit, its EXTENDED_ARGs included.
        end: Unit after its caches.
        code: Operation.
        arg: Argument.
        target: Unit that a jump goes to, or -1.
        new: What stands in its place, or None when it is as it was.
        growth: Units more than before.
    """

    __slots__ = ("arg", "code", "end", "growth", "new", "start", "target")

    def __init__(self, raw: bytes, at: int) -> None:
        """Read the instruction whose operation is at unit *at*."""
        self.code = code = raw[2 * at]
        self.arg = raw[2 * at + 1]
        self.start = at
        while self.start and raw[2 * self.start - 2] == EXTENDED:
            self.start -= 1
            self.arg |= raw[2 * self.start + 1] << 8 * (at - self.start)
        self.end = at + 1 + CACHES[code]
        self.new: bytes | None = None
        self.growth = 0
        self.target = -1
        if code in JUMPS:
            self.target = self.end + (-self.arg if code in _BACKWARD else self.arg)

    def replace(self, new: bytes) -> None:
        """Put *new* in its place."""
        self.new = new
        self.growth = len(new) // 2 - (self.end - self.start)


class Layout:
    """A function's own code with room made in it.

    Attributes:
        raw: The function's own bytes.
        sites: Instructions that change, or may have to, in order.
    """

    def __init__(self, raw: bytes, sites: "list[Site]", begin: int, room: int) -> None:
        """Work out what moves where.

        Args:
            raw: The function's own bytes.
            sites: Every jump and every replaced instruction, in order.
            begin: Unit before which something is put in.
            room: How many units that is.

        """
        self.raw = raw
        self.sites = sites
        self._begin = begin
        self._room = room
        self._starts = [site.start for site in sites]
        self._sum()
        while self._mend_jumps():
            self._sum()

    def moved(self, unit: int) -> int:
        """Where old *unit* is now; of a replaced instruction, its first one."""
        room = self._room if unit >= self._begin else 0
        return unit + room + self._growth[bisect_left(self._starts, unit)]

    def growths(self) -> "list[tuple[int, int]]":
        """Old units at which something was put in, and how many units, in order."""
        found = [(site.start, site.growth) for site in self.sites if site.growth]
        return sorted([*found, (self._begin, self._room)])

    def join(self, put_in: bytes) -> bytes:
        """The new bytes; *put_in* goes where the room is."""
        raw, begin = self.raw, 2 * self._begin
        parts = [raw[:begin], put_in]
        at = begin
        for site in self.sites:
            if site.new is not None:
                parts += (raw[at : 2 * site.start], site.new)
                at = 2 * site.end
        parts.append(raw[at:])
        return b"".join(parts)

    def _sum(self) -> None:
        self._growth = list(accumulate((s.growth for s in self.sites), initial=0))

    def _mend_jumps(self) -> bool:
        """Adapt jumps to the growth between them; True when one had to grow itself."""
        grown = False
        for site in self.sites:
            if site.target < 0:
                continue
            end = self.moved(site.start) + site.end - site.start + site.growth
            arg = abs(self.moved(site.target) - end)
            if arg == site.arg and site.new is None:
                continue
            size = site.end - site.start + site.growth
            wide = size - 1 - CACHES[site.code]
            new = instruction(site.code, arg, wide=wide)
            if len(new) > 2 * size:
                grown = True
            site.replace(new)
        return grown


def instruction(code: int, arg: int, *, wide: int = 0) -> bytes:
    """Spell an instruction with its caches, *wide* EXTENDED_ARGs before it at least."""
    wide = max(wide, (arg.bit_length() - 1) // 8 if arg else 0)
    raw = bytearray()
    for shift in range(8 * wide, 0, -8):
        raw += bytes((EXTENDED, arg >> shift & 0xFF))
    raw += bytes((code, arg & 0xFF))
    raw += bytes(2 * CACHES[code])
    return bytes(raw)
