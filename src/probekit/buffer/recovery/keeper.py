"""Keeps a buffer in step with its second books, whatever happened to the file.

A new file in a damaged one's place goes on under the same name, with the same numbers,
and takes in what can be salvaged; what cannot is dropped with a number. An older copy
of the buffer is brought up to date the same way.
"""

import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path

from probekit.buffer.accounts import CORRUPT, TABLE
from probekit.buffer.meta import read_meta, write_meta
from probekit.buffer.places import cut_aside, drop_log
from probekit.buffer.recovery import copybook, mending, salvage, standing
from probekit.buffer.recovery.copybook import Books
from probekit.buffer.totals import Total
from probekit.errors import BufferCorrupt
from probekit.notice import notice

LOST = "lost"
_PENDING = "salvage"  # in meta: the damaged file that nobody has read yet


class Keeper:
    """The second books of one buffer file; does nothing for a buffer in memory.

    Threads:
        Under the store's gate and write lock.
    """

    def __init__(self, path: "Path | None") -> None:
        """Name the buffer; nothing is read yet."""
        self._path = path
        self._books: Books | None = None
        self._saving = threading.Lock()
        self._done: Path | None = None

    def begin(self, connection: sqlite3.Connection, kept: "Path | None") -> None:
        """Compare a file that was just opened with the books.

        Args:
            connection: In a write transaction.
            kept: A damaged file that was set aside just now.

        """
        if self._path is None:
            return
        if kept is not None:
            write_meta(connection, _PENDING, kept.name)
        books = self._newest(kept)
        if books is None or not _is_behind(connection, books):
            return
        pending = read_meta(connection, _PENDING)
        copybook.restore(connection, books)
        if pending is not None:
            write_meta(connection, _PENDING, pending)
            return
        missing = mending.settle(connection, LOST)
        notice(
            "buffer-older",
            f"{self._path} was deleted, or is an older copy of itself; what it does "
            f"not hold any more is counted as lost: {_shown(missing)}",
        )

    def _newest(self, kept: "Path | None") -> "Books | None":
        assert self._path is not None  # noqa: S101 - begin has looked
        found = self._books or copybook.load(self._path)
        if kept is None:
            return found
        written = salvage.read_books(kept)
        if found is None:
            return written
        # A process that was killed between its commit and its second books.
        newer = written and _is_same(written, found) and written.stamp > found.stamp
        return written if newer else found

    def salvage(self, connection: sqlite3.Connection) -> bool:
        """Take in what can be read of a damaged file that was set aside, if any."""
        name = None if self._path is None else read_meta(connection, _PENDING)
        if self._path is None or name is None:
            return False
        self._done = self._path.with_name(str(name))
        salvage.copy_rows(self._done, connection)
        connection.execute("DELETE FROM meta WHERE key = ?", (_PENDING,))
        for signal, (table, number) in TABLE.items():
            connection.execute(
                f"UPDATE account SET last = max(last, coalesce((SELECT max({number}) "  # noqa: S608
                f"FROM {table}), 0)) WHERE signal = ?",
                (signal,),
            )
        missing = mending.settle(connection, CORRUPT)
        self._tell(standing.restore(connection, {}))
        notice("buffer-salvaged", f"of {self._done} is lost: {_shown(missing)}")
        return True

    def mend(
        self,
        connection: sqlite3.Connection,
        remembered: "Mapping[int, Total]",
    ) -> bool:
        """The file is sound and a row is not: drop such rows, with a number.

        Running totals are set right instead.

        Args:
            connection: In a write transaction.
            remembered: Totals that are still in memory, by series.

        Returns:
            Whether there was such a row.

        Raises:
            BufferCorrupt: The file is less sound than it seems.

        """
        rows, left = mending.sweep(connection)
        if left:
            raise BufferCorrupt(f"{self._path or ':memory:'} has rows out of place")
        missing = mending.settle(connection, CORRUPT)
        restored = standing.restore(connection, remembered)
        if rows or missing:
            notice(
                "buffer-rows",
                f"{rows} rows of {self._path or ':memory:'} were not what was "
                f"written; lost: {_shown(missing)}",
            )
        return bool(rows or missing or self._tell(restored))

    def _tell(self, restored: "standing.Restored") -> bool:
        if restored:
            notice(
                "buffer-totals",
                f"{restored.exact + restored.anew} running totals of "
                f"{self._path or ':memory:'} were not what was written; "
                f"{restored.anew} of them begin with what is still stored",
            )
        return bool(restored)

    def note(self, connection: sqlite3.Connection) -> "Books | None":
        """The books of a transaction that is about to be committed."""
        return None if self._path is None else copybook.stamp(connection)

    def save(self, books: "Books | None") -> None:
        """The transaction is committed; any thread, without the gate."""
        if self._path is None or books is None:
            return
        with self._saving:
            newer, self._books = self._books, books
            is_same = newer is not None and _is_same(newer, books)
            if newer and is_same and newer.stamp >= books.stamp:
                self._books = newer
                return  # another thread's commit came later and was quicker here
            try:
                copybook.save(self._path, books, afresh=not is_same)
                if self._done is not None and not _is_pending(books):
                    salvaged, self._done = self._done, None
                    drop_log(salvaged)
                    cut_aside(salvaged)
            except OSError as error:  # a full disk; the buffer itself knows better
                notice("buffer-books", f"{copybook.path_of(self._path)}: {error}")

    def forget(self) -> None:
        """In a forked child: what the parent knows grows old."""
        self._saving = threading.Lock()
        self._books = None


def _is_pending(books: Books) -> bool:
    return any(key == _PENDING for key, _ in books.tables["meta"])


def _is_same(one: Books, other: Books) -> bool:
    return one.buffer_id == other.buffer_id


def _is_behind(connection: sqlite3.Connection, books: Books) -> bool:
    """Whether the file knows less than *books*, or says something else."""
    found = copybook.read(connection)
    if not found.buffer_id:
        return True
    if found.buffer_id != books.buffer_id or found.stamp > books.stamp:
        return False
    return found.tables != books.tables


def _shown(missing: "dict[str, int]") -> str:
    lost = [f"{count:,} {signal}" for signal, count in missing.items() if count > 0]
    return ", ".join(lost) or "nothing"
