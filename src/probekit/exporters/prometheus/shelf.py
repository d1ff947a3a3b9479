"""Where everything stands, for an exporter that shows totals instead of windows.

While the buffer can be asked, it is: it knows all processes and all that was before.
An exporter that is used by hand adds up what it is sent.
"""

import threading
from collections.abc import Callable

from probekit.histogram import Histogram
from probekit.model import Batch, Point, Resource, Series, Snapshot


class Shelf:
    """Gives snapshots.

    Threads:
        Any.
    """

    __slots__ = ("_lock", "_points", "_resource", "_source", "_time_unix_ns")

    def __init__(self) -> None:
        """Stand empty."""
        self._lock = threading.Lock()
        self._source: Callable[[], Snapshot] | None = None
        self._points: dict[Series, Point] = {}
        self._resource = Resource()
        self._time_unix_ns = 0

    def begin(self, snapshot: "Callable[[], Snapshot]") -> None:
        """Ask the buffer from now on."""
        self._source = snapshot

    def end(self) -> None:
        """The buffer is not to be asked any more."""
        self._source = None

    def snapshot(self) -> Snapshot:
        """Where everything stands.

        Raises:
            BufferFailed: The buffer cannot be read now.

        """
        source = self._source
        if source is not None:
            return source()
        with self._lock:
            points = tuple(self._points.values())
            return Snapshot(self._resource, points, self._time_unix_ns)

    def add(self, batch: Batch) -> None:
        """Take in what was sent, unless the buffer is asked anyway."""
        if self._source is not None:
            return
        with self._lock:
            self._resource = batch.resource
            for window in batch.windows:
                self._time_unix_ns = max(self._time_unix_ns, window.end_unix_ns)
                for point in window.points:
                    self._points[point.series] = _after(
                        self._points.get(point.series), point
                    )


def _after(before: "Point | None", point: Point) -> Point:
    """Where a series stands after one more window."""
    total, value = point.total, point.value
    if total is None and point.series.kind != "gauge":
        old = None if before is None else before.total
        if isinstance(value, Histogram):
            total = Histogram()
            total.merge(value)
            if isinstance(old, Histogram):
                total.merge(old)
        else:
            total = value + (old if isinstance(old, (int, float)) else 0.0)
    return Point(point.series, value, point.count, total, point.series_id)
