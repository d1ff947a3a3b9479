"""Long work in slices: the application's threads come first."""

import time
from collections.abc import Iterator, Sequence
from itertools import chain

from probekit.hints import TypeVar

_AT_ONCE = 4  # things done between two looks at the clock
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

    def through(self, things: "Sequence[_Thing]") -> "Iterator[_Thing]":
        """Yield *things*, breathing between some of them.

        Example:
            >>> sum(Pace().through(range(100)))
            4950

        """
        return chain.from_iterable(self._pieces(things))

    def _pieces(self, things: "Sequence[_Thing]") -> "Iterator[Sequence[_Thing]]":
        for start in range(0, len(things), _AT_ONCE):
            self.breathe()
            yield things[start : start + _AT_ONCE]
