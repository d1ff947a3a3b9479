"""Turns readings of the state of things into a harvest.

Sources and users' ``observe`` callbacks say what *is*: a level, a total. Windows hold
what *changed*. The observer stands between: it keeps the last totals and writes
differences. It does no I/O and belongs to one thread.
"""

import math
from array import array
from collections.abc import Callable, Iterable, Sequence

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
        "_harvest",
        "_known",
        "_last",
        "_latest",
        "_standing",
        "_table",
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
        self._known: dict[Readings, array[int]] = {}
        self._latest: dict[Readings, tuple[float, ...]] = {}  # of sums
        self.failed = 0
        self._harvest = self._empty()

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
        self._latest.clear()
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
        self._latest.clear()
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
        if self._latest.get(readings) == values:  # totals that stand still
            return
        if len(values) != len(readings.series):
            raise ValueError(
                f"{len(values)} values for {len(readings.series)} series: {values!r}"
            )
        ids = self._known.get(readings)
        if ids is None:
            kind = _KINDS[readings.manner]
            ids = array("I", [self._id(kind, *one) for one in readings.series])
            self._known[readings] = ids
        if not math.isfinite(sum(values)):  # one of them; or all of them together
            self._latest.pop(readings, None)
            self._say_each(readings.manner, ids, values)
        elif readings.manner == "gauge":
            told = array("d", values)
            self._harvest.gauge_ids += ids
            self._harvest.gauge_values += told
            self._harvest.gauge_counts.extend([1] * len(ids))
        else:
            self._move_all(readings.manner, ids, values)
            if isinstance(values, tuple):  # a list may be filled anew
                self._latest[readings] = values

    def _say_each(
        self, manner: Manner, ids: "array[int]", values: "Sequence[float]"
    ) -> None:
        for series_id, value in zip(ids, values, strict=True):
            if manner == "gauge":
                self._set(series_id, value)
            else:
                self._move(series_id, value, manner)

    def _move_all(
        self, manner: Manner, ids: "array[int]", values: "Sequence[float]"
    ) -> None:
        """Do what :meth:`_move` does, for finite values and without a call for each."""
        last, moved, by = self._last, [], []
        for series_id, value in zip(ids, values, strict=True):
            before = last.get(series_id)
            if before is None:
                self._move(series_id, value, manner)
            elif value != before:  # most of them stand still
                last[series_id] = value
                began_anew = value < before and manner != "level"
                growth = value if began_anew else value - before
                if growth:
                    moved.append(series_id)
                    by.append(growth)
        if moved:
            self._harvest.sum_ids.fromlist(moved)
            self._harvest.sum_values.fromlist(by)
            self._harvest.sum_counts.fromlist([1] * len(moved))

    def _set(self, series_id: int, value: float) -> None:
        if not math.isfinite(value):
            self.failed += 1
            return
        self._harvest.gauge_ids.append(series_id)
        self._harvest.gauge_values.append(value)
        self._harvest.gauge_counts.append(1)

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
            self._harvest.sum_ids.append(series_id)
            self._harvest.sum_values.append(growth)
            self._harvest.sum_counts.append(1)

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

    def _empty(self) -> "Harvest":
        # Here, because recording needs the table and not yet an observer.
        from probekit.model import Harvest

        return Harvest(series=self._table.series)

    def harvest(self) -> "Harvest":
        """Take all readings since the last call."""
        taken, self._harvest = self._harvest, self._empty()
        if self.failed:
            taken.losses["metrics", "invalid"] = self.failed
            self.failed = 0
        return taken


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
