"""This process's own figures; each series carries ``process.pid``."""

import os
import sys

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.observer import Observe, Observer
from probekit.sources.sections import Sections

_MODES = ("user", "system")


class ProcessSource:
    """Reads the process it is called in, also when that is a forked child.

    Nothing is inherited over a fork: a child's readings begin with its own handle and
    without a last value.
    """

    __slots__ = ("_clock", "_reader")

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """Open nothing yet."""
        self._clock = clock
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
                reader = self._reader = Reader(self._clock)
            with reader.process.oneshot():
                reader(observer)
        except Exception:  # no /proc, no psutil: there is nothing to say
            self._reader = None


def _is_being_imported(name: str) -> bool:
    if name in getattr(sys.modules.get("_frozen_importlib"), "_module_locks", ()):
        return True
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


class Reader(Sections):
    """The parts for one process id."""

    __slots__ = ("_attributes", "_clock", "_cpus", "_last", "pid", "process")

    def __init__(self, clock: Clock) -> None:
        """Take a handle on the calling process.

        Raises:
            RuntimeError: Somebody is just importing psutil: not now. In the child of
                a fork that is nobody, for ever, and to import it would be to wait.

        """
        if _is_being_imported("psutil"):
            raise RuntimeError("psutil is being imported by another thread")
        import psutil

        self.pid = os.getpid()
        self.process = psutil.Process(self.pid)
        self._clock = clock
        self._attributes: dict[str, str | int] = {"process.pid": self.pid}
        self._cpus = _cpus_available()
        self._last: tuple[float, tuple[float, ...]] | None = None
        parts: list[tuple[str, Observe]] = [
            ("cpu", self._cpu),
            ("memory", self._memory),
            ("thread", self._threads),
            ("descriptor", self._descriptors),
            ("disk", self._disk),
            ("switch", self._switches),
            ("fault", self._faults),
            ("uptime", self._uptime),
        ]
        super().__init__(parts)

    def _cpu(self, observer: Observer) -> None:
        now_s, times = self._clock.monotonic_s(), self.process.cpu_times()
        seconds = tuple(getattr(times, mode) for mode in _MODES)
        for mode, value in zip(_MODES, seconds, strict=True):
            by_mode = {**self._attributes, "cpu.mode": mode}
            # The total began with the process: what was before us counts too.
            observer.total(
                "process.cpu.time", value, by_mode, unit="s", since_start=True
            )
        if self._last is not None and now_s > self._last[0]:
            capacity_s = (now_s - self._last[0]) * self._cpus
            for mode, value, before in zip(_MODES, seconds, self._last[1], strict=True):
                by_mode = {**self._attributes, "cpu.mode": mode}
                share = max(0.0, value - before) / capacity_s
                observer.gauge("process.cpu.utilization", share, by_mode, unit="1")
        self._last = now_s, seconds

    def _memory(self, observer: Observer) -> None:
        now = self.process.memory_info()
        observer.level("process.memory.usage", now.rss, self._attributes, unit="By")
        observer.level("process.memory.virtual", now.vms, self._attributes, unit="By")

    def _threads(self, observer: Observer) -> None:
        count = self.process.num_threads()
        observer.level("process.thread.count", count, self._attributes, unit="{thread}")

    def _descriptors(self, observer: Observer) -> None:
        if os.name == "nt":
            name, unit = "process.windows.handle.count", "{handle}"
            count = self.process.num_handles()  # type: ignore[attr-defined]
        else:
            name, unit = "process.unix.file_descriptor.count", "{file_descriptor}"
            count = self.process.num_fds()
        observer.level(name, count, self._attributes, unit=unit)

    def _disk(self, observer: Observer) -> None:
        now = self.process.io_counters()
        for direction, size in (("read", now.read_bytes), ("write", now.write_bytes)):
            by_way = {**self._attributes, "disk.io.direction": direction}
            observer.total("process.disk.io", size, by_way, unit="By", since_start=True)

    def _switches(self, observer: Observer) -> None:
        now = self.process.num_ctx_switches()
        for kind in ("voluntary", "involuntary"):
            observer.total(
                "process.context_switches",
                getattr(now, kind),
                {**self._attributes, "process.context_switch.type": kind},
                unit="{context_switch}",
                since_start=True,
            )

    def _faults(self, observer: Observer) -> None:
        import resource  # not on Windows

        now = resource.getrusage(resource.RUSAGE_SELF)
        for kind, count in (("minor", now.ru_minflt), ("major", now.ru_majflt)):
            observer.total(
                "process.paging.faults",
                count,
                {**self._attributes, "system.paging.fault.type": kind},
                unit="{fault}",
                since_start=True,
            )

    def _uptime(self, observer: Observer) -> None:
        uptime_s = self._clock.wall_ns() / 1e9 - self.process.create_time()
        observer.gauge("process.uptime", max(0.0, uptime_s), self._attributes, unit="s")


def _cpus_available() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not on macOS and Windows
        return os.cpu_count() or 1
