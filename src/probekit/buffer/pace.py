"""Long work in slices: the application's threads come first."""

import time
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TypeVar

_AT_ONCE = 16  # things done between two looks at the clock
_Thing = TypeVar("_Thing")
_SLICE_S = 0.001  # finer slices cost more than they give, coarser ones are felt


class Pace:
    """Gives the interpreter up after each millisecond of work.

    Example:
        >>> pace = Pace()
        >>> for number in range(3):
        ...     pace.breathe()

    """

    __slots__ = ("_since_s",)

    def __init__(self) -> None:
        """Begin the first slice."""
        self._since_s = time.perf_counter()

    def breathe(self) -> None:
        """Let others run when the slice is over; call it often."""
        if time.perf_counter() - self._since_s > _SLICE_S:
            time.sleep(0)
            self._since_s = time.perf_counter()

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
