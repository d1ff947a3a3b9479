"""Remembers what an encoding made of a series, so that each is encoded once."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from probekit.model import Point, Series

K = TypeVar("K")
T = TypeVar("T")
LIMIT_KEYS = 4096
LIMIT_SERIES = 20_000


class Memo(dict[K, T]):
    """A dict that makes what it lacks, and never holds many.

    Args:
        make: Called with a key that is not held.
        limit: Keys held; when there are more, all are forgotten and made anew.
    """

    __slots__ = ("_limit", "_make")

    def __init__(self, make: "Callable[[K], T]", limit: int = LIMIT_KEYS) -> None:
        """Start empty."""
        super().__init__()
        self._make = make
        self._limit = limit

    def __missing__(self, key: K) -> T:
        """Make it and hold it."""
        made = self._make(key)
        if len(self) >= self._limit:
            self.clear()
        self[key] = made
        return made


class SeriesCache(Generic[T]):
    """Series → what an encoding needs of it.

    Args:
        make: Called once for each series.
        limit: Series held; when there are more, all are forgotten and made anew.
    """

    __slots__ = ("_limit", "_made", "_make")

    def __init__(
        self, make: "Callable[[Series], T]", limit: int = LIMIT_SERIES
    ) -> None:
        """Start empty."""
        self._make = make
        self._limit = limit
        self._made: dict[int, tuple[Series, T]] = {}

    def of(self, point: Point) -> T:
        """What *make* said of the point's series, from memory where possible.

        The buffer's id finds it; an id that means another series now (a new buffer
        file), or no id at all, is settled by comparing the series itself.
        """
        series = point.series
        key = point.series_id or id(series)
        held = self._made.get(key)
        if held is not None and (held[0] is series or held[0] == series):
            return held[1]
        if len(self._made) >= self._limit:
            self._made.clear()
        made = self._make(series)
        self._made[key] = (series, made)
        return made

    def each(self, points: "Iterable[Point]") -> "list[T]":
        """The same of many points, without a call for each that is remembered."""
        made, of, found = self._made, self.of, []
        for point in points:
            series = point.series
            held = made.get(point.series_id or id(series))
            if held is None or held[0] is not series:
                found.append(of(point))
            else:
                found.append(held[1])
        return found
