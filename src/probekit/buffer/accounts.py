"""The books: ``recorded == delivered + stored + dropped{reason}``, exact at all times.

Recorded, delivered and dropped are counted as things happen; stored is measured from
the tables, so that the equation is a law that a mistake would break. A record counts
as delivered once every exporter that takes its signal has passed it; ``counted`` is the
last number up to which that was booked, and never falls.
"""

import sqlite3
from dataclasses import dataclass

from probekit.buffer.status import Account
from probekit.model import Signal

SIGNALS: "tuple[Signal, ...]" = ("metrics", "events", "spans")
TABLE: "dict[Signal, tuple[str, str]]" = {
    "metrics": ("window", "id"),
    "events": ("event", "number"),
    "spans": ("span", "number"),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that an exporter will never deliver.

    Attributes:
        signal: Its signal.
        record: Window id, or number of the event or span.
        series: Series id of a point; 0 for events and spans.
        count: Measurements behind it; 1 for events and spans.
    """

    signal: Signal
    record: int
    series: int = 0
    count: int = 1


def last(connection: sqlite3.Connection, signal: Signal) -> int:
    """The last window id or number that was given."""
    row = connection.execute("SELECT last FROM account WHERE signal = ?", (signal,))
    return int(row.fetchone()[0])


def set_last(connection: sqlite3.Connection, signal: Signal, number: int) -> None:
    """Numbers up to *number* are given, for ever."""
    connection.execute(
        "UPDATE account SET last = ? WHERE signal = ?",
        (number, signal),
    )


def counted(connection: sqlite3.Connection, signal: Signal) -> int:
    """The last number that is booked as delivered."""
    row = connection.execute("SELECT counted FROM account WHERE signal = ?", (signal,))
    return int(row.fetchone()[0])


def record(connection: sqlite3.Connection, signal: Signal, count: int) -> None:
    """Book *count* as recorded."""
    connection.execute(
        "UPDATE account SET recorded = recorded + ? WHERE signal = ?",
        (count, signal),
    )


def drop(
    connection: sqlite3.Connection,
    signal: Signal,
    reason: str,
    count: int,
) -> None:
    """Book *count* as dropped for *reason*."""
    if count:
        connection.execute(
            "INSERT INTO loss VALUES (?, ?, ?) ON CONFLICT (signal, reason) "
            "DO UPDATE SET count = count + excluded.count",
            (signal, reason, count),
        )


def refuse(
    connection: sqlite3.Connection,
    refusals: "list[Refusal]",
    reason: str,
) -> None:
    """Book records as dropped that one exporter refuses; each record only once."""
    booked = {signal: counted(connection, signal) for signal in SIGNALS}
    for refusal in refusals:
        if refusal.record <= booked[refusal.signal]:
            continue  # delivered in the books; only a latecomer refuses it
        if not _is_stored(connection, refusal):
            continue  # it went with a damaged file, and has its number
        key = (refusal.signal, refusal.record, refusal.series)
        row = connection.execute(
            "SELECT count FROM refused WHERE signal = ? AND record = ? AND series = ?",
            key,
        ).fetchone()
        before = row[0] if row else 0
        if refusal.count > before:
            connection.execute(
                "INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?)",
                (*key, refusal.count),
            )
            drop(connection, refusal.signal, reason, refusal.count - before)


def _is_stored(connection: sqlite3.Connection, refusal: Refusal) -> bool:
    if refusal.signal == "metrics":
        found = connection.execute(
            "SELECT 1 FROM point WHERE window = ? AND series = ?",
            (refusal.record, refusal.series),
        )
    else:
        table, number = TABLE[refusal.signal]
        found = connection.execute(
            f"SELECT 1 FROM {table} WHERE {number} = ?",  # noqa: S608 - our own words
            (refusal.record,),
        )
    return found.fetchone() is not None


def measure(
    connection: sqlite3.Connection,
    signal: Signal,
    after: int,
    through: int,
) -> int:
    """What is stored in ``(after, through]`` and not refused, in the books' unit."""
    table, number = TABLE[signal]
    what = "coalesce(sum(measurements), 0)" if signal == "metrics" else "count(*)"
    rows = connection.execute(
        f"SELECT {what} FROM {table} WHERE {number} > ? AND {number} <= ?",  # noqa: S608
        (after, through),
    ).fetchone()[0]
    refused = connection.execute(
        "SELECT coalesce(sum(count), 0) FROM refused "
        "WHERE signal = ? AND record > ? AND record <= ?",
        (signal, after, through),
    ).fetchone()[0]
    return int(rows) - int(refused)


def book_delivered(connection: sqlite3.Connection) -> None:
    """Book what every taking exporter has passed since the last booking."""
    for signal in SIGNALS:
        through = passed_by_all(connection, signal)
        before = counted(connection, signal)
        if through is None or through <= before:
            continue
        delivered = measure(connection, signal, before, through)
        connection.execute(
            "UPDATE account SET delivered = delivered + ?, counted = ? "
            "WHERE signal = ?",
            (delivered, through, signal),
        )
        connection.execute(
            "DELETE FROM refused WHERE signal = ? AND record <= ?",
            (signal, through),
        )
        if through >= last(connection, signal):
            # Nothing waits any more: whatever is missing went without a number.
            balance(connection, signal, CORRUPT)


CORRUPT = "corrupt"


def balance(connection: sqlite3.Connection, signal: Signal, reason: str) -> int:
    """Book what is missing as dropped, and what is too much as recorded.

    Returns:
        How many records are missing; negative when there are too many.

    """
    recorded, delivered, before = connection.execute(
        "SELECT recorded, delivered, counted FROM account WHERE signal = ?",
        (signal,),
    ).fetchone()
    dropped = connection.execute(
        "SELECT coalesce(sum(count), 0) FROM loss WHERE signal = ?",
        (signal,),
    ).fetchone()[0]
    stored = measure(connection, signal, before, 1 << 62)
    missing = int(recorded - delivered - dropped - stored)
    if missing > 0:
        drop(connection, signal, reason, missing)
    elif missing < 0:
        record(connection, signal, -missing)
    return missing


def passed_by_all(connection: sqlite3.Connection, signal: Signal) -> "int | None":
    """Last number that every taking exporter has passed; None when nobody takes it."""
    column = {
        "metrics": "CASE WHEN series >= 4611686018427387904 "
        "THEN window ELSE window - 1 END",
        "events": "event",
        "spans": "span",
    }[signal]
    row = connection.execute(
        f"SELECT min({column}) FROM cursor WHERE signals LIKE ?",  # noqa: S608
        (f"%{signal}%",),
    ).fetchone()
    return None if row[0] is None else int(row[0])


def books(connection: sqlite3.Connection) -> "dict[Signal, Account]":
    """The accounts of all signals."""
    found: dict[Signal, Account] = {}
    for signal in SIGNALS:
        recorded, delivered, before = connection.execute(
            "SELECT recorded, delivered, counted FROM account WHERE signal = ?",
            (signal,),
        ).fetchone()
        dropped = connection.execute(
            "SELECT reason, count FROM loss WHERE signal = ? ORDER BY reason",
            (signal,),
        )
        stored = measure(connection, signal, before, 1 << 62)
        found[signal] = Account(recorded, delivered, stored, dict(dropped.fetchall()))
    return found
