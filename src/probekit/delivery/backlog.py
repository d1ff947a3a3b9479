"""What could not be written yet: merged in memory, bounded, every loss counted.

Numbers merge without loss, so a full disk costs their resolution in time and nothing
else; events and spans are kept up to a limit, the oldest go first.
"""

from array import array
from collections.abc import Sequence
from dataclasses import replace

from probekit.histogram import Histogram
from probekit.model import (
    Attributes,
    Event,
    Harvest,
    Problem,
    Series,
    Signal,
    Span,
)

RECORDS_LIMIT = 10_000  # events, and spans
MEMORY_BYTES = 16 << 20  # of all that waits, as far as cutting records can help
PROBLEMS_LIMIT = 1_000  # kinds of errors
REASON = "disk"
_NUMBER_BYTES = 150
_HISTOGRAM_BYTES, _BIN_BYTES = 600, 100
_RECORD_BYTES, _ATTRIBUTE_BYTES = 300, 120


class Backlog:
    """Harvests that wait for the disk, as one.

    Threads:
        One at a time.
    """

    def __init__(
        self,
        *,
        records_limit: int = RECORDS_LIMIT,
        bytes_limit: int = MEMORY_BYTES,
    ) -> None:
        """Start empty; *records_limit* is for events and for spans."""
        self._limit = records_limit
        self._bytes_limit = bytes_limit
        self._begin()

    def _begin(self) -> None:
        self._series: Sequence[Series] = ()
        self._sums: dict[int, tuple[float, int]] = {}
        self._gauges: dict[int, tuple[float, int]] = {}
        self._histograms: dict[int, Histogram] = {}
        self._rest = Harvest()
        self._problems: dict[str, Problem] = {}
        self._sizes: dict[Signal, list[int]] = {"events": [], "spans": []}
        self._waiting = False

    @property
    def size_bytes(self) -> int:
        """What waits takes in memory, about."""
        return (
            _NUMBER_BYTES * (len(self._sums) + len(self._gauges))
            + sum(
                _HISTOGRAM_BYTES + _BIN_BYTES * len(each.bins)
                for each in list(self._histograms.values())
            )
            + sum(map(sum, self._sizes.values()))
        )

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
        self._put_problems(harvest.problems)
        rest.events += harvest.events
        rest.spans += harvest.spans
        for cause, count in harvest.losses.items():
            rest.losses[cause] = rest.losses.get(cause, 0) + count
        self._weigh("spans", rest.spans)
        self._weigh("events", rest.events)
        excess_bytes = self.size_bytes - self._bytes_limit
        if excess_bytes > 0:  # spans first: an event is what somebody chose to tell
            excess_bytes -= self._cut("spans", rest.spans, excess_bytes)
            self._cut("events", rest.events, excess_bytes)

    def _put_problems(self, problems: Sequence[Problem]) -> None:
        """One of a kind each: counts add up, the newest text stands."""
        for problem in problems:
            new, old = problem, self._problems.get(problem.fingerprint)
            if old is not None:
                new = replace(
                    problem,
                    count=old.count + new.count,
                    first_seen_unix_ns=min(
                        old.first_seen_unix_ns, new.first_seen_unix_ns
                    ),
                )
            elif len(self._problems) >= PROBLEMS_LIMIT:
                del self._problems[next(iter(self._problems))]
            self._problems[new.fingerprint] = new

    def _weigh(self, signal: Signal, records: "list[Event] | list[Span]") -> None:
        sizes = self._sizes[signal]
        sizes += map(size_of, records[len(sizes) :])
        self._drop(signal, records, len(records) - self._limit)

    def _cut(
        self, signal: Signal, records: "list[Event] | list[Span]", bytes_: int
    ) -> int:
        """Drop the oldest until *bytes_* are free; how many bytes that were."""
        freed = count = 0
        for size in self._sizes[signal]:
            if freed >= bytes_:
                break
            freed += size
            count += 1
        self._drop(signal, records, count)
        return freed

    def _drop(
        self, signal: Signal, records: "list[Event] | list[Span]", count: int
    ) -> None:
        if count > 0:
            del records[:count]
            del self._sizes[signal][:count]
            cause = (signal, REASON)
            self._rest.losses[cause] = self._rest.losses.get(cause, 0) + count

    def take(self) -> Harvest:
        """Everything that waits, as one harvest; the backlog is empty afterwards."""
        harvest = self._rest
        harvest.problems = list(self._problems.values())
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


def size_of(record: "Event | Span") -> int:
    """What *record* takes in memory, bytes, about: its parts and the text in them.

    Example:
        >>> size_of(Event(0, "order.paid", {"id": "A1"}))
        432

    """
    total = _RECORD_BYTES + len(record.name) + _attributes_bytes(record.attributes)
    if isinstance(record, Span):
        parts = [each.attributes for each in record.events]
        parts += [each.attributes for each in record.links]
        return total + sum(_RECORD_BYTES + _attributes_bytes(each) for each in parts)
    return total + len(record.body)


def _attributes_bytes(attributes: Attributes) -> int:
    total = _ATTRIBUTE_BYTES * len(attributes)
    for value in attributes.values():
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, (tuple, list)):
            total += sum(
                _ATTRIBUTE_BYTES + len(each) if isinstance(each, str) else 32
                for each in value
            )
    return total
