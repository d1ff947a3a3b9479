"""Examples for buckets, taken from the spans that were sent: a duration with a trace.

Which span is an example of what, ``exporters.examples`` says.
"""

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from probekit.exporters.examples import Key, is_example, key_of, keys_of, seconds_of
from probekit.exporters.prometheus.text import Exemplar
from probekit.model import Series, Span

_HELD_SPANS = 32
_LIMIT_KEYS = 2000


class SpanExemplars:
    """Holds the newest spans of each kind of request and function.

    Threads:
        Any: the shipper's thread adds, a scrape reads.
    """

    __slots__ = ("_held", "_lock")

    def __init__(self) -> None:
        """Know nothing."""
        self._lock = threading.Lock()
        self._held: dict[Key, deque[Span]] = {}

    def add(self, spans: "Iterable[Span]") -> None:
        """Remember *spans*; older ones of the same kind are forgotten."""
        with self._lock:
            for span in spans:
                for key in keys_of(span):
                    self._hold(key, span)

    def _hold(self, key: Key, span: Span) -> None:
        if len(self._held) >= _LIMIT_KEYS and key not in self._held:
            self._held.clear()
        self._held.setdefault(key, deque(maxlen=_HELD_SPANS)).append(span)

    def of(self, series: Series, bounds: "Sequence[float]") -> "Mapping[int, Exemplar]":
        """Index of the bucket → its newest example."""
        key = key_of(series)
        if key is None:
            return {}
        with self._lock:
            spans = list(self._held.get(key, ()))
        found = {}
        for span in spans:
            if is_example(span, series):
                seconds = seconds_of(span)
                found[bisect_left(bounds, seconds)] = Exemplar(
                    seconds, span.trace_id, span.span_id, span.end_unix_ns
                )
        return found
