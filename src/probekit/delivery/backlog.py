"""What could not be written yet: merged in memory, bounded, every loss counted.

Numbers merge without loss, so a full disk costs their resolution in time and nothing
else; events and spans are kept up to a limit, the oldest go first.
"""

from array import array
from collections.abc import Sequence

from probekit.histogram import Histogram
from probekit.model import Event, Harvest, Series, Signal, Span

RECORDS_LIMIT = 10_000  # events, and spans
REASON = "disk"


class Backlog:
    """Harvests that wait for the disk, as one.

    Threads:
        One at a time.
    """

    def __init__(self, *, records_limit: int = RECORDS_LIMIT) -> None:
        """Start empty; *records_limit* is for events and for spans."""
        self._limit = records_limit
        self._begin()

    def _begin(self) -> None:
        self._series: Sequence[Series] = ()
        self._sums: dict[int, tuple[float, int]] = {}
        self._gauges: dict[int, tuple[float, int]] = {}
        self._histograms: dict[int, Histogram] = {}
        self._rest = Harvest()
        self._waiting = False

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return self._waiting

    def put(self, harvest: Harvest) -> None:
        """Keep *harvest*; it may be changed by this."""
        self._waiting = self._waiting or bool(harvest)
        self._series = harvest.series
        for id_, value, count in zip(
            harvest.sum_ids,
            harvest.sum_values,
            harvest.sum_counts,
            strict=True,
        ):
            total, seen = self._sums.get(id_, (0.0, 0))
            self._sums[id_] = (total + value, seen + count)
        for id_, value, count in zip(
            harvest.gauge_ids,
            harvest.gauge_values,
            harvest.gauge_counts,
            strict=True,
        ):
            seen = self._gauges.get(id_, (0.0, 0))[1]
            self._gauges[id_] = (value, seen + count)
        for id_, raw in harvest.raw:
            self._histograms.setdefault(id_, Histogram()).add(raw)
        for id_, binned in harvest.binned:
            self._histograms.setdefault(id_, Histogram()).merge(binned)
        self._put_records(harvest)

    def _put_records(self, harvest: Harvest) -> None:
        rest = self._rest
        rest.problems += harvest.problems
        rest.events += harvest.events
        rest.spans += harvest.spans
        for cause, count in harvest.losses.items():
            rest.losses[cause] = rest.losses.get(cause, 0) + count
        self._cut("events", rest.events)
        self._cut("spans", rest.spans)
        # Problems carry counts and may go only in pairs; the newest text stands.
        if len(rest.problems) > self._limit:
            del rest.problems[: len(rest.problems) - self._limit]

    def _cut(self, signal: Signal, records: "list[Event] | list[Span]") -> None:
        excess = len(records) - self._limit
        if excess > 0:
            del records[:excess]
            cause = (signal, REASON)
            self._rest.losses[cause] = self._rest.losses.get(cause, 0) + excess

    def take(self) -> Harvest:
        """Everything that waits, as one harvest; the backlog is empty afterwards."""
        harvest = self._rest
        harvest.series = self._series
        harvest.sum_ids = array("I", self._sums)
        harvest.sum_values = array("d", [value for value, _ in self._sums.values()])
        harvest.sum_counts = array("Q", [count for _, count in self._sums.values()])
        harvest.gauge_ids = array("I", self._gauges)
        harvest.gauge_values = array("d", [value for value, _ in self._gauges.values()])
        harvest.gauge_counts = array("Q", [count for _, count in self._gauges.values()])
        harvest.binned = list(self._histograms.items())
        self._begin()
        return harvest


def measurements(harvest: Harvest) -> int:
    """How many recorded values a harvest stands for.

    Example:
        >>> measurements(Harvest(raw=[(0, [0.1, 0.2])]))
        2

    """
    return (
        sum(harvest.sum_counts)
        + sum(harvest.gauge_counts)
        + sum(len(values) for _, values in harvest.raw)
        + sum(histogram.count for _, histogram in harvest.binned)
    )
