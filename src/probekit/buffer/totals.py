"""Series and their running totals, over all processes and restarts.

The leader keeps in memory what it has touched and writes it back with the window that
changed it; after a failed commit it forgets and reads again.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from probekit.buffer import checksums, sql
from probekit.buffer.checksums import STANDING, of_words
from probekit.buffer.records import load_attributes
from probekit.buffer.rows import sql_json, sql_text
from probekit.errors import BufferCorrupt
from probekit.histogram import Histogram
from probekit.model import Series
from probekit.pace import Pace

_IDENTITY = "id, name, kind, unit, attributes, description, ends_with_process, crc"
_TOTAL = ", ".join((*STANDING, "total_crc"))
_FACTS = ("name", "kind", "unit", "attributes", "description", "ends_with_process")
_SHARES = (0.5, 0.95, 0.99)
_LARGEST = 1.7976931348623157e308


@dataclass(slots=True)
class Total:
    """What a series has done since the buffer was made.

    Attributes:
        count: Measurements.
        sum: Of counters and up-down counters; the net.
        last: Of gauges, the last value.
        histogram: Of histograms.
        ordered: Its bins, rising, as far as they were known at the last close.
    """

    count: int = 0
    sum: float = 0.0
    last: "float | None" = None
    histogram: "Histogram | None" = None
    ordered: "list[int]" = field(default_factory=list)


def clamped(value: float) -> float:
    """A finite number: SQLite has no NaN, and JSON no infinity."""
    return min(max(value, -_LARGEST), _LARGEST) if value == value else 0.0  # noqa: PLR0124 - NaN


class Totals:
    """All series of a buffer by id, and the totals that were touched."""

    def __init__(self) -> None:
        """Know nothing."""
        self._ids: dict[Series, int] = {}
        self._series: dict[int, Series] = {}
        # By identity, for those that come again and again: a hash costs half a µs.
        self._met: dict[int, int] = {}
        self._known: dict[int, Total] = {}
        self._loaded = -1
        self._touched: set[int] = set()

    def forget(self) -> None:
        """Read everything anew at the next use: a commit failed, or another file."""
        self._ids.clear()
        self._series.clear()
        self._met.clear()
        self._known.clear()
        self._touched.clear()
        self._loaded = -1

    def load(self, connection: sqlite3.Connection, opened: int) -> None:
        """Read all series, unless they were read over this connection already."""
        if self._loaded == opened:
            return
        self.forget()
        rows = connection.execute(f"SELECT {_IDENTITY}, {_TOTAL} FROM series")  # noqa: S608
        for row in rows:
            series_id, name, kind, unit, attributes, description, ends, crc = row[:8]
            if crc != of_words(*row[:7]):
                raise BufferCorrupt(f"series {series_id} is not what was written")
            _check((series_id, *row[8:]))
            frozen = tuple(load_attributes(json.loads(attributes)).items())
            series = Series(name, kind, unit, frozen, description, bool(ends))
            self._ids[series] = series_id
            self._series[series_id] = series
        self._loaded = opened

    def drop(self, ids: "Iterable[int]") -> None:
        """These have no row any more."""
        for series_id in ids:
            series = self._series.pop(series_id, None)
            if series is not None:
                del self._ids[series]
                self._met.pop(id(series), None)
            self._known.pop(series_id, None)
            self._touched.discard(series_id)

    def series(self, series_id: int) -> Series:
        """The series of an id."""
        return self._series[series_id]

    def find(self, series_id: int) -> "Series | None":
        """The series of an id, None when there is none."""
        return self._series.get(series_id)

    def resolve(
        self,
        connection: sqlite3.Connection,
        wanted: "Iterable[Series]",
    ) -> "dict[Series, int]":
        """Ids of series; those that are new get a row."""
        rows, following = [], max(self._series, default=0) + 1
        for series in wanted:
            if series in self._ids:
                continue
            self._ids[series] = following
            self._series[following] = series
            self._known[following] = Total()
            facts = (
                following,
                sql_text(series.name),
                series.kind,
                sql_text(series.unit),
                sql_json(series.attributes),
                sql_text(series.description),
                int(series.ends_with_process),
            )
            *_, start = _row(following, Total(), 0)
            rows.append((*facts, of_words(*facts), start))
            following += 1
        sql.insert(connection, f"series ({_IDENTITY}, total_crc)", rows)
        return self._ids

    def numbers(
        self,
        connection: sqlite3.Connection,
        wanted: "Sequence[Series]",
    ) -> "list[int]":
        """Ids of *wanted* in their order, as by ``resolve`` and ``prepare``."""
        met, known = self._met.get, self._series.get
        found = [met(id(series), 0) for series in wanted]
        strange = [
            place
            for place, series_id in enumerate(found)
            if known(series_id) is not wanted[place]
        ]
        ids = self.resolve(connection, [wanted[place] for place in strange])
        for place in strange:
            series = wanted[place]
            series_id = found[place] = ids[series]
            self._met.pop(id(self._series[series_id]), None)
            self._met[id(series)], self._series[series_id] = series_id, series
        self.prepare(connection, found)
        return found

    def standing(self, connection: sqlite3.Connection, series: Series) -> float:
        """Where the sum of *series* stands; 0 before its first point."""
        series_id = self._ids.get(series)
        if series_id is None:
            return 0.0
        self.prepare(connection, [series_id])
        return self._known[series_id].sum

    def prepare(self, connection: sqlite3.Connection, ids: "Iterable[int]") -> None:
        """Read the totals of *ids* that are not in memory."""
        what = f"SELECT id, {_TOTAL} FROM series"  # noqa: S608 - our own words
        missing = [series_id for series_id in ids if series_id not in self._known]
        for row in sql.select_by_id(connection, what, missing):
            _check(row)
            series_id, count, total, last, low, high, *_, bins, _, _ = row
            if bins is None:
                self._known[series_id] = Total(count, total, last)
            else:
                histogram = Histogram.from_blob(bins, total, low, high)
                self._known[series_id] = Total(count, histogram=histogram)

    def add(
        self,
        points: "Sequence[tuple[Series, float | Histogram, int]]",
        ids: "Sequence[int]",
    ) -> "list[float | None]":
        """Take in points of one window.

        Args:
            points: (series, value, measurements).
            ids: Their series, as ``numbers`` found them.

        Returns:
            Where sums stand after each; None for gauges and histograms.

        """
        known = self._known
        standing: list[float | None] = []
        paced = Pace().through(points)
        for (series, value, count), series_id in zip(paced, ids, strict=True):
            total = known[series_id]
            total.count += count
            stands = None
            if isinstance(value, Histogram):
                running = total.histogram
                if running is None:
                    running = total.histogram = Histogram()
                running.merge(value)
                if running.sum - running.sum != 0:
                    running.sum = clamped(running.sum)
            elif series.kind == "gauge":
                total.last = value
            else:
                stands = total.sum = clamped(total.sum + value)
            standing.append(stands)
        self._touched.update(ids)
        return standing

    def of(self, series_id: int) -> Total:
        """The total of a series that ``prepare`` knows."""
        return self._known[series_id]

    def write(
        self,
        connection: sqlite3.Connection,
        now_ns: int,
        between: Callable[[], None],
    ) -> None:
        """Write what was touched."""
        write_totals(
            connection,
            (
                (series_id, self._known[series_id])
                for series_id in Pace().through(sorted(self._touched))
            ),
            now_ns,
            between,
        )
        self._touched.clear()

    def remembered(self) -> "dict[int, Total]":
        """What is in memory by id: as it was committed last, whatever the file says."""
        return {} if self._touched else dict(self._known)


def write_totals(
    connection: sqlite3.Connection,
    totals: "Iterable[tuple[int, Total]]",
    now_ns: int,
    between: Callable[[], None] = lambda: None,
) -> None:
    """Write where series stand, by id; they have a row."""
    rows = [_row(series_id, total, now_ns) for series_id, total in totals]
    columns = (*STANDING, "total_crc")
    sql.update(connection, "series", columns, rows, others=_FACTS, between=between)


def _check(row: "tuple[Any, ...]") -> None:
    """Of (id, standing, checksum)."""
    if row[-1] != checksums.of_total(row[:-1]):
        raise BufferCorrupt(f"the total of series {row[0]} is not what was written")


def _row(series_id: int, total: Total, now_ns: int) -> "tuple[Any, ...]":
    """Id, standing and checksum."""
    histogram = total.histogram
    if histogram is None:
        nothing = (None,) * 6
        row = (series_id, total.count, total.sum, total.last, *nothing, now_ns)
        return (*row, checksums.of_total(row))
    ordered = total.ordered
    if len(ordered) != len(histogram.bins):  # a total never loses one
        ordered = total.ordered = sorted(histogram.bins)
    shown, bins = histogram.summary(_SHARES, ordered)
    return checksums.histogram_total(
        series_id, total.count, histogram, shown, bins=bins, updated_ns=now_ns
    )
