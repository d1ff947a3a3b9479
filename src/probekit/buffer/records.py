"""Events, problems, spans and definitions as JSON rows; pure.

Types survive: what went in as int, bool, float or text comes back as such; sequences
come back as tuples.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from probekit.model import (
    Attributes,
    Event,
    FrozenAttributes,
    Problem,
    Series,
    Span,
    SpanEvent,
    SpanLink,
)

_KINDS = frozenset({"counter", "up_down_counter", "gauge", "histogram"})


def dump(value: Any) -> str:
    """JSON of anything; what JSON has no form for is named by its type."""
    return _ENCODER.encode(value)


def _foreign(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return f"<{type(value).__name__}>"


_ENCODER = json.JSONEncoder(
    separators=(",", ":"),
    skipkeys=True,
    default=_foreign,
)


def dump_rows(rows: "Iterable[list[Any]]") -> "tuple[bytes, int]":
    """JSON of rows, and how many were left out because JSON cannot take them."""
    every = list(rows)
    try:
        return dump(every).encode("ascii"), 0
    except (ValueError, TypeError, RecursionError):  # circular, or nested too deep
        good = [row for row in every if _can_dump(row)]
        return dump(good).encode("ascii"), len(every) - len(good)


def _can_dump(row: "list[Any]") -> bool:
    try:
        dump(row)
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def frozen(value: Any) -> Any:
    """A value with lists as tuples."""
    return tuple(frozen(item) for item in value) if isinstance(value, list) else value


def load_attributes(raw: "Mapping[str, Any]") -> "dict[str, Any]":
    """Attributes with lists as tuples."""
    if list not in map(type, raw.values()):  # nearly always
        return dict(raw)
    return {key: frozen(value) for key, value in raw.items()}


def series_row(local_id: int, series: Series) -> "list[Any]":
    """A definition: what a local id stands for."""
    return [
        local_id,
        series.name,
        series.kind,
        series.unit,
        series.attributes,
        series.description,
        series.ends_with_process,
    ]


def load_series(row: "list[Any]") -> "tuple[int, Series]":
    """The local id and the series of a definition."""
    local_id, name, kind, unit, attributes, description, ends = row
    if kind not in _KINDS:
        raise ValueError(f"no kind of instrument: {kind!r}")
    held: FrozenAttributes = tuple((key, frozen(value)) for key, value in attributes)
    return int(local_id), Series(name, kind, unit, held, description, bool(ends))


def event_row(event: Event) -> "list[Any]":
    """An event without its number."""
    return [
        event.time_unix_ns,
        event.name,
        plain(event.attributes),
        event.severity,
        event.body,
        event.trace_id,
        event.span_id,
    ]


def load_event(row: "list[Any]") -> Event:
    """What :func:`event_row` wrote."""
    time_unix_ns, name, attributes, severity, body, trace_id, span_id = row
    return Event(
        time_unix_ns,
        name,
        load_attributes(attributes),
        severity,
        body,
        trace_id,
        span_id,
    )


def problem_row(problem: Problem) -> "list[Any]":
    """A problem."""
    return [
        problem.fingerprint,
        problem.type,
        problem.message,
        problem.culprit,
        problem.stack,
        problem.first_seen_unix_ns,
        problem.last_seen_unix_ns,
        problem.count,
    ]


def load_problem(row: "list[Any]") -> Problem:
    """What :func:`problem_row` wrote."""
    return Problem(*row)


def span_row(span: Span) -> "list[Any]":
    """A span without its number."""
    return [
        span.trace_id,
        span.span_id,
        span.parent_span_id,
        span.name,
        span.kind,
        span.start_unix_ns,
        span.end_unix_ns,
        plain(span.attributes),
        moments_row(span),
        links_row(span),
        span.status,
        span.status_message,
        span.trace_state,
        span.flags,
        span.scope,
    ]


def moments_row(span: Span) -> "list[Any]":
    """The events of a span."""
    return [[e.time_unix_ns, e.name, plain(e.attributes)] for e in span.events]


def links_row(span: Span) -> "list[Any]":
    """The links of a span."""
    return [
        [link.trace_id, link.span_id, plain(link.attributes), link.trace_state]
        for link in span.links
    ]


def load_span(row: "list[Any]", number: int = 0) -> Span:
    """What :func:`span_row` wrote."""
    trace_id, span_id, parent_span_id, name, kind, start_ns, end_ns = row[:7]
    raw, moments, links, status, message, state, flags, scope = row[7:]
    held = load_attributes(raw)
    if moments:
        moments = [
            SpanEvent(at, what, load_attributes(has)) for at, what, has in moments
        ]
    if links:
        links = [SpanLink(t, s, load_attributes(has), st) for t, s, has, st in links]
    return Span(
        trace_id,
        span_id,
        parent_span_id,
        name,
        kind,
        start_ns,
        end_ns,
        held,
        tuple(moments),
        tuple(links),
        status,
        message,
        state,
        flags,
        scope,
        number,
    )


def plain(attributes: "Attributes | FrozenAttributes") -> "dict[str, Any]":
    """Attributes as a dict that JSON takes."""
    return dict(attributes)
