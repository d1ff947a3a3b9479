"""Spans as an OTLP ``ExportTraceServiceRequest``; pure."""

from binascii import unhexlify
from collections import defaultdict
from collections.abc import Iterable
from struct import Struct, error

from probekit.exporters.cache import LIMIT_KEYS, Memo
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
    """Scope → its fields ``spans``; the usual span without a call of ours."""
    scopes: defaultdict[str, bytearray] = defaultdict(bytearray)
    scope, found = None, bytearray()
    known, latest, heads, join = _ATTRIBUTES.known, _latest, _heads, b"".join
    field = _ATTRIBUTES.field
    for span in spans:
        if span.scope != scope:
            scope = span.scope
            found = scopes[scope]
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
            found += length_delimited(2, _unusual(span))
            continue
        try:
            kind, status, flags, shared = latest[span.name]
            if kind != span.kind or status != span.status or flags != span.flags:
                shared = _meet(span)
        except KeyError:
            shared = _meet(span)
        try:
            pieces = [
                # Tags and lengths are written as digits too, so one call reads it all.
                unhexlify(
                    f"0a10{trace}1208{own}2208{parent}"
                    if parent
                    else f"0a10{trace}1208{own}"
                ),
                shared,
                _pack_times(span.start_unix_ns, _END, span.end_unix_ns),
            ]
        except (ValueError, error):  # not hexadecimal; a moment before 1970
            found += length_delimited(2, _unusual(span))
            continue
        for name, value in span.attributes.items():
            type_ = type(value)
            if type_ is str or type_ is int:
                try:
                    pieces.append(known[name][value])
                except KeyError:
                    pieces.append(field(name, value))
            else:
                pieces.append(field(name, value))
        message = join(pieces)
        size = len(message)
        try:
            found += heads[size]
        except KeyError:
            found += _head(size)
        found += message
    return scopes


def _unusual(span: Span) -> bytes:
    """Any ``Span``."""
    return b"".join(
        (
            _ids(span),
            _shared(span.name, span.kind, span.status, span.flags, span.status_message),
            moment(span.start_unix_ns) + b"\x41" + moment(span.end_unix_ns),
            _ATTRIBUTES.of(span.attributes),
            *(length_delimited(11, _event(event)) for event in span.events),
            *(length_delimited(13, _link(link)) for link in span.links),
        )
    )


def _shared(name: str, kind: int, status: int, flags: int, message: str = "") -> bytes:
    """What spans of one name mostly have in common, up to the tag of the start.

    These fields stand together though their numbers do not: readers must take fields
    in any order (Protocol Buffers, "Encoding": field order).
    """
    told = text(2, message) + unsigned(3, status)
    return b"".join(
        (
            text(5, name),
            b"\x30" + varint(kind),
            length_delimited(15, told) if told else b"",
            fixed32(16, flags),
            b"\x39",
        )
    )


_heads: "dict[int, bytes]" = {}  # length of a span → tag and length before it
_shares: "Memo[tuple[str, int, int, int], bytes]" = Memo(lambda key: _shared(*key))
# Name → kind, status and flags of the last such span, and what it shared: mostly the
# next one's, found by one text instead of four values.
_latest: "dict[str, tuple[int, int, int, bytes]]" = {}


def _head(size: int) -> bytes:
    """Tag and length before a span of a length that is not known yet."""
    if len(_heads) >= LIMIT_KEYS:
        _heads.clear()
    made = _heads[size] = b"\x12" + varint(size)
    return made


def _meet(span: Span) -> bytes:
    """What *span* shares, which the last one of its name did not, or there is none."""
    kind, status, flags = span.kind, span.status, span.flags
    shared = _shares[span.name, kind, status, flags]
    if len(_latest) >= LIMIT_KEYS:
        _latest.clear()
    _latest[span.name] = kind, status, flags, shared
    return shared


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
