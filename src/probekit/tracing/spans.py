"""Spans for probes, middleware and patched libraries, through OpenTelemetry's API.

Contexts are put back by attaching what was current before, and only where our span
still is the current one: a span that ends in another thread or task (a streamed body, a
callback) changes nothing there, and there is nothing to fail.
"""

from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any

from opentelemetry import context, propagate, trace
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import SpanKind, StatusCode

from probekit.notice import notice
from probekit.passing import let_pass
from probekit.recording.attributes import type_name

INTERNAL = 1
_KINDS = {kind.value + 1: kind for kind in SpanKind}
Header = Callable[[str], "str | None"]


class _Headers(Getter[Header]):
    """Reads headers through a function."""

    def get(self, carrier: Header, key: str) -> "list[str] | None":
        """One header's values."""
        value = carrier(key)
        return None if value is None else [value]

    def keys(self, carrier: Header) -> "list[str]":
        """Not known; no propagator in use asks."""
        del carrier
        return []


_HEADERS = _Headers()


class OpenedSpan:
    """A span that was opened here; see ``recording.seams.CallSpan``."""

    __slots__ = ("_context", "_previous", "_span")

    def __init__(
        self, span: trace.Span, base: context.Context, *, attach: bool
    ) -> None:
        """Take a started span; make it the current one if asked to."""
        self._span = span
        self._context = trace.set_span_in_context(span, base)
        self._previous: context.Context | None = None
        if attach:
            self._previous = context.get_current()
            context.attach(self._context)

    def describe(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Say what only the end of the call tells."""
        span = self._span
        if not span.is_recording():
            return
        try:
            if name:
                span.update_name(name)
            span.set_attributes(dict(attributes))
        except Exception as error:
            notice("span", "a span was not described", error)

    def headers(self) -> "dict[str, str]":
        """What a message carries to go on with this trace."""
        carrier: dict[str, str] = {}
        propagate.inject(carrier, self._context)
        return carrier

    def end(
        self,
        error: "BaseException | None" = None,
        *,
        error_type: str = "",
    ) -> None:
        """Close it; see ``recording.seams.CallSpan``."""
        try:
            self._close(error, error_type)
        finally:
            self.leave()

    def close(self, *, error_type: str = "") -> None:
        """Close it, but leave it the current one."""
        self._close(None, error_type)

    def leave(self) -> None:
        """Make current again what was so before."""
        previous, self._previous = self._previous, None
        if previous is not None and trace.get_current_span() is self._span:
            context.attach(previous)

    def _close(self, error: "BaseException | None", error_type: str) -> None:
        span = self._span
        if span.is_recording():
            _judge(span, error, error_type)
            span.end()


def _judge(span: trace.Span, error: "BaseException | None", error_type: str) -> None:
    """Write down a failure; only subclasses of ``Exception`` are errors."""
    if isinstance(error, Exception):
        span.set_attribute("error.type", error_type or type_name(type(error)))
        span.set_status(StatusCode.ERROR, _message(error))
    elif error_type:
        span.set_attribute("error.type", error_type)
        span.set_status(StatusCode.ERROR)


def _message(error: Exception) -> str:
    try:
        return str(error)
    except Exception as failure:  # a broken __str__ of the application's
        let_pass(failure)
        return ""


class Tracer:
    """Opens spans; see ``recording.seams.Tracing``. Never raises.

    Threads:
        Any.
    """

    def __init__(self, tracer: trace.Tracer) -> None:
        """Open spans with *tracer*."""
        self._tracer = tracer

    def serve(
        self,
        name: str,
        kind: int,
        attributes: Mapping[str, Any],
        header: Header,
    ) -> "OpenedSpan | None":
        """Open a span for work that somebody asked for."""
        try:
            current = trace.get_current_span()
            otel_kind = _KINDS[kind]
            if current.is_recording() and getattr(current, "kind", None) is otel_kind:
                return None  # another instrumentation was here first
            base = propagate.extract(header, context.get_current(), _HEADERS)
            span = self._tracer.start_span(
                name, base, otel_kind, dict(attributes), record_exception=False
            )
            return OpenedSpan(span, base, attach=True)
        except Exception as error:
            notice("span", "a span was not opened", error)
            return None

    def begin(self, name: str, attributes: Mapping[str, Any]) -> "OpenedSpan | None":
        """Open a span for work that nobody asked for."""
        try:
            base = context.get_current()
            span = self._tracer.start_span(
                name, base, SpanKind.INTERNAL, dict(attributes), record_exception=False
            )
            return OpenedSpan(span, base, attach=True)
        except Exception as error:
            notice("span", "a span was not opened", error)
            return None

    def call(
        self,
        name: str,
        kind: int,
        attributes: Mapping[str, Any],
        *,
        attach: bool = True,
    ) -> "OpenedSpan | None":
        """Open a span for a part of recorded work."""
        try:
            current = trace.get_current_span()
            if not current.is_recording():
                return None
            base = context.get_current()
            span = self._tracer.start_span(
                name, base, _KINDS[kind], dict(attributes), record_exception=False
            )
            return OpenedSpan(span, base, attach=attach)
        except Exception as error:
            notice("span", "a span was not opened", error)
            return None

    def probe(
        self,
        name: str,
        attributes: Mapping[str, Any],
        attach: bool,  # noqa: FBT001 - as recording.seams.SpanMaker has it
    ) -> "OpenedSpan | None":
        """Open a span for a probed function."""
        return self.call(name, INTERNAL, attributes, attach=attach)

    def past(
        self,
        name: str,
        attributes: Mapping[str, Any],
        duration_s: float,
        error: "BaseException | None",
    ) -> None:
        """Leave a span for a call that ends now."""
        try:
            current = trace.get_current_span()
            if current.get_span_context().is_valid and not current.is_recording():
                return
            end_unix_ns = time_ns()  # as the SDK does: spans of a trace have one clock
            span = self._tracer.start_span(
                name,
                attributes=dict(attributes),
                start_time=end_unix_ns - round(duration_s * 1e9),
                record_exception=False,
            )
            if span.is_recording():
                _judge(span, error, "")
                span.end(end_unix_ns)
        except Exception as failure:
            notice("span", "a slow call left no span", failure)


def current_ids() -> "tuple[str, str]":
    """Trace and span id of OpenTelemetry's current span; empty texts outside any."""
    found = trace.get_current_span().get_span_context()
    if not found.is_valid:
        return "", ""
    return f"{found.trace_id:032x}", f"{found.span_id:016x}"
