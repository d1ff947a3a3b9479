"""Decides which instrumented functions are hot; asked by whoever drains.

A function that is called more than 20,000 times a second costs more to time than most
of its calls are worth: it is counted exactly, and timed every 16th time, until it has
cooled down to half of that.
"""

from collections.abc import Callable, Iterable
from time import perf_counter

from probekit.notice import notice
from probekit.recording.stitch import Stitch

HOT_PER_S = 20_000.0
COOL_PER_S = 10_000.0
_LEAST_S = 0.05  # a rate over a shorter time says little


class Thermostat:
    """Looks at the rates of all stitches at each drain.

    Attributes:
        clock_s: Tells the time, seconds.
    """

    def __init__(
        self,
        stitches: Callable[[], Iterable[Stitch]],
        clock_s: Callable[[], float] = perf_counter,
    ) -> None:
        """Look at what *stitches* returns; *clock_s* tells the time, seconds."""
        self.clock_s = clock_s
        self._stitches = stitches
        self._last_s = clock_s()

    def look(self) -> None:
        """Heat and cool; the drain's thread only, before it takes what was recorded."""
        now_s = self.clock_s()
        elapsed_s = now_s - self._last_s
        if elapsed_s < _LEAST_S:
            return
        self._last_s = now_s
        for stitch in self._stitches():
            _set(stitch, elapsed_s)


def _set(stitch: Stitch, elapsed_s: float) -> None:
    try:
        _choose(stitch, elapsed_s)
    except Exception as error:
        notice("hot", f"{stitch.name} keeps its way of timing: {error!r}")


def _choose(stitch: Stitch, elapsed_s: float) -> None:
    if not stitch.is_hot:
        if stitch.calls() > HOT_PER_S * elapsed_s:
            stitch.heat()
            stitch.seen = stitch.calls()
        return
    calls = stitch.calls()
    if calls - stitch.seen < COOL_PER_S * elapsed_s:
        stitch.tie()
    stitch.seen = calls
