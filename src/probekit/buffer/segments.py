"""One append-only file per process: what was recorded survives the process."""

from pathlib import Path

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.model import Harvest
from probekit.ports import Journal


class SegmentWriter(Journal):
    """Appends harvests to this process's own segment file, one ``write`` a frame.

    Files are made at the first append: ``<directory>/<time>-<pid>-<stream>.seg``, 0600
    in a directory 0700, locked by their owner for as long as it lives.

    Threads:
        Any; appends are serialised. A call from a signal handler that interrupted an
        append is refused with ``BlockingIOError``: nothing is written, try later.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock = SYSTEM_CLOCK,
        limit_bytes: int = 1 << 20,
    ) -> None:
        """Name the directory; nothing is opened yet.

        Args:
            directory: Where segments lie; resolved now, so that ``chdir`` is harmless.
            clock: Where time comes from.
            limit_bytes: A segment that has grown beyond is left for a new one.

        """
        raise NotImplementedError

    def append(self, harvest: Harvest, *, ship_now: bool = False) -> None:
        """Write one frame; on return it survives ``kill -9``.

        Raises:
            OSError: Not written; the harvest is still the caller's.

        """
        raise NotImplementedError

    def position(self) -> "tuple[str, int] | None":
        """Segment name and end offset of the last frame; None before the first."""
        raise NotImplementedError

    def close(self) -> None:
        """Mark the end of the stream and unlock; a later append begins a new stream."""
        raise NotImplementedError

    def abandon(self) -> None:
        """In a forked child: close inherited descriptors, never unlock, start anew."""
        raise NotImplementedError


class MemoryJournal(Journal):
    """The same promise without files, for ``buffer=":memory:"``: a bounded queue.

    Give it to :class:`probekit.buffer.fold.Fold` in the directory's place.
    """

    def __init__(self, *, limit: int = 10_000) -> None:
        """Hold at most *limit* harvests that the leader has not taken."""
        raise NotImplementedError

    def append(self, harvest: Harvest, *, ship_now: bool = False) -> None:
        """Queue one harvest.

        Raises:
            OSError: The queue is full; the harvest is still the caller's.

        """
        raise NotImplementedError

    def position(self) -> "tuple[str, int] | None":
        """The name ``memory`` and the number of harvests so far; None before one."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to close; what is queued stays for the fold."""

    def abandon(self) -> None:
        """In a forked child: forget what is queued, it is the parent's."""
        raise NotImplementedError


def is_orphan(path: Path) -> bool:
    """Whether the owner of a segment is gone (its lock is free) or the file is."""
    raise NotImplementedError
