"""A buffer for readers: the command line, processes that do not lead.

The file is opened ``mode=ro`` and ``query_only``: nothing here can write, and a
connection that cannot write never checkpoints, not even as the last one to close.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from probekit.buffer import accounts, cursors
from probekit.buffer.reports import status_of
from probekit.buffer.schema import APPLICATION_ID, VERSION
from probekit.buffer.status import BufferStatus
from probekit.buffer.trouble import translated
from probekit.buffer.version import version_of
from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.errors import BufferCorrupt, BufferFailed

BUSY_MS = 200


@contextmanager
def open_reader(path: Path) -> "Iterator[sqlite3.Connection]":
    """A connection that can only read, closed at the end of the block.

    Keep it short: a reader that stays keeps the write-ahead log growing.

    Raises:
        BufferCorrupt: The file is no buffer.
        BufferFailed: There is no such file, or it cannot be read.

    """
    path = path.absolute()
    if not path.is_file():
        raise BufferFailed(f"there is no buffer at {path}")
    with translated(path):
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode=ro",
            uri=True,
            timeout=BUSY_MS / 1000,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            # trusted_schema stays on: the views call json_extract, which older
            # versions of SQLite refuse inside a schema that is not trusted.
            connection.execute("PRAGMA query_only = 1")
            _check(connection, path)
            yield connection
        finally:
            connection.close()


def _check(connection: sqlite3.Connection, path: Path) -> None:
    ours = connection.execute("PRAGMA application_id").fetchone()[0]
    version = version_of(connection)
    if ours != APPLICATION_ID:
        raise BufferCorrupt(f"{path} is no probekit buffer")
    if version > VERSION:
        raise BufferCorrupt(f"{path} was made by a newer probekit (schema {version})")


def read_status(path: Path, clock: Clock = SYSTEM_CLOCK) -> BufferStatus:
    """The status of a buffer that another process leads."""
    with open_reader(path) as connection:
        return status_of(connection, path, clock.wall_ns())


def covers(path: Path, segment: Path, offset: int) -> bool:
    """Whether all up to *offset* of a segment is committed in the buffer.

    A segment that is neither known nor on disk was folded and deleted.
    """
    with open_reader(path) as connection:
        row = connection.execute(
            "SELECT offset FROM segment WHERE name = ?",
            (segment.name,),
        ).fetchone()
    if row is None:
        return not segment.exists()
    return bool(row[0] >= offset)


def delivered(path: Path, window: "int | None" = None) -> bool:
    """Whether every registered exporter has passed *window* (None: the last one)."""
    with open_reader(path) as connection:
        wanted = accounts.last(connection, "metrics") if window is None else window
        names = connection.execute("SELECT exporter FROM cursor").fetchall()
        return all(
            cursors.delivered_through(connection, name) >= wanted for (name,) in names
        )


def last_window(path: Path) -> int:
    """Id of the last closed window; 0 before the first."""
    with open_reader(path) as connection:
        return accounts.last(connection, "metrics")
