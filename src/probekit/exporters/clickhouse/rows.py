"""From a batch to rows of the OpenTelemetry tables, as JSON lines; pure.

Counters are deltas, up-down counters their level, histograms deltas with OTLP's
bounds. All attributes are text. Events are log records named by ``event.name``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from probekit._version import __version__
from probekit.exporters.cache import SeriesCache
from probekit.exporters.figures import edges, windowed
from probekit.exporters.jsonlines import attributes_text
from probekit.exporters.naming import Names
from probekit.exporters.otlp.metrics import bounds_for
from probekit.exporters.text import rfc3339, severity_word, word, word_of
from probekit.histogram import Histogram
from probekit.model import (
    Attributes,
    AttributeValue,
    Batch,
    Event,
    Kind,
    Point,
    Resource,
    Series,
    Signal,
    Snapshot,
    Span,
)

TABLE_OF: "Mapping[Kind, str]" = {
    "counter": "otel_metrics_sum",
    "up_down_counter": "otel_metrics_sum",
    "gauge": "otel_metrics_gauge",
    "histogram": "otel_metrics_histogram",
}
DELTA, CUMULATIVE = 1, 2
_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_STATUSES = ("Unset", "Ok", "Error")
_LAST_NS = 2**63 - 1  # DateTime64(9) ends in 2262


@dataclass(frozen=True, slots=True)
class Insert:
    """Rows of one table.

    Attributes:
        table: Its name.
        signal: What the rows are of.
        part: The records behind the rows, and nothing else.
        body: One line of JSON for each.
    """

    table: str
    signal: Signal
    part: Batch
    body: bytes

    @property
    def token(self) -> str:
        """The same whenever the same records go into the same table."""
        return f"{self.table}:{self.part.key}"


class ClickhouseRows:
    """Makes rows; keeps what it made of each series."""

    __slots__ = ("_common", "_heads", "_names", "_resource")

    def __init__(self) -> None:
        """Start with an empty memory."""
        self._resource = Resource()
        self._common = self._who()
        self._names = Names()
        self._heads: SeriesCache[str] = SeriesCache(self._head)

    def learn(self, snapshot: Snapshot) -> None:
        """Name every series in the order of first appearance."""
        self._speak_for(snapshot.resource)
        for point in snapshot.points:
            self._heads.of(point)

    def inserts(self, batch: Batch) -> "list[Insert]":
        """An insert for each table that gets rows.

        Raises:
            Rejected: A number is not finite.

        """
        self._speak_for(batch.resource)
        found = [
            self._metrics(batch, table) for table in dict.fromkeys(TABLE_OF.values())
        ]
        found.append(
            Insert(
                "otel_logs",
                "events",
                replace(batch, windows=(), spans=()),
                _lines([self._event(event) for event in batch.events]),
            )
        )
        found.append(
            Insert(
                "otel_traces",
                "spans",
                replace(batch, windows=(), events=()),
                _lines([self._span(span) for span in batch.spans]),
            )
        )
        return [insert for insert in found if insert.body]

    def _metrics(self, batch: Batch, table: str) -> Insert:
        windows, lines = [], []
        for window in batch.windows:
            points = [p for p in window.points if TABLE_OF[p.series.kind] == table]
            if points:
                windows.append(replace(window, points=points))
            end = f'"TimeUnix":"{_when(window.end_unix_ns)}"}}'
            began = min(batch.began_unix_ns or _LAST_NS, window.start_unix_ns)
            since = {"up_down_counter": f',"StartTimeUnix":"{_when(began)}",{end}'}
            within = f',"StartTimeUnix":"{_when(window.start_unix_ns)}",{end}'
            lines += [
                f"{self._heads.of(p)},{_figures(p)}{since.get(p.series.kind, within)}"
                for p in points
            ]
        part = replace(batch, windows=windows, events=(), spans=())
        return Insert(table, "metrics", part, _lines(lines))

    def _speak_for(self, resource: Resource) -> None:
        if resource != self._resource:
            self._resource = resource
            self._common = self._who()
            self._names = Names()
            self._heads = SeriesCache(self._head)

    def _who(self) -> str:
        plain = {"ServiceName": self._resource.service, "ScopeName": "probekit"}
        return (
            f'{attributes_text(plain)[1:-1]},"ScopeVersion":"{__version__}",'
            f'"ResourceAttributes":{_map(self._resource.attributes)}'
        )

    def _head(self, series: Series) -> str:
        attributes = dict(series.attributes)
        named = f"{attributes_text({'': series.name})}{_map(attributes)}"
        original = (series.name, series.kind, series.unit, series.attributes)
        mark = self._names.suffix([named], original)
        if mark:  # as text they are another's: 1 and "1", or another unit
            attributes["series_hash"] = mark[1:]
        plain = {
            "MetricName": series.name,
            "MetricDescription": series.description,
            "MetricUnit": series.unit,
        }
        return (
            f"{{{self._common},{attributes_text(plain)[1:-1]},"
            f'"Attributes":{_map(attributes)}'
        )

    def _event(self, event: Event) -> str:
        plain: Attributes = {
            "Timestamp": _when(event.time_unix_ns),
            "TraceId": event.trace_id,
            "SpanId": event.span_id,
            "SeverityText": severity_word(event.severity),
            "SeverityNumber": min(max(event.severity, 0), 255),
            "Body": event.body,
        }
        attributes = {**event.attributes, "event.name": event.name}
        return (
            f"{{{self._common},{attributes_text(plain)[1:-1]},"
            f'"LogAttributes":{_map(attributes)}}}'
        )

    def _span(self, span: Span) -> str:
        plain: Attributes = {
            "Timestamp": _when(span.start_unix_ns),
            "TraceId": span.trace_id,
            "SpanId": span.span_id,
            "ParentSpanId": span.parent_span_id,
            "TraceState": span.trace_state,
            "SpanName": span.name,
            "SpanKind": word_of(_KINDS, span.kind),
            "Duration": max(span.end_unix_ns - span.start_unix_ns, 0),
            "StatusCode": word_of(_STATUSES, span.status),
            "StatusMessage": span.status_message,
            "Events.Timestamp": [_when(event.time_unix_ns) for event in span.events],
            "Events.Name": [event.name for event in span.events],
            "Links.TraceId": [link.trace_id for link in span.links],
            "Links.SpanId": [link.span_id for link in span.links],
            "Links.TraceState": [link.trace_state for link in span.links],
        }
        events = ",".join(_map(event.attributes) for event in span.events)
        links = ",".join(_map(link.attributes) for link in span.links)
        return (
            f"{{{self._common},{attributes_text(plain)[1:-1]},"
            f'"SpanAttributes":{_map(span.attributes)},'
            f'"Events.Attributes":[{events}],"Links.Attributes":[{links}]}}'
        )


def _figures(point: Point) -> str:
    value, kind = point.value, point.series.kind
    if isinstance(value, Histogram):
        bounds = bounds_for(point.series)
        (_, count), (_, total), (_, low), (_, high) = edges(point, value)
        return (
            f'"Count":{count},"Sum":{total!r},"Min":{low!r},"Max":{high!r},'
            f'"BucketCounts":{value.counts_between(bounds)},{_ending(bounds)}'
        )
    found = dict(windowed(point))
    if kind == "gauge":
        return f'"Value":{found["value"]!r}'
    temporality = DELTA if kind == "counter" else CUMULATIVE
    return (
        f'"Value":{found["value"]!r},"AggregationTemporality":{temporality},'
        f'"IsMonotonic":{"true" if kind == "counter" else "false"}'
    )


@lru_cache(maxsize=64)
def _ending(bounds: "tuple[float, ...]") -> str:
    return f'"ExplicitBounds":{list(bounds)},"AggregationTemporality":{DELTA}'


def _map(attributes: Attributes) -> str:
    words: dict[str, AttributeValue] = {
        name: word(value) for name, value in attributes.items()
    }
    return attributes_text(words) or "{}"


def _lines(lines: "list[str]") -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def _when(time_unix_ns: int) -> str:
    return rfc3339(min(time_unix_ns, _LAST_NS))
