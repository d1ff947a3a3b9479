"""Where every series stands, read in one look for those who scrape.

What a process that is gone has said about itself (its series carry ``process.pid``)
is left out after a while; all other series stay for ever.
"""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from probekit.buffer.checksums import STANDING, is_total_good
from probekit.buffer.meta import stored_resource
from probekit.buffer.records import load_attributes
from probekit.errors import BufferCorrupt
from probekit.histogram import Histogram
from probekit.model import Point, Series, Snapshot
from probekit.pace import Pace, Paced

GONE_NS = 300 * 10**9  # a process that has said nothing for so long is gone
_SERIES = (
    "SELECT name, kind, unit, attributes, description, ends_with_process, "  # noqa: S608
    f"id, {', '.join(STANDING)}, total_crc FROM series "
    "WHERE count > 0 OR updated_unix_ns > 0 ORDER BY id"
)


def read_snapshot(connection: sqlite3.Connection, *, strict: bool = False) -> Snapshot:
    """All series with their running totals, as of the last closed window.

    Args:
        connection: For reading.
        strict: A total that is not what was written is an error, which makes the
            leader set it right; otherwise its series is left out.

    Raises:
        BufferCorrupt: There is such a total.

    """
    end_ns = connection.execute("SELECT max(end_unix_ns) FROM window").fetchone()[0]
    rows = connection.execute(_SERIES).fetchall()
    pace = Pace()
    good = [row for row in pace.through(rows) if is_total_good(row[6:])]
    if strict and len(good) < len(rows):
        raise BufferCorrupt("the total of a series is not what was written")
    rows = good
    newest_ns = max((row[-2] for row in rows), default=0)
    points = Paced(_points(pace.through(rows), newest_ns - GONE_NS))
    return Snapshot(stored_resource(connection), points, end_ns or newest_ns)


def _points(rows: "Iterator[tuple[Any, ...]]", gone_ns: int) -> "Iterator[Point]":
    for row in rows:
        name, kind, unit, raw, description, ends, series_id, count = row[:8]
        total, last, low, high, *_, bins, updated_ns, _ = row[8:]
        attributes = load_attributes(json.loads(raw))
        if updated_ns < gone_ns and "process.pid" in attributes:
            continue
        frozen = tuple(attributes.items())
        series = Series(name, kind, unit, frozen, description, bool(ends))
        value: float | Histogram = total
        if bins is not None:
            value = Histogram.from_blob(bins, total, low, high)
        elif kind == "histogram":
            continue
        elif kind == "gauge":
            if last is None:
                continue
            yield Point(series, last, count, None, series_id)
            continue
        yield Point(series, value, count, value, series_id)
