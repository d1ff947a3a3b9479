"""Turns readings of the state of things into a harvest.

Sources and users' ``observe`` callbacks say what *is*: a level, a total. Windows hold
what *changed*. The observer stands between: it keeps the last totals and writes
differences. It does no I/O and belongs to one thread.
"""

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from operator import sub

from probekit.hints import Literal, TypeAlias
from probekit.recorded import Attributes, AttributeValue, Kind, Series

TYPE_CHECKING = False

if TYPE_CHECKING:
    from probekit.model import Harvest

Observe: TypeAlias = "Callable[[Observer], object]"
Manner: TypeAlias = Literal["gauge", "level", "total", "total_since_start"]

_KINDS: "dict[Manner, Kind]" = {
    "gauge": "gauge",
    "level": "up_down_counter",
    "total": "counter",
    "total_since_start": "counter",
}
_PLAIN = {float, int}


class Readings:
    """Series that are said together, in one manner: made once, said often.

    What a series is called and what tells it from others costs more to look up than
    to say; an observer does it once for all of them.

    Attributes:
        manner: Which of the observer's methods they would be said by.
        series: (name, attributes, unit) of each.
    """

    __slots__ = ("manner", "series")

    def __init__(
        self,
        manner: Manner,
        series: "Iterable[tuple[str, Attributes | None, str]]",
    ) -> None:
        """Keep what the series are; values come with :meth:`Observer.say`."""
        self.manner: Manner = manner
        self.series = tuple(series)


class _Together:
    """What an observer knows of readings: their ids, and where they stand.

    Attributes:
        manner: How they are said.
        ids: Of their series.
        before: The last values of sums, all finite; None while ``Observer._last`` has
            them instead.
    """

    __slots__ = ("before", "ids", "manner")

    def __init__(self, manner: Manner, ids: "list[int]") -> None:
        """Begin without values."""
        self.manner: Manner = manner
        self.ids = ids
        self.before: tuple[float, ...] | None = None


class SeriesTable:
    """A process's series by local id; it only grows.

    Attributes:
        series: The table; the id of a series is its index.
    """

    __slots__ = ("_ids", "series")

    def __init__(self) -> None:
        """Start empty."""
        self.series: list[Series] = []
        self._ids: dict[Series, int] = {}

    def intern(self, series: Series) -> int:
        """Return the id of *series*, giving it the next one at first sight.

        Threads:
            Any thread: ``dict.setdefault`` decides which of two racing ids stands, and
            the loser's entry in the table stays unused.

        """
        known = self._ids.get(series)
        if known is not None:
            return known
        self.series.append(series)
        # The index of what was appended, also when another thread appended since.
        position = len(self.series) - 1
        while self.series[position] is not series:
            position -= 1
        return self._ids.setdefault(series, position)


class Observer:
    """Collects readings; give it to sources, then take the harvest.

    Attributes:
        failed: Readings that were not finite numbers, since the last harvest.
    """

    __slots__ = (
        "_gauge_ids",
        "_gauge_values",
        "_last",
        "_owners",
        "_standing",
        "_sum_ids",
        "_sum_values",
        "_table",
        "_together",
        "failed",
    )

    def __init__(
        self,
        table: "SeriesTable | None" = None,
        *,
        standing: "Callable[[Series], float] | None" = None,
    ) -> None:
        """Choose the table, and whose levels they are.

        Args:
            table: Gives local ids; a table of its own when None.
            standing: Where levels stand before the first reading. None when they are
                this process's own: they begin at 0 and end with it. Levels of a host
                outlive whoever reads them: the next reader goes on from what is
                stored.

        """
        self._table = table or SeriesTable()
        self._standing = standing
        self._last: dict[int, float] = {}
        self._together: dict[Readings, _Together] = {}
        self._owners: dict[int, _Together] = {}  # of sums: who said them last
        # Lists: arrays take longer to fill, and are made of them once a harvest.
        self._sum_ids: list[int] = []
        self._sum_values: list[float] = []
        self._gauge_ids: list[int] = []
        self._gauge_values: list[float] = []
        self.failed = 0

    def gauge(
        self,
        name: str,
        value: float,
        attributes: "Attributes | None" = None,
        *,
        unit: str = "",
    ) -> None:
        """Say a level: the last one of a window stands.

        Args:
            name: Metric name.
            value: The level now, in *unit*.
            attributes: What tells this series from its sisters.
            unit: UCUM unit.

        """
        self._set(self._id("gauge", name, attributes, unit), value)

    def level(
        self,
        name: str,
        value: float,
        attributes: "Attributes | None" = None,
        *,
        unit: str = "",
    ) -> None:
        """Say the level of something that adds up over processes (an up-down counter).

        The difference to the last level is stored; when the process is gone, what it
        had added is taken back (see *standing* for levels that are not its own).

        Args:
            name: Metric name.
            value: The level now, in *unit*.
            attributes: What tells this series from its sisters.
            unit: UCUM unit.

        """
        series_id = self._id("up_down_counter", name, attributes, unit)
        self._settle(series_id)
        self._move(series_id, value, "level")

    def total(
        self,
        name: str,
        value: float,
        attributes: "Attributes | None" = None,
        *,
        unit: str = "",
        since_start: bool = False,
    ) -> None:
        """Say a running total (a counter of the system's); the growth is stored.

        A total below the last one means that its owner began anew: the new total is
        then the growth.

        Args:
            name: Metric name.
            value: The total now, in *unit*.
            attributes: What tells this series from its sisters.
            unit: UCUM unit.
            since_start: Whether the first reading counts as growth (the total began
                with this process) or only as the base line (it began long ago).
                Where *standing* was given, what is stored is the base line of a total
                that counts from its start: it goes on over restarts.

        """
        series_id = self._id("counter", name, attributes, unit)
        self._settle(series_id)
        self._move(series_id, value, "total_since_start" if since_start else "total")

    def say(self, readings: Readings, values: "Sequence[float]") -> None:
        """Say all of *readings* in their manner, much cheaper than one by one.

        Args:
            readings: Which series, which no other readings have; the same object each
                time.
            values: The value of each, in their order; a tuple for totals that mostly
                stand still.

        Raises:
            ValueError: There are more or fewer values than series.

        """
        told = self._together.get(readings) or self._meet(readings)
        before = told.before
        if before == values:  # totals that stand still
            return
        if len(values) != len(told.ids):
            raise ValueError(
                f"{len(values)} values for {len(told.ids)} series: {values!r}"
            )
        together = sum(values)
        if type(together) not in _PLAIN or not math.isfinite(together):
            self._say_each(told, values)  # one is not finite, or all of them together
        elif told.manner == "gauge":
            self._gauge_ids += told.ids
            self._gauge_values += values
        elif before is None or not self._moved(told, before, values):
            self._say_each(told, values)
            told.before = tuple(values)

    def _meet(self, readings: Readings) -> _Together:
        kind = _KINDS[readings.manner]
        ids = [self._id(kind, *one) for one in readings.series]
        told = self._together[readings] = _Together(readings.manner, ids)
        return told

    def _moved(
        self,
        told: _Together,
        before: "tuple[float, ...]",
        values: "Sequence[float]",
    ) -> bool:
        """Do what :meth:`_move` does, for finite values and without a call for each.

        Returns:
            False, and nothing is done, where a total has begun anew.

        """
        by = list(map(sub, values, before))
        if told.manner != "level" and by and min(by) < 0:
            return False
        if 0 in by:
            self._sum_ids += compress(told.ids, by)
            self._sum_values += filter(None, by)
        else:
            self._sum_ids += told.ids
            self._sum_values += by
        told.before = tuple(values)  # a list may be filled anew
        return True

    def _say_each(self, told: _Together, values: "Sequence[float]") -> None:
        """Say them one by one: for the first time, or when something is amiss."""
        is_gauge = told.manner == "gauge"
        for series_id, value in zip(told.ids, values, strict=True):
            if is_gauge:
                self._set(series_id, value)
            else:
                self._settle(series_id)
                self._owners[series_id] = told
                self._move(series_id, value, told.manner)

    def _settle(self, series_id: int) -> None:
        """Have where a sum stands, and its companions, in ``_last``."""
        owner = self._owners.get(series_id)
        if owner is not None and owner.before is not None:
            self._last.update(zip(owner.ids, owner.before, strict=True))
            owner.before = None

    def _set(self, series_id: int, value: float) -> None:
        if not math.isfinite(value):
            self.failed += 1
            return
        self._gauge_ids.append(series_id)
        self._gauge_values.append(float(value))

    def _move(self, series_id: int, value: float, manner: Manner) -> None:
        """Note how far a sum has moved from its last reading."""
        if not math.isfinite(value):
            self.failed += 1
            return
        last = self._last.get(series_id)
        first = last is None
        if last is None:
            last = value if manner == "total" else self._begun(series_id)
        self._last[series_id] = value
        began_anew = value < last and manner != "level"
        growth = value if began_anew else value - last
        if growth or first:
            self._sum_ids.append(series_id)
            self._sum_values.append(float(growth))

    def _begun(self, series_id: int) -> float:
        """Where a level or total stood before its first reading here."""
        standing = self._standing
        return standing(self._table.series[series_id]) if standing else 0.0

    def _id(
        self,
        kind: Kind,
        name: str,
        attributes: "Attributes | None",
        unit: str,
    ) -> int:
        return self._table.intern(
            Series(
                name,
                kind,
                unit,
                frozen(attributes),
                ends_with_process=kind == "up_down_counter" and not self._standing,
            ),
        )

    def harvest(self) -> "Harvest":
        """Take all readings since the last call."""
        # Here, because recording needs the table and not yet an observer.
        from probekit.model import Harvest

        taken = Harvest(
            self._table.series,
            *_columns(self._sum_ids, self._sum_values),
            *_columns(self._gauge_ids, self._gauge_values),
        )
        self._sum_ids, self._sum_values = [], []
        self._gauge_ids, self._gauge_values = [], []
        if self.failed:
            taken.losses["metrics", "invalid"] = self.failed
            self.failed = 0
        return taken


def _columns(
    ids: "list[int]", values: "list[float]"
) -> "tuple[array[int], array[float], array[int]]":
    """The columns of a harvest; each value is one measurement."""
    return array("I", ids), array("d", values), array("Q", [1]) * len(ids)


def frozen(
    attributes: "Attributes | None",
) -> "tuple[tuple[str, AttributeValue], ...]":
    """Attributes as the sorted tuple that identifies a series.

    Example:
        >>> frozen({"b": 1, "a": ["x", "y"]})
        (('a', ('x', 'y')), ('b', 1))

    """
    if not attributes:
        return ()
    return tuple(
        (key, tuple(value) if isinstance(value, list) else value)
        for key, value in sorted(attributes.items())
    )
