"""Which spans are examples of which durations: a point that leads to a trace.

A span is an example for a histogram of the same conventions (requests, functions,
database calls) when it carries every attribute of the series. So nothing has to be
remembered while the application runs, and an example's trace is one that was kept.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from probekit.model import Series, Span

Key: TypeAlias = "tuple[str, object]"

CLIENT, SERVER, CONSUMER = 3, 2, 5
_FAILURE = "error.type"

# Histogram → the attribute by which its spans are found.
KEYS: "Mapping[str, str]" = {
    "probekit.function.duration": "code.function.name",
    "http.server.request.duration": "http.route",
    "http.client.request.duration": "server.address",
    "db.client.operation.duration": "db.system.name",
    "messaging.process.duration": "celery.task_name",
    "probekit.job.duration": "probekit.job.name",
    "probekit.websocket.duration": "http.route",
}
_KINDS = {
    "http.server.request.duration": SERVER,
    "http.client.request.duration": CLIENT,
    "db.client.operation.duration": CLIENT,
    "messaging.process.duration": CONSUMER,
    "probekit.websocket.duration": SERVER,
}


def keys_of(span: Span) -> "Iterator[Key]":
    """Under which keys *span* is to be found."""
    for name, attribute in KEYS.items():
        value = span.attributes.get(attribute)
        if value is not None and _KINDS.get(name, span.kind) == span.kind:
            yield name, _hashable(value)


def key_of(series: Series) -> "Key | None":
    """Under which key a series' examples are found; None when it can have none."""
    attribute = KEYS.get(series.name)
    if attribute is None or series.unit != "s":
        return None
    value = dict(series.attributes).get(attribute)
    return None if value is None else (series.name, _hashable(value))


def is_example(span: Span, series: Series) -> bool:
    """Whether *span* carries every attribute of *series*, and failed as it did."""
    found, wanted = span.attributes, dict(series.attributes)
    if found.get(_FAILURE) != wanted.get(_FAILURE):
        return False
    return all(found.get(name) == value for name, value in wanted.items())


def seconds_of(span: Span) -> float:
    """How long it took."""
    return (span.end_unix_ns - span.start_unix_ns) / 1e9


class Examples:
    """The spans of one batch, by what they can be examples of."""

    __slots__ = ("_spans",)

    def __init__(self, spans: "Iterable[Span]") -> None:
        """Sort *spans*."""
        self._spans: defaultdict[Key, list[Span]] = defaultdict(list)
        for span in spans:
            for key in keys_of(span):
                self._spans[key].append(span)

    def of(
        self, series: Series, start_unix_ns: int, end_unix_ns: int, *, most: int = 4
    ) -> "list[Span]":
        """Examples that ended in an interval: the slowest ones.

        Args:
            series: A histogram of seconds.
            start_unix_ns: Begin of the interval, exclusive.
            end_unix_ns: Its end, inclusive.
            most: How many at most.

        """
        key = key_of(series)
        if key is None or key not in self._spans:
            return []
        found = [
            span
            for span in self._spans[key]
            if start_unix_ns < span.end_unix_ns <= end_unix_ns
            and is_example(span, series)
        ]
        return sorted(found, key=seconds_of)[-most:]


def _hashable(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
