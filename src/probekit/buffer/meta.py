"""Single facts of a buffer: its id, its generation, its leader, who speaks."""

import json
import sqlite3
from typing import Any

from probekit.buffer.records import load_attributes
from probekit.buffer.rows import sql_json
from probekit.model import Resource

BEGAN = "created_unix_ns"


def read_meta(connection: sqlite3.Connection, key: str, default: Any = None) -> Any:
    """The value of *key*, or *default*."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return default if row is None else row[0]


def write_meta(connection: sqlite3.Connection, key: str, value: Any) -> None:
    """Set *key*."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def began_unix_ns(connection: sqlite3.Connection) -> int:
    """Since when the running totals count; 0 when nobody knows."""
    return int(read_meta(connection, BEGAN, 0))


def began_no_later(connection: sqlite3.Connection, time_ns: int) -> None:
    """The buffer has a window that starts at *time_ns*: so its totals count since then.

    The first window begins on the clock's grid and with what was held before there was
    a buffer; a clock that is set back writes windows before the first one.
    """
    connection.execute(
        "UPDATE meta SET value = ? WHERE key = ? AND value > ?",
        (time_ns, BEGAN, time_ns),
    )


def keep_resource(
    connection: sqlite3.Connection,
    resource: Resource,
    now_ns: int,
) -> None:
    """Note who speaks now."""
    connection.execute(
        "INSERT INTO resource (attributes, last_seen_unix_ns) VALUES (?, ?) "
        "ON CONFLICT (attributes) DO UPDATE SET last_seen_unix_ns = "
        "excluded.last_seen_unix_ns",
        (sql_json(resource.attributes), now_ns),
    )


def stored_resource(connection: sqlite3.Connection) -> Resource:
    """Who spoke last; nobody in a new buffer."""
    row = connection.execute(
        "SELECT attributes FROM resource ORDER BY last_seen_unix_ns DESC LIMIT 1",
    ).fetchone()
    return Resource(load_attributes(json.loads(row[0]))) if row else Resource()
