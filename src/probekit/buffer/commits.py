"""The leader's transaction: windows, totals, records, offsets, all or nothing."""

import json
import sqlite3
from array import array
from collections.abc import Callable
from zlib import crc32

from probekit.buffer import accounts, checksums, sql
from probekit.buffer.closing import Closing, Folded, SegmentRow, StreamRow, Superseded
from probekit.buffer.meta import began_no_later, read_meta, write_meta
from probekit.buffer.rows import Facts, sql_text
from probekit.buffer.totals import Totals
from probekit.histogram import Histogram
from probekit.model import Problem, Series, Signal
from probekit.pace import Pace

PROBLEMS_LIMIT = 1000

_MERGE_PROBLEM = """ON CONFLICT (fingerprint) DO UPDATE SET
    message = CASE WHEN excluded.last_seen_unix_ns >= last_seen_unix_ns
                   THEN excluded.message ELSE message END,
    stack = CASE WHEN excluded.stack = '' THEN stack ELSE excluded.stack END,
    first_seen_unix_ns = min(first_seen_unix_ns, excluded.first_seen_unix_ns),
    last_seen_unix_ns = max(last_seen_unix_ns, excluded.last_seen_unix_ns),
    count = count + excluded.count"""


def load(connection: sqlite3.Connection, totals: Totals, buffer_id: str) -> Folded:
    """What was committed last: where a fold begins."""
    segments = {}
    for name, stream, offset, blob, crc in connection.execute(
        "SELECT name, stream, offset, ids, crc FROM segment",
    ):
        known = _known(blob, crc, totals)
        segments[name] = SegmentRow(name, stream, offset, known)
    streams = {}
    for stream, sequence, text in connection.execute("SELECT * FROM stream"):
        nets = {
            series: net
            for series_id, net in json.loads(text).items()
            if (series := totals.find(int(series_id))) is not None
        }
        streams[stream] = StreamRow(stream, sequence, nets)
    return Folded(
        buffer_id,
        int(read_meta(connection, "commits", 0)),
        int(read_meta(connection, "epoch", 0)),
        int(read_meta(connection, "end_unix_ns", 0)),
        segments,
        streams,
    )


def _known(
    blob: bytes,
    crc: "int | None",
    totals: Totals,
) -> "list[Series | None] | None":
    """The series of local ids; None when they must be learnt from the segment again."""
    if not blob or crc != crc32(blob):
        return None
    ids: array[int] = array("Q", blob)
    known = [totals.find(series_id) for series_id in ids]
    lost = any(id_ and found is None for id_, found in zip(ids, known, strict=True))
    return None if lost else known


def write(
    connection: sqlite3.Connection,
    closing: Closing,
    totals: Totals,
    now_ns: int,
    between: Callable[[], None],
) -> int:
    """Write one closing within the caller's transaction.

    Returns:
        Id of the last window.

    Raises:
        Superseded: The file has another generation than the closing expects.

    """
    if int(read_meta(connection, "commits", 0)) != closing.generation:
        raise Superseded("another leader has committed")
    write_meta(connection, "commits", closing.generation + 1)
    write_meta(connection, "epoch", closing.epoch)
    write_meta(connection, "end_unix_ns", closing.end_ns)
    if closing.cells:
        began_no_later(connection, min(cell.start_ns for cell in closing.cells))
    last = accounts.last(connection, "metrics")
    window = _write_cells(connection, closing, totals, last, between)
    _write_records(connection, closing, window, between)
    _write_problems(connection, closing.problems, between)
    for (signal, reason), count in closing.losses.items():
        accounts.record(connection, signal, count)
        accounts.drop(connection, signal, reason, count)
    totals.write(connection, now_ns, between)
    _write_places(connection, closing, totals)
    return window


def _write_cells(
    connection: sqlite3.Connection,
    closing: Closing,
    totals: Totals,
    last: int,
    between: Callable[[], None],
) -> int:
    """Windows, points and totals; the id of the last window."""
    if not closing.cells:
        return last
    every = [point[0] for cell in closing.cells for point in cell.points]
    numbers, begin = totals.numbers(connection, every), 0
    windows: list[tuple[int, ...]] = []
    points: list[sql.Row] = []
    measurements, pace = 0, Pace()
    for window, cell in enumerate(closing.cells, last + 1):
        measurements += cell.measurements
        facts = (window, cell.start_ns, cell.end_ns, cell.epoch, cell.measurements)
        windows.append((*facts, checksums.of_words(*facts)))
        ids = numbers[begin : begin + len(cell.points)]
        begin += len(ids)
        standing = totals.add(cell.points, ids)
        for (_, value, count), id_, stands in zip(
            pace.through(cell.points), ids, standing, strict=True
        ):
            if isinstance(value, Histogram):
                points.append(checksums.histogram_point(window, id_, count, value))
            else:
                row = (window, id_, count, value, stands, None, None, None)
                points.append(checksums.sealed(row))
    into = "window (id, start_unix_ns, end_unix_ns, epoch, measurements, crc)"
    sql.insert(connection, into, windows, between=between)
    sql.insert(connection, "point", points, between=between)
    accounts.record(connection, "metrics", measurements)
    accounts.set_last(connection, "metrics", windows[-1][0])
    return windows[-1][0]


def _write_records(
    connection: sqlite3.Connection,
    closing: Closing,
    window: int,
    between: Callable[[], None],
) -> None:
    """Events and spans, under the id of the commit's last window."""
    both: tuple[tuple[Signal, str, list[Facts]], ...] = (
        ("events", "event", closing.events),
        ("spans", "span", closing.spans),
    )
    for signal, table, facts in both:
        last = accounts.last(connection, signal)
        rows = _sealed(table, last, window, facts)
        sql.insert(connection, table, rows, between=between)
        accounts.record(connection, signal, len(rows))
        accounts.set_last(connection, signal, last + len(rows))


def _sealed(table: str, last: int, window: int, facts: "list[Facts]") -> "list[Facts]":
    """Rows with number, window and checksum."""
    checksum = checksums.OF[table]
    numbered = enumerate(Pace().through(facts), last + 1)
    rows = ((number, window, *each) for number, each in numbered)
    return [(*row, checksum(row)) for row in rows]


def _write_problems(
    connection: sqlite3.Connection,
    problems: "list[Problem]",
    between: Callable[[], None],
) -> None:
    rows = [
        (
            p.fingerprint,
            *map(sql_text, (p.type, p.message, p.culprit, p.stack)),
            p.first_seen_unix_ns,
            p.last_seen_unix_ns,
            p.count,
        )
        for p in problems
    ]
    sql.insert(
        connection,
        "problem",
        rows,
        after=_MERGE_PROBLEM,
        between=between,
    )
    if rows:
        connection.execute(
            "DELETE FROM problem WHERE fingerprint NOT IN (SELECT fingerprint "
            "FROM problem ORDER BY last_seen_unix_ns DESC LIMIT ?)",
            (PROBLEMS_LIMIT,),
        )


def read_problems(connection: sqlite3.Connection) -> "list[Problem]":
    """All groups of errors."""
    rows = connection.execute(
        "SELECT fingerprint, type, message, culprit, stack, first_seen_unix_ns, "
        "last_seen_unix_ns, count FROM problem",
    )
    return [Problem(*row) for row in rows]


def _write_places(
    connection: sqlite3.Connection,
    closing: Closing,
    totals: Totals,
) -> None:
    """How far segments and streams are folded."""
    for row in closing.segments:
        if row.ids is None:
            connection.execute(
                "UPDATE segment SET offset = ? WHERE name = ?",
                (row.offset, row.name),
            )
            continue
        ids = totals.resolve(connection, [s for s in row.ids if s is not None])
        blob = array("Q", [0 if s is None else ids[s] for s in row.ids]).tobytes()
        connection.execute(
            "INSERT OR REPLACE INTO segment VALUES (?, ?, ?, ?, ?)",
            (row.name, row.stream, row.offset, blob, crc32(blob)),
        )
    for stream in closing.streams:
        ids = totals.resolve(connection, stream.nets)
        nets = {str(ids[series]): net for series, net in stream.nets.items()}
        connection.execute(
            "INSERT OR REPLACE INTO stream VALUES (?, ?, ?)",
            (stream.id, stream.sequence, json.dumps(nets)),
        )
    for name in closing.gone_segments:
        connection.execute("DELETE FROM segment WHERE name = ?", (name,))
    for name in closing.gone_streams:
        connection.execute("DELETE FROM stream WHERE id = ?", (name,))
