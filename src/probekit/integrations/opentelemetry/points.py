"""From the SDK's data points to a harvest: deltas by series; imports no SDK.

Histograms move into our bins: a bucket's count goes where its upper bound lies, or its
maximum, so that counts at the SDK's own bounds stay exact.
"""

from bisect import bisect_left
from typing import Any

from probekit.histogram import BOUNDS, Histogram
from probekit.model import Harvest, Kind, Series
from probekit.naming import NAME_LIMIT
from probekit.observer import SeriesTable
from probekit.recording.attributes import clean, encodable
from probekit.recording.seams import Scrub

DELTA = 1
_LAST_LIMIT = 20_000


class Converter:
    """Turns metrics into harvests; remembers what was cumulative.

    Threads:
        One at a time.
    """

    def __init__(self, table: SeriesTable) -> None:
        """Name series by *table*."""
        self._table = table
        # series → (start of the accumulation, last value); only for readers that
        # collect cumulatively although the exporter prefers deltas.
        self._last: dict[tuple[int, str], tuple[int, Any]] = {}

    def harvest(
        self, data: Any, scrub: Scrub, into: "Harvest | None" = None
    ) -> Harvest:
        """Return all points of a ``MetricsData``, added to *into* if that is given."""
        into = Harvest(series=self._table.series) if into is None else into
        for resource in data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self._metric(metric, into, scrub)
        return into

    def _metric(self, metric: Any, into: Harvest, scrub: Scrub) -> None:
        kind = kind_of(metric.data)
        is_delta = getattr(metric.data, "aggregation_temporality", DELTA) == DELTA
        for point in metric.data.data_points:
            series_id = self._series(metric, kind, point, scrub)
            if kind == "histogram":
                self._histogram(series_id, point, into, is_delta=is_delta)
            elif kind == "gauge":
                into.gauge_ids.append(series_id)
                into.gauge_values.append(float(point.value))
                into.gauge_counts.append(1)
            else:
                self._sum(series_id, point, into, is_delta=is_delta)

    def _series(self, metric: Any, kind: Kind, point: Any, scrub: Scrub) -> int:
        attributes = scrub.attributes(clean(point.attributes))
        pairs = tuple(
            sorted(
                (key, tuple(value) if isinstance(value, list) else value)
                for key, value in attributes.items()
            )
        )
        return self._table.intern(
            Series(
                encodable(metric.name, NAME_LIMIT),
                kind,
                encodable(metric.unit or "", NAME_LIMIT),
                pairs,
                metric.description or "",
                # The SDK's levels begin at 0 with each process.
                ends_with_process=kind == "up_down_counter",
            )
        )

    def _sum(
        self, series_id: int, point: Any, into: Harvest, *, is_delta: bool
    ) -> None:
        value = float(point.value)
        if not is_delta:
            value -= self._before(series_id, "", point, value) or 0.0
        into.sum_ids.append(series_id)
        into.sum_values.append(value)
        into.sum_counts.append(1)

    def _histogram(
        self, series_id: int, point: Any, into: Harvest, *, is_delta: bool
    ) -> None:
        found = histogram_of(point)
        if not is_delta:
            before = self._before(series_id, "h", point, found)
            if before is not None:
                found = difference(found, before)
        if found.count:
            into.binned.append((series_id, found))

    def _before(self, series_id: int, kind: str, point: Any, value: Any) -> Any:
        """The last value of the same accumulation, or None; *value* is the next one."""
        start_ns, key = point.start_time_unix_nano, (series_id, kind)
        known = self._last.get(key)
        if known is None and len(self._last) >= _LAST_LIMIT:
            self._last.clear()
        self._last[key] = (start_ns, value)
        return known[1] if known is not None and known[0] == start_ns else None


def kind_of(data: Any) -> Kind:
    """What the metric is in our words; by its class's name, which all SDKs share."""
    name = type(data).__name__
    if name == "Sum":
        return "counter" if data.is_monotonic else "up_down_counter"
    if name == "Gauge":
        return "gauge"
    if name in {"Histogram", "ExponentialHistogram"}:
        return "histogram"
    raise TypeError(f"unknown kind of metric: {name}")


def histogram_of(point: Any) -> Histogram:
    """A data point of either kind of histogram in our bins."""
    found = Histogram()
    if not point.count:
        return found
    found.count, found.sum = point.count, float(point.sum)
    found.min, found.max = float(point.min), float(point.max)
    if hasattr(point, "explicit_bounds"):
        _fill_explicit(found, point)
    else:
        _fill_exponential(found, point)
    return found


def _fill_explicit(found: Histogram, point: Any) -> None:
    bounds = point.explicit_bounds
    for index, count in enumerate(point.bucket_counts):
        if count:
            upper = bounds[index] if index < len(bounds) else found.max
            _put(found, min(upper, found.max), count)


def _fill_exponential(found: Histogram, point: Any) -> None:
    base = 2.0 ** (2.0**-point.scale)
    for sign, side in ((1, point.positive), (-1, point.negative)):
        for index, count in enumerate(side.bucket_counts, side.offset):
            if count:
                middle = sign * (base**index + base ** (index + 1)) / 2
                _put(found, min(max(middle, found.min), found.max), count)
    if point.zero_count:
        _put(found, 0.0, point.zero_count)


def _put(found: Histogram, value: float, count: int) -> None:
    bin_ = bisect_left(BOUNDS, value)
    found.bins[bin_] = found.bins.get(bin_, 0) + count


def difference(now: Histogram, before: Histogram) -> Histogram:
    """What came since *before*; smallest and largest are those of all time."""
    found = Histogram()
    found.count, found.sum = now.count - before.count, now.sum - before.sum
    found.min, found.max = now.min, now.max
    for bin_, count in now.bins.items():
        left = count - before.bins.get(bin_, 0)
        if left > 0:
            found.bins[bin_] = left
    # A maximum that has risen moves counts between bins; the sum must still hold.
    short = found.count - sum(found.bins.values())
    if short:
        nearest = max(found.bins, default=bisect_left(BOUNDS, now.max))
        found.bins[nearest] = max(0, found.bins.get(nearest, 0) + short)
    return found
