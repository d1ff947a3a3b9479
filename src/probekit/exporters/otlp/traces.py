"""Spans as an OTLP ``ExportTraceServiceRequest``; pure."""

from collections import defaultdict

from probekit.exporters.otlp.attributes import (
    key_values,
    resource_field,
    scope_field,
)
from probekit.exporters.otlp.protobuf import (
    fixed32,
    fixed64,
    identifier,
    length_delimited,
    moment,
    text,
    unsigned,
)
from probekit.model import Batch, Span, SpanEvent, SpanLink

_TRACE_BYTES, _SPAN_BYTES = 16, 8


def encode_traces(batch: Batch) -> bytes:
    """The request's body; empty when the batch has no spans."""
    if not batch.spans:
        return b""
    scopes: defaultdict[str, list[bytes]] = defaultdict(list)
    for span in batch.spans:
        scopes[span.scope].append(length_delimited(2, span_message(span)))
    content = b"".join(
        length_delimited(2, scope_field(name) + b"".join(spans))
        for name, spans in scopes.items()
    )
    return length_delimited(1, resource_field(batch.resource) + content)


def span_message(span: Span) -> bytes:
    """One ``Span``."""
    found = (
        identifier(1, span.trace_id, _TRACE_BYTES)
        + identifier(2, span.span_id, _SPAN_BYTES)
        + text(3, span.trace_state)
        + identifier(4, span.parent_span_id, _SPAN_BYTES)
        + text(5, span.name)
        + unsigned(6, span.kind)
        + b"\x39"
        + moment(span.start_unix_ns)
        + b"\x41"
        + moment(span.end_unix_ns)
        + key_values(b"\x4a", span.attributes)
    )
    for event in span.events:
        found += length_delimited(11, _event(event))
    for link in span.links:
        found += length_delimited(13, _link(link))
    if span.status or span.status_message:
        status = text(2, span.status_message) + unsigned(3, span.status)
        found += length_delimited(15, status)
    return found + fixed32(16, span.flags)


def _event(event: SpanEvent) -> bytes:
    return (
        fixed64(1, event.time_unix_ns)
        + text(2, event.name)
        + key_values(b"\x1a", event.attributes)
    )


def _link(link: SpanLink) -> bytes:
    return (
        identifier(1, link.trace_id, _TRACE_BYTES)
        + identifier(2, link.span_id, _SPAN_BYTES)
        + text(3, link.trace_state)
        + key_values(b"\x22", link.attributes)
    )
