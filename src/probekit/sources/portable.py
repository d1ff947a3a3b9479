"""What psutil says of the host: on other systems, and where Linux is silent.

Here are the shapes of all readings; ``linux`` says the same, cheaper.
"""

from collections.abc import Set as AbstractSet
from typing import NamedTuple, Protocol, TypeAlias

from probekit.clock import SYSTEM_CLOCK, Clock

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


class Memory(NamedTuple):
    """Memory and swap, in bytes; *available* is None where nobody estimates it."""

    total: int
    free: int
    cached: int
    buffers: int
    available: "int | None"
    swap_total: int
    swap_free: int


class PagingActivity(NamedTuple):
    """Counts since the host started; *faults* includes the major ones."""

    faults: int
    major_faults: int
    swapped_in: int
    swapped_out: int


# Name; bytes, operations, seconds of reading; of writing; seconds of being busy, where
# they are told.
Disk: TypeAlias = "tuple[str, tuple[float, ...]]"
# Name; bytes, packets, errors, drops received; the same sent.
Interface: TypeAlias = "tuple[str, tuple[int, ...]]"


class HostReader(Protocol):
    """Who reads a host: one method a part, any exception where it cannot."""

    def cpu_seconds(self) -> "dict[str, float]":
        """Seconds of all processors since the start, by mode."""

    def cpu_counts(self) -> "tuple[int | None, int | None]":
        """Logical and physical processors; None when unknown."""

    def memory(self) -> Memory:
        """Memory and swap."""

    def paging(self) -> "PagingActivity | None":
        """Page faults and swapped pages; None where they are not told."""

    def disks(self, whole: "AbstractSet[str] | None") -> "list[Disk]":
        """Figures of the devices in *whole*; of all when None."""

    def interfaces(self) -> "list[Interface]":
        """Every network interface's figures."""

    def uptime_s(self) -> float:
        """Seconds since the host started."""


class PsutilHost:
    """A host's figures by psutil, which is imported at the first one."""

    __slots__ = ("_clock",)

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        """Take the time from *clock*."""
        self._clock = clock

    def cpu_seconds(self) -> "dict[str, float]":
        """Seconds of all processors since the start, by mode."""
        import psutil

        return _seconds_by_mode(psutil.cpu_times())

    def cpu_counts(self) -> "tuple[int | None, int | None]":
        """Logical and physical processors; None when unknown."""
        import psutil

        return psutil.cpu_count(), psutil.cpu_count(logical=False)

    def memory(self) -> Memory:
        """Memory and swap, in bytes."""
        import psutil

        now, swap = psutil.virtual_memory(), psutil.swap_memory()
        return Memory(
            now.total,
            now.free,
            getattr(now, "cached", 0),
            getattr(now, "buffers", 0),
            now.available if psutil.LINUX else None,
            swap.total,
            swap.free,
        )

    def paging(self) -> "PagingActivity | None":
        """None: psutil knows only some of it."""
        return None

    def disks(self, whole: "AbstractSet[str] | None") -> "list[Disk]":
        """Figures of the devices in *whole* since the start; of all when None."""
        import psutil

        found: list[Disk] = []
        for name, now in psutil.disk_io_counters(perdisk=True).items():
            if whole is None or name in whole:
                moved: tuple[float, ...] = (
                    *(now.read_bytes, now.read_count, now.read_time / 1e3),
                    *(now.write_bytes, now.write_count, now.write_time / 1e3),
                )
                busy_ms = getattr(now, "busy_time", None)
                if busy_ms is not None:
                    moved += (busy_ms / 1e3,)
                found.append((name, moved))
        return found

    def interfaces(self) -> "list[Interface]":
        """Every network interface's figures since the start."""
        import psutil

        return [
            (
                name,
                (
                    *(now.bytes_recv, now.packets_recv, now.errin, now.dropin),
                    *(now.bytes_sent, now.packets_sent, now.errout, now.dropout),
                ),
            )
            for name, now in psutil.net_io_counters(pernic=True).items()
        ]

    def uptime_s(self) -> float:
        """Seconds since the host started, by the wall clock."""
        import psutil

        return self._clock.wall_ns() / 1e9 - psutil.boot_time()


def cpu_seconds_each() -> "list[dict[str, float]]":
    """Seconds of each logical processor since the start, by mode."""
    import psutil

    return [_seconds_by_mode(times) for times in psutil.cpu_times(percpu=True)]


def _seconds_by_mode(times: object) -> "dict[str, float]":
    modes: dict[str, float] = {}
    for field, mode in _CPU_MODES.items():
        seconds = getattr(times, field, None)
        if seconds is not None:
            modes[mode] = modes.get(mode, 0.0) + seconds
    return modes
