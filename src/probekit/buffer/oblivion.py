"""Series that nothing refers to any more are forgotten, or they would fill the buffer.

Where attributes change for weeks, most series never speak again. A series that does
after all begins anew: its running total counts from nothing.
"""

import json
import sqlite3
from array import array

from probekit.buffer.meta import read_meta, write_meta
from probekit.buffer.totals import Totals

_EVERY_NS = 600 * 10**9
_AT_ONCE = 500
_LOOKED = "series_looked_unix_ns"
_SILENT = (
    "SELECT id FROM series WHERE updated_unix_ns < ? "
    "AND id NOT IN (SELECT series FROM point) "
    "AND id < (SELECT max(id) FROM series) "  # ids are never given twice
    "ORDER BY id"
)


def forget_series(
    connection: sqlite3.Connection,
    totals: Totals,
    now_ns: int,
    before_ns: int,
) -> bool:
    """Forget a few series that have been silent since *before_ns*.

    Args:
        connection: In a write transaction.
        totals: Of this buffer.
        now_ns: Wall clock, nanoseconds since 1970.
        before_ns: Who has spoken since stays, nanoseconds since 1970.

    Returns:
        Whether more may be left; otherwise the next look is ten minutes away.

    """
    looked_ns = int(read_meta(connection, _LOOKED, 0))
    if 0 <= now_ns - looked_ns < _EVERY_NS:
        return False
    held = _held(connection)
    silent = (row[0] for row in connection.execute(_SILENT, (before_ns,)))
    gone = [series_id for series_id in silent if series_id not in held][:_AT_ONCE]
    for series_id in gone:
        connection.execute("DELETE FROM series WHERE id = ?", (series_id,))
    totals.drop(gone)
    if len(gone) == _AT_ONCE:
        return True
    write_meta(connection, _LOOKED, now_ns)
    return False


def _held(connection: sqlite3.Connection) -> "set[int]":
    """Series that a living process may still name by its local id."""
    held: set[int] = set()
    for (ids,) in connection.execute("SELECT ids FROM segment"):
        held.update(array("Q", ids))
    for (nets,) in connection.execute("SELECT nets FROM stream"):
        held.update(map(int, json.loads(nets)))
    refused = "SELECT DISTINCT series FROM refused WHERE signal = 'metrics'"
    held.update(row[0] for row in connection.execute(refused))
    return held
