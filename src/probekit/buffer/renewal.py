"""A fresh file for a buffer whose log a reader holds: the reader keeps the old one.

SQLite's log cannot be cut while somebody reads an old state of the file, for minutes or
for ever. Rather than let it grow without bound, all is copied into a new file that
takes the old one's name. The reader goes on reading what it has open, and its disk
space is free once it closes.

A crash at any point leaves either the old file with its log or a whole copy: the copy
gets its second name when it is complete and synced, the log goes next, and the copy
takes the buffer's name last. :func:`finish` puts right what was left in between.
"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from probekit.buffer.locks import open_private


def copy(connection: sqlite3.Connection, path: Path) -> None:
    """Copy everything into a file beside, without free pages, and sync it.

    Raises:
        OSError: There is no room, or it cannot be made; nothing has changed.
        sqlite3.Error: Likewise, or a fork interrupted it.

    """
    part = Path(f"{path}.part")
    part.unlink(missing_ok=True)
    os.close(open_private(part, os.O_RDWR | os.O_CREAT | os.O_EXCL))
    try:
        connection.execute("VACUUM INTO ?", (str(part),))
        descriptor = os.open(part, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        part.rename(_fresh(path))
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def take_over(path: Path) -> None:
    """Let the copy take the buffer's name; no connection of ours may be open.

    Raises:
        OSError: A step failed; :func:`finish` goes on from there.

    """
    # With the old log beside it the new file would be read as the old one.
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    _fresh(path).rename(path)


def finish(path: Path) -> None:
    """After a crash: go on where the log is gone, else forget the copy.

    Raises:
        OSError: The disk refuses.

    Threads:
        Under the write lock, before a connection is made.
    """
    Path(f"{path}.part").unlink(missing_ok=True)
    if not _fresh(path).exists():
        return
    log = Path(f"{path}-wal")
    # Who only looked has left an empty log; who led has written into the old file.
    if log.exists() and log.stat().st_size:
        _fresh(path).unlink()
    else:
        take_over(path)


def _fresh(path: Path) -> Path:
    return Path(f"{path}.fresh")
