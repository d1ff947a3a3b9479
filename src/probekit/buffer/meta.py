"""Single facts of a buffer: its id, its generation, its leader's heartbeat."""

import sqlite3
from typing import Any


def read_meta(connection: sqlite3.Connection, key: str, default: Any = None) -> Any:
    """The value of *key*, or *default*."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return default if row is None else row[0]


def write_meta(connection: sqlite3.Connection, key: str, value: Any) -> None:
    """Set *key*."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
