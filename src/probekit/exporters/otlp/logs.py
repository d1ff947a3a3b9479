"""Events as an OTLP ``ExportLogsServiceRequest``; pure.

An event is a log record with its name in ``event_name``; an exception is one too, with
``exception.type``, ``.message`` and ``.stacktrace`` among its attributes.
"""

from probekit.exporters.otlp.attributes import (
    KeyValues,
    any_value,
    resource_field,
    scope_field,
)
from probekit.exporters.otlp.protobuf import (
    fixed64,
    identifier,
    length_delimited,
    text,
    unsigned,
)
from probekit.exporters.text import severity_word
from probekit.model import Batch, Event

_ATTRIBUTES = KeyValues(b"\x32")


def encode_logs(batch: Batch) -> bytes:
    """The request's body; empty when the batch has no events."""
    if not batch.events:
        return b""
    records = b"".join([length_delimited(2, log_record(e)) for e in batch.events])
    scope_logs = length_delimited(2, scope_field() + records)
    return length_delimited(1, resource_field(batch.resource) + scope_logs)


def log_record(event: Event) -> bytes:
    """One ``LogRecord``."""
    body = length_delimited(5, any_value(event.body)) if event.body else b""
    return b"".join(
        (
            fixed64(1, event.time_unix_ns),
            unsigned(2, event.severity),
            text(3, severity_word(event.severity)),
            body,
            _ATTRIBUTES.of(event.attributes),
            identifier(9, event.trace_id, 16),
            identifier(10, event.span_id, 8),
            fixed64(11, event.time_unix_ns),
            text(12, event.name),
        ),
    )
