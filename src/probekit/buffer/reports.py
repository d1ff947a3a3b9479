"""What a buffer says about itself, over any connection, a reader's included."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from probekit.buffer import accounts, cursors
from probekit.buffer.meta import read_meta
from probekit.buffer.status import BufferStatus, ExporterStatus
from probekit.errors import BufferCorrupt
from probekit.model import Signal


def status_of(
    connection: sqlite3.Connection,
    path: "Path | None",
    now_ns: int,
) -> BufferStatus:
    """The books, the cursors, the sizes.

    Raises:
        BufferCorrupt: There is something else in the tables than what was written.

    """
    try:
        return _status_of(connection, path, now_ns)
    except (TypeError, ValueError, LookupError) as error:
        raise BufferCorrupt(f"{path} cannot be read: {error!r}") from error


def _status_of(
    connection: sqlite3.Connection,
    path: "Path | None",
    now_ns: int,
) -> BufferStatus:
    beat_ns = int(read_meta(connection, "leader_beat_unix_ns", 0))
    names = connection.execute("SELECT exporter FROM cursor ORDER BY exporter")
    exporters = [_exporter(connection, name, now_ns) for (name,) in names.fetchall()]
    after = {
        signal: accounts.counted(connection, signal) for signal in accounts.SIGNALS
    }
    letters = "SELECT coalesce(sum(records), 0) FROM dead_letter"
    return BufferStatus(
        path=str(path) if path is not None else ":memory:",
        buffer_id=str(read_meta(connection, "buffer_id", "")),
        accounts=accounts.books(connection),
        exporters=tuple(exporters),
        file_bytes=_size_bytes(path),
        wal_bytes=_size_bytes(Path(f"{path}-wal")) if path is not None else 0,
        windows=_one(connection, "SELECT count(*) FROM window"),
        oldest_age_s=_oldest_age_s(connection, after, now_ns),
        leader_pid=int(read_meta(connection, "leader_pid", 0)),
        leader_beat_age_s=max(0.0, (now_ns - beat_ns) / 1e9) if beat_ns else None,
        dead_letters=_one(connection, letters),
    )


def _exporter(
    connection: sqlite3.Connection,
    name: str,
    now_ns: int,
) -> ExporterStatus:
    cursor = cursors.read(connection, name)
    signals, error, error_ns, delivered_ns = connection.execute(
        "SELECT signals, last_error, last_error_unix_ns, delivered_unix_ns "
        "FROM cursor WHERE exporter = ?",
        (name,),
    ).fetchone()
    numbers = (cursor.whole_window, cursor.event, cursor.span)
    taken = {
        signal: number
        for signal, number in zip(accounts.SIGNALS, numbers, strict=True)
        if signal in signals
    }
    through = cursors.delivered_through(connection, name)
    lag = _one(connection, "SELECT count(*) FROM window WHERE id > ?", through)
    letters, refusal = connection.execute(
        # One row: of an aggregate with max(id), SQLite takes the rest from that row.
        "SELECT coalesce(sum(records), 0), coalesce(reason, ''), max(id) "
        "FROM dead_letter WHERE exporter = ?",
        (name,),
    ).fetchone()[:2]
    return ExporterStatus(
        name=name,
        delivered_through=through,
        lag_windows=lag,
        lag_s=_oldest_age_s(connection, taken, now_ns),
        last_error=error,
        last_error_unix_ns=error_ns,
        delivered_unix_ns=delivered_ns,
        dead_letters=letters,
        refusal=refusal,
    )


def _oldest_age_s(
    connection: sqlite3.Connection,
    after: "Mapping[Signal, int]",
    now_ns: int,
) -> float:
    """Age of the oldest data beyond the given numbers, seconds."""
    columns = {
        "metrics": "start_unix_ns",
        "events": "time_unix_ns",
        "spans": "end_unix_ns",
    }
    found = []
    for signal, passed in after.items():
        table, number = accounts.TABLE[signal]
        row = connection.execute(
            f"SELECT {columns[signal]} FROM {table} "  # noqa: S608 - our own words
            f"WHERE {number} > ? ORDER BY {number} LIMIT 1",
            (passed,),
        ).fetchone()
        found += [row[0]] if row else []
    return max(0.0, (now_ns - min(found)) / 1e9) if found else 0.0


def _one(connection: sqlite3.Connection, statement: str, *values: object) -> int:
    return int(connection.execute(statement, values).fetchone()[0])


def _size_bytes(path: "Path | None") -> int:
    # By stat only: opening and closing the file would drop SQLite's locks.
    try:
        return path.stat().st_size if path is not None else 0
    except OSError:
        return 0
