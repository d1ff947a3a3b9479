"""What is under way: requests and jobs that have begun and not ended.

They enter themselves here and leave at their end: two operations on a set, because
requests and jobs are long. Calls are not entered; ``calls`` finds those on the
threads' stacks when somebody looks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Literal, Protocol, TypeAlias

from probekit.model import SEVERITY_ERROR, AttributeValue
from probekit.notice import notice
from probekit.recording.attributes import type_name
from probekit.recording.events import record_event
from probekit.recording.registry import REGISTRY, Registry

EVENT = "interrupted"
LONG_S = 1.0  # what is younger is nobody's last word
MOST = 32  # operations that are told of: the oldest
KEPT = 10_000  # entries whose end was never told are forgotten beyond this

OperationKind: TypeAlias = Literal["call", "request", "job"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation under way.

    Attributes:
        kind: What it is.
        name: ``GET /orders/<id>``, a function, a job.
        began_s: When it began, ``perf_counter()`` seconds; or since when it was seen.
        attributes: What else tells it from others; not scrubbed yet.
        stack: Where its thread stood, innermost first; empty where that is not known.
        entry: ``id()`` of what entered itself; 0 for calls.
    """

    kind: OperationKind
    name: str
    began_s: float
    attributes: "Mapping[str, AttributeValue]" = field(default_factory=dict)
    stack: str = ""
    entry: int = 0


class Underway(Protocol):
    """What enters itself in :data:`UNDERWAY`."""

    def underway(self, longest_s: float) -> "Operation | None":
        """Describe it, if it began before *longest_s*; any thread, never waits."""


# Entered and left by application threads, looked at by the pump: each step of either
# is one operation of the interpreter.
UNDERWAY: "set[Underway]" = set()


def long_underway(now_s: float) -> "list[Operation]":
    """Describe the entered requests and jobs that began a second before *now_s*."""
    if len(UNDERWAY) > KEPT:  # somebody's server does not close what it has opened
        UNDERWAY.clear()
        notice("underway", "too many requests have not ended; they are not watched")
    each = (_described(entry, now_s - LONG_S) for entry in UNDERWAY.copy())
    return [operation for operation in each if operation is not None]


def _described(entry: Underway, longest_s: float) -> "Operation | None":
    try:
        return entry.underway(longest_s)
    except Exception as error:  # it is half made, or over by now
        notice("underway-one", "one operation was not described", error)
        return None


def interrupted(
    operation: Operation,
    error: BaseException,
    registry: Registry = REGISTRY,
) -> None:
    """Record that an exception that is no error has ended a long operation.

    A worker that takes too long is told so by its server with ``SystemExit`` or
    ``KeyboardInterrupt``. Cancellation is not meant: that is a client that has left.

    Threads:
        The one that *operation* ran on.

    """
    if isinstance(error, (SystemExit, KeyboardInterrupt)):
        lasted_s = perf_counter() - operation.began_s
        record_event(
            registry,
            EVENT,
            {
                **described(operation, lasted_s),
                "error.type": type_name(type(error)),
            },
            severity=SEVERITY_ERROR,
            body=f"{operation.name} was interrupted after {lasted_s:.1f} s",
        )


def described(operation: Operation, lasted_s: float) -> "dict[str, AttributeValue]":
    """Write an operation as attributes of its event."""
    found: dict[str, AttributeValue] = {
        **operation.attributes,
        "probekit.operation.kind": operation.kind,
        "probekit.operation.name": operation.name,
        "probekit.operation.duration": round(lasted_s, 3),
    }
    if operation.stack:
        found["code.stacktrace"] = operation.stack
    return found
