"""Rows of a buffer as the nouns of the model."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from probekit.buffer.parcel import Cursor
from probekit.buffer.records import load_attributes, load_span
from probekit.buffer.totals import Totals
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
        "SELECT window, series, count, value, total, min, max, bins FROM point "
        "WHERE (window, series) > (?, ?) AND (window, series) <= (?, ?) "
        "ORDER BY window, series LIMIT ?",
        (since.window, since.series, *through, limit),
    )
    return [(row[0], _point(totals, row[1:])) for row in rows]


def _point(totals: Totals, row: "tuple[Any, ...]") -> Point:
    series_id, count, value, total, low, high, bins = row
    series = totals.series(series_id)
    if bins is None:
        return Point(series, value, count, total, series_id)
    histogram = Histogram.from_blob(bins, value, low, high)
    return Point(series, histogram, count, None, series_id)


def windows_of(
    connection: sqlite3.Connection,
    points: "list[tuple[int, Point]]",
) -> "list[Window]":
    """The windows of points, each with its own."""
    grouped: dict[int, list[Point]] = {}
    for window, point in points:
        grouped.setdefault(window, []).append(point)
    if not grouped:
        return []
    rows = connection.execute(
        "SELECT id, start_unix_ns, end_unix_ns, epoch FROM window "
        "WHERE id BETWEEN ? AND ? ORDER BY id",
        (min(grouped), max(grouped)),
    )
    found = []
    for window, start_ns, end_ns, epoch in rows:
        held = tuple(grouped.get(window, ()))
        if held:
            measured = sum(point.count for point in held)
            found.append(Window(window, start_ns, end_ns, held, epoch, measured))
    return found


def events_between(
    connection: sqlite3.Connection,
    after: int,
    through: int,
    limit: int = -1,
) -> "list[Event]":
    """Events with numbers in ``(after, through]``."""
    rows = connection.execute(
        "SELECT number, time_unix_ns, name, attributes, severity, body, trace_id, "
        "span_id FROM event WHERE number > ? AND number <= ? ORDER BY number LIMIT ?",
        (after, through, limit),
    )
    return [
        Event(at, name, load_attributes(json.loads(raw)), level, body, tr, sp, number)
        for number, at, name, raw, level, body, tr, sp in rows
    ]


def spans_between(
    connection: sqlite3.Connection,
    after: int,
    through: int,
    limit: int = -1,
) -> "list[Span]":
    """Spans with numbers in ``(after, through]``."""
    rows = connection.execute(
        "SELECT number, record FROM span WHERE number > ? AND number <= ? "
        "ORDER BY number LIMIT ?",
        (after, through, limit),
    )
    return [load_span(json.loads(record), number) for number, record in rows]


def later_histograms(
    connection: sqlite3.Connection,
    since: Cursor,
) -> "Iterator[tuple[int, Histogram]]":
    """All histogram points after *since*, with their series ids."""
    rows = connection.execute(
        "SELECT series, value, min, max, bins FROM point "
        "WHERE (window, series) > (?, ?) AND bins IS NOT NULL",
        (since.window, since.series),
    )
    for series_id, total, low, high, bins in rows:
        yield series_id, Histogram.from_blob(bins, total, low, high)
