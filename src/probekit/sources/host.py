"""The host's processors, memory and paging, and the source that reads all of a host.

Only figures that are cheap to read: a tenth of a millisecond for all of them on Linux,
one elsewhere. Walking all processes, listing all connections and asking each core for
its clock take up to a thousand times longer and are read only on request (``dear``).
"""

from operator import sub

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.model import Attributes
from probekit.observer import Observe, Observer, Readings
from probekit.sources.dear import connections, frequencies, processes
from probekit.sources.either import host_reader
from probekit.sources.network import Interfaces
from probekit.sources.portable import HostReader, cpu_seconds_each
from probekit.sources.sections import Sections
from probekit.sources.storage import Disks, Filesystems


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
        reader: "HostReader | None" = None,
        per_cpu: bool = False,
        dear: bool = False,
    ) -> None:
        """Choose what to read.

        Args:
            clock: Where the time comes from.
            reader: Who reads; None for ``/proc`` on Linux and psutil elsewhere.
            per_cpu: Whether processor figures are told per logical processor; off,
                because a big host would have a thousand series.
            dear: Whether to read what takes long too: processes by state, connections
                by state, clock frequencies. Up to 0.2 s on a busy host.

        """
        reader = reader or host_reader(clock)
        parts: list[tuple[str, Observe]] = [
            ("cpu", Processors(reader, per_cpu=per_cpu)),
            ("memory", MemoryAndSwap(reader)),
            ("faults", Paging(reader)),
            ("disk", Disks(reader, clock)),
            ("filesystem", Filesystems(clock)),
            ("network", Interfaces(reader)),
            ("uptime", Uptime(reader)),
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

    __slots__ = ("_counts", "_last", "_per_cpu", "_reader", "_said")

    def __init__(self, reader: HostReader, *, per_cpu: bool = False) -> None:
        """Begin without a last reading, hence without shares."""
        self._reader = reader
        self._per_cpu = per_cpu
        self._last: dict[int, tuple[float, ...]] = {}
        self._said: dict[int, tuple[Readings, Readings]] = {}
        self._counts: tuple[Readings, tuple[int, ...]] | None = None

    def __call__(self, observer: Observer) -> None:
        """Say time, utilization and counts."""
        if self._counts is None:  # the physical count walks through sysfs: once
            self._counts = self._count()
        observer.say(*self._counts)
        all_times = (
            cpu_seconds_each() if self._per_cpu else [self._reader.cpu_seconds()]
        )
        for number, times in enumerate(all_times):
            self._say(observer, number, times)

    def _count(self) -> "tuple[Readings, tuple[int, ...]]":
        counts = zip(("logical", "physical"), self._reader.cpu_counts(), strict=True)
        known = [(which, count) for which, count in counts if count]
        series = [(f"system.cpu.{which}.count", None, "{cpu}") for which, _ in known]
        return Readings("level", series), tuple(count for _, count in known)

    def _say(self, observer: Observer, number: int, now: "dict[str, float]") -> None:
        said = self._said.get(number)
        if said is None:
            said = self._said[number] = self._series(number, now)
        totals, shares = said
        seconds = tuple(now.values())
        observer.say(totals, seconds)
        before, self._last[number] = self._last.get(number, seconds), seconds
        grown = list(map(sub, seconds, before))
        if min(grown) < 0:  # the kernel takes back some of what it has told
            grown = [max(0.0, each) for each in grown]
        elapsed_s = sum(grown)  # of all processors: shares add up to 1
        if elapsed_s > 0:
            observer.say(shares, [each / elapsed_s for each in grown])

    def _series(
        self, number: int, modes: "dict[str, float]"
    ) -> "tuple[Readings, Readings]":
        core: dict[str, str | int] = {"cpu.logical_number": number}
        each: list[Attributes] = [
            {"cpu.mode": mode, **(core if self._per_cpu else {})} for mode in modes
        ]
        return (
            Readings("total", (("system.cpu.time", one, "s") for one in each)),
            Readings("gauge", (("system.cpu.utilization", one, "1") for one in each)),
        )


def _by(
    key: str, values: "tuple[str, ...]", name: str, unit: str
) -> "list[tuple[str, Attributes | None, str]]":
    return [(name, {key: value}, unit) for value in values]


_STATE, _STATES = "system.memory.state", ("used", "free", "cached", "buffers")
_SIZES: "list[tuple[str, Attributes | None, str]]" = [
    *_by(_STATE, _STATES, "system.memory.usage", "By"),
    ("system.memory.limit", None, "By"),
]
_MEMORY = Readings("level", _SIZES)
_LINUX_MEMORY = Readings(
    "level", [*_SIZES, ("system.memory.linux.available", None, "By")]
)
_MEMORY_SHARES = Readings(
    "gauge", _by(_STATE, _STATES, "system.memory.utilization", "1")
)
_SWAP_STATE, _SWAP_STATES = "system.paging.state", ("used", "free")
_SWAP = Readings("level", _by(_SWAP_STATE, _SWAP_STATES, "system.paging.usage", "By"))
_SWAP_SHARES = Readings(
    "gauge", _by(_SWAP_STATE, _SWAP_STATES, "system.paging.utilization", "1")
)
_FAULTS = Readings(
    "total",
    _by(
        "system.paging.fault.type",
        ("major", "minor"),
        "system.paging.faults",
        "{fault}",
    )
    + _by(
        "system.paging.direction",
        ("in", "out"),
        "system.paging.operations",
        "{operation}",
    ),
)


class MemoryAndSwap:
    """Memory and swap by state."""

    __slots__ = ("_reader",)

    def __init__(self, reader: HostReader) -> None:
        """Ask *reader*."""
        self._reader = reader

    def __call__(self, observer: Observer) -> None:
        """Say memory, whose states add up to the limit, and swap if there is any."""
        total, free, cached, buffers, available, swap_total, swap_free = (
            self._reader.memory()
        )
        used = max(0, total - free - cached - buffers)
        shares = [used / total, free / total, cached / total, buffers / total]
        observer.say(_MEMORY_SHARES, shares)
        sizes = (used, free, cached, buffers, total)
        if available is None:
            observer.say(_MEMORY, sizes)
        else:
            observer.say(_LINUX_MEMORY, (*sizes, available))
        if swap_total:
            swap_used = swap_total - swap_free
            observer.say(_SWAP, (swap_used, swap_free))
            shares = [swap_used / swap_total, swap_free / swap_total]
            observer.say(_SWAP_SHARES, shares)


class Paging:
    """Page faults and swapped pages."""

    __slots__ = ("_reader",)

    def __init__(self, reader: HostReader) -> None:
        """Ask *reader*."""
        self._reader = reader

    def __call__(self, observer: Observer) -> None:
        """Say them."""
        now = self._reader.paging()
        if now is None:
            return
        minor = now.faults - now.major_faults
        swapped = (now.swapped_in, now.swapped_out)
        observer.say(_FAULTS, (now.major_faults, minor, *swapped))


_UPTIME = Readings("gauge", [("system.uptime", None, "s")])


class Uptime:
    """Seconds since the host started."""

    __slots__ = ("_reader",)

    def __init__(self, reader: HostReader) -> None:
        """Ask *reader*."""
        self._reader = reader

    def __call__(self, observer: Observer) -> None:
        """Say it; never below zero, also when the wall clock is wrong."""
        observer.say(_UPTIME, [max(0.0, self._reader.uptime_s())])
