"""Knows what is slow for each name: above the 99th percentile of its own past."""

from bisect import bisect_left

from probekit.histogram import BOUNDS, OVERFLOW_BIN, Histogram

LEAST = 100  # durations of a name before its percentile means anything
_RENEW_EVERY = 64
_GENERATION = 2000  # durations after which the older half of the past is forgotten
_NAMES_LIMIT = 1000
_Q = 0.99


class Slowness:
    """Percentiles of durations by name; bounded, and following changes.

    Threads:
        One at a time.
    """

    __slots__ = ("_names",)

    def __init__(self) -> None:
        """Know nothing."""
        self._names: dict[str, _Past] = {}

    def is_slow(self, name: str, duration_s: float) -> bool:
        """Whether *duration_s* is above the percentile of *name*; then learn it.

        Durations in the percentile's own bin (within 5 % of it) are not slow: else a
        function that always takes the same time would be slow half of the time.

        Example:
            >>> slowness = Slowness()
            >>> any(slowness.is_slow("f", 0.010) for _ in range(200))
            False
            >>> slowness.is_slow("f", 0.012)
            True

        """
        past = self._names.get(name)
        if past is None:
            if len(self._names) >= _NAMES_LIMIT:
                return False  # the names of roots are few, or somebody errs
            past = self._names[name] = _Past()
        return past.is_slow(duration_s)


class _Past:
    """Two generations of one name's durations."""

    __slots__ = ("_bound_s", "_new", "_old", "_since")

    def __init__(self) -> None:
        self._new = Histogram()
        self._old = Histogram()
        self._bound_s = float("inf")
        self._since = 0

    def is_slow(self, duration_s: float) -> bool:
        slow = duration_s > self._bound_s
        self._new.add((duration_s,))
        self._since += 1
        if self._since >= _RENEW_EVERY:
            self._renew()
        return slow

    def _renew(self) -> None:
        self._since = 0
        both = Histogram()
        both.merge(self._old)
        both.merge(self._new)
        if both.count >= LEAST:
            self._bound_s = upper_bound(both)
        if self._new.count >= _GENERATION:
            self._old, self._new = self._new, Histogram()


def upper_bound(histogram: Histogram) -> float:
    """Upper edge of the bin that holds the percentile."""
    bin_ = bisect_left(BOUNDS, histogram.quantile(_Q))
    return histogram.max if bin_ == OVERFLOW_BIN else BOUNDS[bin_]
