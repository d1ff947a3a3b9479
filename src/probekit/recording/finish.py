"""From what was queued to the event or span that may be buffered."""

from probekit.hints import TYPE_CHECKING, TypeAlias
from probekit.notice import notice
from probekit.recorded import Event
from probekit.recording.errors.group import Sample
from probekit.recording.errors.stack import text_of

if TYPE_CHECKING:
    from probekit.model import Harvest, Span
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


def finish_spans(
    queued: "list[QueuedSpan]", into: "Harvest", registry: "Registry"
) -> int:
    """Add spans to a harvest; how many could not be made."""
    if not queued:
        return 0
    from probekit.model import Span

    failed = 0
    scrub = registry.scrub
    for each in queued:
        try:
            if isinstance(each, Span):
                into.spans.append(each)
            else:
                into.spans.append(each.finished(scrub))
        except Exception as error:  # noqa: PERF203 - one bad span, not the others
            failed += 1
            notice("harvest-span", "a span was not harvested", error)
    return failed
