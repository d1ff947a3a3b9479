"""The leader's open windows: frames of all segments, folded exactly once.

Frames are read into memory; windows, points, totals and the offsets up to which
segments were read are committed in one transaction. Whoever dies when: what was not
committed is read again from the committed offset, what was is never read again.
"""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

from probekit.buffer.cells import Cell
from probekit.buffer.closing import (
    Closing,
    Folded,
    FoldState,
    Superseded,
    open_window,
)
from probekit.buffer.harvests import Intake
from probekit.buffer.journal import lastwords, segment_files
from probekit.buffer.journal.frames import SHIP_NOW, Frame
from probekit.buffer.journal.memory_journal import MEMORY_SEGMENT, MemoryJournal
from probekit.buffer.store import Store
from probekit.buffer.tails import LOCAL_ID_LIMIT, Stream, Tail
from probekit.buffer.timeline import Timeline
from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.model import Harvest, Series, Window
from probekit.observer import SeriesTable
from probekit.pace import Pace

__all__ = ["Fold", "FoldState"]

_ROUNDS = 5  # of one reading, while new frames ask to be shipped


class Fold:
    """Folds frames into open windows and commits them with the offsets.

    Make it after the leader's lock is taken; it continues at the offsets that were
    committed last. When another leader has committed meanwhile, what this one holds is
    dropped and read again.

    Threads:
        Any; calls are serialised.
    """

    def __init__(
        self,
        store: Store,
        directory: "Path | MemoryJournal",
        *,
        interval_s: float = 10.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Begin an open window now.

        Args:
            store: Where windows go.
            directory: Where segments lie, or the queue of a buffer in memory.
            interval_s: Width of a window, seconds.
            clock: Where time comes from.

        Raises:
            BufferFailed: The store cannot be read.

        """
        self._store = store
        self._source = directory
        self._interval_s = interval_s
        self._clock = clock
        self._lock = threading.RLock()
        self._own = Stream(os.urandom(8).hex(), sequence=-1)
        self._tables: dict[int, tuple[Sequence[Series], list[int | None]]] = {}
        self._taken = self._committed_taken = 0
        self._load(store.folded())

    def _load(self, folded: Folded) -> None:
        """Begin from what was committed last."""
        self._buffer_id, self._generation = folded.buffer_id, folded.generation
        self._table = SeriesTable()
        self._tables.clear()
        self._intake = Intake(self._interval_s)
        self._timeline = Timeline(
            self._clock,
            self._interval_s,
            last_end_ns=folded.end_ns,
            epoch=folded.epoch,
        )
        self._streams: dict[str, Stream] = {}
        self._own.nets = {}
        for row in folded.streams.values():
            stream = self._own if row.id == self._own.id else Stream(row.id)
            stream.sequence = row.sequence
            stream.nets = {self._table.intern(s): net for s, net in row.nets.items()}
            self._streams[row.id] = stream
        self._tails: dict[str, Tail] = {}
        self._deleted: set[str] = set()
        if isinstance(self._source, MemoryJournal):
            return
        for segment in folded.segments.values():
            tail = self._tail(segment.name, segment.stream)
            tail.offset = tail.committed = segment.offset
            tail.slots = [
                None if s is None else self._table.intern(s) for s in segment.ids or ()
            ]
            tail.changed = False
            if segment.ids is None:
                tail.learn_again(self._table)
        segment_files.sweep(self._source)

    def _tail(self, name: str, stream_id: str) -> Tail:
        tail = self._tails.get(name)
        if tail is None:
            stream = self._streams.get(stream_id)
            if stream is None:
                stream = self._streams[stream_id] = Stream(stream_id)
            folder = self._source if isinstance(self._source, Path) else Path()
            tail = self._tails[name] = Tail(folder / name, stream)
        return tail

    def read(self) -> FoldState:
        """Fold every frame that was written since the last reading.

        Windows are closed on the way when memory would grow too much.

        Raises:
            BufferFailed: Only from such an early close; call again.

        """
        with self._lock:
            if isinstance(self._source, MemoryJournal):
                closed = self._read_memory(self._source)
            else:
                closed = self._read_segments(self._source)
            waiting = self._intake.records
            return FoldState(self._intake.ship_now, waiting, closed)

    def _read_segments(self, folder: Path) -> bool:
        """Fold all segments; whether windows were closed on the way.

        A frame that asks to be shipped stands for all that anybody wrote before it.
        Sizes are collected twice: what the first collection saw is younger than
        nothing that the second one missed. Such a frame beyond the first collection
        waits for another round.
        """
        closed = False
        lastwords.adopt(folder)
        for _ in range(_ROUNDS):
            settled = dict(segment_files.sizes(folder))
            held: set[str] = set()
            for name, end in segment_files.sizes(folder):
                tail = self._tail(name.text, name.stream)
                if tail.done or end <= tail.offset or name.stream in held:
                    continue
                closed |= self._read_tail(tail, end, settled.get(name, 0), held)
            if not held:
                break
        return closed

    def _read_tail(
        self,
        tail: Tail,
        end: int,
        settled: int,
        held: "set[str]",
    ) -> bool:
        """Fold a segment up to *end*; streams that have to wait go into *held*."""
        closed, pace = False, Pace()
        for frame in segment_files.whole_frames(tail.data()[: end - tail.offset]):
            pace.breathe()
            if frame.flags & SHIP_NOW and tail.offset + frame.size_bytes > settled:
                held.add(tail.stream.id)
                break
            closed |= self._make_room()
            self._fold(tail, frame)
        return closed

    def _make_room(self) -> bool:
        if not self._intake.is_full():
            return False
        # Not the moment to look for what has ended: a segment is half read.
        self._commit([], [])
        return True

    def _fold(self, tail: Tail, frame: Frame) -> None:
        intake = self._intake
        tail.offset += frame.size_bytes
        if tail.stream.has(frame):
            return
        missing = tail.stream.take(frame)
        if missing:
            intake.lose("metrics", "gap", missing)
        if all(local_id < LOCAL_ID_LIMIT for local_id in frame.definitions):
            tail.define(frame.definitions, self._table)
        if frame.flags & SHIP_NOW:
            intake.ship_now = True
        self._take(frame.harvest, tail.slots, tail.stream, frame.wall_ns)

    def _take(
        self,
        harvest: Harvest,
        slots: "Sequence[int | None]",
        stream: Stream,
        wall_ns: int,
    ) -> None:
        self._intake.take(
            harvest,
            slots,
            wall_ns,
            oldest_ns=self._timeline.oldest_ns(),
            start_ns=self._timeline.start_ns,
        )
        table = self._table.series
        for local_id, value in zip(harvest.sum_ids, harvest.sum_values, strict=True):
            slot = slots[local_id] if local_id < len(slots) else None
            if slot is not None and table[slot].ends_with_process:
                stream.nets[slot] = stream.nets.get(slot, 0.0) + value
                stream.changed = True

    def _read_memory(self, journal: MemoryJournal) -> bool:
        closed = False
        for harvest, ship_now, wall_ns in journal.take():
            closed |= self._make_room()
            if ship_now:
                self._intake.ship_now = True
            self._taken += 1
            self._add(harvest, wall_ns)
        return closed

    def add(self, harvest: Harvest) -> None:
        """Fold the leader's own records (host figures), which have no segment."""
        with self._lock:
            self._streams.setdefault(self._own.id, self._own)
            self._add(harvest, self._clock.wall_ns())

    def _add(self, harvest: Harvest, wall_ns: int) -> None:
        """Fold a harvest of this process: its table is at hand."""
        held = self._tables.get(id(harvest.series))
        if held is None or held[0] is not harvest.series:
            held = (harvest.series, [])
            self._tables[id(harvest.series)] = held
        series, slots = held
        slots.extend(self._table.intern(s) for s in series[len(slots) :])
        self._take(harvest, slots, self._own, wall_ns)

    def close(self) -> int:
        """Commit open windows, points, totals and offsets in ONE transaction.

        Segments whose owner is gone and that are folded to their end are deleted
        after the commit; what such a process left in its up-down counters is taken
        back in the window that is being closed.

        Returns:
            Id of the last window; the same as before when nothing was waiting.

        Raises:
            BufferFailed: Nothing was committed; all stays open, call again.
            Superseded: Another leader committed; all will be read again.

        """
        with self._lock:
            return self._commit(*self._find_ended())

    def _commit(self, gone: "list[Tail]", ended: "list[Stream]") -> int:
        bounds = self._timeline.bounds()
        closing = self._closing(ended, bounds)
        if closing:
            try:
                last = self._store.commit(closing)
            except Superseded:
                self._superseded()
                raise
            self._generation += 1
        else:
            last = self._store.last_window()
        self._timeline.turn(*bounds[1:])
        self._intake = Intake(self._interval_s)
        self._committed(gone, ended)
        return last

    def _find_ended(self) -> "tuple[list[Tail], list[Stream]]":
        """Segments and streams that are over, with everything of them folded."""
        for tail in list(self._tails.values()):
            while not tail.settle() and tail.is_left():
                for frame in segment_files.whole_frames(tail.data()):
                    self._fold(tail, frame)
        gone = [tail for tail in self._tails.values() if tail.done]
        living = {t.stream.id for t in self._tails.values() if not t.done}
        # A segment that was named after our last reading keeps its stream alive.
        living |= {n.stream for n in self._names() if n.text not in self._tails}
        ended = [
            stream
            for stream in self._streams.values()
            if stream is not self._own and stream.id not in living
        ]
        return gone, ended

    def _names(self) -> "list[segment_files.SegmentName]":
        if isinstance(self._source, MemoryJournal):
            return []
        return segment_files.names(self._source)

    def _closing(
        self,
        ended: "list[Stream]",
        bounds: "tuple[int, int, int]",
    ) -> Closing:
        _, end_ns, epoch = bounds
        intake, table = self._intake, self._table.series
        closing = Closing(self._generation, epoch, end_ns)
        # Kept apart from the open window: a failed commit must not take back twice.
        back = Cell()
        for stream in ended:
            for slot, net in stream.nets.items():
                if net:
                    back.add_sum(slot, -net, 0)
            if stream.torn_at == stream.sequence:
                closing.losses["metrics", "torn"] = (
                    closing.losses.get(("metrics", "torn"), 0) + 1
                )
        closing.cells = intake.closed(table, bounds, back)
        closing.events, closing.spans = intake.events, intake.spans
        closing.problems = list(intake.problems.values())
        for key, count in intake.losses.items():
            closing.losses[key] = closing.losses.get(key, 0) + count
        closing.segments = [
            tail.row(table)
            for tail in self._tails.values()
            if tail.offset != tail.committed
        ]
        over = {stream.id for stream in ended}
        closing.streams = [
            stream.row(table)
            for stream in self._streams.values()
            if stream.changed and stream.id not in over
        ]
        closing.gone_segments = sorted(self._deleted)
        closing.gone_streams = sorted(over)
        return closing

    def _committed(self, gone: "list[Tail]", ended: "list[Stream]") -> None:
        for tail in self._tails.values():
            tail.committed, tail.changed = tail.offset, False
        for stream in self._streams.values():
            stream.changed = False
        self._deleted.clear()
        # Power loss must not take back what replaces them.
        for tail in gone if gone and self._store.has_settled() else ():
            # The row stays until the next commit: were it gone before the file, who
            # leads after a crash between the two would read the file once more.
            try:
                tail.path.unlink(missing_ok=True)
            except OSError:  # a folder that became read-only: again at the next close
                continue
            del self._tails[tail.path.name]
            self._deleted.add(tail.path.name)
        for stream in ended:
            del self._streams[stream.id]
        self._committed_taken = self._taken

    def _superseded(self) -> None:
        """The file has another generation than we left it with."""
        folded = self._store.folded()
        is_new = folded.buffer_id != self._buffer_id
        if not is_new and not self._agrees(folded):
            self._load(folded)
            return
        # The file was lost and made anew: our offsets are the better knowledge.
        self._buffer_id, self._generation = folded.buffer_id, folded.generation
        for tail in self._tails.values():
            tail.committed, tail.changed = -1 if is_new else tail.committed, True
        for stream in self._streams.values():
            stream.changed = True

    def _agrees(self, folded: Folded) -> bool:
        """Whether the file stands where our last commit left it."""
        theirs = {name: row.offset for name, row in folded.segments.items()}
        ours = {name: t.committed for name, t in self._tails.items()}
        known = {name: offset for name, offset in ours.items() if offset >= 0}
        return known == {n: o for n, o in theirs.items() if n not in self._deleted}

    def live(self) -> "Sequence[Window]":
        """The open windows as if they were closed now, ids 0."""
        with self._lock:
            bounds = self._timeline.bounds()
            cells = self._intake.closed(self._table.series, bounds, Cell())
            return tuple(map(open_window, cells))

    def covers(self, segment: str, offset: int) -> bool:
        """Whether all up to *offset* of *segment* is committed.

        A segment that is neither known nor on disk was folded and deleted.
        """
        with self._lock:
            if isinstance(self._source, MemoryJournal):
                return segment == MEMORY_SEGMENT and offset <= self._committed_taken
            tail = self._tails.get(segment)
            if tail is not None:
                return tail.committed >= offset
            return not (self._source / segment).exists()
