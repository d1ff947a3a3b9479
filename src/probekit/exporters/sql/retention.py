"""Deletes what is older than the user wants to keep: a little at a time.

One call deletes at most one hour's worth of one table, so that no delivery waits for
long; when nothing is left to delete, it looks again after ten minutes.
"""

from typing import TYPE_CHECKING

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.exporters.sql.schema import Tables

if TYPE_CHECKING:
    import sqlalchemy as sa

DAY_NS = 86_400 * 10**9
SLICE_NS = 3600 * 10**9
PAUSE_S = 600.0


class Retention:
    """Keeps the tables of one prefix young.

    Args:
        tables: Which.
        days: What is older goes; 0 keeps all.
        clock: Both readings are used.
    """

    __slots__ = ("_clock", "_days", "_due_s", "_tables")

    def __init__(
        self, tables: Tables, days: float, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        """Look at the first call."""
        self._tables = tables
        self._days = days
        self._clock = clock
        self._due_s = clock.monotonic_s()

    def is_due(self) -> bool:
        """Whether :meth:`delete_some` has something to look for."""
        return self._days > 0 and self._clock.monotonic_s() >= self._due_s

    def delete_some(self, connection: "sa.Connection") -> int:
        """Delete one slice of each table; return how many rows went."""
        limit_ns = self._clock.wall_ns() - int(self._days * DAY_NS)
        tables = self._tables
        gone = 0
        for table, column in (
            (tables.points, "end_unix_ns"),
            (tables.events, "time_unix_ns"),
            (tables.spans, "time_unix_ns"),
        ):
            gone += _slice(connection, table.c[column], limit_ns)
        if not gone:
            gone = self._series(connection, limit_ns)
            self._due_s = self._clock.monotonic_s() + PAUSE_S
        return gone

    def _series(self, connection: "sa.Connection", limit_ns: int) -> int:
        """Series without a point: a day later, for whoever else may be sending them."""
        seen = self._tables.series.c.last_seen_unix_ns
        done = connection.execute(
            self._tables.series.delete().where(seen < limit_ns - DAY_NS)
        )
        return max(done.rowcount, 0)


def _slice(connection: "sa.Connection", column: "sa.Column[int]", limit_ns: int) -> int:
    import sqlalchemy as sa

    oldest = connection.execute(sa.select(sa.func.min(column))).scalar()
    if oldest is None or oldest >= limit_ns:
        return 0
    end_ns = min(limit_ns, oldest + SLICE_NS)
    done = connection.execute(column.table.delete().where(column < end_ns))
    return max(done.rowcount, 0)
