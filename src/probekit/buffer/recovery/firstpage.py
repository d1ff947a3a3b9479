"""A damaged file whose first page is gone, read through the first page of a new one.

Every buffer is made by the same statements, so the first page (the header and the root
of the schema) is the same in each but for a few counters. Where it is not, as in a
file of an older version, rows fail their checksums and nothing wrong is read.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from probekit.buffer import schema
from probekit.buffer.locks import open_private
from probekit.buffer.places import drop_log

_PAGE = 4096
_MOST_BYTES = 256 << 20


@contextmanager
def readable(kept: Path) -> "Iterator[Path]":
    """A file to read *kept* from: itself, or a copy with a new first page.

    Raises:
        OSError: There is no room for the copy.

    """
    if _has_schema(kept) or kept.stat().st_size > _MOST_BYTES:
        yield kept
        return
    copy, model = Path(f"{kept}.copy"), Path(f"{kept}.model")
    try:
        _copy(kept, copy)
        _write(copy, _first_page(model, kept.stat().st_size))
        yield copy
    finally:
        for path in (copy, model):
            drop_log(path)
            path.unlink(missing_ok=True)


def _has_schema(kept: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{kept.as_uri()}?mode=ro", uri=True)) as found:
            tables = found.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return bool(tables[0])
    except sqlite3.Error:
        return False


def _copy(kept: Path, copy: Path) -> None:
    for end in ("", "-wal"):
        source, target = Path(f"{kept}{end}"), Path(f"{copy}{end}")
        if source.exists():
            target.unlink(missing_ok=True)
            os.close(open_private(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            shutil.copyfile(source, target)


def _first_page(model: Path, size_bytes: int) -> bytes:
    """As of a new buffer, for a file of so many bytes."""
    model.unlink(missing_ok=True)
    os.close(open_private(model, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    with closing(sqlite3.connect(model, isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.executescript(schema.script())
    page = bytearray(model.read_bytes()[:_PAGE])
    page[28:32] = (size_bytes // _PAGE).to_bytes(4, "big")
    page[32:40] = bytes(8)  # no list of free pages: nothing is written here
    page[92:96] = page[24:28]  # the size above holds for this change counter
    return bytes(page)


def _write(copy: Path, page: bytes) -> None:
    with copy.open("r+b") as file:
        file.write(page)
