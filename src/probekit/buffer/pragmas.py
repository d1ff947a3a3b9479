"""A connection as we want it: every setting set and read back, the schema ours.

The defaults differ from build to build.
"""

import sqlite3

from probekit.buffer import schema
from probekit.buffer.checksums import add_checksums
from probekit.buffer.version import write_version
from probekit.errors import BufferFailed


def set_pragmas(connection: sqlite3.Connection, *, memory: bool) -> None:
    """Set every pragma and read it back.

    Raises:
        BufferFailed: SQLite did not take one.

    """
    for name, wanted in schema.PRAGMAS.items():
        if memory and name in {"journal_mode", "mmap_size"}:
            continue
        connection.execute(f"PRAGMA {name} = {wanted}").fetchall()
        row = connection.execute(f"PRAGMA {name}").fetchone()
        found = row[0] if row else None
        optional = name in {"mmap_size", "trusted_schema"}  # absent in some builds
        if found != wanted and not (optional and found is None):
            raise BufferFailed(f"SQLite did not take {name} = {wanted}: it is {found}")


def upgrade(connection: sqlite3.Connection) -> None:
    """From an older version to this one: rows get the checksums that they lack.

    A file of this version whose number is not said twice gets it.

    Threads:
        Reads and writes the whole file, once in its life.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        add_checksums(connection)
        write_version(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite may have rolled back by itself
            connection.execute("ROLLBACK")
        raise
