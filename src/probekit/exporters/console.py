"""Lines for people on standard output: what was measured, as it is delivered."""

import sys
from typing import TextIO

from probekit.errors import RetryLater
from probekit.exporters.text import (
    SPAN_STATUSES,
    number,
    rfc3339,
    severity_word,
    visible,
    word_of,
)
from probekit.exporters.urls import Target
from probekit.histogram import Histogram
from probekit.model import Attributes, Batch, Event, Point, Span
from probekit.ports import DeliveryContract

_STREAMS = ("stdout", "stderr")


class Console:
    """Writes one readable line for each point, event and span.

    Args:
        stream: Where to; None looks standard output up at each send, so that a host
            that replaces it is followed.
    """

    contract = DeliveryContract(acknowledges=False)

    def __init__(
        self, stream: "TextIO | None" = None, *, stream_name: str = "stdout"
    ) -> None:
        """Open nothing."""
        self._stream = stream
        self._stream_name = stream_name

    def __repr__(self) -> str:
        """For people."""
        return "Console()"

    def send(self, batch: Batch) -> None:
        """Write the batch.

        Raises:
            RetryLater: The stream is closed or cannot take the text.

        """
        stream = self._stream or getattr(sys, self._stream_name)
        if stream is None:
            raise RetryLater(f"the process has no {self._stream_name}")
        try:
            stream.write(_encodable("".join(f"{x}\n" for x in lines(batch)), stream))
            stream.flush()
        except (OSError, ValueError) as error:
            raise RetryLater(f"{self._stream_name}: {error}") from None

    def close(self) -> None:
        """Leave the stream open: it is not ours."""


def from_target(target: Target) -> Console:
    """Build from ``console:`` or ``console:?stream=stderr``."""
    options = target.options()
    stream_name = options.choice("stream", _STREAMS, "stdout")
    options.finish()
    return Console(stream_name=stream_name)


def lines(batch: Batch) -> "list[str]":
    """The batch as people read it; no line ends, no control characters."""
    found = []
    for window in batch.windows:
        time = _clock(window.end_unix_ns)
        found += [f"{time} {_point(point)}" for point in window.points]
    found += [f"{_clock(event.time_unix_ns)} {_event(event)}" for event in batch.events]
    found += [f"{_clock(span.end_unix_ns)} {_span(span)}" for span in batch.spans]
    return [visible(line) for line in found]


def _clock(time_unix_ns: int) -> str:
    return rfc3339(time_unix_ns)[11:23]


def _point(point: Point) -> str:
    series, value = point.series, point.value
    name = f"{series.name}{_braced(dict(series.attributes))}"
    unit = f" {series.unit}" if series.unit else ""
    if isinstance(value, Histogram):
        return (
            f"{name} count={value.count} sum={value.sum:.6g} "
            f"p50={value.quantile(0.5):.4g} p95={value.quantile(0.95):.4g} "
            f"max={value.max:.4g}{unit}"
        )
    sign = "" if series.kind == "gauge" else "+"
    return f"{name} {number(value):{sign}}{unit}"


def _event(event: Event) -> str:
    body = f" {event.body}" if event.body else ""
    return (
        f"{severity_word(event.severity).lower()} {event.name}"
        f"{_braced(event.attributes)}{body}"
    )


def _span(span: Span) -> str:
    milliseconds = (span.end_unix_ns - span.start_unix_ns) / 1e6
    status = word_of(SPAN_STATUSES, span.status)
    return (
        f"span {span.name}{_braced(span.attributes)} {milliseconds:.3f} ms {status} "
        f"trace={span.trace_id}"
    )


def _braced(attributes: Attributes) -> str:
    if not attributes:
        return ""
    return "{" + ", ".join(f"{k}={_value(v)}" for k, v in attributes.items()) + "}"


def _value(value: object) -> str:
    if isinstance(value, (str, bool, int, float)):
        return str(value)
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return f"<{type(value).__name__}>"


def _encodable(text: str, stream: TextIO) -> str:
    """*text* with what the stream's encoding cannot say replaced."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return text
