"""Spans as the exemplars of a histogram's point; pure."""

from struct import Struct

from probekit.exporters.examples import Examples, seconds_of
from probekit.exporters.otlp.protobuf import fixed64, identifier, length_delimited
from probekit.model import Series, Span, Window

_pack_value = Struct("<Bd").pack


def exemplars(examples: Examples, series: Series, window: Window) -> bytes:
    """The field ``exemplars`` (8) of a histogram's point; empty without an example."""
    spans = examples.of(series, window.start_unix_ns, window.end_unix_ns)
    return b"".join([length_delimited(8, _exemplar(span)) for span in spans])


def _exemplar(span: Span) -> bytes:
    """One ``Exemplar``; its attributes are the point's, so none are repeated."""
    return (
        fixed64(2, span.end_unix_ns)
        + _pack_value(0x19, seconds_of(span))
        + identifier(4, span.span_id, 8)
        + identifier(5, span.trace_id, 16)
    )
