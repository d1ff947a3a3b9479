"""Long work in slices: the application's threads come first."""

import time

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
