"""Merging windows: resolution is lost, counts are not.

A run of neighbouring windows of one grid cell becomes one window under the id of its
last. A run that any exporter stands in the middle of, or that was offered to one and
not passed, is left as it is: the idempotency key of what was sent keeps its content.
"""

import sqlite3
from dataclasses import dataclass

from probekit.buffer import accounts, checksums, sql
from probekit.buffer.parcel import Cursor
from probekit.buffer.readings import points_between
from probekit.buffer.totals import Totals, clamped
from probekit.clock import cell_start_ns
from probekit.histogram import Histogram
from probekit.model import Point

_LOOK_AT = 2000


@dataclass(slots=True)
class _Run:
    first: int
    last: int
    cell: int
    epoch: int
    count: int = 1


def roll_up(
    connection: sqlite3.Connection,
    totals: Totals,
    width_s: float,
    through: int,
    before_ns: int,
) -> bool:
    """Merge the oldest run of windows that share a grid cell of *width_s*.

    Args:
        connection: In a write transaction.
        totals: Of this buffer.
        width_s: Width of the cells, seconds.
        through: Last window that may be merged.
        before_ns: Only cells that ended before, nanoseconds since 1970.

    Returns:
        Whether a run was merged.

    """
    walls = _walls(connection)
    for run in _runs(connection, width_s, through, before_ns):
        free = not any(
            passed < run.last and offered >= run.first for passed, offered in walls
        )
        if run.count > 1 and free and _is_whole(connection, run):
            _merge(connection, totals, run)
            return True
    return False


def _walls(connection: sqlite3.Connection) -> "list[tuple[int, int]]":
    """(passed, offered) of everyone whose view of windows must not change."""
    booked = accounts.counted(connection, "metrics")
    walls = [(booked, booked)]
    for window, series, offered in connection.execute(
        "SELECT window, series, offered_window FROM cursor "
        "WHERE signals LIKE '%metrics%'",
    ):
        cursor = Cursor(window, series)
        walls.append((cursor.whole_window, max(offered, window)))
    return walls


def _runs(
    connection: sqlite3.Connection,
    width_s: float,
    through: int,
    before_ns: int,
) -> "list[_Run]":
    width_ns = int(width_s * 1e9)
    runs: list[_Run] = []
    rows = connection.execute(
        "SELECT id, start_unix_ns, end_unix_ns, epoch FROM window WHERE id <= ? "
        "AND end_unix_ns - start_unix_ns < ? ORDER BY id LIMIT ?",
        (through, width_ns, _LOOK_AT),
    ).fetchall()
    for window, start_ns, end_ns, epoch in rows:
        cell = cell_start_ns(start_ns, width_s)
        if cell + width_ns > before_ns or end_ns > before_ns:
            continue
        run = runs[-1] if runs else None
        if run and (run.cell, run.epoch) == (cell, epoch):
            run.last = window
            run.count += 1
        else:
            runs.append(_Run(window, window, cell, epoch))
    return runs


def _is_whole(connection: sqlite3.Connection, run: _Run) -> bool:
    """Whether no other window lies between the run's by id."""
    count = connection.execute(
        "SELECT count(*) FROM window WHERE id BETWEEN ? AND ?",
        (run.first, run.last),
    ).fetchone()[0]
    return bool(count == run.count)


def _merge(connection: sqlite3.Connection, totals: Totals, run: _Run) -> None:
    since, end = Cursor(run.first - 1), (run.last, 1 << 62)
    merged: dict[int, Point] = {}
    for _, point in points_between(connection, totals, since, end):
        known = merged.get(point.series_id)
        merged[point.series_id] = point if known is None else _added(known, point)
    start_ns, end_ns, measurements, windows = connection.execute(
        "SELECT min(start_unix_ns), max(end_unix_ns), sum(measurements), sum(merged) "
        "FROM window WHERE id BETWEEN ? AND ?",
        (run.first, run.last),
    ).fetchone()
    span = (run.first, run.last)
    connection.execute("DELETE FROM point WHERE window BETWEEN ? AND ?", span)
    connection.execute("DELETE FROM window WHERE id BETWEEN ? AND ?", span)
    facts = (run.last, start_ns, end_ns, run.epoch, measurements)
    connection.execute(
        "INSERT INTO window VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*facts, windows, checksums.of_words(*facts)),
    )
    rows = [
        checksums.sealed(_row(run.last, point)) for _, point in sorted(merged.items())
    ]
    sql.insert(connection, "point", rows)
    _merge_refused(connection, run)
    connection.execute(
        "UPDATE event SET window = ? WHERE window BETWEEN ? AND ?",
        (run.last, *span),
    )
    connection.execute(
        "UPDATE span SET window = ? WHERE window BETWEEN ? AND ?",
        (run.last, *span),
    )


def _added(earlier: Point, later: Point) -> Point:
    count = earlier.count + later.count
    value = later.value
    if isinstance(earlier.value, Histogram) and isinstance(value, Histogram):
        earlier.value.merge(value)
        value = earlier.value
    elif later.series.kind != "gauge" and not isinstance(value, Histogram):
        before = earlier.value
        value = clamped(value + (0.0 if isinstance(before, Histogram) else before))
    return Point(later.series, value, count, later.total, later.series_id)


def _row(window: int, point: Point) -> "tuple[object, ...]":
    value = point.value
    head = (window, point.series_id, point.count)
    if isinstance(value, Histogram):
        return (*head, value.sum, None, value.min, value.max, value.to_blob())
    return (*head, value, point.total, None, None, None)


def _merge_refused(connection: sqlite3.Connection, run: _Run) -> None:
    span = (run.first, run.last)
    rows = connection.execute(
        "SELECT series, sum(count) FROM refused WHERE signal = 'metrics' "
        "AND record BETWEEN ? AND ? GROUP BY series",
        span,
    ).fetchall()
    connection.execute(
        "DELETE FROM refused WHERE signal = 'metrics' AND record BETWEEN ? AND ?",
        span,
    )
    refused = [("metrics", run.last, series, count) for series, count in rows]
    sql.insert(connection, "refused", refused)
