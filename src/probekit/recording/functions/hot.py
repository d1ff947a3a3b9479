"""Decides which instrumented functions are hot; asked by whoever drains.

A function that is called more than 20,000 times a second costs more to time than most
of its calls are worth: it is counted exactly, and timed every 16th time, until it has
cooled down to half of that.
"""

from collections.abc import Callable, Iterable
from time import perf_counter

from probekit.notice import notice
from probekit.recording.functions.stitch import Stitch
from probekit.recording.watch import Watch

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
        watch: Watch,
        clock_s: Callable[[], float] = perf_counter,
    ) -> None:
        """Look at what *stitches* returns.

        Args:
            stitches: Gives all of them.
            watch: While it is held, nothing is hot: hot code does not ask it.
            clock_s: Tells the time, seconds.

        """
        self.clock_s = clock_s
        self._stitches = stitches
        self._watch = watch
        self._heated: list[Stitch] = []
        self._last_s = clock_s()

    def look(self) -> None:
        """Heat and cool; the drain's thread only, before it takes what was recorded."""
        now_s = self.clock_s()
        elapsed_s = now_s - self._last_s
        if elapsed_s < _LEAST_S:
            return
        self._last_s = now_s
        for stitch in self._stitches():
            try:
                self._choose(stitch, elapsed_s)
            except Exception as error:  # noqa: PERF203 - one function, not the others
                notice("hot", f"{stitch.name} keeps its way of timing", error)
        self._heated = [stitch for stitch in self._heated if stitch.is_hot]
        if self._watch.is_held:  # since the look began
            self.cool()

    def cool(self) -> None:
        """Let every call be timed, and so be asked whether it counts; any thread."""
        for stitch in self._heated[:]:
            try:
                stitch.tie()
            except Exception as error:  # noqa: PERF203 - the same
                notice("hot", f"{stitch.name} stays hot", error)

    def _choose(self, stitch: Stitch, elapsed_s: float) -> None:
        if not stitch.is_hot:
            if stitch.calls() > HOT_PER_S * elapsed_s and not self._watch.is_held:
                self._heated.append(stitch)
                stitch.heat()
                stitch.seen = stitch.calls()
            return
        calls = stitch.calls()
        if calls - stitch.seen < COOL_PER_S * elapsed_s:
            stitch.tie()
        stitch.seen = calls
