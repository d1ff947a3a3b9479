"""What was folded and is not yet committed: cells, records, losses; bounded."""

from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter
from typing import TypeAlias

from probekit.buffer.cells import Cell
from probekit.buffer.closing import ClosedCell
from probekit.buffer.rows import Facts, event_facts, span_facts
from probekit.clock import cell_start_ns
from probekit.histogram import Histogram
from probekit.model import Harvest, Problem, Series, Signal
from probekit.pace import Pace

Done: TypeAlias = "tuple[Series, float | Histogram, int]"

RECORDS_LIMIT = 10_000
VALUES_LIMIT = 200_000
CELLS_LIMIT = 60
# Pumps flush up to a second after the grid: such frames belong to the open window.
_VALUES, _COUNT = itemgetter(1), itemgetter(2)
_GRACE_NS = 1_500_000_000


class Intake:
    """Everything between two commits.

    Events and spans wait as their rows: tuples of texts and numbers are nothing to the
    garbage collector, which would go through all the process has for so many objects.

    Attributes:
        events: In the order of reading.
        spans: In the order of reading.
        problems: By fingerprint, merged.
        losses: (signal, reason) → records.
        ship_now: A frame asked to be shipped at once.
        records: Measurements, events and spans taken in.
    """

    __slots__ = (
        "_cells",
        "_interval_s",
        "_open",
        "events",
        "losses",
        "problems",
        "records",
        "ship_now",
        "spans",
    )

    def __init__(self, interval_s: float) -> None:
        """Start empty."""
        self._interval_s = interval_s
        self._open = Cell()
        self._cells: dict[int, tuple[int, Cell]] = {}
        self.events: list[Facts] = []
        self.spans: list[Facts] = []
        self.problems: dict[str, Problem] = {}
        self.losses: dict[tuple[Signal, str], int] = {}
        self.ship_now = False
        self.records = 0

    def is_full(self) -> bool:
        """Whether memory would grow too much: time for an early close."""
        values = self._open.raw_values
        values += sum(cell.raw_values for _, cell in self._cells.values())
        return (
            len(self.events) + len(self.spans) > RECORDS_LIMIT
            or len(self._cells) > CELLS_LIMIT
            or values > VALUES_LIMIT
        )

    def take(
        self,
        harvest: Harvest,
        slots: "Sequence[int | None]",
        wall_ns: int,
        *,
        oldest_ns: int,
        start_ns: int,
    ) -> None:
        """Take in one harvest.

        Args:
            harvest: Its local ids are indexes of *slots*.
            slots: The slot of each local id.
            wall_ns: When it was written.
            oldest_ns: Frames from then on belong to the open window; older ones, left
                by the dead or by nobody leading, to the grid cell of their own time.
            start_ns: Start of the open window; no older window reaches beyond it.

        """
        cell = self._open
        if wall_ns < oldest_ns - _GRACE_NS:
            cell = self._late(wall_ns, start_ns)
        for (signal, reason), count in cell.add(harvest, slots, wall_ns).items():
            self.lose(signal, reason, count)
        pace = Pace()
        self.events += map(event_facts, pace.through(harvest.events))
        self.spans += map(span_facts, pace.through(harvest.spans))
        for problem in harvest.problems:
            known = self.problems.get(problem.fingerprint)
            merged = problem if known is None else _merged(known, problem)
            self.problems[problem.fingerprint] = merged
        for (signal, reason), count in harvest.losses.items():
            self.lose(signal, reason, count)
        self.records += _size(harvest)

    def _late(self, wall_ns: int, start_ns: int) -> Cell:
        start = cell_start_ns(wall_ns, self._interval_s)
        end = start + int(self._interval_s * 1e9)
        if wall_ns < start_ns:
            end = min(end, max(start_ns, wall_ns + 1))
        return self._cells.setdefault(start, (end, Cell()))[1]

    def lose(self, signal: Signal, reason: str, count: int) -> None:
        """Count records that are lost."""
        self.losses[signal, reason] = self.losses.get((signal, reason), 0) + count

    def closed(
        self,
        table: "Sequence[Series]",
        bounds: "tuple[int, int, int]",
        back: Cell,
    ) -> "list[ClosedCell]":
        """The windows, oldest first, the open one last.

        Args:
            table: Series by slot.
            bounds: Start, end and epoch of the open window.
            back: What is taken back in it.

        """
        start_ns, end_ns, epoch = bounds
        found = [
            _closed(start, end, epoch, cell.points(table))
            for start, (end, cell) in sorted(self._cells.items())
            if cell
        ]
        points = _with(self._open.points(table), back.points(table))
        records = self.events or self.spans
        if points or (records and not found):
            found.append(_closed(start_ns, end_ns, epoch, points))
        return found


def _closed(start: int, end: int, epoch: int, points: "list[Done]") -> ClosedCell:
    return ClosedCell(start, end, epoch, points, sum(map(_COUNT, points)))


def _with(points: "list[Done]", back: "list[Done]") -> "list[Done]":
    """Points with what is taken back added to them."""
    if not back:
        return points
    amounts = {series: value for series, value, _ in back}
    added: list[Done] = []
    for series, value, count in points:
        amount = amounts.pop(series, None)
        if isinstance(amount, float) and isinstance(value, (int, float)):
            added.append((series, value + amount, count))
        else:
            added.append((series, value, count))
    return added + [(series, amount, 0) for series, amount in amounts.items()]


def _merged(known: Problem, newer: Problem) -> Problem:
    latest = max(known, newer, key=lambda problem: problem.last_seen_unix_ns)
    return replace(
        latest,
        stack=latest.stack or known.stack or newer.stack,
        first_seen_unix_ns=min(known.first_seen_unix_ns, newer.first_seen_unix_ns),
        count=known.count + newer.count,
    )


def _size(harvest: Harvest) -> int:
    return (
        sum(harvest.sum_counts)
        + sum(harvest.gauge_counts)
        + sum(map(len, map(_VALUES, harvest.raw)))
        + len(harvest.single_ids)
        + sum(histogram.count for _, histogram in harvest.binned)
        + len(harvest.events)
        + len(harvest.spans)
    )
