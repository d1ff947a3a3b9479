"""What Linux says of the calling process, from ``/proc/self`` and ``getrusage``."""

import os
import resource
import time
from types import TracebackType

from probekit.sources.kept import KeptFile, Lines

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_HZ = os.sysconf("SC_CLK_TCK")
_BLOCK_BYTES = 512  # of getrusage, whatever the disk's own are
_IDLE_SAMPLES = 5  # for which a process without any traffic is believed to have none
_DESCRIPTORS = "/proc/self/fd"
_TASKS = "/proc/self/task"

# Fields of /proc/self/stat behind the command's name, which may hold anything.
_THREADS, _STARTED = 17, 19


class LinuxProcess:
    """The calling process's figures; a forked child makes one of its own.

    Every method raises ``OSError`` where the file cannot be read, and ``ValueError``
    or ``IndexError`` where it is not what it was.

    Threads:
        One at a time.

    """

    __slots__ = (
        "_descriptors",
        "_idle_samples",
        "_io",
        "_io_lines",
        "_started_s",
        "_stat",
        "_statm",
        "_tasks",
        "_used",
    )

    def __init__(self) -> None:
        """Open nothing yet."""
        self._started_s: float | None = None
        self._stat = KeptFile("/proc/self/stat")
        self._statm = KeptFile("/proc/self/statm")
        self._io = KeptFile("/proc/self/io")
        self._io_lines = Lines(b"\nread_bytes: ", b"\nwrite_bytes: ")
        self._idle_samples = 0
        self._tasks = KeptFile(_TASKS)
        self._descriptors = KeptFile(_DESCRIPTORS)
        self._used: resource.struct_rusage | None = None

    def close(self) -> None:
        """Close its files: it is another process's, or needed no more."""
        for file in (self._stat, self._statm, self._io, self._tasks, self._descriptors):
            file.close()

    def oneshot(self) -> "LinuxProcess":
        """Around all parts of one sample: what is used is asked for once."""
        return self

    def __enter__(self) -> None:
        """Begin a sample."""
        try:
            self._used = _used()
        except OSError:  # forbidden in some sandbox: each part asks, and fails
            self._used = None

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        """End it."""
        self._used = None

    def cpu_s(self) -> "tuple[float, float]":
        """Seconds of processor since the start, of the process and of the kernel."""
        now = self._used or _used()
        return now.ru_utime, now.ru_stime

    def memory_bytes(self) -> "tuple[int, int]":
        """Resident and virtual memory."""
        virtual, resident, _ = self._statm.read().split(None, 2)
        return int(resident) * _PAGE_BYTES, int(virtual) * _PAGE_BYTES

    def thread_count(self) -> int:
        """Threads, foreign ones included."""
        links = self._tasks.look().st_nlink  # two of every directory's
        return links - 2 if links > 2 else int(self._fields()[_THREADS])  # noqa: PLR2004

    def descriptor_count(self) -> int:
        """Open file descriptors, as ``ls /proc/self/fd`` counts them: itself too."""
        told = self._descriptors.look().st_size  # since Linux 6.2
        return told + 1 if told else len(os.listdir(_DESCRIPTORS))  # noqa: PTH208

    def disk_bytes(self) -> "tuple[int, int]":
        """Read from and written to disks since the start, waited-for children too."""
        own = self._used or _used()
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        read = own.ru_inblock + children.ru_inblock
        written = own.ru_oublock + children.ru_oublock
        if read or written:  # the same counters as in the file, at a third of the cost
            return read * _BLOCK_BYTES, written * _BLOCK_BYTES
        if self._idle_samples:
            self._idle_samples -= 1
            return 0, 0
        # A kernel may not count blocks, and yet have the file.
        read, written = self._io_lines.numbers(self._io.read())
        if not (read or written):
            self._idle_samples = _IDLE_SAMPLES
        return read, written

    def switches(self) -> "tuple[int, int]":
        """Voluntary and involuntary context switches of all threads."""
        now = self._used or _used()
        return now.ru_nvcsw, now.ru_nivcsw

    def faults(self) -> "tuple[int, int]":
        """Minor and major page faults since the start."""
        now = self._used or _used()
        return now.ru_minflt, now.ru_majflt

    def uptime_s(self) -> float:
        """Seconds since the process started, by a clock that nobody sets."""
        if self._started_s is None:
            self._started_s = int(self._fields()[_STARTED]) / _TICKS_HZ
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self._started_s

    def _fields(self) -> "list[bytes]":
        text = self._stat.read()
        return text[text.rindex(b")") + 2 :].split(None, _STARTED + 1)


def _used() -> "resource.struct_rusage":
    return resource.getrusage(resource.RUSAGE_SELF)
