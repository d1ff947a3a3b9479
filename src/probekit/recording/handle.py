"""Handles: one list of raw values for each series, and how a list becomes a figure.

Application threads only append (atomic, no lock). Whoever holds the registry's lock
copies a prefix, works on the copy, and at the very end deletes exactly that prefix
without another call: a value appended meanwhile stays, and an exception on the way (a
fold may run at the end of somebody's stack) leaves everything as it was. Values are
judged there, not when they are recorded: the caller's path is one append.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

from probekit.hints import TYPE_CHECKING, Any, TypeAlias
from probekit.passing import let_pass
from probekit.recorded import Series

if TYPE_CHECKING:
    from probekit.histogram import Histogram
    from probekit.model import Harvest

RAW_LIMIT = 64  # up to so many values travel as they are, more as a histogram

Invalid: TypeAlias = "Callable[[int], None]"
_PLAIN = {int, float}


class Handle(ABC):
    """The values of one series that nobody has taken yet.

    Attributes:
        series: What is measured.
        series_id: Its id in the process's table.
        values: Appended to by the application, oldest first.
        append: ``values.append``, looked up once.
        count: Values folded already and not harvested.
    """

    __slots__ = ("append", "count", "series", "series_id", "values")

    def __init__(self, series: Series, series_id: int) -> None:
        """Start empty."""
        self.series = series
        self.series_id = series_id
        self.values: list[Any] = []
        self.append = self.values.append
        self.count = 0

    def forget(self) -> None:
        """Drop everything, harvested by somebody else or the parent's."""
        del self.values[:]
        self.count = 0

    @abstractmethod
    def fold(self, invalid: Invalid, *, most: "int | None" = None) -> None:
        """Turn waiting values into a figure of bounded size.

        Args:
            invalid: Told how many values were no measurements.
            most: Most values to fold, None for all.

        """

    @abstractmethod
    def harvest(self, into: "Harvest", invalid: Invalid) -> None:
        """Write what was recorded since the last harvest into *into*."""


class SumHandle(Handle):
    """Adds up: a counter, or an up-down counter."""

    __slots__ = ("lowest", "total")

    def __init__(self, series: Series, series_id: int) -> None:
        """Start at zero."""
        super().__init__(series, series_id)
        self.total = 0.0
        self.lowest = 0.0 if series.kind == "counter" else -math.inf

    def forget(self) -> None:
        """Drop everything."""
        super().forget()
        self.total = 0.0

    def fold(self, invalid: Invalid, *, most: "int | None" = None) -> None:
        """Add the waiting values to the total."""
        chunk = self.values[:most]
        taken = len(chunk)
        good = cleaned(chunk, invalid, lowest=self.lowest)
        count, total = self.count + len(good), self.total + sum(good)
        if not math.isfinite(total):  # finite addends whose sum is not
            invalid(len(good))
            count, total = self.count, self.total
        del self.values[:taken]
        self.count, self.total = count, total

    def harvest(self, into: "Harvest", invalid: Invalid) -> None:
        """Write the delta."""
        self.fold(invalid)
        if self.count:
            into.sum_ids.append(self.series_id)
            into.sum_values.append(self.total)
            into.sum_counts.append(self.count)
            self.total, self.count = 0.0, 0


class GaugeHandle(Handle):
    """Keeps the last value."""

    __slots__ = ("last",)

    def __init__(self, series: Series, series_id: int) -> None:
        """Start without a value."""
        super().__init__(series, series_id)
        self.last = 0.0

    def fold(self, invalid: Invalid, *, most: "int | None" = None) -> None:
        """Keep the last of the waiting values."""
        chunk = self.values[:most]
        taken = len(chunk)
        good = cleaned(chunk, invalid)
        count, last = self.count + len(good), good[-1] if good else self.last
        del self.values[:taken]
        self.count, self.last = count, last

    def harvest(self, into: "Harvest", invalid: Invalid) -> None:
        """Write the last value, if one was set."""
        self.fold(invalid)
        if self.count:
            into.gauge_ids.append(self.series_id)
            into.gauge_values.append(self.last)
            into.gauge_counts.append(self.count)
            self.count = 0


class HistogramHandle(Handle):
    """Keeps the distribution: raw values while they are few, bins when many."""

    __slots__ = ("binned",)

    def __init__(self, series: Series, series_id: int) -> None:
        """Start empty."""
        super().__init__(series, series_id)
        self.binned: Histogram | None = None

    def forget(self) -> None:
        """Drop everything."""
        super().forget()
        self.binned = None

    def fold(self, invalid: Invalid, *, most: "int | None" = None) -> None:
        """Count the waiting values in bins."""
        taken = len(self.values)
        if most is not None:
            taken = min(taken, most)
        binned = self._binned_with(taken, invalid)
        count = binned.count
        del self.values[:taken]
        self.binned, self.count = binned, count

    def harvest(self, into: "Harvest", invalid: Invalid) -> None:
        """Write up to 64 values as they are, more as a histogram."""
        taken = len(self.values)
        if self.binned is None and taken <= RAW_LIMIT:
            good = cleaned(self.values[:taken], invalid)
            if good:
                into.raw.append((self.series_id, good))
        else:
            binned = self._binned_with(taken, invalid, polite=True)
            if binned.count:
                into.binned.append((self.series_id, binned))
        del self.values[:taken]
        self.binned, self.count = None, 0

    def _binned_with(
        self, taken: int, invalid: Invalid, *, polite: bool = False
    ) -> "Histogram":
        """A new histogram of what is binned already and the first *taken* values."""
        # Here: who decorates and is not called often needs none of its 2,430 bounds.
        from probekit.histogram import CHUNK, Histogram
        from probekit.pace import Pace

        binned = Histogram()
        if self.binned is not None:
            binned.merge(self.binned)
        pace = Pace()
        for start in range(0, taken, CHUNK):
            chunk = self.values[start : min(start + CHUNK, taken)]
            _bin(chunk, binned, invalid)
            if polite:
                pace.breathe()
        return binned


def _bin(chunk: "list[Any]", binned: "Histogram", invalid: Invalid) -> None:
    """Count up to ``CHUNK`` values; what is no number is sought only if it shows."""
    try:
        left_out = binned.take(chunk)
    except RecursionError:  # no stack left here: whoever called tries again later
        raise
    except Exception as error:  # objects may be among them, which raise anything
        let_pass(error)
        left_out = binned.take(cleaned(chunk, invalid))
    if left_out:
        invalid(left_out)


def cleaned(
    chunk: "list[Any]",
    invalid: Invalid,
    *,
    lowest: float = -math.inf,
) -> "list[float]":
    """Return the finite numbers of *chunk* that are at least *lowest*.

    Numbers of other types (``Decimal``, ``Fraction``, numpy's) count as floats; text
    does not, even when it spells a number.

    Args:
        chunk: What the application recorded.
        invalid: Told how many were left out, if any.
        lowest: Least value allowed.

    """
    if not chunk:
        return chunk
    try:
        if (
            set(map(type, chunk)) <= _PLAIN
            and math.isfinite(float(sum(chunk)))
            and (lowest == -math.inf or min(chunk) >= lowest)
        ):
            return chunk
    except OverflowError:  # an int beyond the range of floats is among them
        pass
    kept: list[float] = []
    for value in chunk:
        number = _as_float(value)
        if number is not None and lowest <= number:
            kept.append(number)
    if len(kept) < len(chunk):
        invalid(len(chunk) - len(kept))
    return kept


def _as_float(value: Any) -> "float | None":
    try:
        number = float(type(value).__float__(value))
    except Exception as error:  # no number, or one that cannot say its value
        let_pass(error)
        return None
    return number if math.isfinite(number) else None


def make_handle(series: Series, series_id: int) -> Handle:
    """A handle of the right kind for *series*."""
    if series.kind == "histogram":
        return HistogramHandle(series, series_id)
    if series.kind == "gauge":
        return GaugeHandle(series, series_id)
    return SumHandle(series, series_id)
