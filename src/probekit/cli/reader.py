"""A reader's connection to a buffer, a living one too: it cannot write."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import click

from probekit.buffer.meta import read_meta
from probekit.buffer.reports import status_of
from probekit.buffer.schema import APPLICATION_ID
from probekit.buffer.status import BufferStatus
from probekit.clock import SYSTEM_CLOCK

_BUSY_S = 2.0
# What a statement that only reads consists of.
_READING = {
    getattr(sqlite3, name)
    for name in ("SQLITE_SELECT", "SQLITE_READ", "SQLITE_FUNCTION", "SQLITE_RECURSIVE")
}
_PRAGMAS = frozenset(
    {"table_info", "table_xinfo", "table_list", "index_list", "index_info",
     "index_xinfo", "foreign_key_list", "database_list", "user_version",
     "application_id", "page_count", "page_size", "freelist_count", "data_version",
     "quick_check", "integrity_check", "compile_options", "function_list"}
)  # fmt: skip
_TICK_STEPS = 20_000


@contextmanager
def reading(path: Path) -> "Iterator[sqlite3.Connection]":
    """Open a buffer for reading; errors of SQLite leave as one line.

    Raises:
        click.ClickException: The file is no buffer, is damaged, busy or not readable.

    """
    try:
        with closing(connect(path)) as connection:
            yield connection
    except sqlite3.Error as error:
        if was_interrupted(error):
            raise KeyboardInterrupt from None
        raise click.ClickException(f"{path}: {error}") from None


def was_interrupted(error: Exception) -> bool:
    """Whether Ctrl-C ended a statement: SQLite keeps the exception to itself."""
    return "interrupted" in str(error)


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection that can only read; the caller closes it.

    Raises:
        click.ClickException: The file belongs to another application.
        sqlite3.Error: It cannot be opened, or is no database.

    """
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro",
        uri=True,
        timeout=_BUSY_S,
        isolation_level=None,
    )
    try:
        connection.execute("PRAGMA query_only = 1")
        # trusted_schema stays on: SQLite 3.40 holds json_extract, which the views need,
        # for unsafe without it. Extensions cannot be loaded by default.
        connection.execute("PRAGMA mmap_size = 0")
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
        if owner != APPLICATION_ID:
            raise click.ClickException(f"{path} is a database, but no probekit buffer")
    except BaseException:
        connection.close()
        raise
    return connection


def buffer_id(connection: sqlite3.Connection) -> str:
    """The id that was drawn when the buffer was made."""
    return str(read_meta(connection, "buffer_id", ""))


def status_in(connection: sqlite3.Connection, path: Path) -> BufferStatus:
    """Read what the buffer says about itself, as of one moment."""
    connection.execute("BEGIN")
    try:
        return status_of(connection, path, SYSTEM_CLOCK.wall_ns())
    finally:
        connection.execute("COMMIT")


def only_reading(connection: sqlite3.Connection) -> None:
    """Refuse every statement that does more than read, and let Ctrl-C stop a long one.

    ``query_only`` alone could be switched off by a statement, and ``ATTACH`` could
    make a file.
    """

    def judge(
        action: int,
        first: "str | None",
        second: "str | None",
        _database: "str | None",
        _trigger: "str | None",
    ) -> int:
        allowed = action in _READING and second != "load_extension"
        if action == sqlite3.SQLITE_PRAGMA:
            allowed = first in _PRAGMAS
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    connection.set_authorizer(judge)
    # Python looks for signals while it runs the callback; 0 means: go on.
    connection.set_progress_handler(lambda: 0, _TICK_STEPS)
