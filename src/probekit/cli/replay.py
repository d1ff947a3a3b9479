"""History of a buffer as parcels for a courier; no cursor of the buffer moves.

The buffer is copied into memory first, which takes a moment: what the leader rolls up
or deletes meanwhile is not missed, and its write-ahead log is not held up.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from probekit.buffer.cumulative import Cumulative
from probekit.buffer.meta import began_unix_ns, stored_resource
from probekit.buffer.parcel import WHOLE, Cursor, Parcel
from probekit.buffer.readings import (
    events_between,
    points_between,
    spans_between,
    windows_of,
)
from probekit.buffer.snapshot import read_snapshot
from probekit.buffer.totals import Totals
from probekit.cli.reader import buffer_id, reading
from probekit.model import Event, Snapshot, Span, Window
from probekit.ports import DeliveryContract


@dataclass(slots=True)
class Replayed:
    """What has become of the history so far.

    Attributes:
        points: Points that were delivered.
        events: Events that were delivered.
        spans: Spans that were delivered.
        refused: Records that the far side will never take.
        expired: Records that are too old for the far side.
        reason: Why the last refused one was.
        error: What went wrong last; empty once something was delivered.
    """

    points: int = 0
    events: int = 0
    spans: int = 0
    refused: int = 0
    expired: int = 0
    reason: str = ""
    error: str = ""


@dataclass(slots=True)
class Replay:
    """Hands out what lies between two moments; what a courier needs of a store.

    Attributes:
        connection: To a copy of the buffer.
        since_ns: Windows that end later, events and spans that are later.
        until_ns: Windows that start earlier, events and spans that are earlier.
        now_ns: For the age of records.
        done: The books.
    """

    connection: sqlite3.Connection
    since_ns: int
    until_ns: int
    now_ns: int
    done: Replayed = field(default_factory=Replayed)
    _totals: Totals = field(default_factory=Totals)
    _running: Cumulative = field(default_factory=Cumulative)
    _at: "Cursor | None" = None
    _end: Cursor = field(default_factory=Cursor)

    @property
    def buffer_id(self) -> str:
        """Names the buffer."""
        return buffer_id(self.connection)

    def snapshot(self) -> Snapshot:
        """Where every series stands, so that names come in their lasting order."""
        return read_snapshot(self.connection)

    def next_batch(
        self, _exporter: str, contract: DeliveryContract, *, limit: int
    ) -> "Parcel | None":
        """The next records that the contract takes; None at the end."""
        if self._at is None:
            self._begin(contract)
        while True:
            parcel = self._portion(contract, limit)
            if len(parcel) or parcel.through == parcel.since:
                return parcel if len(parcel) else None
            self._at = parcel.through  # all of it was too old, or of another time

    def advance(self, _exporter: str, parcel: Parcel) -> None:
        """It is delivered."""
        self._pass(parcel)
        self.done.points += sum(len(window.points) for window in parcel.windows)
        self.done.events += len(parcel.events)
        self.done.spans += len(parcel.spans)
        self.done.error = ""

    def bury(self, _exporter: str, parcel: Parcel, reason: str) -> None:
        """It is refused for ever."""
        self._pass(parcel)
        self.done.refused += len(parcel)
        self.done.reason = reason

    def refused(self, exporter: str, parcel: Parcel, count: int, reason: str) -> None:
        """It is delivered but for some records; which ones, nobody tells."""
        self.advance(exporter, parcel)
        points = min(count, sum(len(window.points) for window in parcel.windows))
        events = min(count - points, len(parcel.events))
        self.done.points -= points
        self.done.events -= events
        self.done.spans -= min(count - points - events, len(parcel.spans))
        self.done.refused += count
        self.done.reason = reason

    def note_error(self, _exporter: str, text: str) -> None:
        """What went wrong last."""
        self.done.error = text

    def _pass(self, parcel: Parcel) -> None:
        self._at = (self._at or Cursor()).after(parcel.through)

    def _begin(self, contract: DeliveryContract) -> None:
        self._totals.load(self.connection, 0)
        first, last = self._ids("window", "id", "end_unix_ns", "start_unix_ns")
        event, last_event = self._ids("event", "number", "time_unix_ns", "time_unix_ns")
        span, last_span = self._ids("span", "number", "end_unix_ns", "end_unix_ns")
        self._at = Cursor(first - 1, WHOLE, event - 1, span - 1)
        wants = contract.signals
        self._end = Cursor(
            last if "metrics" in wants else first - 1,
            WHOLE,
            last_event if "events" in wants else event - 1,
            last_span if "spans" in wants else span - 1,
        )

    def _ids(self, table: str, id_: str, ends: str, starts: str) -> "tuple[int, int]":
        """First and last id between the moments; (1, 0) when there is none."""
        sql = f"SELECT min({id_}), max({id_}) FROM {table} WHERE {ends} > ? AND {starts} < ?"  # noqa: S608, E501 - every word is ours
        row = self.connection.execute(sql, (self.since_ns, self.until_ns)).fetchone()
        return (1, 0) if row[0] is None else (row[0], row[1])

    def _portion(self, contract: DeliveryContract, limit: int) -> Parcel:
        at, end = self._at or Cursor(), self._end
        points = points_between(
            self.connection, self._totals, at, (end.window, end.series), limit
        )
        whole = len(points) < limit
        window, series = end.window, end.series
        if not whole:
            window, series = points[-1][0], points[-1][1].series_id
        through = Cursor(window, series, at.event, at.span)
        windows = windows_of(self.connection, points, at, (window, series))
        if contract.cumulative:
            windows = self._running.fill(
                self.connection,
                self._totals,
                opened=0,
                since=at,
                through=through,
                windows=windows,
            )
        events, spans = self._records(at, limit - len(points))
        through = Cursor(
            window,
            series,
            events[-1].number if events else at.event,
            spans[-1].number if spans else at.span,
        ).after(at)
        kept = self._kept(contract, windows, events, spans)
        resource = stored_resource(self.connection)
        began = began_unix_ns(self.connection)
        return Parcel(self.buffer_id, resource, *kept, began, since=at, through=through)

    def _records(self, at: Cursor, left: int) -> "tuple[list[Event], list[Span]]":
        """Up to *left* events and spans, once all points are through."""
        if left <= 0:
            return [], []
        end = self._end
        events = events_between(self.connection, at.event, end.event, left)
        left -= len(events)
        if left <= 0:
            return events, []
        return events, spans_between(self.connection, at.span, end.span, left)

    def _kept(
        self,
        contract: DeliveryContract,
        windows: "list[Window]",
        events: "list[Event]",
        spans: "list[Span]",
    ) -> "tuple[tuple[Window, ...], tuple[Event, ...], tuple[Span, ...]]":
        """What lies between the moments and is not too old for the far side.

        Ids rise with time but for steps of the clock; hence another look.
        """
        oldest_ns = self.since_ns
        if contract.max_age_s is not None:
            oldest_ns = max(oldest_ns, self.now_ns - int(contract.max_age_s * 1e9))

        def fits(end_ns: int, start_ns: int, records: int) -> bool:
            if start_ns >= self.until_ns or end_ns <= self.since_ns:
                return False
            self.done.expired += records if end_ns <= oldest_ns else 0
            return end_ns > oldest_ns

        return (
            tuple(
                w
                for w in windows
                if fits(w.end_unix_ns, w.start_unix_ns, len(w.points))
            ),
            tuple(e for e in events if fits(e.time_unix_ns, e.time_unix_ns, 1)),
            tuple(s for s in spans if fits(s.end_unix_ns, s.end_unix_ns, 1)),
        )


@contextmanager
def copied(path: Path) -> "Iterator[sqlite3.Connection]":
    """A copy of the buffer in memory, as of one moment."""
    with closing(sqlite3.connect(":memory:")) as copy:
        with reading(path) as connection:
            connection.backup(copy)
        yield copy
