"""The only door to SQLite: windows, totals, cursors, accounts, retention."""

import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from probekit.buffer import accounts, commits, cursors
from probekit.buffer.closing import Closing, Folded
from probekit.buffer.cumulative import Cumulative
from probekit.buffer.house import checkpoint, size_on_disk, used_bytes
from probekit.buffer.letters import letter
from probekit.buffer.meta import (
    began_unix_ns,
    stored_resource,
    write_meta,
)
from probekit.buffer.parcel import Parcel
from probekit.buffer.progress import Progress, read_progress
from probekit.buffer.reports import status_of
from probekit.buffer.retention import Ageing, step
from probekit.buffer.session import Session
from probekit.buffer.snapshot import read_snapshot
from probekit.buffer.status import BufferStatus
from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.errors import BufferFailed
from probekit.model import Problem, Resource, Retention, Series, Snapshot
from probekit.notice import notice
from probekit.pace import Paced
from probekit.ports import DeliveryContract

_ERROR_LENGTH = 300
LOG_BYTES = 2 << 20  # that a reader may hold above ``max_bytes``
_RENEW_S = 5.0  # between two copies of the file


class Store(Session):
    """One buffer file; only the leader opens it for writing.

    Every method may raise ``BufferFailed`` (``BufferBusy`` when another process holds
    the write lock, ``BufferCorrupt`` when the file is damaged) and no other error; a
    failed call has changed nothing and may be tried again.

    Threads:
        Any; calls are serialised by the gate.
    """

    def __init__(
        self,
        path: "Path | None",
        *,
        clock: Clock = SYSTEM_CLOCK,
        retention: "Retention | None" = None,
        resource: "Resource | None" = None,
    ) -> None:
        """Name the file; nothing is opened yet.

        Args:
            path: The buffer file; None keeps all in memory.
            clock: Where time comes from.
            retention: What is kept; None for the defaults.
            resource: Who speaks; None to use what the file says.

        """
        super().__init__(path, clock=clock, resource=resource)
        self._retention = retention or Retention()
        self._ageing = Ageing(clock)
        self._cumulative: dict[str, Cumulative] = {}
        self._renew_due_s = float("-inf")

    @property
    def gate(self) -> threading.RLock:
        """Held around SQLite calls; taken before a fork."""
        return self._database.gate

    @property
    def buffer_id(self) -> str:
        """32 hex digits, drawn when the buffer was made."""
        if not self._buffer_id:
            self.open()
        return self._buffer_id

    def open(self) -> None:
        """Open the file, making or migrating it; harmless when it is open.

        A damaged buffer is renamed to ``<path>.corrupt-<time>`` and a new one made.

        Raises:
            BufferCorrupt: The file belongs to somebody else, or to a newer probekit.
            BufferFailed: It cannot be made, read or written; the text says why.

        """
        self._open()

    def close(self) -> None:
        """Close all connections; the next call opens again.

        A buffer in memory stays: it has no file whose locks a fork could break.
        """
        self._database.close()

    def dispose(self) -> None:
        """Close for good, a buffer in memory included; what it held is gone."""
        self._database.close(memory=True)

    def interrupt(self) -> None:
        """Stop a running statement before a fork; its call fails, to be tried again."""
        self._database.interrupt()

    def abandon(self) -> None:
        """In a forked child: forget all that was inherited, and unlock nothing."""
        self._database.abandon()
        self._keeper.forget()
        self._totals.forget()
        self._cumulative.clear()

    def register(self, exporters: Sequence[str]) -> None:
        """These exporters have cursors from now on; others' cursors are dropped.

        A new cursor starts at the oldest stored data.
        """
        with self._writing() as connection:
            self._salvage(connection)
            cursors.register(connection, exporters)
        self._exporters = tuple(exporters)

    def next_batch(
        self,
        exporter: str,
        contract: DeliveryContract,
        *,
        limit: int,
    ) -> "Parcel | None":
        """What *exporter* is to send next; the same again until it is advanced.

        Args:
            exporter: A registered name.
            contract: Signals not in it pass; data older than its ``max_age_s`` is
                skipped and counted as ``expired``.
            limit: Most records.

        Returns:
            A parcel with at least one record, or None when nothing waits.

        """
        limit = max(1, min(limit, contract.max_records))
        with self._reading() as connection:
            if not cursors.is_waiting(connection, exporter, contract):
                return None
        # One transaction from looking to remembering: nothing may be merged between.
        with self._writing() as connection:
            cursors.note_signals(connection, exporter, contract.signals)
            while True:
                found = cursors.portion(
                    connection,
                    self._totals,
                    exporter,
                    contract,
                    limit=limit,
                    now_ns=self._clock.wall_ns(),
                )
                if found.through == found.since:
                    return None
                cursors.offer(connection, exporter, found)
                if len(found):
                    return self._parcel(connection, exporter, contract, found)

    def _parcel(
        self,
        connection: sqlite3.Connection,
        exporter: str,
        contract: DeliveryContract,
        found: "cursors.Portion",
    ) -> Parcel:
        windows = found.windows
        if contract.cumulative:
            running = self._cumulative.setdefault(exporter, Cumulative())
            windows = running.fill(
                connection,
                self._totals,
                opened=self._database.opened,
                since=found.since,
                through=found.through,
                windows=windows,
            )
        return Parcel(
            self._buffer_id,
            self._resource or stored_resource(connection),
            tuple(windows),
            Paced(found.events),
            Paced(found.spans),
            began_unix_ns(connection),
            since=found.since,
            through=found.through,
        )

    def advance(self, exporter: str, parcel: Parcel) -> None:
        """The parcel is delivered: the cursor moves, in one transaction."""
        with self._writing() as connection:
            if parcel.buffer_id != self._buffer_id:
                return  # its file is gone: the new one's numbers mean other records
            self._pass(connection, exporter, parcel)
            connection.execute(
                "UPDATE cursor SET delivered_unix_ns = ?, last_error = '' "
                "WHERE exporter = ?",
                (self._clock.wall_ns(), exporter),
            )

    def bury(self, exporter: str, parcel: Parcel, reason: str) -> None:
        """The parcel is refused for ever: dead letter, counted, the cursor moves."""
        self._refuse(exporter, parcel, len(parcel), reason)

    def refused(self, exporter: str, parcel: Parcel, count: int, reason: str) -> None:
        """Delivered but for *count* records that the far side refused unnamed.

        Which records they were is unknown; the first ones are booked.
        """
        self._refuse(exporter, parcel, min(count, len(parcel)), reason)

    def _refuse(self, exporter: str, parcel: Parcel, count: int, reason: str) -> None:
        refusals = cursors.parcel_refusals(parcel)[:count]
        text = letter(parcel)
        now_ns = self._clock.wall_ns()
        with self._writing() as connection:
            if parcel.buffer_id != self._buffer_id:
                return  # likewise
            accounts.refuse(connection, refusals, "rejected")
            cursors.dead_letter(
                connection,
                exporter,
                reason=reason[:_ERROR_LENGTH],
                records=count,
                batch=text,
                now_ns=now_ns,
            )
            self._pass(connection, exporter, parcel)

    def _pass(
        self,
        connection: sqlite3.Connection,
        exporter: str,
        parcel: Parcel,
    ) -> None:
        cursors.move(connection, exporter, parcel.through)
        accounts.book_delivered(connection)

    def note_error(self, exporter: str, text: str) -> None:
        """Keep what went wrong last, for ``status``; a delivery clears it."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE cursor SET last_error = ?, last_error_unix_ns = ? "
                "WHERE exporter = ?",
                (text[:_ERROR_LENGTH], self._clock.wall_ns(), exporter),
            )

    def beat(self, pid: int) -> None:
        """The leader's heartbeat."""
        with self._writing() as connection:
            write_meta(connection, "leader_pid", pid)
            write_meta(connection, "leader_beat_unix_ns", self._clock.wall_ns())

    def delivered_through(self, exporter: str) -> int:
        """Last window id that the exporter has passed, events and spans included."""
        with self._reading() as connection:
            return cursors.delivered_through(connection, exporter)

    def last_window(self) -> int:
        """Id of the last closed window; 0 before the first."""
        with self._reading() as connection:
            return accounts.last(connection, "metrics")

    def standing(self, series: Series) -> float:
        """Where the running total of a sum stands; 0 before its first point."""
        with self._reading() as connection:
            return self._totals.standing(connection, series)

    def snapshot(self) -> Snapshot:
        """Where every series stands."""
        with self._reading() as connection:
            return read_snapshot(connection, strict=True)

    def progress(self, segment: str) -> Progress:
        """How far *segment* is folded, and whether every exporter has passed it all."""
        with self._reading() as connection:
            return read_progress(connection, segment)

    def status(self) -> BufferStatus:
        """The books, the cursors, the sizes."""
        with self._reading() as connection:
            return status_of(connection, self.path, self._clock.wall_ns())

    def stand_with_the_slowest(self, name: str) -> None:
        """Make a cursor *name* that stands where the slowest exporter does."""
        with self._writing() as connection:
            cursors.join_slowest(connection, name)

    def problems(self) -> "list[Problem]":
        """All groups of errors."""
        with self._reading() as connection:
            return commits.read_problems(connection)

    def now_ns(self) -> int:
        """The wall clock of this buffer, nanoseconds since 1970."""
        return self._clock.wall_ns()

    def folded(self) -> Folded:
        """What was committed last; where a fold begins."""
        with self._reading() as connection:
            return commits.load(connection, self._totals, self._buffer_id)

    def commit(self, closing: Closing) -> int:
        """Write one closing in one transaction.

        Returns:
            Id of the last window.

        Raises:
            Superseded: Somebody else has committed since.

        """
        try:
            with self._writing() as connection:
                return commits.write(
                    connection,
                    closing,
                    self._totals,
                    self._clock.wall_ns(),
                    self._database.check_stop,
                )
        except BaseException:
            self._totals.forget()
            self._prepared = -1
            raise

    def housekeep(self, *, deadline_s: float) -> None:
        """Retention, roll-up, checkpoint, vacuum: bounded work a call.

        Args:
            deadline_s: Longest time to spend, seconds; a single step may overrun it
                by some milliseconds.

        """
        end_s = time.monotonic() + deadline_s
        now_ns = self._clock.wall_ns()
        while time.monotonic() < end_s:
            with self._reading() as connection:
                pressure = self._used_bytes(connection) / self._retention.max_bytes
            with self._writing() as connection:
                known = connection, self._totals, self._retention, now_ns, pressure
                busy = step(*known, ageing_ns=self._ageing.now_ns())
            if not busy:
                break
        if not self._settle() and self._is_held_open():
            self._database.renew()

    def _is_held_open(self) -> bool:
        """Whether a reader has held the log until file and log are too large."""
        limit = self._retention.max_bytes + LOG_BYTES
        if self.path is None or size_on_disk(self.path) <= limit:
            return False
        now_s = time.monotonic()
        if now_s < self._renew_due_s:
            return False
        self._renew_due_s = now_s + _RENEW_S
        notice("buffer-renewed", f"somebody reads {self.path} for long: a copy goes on")
        return True

    def has_settled(self) -> bool:
        """Whether what is committed is on the disk: tried now, waiting for nobody.

        Then power loss takes nothing of it back. Never raises.
        """
        try:
            return self._settle()
        except BufferFailed:  # committed it is; a reader or a tool is at work
            return False

    def _settle(self) -> bool:
        if self.path is None:
            return True
        with self._database.quiet() as connection:
            return checkpoint(connection, self.path)

    def _used_bytes(self, connection: sqlite3.Connection) -> int:
        return used_bytes(connection)
