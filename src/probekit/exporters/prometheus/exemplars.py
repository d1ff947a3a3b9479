"""Examples for buckets, taken from the spans that were sent: a duration with a trace.

A span is an example for a histogram of the same conventions (requests, functions,
database calls) when it carries every attribute of the series.
"""

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from probekit.exporters.prometheus.text import Exemplar
from probekit.model import Series, Span

SERVER, CLIENT = 2, 3
_HELD_SPANS = 32
_LIMIT_KEYS = 2000

# Histogram → the attribute by which its spans are found.
KEYS: "Mapping[str, str]" = {
    "probekit.function.duration": "code.function.name",
    "http.server.request.duration": "http.route",
    "http.client.request.duration": "server.address",
    "db.client.operation.duration": "db.system.name",
}
_KINDS = {
    "http.server.request.duration": SERVER,
    "http.client.request.duration": CLIENT,
    "db.client.operation.duration": CLIENT,
}


class SpanExemplars:
    """Holds the newest spans of each kind of request and function.

    Threads:
        Any: the shipper's thread adds, a scrape reads.
    """

    __slots__ = ("_held", "_lock")

    def __init__(self) -> None:
        """Know nothing."""
        self._lock = threading.Lock()
        self._held: dict[tuple[str, object], deque[Span]] = {}

    def add(self, spans: "Iterable[Span]") -> None:
        """Remember *spans*; older ones of the same kind are forgotten."""
        with self._lock:
            for span in spans:
                for name, attribute in KEYS.items():
                    value = span.attributes.get(attribute)
                    if value is not None and _KINDS.get(name, span.kind) == span.kind:
                        self._hold((name, _hashable(value)), span)

    def _hold(self, key: "tuple[str, object]", span: Span) -> None:
        if len(self._held) >= _LIMIT_KEYS and key not in self._held:
            self._held.clear()
        self._held.setdefault(key, deque(maxlen=_HELD_SPANS)).append(span)

    def of(self, series: Series, bounds: "Sequence[float]") -> "Mapping[int, Exemplar]":
        """Index of the bucket → its newest example."""
        attribute = KEYS.get(series.name)
        if attribute is None or series.unit != "s":
            return {}
        wanted = dict(series.attributes)
        key = (series.name, _hashable(wanted.get(attribute)))
        with self._lock:
            spans = list(self._held.get(key, ()))
        found = {}
        for span in spans:
            if all(span.attributes.get(name) == wanted[name] for name in wanted):
                seconds = (span.end_unix_ns - span.start_unix_ns) / 1e9
                found[bisect_left(bounds, seconds)] = Exemplar(
                    seconds, span.trace_id, span.span_id, span.end_unix_ns
                )
        return found


def _hashable(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
