"""Rows of a buffer as the nouns of the model."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from probekit.buffer import checksums
from probekit.buffer.parcel import WHOLE, Cursor
from probekit.buffer.records import load_attributes, load_span
from probekit.buffer.totals import Totals
from probekit.errors import BufferCorrupt
from probekit.histogram import Histogram
from probekit.model import Event, Point, Span, Window


def points_between(
    connection: sqlite3.Connection,
    totals: Totals,
    since: Cursor,
    through: "tuple[int, int]",
    limit: int = -1,
) -> "list[tuple[int, Point]]":
    """Points after *since*, up to (window, series) *through*, with their window."""
    rows = connection.execute(
        "SELECT window, series, count, value, total, min, max, bins, crc FROM point "
        "WHERE (window, series) > (?, ?) AND (window, series) <= (?, ?) "
        "ORDER BY window, series LIMIT ?",
        (since.window, since.series, *through, limit),
    )
    return [(row[0], _point(totals, row)) for row in _rising(rows, 2)]


def _point(totals: Totals, row: "tuple[Any, ...]") -> Point:
    window, series_id, count, value, total, low, high, bins, crc = row
    _check(crc, checksums.of_point(row[:-1]), "a point of window", window)
    series = totals.series(series_id)
    if bins is None:
        return Point(series, value, count, total, series_id)
    histogram = Histogram.from_blob(bins, value, low, high)
    return Point(series, histogram, count, None, series_id)


def windows_of(
    connection: sqlite3.Connection,
    points: "list[tuple[int, Point]]",
    since: Cursor,
    through: "tuple[int, int]",
) -> "list[Window]":
    """The windows of points, each with its own.

    Args:
        connection: For reading.
        points: All of the stretch, with the ids of their windows.
        since: Where the stretch begins.
        through: (window, series) where it ends.

    Raises:
        BufferCorrupt: A window is not what was written, or lacks points.

    """
    grouped: dict[int, list[Point]] = {}
    for window, point in points:
        grouped.setdefault(window, []).append(point)
    rows = connection.execute(
        "SELECT id, start_unix_ns, end_unix_ns, epoch, measurements, crc FROM window "
        "WHERE id BETWEEN ? AND ? ORDER BY id",
        (since.whole_window + 1, through[0]),
    )
    ends = ((since.window, since.series), through)
    partly = {window for window, series in ends if series < WHOLE}
    found = []
    for window, start_ns, end_ns, epoch, measurements, crc in rows:
        known = (window, start_ns, end_ns, epoch, measurements)
        _check(crc, checksums.of_words(*known), "window", window)
        held = tuple(grouped.pop(window, ()))
        measured = sum(point.count for point in held)
        if measured != measurements and window not in partly:
            raise BufferCorrupt(f"window {window} in the buffer lacks points")
        if held:
            found.append(Window(window, start_ns, end_ns, held, epoch, measured))
    if grouped:
        raise BufferCorrupt(f"points of window {min(grouped)} lack their window")
    return found


def events_between(
    connection: sqlite3.Connection,
    after: int,
    through: int,
    limit: int = -1,
) -> "list[Event]":
    """Events with numbers in ``(after, through]``."""
    rows = connection.execute(
        "SELECT number, time_unix_ns, name, severity, body, attributes, trace_id, "
        "span_id, crc FROM event WHERE number > ? AND number <= ? "
        "ORDER BY number LIMIT ?",
        (after, through, limit),
    )
    return list(map(_event, _rising(rows)))


def _event(row: "tuple[Any, ...]") -> Event:
    number, at, name, level, body, raw, trace_id, span_id, crc = row
    _check(crc, checksums.of_words(*row[:-1]), "event", number)
    attributes = load_attributes(json.loads(raw))
    return Event(at, name, attributes, level, body, trace_id, span_id, number)


def spans_between(
    connection: sqlite3.Connection,
    after: int,
    through: int,
    limit: int = -1,
) -> "list[Span]":
    """Spans with numbers in ``(after, through]``."""
    rows = connection.execute(
        "SELECT number, record, crc FROM span WHERE number > ? AND number <= ? "
        "ORDER BY number LIMIT ?",
        (after, through, limit),
    )
    return list(map(_span, _rising(rows)))


def _span(row: "tuple[Any, ...]") -> Span:
    number, record, crc = row
    _check(crc, checksums.of_words(number, record), "span", number)
    return load_span(json.loads(record), number)


def later_histograms(
    connection: sqlite3.Connection,
    since: Cursor,
) -> "Iterator[tuple[int, Histogram]]":
    """All histogram points after *since*, with their series ids."""
    rows = connection.execute(
        "SELECT window, series, count, value, total, min, max, bins, crc FROM point "
        "WHERE (window, series) > (?, ?) AND bins IS NOT NULL",
        (since.window, since.series),
    )
    for row in rows:
        window, series_id, _, total, _, low, high, bins, crc = row
        _check(crc, checksums.of_point(row[:-1]), "a point of window", window)
        yield series_id, Histogram.from_blob(bins, total, low, high)


def _rising(
    rows: "Iterable[tuple[Any, ...]]", columns: int = 1
) -> "Iterator[tuple[Any, ...]]":
    """Rows whose keys rise: a page that is there twice would say everything twice."""
    last: tuple[Any, ...] = ()
    for row in rows:
        if row[:columns] <= last:
            raise BufferCorrupt(f"row {row[:columns]} in the buffer is out of order")
        last = row[:columns]
        yield row


def _check(stored: "int | None", counted: int, what: str, number: int) -> None:
    if stored != counted:
        raise BufferCorrupt(f"{what} {number} in the buffer is not what was written")
