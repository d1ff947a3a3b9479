"""The journal of a buffer without files: a bounded queue in this process."""

import errno
import os
import threading
from collections import deque

from probekit.model import Harvest
from probekit.ports import Journal

MEMORY_SEGMENT = "memory"


class MemoryJournal(Journal):
    """Holds harvests for a fold in the same process, for ``buffer=":memory:"``.

    Give it to :class:`probekit.buffer.fold.Fold` in the directory's place. Its
    harvests die with the process.

    Threads:
        Any may append; one takes.
    """

    def __init__(self, *, limit: int = 10_000) -> None:
        """Hold at most *limit* harvests that the leader has not taken."""
        self._limit = limit
        self.written_bytes = 0  # nothing goes to a disk
        self._queue: deque[tuple[Harvest, bool, int]] = deque()
        self._written = 0
        self._retired = False
        self._lock = threading.RLock()  # a signal handler may append meanwhile
        self._pid = os.getpid()

    def append(self, harvest: Harvest, *, ship_now: bool = False) -> "tuple[str, int]":
        """Queue one harvest; its place, as of :meth:`position`.

        Raises:
            OSError: The queue is full, or there is a file to write to by now; the
                harvest is still the caller's.

        """
        if self._pid != os.getpid():
            self.abandon()
        import time

        with self._lock:
            if self._retired:
                raise BlockingIOError("a file has taken over")
            if len(self._queue) >= self._limit:
                raise OSError(
                    errno.ENOBUFS, f"{self._limit} harvests wait for the leader"
                )
            self._queue.append((harvest, ship_now, time.time_ns()))
            self._written += 1
            harvest.is_written = True
            return MEMORY_SEGMENT, self._written

    def take(self) -> "list[tuple[Harvest, bool, int]]":
        """All that waits: (harvest, ship now, wall time in nanoseconds)."""
        taken = []
        while self._queue:
            taken.append(self._queue.popleft())
        return taken

    def retire(self) -> "list[tuple[Harvest, bool, int]]":
        """All that waits, a last time: what comes later is refused."""
        with self._lock:
            self._retired = True
            return self.take()

    def position(self) -> "tuple[str, int] | None":
        """The name ``memory`` and the number of harvests so far; None before one."""
        return (MEMORY_SEGMENT, self._written) if self._written else None

    def close(self) -> None:
        """Nothing to close; what is queued stays for the fold."""

    def abandon(self) -> None:
        """In a forked child: forget what is queued, it is the parent's."""
        self._queue = deque()
        self._written = 0
        self._lock = threading.RLock()
        self._pid = os.getpid()
