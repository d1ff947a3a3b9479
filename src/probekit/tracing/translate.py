"""From a span of OpenTelemetry's SDK to one of ours; imports neither SDK nor API.

Comes here: the draining thread, and the durable exporters. What leaves here is
scrubbed and holds nothing of the application's objects.
"""

from typing import Any

from probekit.model import Span, SpanEvent, SpanLink
from probekit.naming import VALUE_LIMIT
from probekit.recording.attributes import clean, encodable
from probekit.recording.seams import Scrub

_NAME_LIMIT = 1024
_SCOPE_LIMIT = 200
ERROR = 2  # the number of StatusCode.ERROR


class Ended:
    """A span of the SDK's that waits for the next drain."""

    __slots__ = ("_readable",)

    def __init__(self, readable: Any) -> None:
        """Hold what the SDK handed out at the end; it does not change any more."""
        self._readable = readable

    @property
    def trace_id(self) -> str:
        """32 hex digits."""
        return f"{self._readable.context.trace_id:032x}"

    def finished(self, scrub: Scrub) -> Span:
        """Return it as one of ours, scrubbed."""
        return span_of(self._readable, scrub)


def span_of(readable: Any, scrub: Scrub) -> Span:
    """Return a ``ReadableSpan`` as one of ours, scrubbed."""
    context, parent, status = readable.context, readable.parent, readable.status
    message = status.description
    scope = readable.instrumentation_scope
    start_ns = readable.start_time or 0
    return Span(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_span_id="" if parent is None else f"{parent.span_id:016x}",
        name=scrub.text(encodable(str(readable.name), _NAME_LIMIT)),
        kind=readable.kind.value + 1,
        start_unix_ns=start_ns,
        end_unix_ns=readable.end_time or start_ns,
        attributes=scrub.attributes(clean(readable.attributes)),
        events=tuple(_moment(event, scrub) for event in readable.events),
        links=tuple(_link(link, scrub) for link in readable.links),
        status=status.status_code.value,
        status_message=scrub.text(encodable(message, VALUE_LIMIT)) if message else "",
        trace_state=context.trace_state.to_header() if context.trace_state else "",
        flags=int(context.trace_flags),
        scope=encodable(scope.name, _SCOPE_LIMIT) if scope and scope.name else "",
    )


def _moment(event: Any, scrub: Scrub) -> SpanEvent:
    return SpanEvent(
        event.timestamp,
        scrub.text(encodable(str(event.name), _NAME_LIMIT)),
        scrub.attributes(clean(event.attributes)),
    )


def _link(link: Any, scrub: Scrub) -> SpanLink:
    context = link.context
    return SpanLink(
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        scrub.attributes(clean(link.attributes)),
        context.trace_state.to_header() if context.trace_state else "",
    )


def has_failed(readable: Any) -> bool:
    """Whether its status is an error."""
    return bool(readable.status.status_code.value == ERROR)


def duration_s(readable: Any) -> float:
    """How long it took, seconds."""
    return ((readable.end_time or 0) - (readable.start_time or 0)) / 1e9
