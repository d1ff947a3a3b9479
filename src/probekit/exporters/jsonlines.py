"""JSON lines: one object a line, each understandable alone; pure.

A line says its ``type`` (``metric``, ``event`` or ``span``), ``service`` and ``host``.
Times are RFC 3339 in UTC with nine digits: they sort as text, and shippers parse them.

Metrics: ``name``, ``kind``, ``unit``, ``attributes``, ``start``, ``end`` and ``value``,
the window's delta (a gauge's last value); sums also ``total``, the running total where
the buffer knows it. Histograms have ``count``, ``sum``, ``min``, ``max`` and
``buckets`` instead: ``[upper bound, count]`` pairs, rising, empty ones left out, each
counting ``(previous bound, upper bound]``. Where a line has a limit, neighbours are
added together until it fits: every bound that is left still counts exactly.

Events keep their own attributes under their own keys, beside ``name``, ``time``,
``severity`` and, where there are any, ``body``, ``trace_id``, ``span_id``. An attribute
whose key is one of ours, or begins with ``attributes.``, stands under
``attributes.<key>``; so none is lost, and the way back is unique.

Where lines may get lost, events and spans are numbered: ``probekit.number`` rises by
one from event to event (and from span to span) of one ``probekit.stream``, over all
processes and restarts, and is the same when a record is sent again.

The text is ASCII: no reader sees a line end where there is none. Numbers that JSON does
not have (NaN, infinities) become strings.
"""

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

from probekit.exporters.cache import SeriesCache
from probekit.exporters.text import (
    SPAN_KINDS,
    SPAN_STATUSES,
    host_of,
    number,
    rfc3339,
    severity_word,
    word_of,
)
from probekit.histogram import BOUNDS, OVERFLOW_BIN, Histogram
from probekit.model import Attributes, Batch, Event, Point, Resource, Series, Span

OWN_EVENT_KEYS = frozenset(
    {
        "type",
        "service",
        "host",
        "name",
        "time",
        "severity",
        "severity_number",
        "body",
        "trace_id",
        "span_id",
        "probekit.stream",
        "probekit.number",
    }
)
_PREFIX = "attributes."
_INTEGER_LIMIT_BITS = 1024
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class JsonLines:
    """Encodes batches; keeps what it made of each series.

    Args:
        limit_bytes: Histograms are made coarser until their line has at most so many
            bytes; nothing else is cut. None for no limit.
        numbered: Whether events and spans say their number in the buffer.
    """

    __slots__ = ("_heads", "_limit_bytes", "_numbered")

    def __init__(
        self, limit_bytes: "int | None" = None, *, numbered: bool = False
    ) -> None:
        """Start with an empty memory."""
        self._heads: SeriesCache[str] = SeriesCache(_head)
        self._limit_bytes = limit_bytes
        self._numbered = numbered

    def lines(self, batch: Batch) -> "list[bytes]":
        """One line for each point, event and span, in this order, without line ends."""
        tail = _tail(batch.resource)
        found: list[str] = []
        for window in batch.windows:
            times = (
                f',"start":"{rfc3339(window.start_unix_ns)}"'
                f',"end":"{rfc3339(window.end_unix_ns)}"{tail}'
            )
            found += [self._point(point, times) for point in window.points]
        stream = f',"probekit.stream":{_dumps(batch.buffer_id)},"probekit.number":'
        records = [(_event(each), each.number) for each in batch.events]
        records += [(_span(each), each.number) for each in batch.spans]
        for said, rank in records:
            where = f"{stream}{rank}" if self._numbered else ""
            found.append(f"{_dumps(said)[:-1]}{where}{tail}")
        return [line.encode("ascii") for line in found]

    def _point(self, point: Point, times: str) -> str:
        head = self._heads.of(point)
        line = f"{head}{_values(point)}{times}"
        if (
            self._limit_bytes is not None
            and len(line) > self._limit_bytes
            and isinstance(point.value, Histogram)
        ):
            spare = self._limit_bytes - len(head) - len(times)
            line = f"{head}{_histogram(point.value, spare)}{times}"
        return line

    def document(self, batch: Batch) -> bytes:
        """All lines, each with its line end."""
        lines = self.lines(batch)
        lines.append(b"")
        return b"\n".join(lines)


def _tail(resource: Resource) -> str:
    who = {"service": resource.service}
    host = host_of(resource)
    if host:
        who["host"] = host
    return "," + _dumps(who)[1:]


def _head(series: Series) -> str:
    """The part of a line that never changes, open at its end."""
    return _dumps(
        {
            "type": "metric",
            "name": series.name,
            "kind": series.kind,
            "unit": series.unit,
            "attributes": dict(series.attributes),
        },
    )[:-1]


def _values(point: Point) -> str:
    value = point.value
    if isinstance(value, Histogram):
        return _histogram(value)
    if point.series.kind == "gauge":
        return f',"value":{_float(value)}'
    text = f',"value":{_float(number(value))}'
    total = point.total
    if total is None or isinstance(total, Histogram):
        return text
    return f'{text},"total":{_float(number(total))}'


def _float(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'"{_odd(value)}"'


def _histogram(value: Histogram, limit_bytes: "int | None" = None) -> str:
    text = f',"count":{value.count},"sum":{_float(value.sum)}'
    if value.count:
        text += f',"min":{_float(value.min)},"max":{_float(value.max)}'
    line = f'{text},"buckets":{buckets_text(value)}'
    return line if limit_bytes is None else _shortened(value, text, line, limit_bytes)


def buckets_text(value: Histogram) -> str:
    """Its occupied buckets as a JSON array of ``[upper bound, count]``, rising.

    Example:
        >>> buckets_text(Histogram.of([0.1, 0.25, 0.25]))
        '[[0.1,1],[0.25,2]]'

    """
    heads, bins = _heads_of_buckets(), value.bins
    words = [f"{heads[bin_]}{bins[bin_]}]" for bin_ in sorted(bins)]
    if OVERFLOW_BIN in bins:
        words[-1] = f"[{_float(value.max)},{bins[OVERFLOW_BIN]}]"
    return f"[{','.join(words)}]"


@lru_cache(maxsize=1)
def _heads_of_buckets() -> "tuple[str, ...]":
    """The beginning of each bin's pair; the overflow's bound is the largest value."""
    return (*(f"[{_float(bound)}," for bound in BOUNDS), "")


def _shortened(value: Histogram, text: str, line: str, limit_bytes: int) -> str:
    buckets = [
        (BOUNDS[bin_] if bin_ < OVERFLOW_BIN else value.max, count)
        for bin_, count in sorted(value.bins.items())
    ]
    while len(line) > limit_bytes and len(buckets) > 1:
        buckets = _coarser(buckets)
        line = f'{text},"buckets":{_encode(buckets)}'
    return line


def _coarser(buckets: "list[tuple[float, int]]") -> "list[tuple[float, int]]":
    """Half as many buckets: each takes its lower neighbour in.

    Example:
        >>> _coarser([(0.1, 1), (0.2, 2), (0.5, 3)])
        [(0.1, 1), (0.5, 5)]

    """
    odd = len(buckets) % 2
    pairs = zip(buckets[odd::2], buckets[odd + 1 :: 2], strict=True)
    return [
        *buckets[:odd],
        *((upper, below + count) for (_, below), (upper, count) in pairs),
    ]


def _event(event: Event) -> "dict[str, object]":
    found: dict[str, object] = {
        "type": "event",
        "name": event.name,
        "time": rfc3339(event.time_unix_ns),
        "severity": severity_word(event.severity),
    }
    for key in ("body", "trace_id", "span_id"):
        text = getattr(event, key)
        if text:
            found[key] = text
    for name, value in event.attributes.items():
        hidden = name in OWN_EVENT_KEYS or name.startswith(_PREFIX)
        found[_PREFIX + name if hidden else name] = value
    return found


def _span(span: Span) -> "dict[str, object]":
    found: dict[str, object] = {
        "type": "span",
        "name": span.name,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "kind": word_of(SPAN_KINDS, span.kind),
        "start": rfc3339(span.start_unix_ns),
        "end": rfc3339(span.end_unix_ns),
        "duration_s": (span.end_unix_ns - span.start_unix_ns) / 1e9,
        "status": word_of(SPAN_STATUSES, span.status),
        "attributes": _plain(span.attributes),
        "scope": span.scope,
    }
    for key in ("status_message", "trace_state"):
        text = getattr(span, key)
        if text:
            found[key] = text
    if span.events:
        found["events"] = [
            {
                "name": event.name,
                "time": rfc3339(event.time_unix_ns),
                "attributes": _plain(event.attributes),
            }
            for event in span.events
        ]
    if span.links:
        found["links"] = [
            {
                "trace_id": link.trace_id,
                "span_id": link.span_id,
                "attributes": _plain(link.attributes),
            }
            for link in span.links
        ]
    return found


def attributes_text(attributes: Attributes) -> str:
    """*attributes* as one JSON object in ASCII; empty when there are none.

    Example:
        >>> attributes_text({"order.id": "A1", "paid": True})
        '{"order.id":"A1","paid":true}'

    """
    return _dumps(_plain(attributes)) if attributes else ""


def _plain(attributes: Attributes) -> "dict[str, object]":
    return dict(attributes)


def _dumps(value: object) -> str:
    try:
        text = _encode(value)
    except (TypeError, ValueError):
        return _encode(_mended(value))
    # A surrogate without its partner is no character, and strict readers refuse it.
    return _encode(_mended(value)) if "\\ud" in text else text


def _mended(value: object) -> object:
    """*value* as JSON can say it: no lone surrogates, no NaN, no unknown types."""
    if isinstance(value, str):
        utf16 = value.encode("utf-16-le", "surrogatepass")
        joined = utf16.decode("utf-16-le", "surrogatepass")
        # In words, as recording has them: so two that differ stay two.
        return joined.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else _odd(value)
    if isinstance(value, int):
        # Python refuses to write integers of thousands of digits in decimal.
        return hex(value) if value.bit_length() > _INTEGER_LIMIT_BITS else value
    if isinstance(value, Mapping):
        return {_mended(str(key)): _mended(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_mended(item) for item in value]
    return None if value is None else f"<{type(value).__name__}>"


def _odd(value: float) -> str:
    """The word for a number that JSON does not have."""
    if value != value:  # noqa: PLR0124 - only NaN differs from itself
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
