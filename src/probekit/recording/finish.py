"""From what was queued to the event or span that may be buffered."""

from probekit.hints import TYPE_CHECKING, TypeAlias
from probekit.recorded import Event
from probekit.recording.errors.group import Sample
from probekit.recording.errors.stack import text_of

if TYPE_CHECKING:
    from probekit.model import Span
    from probekit.recording.registry import Registry
    from probekit.recording.seams import EndedSpan

Queued: TypeAlias = "Event | Sample"
QueuedSpan: TypeAlias = "Span | EndedSpan"


def finished(queued: Queued, registry: "Registry") -> Event:
    """Make the event that may be buffered: scrubbed, with its stack as text."""
    scrub = registry.scrub
    if isinstance(queued, Event):
        return Event(
            queued.time_unix_ns,
            queued.name,
            scrub.attributes(queued.attributes),
            queued.severity,
            scrub.text(queued.body) if queued.body else "",
            queued.trace_id,
            queued.span_id,
        )
    return Event(
        queued.time_unix_ns,
        "exception",
        {
            **scrub.attributes(queued.attributes),
            "exception.type": queued.group.type,
            "exception.message": scrub.text(queued.trails[-1].message),
            "exception.stacktrace": scrub.text(text_of(queued.trails)),
            "probekit.problem": queued.group.fingerprint,
        },
        queued.severity,
        "",
        *queued.ids,
    )


def finished_span(queued: QueuedSpan, registry: "Registry") -> "Span":
    """Make the span that may be buffered; one that came from elsewhere is."""
    from probekit.model import Span

    return queued if isinstance(queued, Span) else queued.finished(registry.scrub)
