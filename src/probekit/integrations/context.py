"""Trace context on its way: out with a call, in with a message, over to a thread.

OpenTelemetry's context counts where its API is in use in this process; else the ids
that the registry knows (those of the request being served). Nothing here imports
OpenTelemetry: an application that has not done so has no context of its.
"""

import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from probekit.integrations.http import REMOTE, parse_traceparent
from probekit.notice import notice
from probekit.recording.quiet import silence_thread, suppressed
from probekit.recording.registry import REGISTRY


def trace_headers() -> "dict[str, str]":
    """Return the headers that carry the current trace context; empty without one.

    Threads:
        Any; asks OpenTelemetry's propagator where the application has loaded it.

    """
    try:
        headers = _opentelemetry_headers()
        if headers:
            return headers
        ids = REGISTRY.trace_ids() if REGISTRY.trace_ids is not None else None
    except Exception as error:
        notice("inject", "a call carries no trace context", error)
        return {}
    if ids and all(ids):
        return {"traceparent": f"00-{ids[0]}-{ids[1]}-01"}
    return {}


def inject(headers: "MutableMapping[str, Any]") -> None:
    """Add the current trace context to *headers*; one that is there already stays.

    Args:
        headers: A mapping of the library's own; may tell upper from lower case.

    Example:
        >>> headers = {"accept": "*/*"}
        >>> inject(headers)  # outside of any trace
        >>> headers
        {'accept': '*/*'}

    """
    ours = trace_headers()
    if not ours:
        return
    if any(str(name).lower() == "traceparent" for name in headers):
        return
    for name, value in ours.items():
        headers[name] = value


def _opentelemetry_headers() -> "dict[str, str]":
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return {}
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return {}
    propagate = sys.modules.get("opentelemetry.propagate")
    if propagate is not None:
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return carrier
    headers = {
        "traceparent": (
            f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"
        ),
    }
    if span.trace_state:
        headers["tracestate"] = span.trace_state.to_header()
    return headers


class Attached:
    """A context that came with a message and is the current one until ``detach``."""

    __slots__ = ("_detach",)

    def __init__(self, carrier: "Mapping[str, Any]") -> None:
        """Make the context in *carrier* the current one, if it holds a valid one."""
        self._detach: list[Callable[[], object]] = []
        header = carrier.get("traceparent")
        ids = parse_traceparent(header) if isinstance(header, str) else None
        if ids is None:
            return
        token = REMOTE.set(ids)
        self._detach.append(lambda: REMOTE.reset(token))
        if "opentelemetry.trace" in sys.modules:
            self._attach_opentelemetry(carrier)

    def detach(self) -> None:
        """Make the context current again that was so before; never raises."""
        while self._detach:
            try:
                self._detach.pop()()
            except Exception as error:  # noqa: PERF203 - begun in another context
                notice("detach", "a trace context was left in place", error)

    def _attach_opentelemetry(self, carrier: "Mapping[str, Any]") -> None:
        try:
            from opentelemetry import context, propagate

            names = [str(name) for name in propagate.get_global_textmap().fields]
            texts = {
                name: str(carrier[name])
                for name in names
                if carrier.get(name) is not None
            }
            token = context.attach(propagate.extract(texts))
            self._detach.append(lambda: context.detach(token))
        except Exception as error:
            notice("extract", "a message's trace context was not read", error)


class Carried:
    """The telemetry context of one thread, to be put on in another.

    Only what telemetry itself keeps is carried: the trace context, and whether
    recording is suppressed. The application's own context variables stay behind, as
    they do without probekit: ``decimal``'s precision or Flask's request, seen in
    threads that never saw them before, would change what the application does.
    """

    __slots__ = ("_ids", "_opentelemetry", "_quiet")

    def __init__(self, ids: "tuple[str, str]", context: Any, *, quiet: bool) -> None:
        """Hold what :func:`capture` found."""
        self._ids = ids
        self._opentelemetry = context
        self._quiet = quiet

    def put_on(self) -> "Callable[[], None]":
        """Make this the current thread's context; return what takes it off again."""
        token = REMOTE.set(self._ids)
        otel = sys.modules.get("opentelemetry.context")
        attached = otel.attach(self._opentelemetry) if otel is not None else None
        silence = REGISTRY.suppress() if self._quiet else None
        if silence is not None:
            silence.__enter__()

        def take_off() -> None:
            if silence is not None:
                silence.__exit__(None, None, None)
            if otel is not None:
                otel.detach(attached)
            REMOTE.reset(token)

        return take_off

    def settle(self) -> None:
        """Make this the current thread's context for the rest of its life."""
        REMOTE.set(self._ids)
        otel = sys.modules.get("opentelemetry.context")
        if otel is not None:
            otel.attach(self._opentelemetry)
        if self._quiet:
            silence_thread()


def capture() -> "Carried | None":
    """Return what a thread started here should carry; None when there is nothing."""
    ids = REMOTE.get()
    quiet = suppressed()
    otel = sys.modules.get("opentelemetry.context")
    context = otel.get_current() if otel is not None else None
    if not context and not quiet and not any(ids):
        return None
    return Carried(ids, context, quiet=quiet)
