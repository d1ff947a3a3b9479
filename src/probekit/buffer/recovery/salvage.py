"""What can still be read of a damaged buffer, copied into a new one.

Rows are read in ranges of their keys; a range that meets a torn page is halved until
the torn part stands alone. What fails its checksum is left where it is. The damaged
file itself is only read.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zlib import crc32

from probekit.buffer import sql
from probekit.buffer.checksums import OF, columns, is_good
from probekit.buffer.recovery import copybook
from probekit.buffer.recovery.copybook import Books
from probekit.buffer.recovery.firstpage import readable
from probekit.buffer.recovery.mending import lenient

_CHUNK = 4096  # keys asked for at once
_TRIES = 20_000  # ranges that may fail before the rest is given up
_BUDGET_S = 5.0


_KEYS = {**dict.fromkeys(("series", "window", "dead_letter"), "id"), "point": "window"}
_LATER = {"total_crc"}  # columns that rows of an older file may lack
_PLAIN = ("resource", "problem")
_VERB = "INSERT OR IGNORE INTO"


def read_books(kept: Path) -> "Books | None":
    """The small tables of a damaged file; None when they cannot be read."""
    try:
        with closing(_open(kept)) as source:
            found = copybook.read(source)
    except (sqlite3.Error, TypeError, ValueError):
        return None
    whole = found.buffer_id and len(found.tables["account"]) > 0
    return found if whole else None


def copy_rows(kept: Path, connection: sqlite3.Connection) -> None:
    """Copy every good row of *kept* that is not there yet, in the caller's transaction.

    Threads:
        Those of ours only: takes seconds for a large file.
    """
    with suppress(OSError), readable(kept) as path:  # it is gone, or there is no room
        _copy_from(path, connection)


def _copy_from(path: Path, connection: sqlite3.Connection) -> None:
    with closing(_open(path)) as source:
        end_s = time.monotonic() + _BUDGET_S
        for table in OF:
            _copy(source, connection, table, end_s)
        for table in _PLAIN:
            _copy_whole(source, connection, table)
        _copy_ids(source, connection)


def _open(kept: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(kept))}?mode=ro",
        uri=True,
        timeout=0.1,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.text_factory = lenient
    return connection


def _copy(
    source: sqlite3.Connection,
    connection: sqlite3.Connection,
    table: str,
    end_s: float,
) -> None:
    key = _KEYS.get(table, "number")
    names = columns(connection, table)
    try:
        found = set(columns(source, table))
        low, high = _bounds(source, table, key), _bounds(source, table, key, "DESC")
    except sqlite3.Error:
        return
    names = [name for name in names if name in found or name not in _LATER]
    if low is None or high is None or not set(names) <= found:
        return
    listed = ", ".join((*names, "crc"))
    statement = f"SELECT {listed} FROM {table} WHERE {key} BETWEEN ? AND ?"  # noqa: S608
    for rows in _readable(source, statement, low, high, end_s):
        good = [row for row in rows if is_good(table, row)]
        sql.insert(connection, f"{table} ({listed})", good, verb=_VERB)


def _bounds(
    source: sqlite3.Connection, table: str, key: str, order: str = "ASC"
) -> "int | None":
    """The first or the last key, past rows whose key is no number."""
    row = source.execute(
        f"SELECT {key} FROM {table} WHERE {key} >= 0 "  # noqa: S608 - our own words
        f"ORDER BY {key} {order} LIMIT 1",
    ).fetchone()
    return None if row is None else int(row[0])


def _readable(
    source: sqlite3.Connection,
    statement: str,
    low: int,
    high: int,
    end_s: float,
) -> "Iterator[list[tuple[Any, ...]]]":
    """Rows of all ranges that can be read."""
    tries = _TRIES
    ranges = [(low, high)]
    while ranges and tries > 0 and time.monotonic() < end_s:
        first, last = ranges.pop()
        if last - first >= _CHUNK:
            ranges.append((first + _CHUNK, last))
            last = first + _CHUNK - 1
        try:
            yield source.execute(statement, (first, last)).fetchall()
        except sqlite3.Error:
            tries -= 1
            if first < last:
                middle = (first + last) // 2
                ranges += [(middle + 1, last), (first, middle)]


def _copy_whole(
    source: sqlite3.Connection, connection: sqlite3.Connection, table: str
) -> None:
    """A small table, up to the first row that cannot be read."""
    rows: list[tuple[Any, ...]] = []
    with suppress(sqlite3.Error):
        rows.extend(source.execute(f"SELECT * FROM {table}"))  # noqa: S608 - ours
    sql.insert(connection, table, rows, verb=_VERB)


def _copy_ids(source: sqlite3.Connection, connection: sqlite3.Connection) -> None:
    """Which series the local ids of each segment are."""
    try:
        rows = source.execute("SELECT name, ids, crc FROM segment").fetchall()
    except sqlite3.Error:
        return
    for name, ids, crc in rows:
        if isinstance(ids, bytes) and len(ids) and crc == crc32(ids):
            connection.execute(
                "UPDATE segment SET ids = ?, crc = ? WHERE name = ?",
                (ids, crc, name),
            )
