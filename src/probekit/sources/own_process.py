"""Who reads the figures of the calling process: Linux's ``/proc``, or psutil."""

import os
import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from probekit.clock import Clock

if sys.platform == "linux":  # not at the first reading: a fork may come meanwhile
    from probekit.sources.linux_process import LinuxProcess

if TYPE_CHECKING:
    import psutil

Pair = tuple[int, int]


class ProcessReader(Protocol):
    """One method a part; any exception where it cannot be read."""

    def close(self) -> None:
        """Keep nothing open: it is another process's, or needed no more."""

    def oneshot(self) -> "AbstractContextManager[None]":
        """Around all parts of one sample."""

    def cpu_s(self) -> "tuple[float, float]":
        """Seconds of processor since the start, of the process and of the kernel."""

    def memory_bytes(self) -> Pair:
        """Resident and virtual memory."""

    def thread_count(self) -> int:
        """Threads, foreign ones included."""

    def descriptor_count(self) -> int:
        """Open file descriptors; handles on Windows."""

    def disk_bytes(self) -> Pair:
        """Read from and written to disks since the start."""

    def switches(self) -> Pair:
        """Voluntary and involuntary context switches since the start."""

    def faults(self) -> Pair:
        """Minor and major page faults since the start."""

    def uptime_s(self) -> float:
        """Seconds since the process started."""


def process_reader(clock: Clock) -> ProcessReader:
    """Choose who reads the calling process."""
    if sys.platform != "linux":
        return PsutilProcess(clock)
    return EitherProcess(LinuxProcess(), PsutilProcess(clock))


class PsutilProcess:
    """The calling process by psutil, which is imported at the first figure."""

    __slots__ = ("_clock", "_process")

    def __init__(self, clock: Clock) -> None:
        """Take the time from *clock*; take no handle yet."""
        self._clock = clock
        self._process: psutil.Process | None = None

    def close(self) -> None:
        """Let go of the handle."""
        self._process = None

    def _handle(self) -> "psutil.Process":
        """Take a handle on the calling process, once.

        Raises:
            RuntimeError: Somebody is just importing psutil: not now. In the child of
                a fork that is nobody, for ever, and to import it would be to wait.

        """
        if self._process is None:
            if _is_being_imported("psutil"):
                raise RuntimeError("psutil is being imported by another thread")
            import psutil

            self._process = psutil.Process(os.getpid())
        return self._process

    def oneshot(self) -> "AbstractContextManager[None]":
        """Around all parts of one sample: psutil reads each file once.

        Raises:
            Exception: There is no psutil, or it may not look at this process.

        """
        return self._handle().oneshot()

    def cpu_s(self) -> "tuple[float, float]":
        """Seconds of processor since the start, of the process and of the kernel."""
        now = self._handle().cpu_times()
        return now.user, now.system

    def memory_bytes(self) -> Pair:
        """Resident and virtual memory."""
        now = self._handle().memory_info()
        return now.rss, now.vms

    def thread_count(self) -> int:
        """Threads, foreign ones included."""
        return self._handle().num_threads()

    def descriptor_count(self) -> int:
        """Open file descriptors; handles on Windows."""
        process = self._handle()
        if os.name == "nt":
            return process.num_handles()  # type: ignore[attr-defined,no-any-return]
        return process.num_fds()

    def disk_bytes(self) -> Pair:
        """Read from and written to disks since the start."""
        now = self._handle().io_counters()
        return now.read_bytes, now.write_bytes

    def switches(self) -> Pair:
        """Voluntary and involuntary context switches; on Linux the main thread's."""
        now = self._handle().num_ctx_switches()
        return now.voluntary, now.involuntary

    def faults(self) -> Pair:
        """Minor and major page faults since the start."""
        import resource  # not on Windows

        now = resource.getrusage(resource.RUSAGE_SELF)
        return now.ru_minflt, now.ru_majflt

    def uptime_s(self) -> float:
        """Seconds since the process started, by the wall clock."""
        return self._clock.wall_ns() / 1e9 - self._handle().create_time()


class EitherProcess:
    """Asks the second reader for what the first one cannot say."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: ProcessReader, second: ProcessReader) -> None:
        """Ask *first*, then *second*."""
        self._first = first
        self._second = second

    def close(self) -> None:
        """Close both."""
        self._first.close()
        self._second.close()

    def oneshot(self) -> "AbstractContextManager[None]":
        """Around all parts of one sample, of the first reader."""
        return self._first.oneshot()

    def cpu_s(self) -> "tuple[float, float]":
        """Seconds of processor since the start, of the process and of the kernel."""
        try:
            return self._first.cpu_s()
        except Exception:  # a file is missing, forbidden or looks otherwise
            return self._second.cpu_s()

    def memory_bytes(self) -> Pair:
        """Resident and virtual memory."""
        try:
            return self._first.memory_bytes()
        except Exception:  # a file is missing, forbidden or looks otherwise
            return self._second.memory_bytes()

    def thread_count(self) -> int:
        """Threads, foreign ones included."""
        try:
            return self._first.thread_count()
        except Exception:  # a file is missing, forbidden or looks otherwise
            return self._second.thread_count()

    def descriptor_count(self) -> int:
        """Open file descriptors."""
        try:
            return self._first.descriptor_count()
        except Exception:  # a file is missing, forbidden or looks otherwise
            return self._second.descriptor_count()

    def disk_bytes(self) -> Pair:
        """Read from and written to disks since the start."""
        try:
            return self._first.disk_bytes()
        except Exception:  # a file is missing, forbidden or looks otherwise
            return self._second.disk_bytes()

    def switches(self) -> Pair:
        """Voluntary and involuntary context switches since the start."""
        try:
            return self._first.switches()
        except Exception:  # a file is missing, forbidden or looks otherwise
            return self._second.switches()

    def faults(self) -> Pair:
        """Minor and major page faults since the start."""
        try:
            return self._first.faults()
        except Exception:  # a file is missing, forbidden or looks otherwise
            return self._second.faults()

    def uptime_s(self) -> float:
        """Seconds since the process started."""
        try:
            return self._first.uptime_s()
        except Exception:  # a file is missing, forbidden or looks otherwise
            return self._second.uptime_s()


def _is_being_imported(name: str) -> bool:
    if name in getattr(sys.modules.get("_frozen_importlib"), "_module_locks", ()):
        return True
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))
