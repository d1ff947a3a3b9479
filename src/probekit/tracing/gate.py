"""The span processor: what a provider of OpenTelemetry's SDK hands its spans to.

A provider keeps its processors for life; so this one stays, and is open while traces
are on. It never raises into the application, which ends spans on its own threads.
"""

from collections.abc import Callable
from typing import Any, Protocol

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from probekit.notice import notice

COMMITS = "commits_to_probekit"  # an attribute of our durable exporters

Flush = Callable[[float], bool]  # seconds to wait at most → whether all is delivered


class Sink(Protocol):
    """Takes spans while traces are on."""

    def started(self, span: Any) -> None:
        """A sampled span has begun."""

    def ended(self, readable: Any) -> None:
        """A sampled span has ended."""


class Gate(SpanProcessor):
    """Passes sampled spans on to the sink of the moment.

    A provider that has one of our durable exporters too delivers its spans through
    that: the gate lets them pass by, so that each is buffered once.
    """

    def __init__(
        self,
        processors: "Callable[[], tuple[Any, ...]]" = tuple,
    ) -> None:
        """Closed.

        Args:
            processors: Says which processors the provider has besides.

        """
        self._processors = processors
        self._flush: Flush | None = None
        self._seen: tuple[Any, ...] = ()
        self._is_left_to_another = False
        self._sink: Sink | None = None

    def open(self, sink: "Sink | None", flush: "Flush | None" = None) -> None:
        """Pass spans to *sink* from now on; None closes. Any thread.

        Args:
            sink: Takes the spans.
            flush: Writes and delivers what the sink has taken.

        """
        self._flush = flush
        self._sink = sink

    def on_start(self, span: Span, parent_context: "Context | None" = None) -> None:
        """Tell the sink, as the SDK asks."""
        del parent_context
        sink = self._sink
        if sink is not None and span.context.trace_flags.sampled:
            try:
                sink.started(span)
            except Exception as error:
                notice("span-start", "a span's begin was not noticed", error)

    def on_end(self, span: ReadableSpan) -> None:
        """Give the sink a span that has ended, as the SDK asks."""
        sink, context = self._sink, span.context
        if sink is None or context is None or not context.trace_flags.sampled:
            return
        try:
            if not self._has_other_way():
                sink.ended(span)
        except Exception as error:
            notice("span-end", "a span was not taken", error)

    def shutdown(self) -> None:
        """Do nothing: what has ended is in our hands already."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Write and deliver what has ended, as ``probekit.flush`` does."""
        flush = self._flush
        return flush is None or flush(timeout_millis / 1e3)

    def _has_other_way(self) -> bool:
        processors = self._processors()
        if processors is not self._seen:
            self._is_left_to_another = any(map(_commits, processors))
            self._seen = processors
        return self._is_left_to_another


def _commits(processor: Any) -> bool:
    exporter = getattr(processor, "span_exporter", None)
    return bool(getattr(exporter, COMMITS, False))
