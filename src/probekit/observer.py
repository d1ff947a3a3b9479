"""Turns readings of the state of things into a harvest.

Sources and users' ``observe`` callbacks say what *is*: a level, a total. Windows hold
what *changed*. The observer stands between: it keeps the last totals and writes
differences. It does no I/O and belongs to one thread.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

from probekit.model import Attributes, AttributeValue, Harvest, Kind, Series

Observe: TypeAlias = "Callable[[Observer], object]"


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

    __slots__ = ("_harvest", "_last", "_standing", "_table", "failed")

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
        self.failed = 0
        self._harvest = Harvest(series=self._table.series)

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
        series_id = self._id("gauge", name, attributes, unit)
        if math.isfinite(value):
            self._harvest.gauge_ids.append(series_id)
            self._harvest.gauge_values.append(value)
            self._harvest.gauge_counts.append(1)
        else:
            self.failed += 1

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
        last = self._last.get(series_id)
        if last is None:
            last = self._begun(series_id)
        self._add(series_id, value, value - last)

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
        last = self._last.get(series_id)
        if last is None:
            last = self._begun(series_id) if since_start else value
        growth = value - last if value >= last else value
        self._add(series_id, value, growth)

    def _begun(self, series_id: int) -> float:
        """Where a level or total stood before its first reading here."""
        standing = self._standing
        return standing(self._table.series[series_id]) if standing else 0.0

    def _add(self, series_id: int, value: float, growth: float) -> None:
        if not math.isfinite(value):
            self.failed += 1
            return
        first = series_id not in self._last
        self._last[series_id] = value
        if growth or first:
            self._harvest.sum_ids.append(series_id)
            self._harvest.sum_values.append(growth)
            self._harvest.sum_counts.append(1)

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

    def harvest(self) -> Harvest:
        """Take all readings since the last call."""
        taken, self._harvest = self._harvest, Harvest(series=self._table.series)
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
