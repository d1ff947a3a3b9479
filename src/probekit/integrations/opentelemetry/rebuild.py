"""From a batch of ours back to what exporters of OpenTelemetry's SDK take."""

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SpanMoment
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from probekit._version import __version__
from probekit.errors import ConfigError
from probekit.exporters.otlp.metrics import bounds_for
from probekit.histogram import Histogram as Bins
from probekit.model import Batch, Event, Point, Span, Window

CUMULATIVE = 2
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_KINDS = {kind.value + 1: kind for kind in SpanKind}
_STATUSES = {code.value: code for code in StatusCode}
_SEVERITIES = {number.value: number for number in SeverityNumber}
_INSTRUMENTS = {
    "counter": "Counter",
    "up_down_counter": "UpDownCounter",
    "histogram": "Histogram",
}


def spans_of(batch: Batch) -> "list[ReadableSpan]":
    """The batch's spans."""
    resource = Resource(dict(batch.resource.attributes))
    return [_span(span, resource) for span in batch.spans]


def _span(span: Span, resource: Resource) -> ReadableSpan:
    parent = None
    if span.parent_span_id:
        parent = _context(span.trace_id, span.parent_span_id, TraceFlags(span.flags))
    message = span.status_message or None
    return ReadableSpan(
        name=span.name,
        context=_context(
            span.trace_id, span.span_id, TraceFlags(span.flags), span.trace_state
        ),
        parent=parent,
        resource=resource,
        attributes=dict(span.attributes),
        events=[
            SpanMoment(each.name, dict(each.attributes), each.time_unix_ns)
            for each in span.events
        ],
        links=[
            Link(
                _context(each.trace_id, each.span_id, _SAMPLED, each.trace_state),
                dict(each.attributes),
            )
            for each in span.links
        ],
        kind=_KINDS.get(span.kind, SpanKind.INTERNAL),
        status=Status(_STATUSES.get(span.status, StatusCode.UNSET), message),
        start_time=span.start_unix_ns,
        end_time=span.end_unix_ns,
        instrumentation_scope=InstrumentationScope(span.scope),
    )


def _context(
    trace_id: str, span_id: str, flags: TraceFlags, state: str = ""
) -> SpanContext:
    return SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=False,
        trace_flags=flags,
        trace_state=TraceState.from_header([state]) if state else None,
    )


def logs_of(batch: Batch) -> "list[Any]":
    """The batch's events as log records.

    Raises:
        ConfigError: The SDK is older than its present form of log records.

    """
    try:
        from opentelemetry.sdk._logs import ReadableLogRecord
    except ImportError:
        raise ConfigError("wrap() of a log exporter needs a newer SDK") from None

    resource = Resource(dict(batch.resource.attributes))
    return [
        ReadableLogRecord(_record(event), resource, _scope()) for event in batch.events
    ]


def _record(event: Event) -> LogRecord:
    context = None
    if event.trace_id and event.span_id:
        found = _context(event.trace_id, event.span_id, _SAMPLED)
        context = trace.set_span_in_context(NonRecordingSpan(found))
    return LogRecord(
        timestamp=event.time_unix_ns,
        observed_timestamp=event.time_unix_ns,
        context=context,
        severity_number=_SEVERITIES.get(event.severity, SeverityNumber.INFO),
        body=event.body or None,
        attributes=dict(event.attributes),
        event_name=event.name,
    )


def metrics_of(batch: Batch, preferences: "Mapping[str, int]") -> MetricsData:
    """The batch's windows.

    Args:
        batch: Histogram points carry totals where those are preferred.
        preferences: Name of an instrument's class → temporality, 1 or 2.

    """
    metrics = [
        Metric(
            point.series.name,
            point.series.description,
            point.series.unit,
            _data(point, window, preferences),
        )
        for window in batch.windows
        for point in window.points
    ]
    resource = Resource(dict(batch.resource.attributes))
    scopes: Sequence[ScopeMetrics] = [ScopeMetrics(_scope(), metrics, "")]
    return MetricsData([ResourceMetrics(resource, scopes, "")])


def _data(
    point: Point, window: Window, preferences: "Mapping[str, int]"
) -> "Sum | Gauge | Histogram":
    kind = point.series.kind
    if kind == "gauge":
        return Gauge([_number(point, window, point.value, 0)])
    wanted = preferences.get(_INSTRUMENTS[kind], CUMULATIVE)
    if wanted == CUMULATIVE and point.total is not None:
        # Totals run over all processes and restarts: they began before anything here.
        temporality, value, start_ns = AggregationTemporality.CUMULATIVE, point.total, 0
    else:
        temporality, value = AggregationTemporality.DELTA, point.value
        start_ns = window.start_unix_ns
    if isinstance(value, Bins):
        return Histogram([_histogram(point, window, value, start_ns)], temporality)
    number = _number(point, window, value, start_ns)
    return Sum([number], temporality, is_monotonic=kind == "counter")


def _number(
    point: Point, window: Window, value: "float | Bins", start_ns: int
) -> NumberDataPoint:
    if isinstance(value, Bins):
        raise TypeError(f"a {point.series.kind} cannot hold a histogram")
    attributes = dict(point.series.attributes)
    return NumberDataPoint(attributes, start_ns, window.end_unix_ns, value)


def _histogram(
    point: Point, window: Window, bins: Bins, start_ns: int
) -> HistogramDataPoint:
    bounds = bounds_for(point.series)
    return HistogramDataPoint(
        attributes=dict(point.series.attributes),
        start_time_unix_nano=start_ns,
        time_unix_nano=window.end_unix_ns,
        count=bins.count,
        sum=bins.sum,
        bucket_counts=bins.counts_between(bounds),
        explicit_bounds=bounds,
        min=bins.min,
        max=bins.max,
    )


def _scope() -> InstrumentationScope:
    return InstrumentationScope("probekit", __version__)
