"""Two ways to the same figures: the cheap one, and the one that works everywhere."""

import sys
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import TypeVar

from probekit.clock import Clock
from probekit.sources.portable import (
    Disk,
    HostReader,
    Interface,
    Memory,
    PagingActivity,
    PsutilHost,
)

if sys.platform == "linux":  # not at the first reading: a fork may come meanwhile
    from probekit.sources.linux import LinuxHost

T = TypeVar("T")


def either(first: "Callable[[], T]", second: "Callable[[], T]") -> T:
    """Return what *first* says, or *second* where it cannot."""
    try:
        return first()
    except Exception:  # a file that is missing, forbidden or looks otherwise
        return second()


def host_reader(clock: Clock) -> HostReader:
    """Choose who reads this host: ``/proc`` where there is one, else psutil."""
    if sys.platform != "linux":
        return PsutilHost(clock)
    return EitherHost(LinuxHost(), PsutilHost(clock))


class EitherHost:
    """Asks the second reader for what the first one cannot say."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: HostReader, second: HostReader) -> None:
        """Ask *first*, then *second*."""
        self._first = first
        self._second = second

    def cpu_seconds(self) -> "dict[str, float]":
        """Seconds of all processors since the start, by mode."""
        try:
            return self._first.cpu_seconds()
        except Exception:  # a file is missing, forbidden or looks otherwise
            return self._second.cpu_seconds()

    def cpu_counts(self) -> "tuple[int | None, int | None]":
        """Logical and physical processors; None when unknown."""
        return either(self._first.cpu_counts, self._second.cpu_counts)

    def memory(self) -> Memory:
        """Memory and swap."""
        try:
            return self._first.memory()
        except Exception:  # a file is missing, forbidden or looks otherwise
            return self._second.memory()

    def paging(self) -> "PagingActivity | None":
        """Page faults and swapped pages; of the first reader only."""
        return self._first.paging()

    def disks(self, whole: "AbstractSet[str] | None") -> "list[Disk]":
        """Figures of the devices in *whole*; of all when None."""
        try:
            return self._first.disks(whole)
        except Exception:  # a file is missing, forbidden or looks otherwise
            return self._second.disks(whole)

    def interfaces(self) -> "list[Interface]":
        """Every network interface's figures."""
        try:
            return self._first.interfaces()
        except Exception:  # a file is missing, forbidden or looks otherwise
            return self._second.interfaces()

    def uptime_s(self) -> float:
        """Seconds since the host started."""
        try:
            return self._first.uptime_s()
        except Exception:  # a file is missing, forbidden or looks otherwise
            return self._second.uptime_s()
