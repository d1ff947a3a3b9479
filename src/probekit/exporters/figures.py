"""The numbers of one point, by name, for backends that store plain numbers; pure.

Two ways. *Running*: sums and histograms as totals since the buffer was made; for
backends that keep one value a second, where the last one wins and totals heal what was
overwritten. *Windowed*: what happened in the window; for backends with fine time.
"""

from collections.abc import Callable
from typing import TypeVar

from probekit.errors import BufferFailed, Rejected
from probekit.histogram import Histogram
from probekit.model import Kind, Point, Snapshot
from probekit.notice import notice

T = TypeVar("T")
Figures = list[tuple[str, float]]
QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99))
RUNNING_NAMES = ("count", "sum", "min", "max", *(name for name, _ in QUANTILES))
_SHARES = tuple(share for _, share in QUANTILES)


def running(point: Point) -> Figures:
    """Totals where the point has them; names are empty for a single number.

    Histograms are ``count`` and ``sum`` (totals) and ``min``, ``max``, ``p50`` …
    ``p99`` of the window.

    Raises:
        Rejected: A number is not finite.

    Example:
        >>> from probekit.model import Series
        >>> running(Point(Series("a", "counter"), 1.0, total=7.0))
        [('', 7.0)]

    """
    value, total = point.value, point.total
    if isinstance(value, Histogram):
        stands = total if isinstance(total, Histogram) else value
        found = [("count", float(stands.count)), ("sum", stands.sum)]
        return _finite(point, found + _shape(value))
    if total is not None and not isinstance(total, Histogram):
        value = total
    return _finite(point, [("", value)])


def windowed(point: Point) -> Figures:
    """What the window saw, and a sum's total beside it.

    Counters are ``value`` (the delta) and ``total``; up-down counters and gauges are
    ``value``, their level; histograms ``count``, ``sum``, ``min``, ``max``, ``p50`` …
    ``p99``.

    Raises:
        Rejected: A number is not finite.

    Example:
        >>> from probekit.model import Series
        >>> windowed(Point(Series("a", "counter"), 1.0, total=7.0))
        [('value', 1.0), ('total', 7.0)]

    """
    value, total = point.value, point.total
    if isinstance(value, Histogram):
        found = [("count", float(value.count)), ("sum", value.sum)]
        return _finite(point, found + _shape(value))
    if total is None or isinstance(total, Histogram):
        return _finite(point, [("value", value)])
    if point.series.kind == "counter":
        return _finite(point, [("value", value), ("total", total)])
    return _finite(point, [("value", total)])


def edges(point: Point, value: Histogram) -> Figures:
    """``count``, ``sum``, ``min`` and ``max`` of a histogram; zeros without values.

    Raises:
        Rejected: A number is not finite.

    """
    low, high = (value.min, value.max) if value.count else (0.0, 0.0)
    found = [("count", value.count), ("sum", value.sum), ("min", low), ("max", high)]
    return _finite(point, found)


def running_names(kind: Kind) -> "tuple[str, ...]":
    """Every name that :func:`running` gives to a number of this kind."""
    return RUNNING_NAMES if kind == "histogram" else ("",)


def learn(snapshot: "Callable[[], Snapshot]", of: "Callable[[Snapshot], None]") -> None:
    """Let *of* see where everything stands, so that names come in a lasting order.

    Of two series that would share a name the later one gets a hash; later by first
    appearance in the buffer, not by chance after each restart.
    """
    try:
        of(snapshot())
    except BufferFailed as error:
        notice("exporter-names", f"names are given as they come: {error}")


def _shape(histogram: Histogram) -> Figures:
    if not histogram.count:
        return []
    shares = histogram.quantiles(_SHARES)
    found = [("min", histogram.min), ("max", histogram.max)]
    return found + [(name, at) for (name, _), at in zip(QUANTILES, shares, strict=True)]


def _finite(point: Point, found: Figures) -> Figures:
    for _, value in found:
        if value - value != 0:  # NaN or an infinity, without a call for each
            name = point.series.name[:60]
            raise Rejected(f"{name!r} is {value}, which the backend has no number for")
    return found
