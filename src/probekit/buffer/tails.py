"""How far the fold has read each segment, and what it knows of each stream."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from probekit.buffer.closing import SegmentRow, StreamRow
from probekit.buffer.journal.frames import END_OF_STREAM, BadFrame, Frame, decode
from probekit.buffer.journal.segment_files import is_orphan, read_bytes, whole_frames
from probekit.model import Series
from probekit.observer import SeriesTable


@dataclass(slots=True)
class Stream:
    """One process's life over its segments.

    Attributes:
        id: Sixteen hex digits.
        sequence: The number that the next frame should have.
        nets: Slots of series that end with the process → what it added on balance.
        has_ended: A frame said that nothing follows.
        torn_at: Sequence of a frame that was cut and not written again; -1 for none.
        changed: Whether there is something to commit.
    """

    id: str
    sequence: int = 0
    nets: "dict[int, float]" = field(default_factory=dict)
    has_ended: bool = False
    torn_at: int = -1
    changed: bool = False

    def has(self, frame: Frame) -> bool:
        """Whether it was taken already: a disk or a hand repeated a piece of a file."""
        return frame.sequence < self.sequence

    def take(self, frame: Frame) -> int:
        """Note a frame; how many frames are missing before it."""
        missing = max(0, frame.sequence - self.sequence)
        self.sequence = max(self.sequence, frame.sequence + 1)
        self.has_ended = bool(frame.flags & END_OF_STREAM)
        self.changed = True
        return missing

    def row(self, table: "list[Series]") -> StreamRow:
        """As it is stored."""
        nets = {table[slot]: net for slot, net in self.nets.items() if net}
        return StreamRow(self.id, self.sequence, nets)


@dataclass(slots=True)
class Tail:
    """One segment, read up to an offset.

    Attributes:
        path: The file.
        stream: Whose it is.
        offset: All before it is folded into open windows.
        committed: All before it is committed.
        slots: The slot of each local id.
        changed: Whether slots were added since the last commit.
        done: The owner is gone and all that can be read was read.
    """

    path: Path
    stream: Stream
    offset: int = 0
    committed: int = -1
    slots: "list[int | None]" = field(default_factory=list)
    changed: bool = True
    done: bool = False

    def has_more(self) -> bool:
        """Whether the file is longer than what was read."""
        try:
            return os.stat(self.path).st_size > self.offset  # noqa: PTH116 - hot
        except OSError:
            return False

    def data(self) -> bytes:
        """What follows; empty when the file is gone."""
        try:
            return read_bytes(self.path, self.offset)
        except OSError:
            return b""

    def define(self, definitions: "Mapping[int, Series]", table: SeriesTable) -> None:
        """Learn local ids."""
        for local_id, series in definitions.items():
            while len(self.slots) <= local_id:
                self.slots.append(None)
            self.slots[local_id] = table.intern(series)
            self.changed = True

    def learn_again(self, table: SeriesTable) -> None:
        """Learn the local ids of what is folded already: nobody knows them any more."""
        try:
            folded = read_bytes(self.path, 0)[: self.offset]
        except OSError:
            return
        for frame in whole_frames(folded):
            self.define(frame.definitions, table)

    def row(self, table: "list[Series]") -> SegmentRow:
        """As it is stored."""
        ids = [None if slot is None else table[slot] for slot in self.slots]
        known = ids if self.changed or self.committed < 0 else None
        return SegmentRow(self.path.name, self.stream.id, self.offset, known)

    def settle(self) -> bool:
        """Whether the owner is gone and nothing readable is left.

        A torn frame of a dead owner is noted in the stream: it is a loss unless the
        stream wrote it again elsewhere.
        """
        if self.done:
            return True
        if self.stream.has_ended and not self.has_more():
            self.done = True  # said so itself; a forked child may still hold the lock
            return True
        if not is_orphan(self.path):
            return False
        rest = self.data()
        if rest:
            try:
                decode(rest)
            except BadFrame:
                self.stream.torn_at = self.stream.sequence
                self.offset += len(rest)  # passed: no later leader counts it again
            else:
                return False  # written between our reading and the owner's end
        self.done = True
        return True

    def is_left(self) -> bool:
        """Whether the owner is gone while frames are left to read."""
        return not self.done and self.has_more() and is_orphan(self.path)


LOCAL_ID_LIMIT = 1 << 22  # a map beyond it would be damage, not an application
