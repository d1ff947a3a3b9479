"""What can be wrong with a buffer, told apart by what helps: wait, mend, leave."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from probekit.errors import BufferBusy, BufferCorrupt, BufferFailed


class NotOurs(BufferCorrupt):
    """A sound file that we must leave alone."""


class DiskFails(BufferFailed):
    """Disk or memory refuse, perhaps only for now: worth another try."""


# Errors of the system that pass: a full disk, a worn one, too few descriptors.
_PASSING = frozenset(
    getattr(errno, name)
    for name in ("EIO", "ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "EINTR", "ENOMEM")
    if hasattr(errno, name)
)


def may_pass(error: Exception) -> bool:
    """Whether what failed may work in a moment."""
    return isinstance(error, DiskFails) or (
        isinstance(error, OSError) and error.errno in _PASSING
    )


class FilesLost(BufferFailed):
    """The host closed our descriptors: this process never opens the buffer again."""


# What SQLite says when a page is not what it was; our own statements are right.
_DAMAGE = ("not a database", "malformed", "decode to UTF-8", "no such table")


@contextmanager
def translated(path: "Path | None") -> "Iterator[None]":
    """Turn what SQLite and the system refuse into errors that name the file."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        where = path or ":memory:"
        if any(words in text for words in _DAMAGE):
            raise BufferCorrupt(f"{where} is no readable buffer: {text}") from error
        if "locked" in text or "busy" in text:
            raise BufferBusy(f"{where} is locked by another process") from error
        if "interrupted" in text:
            raise BufferBusy(f"{where}: interrupted by a fork") from error
        if "disk I/O" in text or "disk is full" in text or _is_out_of_reach(path, text):
            raise DiskFails(f"{where}: {text}") from error
        raise BufferFailed(f"{where}: {text}") from error
    except MemoryError as error:  # SQLite's own word for it too
        raise DiskFails(f"{path or ':memory:'}: there is no memory left") from error


def _is_out_of_reach(path: "Path | None", text: str) -> bool:
    """Whether a file that we may open cannot be opened now."""
    if "unable to open" not in text or path is None:
        return False
    return os.access(path, os.R_OK | os.W_OK) and os.access(path.parent, os.W_OK)
