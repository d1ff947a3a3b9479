"""Spans as an OTLP ``ExportTraceServiceRequest``; pure."""

from binascii import unhexlify
from collections import defaultdict
from struct import Struct, error

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
    text,
    unsigned,
    varint,
)
from probekit.model import Batch, Span, SpanEvent, SpanLink

_TRACE_BYTES, _SPAN_BYTES = 16, 8
_TRACE_DIGITS, _SPAN_DIGITS = 32, 16
_HIGHEST = (1 << 64) - 1
_NAMES_LIMIT = 4096
_pack_kind_and_times = Struct("<BBBQBQ").pack

_names: "dict[str, bytes]" = {}
_endings: "dict[tuple[int, int], bytes]" = {}


def encode_traces(batch: Batch) -> bytes:
    """The request's body; empty when the batch has no spans."""
    if not batch.spans:
        return b""
    scopes: defaultdict[str, list[bytes]] = defaultdict(list)
    for span in batch.spans:
        message = span_message(span)
        scopes[span.scope] += (b"\x12", varint(len(message)), message)
    content = b"".join(
        length_delimited(2, scope_field(name) + b"".join(spans))
        for name, spans in scopes.items()
    )
    return length_delimited(1, resource_field(batch.resource) + content)


def span_message(span: Span) -> bytes:
    """One ``Span``."""
    name = span.name
    found = _ids(span) + (_names.get(name) or _name(name)) + _kind_and_times(span)
    if span.attributes:
        found += key_values(b"\x4a", span.attributes)
    for event in span.events:
        found += length_delimited(11, _event(event))
    for link in span.links:
        found += length_delimited(13, _link(link))
    if span.status_message:
        return found + _ending(span.status, span.status_message, span.flags)
    ending = (span.status, span.flags)
    return found + (_endings.get(ending) or _usual_ending(*ending))


def _ending(status: int, message: str, flags: int) -> bytes:
    found = b""
    if status or message:
        found = length_delimited(15, text(2, message) + unsigned(3, status))
    return found + fixed32(16, flags)


def _usual_ending(status: int, flags: int) -> bytes:
    """An ending without a message, remembered: there are few."""
    if len(_endings) >= _NAMES_LIMIT:
        _endings.clear()
    made = _endings[status, flags] = _ending(status, "", flags)
    return made


def _ids(span: Span) -> bytes:
    """The fields before the name; the usual case first: all ids are what they say."""
    trace, own, parent = span.trace_id, span.span_id, span.parent_span_id
    if len(trace) == _TRACE_DIGITS and len(own) == _SPAN_DIGITS:
        with_parent = len(parent) == _SPAN_DIGITS
        if (with_parent or not parent) and not span.trace_state:
            # Tags and lengths are written as digits too, so one call reads it all.
            above = f"2208{parent}" if with_parent else ""
            try:
                return unhexlify(f"0a10{trace}1208{own}{above}")
            except ValueError:
                pass  # not hexadecimal: the slow way says which
    return (
        identifier(1, trace, _TRACE_BYTES)
        + identifier(2, own, _SPAN_BYTES)
        + text(3, span.trace_state)
        + identifier(4, parent, _SPAN_BYTES)
    )


def _kind_and_times(span: Span) -> bytes:
    kind, start, end = span.kind, span.start_unix_ns, span.end_unix_ns
    try:
        return _pack_kind_and_times(0x30, kind, 0x39, start, 0x41, end)
    except error:  # a moment before 1970, or a kind that nobody has defined
        first, last = (min(max(moment, 0), _HIGHEST) for moment in (start, end))
        return _pack_kind_and_times(0x30, kind & 0x7F, 0x39, first, 0x41, last)


def _name(name: str) -> bytes:
    """The field ``name``, remembered: spans have few names."""
    if len(_names) >= _NAMES_LIMIT:
        _names.clear()
    made = _names[name] = text(5, name)
    return made


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
