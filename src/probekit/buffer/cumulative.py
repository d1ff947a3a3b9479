"""Running totals of histograms at the windows that are being sent.

The total now, less everything after a cursor, is the total at the cursor; each parcel
then carries it forward. Minimum and maximum cannot be taken back and are those of the
whole life of the series.
"""

import sqlite3
from dataclasses import dataclass, field, replace

from probekit.buffer.parcel import Cursor
from probekit.buffer.readings import later_histograms
from probekit.buffer.totals import Totals
from probekit.histogram import Histogram
from probekit.model import Point, Window
from probekit.pace import Paced


@dataclass(slots=True)
class Cumulative:
    """One exporter's running totals at its cursor."""

    at: "tuple[int, int] | None" = None
    opened: int = -1
    histograms: "dict[int, Histogram]" = field(default_factory=dict)

    def fill(
        self,
        connection: sqlite3.Connection,
        totals: Totals,
        *,
        opened: int,
        since: Cursor,
        through: Cursor,
        windows: "list[Window]",
    ) -> "list[Window]":
        """The windows with the totals of their histograms filled in."""
        start = (since.window, since.series)
        if self.at != start or self.opened != opened:
            self.histograms = _totals_at(connection, totals, since)
        filled = [
            replace(window, points=Paced(map(self._filled, window.points)))
            for window in windows
        ]
        self.at, self.opened = (through.window, through.series), opened
        return filled

    def _filled(self, point: Point) -> Point:
        if not isinstance(point.value, Histogram):
            return point
        running = self.histograms.get(point.series_id)
        total = copy_of(running) if running is not None else Histogram()
        total.merge(point.value)
        self.histograms[point.series_id] = total
        return replace(point, total=total)


def copy_of(histogram: Histogram) -> Histogram:
    """A histogram of its own."""
    copied = Histogram()
    copied.merge(histogram)
    return copied


def _totals_at(
    connection: sqlite3.Connection,
    totals: Totals,
    since: Cursor,
) -> "dict[int, Histogram]":
    later: dict[int, Histogram] = {}
    for series_id, histogram in later_histograms(connection, since):
        later.setdefault(series_id, Histogram()).merge(histogram)
    kinds = "SELECT id FROM series WHERE kind = 'histogram'"
    ids = [row[0] for row in connection.execute(kinds)]
    totals.prepare(connection, ids)
    found = {}
    for series_id in ids:
        running = totals.of(series_id).histogram
        if running is not None:
            found[series_id] = _less(running, later.get(series_id))
    return found


def _less(total: Histogram, later: "Histogram | None") -> Histogram:
    left = copy_of(total)
    if later is None:
        return left
    left.count -= later.count
    left.sum -= later.sum
    for bin_, count in later.bins.items():
        left.bins[bin_] = left.bins.get(bin_, 0) - count
        if left.bins[bin_] <= 0:
            del left.bins[bin_]
    return left if left.count > 0 else Histogram()
