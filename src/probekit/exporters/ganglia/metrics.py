"""Points as Ganglia's metrics; pure.

gmond keeps one value of a metric and no time, so of several windows only the newest
point of a series is sent. A counter is two metrics: ``NAME`` per second, and
``NAME_total``. A histogram is ``NAME_count``, ``NAME_sum``, … of the window.

gmond writes names, units and descriptions into its XML as they are, and one bad
character blinds the whole cluster: only letters, digits and a few signs pass.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from probekit.exporters.cache import SeriesCache
from probekit.exporters.figures import windowed
from probekit.exporters.ganglia.xdr import Metadata, Slope
from probekit.exporters.naming import Names, Naming
from probekit.exporters.text import number, word
from probekit.model import Batch, Point, Series, Snapshot, Window

LONGEST = 100
_NAME = Naming(re.compile(r"[^A-Za-z0-9_.-]+"), limit=LONGEST)
_STEP = Naming(re.compile(r"[^A-Za-z0-9_-]+"))
_UNITS = Naming(re.compile(r"[^A-Za-z0-9_./%-]+"), limit=30)
_WORDS = Naming(re.compile(r"[^A-Za-z0-9 _.,:;()/%+-]+"), limit=200)
_TIMES = frozenset({"sum", "min", "max", "p50", "p90", "p95", "p99"})
_KNOWN_UNITS = {"By": "Bytes", "1": "", "Cel": "Celsius", "Hz": "Hz"}


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric and its value now."""

    about: Metadata
    value: str


@dataclass(frozen=True, slots=True)
class _Place:
    """What never changes of a series."""

    name: str
    units: str
    whole: bool
    extra: "tuple[tuple[str, str], ...]"


class GangliaMetrics:
    """Makes metrics of batches.

    Args:
        prefix: Put before every name.
        group: The group in Ganglia's pages; empty for the service's name.
        tmax_s: A value is expected at least so often, seconds.
        dmax_s: gmond forgets a metric after so long without a value; 0 for never.
    """

    __slots__ = (
        "_dmax_s", "_group", "_names", "_places", "_prefix", "_tmax_s", "_whole_names"
    )  # fmt: skip

    def __init__(
        self, *, prefix: str = "", group: str = "", tmax_s: int = 60, dmax_s: int = 0
    ) -> None:
        """Start with an empty memory."""
        self._prefix = prefix
        self._group = group
        self._tmax_s = tmax_s
        self._dmax_s = dmax_s
        self._names = Names(LONGEST)
        self._whole_names = Names()
        self._places: SeriesCache[_Place] = SeriesCache(self._place)

    def learn(self, snapshot: Snapshot) -> None:
        """Name every series in the order of first appearance."""
        for point in snapshot.points:
            self._places.of(point)

    def of(self, batch: Batch) -> "list[Metric]":
        """The newest metrics of *batch*.

        Raises:
            Rejected: A number is not finite.

        """
        newest: dict[Series, tuple[Window, Point]] = {}
        for window in batch.windows:
            for point in window.points:
                newest[point.series] = window, point
        group = ("GROUP", _WORDS.of(self._group or batch.resource.service))
        return [
            metric
            for window, point in newest.values()
            for metric in self._metrics(window, point, group)
        ]

    def _place(self, series: Series) -> _Place:
        steps = [
            _STEP.of(text)
            for key, value in series.attributes
            for text in (key, word(value))
        ]
        name = _NAME.of(self._prefix + ".".join([_NAME.of(series.name), *steps]))
        original = (series.name, series.kind, series.unit, series.attributes)
        unit = series.unit
        whole = not unit or unit == "By" or unit.startswith("{")
        if unit.startswith("{") and unit.endswith("}"):
            unit = unit[1:-1]
        unit = _KNOWN_UNITS.get(unit, _UNITS.of(unit) if unit else "")
        said = series.description
        extra = (("DESC", _WORDS.of(said)),) if said else ()
        return _Place(self._names.unique(name, original), unit, whole, extra)

    def _metrics(
        self, window: Window, point: Point, group: "tuple[str, str]"
    ) -> "Iterator[Metric]":
        place = self._places.of(point)
        kind, figures = point.series.kind, dict(windowed(point))
        if kind == "counter":
            length_s = (window.end_unix_ns - window.start_unix_ns) / 1e9
            per_second = f"{place.units}/s"
            rate = figures["value"] / length_s
            yield self._metric(place, "", per_second, rate, group)
            if "total" in figures:
                # RRDtool counts in whole numbers only; others would be refused.
                slope: Slope = "positive" if place.whole else "both"
                total = figures["total"]
                yield self._metric(place, "_total", place.units, total, group, slope)
            return
        for figure, value in figures.items():
            timed = kind != "histogram" or figure in _TIMES
            tail = f"_{figure}" if kind == "histogram" else ""
            yield self._metric(place, tail, place.units if timed else "", value, group)

    def _metric(  # noqa: PLR0917 - one line of a table
        self,
        place: _Place,
        tail: str,
        units: str,
        value: float,
        group: "tuple[str, str]",
        slope: Slope = "both",
    ) -> Metric:
        # A gauge may bear the name that a counter's total would have.
        name = self._whole_names.unique(place.name + tail, (place.name, tail))
        about = Metadata(
            name,
            units,
            slope,
            self._tmax_s,
            self._dmax_s,
            (group, *place.extra),
        )
        return Metric(about, repr(number(value)))
