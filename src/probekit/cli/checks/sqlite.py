"""SQLite: its version with its known faults, and whether the file is whole."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from probekit.buffer.schema import VERSION
from probekit.buffer.version import version_of
from probekit.cli.checks.finding import Finding, fail, ok, warn

_OLDEST = (3, 33, 0)  # UPDATE … FROM
_WAL_SINCE = (3, 7, 0)
_WAL_FIXED = (3, 51, 3)
# Older lines that got the fix, from this patch on.
_WAL_BACKPORTS = {(3, 44): 6, (3, 50): 7}


def has_wal_reset_fault(version: "tuple[int, int, int]") -> bool:
    """Whether two connections that write or checkpoint at once may damage a file.

    Example:
        >>> has_wal_reset_fault((3, 40, 1)), has_wal_reset_fault((3, 50, 7))
        (True, False)

    """
    if not _WAL_SINCE <= version < _WAL_FIXED:
        return False
    backport = _WAL_BACKPORTS.get(version[:2])
    return backport is None or version[2] < backport


def check_version() -> "Iterator[Finding]":
    """The library that this Python uses."""
    major, minor, patch, *_ = sqlite3.sqlite_version_info
    version, text = (major, minor, patch), sqlite3.sqlite_version
    if version < _OLDEST:
        yield fail("SQLite", f"{text} is too old; 3.33 or newer is needed")
    elif has_wal_reset_fault(version):
        yield warn(
            "SQLite",
            f"{text} has the WAL-reset fault (fixed in 3.51.3, 3.50.7, 3.44.6): two "
            "writers at once may damage a file. probekit never has two; let no other "
            "tool write to the buffer",
        )
    else:
        yield ok("SQLite", f"{text}, no known fault that concerns us")


def check_database(connection: sqlite3.Connection, path: Path) -> "Iterator[Finding]":
    """The file's version, and SQLite's own look at its pages."""
    version = version_of(connection)
    if version > VERSION:
        yield fail(
            "schema",
            f"version {version} is newer than ours ({VERSION}); "
            "applications of this version leave the file alone",
        )
    else:
        yield ok("schema", f"version {version}")
    told = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if told == "ok":
        yield ok("pages", "whole")
    else:
        yield fail("pages", f"{path} is damaged: {' '.join(str(told).split())}")
