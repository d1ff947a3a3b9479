"""A window that is being filled: values by series, in memory, merged as they come."""

import math
from collections.abc import Sequence

from probekit.buffer.totals import clamped
from probekit.histogram import Histogram
from probekit.model import Harvest, Series, Signal
from probekit.pace import Pace

_LIST_LIMIT = 1000  # longer lists of raw values become histograms


class Cell:
    """One open window.

    Series are named by slots, the fold's own numbers.

    Attributes:
        raw_values: Values in lists, for the bound on memory.
    """

    __slots__ = ("_gauges", "_histograms", "_lists", "_sums", "raw_values")

    def __init__(self) -> None:
        """Start empty."""
        self._sums: dict[int, list[float]] = {}
        self._gauges: dict[int, tuple[int, float, int]] = {}
        self._lists: dict[int, list[float]] = {}
        self._histograms: dict[int, Histogram] = {}
        self.raw_values = 0

    def __bool__(self) -> bool:
        """Whether anything is in it."""
        return bool(self._sums or self._gauges or self._lists or self._histograms)

    def add(
        self,
        harvest: Harvest,
        slots: Sequence["int | None"],
        wall_ns: int,
    ) -> "dict[tuple[Signal, str], int]":
        """Take in the numbers of a harvest.

        Args:
            harvest: Its local ids are indexes of *slots*.
            slots: The slot of each local id, None where nothing is defined.
            wall_ns: When it was written: the newest value of a gauge stands.

        Returns:
            What could not be taken: (signal, reason) → measurements.

        """
        lost: dict[tuple[Signal, str], int] = {}
        numbers = zip(
            harvest.sum_ids, harvest.sum_values, harvest.sum_counts, strict=True
        )
        for local_id, value, count in numbers:
            slot = _slot(slots, local_id)
            if slot is None or not math.isfinite(value):
                _lose(lost, slot, count)
            else:
                self.add_sum(slot, value, count)
        numbers = zip(
            harvest.gauge_ids, harvest.gauge_values, harvest.gauge_counts, strict=True
        )
        for local_id, value, count in numbers:
            slot = _slot(slots, local_id)
            if slot is None or not math.isfinite(value):
                _lose(lost, slot, count)
            else:
                self._add_gauge(slot, value, count, wall_ns)
        self._add_raw(harvest.raw, slots, lost)
        self._add_singles(harvest.single_ids, harvest.single_values, slots, lost)
        for local_id, histogram in harvest.binned:
            slot = _slot(slots, local_id)
            if slot is None:
                _lose(lost, None, histogram.count)
            elif histogram.count:
                self._histogram(slot).merge(histogram)
        return lost

    def add_sum(self, slot: int, value: float, count: int) -> None:
        """Add to a counter or an up-down counter; *count* may be 0 to take back."""
        known = self._sums.get(slot)
        if known is None:
            self._sums[slot] = [value, count]
        else:
            known[0] = clamped(known[0] + value)
            known[1] += count

    def _add_gauge(self, slot: int, value: float, count: int, wall_ns: int) -> None:
        known = self._gauges.get(slot)
        if known is None:
            self._gauges[slot] = (wall_ns, value, count)
        elif wall_ns >= known[0]:
            self._gauges[slot] = (wall_ns, value, known[2] + count)
        else:
            self._gauges[slot] = (known[0], known[1], known[2] + count)

    def _add_raw(
        self,
        rows: "Sequence[tuple[int, Sequence[float]]]",
        slots: Sequence["int | None"],
        lost: "dict[tuple[Signal, str], int]",
    ) -> None:
        """Keep values raw while they are few: the loop that most of a fold is."""
        lists, known, taken = self._lists, len(slots), 0
        for local_id, given in rows:
            slot = slots[local_id] if local_id < known else None
            if slot is None:
                _lose(lost, None, len(given))
                continue
            total, values = sum(given), given
            if total - total != 0 and len(given) > len(
                values := list(filter(math.isfinite, given))
            ):
                _lose(lost, slot, len(given) - len(values))
            if not values:
                continue
            held = lists.get(slot)
            if held is None:
                lists[slot] = list(values)
            else:
                held += values
                if len(held) > _LIST_LIMIT:
                    self._bin(slot)
            taken += len(values)
        self.raw_values += taken

    def _add_singles(
        self,
        ids: Sequence[int],
        values: Sequence[float],
        slots: Sequence["int | None"],
        lost: "dict[tuple[Signal, str], int]",
    ) -> None:
        """As ``_add_raw``, of one value each: most of what quiet functions record."""
        if not ids:
            return
        total, lists, given = sum(values), self._lists, list[int]()
        if max(ids) < len(slots):
            given = [slot for id_ in ids if (slot := slots[id_]) is not None]
        if total - total != 0 or len(given) < len(ids):  # one by one, with its reason
            rows = [(id_, (value,)) for id_, value in zip(ids, values, strict=True)]
            self._add_raw(rows, slots, lost)
            return
        for slot, value in zip(given, values, strict=True):
            held = lists.get(slot)
            if held is None:
                lists[slot] = [value]
            else:
                held.append(value)
                if len(held) > _LIST_LIMIT:
                    self._bin(slot)
        self.raw_values += len(values)

    def _bin(self, slot: int) -> None:
        held = self._lists.pop(slot)
        self._histogram(slot).add(held)
        self.raw_values -= len(held)

    def _histogram(self, slot: int) -> Histogram:
        known = self._histograms.get(slot)
        if known is None:
            known = self._histograms[slot] = Histogram()
        return known

    def points(
        self,
        table: Sequence[Series],
    ) -> "list[tuple[Series, float | Histogram, int]]":
        """What each series did: (series, value, measurements)."""
        known, lists = self._histograms, self._lists
        for slot in Pace().through(list(lists)):
            histogram = known.get(slot)
            if histogram is None:
                histogram = known[slot] = Histogram()
            histogram.take(lists.pop(slot))  # at most _LIST_LIMIT, and nobody else's
        self.raw_values = 0
        found: list[tuple[Series, float | Histogram, int]] = [
            (table[slot], value, int(count))
            for slot, (value, count) in self._sums.items()
        ]
        found += [
            (table[slot], value, count)
            for slot, (_, value, count) in self._gauges.items()
        ]
        found += [
            (table[slot], histogram, histogram.count)
            for slot, histogram in self._histograms.items()
        ]
        return found


def _slot(slots: Sequence["int | None"], local_id: int) -> "int | None":
    return slots[local_id] if local_id < len(slots) else None


def _lose(
    lost: "dict[tuple[Signal, str], int]",
    slot: "int | None",
    count: int,
) -> None:
    reason = "undefined" if slot is None else "invalid"
    lost["metrics", reason] = lost.get(("metrics", reason), 0) + count
