"""Windows as a remote write 1.0 ``WriteRequest``; pure but for what it remembers.

Every sample is a running total at its window's end. A sum that begins in a window gets
a zero at the window's start, so that ``increase`` sees its first step. A series that
did not change is said again every minute, so that queries do not lose sight of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from struct import Struct

from probekit.exporters.cache import SeriesCache
from probekit.exporters.otlp.metrics import bounds_for
from probekit.exporters.otlp.protobuf import length_delimited, utf8, varint
from probekit.exporters.prometheus.naming import (
    Family,
    Labels,
    PrometheusNames,
    label_value,
)
from probekit.exporters.prometheus.text import IDENTITY, number, scope_labels
from probekit.histogram import Histogram
from probekit.model import Batch, Point, Resource, Series, Window

AGAIN_MS = 60_000
_LIMIT_SERIES = 20_000
_TYPES = {"counter": 1, "up_down_counter": 2, "gauge": 2, "histogram": 3}
_pack_value = Struct("<BBBd").pack

Samples = dict[bytes, dict[int, float]]  # encoded labels → time, ms → value


@dataclass(frozen=True, slots=True)
class Lines:
    """The time series that one of our series becomes, by their encoded labels."""

    bounds: "tuple[float, ...]"
    heads: "tuple[bytes, ...]"
    metadata: bytes


class WriteRequests:
    """Encodes batches.

    Args:
        bounds: Buckets of every histogram; None for those of the conventions.
        scope: Whether every series names its scope.
    """

    def __init__(
        self, bounds: "Sequence[float] | None" = None, *, scope: bool = False
    ) -> None:
        """Start with an empty memory."""
        self.names = PrometheusNames()
        self._bounds = None if bounds is None else tuple(bounds)
        self._scope: Labels = scope_labels() if scope else ()
        self._resource: Resource | None = None
        self._shared: Labels = ()
        self._lines: SeriesCache[Lines] = SeriesCache(self._make)
        self._last: dict[Series, tuple[int, Point]] = {}

    def encode(self, batch: Batch, windows: "Sequence[Window]") -> bytes:
        """The request's message, not yet compressed; empty for no windows.

        Args:
            batch: Says who speaks.
            windows: Of the batch; oldest first.

        """
        self._speak_for(batch.resource)
        samples: Samples = {}
        metadata: dict[bytes, None] = {}
        newest_ms = 0
        for window in windows:
            end_ms = window.end_unix_ns // 10**6
            newest_ms = max(newest_ms, end_ms)
            for point in window.points:
                lines = self._lines.of(point)
                metadata[lines.metadata] = None
                self._begin(samples, lines, point, window)
                _put(samples, lines, point, end_ms)
        if newest_ms:
            self._repeat(samples, windows, newest_ms)
            self._introduce(samples, batch.resource, newest_ms)
        series = b"".join(_time_series(head, told) for head, told in samples.items())
        return series + b"".join(metadata)

    def sent(self, windows: "Sequence[Window]") -> None:
        """*windows* were accepted: what they said can be said again later."""
        for window in windows:
            end_ms = window.end_unix_ns // 10**6
            for point in window.points:
                self._last[point.series] = (end_ms, point)
        while len(self._last) > _LIMIT_SERIES:
            del self._last[next(iter(self._last))]

    def said_again(self, windows: "Sequence[Window]") -> None:
        """The repetitions of an accepted request need not come for a minute."""
        newest_ms = max((window.end_unix_ns // 10**6 for window in windows), default=0)
        for series, (told_ms, point) in self._last.items():
            if newest_ms - told_ms >= AGAIN_MS:
                self._last[series] = (newest_ms, point)

    def _begin(
        self, samples: Samples, lines: Lines, point: Point, window: Window
    ) -> None:
        """A zero where a sum starts in this window."""
        start_ms = window.start_unix_ns // 10**6
        if point.total is None or start_ms >= window.end_unix_ns // 10**6:
            return
        if point.series.kind == "up_down_counter" or point.series in self._last:
            return
        if _count(point.total) == _count(point.value):
            for head in lines.heads:
                samples.setdefault(head, {}).setdefault(start_ms, 0.0)

    def _repeat(
        self, samples: Samples, windows: "Sequence[Window]", now_ms: int
    ) -> None:
        new = {point.series for window in windows for point in window.points}
        for series, (told_ms, point) in self._last.items():
            if now_ms - told_ms >= AGAIN_MS and series not in new:
                _put(samples, self._lines.of(point), point, now_ms)

    def _introduce(self, samples: Samples, resource: Resource, now_ms: int) -> None:
        """``target_info``: the resource's attributes on a series of their own."""
        rest = tuple(
            sorted((k, v) for k, v in resource.attributes.items() if k not in IDENTITY)
        )
        labels = self.names.labels(rest)
        if labels:
            head = _labels("target_info", (*self._shared, *labels))
            samples.setdefault(head, {})[now_ms] = 1.0

    def _speak_for(self, resource: Resource) -> None:
        if resource == self._resource:
            return
        self._resource = resource
        self._lines = SeriesCache(self._make)
        self._shared = identity(resource)

    def _make(self, series: Series) -> Lines:
        named = self.names.of(series)
        name = named.family.name
        labels = (*self._shared, *named.labels, *self._scope)
        metadata = _metadata(named.family, series)
        if series.kind != "histogram":
            suffix = "_total" if series.kind == "counter" else ""
            return Lines((), (_labels(name + suffix, labels),), metadata)
        bounds = self._bounds or bounds_for(series)
        heads = [
            _labels(f"{name}_bucket", (*labels, ("le", number(bound))))
            for bound in (*bounds, float("inf"))
        ]
        heads += [_labels(f"{name}_sum", labels), _labels(f"{name}_count", labels)]
        return Lines(bounds, tuple(heads), metadata)


def identity(resource: Resource) -> Labels:
    """``job`` and ``instance``, as a scrape would set them."""
    found = resource.attributes
    namespace, service = found.get("service.namespace"), resource.service
    job = f"{label_value(namespace)}/{service}" if namespace else service
    instance = found.get("service.instance.id") or found.get("host.name") or ""
    pairs = (("instance", label_value(instance)), ("job", label_value(job)))
    return tuple((name, text) for name, text in pairs if text)


def _count(value: "float | Histogram") -> float:
    return value.count if isinstance(value, Histogram) else value


def _put(samples: Samples, lines: Lines, point: Point, time_ms: int) -> None:
    value = point.value if point.total is None else point.total
    heads = lines.heads
    if not isinstance(value, Histogram):
        samples.setdefault(heads[0], {})[time_ms] = value
        return
    stands = [*accumulate(value.counts_between(lines.bounds)), value.sum, value.count]
    for head, stand in zip(heads, stands, strict=True):
        told = samples.get(head)
        if told is None:
            samples[head] = {time_ms: stand}
        else:
            told[time_ms] = stand


def _time_series(head: bytes, told: "dict[int, float]") -> bytes:
    """One ``TimeSeries`` with its samples in order of time."""
    content = head
    for time_ms in sorted(told) if len(told) > 1 else told:
        size, ending = _ending(time_ms)
        content += _pack_value(0x12, size, 0x09, told[time_ms]) + ending
    return b"\x0a" + varint(len(content)) + content


@lru_cache(maxsize=64)
def _ending(time_ms: int) -> "tuple[int, bytes]":
    """A sample's length and its time; the samples of one request share a few."""
    ending = b"\x10" + varint(time_ms)
    return 1 + 8 + len(ending), ending


def _labels(name: str, labels: Labels) -> bytes:
    """The labels of a ``TimeSeries``, sorted, the metric's name among them."""
    return b"".join(
        length_delimited(
            1, length_delimited(1, utf8(key)) + length_delimited(2, utf8(text))
        )
        for key, text in sorted((("__name__", name), *labels))
    )


def _metadata(family: Family, series: Series) -> bytes:
    name = family.name + ("_total" if family.kind == "counter" else "")
    content = b"\x08" + varint(_TYPES[family.kind])
    content += length_delimited(2, utf8(name))
    content += length_delimited(4, utf8(series.description))
    return length_delimited(3, content + length_delimited(5, utf8(family.unit)))
