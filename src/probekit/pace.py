"""Long work in slices: the application's threads come first."""

import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from probekit.hints import TypeVar

_AT_ONCE = 4  # things done between two looks at the clock
_READ_AT_ONCE = 16  # of those that exporters are given, each less work
_LEAST_S = 0.00025  # a request takes the interpreter back a few times, each so late
_MOST_S = 0.005  # Python itself takes it from a thread after so long
_Thing = TypeVar("_Thing")


class Pace:
    """Gives the interpreter up again and again, and works as long as others then did.

    Who only waits for the network has it back at once and is kept waiting for a quarter
    of a millisecond. Who computes keeps it for five, and shares it evenly: with short
    slices the work would take twenty times as long beside it.

    Example:
        >>> pace = Pace()
        >>> for number in range(3):
        ...     pace.breathe()

    """

    __slots__ = ("_since_s", "_slice_s")

    def __init__(self) -> None:
        """Begin the first slice."""
        self._slice_s = _LEAST_S
        self._since_s = time.perf_counter()

    def breathe(self) -> None:
        """Let others run when the slice is over; call it often."""
        now_s = time.perf_counter()
        if now_s - self._since_s > self._slice_s:
            time.sleep(0)
            self._since_s = time.perf_counter()
            self._slice_s = min(max(self._since_s - now_s, _LEAST_S), _MOST_S)

    def through(
        self, things: "Iterable[_Thing]", at_once: int = _AT_ONCE
    ) -> "Iterator[_Thing]":
        """Yield *things*, breathing between some of them.

        Args:
            things: What a loop goes through; taken *at_once* ahead.
            at_once: How many between two looks at the clock.

        Example:
            >>> sum(Pace().through(range(100)))
            4950

        """
        return chain.from_iterable(self._pieces(iter(things), at_once))

    def _pieces(
        self, things: "Iterator[_Thing]", at_once: int
    ) -> "Iterator[tuple[_Thing, ...]]":
        while piece := tuple(islice(things, at_once)):
            self.breathe()
            yield piece


class Paced(tuple[_Thing, ...]):
    """A tuple that breathes while a loop goes through it.

    Exporters are given such ones: they go through thousands of records on a thread of
    the application's process, and should not have to know.

    Example:
        >>> sorted(Paced([3, 1, 2]))
        [1, 2, 3]

    """

    __slots__ = ()

    def __iter__(self) -> "Iterator[_Thing]":
        """Yield its things, breathing between some of them."""
        return Pace().through(super().__iter__(), _READ_AT_ONCE)
