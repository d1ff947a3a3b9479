"""Rows of a buffer as the nouns of the model."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from probekit.buffer import checksums
from probekit.buffer.parcel import WHOLE, Cursor
from probekit.buffer.records import load_attributes, load_span
from probekit.buffer.totals import Totals
from probekit.errors import BufferCorrupt
from probekit.histogram import Histogram
from probekit.model import Event, Point, Span, Window
from probekit.pace import Pace, Paced

_AT_ONCE = 50  # records that are parsed in one go


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
    found: list[tuple[int, Point]] = []
    last: tuple[int, ...] = (since.window, since.series)
    for row in Pace().through(rows):
        window, series_id, count, value, total, low, high, bins, crc = row
        last = _rising((window, series_id), last)
        _check(crc, checksums.of_point(row), "a point of window", window)
        series = totals.series(series_id)
        if bins is not None:
            value, total = Histogram.from_blob(bins, value, low, high), None
        found.append((window, Point(series, value, count, total, series_id)))
    return found


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
        held = Paced(grouped.pop(window, ()))
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
    found: list[tuple[Any, ...]] = []
    texts: list[str] = []
    last: tuple[int, ...] = (after,)
    for row in rows:
        number, at, name, level, body, text, trace_id, span_id, crc = row
        last = _rising((number,), last)
        _check(crc, checksums.of_event(row[:-1]), "event", number)
        texts.append(text)
        found.append((at, name, level, body, trace_id, span_id, number))
    return [
        Event(at, name, load_attributes(attributes), *rest)
        for (at, name, *rest), attributes in zip(found, _loads(texts), strict=True)
    ]


def _loads(texts: "list[str]") -> "Iterator[Any]":
    """What each text is, by one call for some.

    For all, it would keep the interpreter for long, and have as many lists at once.
    """
    pace = Pace()
    for start in range(0, len(texts), _AT_ONCE):
        pace.breathe()
        yield from json.loads(f"[{','.join(texts[start : start + _AT_ONCE])}]")


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
    numbers: list[int] = []
    texts: list[str] = []
    last: tuple[int, ...] = (after,)
    for number, record, crc in rows:
        last = _rising((number,), last)
        _check(crc, checksums.of_span(number, record), "span", number)
        numbers.append(number)
        texts.append(record)
    return list(map(load_span, _loads(texts), numbers))


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
        _check(crc, checksums.of_point(row), "a point of window", window)
        yield series_id, Histogram.from_blob(bins, total, low, high)


def _rising(key: "tuple[int, ...]", last: "tuple[int, ...]") -> "tuple[int, ...]":
    """Keys rise: a page that is there twice would say everything twice."""
    if key <= last:
        raise BufferCorrupt(f"row {key} in the buffer is out of order")
    return key


def _check(stored: "int | None", counted: int, what: str, number: int) -> None:
    if stored != counted:
        raise BufferCorrupt(f"{what} {number} in the buffer is not what was written")
