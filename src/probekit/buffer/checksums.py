"""Checksums of stored rows: SQLite has none, and a flipped bit would be a wrong value.

Each is a CRC-32 over all that is sent of a row and over its key, so that a row that
turns up in another one's place is found out as well.
"""

import sqlite3
import struct
from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

from probekit.histogram import Histogram

_POINT = struct.Struct("<qqqdddd")
_TOTAL = struct.Struct("<qqdddddddq")
_NOTHING = float("nan")


def of_point(row: "tuple[Any, ...]") -> int:
    """Of (window, series, count, value, total, min, max, bins), whatever follows."""
    window, series, count, value, total, low, high, bins = row[:8]
    head = _POINT.pack(
        window,
        series,
        count,
        _NOTHING if value is None else value + 0.0,  # -0.0 is stored as 0
        _NOTHING if total is None else total + 0.0,
        _NOTHING if low is None else low + 0.0,
        _NOTHING if high is None else high + 0.0,
    )
    return crc32(head) if bins is None else crc32(bins, crc32(head))


def histogram_point(
    window: int, series: int, count: int, histogram: Histogram
) -> "tuple[Any, ...]":
    """A row of ``point`` with its checksum, as :func:`sealed` would make it."""
    total, low, high = histogram.sum, histogram.min, histogram.max
    bins = histogram.to_blob()
    head = _POINT.pack(
        window, series, count, total + 0.0, _NOTHING, low + 0.0, high + 0.0
    )
    crc = crc32(bins, crc32(head))
    return window, series, count, total, None, low, high, bins, crc


def sealed(row: "tuple[Any, ...]") -> "tuple[Any, ...]":
    """A row of ``point`` with its checksum."""
    return (*row, of_point(row))


# What a row of ``series`` says beside what the series is: where it stands.
STANDING = (
    *("count", "sum", "last", "min", "max", "p50", "p95", "p99"),
    *("bins", "updated_unix_ns"),
)


def of_total(row: "tuple[Any, ...]") -> int:
    """Of the id of a series and where it stands, in the order of ``STANDING``."""
    series, count, total, last, low, high, p50, p95, p99, bins, updated_ns = row
    head = _TOTAL.pack(
        series,
        count,
        total + 0.0,
        _NOTHING if last is None else last + 0.0,
        _NOTHING if low is None else low + 0.0,
        _NOTHING if high is None else high + 0.0,
        _NOTHING if p50 is None else p50 + 0.0,
        _NOTHING if p95 is None else p95 + 0.0,
        _NOTHING if p99 is None else p99 + 0.0,
        updated_ns,
    )
    return crc32(head) if bins is None else crc32(bins, crc32(head))


def histogram_total(
    series: int,
    count: int,
    histogram: Histogram,
    shown: "Sequence[float]",
    *,
    bins: bytes,
    updated_ns: int,
) -> "tuple[Any, ...]":
    """Id, standing and checksum of a histogram, as by :func:`of_total`."""
    total, low, high = histogram.sum, histogram.min, histogram.max
    p50, p95, p99 = shown
    head = _TOTAL.pack(
        *(series, count, total + 0.0, _NOTHING, low + 0.0, high + 0.0),
        *(p50 + 0.0, p95 + 0.0, p99 + 0.0, updated_ns),
    )
    crc = crc32(bins, crc32(head))
    facts = (series, count, total, None, low, high, p50, p95, p99)
    return (*facts, bins, updated_ns, crc)


def is_total_good(row: "tuple[Any, ...]") -> bool:
    """Whether (id, what ``STANDING`` names, checksum) is what was written."""
    try:
        return bool(row[-1] == of_total(row[:-1]))
    except Exception:  # a number that became a text, a blob, nothing
        return False


def of_letter(row: "tuple[Any, ...]") -> int:
    """Of (exporter, time, reason, records, batch)."""
    return of_words(*row)


def of_words(*words: "str | int") -> int:
    """Of texts and whole numbers.

    Example:
        >>> of_words(1, "a") == of_words("1", "a") != of_words(1, "b")
        True

    """
    return crc32("\0".join(map(str, words)).encode("utf-8", "surrogatepass"))


def of_event(row: "tuple[Any, ...]") -> int:
    """Of (number, time, name, severity, body, attributes, trace, span).

    Not of the window, which changes when windows are merged.
    """
    number, at, name, level, body, attributes, trace_id, span_id = row
    head = f"{number}\0{at}\0{name}\0{level}\0{body}\0{attributes}"
    return crc32(f"{head}\0{trace_id}\0{span_id}".encode())


def of_span(number: int, record: str) -> int:
    """Of a span's number and record, which has all that is sent."""
    return crc32(f"{number}\0{record}".encode())


# Table → what its checksum is made of, a whole row without it.
OF: "dict[str, Callable[[tuple[Any, ...]], int]]" = {
    "series": lambda row: of_words(*row[:7]),
    "window": lambda row: of_words(*row[:5]),
    "point": of_point,
    "event": lambda row: of_event((row[0], *row[2:])),
    "span": lambda row: of_span(row[0], row[-1]),
    "dead_letter": lambda row: of_letter(row[1:]),
}


def is_good(table: str, row: "tuple[Any, ...]") -> bool:
    """Whether a whole row of *table*, checksum last, is what was written."""
    try:
        numbered = table not in {"event", "span"} or isinstance(row[1], int)
        return numbered and bool(row[-1] == OF[table](row[:-1]))
    except Exception:  # a number that became a text, a blob, nothing
        return False


def columns(connection: sqlite3.Connection, table: str) -> "list[str]":
    """Names of a table's columns but the checksum's."""
    return [name for name in _columns(connection, table) if name != "crc"]


def _columns(connection: sqlite3.Connection, table: str) -> "list[str]":
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def add_checksums(connection: sqlite3.Connection) -> None:
    """Give rows of an older file the checksums that they lack.

    In a transaction of the caller's.
    """
    for table, of_row in OF.items():
        known = columns(connection, table)
        _add(connection, table, "crc", [n for n in known if n != "total_crc"], of_row)
    _add(connection, "segment", "crc", ["ids"], lambda row: crc32(row[0]))
    _add(connection, "series", "total_crc", ["id", *STANDING], of_total)


def _add(
    connection: sqlite3.Connection,
    table: str,
    column: str,
    names: "list[str]",
    of_row: "Callable[[tuple[Any, ...]], int]",
) -> None:
    if column in _columns(connection, table):
        return
    connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER")
    connection.create_function("crc_of_row", -1, lambda *row: of_row(row))
    listed = ", ".join(names)
    connection.execute(f"UPDATE {table} SET {column} = crc_of_row({listed})")  # noqa: S608
    connection.create_function("crc_of_row", -1, None)
