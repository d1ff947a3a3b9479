"""Windows as an OTLP ``ExportMetricsServiceRequest``; pure.

Counters are monotonic sums with delta temporality. Up-down counters are cumulative sums
of their running total (a delta of a level says nothing to a backend), or deltas where
the buffer does not know the total. Gauges are gauges. Histograms have explicit bounds,
delta temporality, and exact count, sum, minimum and maximum; each bucket's count is
exact where its bound has two significant decimal digits. On request counters and
histograms are cumulative too. What is cumulative counts since the buffer was made, over
all processes and restarts: its start time changes when the buffer does, and only then.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from struct import Struct

from probekit.exporters.cache import Memo, SeriesCache
from probekit.exporters.examples import Examples
from probekit.exporters.otlp.attributes import (
    KeyValues,
    resource_field,
    scope_field,
)
from probekit.exporters.otlp.exemplars import exemplars
from probekit.exporters.otlp.protobuf import (
    Piece,
    enclosed,
    length_delimited,
    moment,
    pack_double,
    text,
    unsigned,
    varint,
)
from probekit.histogram import BOUNDS, Histogram
from probekit.model import Batch, Kind, Series, Window

DELTA, CUMULATIVE = 1, 2

SECONDS_BOUNDS = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    0.75,
    1.0,
    2.5,
    5.0,
    7.5,
    10.0,
)
OTHER_BOUNDS = (
    5.0,
    10.0,
    25.0,
    50.0,
    75.0,
    100.0,
    250.0,
    500.0,
    750.0,
    1000.0,
    2500.0,
    5000.0,
    7500.0,
    10000.0,
)
BOUNDS_BY_NAME: "Mapping[str, tuple[float, ...]]" = {
    "db.client.operation.duration": (
        0.001,
        0.005,
        0.01,
        0.05,
        0.1,
        0.5,
        1.0,
        5.0,
        10.0,
    ),
}
_GAUGE, _SUM, _HISTOGRAM = 5, 7, 9  # fields of Metric
_SUM_BYTES, _GAUGE_BYTES = 27, 18  # a number without its attributes
_SHAPES_LIMIT = 20_000
_AS_DOUBLE = b"\x21"
# Length of a point → tag and length before it; one object for many series.
_heads: "Memo[int, bytes]" = Memo(lambda size: b"\x0a" + varint(size))
_NUMBER_ATTRIBUTES = KeyValues(b"\x3a")
_HISTOGRAM_ATTRIBUTES = KeyValues(b"\x4a")
_pack_edges = Struct("<BdBd").pack
_HISTOGRAM_BYTES = 54  # moments, count, sum, smallest and largest with their tags


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A metric's frame: the bytes before and after its points; compared by identity."""

    head: bytes
    data_field: int
    tail: bytes

    def around(self, points: Piece) -> "list[Piece]":
        """The field ``metrics`` (2) of a ``ScopeMetrics`` with these points."""
        data = enclosed(self.data_field, (points, self.tail))
        return enclosed(2, (self.head, *data))


class Cut:
    """Explicit bounds, and which bucket each of our bins falls into.

    Args:
        bounds: Rising; at least one.
    """

    __slots__ = ("_bucket_of", "_empty", "_head", "_pack", "bounds_field")

    def __init__(self, bounds: "Sequence[float]") -> None:
        """Prepare the translation once; it is used for every point."""
        self._empty = [0] * (len(bounds) + 1)
        self._head = b"\x32" + varint(8 * len(self._empty))
        # Count, sum and buckets, each with its tag, in one call.
        middle = f"{len(self._head)}s{len(self._empty)}Q"
        self._pack = Struct(f"<BQBd{middle}").pack
        self.bounds_field = length_delimited(
            7, Struct(f"<{len(bounds)}d").pack(*bounds)
        )
        # The last bin has no upper bound and belongs to the last bucket.
        self._bucket_of = [bisect_left(bounds, upper) for upper in BOUNDS]
        self._bucket_of.append(len(bounds))

    @property
    def counts_bytes(self) -> int:
        """Length of the field ``bucket_counts``."""
        return len(self._head) + 8 * len(self._empty)

    def figures(self, histogram: Histogram) -> bytes:
        """Count, sum and how many values lie in each bucket."""
        counts = self._empty.copy()
        bucket_of = self._bucket_of
        for bin_, count in histogram.bins.items():
            counts[bucket_of[bin_]] += count
        return self._pack(
            0x21, histogram.count, 0x29, histogram.sum, self._head, *counts
        )


@dataclass(frozen=True, slots=True)
class Place:
    """What never changes of a series' points.

    Attributes:
        kind: The series' kind.
        delta: The metric of its values as they come: deltas, or a gauge's levels.
        total: The metric of its running totals.
        attributes: Encoded for a number (field 7) or a histogram (field 9); a
            histogram's bounds stand before them.
        delta_head: Tag and length of a value's point.
        total_head: Tag and length of a running total's.
        has_start: Whether a value's point has a start; a gauge's has an end only.
        adds_up: Whether a number's running total is sent, where it is known.
        cut: How to cut a histogram; None for numbers.
    """

    kind: Kind
    delta: Shape
    total: Shape
    attributes: bytes
    delta_head: bytes
    total_head: bytes
    has_start: bool
    adds_up: bool
    cut: "Cut | None"


class MetricsEncoder:
    """Encodes windows; keeps what it made of each series.

    Args:
        bounds: Buckets of every histogram; None for the default by name and unit.
        cumulative: Running totals of counters and histograms instead of deltas, where
            the points carry them.
    """

    __slots__ = ("_bounds", "_cumulative", "_cuts", "_places", "_shapes")

    def __init__(
        self, bounds: "Sequence[float] | None" = None, *, cumulative: bool = False
    ) -> None:
        """Start with an empty memory."""
        self._cumulative = cumulative
        self._bounds = None if bounds is None else tuple(bounds)
        self._cuts: dict[tuple[float, ...], Cut] = {}
        self._shapes: dict[tuple[object, ...], Shape] = {}
        self._places: SeriesCache[Place] = SeriesCache(self._place)

    def encode(self, batch: Batch) -> bytes:
        """The request's body; empty when the batch has no points."""
        metrics: defaultdict[Shape, bytearray] = defaultdict(bytearray)
        examples = Examples(batch.spans) if batch.spans else None
        for window in batch.windows:
            self._collect(window, metrics, examples, batch.began_unix_ns)
        if not metrics:
            return b""
        content: list[Piece] = [scope_field()]
        for shape, points in metrics.items():
            content += shape.around(points)
        found = [resource_field(batch.resource), *enclosed(2, content)]
        return b"".join(enclosed(1, found))

    def _collect(
        self,
        window: Window,
        metrics: "defaultdict[Shape, bytearray]",
        examples: "Examples | None",
        began_unix_ns: int,
    ) -> None:
        end = b"\x19" + moment(window.end_unix_ns)
        both = b"\x11" + moment(window.start_unix_ns) + end
        began = b"\x11" + moment(min(began_unix_ns, window.start_unix_ns)) + end
        # A number's moments, with the tag of its value behind them.
        only_end, within, since = (t + _AS_DOUBLE for t in (end, both, began))
        points = window.points
        for point, place in zip(points, self._places.each(points), strict=True):
            value, total = point.value, point.total
            if place.cut is None:
                if place.adds_up and total is not None:
                    found, head, times = metrics[place.total], place.total_head, since
                    value = total
                else:
                    found, head = metrics[place.delta], place.delta_head
                    times = within if place.has_start else only_end
                found += head + times + pack_double(value) + place.attributes
                continue
            more = exemplars(examples, point.series, window) if examples else b""
            if self._cumulative and isinstance(total, Histogram):
                metrics[place.total] += _histogram(place, total, began, more)
            else:
                metrics[place.delta] += _histogram(place, value, both, more)

    def _place(self, series: Series) -> Place:
        kind = series.kind
        cut = self._cut(series) if kind == "histogram" else None
        if cut is None:
            field, size = _SUM, _SUM_BYTES
            attributes = _NUMBER_ATTRIBUTES.of(series.attributes)
        else:
            field, size = _HISTOGRAM, _HISTOGRAM_BYTES + cut.counts_bytes
            attributes = cut.bounds_field + _HISTOGRAM_ATTRIBUTES.of(series.attributes)
        total_head = delta_head = _heads[size + len(attributes)]
        if kind == "gauge":
            delta_head = _heads[_GAUGE_BYTES + len(attributes)]
            total = delta = self._shape(series, _GAUGE, b"")
        else:
            monotonic = unsigned(3, int(kind == "counter"))
            total = self._shape(series, field, unsigned(2, CUMULATIVE) + monotonic)
            delta = self._shape(series, field, unsigned(2, DELTA) + monotonic)
        return Place(
            kind=kind,
            delta=delta,
            total=total,
            attributes=attributes,
            delta_head=delta_head,
            total_head=total_head,
            has_start=kind != "gauge",
            adds_up=kind == "up_down_counter"
            or (self._cumulative and kind == "counter"),
            cut=cut,
        )

    def _shape(self, series: Series, data_field: int, tail: bytes) -> Shape:
        key = (series.name, series.unit, series.description, data_field, tail)
        if len(self._shapes) >= _SHAPES_LIMIT:
            self._shapes.clear()
        shape = self._shapes.get(key)
        if shape is None:
            head = text(1, series.name) + text(2, series.description)
            shape = Shape(head + text(3, series.unit), data_field, tail)
            self._shapes[key] = shape
        return shape

    def _cut(self, series: Series) -> Cut:
        bounds = self._bounds or bounds_for(series)
        if bounds not in self._cuts:
            self._cuts[bounds] = Cut(bounds)
        return self._cuts[bounds]


def bounds_for(series: Series) -> "tuple[float, ...]":
    """The bounds that the semantic conventions want for *series*."""
    by_unit = SECONDS_BOUNDS if series.unit == "s" else OTHER_BOUNDS
    return BOUNDS_BY_NAME.get(series.name, by_unit)


def _histogram(
    place: Place, value: "float | Histogram", both: bytes, more: bytes = b""
) -> bytes:
    """One point."""
    cut = place.cut
    if cut is None or not isinstance(value, Histogram):
        raise TypeError(f"a {place.kind} cannot hold {value!r}")
    content = both + cut.figures(value) + place.attributes
    if not value.count:  # without values there is no smallest and largest
        return length_delimited(1, content)
    content += more + _pack_edges(0x59, value.min, 0x61, value.max)
    return length_delimited(1, content) if more else place.delta_head + content
