"""Spans as an OTLP ``ExportTraceServiceRequest``; pure."""

from binascii import unhexlify
from collections import defaultdict
from collections.abc import Iterable
from struct import Struct, error

from probekit.exporters.cache import Memo
from probekit.exporters.otlp.attributes import (
    KeyValues,
    resource_field,
    scope_field,
)
from probekit.exporters.otlp.protobuf import (
    Piece,
    enclosed,
    fixed32,
    fixed64,
    identifier,
    length_delimited,
    moment,
    text,
    unsigned,
    varint,
)
from probekit.model import Batch, Span, SpanEvent, SpanLink

_TRACE_BYTES, _SPAN_BYTES = 16, 8
_TRACE_DIGITS, _SPAN_DIGITS = 32, 16
_pack_times = Struct("<QBQ").pack
_END = 0x41  # the tag of the end

_ATTRIBUTES = KeyValues(b"\x4a")
_known, _field = _ATTRIBUTES.known, _ATTRIBUTES.field
_EVENT_ATTRIBUTES = KeyValues(b"\x1a")
_LINK_ATTRIBUTES = KeyValues(b"\x22")


def encode_traces(batch: Batch) -> bytes:
    """The request's body; empty when the batch has no spans."""
    if not batch.spans:
        return b""
    found: list[Piece] = [resource_field(batch.resource)]
    for name, spans in _by_scope(batch.spans).items():
        found += enclosed(2, (scope_field(name), spans))
    return b"".join(enclosed(1, found))


def _by_scope(spans: "Iterable[Span]") -> "dict[str, bytearray]":
    """Scope → its fields ``spans``."""
    scopes: defaultdict[str, bytearray] = defaultdict(bytearray)
    scope, found = None, bytearray()
    for span in spans:
        if span.scope != scope:
            scope = span.scope
            found = scopes[scope]
        message = span_message(span)
        found += _heads[len(message)] + message
    return scopes


def span_message(span: Span) -> bytes:
    """One ``Span``; the usual one, which has nothing rare, without a call of ours."""
    trace, own, parent = span.trace_id, span.span_id, span.parent_span_id
    if (
        len(trace) != _TRACE_DIGITS
        or len(own) != _SPAN_DIGITS
        or (parent and len(parent) != _SPAN_DIGITS)
        or span.events
        or span.links
        or span.trace_state
        or span.status_message
    ):
        return _unusual(span)
    try:
        # Tags and lengths are written as digits too, so one call reads it all.
        ids = unhexlify(
            f"0a10{trace}1208{own}2208{parent}" if parent else f"0a10{trace}1208{own}"
        )
        times = _pack_times(span.start_unix_ns, _END, span.end_unix_ns)
    except (ValueError, error):  # not hexadecimal; a moment before 1970
        return _unusual(span)
    name, ending = _frames[span.name, span.kind, span.status, span.flags]
    found = [ids, name, times]
    for item in span.attributes.items():
        kind = type(item[1])
        if kind is str or kind is int:
            found.append(_known(item) or _field(item))
        else:
            found.append(_field(item))
    found.append(ending)
    return b"".join(found)


def _unusual(span: Span) -> bytes:
    """Any ``Span``."""
    name, ending = _frames[span.name, span.kind, span.status, span.flags]
    if span.status_message:
        ending = _ending(span.status, span.status_message, span.flags)
    return b"".join(
        (
            _ids(span),
            name,
            moment(span.start_unix_ns) + b"\x41" + moment(span.end_unix_ns),
            _ATTRIBUTES.of(span.attributes),
            *(length_delimited(11, _event(event)) for event in span.events),
            *(length_delimited(13, _link(link)) for link in span.links),
            ending,
        )
    )


def _frame(key: "tuple[str, int, int, int]") -> "tuple[bytes, bytes]":
    """What spans of one name, kind, status and flags share: before the times, last."""
    name, kind, status, flags = key
    before = text(5, name) + b"\x30" + varint(kind) + b"\x39"
    return before, _ending(status, "", flags)


_frames: "Memo[tuple[str, int, int, int], tuple[bytes, bytes]]" = Memo(_frame)
# Length of a span → tag and length before it.
_heads: "Memo[int, bytes]" = Memo(lambda size: b"\x12" + varint(size))


def _ending(status: int, message: str, flags: int) -> bytes:
    found = b""
    if status or message:
        found = length_delimited(15, text(2, message) + unsigned(3, status))
    return found + fixed32(16, flags)


def _ids(span: Span) -> bytes:
    """The fields before the name; an id that is none is left out."""
    return (
        identifier(1, span.trace_id, _TRACE_BYTES)
        + identifier(2, span.span_id, _SPAN_BYTES)
        + text(3, span.trace_state)
        + identifier(4, span.parent_span_id, _SPAN_BYTES)
    )


def _event(event: SpanEvent) -> bytes:
    return (
        fixed64(1, event.time_unix_ns)
        + text(2, event.name)
        + _EVENT_ATTRIBUTES.of(event.attributes)
    )


def _link(link: SpanLink) -> bytes:
    return (
        identifier(1, link.trace_id, _TRACE_BYTES)
        + identifier(2, link.span_id, _SPAN_BYTES)
        + text(3, link.trace_state)
        + _LINK_ATTRIBUTES.of(link.attributes)
    )
