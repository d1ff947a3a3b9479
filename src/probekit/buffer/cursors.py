"""Each exporter's way through the buffer: what it gets next, what it has passed.

What was handed out once is remembered (``offered``) before it is sent, and is made up
the same way again until it is passed: a repetition after a crash has the same content
and the same key. Nothing that was offered and not passed is ever merged.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from probekit.buffer import accounts
from probekit.buffer.accounts import Refusal
from probekit.buffer.checksums import of_letter
from probekit.buffer.meta import read_meta, write_meta
from probekit.buffer.parcel import WHOLE, Cursor, Parcel
from probekit.buffer.readings import (
    events_between,
    points_between,
    spans_between,
    windows_of,
)
from probekit.buffer.totals import Totals
from probekit.model import Event, Signal, Span, Window
from probekit.ports import DeliveryContract


@dataclass(slots=True)
class Portion:
    """What lies between two cursors, for one contract.

    Attributes:
        since: Where it begins.
        through: Where it ends.
        windows: Not too old.
        events: Not too old.
        spans: Not too old.
        expired: Records that are too old for the far side.
        is_new: Whether it was never offered before.
    """

    since: Cursor
    through: Cursor
    windows: "list[Window]" = field(default_factory=list)
    events: "list[Event]" = field(default_factory=list)
    spans: "list[Span]" = field(default_factory=list)
    expired: "list[Refusal]" = field(default_factory=list)
    is_new: bool = True

    def __len__(self) -> int:
        """Records to send."""
        points = sum(len(window.points) for window in self.windows)
        return points + len(self.events) + len(self.spans)


def register(connection: sqlite3.Connection, exporters: Sequence[str]) -> None:
    """Make cursors for these, drop all others.

    Where a dropped one stood is remembered: an exporter that comes back, a restart
    or a moment later, goes on from there and repeats nothing.
    """
    for (name,) in connection.execute("SELECT exporter FROM cursor").fetchall():
        if name not in exporters:
            _park(connection, name)
            connection.execute("DELETE FROM cursor WHERE exporter = ?", (name,))
    for name in exporters:
        made = connection.execute(
            "INSERT OR IGNORE INTO cursor (exporter) VALUES (?)",
            (name,),
        ).rowcount
        if made:
            _unpark(connection, name)
    accounts.book_delivered(connection)


_PLACES = (
    *("window", "series", "event", "span"),
    *("offered_window", "offered_series", "offered_event", "offered_span"),
)


def _park(connection: sqlite3.Connection, name: str) -> None:
    """Remember where a cursor stands."""
    columns = ", ".join(_PLACES)
    row = connection.execute(
        f"SELECT {columns} FROM cursor WHERE exporter = ?",  # noqa: S608 - our names
        (name,),
    ).fetchone()
    write_meta(connection, f"cursor:{name}", json.dumps(row))


def _unpark(connection: sqlite3.Connection, name: str) -> None:
    """Put a new cursor where the last one of its name stood."""
    text = read_meta(connection, f"cursor:{name}")
    if text is None:
        return
    columns = ", ".join(f"{place} = ?" for place in _PLACES)
    connection.execute(
        f"UPDATE cursor SET {columns} WHERE exporter = ?",  # noqa: S608 - the same
        (*json.loads(text), name),
    )
    connection.execute("DELETE FROM meta WHERE key = ?", (f"cursor:{name}",))


def join_slowest(connection: sqlite3.Connection, name: str) -> None:
    """Make a cursor *name* where the slowest one stands, signal by signal.

    What no exporter takes has been given to nobody: there it stands at the beginning.
    """
    window, series = _slowest(connection, "metrics", "window, series") or (0, WHOLE)
    event, span = (
        (_slowest(connection, signal, column) or (0,))[0]
        for signal, column in (("events", "event"), ("spans", "span"))
    )
    connection.execute("INSERT INTO cursor (exporter) VALUES (?)", (name,))
    for kind in ("", "offered_"):
        move(connection, name, Cursor(window, series, event, span), kind)


def _slowest(
    connection: sqlite3.Connection, signal: str, columns: str
) -> "tuple[int, ...] | None":
    row: tuple[int, ...] | None = connection.execute(
        f"SELECT {columns} FROM cursor WHERE signals LIKE ? "  # noqa: S608 - our names
        f"ORDER BY {columns} LIMIT 1",
        (f"%{signal}%",),
    ).fetchone()
    return row


def read(connection: sqlite3.Connection, exporter: str, kind: str = "") -> Cursor:
    """A cursor; ``kind="offered_"`` for what was handed out."""
    row = connection.execute(
        f"SELECT {kind}window, {kind}series, {kind}event, {kind}span "  # noqa: S608
        "FROM cursor WHERE exporter = ?",
        (exporter,),
    ).fetchone()
    return Cursor(*row) if row else Cursor()


def move(
    connection: sqlite3.Connection,
    exporter: str,
    cursor: Cursor,
    kind: str = "",
) -> None:
    """Move a cursor forward; never back."""
    cursor = cursor.after(read(connection, exporter, kind))
    connection.execute(
        f"UPDATE cursor SET {kind}window = ?, {kind}series = ?, "  # noqa: S608
        f"{kind}event = ?, {kind}span = ? WHERE exporter = ?",
        (cursor.window, cursor.series, cursor.event, cursor.span, exporter),
    )


def is_waiting(
    connection: sqlite3.Connection,
    exporter: str,
    contract: DeliveryContract,
) -> bool:
    """Whether the exporter stands before the end, or takes other signals now."""
    row = connection.execute(
        "SELECT signals FROM cursor WHERE exporter = ?",
        (exporter,),
    ).fetchone()
    if row is None:
        return False
    stranger = row[0] != signal_text(contract.signals)
    return stranger or read(connection, exporter) != _end(connection)


def offer(connection: sqlite3.Connection, exporter: str, found: Portion) -> None:
    """Remember what is about to be sent; pass what never will be."""
    accounts.refuse(connection, found.expired, "expired")
    if len(found):
        if found.is_new:
            move(connection, exporter, found.through, "offered_")
    else:
        move(connection, exporter, found.through, "offered_")
        move(connection, exporter, found.through)
        accounts.book_delivered(connection)


def note_signals(
    connection: sqlite3.Connection,
    exporter: str,
    signals: "frozenset[Signal]",
) -> None:
    """Keep which signals the exporter takes; the books depend on it."""
    changed = connection.execute(
        "UPDATE cursor SET signals = ? WHERE exporter = ? AND signals <> ?",
        (signal_text(signals), exporter, signal_text(signals)),
    ).rowcount
    if changed:
        accounts.book_delivered(connection)


def signal_text(signals: "frozenset[Signal]") -> str:
    """How a set of signals is stored."""
    return ",".join(sorted(signals))


def portion(
    connection: sqlite3.Connection,
    totals: Totals,
    exporter: str,
    contract: DeliveryContract,
    *,
    limit: int,
    now_ns: int,
) -> Portion:
    """The next portion after the cursor: what was offered, else something new."""
    since = read(connection, exporter)
    offered = read(connection, exporter, "offered_").after(since)
    if offered != since:
        found = Portion(since, offered, is_new=False)
        _fill(connection, totals, contract, found, -1)
    else:
        found = Portion(since, _end(connection))
        _fill(connection, totals, contract, found, limit)
    _sort_out(found, contract, now_ns)
    return found


def _end(connection: sqlite3.Connection) -> Cursor:
    window, event, span = (accounts.last(connection, s) for s in accounts.SIGNALS)
    return Cursor(window, WHOLE, event, span)


def _fill(
    connection: sqlite3.Connection,
    totals: Totals,
    contract: DeliveryContract,
    found: Portion,
    limit: int,
) -> None:
    """Read records up to *limit*: half for events, a quarter for spans at most."""
    since, through, left = found.since, found.through, limit
    event, span = through.event, through.span
    if "events" in contract.signals:
        share = max(1, limit // 2) if limit > 0 else -1
        found.events = events_between(connection, since.event, event, share)
        if len(found.events) == share:
            event = found.events[-1].number
        left -= len(found.events)
    if "spans" in contract.signals and (left > 0 or limit < 0):
        share = max(1, limit // 4) if limit > 0 else -1
        found.spans = spans_between(connection, since.span, span, share)
        if len(found.spans) == share:
            span = found.spans[-1].number
        left -= len(found.spans)
    elif "spans" in contract.signals:
        span = since.span
    window, series = through.window, through.series
    if "metrics" in contract.signals and (left > 0 or limit < 0):
        want = left + 1 if limit > 0 else -1
        end = (window, series)
        points = points_between(connection, totals, since, end, want)
        if len(points) == want:
            beyond = points.pop()[0]
            window, last = points[-1]
            series = last.series_id if window == beyond else WHOLE
        found.windows = windows_of(connection, points, since, (window, series))
    elif "metrics" in contract.signals:
        window, series = since.window, since.series
    found.through = Cursor(window, series, event, span)


def _sort_out(found: Portion, contract: DeliveryContract, now_ns: int) -> None:
    """Move what is too old for the far side to ``expired``."""
    if contract.max_age_s is None:
        return
    oldest_ns = now_ns - int(contract.max_age_s * 1e9)
    for window in found.windows:
        if window.end_unix_ns < oldest_ns:
            found.expired += window_refusals(window)
    for event in found.events:
        if event.time_unix_ns < oldest_ns:
            found.expired.append(Refusal("events", event.number))
    for span in found.spans:
        if span.end_unix_ns < oldest_ns:
            found.expired.append(Refusal("spans", span.number))
    if found.expired:
        found.windows = [w for w in found.windows if w.end_unix_ns >= oldest_ns]
        found.events = [e for e in found.events if e.time_unix_ns >= oldest_ns]
        found.spans = [s for s in found.spans if s.end_unix_ns >= oldest_ns]


def window_refusals(window: Window) -> "list[Refusal]":
    """A refusal for each point."""
    return [
        Refusal("metrics", window.id, point.series_id, point.count)
        for point in window.points
    ]


def parcel_refusals(parcel: Parcel) -> "list[Refusal]":
    """A refusal for each record."""
    return [
        *(r for window in parcel.windows for r in window_refusals(window)),
        *(Refusal("events", event.number) for event in parcel.events),
        *(Refusal("spans", span.number) for span in parcel.spans),
    ]


def delivered_through(connection: sqlite3.Connection, exporter: str) -> int:
    """Last window that the exporter has passed with all that came with it."""
    row = connection.execute(
        "SELECT signals FROM cursor WHERE exporter = ?",
        (exporter,),
    ).fetchone()
    if row is None:
        return 0
    cursor = read(connection, exporter)
    through = accounts.last(connection, "metrics")
    if "metrics" in row[0]:
        through = cursor.whole_window
    for signal, table, number in (
        ("events", "event", cursor.event),
        ("spans", "span", cursor.span),
    ):
        if signal in row[0]:
            waiting = connection.execute(
                f"SELECT window FROM {table} WHERE number > ? "  # noqa: S608
                "ORDER BY number LIMIT 1",
                (number,),
            ).fetchone()
            if waiting is not None:
                through = min(through, waiting[0] - 1)
    return max(0, through)


def dead_letter(
    connection: sqlite3.Connection,
    exporter: str,
    *,
    reason: str,
    records: int,
    batch: str,
    now_ns: int,
) -> None:
    """Keep a refused batch, within limits of count and size."""
    row = (exporter, now_ns, reason, records, batch)
    connection.execute(
        "INSERT INTO dead_letter (exporter, time_unix_ns, reason, records, batch, crc) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (*row, of_letter(row)),
    )
    connection.execute(
        "DELETE FROM dead_letter WHERE id <= (SELECT max(id) FROM dead_letter) - ?",
        (DEAD_LETTERS_LIMIT,),
    )
    connection.execute(
        "DELETE FROM dead_letter WHERE id IN (SELECT id FROM (SELECT id, "
        "sum(length(batch)) OVER (ORDER BY id DESC) AS size FROM dead_letter) "
        "WHERE size > ? AND id < (SELECT max(id) FROM dead_letter))",
        (DEAD_LETTERS_BYTES,),
    )


DEAD_LETTERS_LIMIT = 1000
DEAD_LETTERS_BYTES = 8 << 20
DEAD_LETTER_BYTES = 1 << 20
