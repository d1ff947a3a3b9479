"""Statements in bulk: many rows in one, never ``executemany``.

Each small statement gives up the interpreter's lock and may wait a switch interval for
it in a busy process; one statement of hundreds of rows waits once.

Each connection keeps its last 128 different statements, each with the values it had
last: about 200 bytes a value. So the number of rows is the largest one or a power of
two, which makes ten texts of a statement and not one for each number of rows; and the
largest one is far below what SQLite would take: 32,766 values in a statement were 20 MB
kept for ever in a process of 10,000 series, and not measurably quicker.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

VARIABLES = 4_096 if sqlite3.sqlite_version_info >= (3, 32) else 999

Row = Sequence[Any]


def insert(
    connection: sqlite3.Connection,
    into: str,
    rows: Sequence[Row],
    *,
    constants: Sequence[str] = (),
    after: str = "",
    verb: str = "INSERT INTO",
    between: Callable[[], None] = lambda: None,
) -> None:
    """Insert rows.

    Args:
        connection: In a write transaction.
        into: Table and columns, ``loss (signal, reason)``, or a table alone.
        rows: All of one length.
        constants: What each row ends with, as SQL.
        after: What follows the values, such as an upsert clause.
        verb: What comes before the table.
        between: Called before each statement; may raise to give up.

    """
    for chunk in _chunks(rows):
        between()
        places = "(" + ",".join((*"?" * len(chunk[0]), *constants)) + ")"
        values = ",".join([places] * len(chunk))
        connection.execute(
            f"{verb} {into} VALUES {values} {after}",
            list(chain.from_iterable(chunk)),
        )


def update(
    connection: sqlite3.Connection,
    table: str,
    columns: Sequence[str],
    rows: Sequence[Row],
    *,
    others: Sequence[str] = (),
    between: Callable[[], None] = lambda: None,
) -> None:
    """Set *columns* of rows found by ``id``; each row begins with its id.

    As inserts that meet the row that is there: a third quicker than an update.

    Args:
        connection: In a write transaction.
        table: Its key is ``id``.
        columns: What is set.
        rows: Id, then values in the order of *columns*.
        others: Columns that must not be NULL; they stay as they are.
        between: Called before each statement; may raise to give up.

    Raises:
        LookupError: There is no row of such an id.

    """
    before = _count(connection, table)
    setters = ", ".join(f"{name} = excluded.{name}" for name in columns)
    insert(
        connection,
        f"{table} ({', '.join(('id', *columns, *others))})",
        rows,
        constants=["''"] * len(others),
        after=f"ON CONFLICT (id) DO UPDATE SET {setters}",
        between=between,
    )
    missing = _count(connection, table) - before
    if missing:
        raise LookupError(f"{missing} rows are gone from {table}")


def _count(connection: sqlite3.Connection, table: str) -> int:
    found = connection.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - ours
    return int(found.fetchone()[0])


def select_by_id(
    connection: sqlite3.Connection,
    what: str,
    ids: Sequence[int],
) -> "Iterator[tuple[Any, ...]]":
    """Rows of ``SELECT <what> WHERE id IN ids``."""
    for start, end in _spans(len(ids), 512):
        chunk = ids[start:end]
        places = ",".join("?" * len(chunk))
        yield from connection.execute(f"{what} WHERE id IN ({places})", chunk)


def _chunks(rows: Sequence[Row]) -> "Iterator[Sequence[Row]]":
    if not rows:
        return
    for start, end in _spans(len(rows), max(1, VARIABLES // len(rows[0]))):
        yield rows[start:end]


def _spans(length: int, largest: int) -> "Iterator[tuple[int, int]]":
    """Cut *length* into pieces of *largest*, and the rest into powers of two."""
    start = 0
    while start < length:
        left = length - start
        size = largest if left >= largest else 1 << (left.bit_length() - 1)
        yield start, start + size
        start += size
