"""What our threads cost: each says after a round of work what it has used so far."""

import time
from collections.abc import Callable
from threading import get_ident


class CpuMeter:
    """Adds up the processor time of the threads that report to it.

    A thread reports itself: asking for the time of another one is not safe once that
    has ended.

    Threads:
        Any.
    """

    __slots__ = ("_cpu_s", "_seen", "_spent")

    def __init__(self, cpu_s: Callable[[], float] = time.thread_time) -> None:
        """Start at nothing; *cpu_s* says the calling thread's CPU seconds."""
        self._cpu_s = cpu_s
        self._seen: dict[int, float] = {}
        self._spent: dict[int, float] = {}

    def turn(self) -> None:
        """Say that the calling thread has done a round of work; about 0.5 µs."""
        me, now_s = get_ident(), self._cpu_s()
        before_s = self._seen.get(me, 0.0)
        if now_s < before_s:  # a new thread under the number of one that has ended
            before_s = 0.0
        self._seen[me] = now_s
        self._spent[me] = self._spent.get(me, 0.0) + now_s - before_s

    def total_s(self) -> float:
        """CPU seconds of all threads that ever reported."""
        return sum(list(self._spent.values()))
