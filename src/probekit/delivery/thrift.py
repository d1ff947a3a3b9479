"""Keeps our own use of the processor below one percent of a core."""

import time
from collections.abc import Callable

from probekit.clock import SYSTEM_CLOCK, Clock

LIMIT_RATIO = 0.01
RELAXED_RATIO = 0.0015  # low enough that the short interval stays below the limit
SLOW_S = 1.0
_SPAN_S = 5.0


class Thrift:
    """Lengthens an interval while the calling thread is dear.

    Attributes:
        interval_s: The interval to keep now, seconds.
        cpu_ratio: Share of a core that the thread took lately.

    Threads:
        The measured thread only; attributes may be read by any.
    """

    def __init__(
        self,
        interval_s: float,
        *,
        clock: Clock = SYSTEM_CLOCK,
        cpu_s: Callable[[], float] = time.thread_time,
    ) -> None:
        """Begin with *interval_s*; *cpu_s* says the thread's CPU seconds."""
        self.interval_s = interval_s
        self.cpu_ratio = 0.0
        self._normal_s = interval_s
        self._clock = clock
        self._cpu_s = cpu_s
        self._since: tuple[float, float] | None = None

    def turn(self) -> None:
        """Say that one round of work is done."""
        now = (self._clock.monotonic_s(), self._cpu_s())
        if self._since is None:
            self._since = now
            return
        elapsed_s = now[0] - self._since[0]
        if elapsed_s < _SPAN_S:
            return
        self.cpu_ratio = (now[1] - self._since[1]) / elapsed_s
        self._since = now
        if self.cpu_ratio > LIMIT_RATIO:
            self.interval_s = max(self._normal_s, SLOW_S)
        elif self.cpu_ratio < RELAXED_RATIO:
            self.interval_s = self._normal_s
