"""How long data is kept, and what goes first when there is too much.

In this order, by size before age: delivered windows are rolled up earlier, delivered
data goes, undelivered windows are merged to a minute and then to an hour (counts stay
exact), and only then the oldest of whatever fills the buffer is dropped and counted.
"""

import sqlite3

from probekit.buffer import accounts
from probekit.buffer.oblivion import forget_series
from probekit.buffer.rollup import roll_up
from probekit.buffer.totals import Totals
from probekit.clock import Clock
from probekit.model import Retention, Signal

MINUTE_S = 60.0
HOUR_S = 3600.0
DAY_S = 86_400.0

# Shares of max_bytes at which each step begins.
_ROLL_UP_DELIVERED = 0.5
_DROP_DELIVERED = 0.6
_MERGE_TO_MINUTES = 0.75
_MERGE_TO_HOURS = 0.85
_DROP_OLDEST = 0.95

_POINTS_A_PASS = 5000
_ROWS_A_PASS = 2000
_EVERYTHING = 1 << 62
_CHANCE_S = 60.0


class Ageing:
    """The clock by which undelivered data grows old: one or two minutes behind.

    What is too old when the buffer is opened, or becomes so by a step of the clock (a
    computer without a battery begins in 1970), first has a chance to be delivered.
    """

    __slots__ = ("_clock", "_next", "_now_ns")

    def __init__(self, clock: Clock) -> None:
        """Begin at the first question."""
        self._clock = clock
        self._now_ns = 0
        self._next: tuple[float, int] | None = None

    def now_ns(self) -> int:
        """What the wall clock said a while ago; 0 as long as that is not known."""
        now_s, now_ns = self._clock.monotonic_s(), self._clock.wall_ns()
        if self._next is None:
            self._next = now_s, now_ns
        elif now_s - self._next[0] >= _CHANCE_S:
            self._now_ns, self._next = self._next[1], (now_s, now_ns)
        return min(self._now_ns, now_ns)  # unless it was set back since


def step(
    connection: sqlite3.Connection,
    totals: Totals,
    retention: Retention,
    now_ns: int,
    pressure: float,
    *,
    ageing_ns: int,
) -> bool:
    """Do one bounded piece of work in the caller's transaction.

    Args:
        connection: In a write transaction.
        totals: Of this buffer.
        retention: The limits.
        now_ns: Wall clock, nanoseconds since 1970.
        pressure: Used share of ``max_bytes``.
        ageing_ns: The time by which undelivered data is old; see :class:`Ageing`.

    Returns:
        Whether anything was done; when not, nothing is left to do.

    """
    low = {signal: _passed(connection, signal) for signal in accounts.SIGNALS}
    tail_s, minutes_s = retention.tail_s, retention.minutes_s
    if pressure > _ROLL_UP_DELIVERED:
        tail_s, minutes_s = min(tail_s, MINUTE_S), min(minutes_s, 10 * MINUTE_S)
    before = {
        "tail": now_ns - int(tail_s * 1e9),
        "minutes": now_ns - int(minutes_s * 1e9),
        "keep": now_ns - int(retention.keep_s * 1e9),
        "series": now_ns - int(_silence_s(retention, pressure) * 1e9),
        "age": ageing_ns - int(retention.max_age_s * 1e9),
    }
    passed = low["metrics"]
    return (
        _drop_old(connection, "metrics", passed, before["keep"])
        or _drop_old(connection, "events", low["events"], before["minutes"])
        or _drop_old(connection, "spans", low["spans"], before["minutes"])
        or any(_expire(connection, s, before["age"]) for s in accounts.SIGNALS)
        or roll_up(connection, totals, MINUTE_S, passed, before["tail"])
        or roll_up(connection, totals, HOUR_S, passed, before["minutes"])
        or forget_series(connection, totals, now_ns, before["series"])
        or _make_room(connection, totals, low, now_ns, pressure)
    )


def _silence_s(retention: Retention, pressure: float) -> float:
    """For how long a series without points must have been silent to be forgotten."""
    if pressure > _DROP_OLDEST:
        return HOUR_S  # before anything undelivered goes
    keep_s = retention.keep_s
    return min(DAY_S, keep_s) if pressure > _ROLL_UP_DELIVERED else keep_s


def _make_room(
    connection: sqlite3.Connection,
    totals: Totals,
    low: "dict[Signal, int]",
    now_ns: int,
    pressure: float,
) -> bool:
    if pressure > _DROP_DELIVERED:
        for signal in sorted(low, key=lambda s: -weight_bytes(connection, s)):
            if _drop_old(connection, signal, low[signal], _EVERYTHING):
                return True
    everything = accounts.last(connection, "metrics")
    if pressure > _MERGE_TO_MINUTES and roll_up(
        connection,
        totals,
        MINUTE_S,
        everything,
        now_ns,
    ):
        return True
    if pressure > _MERGE_TO_HOURS and roll_up(
        connection,
        totals,
        HOUR_S,
        everything,
        now_ns,
    ):
        return True
    if pressure > _DROP_OLDEST:
        heaviest = max(accounts.SIGNALS, key=lambda s: weight_bytes(connection, s))
        return drop_through(connection, heaviest, _chunk_end(connection, heaviest))
    return False


def _passed(connection: sqlite3.Connection, signal: Signal) -> int:
    """Last number that is booked as delivered and passed by every cursor."""
    passed = accounts.passed_by_all(connection, signal)
    if passed is None:
        return 0
    return min(passed, accounts.counted(connection, signal))


_ENDS: "dict[Signal, str]" = {
    "metrics": "end_unix_ns",
    "events": "time_unix_ns",
    "spans": "end_unix_ns",
}


def _drop_old(
    connection: sqlite3.Connection,
    signal: Signal,
    passed: int,
    before_ns: int,
) -> bool:
    """Delete delivered data that ended before *before_ns*, a chunk of it."""
    through = min(_oldest_run(connection, signal, before_ns), passed)
    return drop_through(connection, signal, through)


def _expire(connection: sqlite3.Connection, signal: Signal, before_ns: int) -> bool:
    through = _oldest_run(connection, signal, before_ns)
    return drop_through(connection, signal, through, reason="expired")


def _oldest_run(connection: sqlite3.Connection, signal: Signal, before_ns: int) -> int:
    """Last number of the first chunk that ended before *before_ns*; 0 for none."""
    table, number = accounts.TABLE[signal]
    end = _chunk_end(connection, signal)
    young = connection.execute(
        f"SELECT min({number}) FROM {table} "  # noqa: S608 - our own words
        f"WHERE {number} <= ? AND {_ENDS[signal]} >= ?",
        (end, before_ns),
    ).fetchone()[0]
    return end if young is None else int(young) - 1


def _chunk_end(connection: sqlite3.Connection, signal: Signal) -> int:
    """Where the oldest chunk ends that one transaction may delete; 0 for none."""
    if signal == "metrics":
        row = connection.execute(
            "SELECT max(window) FROM "
            "(SELECT window FROM point ORDER BY window LIMIT ?)",
            (_POINTS_A_PASS,),
        ).fetchone()[0]
        bare = connection.execute("SELECT min(id) FROM window").fetchone()[0]
        return max(int(row or 0), int(bare or 0)) if bare is not None else 0
    table, number = accounts.TABLE[signal]
    row = connection.execute(
        f"SELECT max({number}) FROM (SELECT {number} FROM {table} "  # noqa: S608
        f"ORDER BY {number} LIMIT ?)",
        (_ROWS_A_PASS,),
    ).fetchone()[0]
    return int(row or 0)


def drop_through(
    connection: sqlite3.Connection,
    signal: Signal,
    through: int,
    *,
    reason: str = "full",
) -> bool:
    """Delete all up to number *through*; what was not delivered is counted as dropped.

    Returns:
        Whether anything was deleted.

    """
    table, number = accounts.TABLE[signal]
    booked = accounts.counted(connection, signal)
    if through > booked:
        lost = accounts.measure(connection, signal, booked, through)
        accounts.drop(connection, signal, reason, lost)
    deleted = connection.execute(
        f"DELETE FROM {table} WHERE {number} <= ?",  # noqa: S608 - our own words
        (through,),
    ).rowcount
    if signal == "metrics":
        connection.execute("DELETE FROM point WHERE window <= ?", (through,))
    connection.execute(
        "DELETE FROM refused WHERE signal = ? AND record <= ?",
        (signal, through),
    )
    return deleted > 0


def weight_bytes(connection: sqlite3.Connection, signal: Signal) -> int:
    """About how many bytes a signal takes: rows of a sample times their number."""
    what = {
        "metrics": ("point", "40 + coalesce(length(bins), 0)"),
        "events": ("event", "60 + length(attributes) + length(body)"),
        "spans": ("span", "160 + length(attributes) + length(record)"),
    }[signal]
    count = connection.execute(f"SELECT count(*) FROM {what[0]}").fetchone()[0]  # noqa: S608
    sample = connection.execute(
        f"SELECT avg({what[1]}) FROM (SELECT * FROM {what[0]} LIMIT 500)",  # noqa: S608
    ).fetchone()[0]
    return int(count * (sample or 0))
