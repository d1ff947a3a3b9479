"""Setting a buffer right: bad rows go, and what is missing gets a number.

The books count what was recorded, delivered and dropped as it happens; what is stored
is measured. Where the sum is short, records are gone that nobody dropped.
"""

import sqlite3
from typing import Any

from probekit.buffer import accounts
from probekit.buffer.checksums import of_words
from probekit.buffer.pace import Pace
from probekit.buffer.salvage import CHECKED, is_good

_KEYS = {"point": ("window", "series")}


def sweep(connection: sqlite3.Connection) -> int:
    """Delete every row whose checksum is wrong; how many there were.

    Threads:
        Those of ours only: reads the whole buffer.
    """
    before, connection.text_factory = connection.text_factory, _text
    try:
        return sum(_sweep(connection, table) for table in CHECKED)
    finally:
        connection.text_factory = before


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _sweep(connection: sqlite3.Connection, table: str) -> int:
    keys = _KEYS.get(table, (CHECKED[table][0],))
    cursor = connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - our words
    places = [[name for name, *_ in cursor.description].index(key) for key in keys]
    pace, bad = Pace(), []
    for row in cursor:
        if not is_good(table, row):
            bad.append([row[place] for place in places])
        pace.breathe()
    where = " AND ".join(f"{key} IS ?" for key in keys)
    for values in bad:
        connection.execute(f"DELETE FROM {table} WHERE {where}", values)  # noqa: S608
    return len(bad)


def settle(connection: sqlite3.Connection, reason: str) -> "dict[str, int]":
    """Make what is stored consistent, and book what is missing as dropped.

    Args:
        connection: In a write transaction.
        reason: Of the drop.

    Returns:
        Signal → records that are missing.

    """
    for statement in _ORPHANS:
        connection.execute(statement)
    _shrink_windows(connection)
    return {
        signal: missing
        for signal in accounts.SIGNALS
        if (missing := accounts.balance(connection, signal, reason))
    }


_ORPHANS = (
    (
        "DELETE FROM point WHERE window NOT IN (SELECT id FROM window) "
        "OR series NOT IN (SELECT id FROM series)"
    ),
    (
        "DELETE FROM refused WHERE signal = 'metrics' AND NOT EXISTS "
        "(SELECT 1 FROM point WHERE window = record AND point.series = refused.series)"
    ),
    (
        "DELETE FROM refused WHERE signal = 'events' "
        "AND record NOT IN (SELECT number FROM event)"
    ),
    (
        "DELETE FROM refused WHERE signal = 'spans' "
        "AND record NOT IN (SELECT number FROM span)"
    ),
)


def _shrink_windows(connection: sqlite3.Connection) -> None:
    """Windows stand for the points that are left of them."""
    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT id, start_unix_ns, end_unix_ns, epoch, (SELECT coalesce(sum(count), 0) "
        "FROM point WHERE point.window = window.id) AS held, measurements FROM window "
        "WHERE held <> measurements",
    ).fetchall()
    for *facts, _ in rows:
        connection.execute(
            "UPDATE window SET measurements = ?, crc = ? WHERE id = ?",
            (facts[-1], of_words(*facts), facts[0]),
        )
