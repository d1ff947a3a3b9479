"""One term of office: from the lock that was won to the lock that is let go.

Everything that the leader does with the buffer happens here, on one thread: fold,
close on the grid, keep house; shippers have threads of their own.
"""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from probekit.buffer.closing import Superseded
from probekit.buffer.fold import Fold
from probekit.buffer.journal.memory_journal import MemoryJournal
from probekit.buffer.journal.syncing import Syncer
from probekit.buffer.locks import FileLock
from probekit.buffer.store import Store
from probekit.clock import SYSTEM_CLOCK, Clock, cell_start_ns
from probekit.delivery.courier import Courier, Ledger, describe
from probekit.delivery.identity import label
from probekit.delivery.meter import CpuMeter
from probekit.delivery.shipper import Shipper
from probekit.delivery.wake import Bell
from probekit.errors import BufferBusy, BufferFailed
from probekit.model import Snapshot
from probekit.notice import notice
from probekit.observer import Observe, Observer
from probekit.patience import Patience
from probekit.ports import Exporter, Pulled

READ_S = 1.0  # between two readings of the segments when nobody rings
GRACE_S = 0.05  # after a window's end, for the frames that pumps write at it
BEAT_S = 5.0
SYNC_S = 3.5  # with the pumps' and our own intervals: power loss costs 5 s at most
_HOUSEKEEPING_S = 0.05
_RETRY_S = (0.05, 5.0)  # after a failed commit: first and longest wait


@dataclass(slots=True)
class Office:
    """What a leader leads with.

    Attributes:
        store: The buffer; opened when the term begins.
        source: The folder of segments, or the queue of a buffer in memory.
        bell: What the leader sleeps on.
        lock: Who holds it leads; None for a buffer of this process alone.
        exporters: (cursor's name, exporter).
        interval_s: Width of a window, seconds.
        host: Reads the host, once for all processes; None for never.
        own: Says how the buffer itself is, likewise.
        meter: Told what the threads of ours cost.
        ledger: What exporters accepted and the cursors do not show yet.
        on_start: Called once on each thread of ours before all else.
        clock: Where time comes from.
    """

    store: Store
    source: "Path | MemoryJournal"
    bell: Bell
    lock: "FileLock | None" = None
    exporters: "Sequence[tuple[str, Exporter]]" = ()
    interval_s: float = 10.0
    host: "Observe | None" = None
    own: "Observe | None" = None
    meter: CpuMeter = field(default_factory=CpuMeter)
    ledger: Ledger = field(default_factory=dict)
    on_start: Callable[[], None] = lambda: None
    clock: Clock = SYSTEM_CLOCK


class Term:
    """Leads until told to end.

    Threads:
        The leader's, but for what says otherwise.
    """

    def __init__(self, office: Office) -> None:
        """Open the buffer, start the shippers.

        Raises:
            BufferFailed: The buffer cannot be used.
            OSError: The bell cannot be opened.

        """
        self._office = office
        self._clock = office.clock
        office.store.open()
        office.store.register([name for name, _ in office.exporters])
        self._fold = Fold(
            office.store,
            office.source,
            interval_s=office.interval_s,
            clock=office.clock,
        )
        office.bell.open()
        self._observer = Observer(standing=office.store.standing)
        self._readers = [
            (read, Patience(f"{name}-source", f"reading the {name}", clock=self._clock))
            for name, read in (("host", office.host), ("buffer's state", office.own))
            if read is not None
        ]
        now_s = self._clock.monotonic_s()
        self._close_due_s = self._next_end_s()
        self._host_due_s = now_s + min(1.0, office.interval_s / 2)
        self._read_due_s = now_s
        self._beat_due_s = self._sync_due_s = now_s
        source = office.source
        self._syncer = Syncer(source) if isinstance(source, Path) else None
        self._retry_s = _RETRY_S[0]
        self.shippers = [self._shipper(name, each) for name, each in office.exporters]
        self.shippers = [each for each in self.shippers if each.start()]

    def _shipper(self, name: str, exporter: Exporter) -> Shipper:
        office = self._office
        courier = Courier(
            name,
            exporter,
            office.store,
            ledger=office.ledger,
            clock=office.clock,
        )
        if isinstance(exporter, Pulled):
            try:
                exporter.begin(_quietly(office.on_start, office.store.snapshot))
            except Exception as error:  # a foreign one may mean something else by it
                notice("exporter-begin", f"{name} did not begin: {describe(error)}")
        return Shipper(
            courier,
            exporter,
            label=label(name),
            clock=office.clock,
            on_start=office.on_start,
            on_step=office.meter.turn,
        )

    def turn(self) -> None:
        """Sleep until something is due or somebody rings, then do it.

        Raises:
            Exception: A bug; trouble with the disk is waited out instead.

        """
        due_s = min(self._close_due_s, self._read_due_s, self._host_due_s)
        rung = self._office.bell.wait(due_s - self._clock.monotonic_s())
        try:
            self._work(rung=rung)
        except (BufferFailed, OSError) as error:
            self._postpone(error)
        else:
            self._retry_s = _RETRY_S[0]

    def _work(self, *, rung: bool) -> None:
        now_s = self._clock.monotonic_s()
        if now_s >= self._host_due_s:
            self._read_host()
        is_end = now_s >= self._close_due_s
        if not (rung or is_end or now_s >= self._read_due_s):
            return
        self._read_due_s = now_s + min(READ_S, self._office.interval_s)
        self._sync(now_s)
        state = self._fold.read()
        if is_end or state.ship_now:
            self._close()
            self._keep_house()
        elif state.closed:
            self.wake()
        if state.ship_now:
            self.hurry()

    def _sync(self, now_s: float) -> None:
        if self._syncer is None or now_s < self._sync_due_s:
            return
        self._sync_due_s = now_s + SYNC_S
        try:
            self._syncer.turn()
        except OSError as error:
            notice("segment-sync", f"power loss may cost more than seconds: {error}")

    def _close(self) -> None:
        self._fold.close()
        self._close_due_s = self._next_end_s()
        self.wake()

    def _keep_house(self) -> None:
        store, now_s = self._office.store, self._clock.monotonic_s()
        if now_s >= self._beat_due_s:
            store.beat(os.getpid())
            self._beat_due_s = now_s + BEAT_S
        store.housekeep(deadline_s=_HOUSEKEEPING_S)

    def _read_host(self) -> None:
        self._host_due_s = self._clock.monotonic_s() + self._office.interval_s
        if not self._readers:
            self._host_due_s = float("inf")
            return
        for read, patience in self._readers:
            if patience.allows():
                self._read(read, patience)
        self._fold.add(self._observer.harvest())

    def _read(self, read: Observe, patience: Patience) -> None:
        try:
            read(self._observer)
        except BufferFailed:
            raise
        except Exception as error:
            patience.failed(error)
        else:
            patience.worked()

    def _postpone(self, error: Exception) -> None:
        """The disk is full, the file is locked: all stays open and is tried again."""
        if isinstance(error, Superseded):  # what was open is dropped: levels begin anew
            self._observer = Observer(standing=self._office.store.standing)
        now_s = self._clock.monotonic_s()
        self._read_due_s = now_s + self._retry_s
        self._close_due_s = max(self._close_due_s, self._read_due_s)
        # A few times in a row it may have been forks, which say so and pass.
        if self._retry_s > _RETRY_S[0] and not isinstance(error, BufferBusy):
            notice("fold", f"cannot store what was recorded, trying again: {error}")
        self._retry_s = min(2 * self._retry_s, _RETRY_S[1])

    def _next_end_s(self) -> float:
        """The next end of a window on the monotonic clock, a moment late."""
        wall_ns = self._clock.wall_ns()
        width_s = self._office.interval_s
        start_ns = cell_start_ns(wall_ns, width_s)
        left_s = width_s - (wall_ns - start_ns) / 1e9
        return self._clock.monotonic_s() + left_s + GRACE_S

    def still_holds(self) -> bool:
        """Whether the lock is still the file at its path.

        A buffer that was replaced is the store's to notice: it makes a new one, and
        the fold knows better than that file what was folded already.
        """
        lock = self._office.lock
        return lock is None or lock.still_ours()

    def covers(self, segment: str, offset: int) -> bool:
        """Whether all up to *offset* of *segment* is committed; any thread."""
        return self._fold.covers(segment, offset)

    def wake(self) -> None:
        """Tell the shippers that something may wait; any thread."""
        for shipper in self.shippers:
            shipper.wake()

    def hurry(self) -> None:
        """Let the shippers try at once; any thread."""
        for shipper in self.shippers:
            shipper.hurry()

    def finish(self, by_s: float) -> bool:
        """Fold and close a last time, deliver until *by_s* what can be delivered.

        Returns:
            True when every exporter has everything.

        """
        complete = True
        try:
            self._fold.read()
            self._fold.close()
        except (BufferFailed, OSError) as error:
            notice("fold", f"the last window stays in the segments: {error}")
            complete = False
        for shipper in self.shippers:
            shipper.finish(by_s)
        for shipper in self.shippers:
            left_s = by_s - self._clock.monotonic_s()
            self._part_from(shipper, left_s, self._office.store.dispose)
            complete = complete and shipper.courier.is_idle
        return complete and len(self.shippers) == len(self._office.exporters)

    def abort(self) -> None:
        """End without a word to the buffer."""
        for shipper in self.shippers:
            shipper.stop()
        for shipper in self.shippers:
            # Not for good: the next term may lead the same buffer in memory.
            self._part_from(shipper, 1.0, self._office.store.close)

    @staticmethod
    def _part_from(
        shipper: Shipper, timeout_s: float, close: Callable[[], None]
    ) -> None:
        """Wait for its end; one that still sends settles that, and closes behind it."""
        if not shipper.join(timeout_s):
            shipper.outlive(close)


def _quietly(
    on_start: Callable[[], None], ask: "Callable[[], Snapshot]"
) -> "Callable[[], Snapshot]":
    """*ask*, with *on_start* called before it once on each thread: a scraper's too."""
    known = threading.local()

    def answer() -> Snapshot:
        if not getattr(known, "is_quiet", False):
            known.is_quiet = True
            on_start()
        return ask()

    return answer
