"""Events: what happened once, in the application's own words.

The application's thread cleans and queues; secrets are taken out, and stacks are
written, by the draining thread.
"""

from collections.abc import Mapping

from probekit.hints import Any
from probekit.naming import VALUE_LIMIT, checked_name
from probekit.notice import notice
from probekit.recorded import SEVERITY_ERROR, SEVERITY_INFO, Event
from probekit.recording.attributes import clean, encodable, type_name
from probekit.recording.finish import finished
from probekit.recording.registry import REGISTRY, Registry

_SHOWN_LIMIT = 80
_SEVERITIES = range(1, 25)


def event(
    name: str,
    attributes: "Mapping[str, Any] | None" = None,
    *,
    severity: int = SEVERITY_INFO,
    body: str = "",
    durable: bool = False,
) -> None:
    """Record something that happened once.

    Never raises: a bad name, severity or body is counted as lost, with its reason.

    Args:
        name: Dotted, low in number: ``order.refunded``.
        attributes: Text, bool, int, float, or sequences of them; anything may differ
            from event to event.
        severity: OpenTelemetry's number, 1 to 24; 9 is info, 17 error.
        body: Text for people, at most 4,096 characters.
        durable: Whether the event must survive the process before this call returns;
            it then waits about 20 µs for a write. Without a buffer it is queued.

    Threads:
        Any; waits only when *durable*.

    Durability:
        A durable event survives ``kill -9`` from the return on; others do after the
        next write of the pump, 0.2 s later at most. With the setting ``sync_durable``
        it survives power loss as well, and waits for the disk, a second at most.

    Example:
        >>> event("order.refunded", {"order.id": "A1", "amount": 12.5})

    """
    record_event(
        REGISTRY,
        name,
        attributes,
        severity=severity,
        body=body,
        durable=durable,
    )


def record_exception(
    error: BaseException,
    *,
    attributes: "Mapping[str, Any] | None" = None,
    severity: int = SEVERITY_ERROR,
) -> None:
    """Record an exception that the application has handled, or raises again.

    It makes an event named ``exception`` and counts in its problem. An exception that
    a probe, a job or a request has recorded on its way is not counted again; with
    *attributes* it still makes an event. Nothing keeps the exception alive.

    Args:
        error: The exception.
        attributes: What else is known, such as an order's id.
        severity: OpenTelemetry's number; 17 is error.

    Threads:
        Any; does not wait.

    Example:
        >>> try:
        ...     1 / 0
        ... except ZeroDivisionError as caught:
        ...     record_exception(caught)

    """
    record_error(REGISTRY, error, attributes, severity=severity)


def record_event(
    registry: Registry,
    name: str,
    attributes: "Mapping[str, Any] | None" = None,
    *,
    severity: int = SEVERITY_INFO,
    body: str = "",
    durable: bool = False,
) -> None:
    """Queue an event, or write it now; never raises."""
    try:
        if registry.is_muted():
            return
        event = Event(
            registry.clock.wall_ns(),
            checked_name(name, "event name"),
            clean(attributes),
            _severity(severity),
            encodable(body, VALUE_LIMIT),
            *registry.ids(),
        )
    except Exception as error:
        registry.loss("events", "invalid")
        kind, which = type_name(type(error)), _shown(name)
        notice("event", f"an event was not taken: {kind}: {which}")
        return
    if not (durable and _written(registry, event)):
        registry.events.put(event)


def record_error(
    registry: Registry,
    error: BaseException,
    attributes: "Mapping[str, Any] | None" = None,
    *,
    severity: int = SEVERITY_ERROR,
) -> None:
    """Count a handled exception; never raises."""
    try:
        if registry.is_muted():
            return
        if not isinstance(error, BaseException):
            raise TypeError("not an exception")
        registry.problems.record(error, clean(attributes), _severity(severity))
    except Exception as failure:
        registry.loss("events", "invalid")
        kind = type_name(type(failure))
        notice("exception", f"record_exception() took nothing: {kind}")


def _written(registry: Registry, event: Event) -> bool:
    write = registry.on_durable
    if write is None:
        return False
    try:
        from probekit.model import Harvest

        write(Harvest(series=registry.table.series, events=[finished(event, registry)]))
        return True
    except Exception as error:
        notice("durable", "an event was queued, not written", error)
        return False


def _shown(name: object) -> str:
    """A name for people; what is no text is asked nothing."""
    if isinstance(name, str):
        return ascii(encodable(name, _SHOWN_LIMIT))
    return type_name(type(name))


def _severity(severity: int) -> int:
    if type(severity) is not int or severity not in _SEVERITIES:
        raise ValueError("severity must be a whole number from 1 to 24")
    return severity
