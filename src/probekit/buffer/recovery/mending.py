"""Setting a buffer right: bad rows go, and what is missing gets a number.

The books count what was recorded, delivered and dropped as it happens; what is stored
is measured. Where the sum is short, records are gone that nobody dropped.
"""

import json
import sqlite3
from typing import Any

from probekit.buffer import accounts
from probekit.buffer.checksums import OF, columns, is_good, of_words
from probekit.pace import Pace


def sweep(connection: sqlite3.Connection) -> "tuple[int, int]":
    """Delete every row whose checksum is wrong.

    Returns:
        How many there were, and how many of them cannot be found to be deleted:
        then it is the file's order that is damaged, not only its rows.

    Threads:
        Those of ours only: reads the whole buffer.
    """
    before, connection.text_factory = connection.text_factory, lenient
    try:
        found = [_sweep(connection, table) for table in OF]
        _sweep_resources(connection)
    finally:
        connection.text_factory = before
    return sum(bad for bad, _ in found), sum(left for _, left in found)


def lenient(raw: bytes) -> str:
    """Text of a damaged row; its checksum will not agree."""
    return raw.decode("utf-8", "replace")


def _sweep(connection: sqlite3.Connection, table: str) -> "tuple[int, int]":
    names = (*columns(connection, table), "crc")
    keys = ("window", "series") if table == "point" else names[:1]
    cursor = connection.execute(f"SELECT {', '.join(names)} FROM {table}")  # noqa: S608
    places = [names.index(key) for key in keys]
    pace, bad = Pace(), []
    for row in cursor:
        if not is_good(table, row):
            bad.append([row[place] for place in places])
        pace.breathe()
    where = " AND ".join(f"{key} IS ?" for key in keys)
    statement = f"DELETE FROM {table} WHERE {where}"  # noqa: S608 - our own words
    gone = [connection.execute(statement, values).rowcount for values in bad]
    return len(bad), gone.count(0)


def _sweep_resources(connection: sqlite3.Connection) -> None:
    rows = connection.execute("SELECT id, attributes FROM resource").fetchall()
    for number in (row[0] for row in rows if not _is_mapping(row[1])):
        connection.execute("DELETE FROM resource WHERE id IS ?", (number,))


def _is_mapping(text: object) -> bool:
    try:
        return isinstance(json.loads(str(text)), dict)
    except ValueError:
        return False


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
