"""Keeping the files small: the log into the main file, free pages back to the disk."""

import sqlite3
from contextlib import suppress
from pathlib import Path

_TRUNCATE_BYTES = 1 << 20
_VACUUM_PAGES = 500
_WORTH_PAGES = 50  # fewer free pages are left for the next rows


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of all pages that hold something."""
    pages, free, size_bytes = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size_bytes)


def size_on_disk(path: Path) -> int:
    """Of the file and its log, as the disk has them."""
    sizes = 0
    for each in (path, Path(f"{path}-wal")):
        with suppress(FileNotFoundError):
            sizes += each.stat().st_size
    return sizes


def checkpoint(connection: sqlite3.Connection, path: Path) -> bool:
    """Move the log into the file, give free pages back, cut a long log.

    Readers are never waited for: what they still need stays in the log.

    Returns:
        Whether everything committed is in the file by now, and the file on the disk.

    """
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    if free > _WORTH_PAGES:
        # By execute() this would free one single page.
        connection.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
    row = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    is_done = row[0] == 0 and row[1] == row[2]
    log = Path(f"{path}-wal")
    if is_done and log.exists() and log.stat().st_size > _TRUNCATE_BYTES:
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.execute("PRAGMA busy_timeout = 100")
    return bool(is_done)
