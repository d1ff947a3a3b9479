"""The books a second time, in a small file beside the buffer: ``<buffer>.books``.

SQLite's pages have no checksums. When the buffer is damaged, deleted or replaced by an
older copy, this file says what was recorded, delivered and dropped, where each cursor
stands and how far each segment is folded: whatever cannot be found again has a number.
It is written after each commit, into one of two slots in turn; it names no record.
"""

import json
import os
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

from probekit.buffer.locks import open_private
from probekit.buffer.meta import read_meta, write_meta
from probekit.buffer.version import write_version

_LIMIT_BYTES = 16 << 20
_FORM = 2
_SLOT_BYTES = 8192  # at least
_HEAD_BYTES = 18  # checksum and length, in hex
_MOST_REFUSED = 2000  # a table as long as this is left as it is
_SMALL = {
    "meta": "SELECT key, value FROM meta ORDER BY key",
    "account": "SELECT * FROM account ORDER BY signal",
    "loss": "SELECT * FROM loss ORDER BY signal, reason",
    "cursor": "SELECT * FROM cursor ORDER BY exporter",
    "stream": "SELECT * FROM stream ORDER BY id",
    "refused": f"SELECT * FROM refused ORDER BY 1, 2, 3 LIMIT {_MOST_REFUSED}",  # noqa: S608
    "segment": "SELECT name, stream, offset FROM segment ORDER BY name",
}
STAMP = "stamp"


@dataclass(frozen=True, slots=True)
class Books:
    """The small tables of a buffer at one moment.

    Attributes:
        buffer_id: Whose they are.
        stamp: Rises with each commit of this buffer.
        tables: Table → its rows.
    """

    buffer_id: str
    stamp: int
    tables: "dict[str, list[list[Any]]]" = field(default_factory=dict)


def read(connection: sqlite3.Connection) -> Books:
    """The books as they stand in the buffer."""
    tables = {
        name: [list(row) for row in connection.execute(statement)]
        for name, statement in _SMALL.items()
    }
    facts = dict(tables["meta"])
    return Books(str(facts.get("buffer_id", "")), int(facts.get(STAMP, 0)), tables)


def stamp(connection: sqlite3.Connection) -> Books:
    """Number a commit that is about to happen; the books after it."""
    write_meta(connection, STAMP, int(read_meta(connection, STAMP, 0)) + 1)
    return read(connection)


def restore(connection: sqlite3.Connection, books: Books) -> None:
    """Let the buffer's small tables say what *books* say.

    Series of local ids are kept where they are known; where not, they are learnt from
    the segment again. Whoever folds must begin from the file: its generation rises.
    """
    known = {
        name: (ids, crc)
        for name, ids, crc in connection.execute("SELECT name, ids, crc FROM segment")
    }
    for name, rows in books.tables.items():
        if name == "refused" and len(rows) >= _MOST_REFUSED:
            continue
        connection.execute(f"DELETE FROM {name}")  # noqa: S608 - a key of _SMALL
        for row in rows:
            values = [*row, *known.get(row[0], (b"", None))]
            values = values if name == "segment" else row
            places = ",".join("?" * len(values))
            connection.execute(f"INSERT INTO {name} VALUES ({places})", values)  # noqa: S608
    write_version(connection)  # the books may be of an older one
    write_meta(connection, "commits", int(read_meta(connection, "commits", 0)) + 1)


def path_of(buffer: Path) -> Path:
    """Where the books of a buffer lie."""
    return Path(f"{buffer}.books")


def save(buffer: Path, books: Books, *, afresh: bool) -> None:
    """Write them down; what was there before stays readable until they are.

    The file has two slots, which take turns: whoever is killed in the middle of one
    leaves the other, and no file has to be made and renamed, which costs a file system
    milliseconds.

    Args:
        buffer: Whose books.
        books: What to write.
        afresh: Make a new file: what the slots hold may be another buffer's.

    Raises:
        OSError: The books stay as they were.

    """
    form = [_FORM, books.buffer_id, books.stamp, books.tables]
    body = json.dumps(form).encode()
    data = b"%08x %08x " % (crc32(body), len(body)) + body
    if afresh or not _write_slot(path_of(buffer), books.stamp % 2, data):
        _replace(path_of(buffer), books.stamp % 2, data)


def _write_slot(path: Path, slot: int, data: bytes) -> bool:
    """False when there is no file, or its slots are too small."""
    flags = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    flags |= getattr(os, "O_NONBLOCK", 0)  # a planted pipe must not hold us
    try:
        file = os.fdopen(os.open(path, flags), "wb", buffering=0)
    except OSError:
        return False
    with file:
        size_bytes = os.fstat(file.fileno()).st_size // 2
        if len(data) > size_bytes:
            return False
        file.seek(slot * size_bytes)
        return file.write(data) == len(data)


def _replace(path: Path, slot: int, data: bytes) -> None:
    size_bytes = _SLOT_BYTES
    while size_bytes < len(data) * 5 // 4:  # so that they may grow a little
        size_bytes *= 2
    newborn = Path(f"{path}.new")
    newborn.unlink(missing_ok=True)
    descriptor = open_private(newborn, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    with os.fdopen(descriptor, "wb") as file:
        file.truncate(2 * size_bytes)
        file.seek(slot * size_bytes)
        file.write(data)
    newborn.replace(path)


def load(buffer: Path) -> "Books | None":
    """What was saved last; None when there is nothing, or nothing that can be read."""
    flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    flags |= getattr(os, "O_NONBLOCK", 0)
    try:
        with os.fdopen(os.open(path_of(buffer), flags), "rb") as file:
            # A read of so many bytes would take so much memory first.
            size_bytes = os.fstat(file.fileno()).st_size
            data = file.read(min(size_bytes, _LIMIT_BYTES))
    except OSError:
        return None
    half = len(data) // 2
    found = [books for slot in (data[:half], data[half:]) if (books := _parsed(slot))]
    return max(found, key=lambda books: books.stamp, default=None)


def _parsed(slot: bytes) -> "Books | None":
    try:
        crc, size_bytes = int(slot[:8], 16), int(slot[9:17], 16)
        body = slot[_HEAD_BYTES : _HEAD_BYTES + size_bytes]
        if crc != crc32(body):
            return None
        form, buffer_id, stamped, tables = json.loads(body)
    except ValueError:
        return None
    if form != _FORM or set(tables) != set(_SMALL):
        return None
    return Books(buffer_id, stamped, tables)
