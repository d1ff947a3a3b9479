"""OTLP requests as the generated classes build and read them."""

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage

from probekit._version import __version__
from probekit.exporters.otlp.metrics import bounds_for
from probekit.exporters.text import severity_word
from probekit.histogram import Histogram

REQUESTS = {
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
    "/v1/traces": ExportTraceServiceRequest,
}


def records_in(request):
    """Number of records in a request as an HttpReceiver keeps it."""
    message = REQUESTS[request.path].FromString(request.body)
    if request.path == "/v1/metrics":
        return sum(
            len(getattr(metric, metric.WhichOneof("data")).data_points)
            for resource in message.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        )
    if request.path == "/v1/logs":
        return sum(
            len(s.log_records) for r in message.resource_logs for s in r.scope_logs
        )
    return sum(len(s.spans) for r in message.resource_spans for s in r.scope_spans)


def words(text):
    return text.encode("utf-8", "replace").decode()


def any_value(value):
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=words(value))
    if isinstance(value, int):
        if -(2**63) <= value < 2**63:
            return AnyValue(int_value=value)
        return AnyValue(string_value=str(value))
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(array_value=ArrayValue(values=[any_value(v) for v in value]))


def key_values(attributes):
    return [
        KeyValue(key=words(key), value=any_value(value))
        for key, value in dict(attributes).items()
    ]


def scope(name="probekit"):
    version = __version__ if name == "probekit" else ""
    return InstrumentationScope(name=words(name), version=version)


def resource(batch):
    return ResourceMessage(attributes=key_values(batch.resource.attributes))


def metrics_request(batch):
    """The request that the generated classes build of *batch*'s windows."""
    request = ExportMetricsServiceRequest()
    metrics = {}
    for window in batch.windows:
        for point in window.points:
            add_point(request, metrics, batch, window, point)
    return request


def add_point(request, metrics, batch, window, point):
    series, value = point.series, point.value
    level = series.kind == "gauge"
    if series.kind == "up_down_counter" and point.total is not None:
        level, value = True, point.total
    key = (series.name, series.unit, series.description, series.kind, level)
    if not request.resource_metrics:
        outer = request.resource_metrics.add(resource=resource(batch))
        outer.scope_metrics.add(scope=scope())
    if key not in metrics:
        metrics[key] = (
            request.resource_metrics[0]
            .scope_metrics[0]
            .metrics.add(
                name=words(series.name),
                unit=words(series.unit),
                description=words(series.description),
            )
        )
    metric = metrics[key]
    times = {"time_unix_nano": window.end_unix_ns}
    if not level:
        times["start_time_unix_nano"] = window.start_unix_ns
    elif series.kind != "gauge":
        times["start_time_unix_nano"] = min(batch.began_unix_ns, window.start_unix_ns)
    attributes = key_values(series.attributes)
    if isinstance(value, Histogram):
        metric.histogram.aggregation_temporality = 1
        bounds = bounds_for(series)
        metric.histogram.data_points.add(
            count=value.count,
            sum=value.sum,
            min=value.min,
            max=value.max,
            explicit_bounds=bounds,
            bucket_counts=value.counts_between(bounds),
            attributes=attributes,
            **times,
        )
        return
    if series.kind == "gauge":
        data = metric.gauge
    else:
        data = metric.sum
        data.aggregation_temporality = 2 if level else 1
        data.is_monotonic = series.kind == "counter"
    data.data_points.add(as_double=value, attributes=attributes, **times)


def logs_request(batch):
    """The request that the generated classes build of *batch*'s events."""
    request = ExportLogsServiceRequest()
    if not batch.events:
        return request
    outer = request.resource_logs.add(resource=resource(batch))
    logs = outer.scope_logs.add(scope=scope())
    for event in batch.events:
        logs.log_records.add(
            time_unix_nano=event.time_unix_ns,
            observed_time_unix_nano=event.time_unix_ns,
            severity_number=event.severity,
            severity_text=severity_word(event.severity),
            body=any_value(event.body) if event.body else None,
            attributes=key_values(event.attributes),
            trace_id=bytes.fromhex(event.trace_id),
            span_id=bytes.fromhex(event.span_id),
            event_name=words(event.name),
        )
    return request


def traces_request(batch):
    """The request that the generated classes build of *batch*'s spans."""
    request = ExportTraceServiceRequest()
    scopes = {}
    for span in batch.spans:
        if not request.resource_spans:
            request.resource_spans.add(resource=resource(batch))
        if span.scope not in scopes:
            scopes[span.scope] = request.resource_spans[0].scope_spans.add(
                scope=scope(span.scope)
            )
        message = scopes[span.scope].spans.add(
            trace_id=bytes.fromhex(span.trace_id),
            span_id=bytes.fromhex(span.span_id),
            parent_span_id=bytes.fromhex(span.parent_span_id),
            trace_state=words(span.trace_state),
            name=words(span.name),
            kind=span.kind,
            start_time_unix_nano=span.start_unix_ns,
            end_time_unix_nano=span.end_unix_ns,
            attributes=key_values(span.attributes),
            flags=span.flags,
        )
        for event in span.events:
            message.events.add(
                time_unix_nano=event.time_unix_ns,
                name=words(event.name),
                attributes=key_values(event.attributes),
            )
        for link in span.links:
            message.links.add(
                trace_id=bytes.fromhex(link.trace_id),
                span_id=bytes.fromhex(link.span_id),
                trace_state=words(link.trace_state),
                attributes=key_values(link.attributes),
            )
        if span.status or span.status_message:
            message.status.code = span.status
            message.status.message = words(span.status_message)
    return request
