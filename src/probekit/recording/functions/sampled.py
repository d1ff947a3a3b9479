"""Counts all calls of a hot function and the durations of every 16th.

What is harvested is a histogram whose count is that of all calls and whose shape is
that of the timed ones, scaled up. The scaling is exact in total: the largest
remainders are rounded up.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from probekit.histogram import Histogram
from probekit.recording.handle import HistogramHandle
from probekit.recording.woven import Tally

if TYPE_CHECKING:
    from probekit.model import Harvest, Series


class SampledHandle(HistogramHandle):
    """The series of a hot function.

    Attributes:
        calls: Ticks once a call, when it begins.
        errors: Ticks once a call that ended with an exception; those are recorded in
            a series of their own and taken off here.
        last_s: The last duration seen; stands in where calls were counted and none of
            them was timed.
    """

    __slots__ = ("_taken", "calls", "errors", "last_s")

    def __init__(self, series: "Series", series_id: int) -> None:
        """Start at zero."""
        super().__init__(series, series_id)
        self.calls = Tally()
        self.errors = Tally()
        self.last_s = 0.0
        self._taken = 0  # calls less errors, harvested

    @property
    def count(self) -> int:
        """Calls that ended well (or still run) and were not harvested."""
        return self.calls.read() - self.errors.read() - self._taken

    @count.setter
    def count(self, count: int) -> None:
        """Nothing: the tallies know."""

    def forget(self) -> None:
        """Drop everything recorded so far; it is the parent's."""
        super().forget()
        self._taken = self.calls.read() - self.errors.read()

    def harvest(self, into: "Harvest", invalid: "Callable[[int], None]") -> None:
        """Write the timed calls, scaled up to all calls."""
        self.fold(invalid)
        calls = self.count
        if calls <= 0:  # more errors than calls: some began before the last harvest
            return
        timed, self.binned = self.binned, None
        if timed is None or not timed.count:
            timed = Histogram.of([self.last_s])
        else:
            self.last_s = timed.sum / timed.count
        self._taken += calls
        into.binned.append((self.series_id, scaled(timed, calls)))


def scaled(timed: Histogram, calls: int) -> Histogram:
    """Return a histogram of *calls* values with the shape of *timed*.

    Args:
        timed: At least one value.
        calls: How many values the result has; 1 or more.

    Example:
        >>> h = scaled(Histogram.of([0.1, 0.1, 0.2]), 16)
        >>> h.count, sorted(h.bins.values()), round(h.sum, 3)
        (16, [5, 11], 2.133)

    """
    factor = calls / timed.count
    shares = {bin_: number * factor for bin_, number in timed.bins.items()}
    bins = {bin_: int(share) for bin_, share in shares.items()}
    by_rest = sorted(shares, key=lambda bin_: bins[bin_] - shares[bin_])
    for bin_ in by_rest[: calls - sum(bins.values())]:
        bins[bin_] += 1
    grown = Histogram()
    grown.count = calls
    grown.sum = timed.sum * factor
    grown.min, grown.max = timed.min, timed.max
    grown.bins = {bin_: number for bin_, number in bins.items() if number}
    return grown
