"""One append-only file per process: what was recorded survives the process.

The writer's side. A frame is on the file, whole, when ``append`` returns; from then on
``kill -9`` does not touch it. A process that was forked writes a stream of its own.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from probekit.alone import Alone
from probekit.buffer.journal import frames, segment_files
from probekit.buffer.journal.columns import unknown_ids
from probekit.buffer.journal.memory_journal import MemoryJournal
from probekit.buffer.journal.segment_files import OpenSegment, is_orphan, read_frames
from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.model import Harvest, Series
from probekit.ports import Journal

__all__ = ["MemoryJournal", "SegmentWriter", "is_orphan", "read_frames"]

# Definitions are written anew in each segment; a segment is worth at least so many
# times what they take.
_DEFINITIONS_SHARE = 8
_WAIT_S = 1.0  # longest wait for another thread's append (a hanging disk)


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
        self._directory = Path(directory).absolute()
        self._clock = clock
        self._limit_bytes = limit_bytes
        self._stream = _Stream(self._directory, clock, limit_bytes)

    def append(
        self,
        harvest: Harvest,
        *,
        ship_now: bool = False,
        wall_ns: "int | None" = None,
    ) -> "tuple[str, int]":
        """Write one frame; on return it survives ``kill -9``.

        Args:
            harvest: What was recorded.
            ship_now: Ask the leader to deliver it at once.
            wall_ns: When it was recorded, if that is a while ago; nanoseconds.

        Returns:
            Where it ends: segment name and offset.

        Raises:
            OSError: Not written; the harvest is still the caller's.

        """
        flags = frames.SHIP_NOW if ship_now else 0
        return self._own().append(harvest, flags, wall_ns)

    @property
    def written_bytes(self) -> int:
        """Bytes of all frames so far, of this process."""
        return self._stream.written_bytes

    def position(self) -> "tuple[str, int] | None":
        """Segment name and end offset of the last frame; None before the first."""
        return self._own().position

    def close(self) -> None:
        """Mark the end of the stream and unlock; a later append begins a new stream."""
        stream = self._own()
        self._stream = _Stream(self._directory, self._clock, self._limit_bytes)
        stream.end()

    def abandon(self) -> None:
        """In a forked child: close inherited descriptors, never unlock, start anew."""
        inherited = self._stream
        self._stream = _Stream(self._directory, self._clock, self._limit_bytes)
        if inherited.segment is not None:
            inherited.segment.close()

    def _own(self) -> "_Stream":
        # Before any lock: a lock inherited from a raw fork may be held for ever.
        if self._stream.pid != os.getpid():
            self.abandon()
        return self._stream


class _Stream:
    """One process's segments in order; never shared with a child."""

    def __init__(self, directory: Path, clock: Clock, limit_bytes: int) -> None:
        self.pid = os.getpid()
        self.segment: OpenSegment | None = None
        self.written_bytes = 0
        self.position: tuple[str, int] | None = None
        self._directory = directory
        self._clock = clock
        self._limit_bytes = limit_bytes
        self._id = os.urandom(8).hex()
        self._sequence = 0
        self._last_name_ns = 0
        self._alone = Alone()
        self._torn = False
        self._under_way: tuple[str, int] | None = None
        self._defined: set[int] = set()
        self._defined_bytes = 0
        self._table: Sequence[Series] = ()

    def append(
        self,
        harvest: Harvest,
        flags: int,
        wall_ns: "int | None" = None,
    ) -> "tuple[str, int]":
        end = self._alone.run(
            lambda: self._append(harvest, flags, wall_ns), wait_s=_WAIT_S
        )
        if end is None:
            raise BlockingIOError("another append is under way")
        return end

    def _append(
        self, harvest: Harvest, flags: int, wall_ns: "int | None"
    ) -> "tuple[str, int]":
        segment, size_bytes = self._writable()
        if harvest.series is not self._table:  # ids of another table mean other series
            self._defined.clear()
            self._table = harvest.series
        new = unknown_ids(harvest, self._defined)
        definitions = {i: harvest.series[i] for i in sorted(new)}
        data = self._encode(harvest, definitions, flags, wall_ns)
        self._under_way = end = (segment.name, size_bytes + len(data))
        try:
            self._write(segment, data, size_bytes)
            self._count(end)
        except BaseException:
            self._size_bytes(segment)
            raise
        finally:
            harvest.is_written = self.position == end
        self._defined |= new
        if definitions:
            self._defined_bytes += len(data)
        return end

    def _count(self, end: "tuple[str, int]") -> None:
        """The frame that was under way is on the file, up to *end*."""
        name, offset = self.position or ("", 0)
        self._sequence += 1
        self.written_bytes += end[1] - (offset if name == end[0] else 0)
        self.position, self._under_way = end, None

    def _size_bytes(self, segment: OpenSegment) -> "int | None":
        """See ``OpenSegment``; counts a frame that an interrupt has left uncounted.

        Its number would be given to another one, which nobody would read.
        """
        size_bytes = segment.size_bytes()
        if self._under_way == (segment.name, size_bytes):
            self._count(self._under_way)
        return size_bytes

    def _encode(
        self,
        harvest: Harvest,
        definitions: "Mapping[int, Series]",
        flags: int,
        wall_ns: "int | None" = None,
    ) -> bytes:
        return frames.encode(
            harvest,
            definitions,
            sequence=self._sequence,
            wall_ns=self._clock.wall_ns() if wall_ns is None else wall_ns,
            flags=flags,
        )

    def _writable(self) -> "tuple[OpenSegment, int]":
        """The segment to append to and its length; a new one where it will not do."""
        limit = max(self._limit_bytes, _DEFINITIONS_SHARE * self._defined_bytes)
        if self.segment is not None and not self._torn:
            size_bytes = self._size_bytes(self.segment)
            if size_bytes is not None and size_bytes < limit:
                return self.segment, size_bytes
        previous = self.segment
        self._last_name_ns = max(self._clock.wall_ns(), self._last_name_ns + 1)
        # Made and locked before the old one is let go: whoever finds the old one an
        # orphan already sees the new one, and knows that the stream goes on.
        self.segment = segment_files.create(
            self._directory,
            self._last_name_ns,
            self._id,
        )
        self._torn = False
        if previous is not None:
            previous.close()
        self._defined.clear()
        self._defined_bytes = 0
        return self.segment, 0

    def _write(self, segment: OpenSegment, data: bytes, size_bytes: int) -> None:
        """Write all of *data*, or take back what was written of it."""
        written = 0
        try:
            while written < len(data):
                rest = memoryview(data)[written:] if written else data
                count = os.write(segment.descriptor, rest)
                if not count:
                    raise OSError(f"wrote nothing to {segment.name}")
                written += count
        except BaseException:
            found = segment.size_bytes()
            if found is not None and size_bytes < found < size_bytes + len(data):
                self._torn = True  # until the torn end is off, nothing may follow it
                os.ftruncate(segment.descriptor, size_bytes)
                self._torn = False
            raise

    def end(self) -> None:
        self._alone.run(self._end, wait_s=-1)

    def _end(self) -> None:
        segment, self.segment = self.segment, None
        if segment is None:
            return
        size_bytes = self._size_bytes(segment)
        try:
            if size_bytes is not None and not self._torn:
                data = self._encode(Harvest(), {}, frames.END_OF_STREAM)
                self._write(segment, data, size_bytes)
        except OSError:  # the free lock says the same, only later
            return
        finally:
            segment.close()
