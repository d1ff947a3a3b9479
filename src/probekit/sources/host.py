"""The host's processors, memory and paging, and the source that reads all of a host.

Only figures that are cheap to read: about a millisecond for all of them. Walking all
processes, listing all connections and asking each core for its clock take up to a
hundred times longer and are read only on request (``dear``).
"""

from pathlib import Path

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.observer import Observe, Observer
from probekit.sources.dear import connections, frequencies, processes
from probekit.sources.network import interfaces
from probekit.sources.sections import Sections
from probekit.sources.storage import Filesystems, disks

# psutil's names for what OpenTelemetry calls cpu.mode; guest time is inside user time.
_CPU_MODES = {
    "user": "user",
    "system": "system",
    "idle": "idle",
    "iowait": "iowait",
    "nice": "nice",
    "irq": "interrupt",
    "softirq": "interrupt",
    "interrupt": "interrupt",
    "steal": "steal",
}


class HostSource(Sections):
    """Reads the figures of a whole host, under the names of OpenTelemetry.

    Counters of the system begin long before us: their first reading is the base line.

    Attributes:
        skipped: Part → name of the error that its last reading ended with.
    """

    __slots__ = ()

    def __init__(
        self,
        *,
        clock: Clock = SYSTEM_CLOCK,
        per_cpu: bool = False,
        dear: bool = False,
    ) -> None:
        """Choose what to read.

        Args:
            clock: Where the time comes from.
            per_cpu: Whether processor figures are told per logical processor; off,
                because a big host would have a thousand series.
            dear: Whether to read what takes long too: processes by state, connections
                by state, clock frequencies. Up to 0.2 s on a busy host.

        """
        parts: list[tuple[str, Observe]] = [
            ("cpu", Processors(per_cpu=per_cpu)),
            ("memory", memory),
            ("paging", paging),
            ("faults", paging_activity),
            ("disk", disks),
            ("filesystem", Filesystems(clock)),
            ("network", interfaces),
            ("uptime", Uptime(clock)),
        ]
        if dear:
            parts += [
                ("process", processes),
                ("connection", connections),
                ("frequency", frequencies),
            ]
        super().__init__(parts)


class Processors:
    """Seconds and shares by mode, and how many processors there are."""

    __slots__ = ("_counts", "_last", "_per_cpu")

    def __init__(self, *, per_cpu: bool = False) -> None:
        """Begin without a last reading, hence without shares."""
        self._per_cpu = per_cpu
        self._last: dict[int, dict[str, float]] = {}
        self._counts: tuple[int | None, int | None] | None = None

    def __call__(self, observer: Observer) -> None:
        """Say time, utilization and counts."""
        import psutil

        if self._counts is None:  # the physical count walks through sysfs: once
            self._counts = (psutil.cpu_count(), psutil.cpu_count(logical=False))
        for count, which in zip(self._counts, ("logical", "physical"), strict=True):
            if count:
                observer.level(f"system.cpu.{which}.count", count, unit="{cpu}")
        times = psutil.cpu_times(percpu=True) if self._per_cpu else [psutil.cpu_times()]
        for number, one in enumerate(times):
            self._say(observer, number, _seconds_by_mode(one))

    def _say(self, observer: Observer, number: int, now: "dict[str, float]") -> None:
        before = self._last.get(number)
        self._last[number] = now
        grown = {mode: max(0.0, now[mode] - (before or now)[mode]) for mode in now}
        elapsed_s = sum(grown.values())  # of all processors: shares add up to 1
        for mode, seconds in now.items():
            attributes: dict[str, str | int] = {"cpu.mode": mode}
            if self._per_cpu:
                attributes["cpu.logical_number"] = number
            observer.total("system.cpu.time", seconds, attributes, unit="s")
            if elapsed_s > 0:
                share = grown[mode] / elapsed_s
                observer.gauge("system.cpu.utilization", share, attributes, unit="1")


def _seconds_by_mode(times: object) -> "dict[str, float]":
    modes: dict[str, float] = {}
    for field, mode in _CPU_MODES.items():
        seconds = getattr(times, field, None)
        if seconds is not None:
            modes[mode] = modes.get(mode, 0.0) + seconds
    return modes


def memory(observer: Observer) -> None:
    """Say memory by state; the states add up to the limit."""
    import psutil

    now = psutil.virtual_memory()
    cached, buffers = getattr(now, "cached", 0), getattr(now, "buffers", 0)
    used = max(0, now.total - now.free - cached - buffers)
    states = {"used": used, "free": now.free, "cached": cached, "buffers": buffers}
    for state, size in states.items():
        attributes = {"system.memory.state": state}
        observer.level("system.memory.usage", size, attributes, unit="By")
        share = size / now.total
        observer.gauge("system.memory.utilization", share, attributes, unit="1")
    observer.level("system.memory.limit", now.total, unit="By")
    if psutil.LINUX:
        observer.level("system.memory.linux.available", now.available, unit="By")


def paging(observer: Observer) -> None:
    """Say how much swap is in use; nothing on a host without any."""
    import psutil

    now = psutil.swap_memory()
    if not now.total:
        return
    for state, size in (("used", now.used), ("free", now.free)):
        attributes = {"system.paging.state": state}
        observer.level("system.paging.usage", size, attributes, unit="By")
        share = size / now.total
        observer.gauge("system.paging.utilization", share, attributes, unit="1")


def paging_activity(observer: Observer, table: Path = Path("/proc/vmstat")) -> None:
    """Say page faults and swapped pages; psutil knows only some of them."""
    now = dict(line.split() for line in table.read_bytes().splitlines())
    major = int(now[b"pgmajfault"])
    faults = {"major": major, "minor": int(now[b"pgfault"]) - major}
    for kind, count in faults.items():
        attributes = {"system.paging.fault.type": kind}
        observer.total("system.paging.faults", count, attributes, unit="{fault}")
    for direction, key in (("in", b"pswpin"), ("out", b"pswpout")):
        attributes = {"system.paging.direction": direction}
        pages = int(now[key])
        observer.total(
            "system.paging.operations", pages, attributes, unit="{operation}"
        )


class Uptime:
    """Seconds since the host started."""

    __slots__ = ("_clock",)

    def __init__(self, clock: Clock) -> None:
        """Read the time from *clock*."""
        self._clock = clock

    def __call__(self, observer: Observer) -> None:
        """Say it; never below zero, also when the wall clock is wrong."""
        import psutil

        uptime_s = self._clock.wall_ns() / 1e9 - psutil.boot_time()
        observer.gauge("system.uptime", max(0.0, uptime_s), unit="s")
