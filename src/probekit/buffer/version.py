"""Which version of the schema a buffer has: said twice, so that a bit may flip.

SQLite's header has a number, ``meta`` the same with a checksum, which is believed where
it is whole. Without it a single bit would make a buffer look like a newer probekit's,
which is left alone, or a newer one's like ours.

Every version since 3 writes both, in one transaction.
"""

import sqlite3

from probekit.buffer import schema


def version_of(connection: sqlite3.Connection) -> int:
    """The version of a buffer of ours; 0 for one that is being made."""
    told = _told(connection)
    return _header(connection) if told is None else told


def is_said_twice(connection: sqlite3.Connection) -> bool:
    """Whether both places say this version."""
    return _header(connection) == _told(connection) == schema.VERSION


def write_version(connection: sqlite3.Connection) -> None:
    """Say in both places that this is the version, in a transaction of the caller's."""
    connection.execute(f"PRAGMA user_version = {schema.VERSION}")
    connection.execute(
        "INSERT OR REPLACE INTO meta VALUES (?, ?)",
        (schema.VERSION_KEY, schema.version_text(schema.VERSION)),
    )


def _header(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _told(connection: sqlite3.Connection) -> "int | None":
    """What ``meta`` says; None when it says nothing that can be believed."""
    try:
        row = connection.execute(
            "SELECT value FROM meta WHERE key = ?", (schema.VERSION_KEY,)
        ).fetchone()
        number = int(str(row[0]).split()[0])
    except (sqlite3.Error, TypeError, ValueError, IndexError):
        return None
    return number if row[0] == schema.version_text(number) else None
