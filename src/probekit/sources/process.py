"""This process's own figures; each series carries ``process.pid``."""

import os
from collections.abc import Callable
from contextlib import suppress
from operator import sub

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.model import Attributes
from probekit.observer import Manner, Observe, Observer, Readings
from probekit.sources.own_process import ProcessReader, process_reader
from probekit.sources.sections import Sections

# A process's totals begin with it: what was before our first reading counts too.
_SINCE: Manner = "total_since_start"


class ProcessSource:
    """Reads the process it is called in, also when that is a forked child.

    Nothing is inherited over a fork: a child's readings begin with its own handle and
    without a last value.
    """

    __slots__ = ("_clock", "_make", "_reader")

    def __init__(
        self,
        *,
        clock: Clock = SYSTEM_CLOCK,
        make: "Callable[[Clock], ProcessReader]" = process_reader,
    ) -> None:
        """Open nothing yet; *make* says who reads, anew in each process."""
        self._clock = clock
        self._make = make
        self._reader: Reader | None = None

    @property
    def skipped(self) -> "dict[str, str]":
        """Part → name of the error that its last reading ended with."""
        return self._reader.skipped if self._reader else {}

    def __call__(self, observer: Observer) -> None:
        """Say everything that this process may know about itself; never raises."""
        reader = self._reader
        try:
            if reader is None or reader.pid != os.getpid():
                self._forget()
                reader = self._reader = Reader(self._clock, self._make(self._clock))
            with reader.reads.oneshot():
                reader(observer)
        except Exception:  # no /proc, no psutil: there is nothing to say
            self._forget()

    def _forget(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            with suppress(Exception):  # there is nobody to tell
                reader.reads.close()


class Reader(Sections):
    """The parts for one process id."""

    __slots__ = ("_clock", "_cpus", "_last", "_shares", "_times", "pid", "reads")

    def __init__(self, clock: Clock, reads: ProcessReader) -> None:
        """Ask *reads* about the calling process."""
        self.pid = os.getpid()
        self.reads = reads
        self._clock = clock
        self._cpus = _cpus_available()
        self._last: tuple[float, tuple[float, float]] | None = None
        key, modes = "cpu.mode", ("user", "system")
        self._times = self._series(_SINCE, "process.cpu.time", "s", key, modes)
        self._shares = self._series("gauge", "process.cpu.utilization", "1", key, modes)
        super().__init__([("cpu", self._cpu), *self._parts_but_cpu()])

    def _series(
        self,
        manner: Manner,
        name: str,
        unit: str,
        key: str = "",
        values: "tuple[str, ...]" = (),
    ) -> Readings:
        whose: dict[str, str | int] = {"process.pid": self.pid}
        each: list[Attributes] = [{**whose, key: value} for value in values]
        return Readings(manner, ((name, one, unit) for one in each or [whose]))

    def _parts_but_cpu(self) -> "list[tuple[str, Observe]]":
        reads, of = self.reads, self._series
        memory = Readings(
            "level",
            of("level", "process.memory.usage", "By").series
            + of("level", "process.memory.virtual", "By").series,
        )
        name, unit = "process.unix.file_descriptor.count", "{file_descriptor}"
        if os.name == "nt":
            name, unit = "process.windows.handle.count", "{handle}"
        threads = of("level", "process.thread.count", "{thread}")
        descriptors = of("level", name, unit)
        key, ways = "disk.io.direction", ("read", "write")
        disk = of(_SINCE, "process.disk.io", "By", key, ways)
        key, ways = "process.context_switch.type", ("voluntary", "involuntary")
        unit = "{context_switch}"
        switches = of(_SINCE, "process.context_switches", unit, key, ways)
        key, ways = "system.paging.fault.type", ("minor", "major")
        faults = of(_SINCE, "process.paging.faults", "{fault}", key, ways)
        uptime = of("gauge", "process.uptime", "s")
        return [
            ("memory", lambda to: to.say(memory, reads.memory_bytes())),
            ("thread", lambda to: to.say(threads, (reads.thread_count(),))),
            ("descriptor", lambda to: to.say(descriptors, (reads.descriptor_count(),))),
            ("disk", lambda to: to.say(disk, reads.disk_bytes())),
            ("switch", lambda to: to.say(switches, reads.switches())),
            ("fault", lambda to: to.say(faults, reads.faults())),
            ("uptime", lambda to: to.say(uptime, [max(0.0, reads.uptime_s())])),
        ]

    def _cpu(self, observer: Observer) -> None:
        now_s, seconds = self._clock.monotonic_s(), self.reads.cpu_s()
        observer.say(self._times, seconds)
        last, self._last = self._last, (now_s, seconds)
        if last is None:
            return
        before_s, before = last
        if now_s > before_s:
            capacity_s = (now_s - before_s) * self._cpus
            grown = map(sub, seconds, before)
            observer.say(self._shares, [max(0.0, one) / capacity_s for one in grown])


def _cpus_available() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not on macOS and Windows
        return os.cpu_count() or 1
