"""The connection: opened with every pragma checked, closed before a fork, guarded.

Every SQLite call of this process happens under the gate; every write transaction also
under the flock on ``<buffer>.write``, which other processes' tools take too. Errors of
SQLite leave here as :class:`~probekit.errors.BufferFailed`.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from probekit.buffer import renewal, schema
from probekit.buffer.descriptors import leak, open_on
from probekit.buffer.locks import FileLock, open_private
from probekit.buffer.places import create_file, set_aside, unsuitable_filesystem
from probekit.buffer.pragmas import set_pragmas, upgrade
from probekit.buffer.trouble import (
    DiskFails,
    FilesLost,
    NotOurs,
    may_pass,
    translated,
)
from probekit.buffer.version import is_said_twice, version_of
from probekit.descriptor import Held
from probekit.errors import BufferBusy, BufferCorrupt, BufferFailed
from probekit.notice import notice

_WRITE_LOCK_WAIT_S = 2.0
MARK = b"probekit buffer\n"


class Database:
    """One connection to one buffer file, or to memory.

    Attributes:
        gate: Held around SQLite calls, never while waiting for the write lock.
        path: The file, or None for memory.
        opened: How often a connection was made; caches of another one are stale.
        kept: The damaged file that was set aside last, until somebody has salvaged it.
    """

    def __init__(self, path: "Path | None") -> None:
        """Name the file; nothing is opened yet."""
        self.gate = threading.RLock()
        self.path = path.absolute() if path is not None else None
        self.opened = 0
        self.kept: Path | None = None
        self._writer = threading.RLock()
        self._lock = FileLock(Path(f"{self.path}.write")) if path is not None else None
        self._connection: sqlite3.Connection | None = None
        self._pid = os.getpid()
        self._file: tuple[int, int] | None = None
        self._descriptors: frozenset[Held] = frozenset()
        self._lost = False
        self._stop = False
        self._writing = False

    def interrupt(self) -> None:
        """Stop what runs; called without the gate, before a fork."""
        self._stop = True
        connection = self._connection
        if connection is not None and self._pid == os.getpid():
            try:
                connection.interrupt()
            except sqlite3.ProgrammingError:  # closed meanwhile: as quiet as can be
                return

    def close(self, *, memory: bool = False) -> None:
        """Close the connection; a database in memory only when *memory* says so."""
        with self.gate:
            if self._pid != os.getpid() or (self.path is None and not memory):
                return
            if self._are_lost():
                return
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()
        # Closed under a thread that waits for it, its number might be anybody's.
        if self._lock is not None and self._writer.acquire(blocking=False):
            if not self._writing:
                self._lock.close()
            self._writer.release()

    def abandon(self) -> None:
        """In a forked child: touch nothing inherited, and never again."""
        inherited, self._connection = self._connection, None
        if inherited is not None:
            leak(inherited)
        self.gate = threading.RLock()
        self._writer = threading.RLock()
        self._pid = os.getpid()
        self._writing = False
        if self._lock is not None:
            self._lock.abandon()

    @contextmanager
    def reading(self) -> "Iterator[sqlite3.Connection]":
        """The connection under the gate, for reads."""
        with self.gate, translated(self.path):
            yield self._connect()

    @contextmanager
    def writing(self) -> "Iterator[sqlite3.Connection]":
        """A write transaction: committed at the end, rolled back on any error.

        Raises:
            BufferBusy: Another process holds the write lock too long.
            BufferFailed: SQLite refused; nothing was changed.

        """
        with self._writer, self._write_lock(), self.gate, translated(self.path):
            self._stop = False
            if self.was_replaced():
                notice("buffer-replaced", f"{self.path} was removed; a new one is made")
                self._drop_connection()
            connection = self._connect()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                if self._stop:
                    raise BufferBusy(f"{self.path}: interrupted by a fork")
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def quiet(self) -> "Iterator[sqlite3.Connection]":
        """The connection outside a transaction, write lock held: for checkpoints."""
        with self._writer, self._write_lock(), self.gate, translated(self.path):
            yield self._connect()

    def renew(self) -> None:
        """Go on in a copy of the file; readers of the old one keep that.

        Raises:
            BufferFailed: Nothing has changed, or the next opening finishes it.

        """
        with self._writer, self._write_lock(), self.gate, translated(self.path):
            path = self.path
            if path is None or self.was_replaced():
                return
            try:
                renewal.copy(self._connect(), path)
                self._drop_connection()
                renewal.take_over(path)
            except OSError as error:
                raise DiskFails(f"{path} cannot be copied: {error}") from error

    def check_stop(self) -> None:
        """Between two statements of a long transaction: give way to a fork."""
        if self._stop:
            raise BufferBusy(f"{self.path}: interrupted by a fork")

    def was_replaced(self) -> bool:
        """Whether the path is another file than the open one (or none)."""
        if self.path is None or self._connection is None:
            return False
        return self._file != _identity(self.path)

    def open(self) -> None:
        """Open the file; make it when it is not there; set a damaged one aside."""
        if self.path is not None:
            reason = unsuitable_filesystem(self.path)
            if reason:
                raise BufferFailed(f"the buffer {self.path} cannot lie on {reason}")
            self._make()
        with self._writer, self._write_lock(), self.gate:
            if self.was_replaced():
                self._drop_connection()
            try:
                with translated(self.path):
                    self._connect()
            except BufferCorrupt as error:
                self._recover(error)

    def _recover(self, error: BufferCorrupt) -> None:
        self._drop_connection()
        path = self.path
        if path is None or isinstance(error, NotOurs):
            raise error
        if not self._is_marked():
            raise NotOurs(str(error)) from error
        try:
            kept = self.kept = set_aside(path)
            self._make()
            with translated(path):
                self._connect()
        except OSError as failure:
            raise BufferFailed(f"{path} is damaged and stays: {failure}") from error
        notice("buffer-corrupt", f"{error}; kept as {kept}, a new buffer was made")

    @property
    def is_open(self) -> bool:
        """Whether there is a connection of this process."""
        return self._connection is not None and self._pid == os.getpid()

    def check(self, damage: "BufferCorrupt | None" = None) -> bool:
        """After damage was found: check the file, set it aside when it is so.

        Args:
            damage: What is known to be wrong already.

        Returns:
            Whether the file itself is sound, so that the damage is in its rows.

        """
        opened = self.opened
        with self._writer, self._write_lock(), self.gate:
            try:
                if damage is not None:
                    raise damage
                with translated(self.path):
                    row = self._connect().execute("PRAGMA quick_check(1)").fetchone()
                if row[0] != "ok":
                    raise BufferCorrupt(f"{self.path} is damaged: {row[0][:200]}")
            except BufferCorrupt as error:
                self._recover(error)
                return False
        return opened in {0, self.opened}

    def _is_marked(self) -> bool:
        """Whether we made this buffer: its write lock's file says so."""
        if self._lock is None:
            return False
        try:
            return self._lock.path.read_bytes().startswith(MARK)
        except OSError:
            return False

    def _make(self) -> None:
        """Make the file, private, and mark its lock file as a buffer's."""
        if self.path is None or self._lock is None:
            return
        try:
            create_file(self.path)
        except OSError as error:
            why = error.strerror or str(error)
            text = f"the buffer {self.path} cannot be made: {why}"
            raise (DiskFails if may_pass(error) else BufferFailed)(text) from error

    def _connect(self) -> sqlite3.Connection:
        if self._pid != os.getpid():
            raise BufferFailed("this connection belongs to the parent process")
        if self._are_lost():
            raise FilesLost(
                f"the host closed the descriptors of {self.path}; this process only "
                "appends to its segment from now on",
            )
        if self._connection is not None:
            return self._connection
        if self.path is not None and self._writing:
            renewal.finish(self.path)
        if self.path is not None and not self.path.exists():
            self._make()
        # Those of other connections in this process may be closed at any time.
        before = open_on(self._files())
        connection = sqlite3.connect(
            ":memory:" if self.path is None else self.path,
            timeout=0.1,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        if self.path is not None:
            self._file = _identity(self.path)
            self._descriptors = open_on(self._files()) - before
        self._connection = connection
        self.opened += 1
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        ours = connection.execute("PRAGMA application_id").fetchone()[0]
        version = version_of(connection)
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        fresh = not ours and not version and not tables
        # SQLite takes a file shorter than a page for an empty database.
        stub = fresh and self._has_content() and not _pages(connection)
        if stub or (ours == schema.APPLICATION_ID and not tables):
            raise BufferCorrupt(f"{self.path} is no readable buffer: it was cut")
        if not fresh and ours != schema.APPLICATION_ID:
            if _has_our_tables(connection):
                raise BufferCorrupt(f"{self.path} does not say that it is a buffer")
            raise NotOurs(f"{self.path} is a database of somebody else's")
        if version > schema.VERSION:
            raise NotOurs(
                f"{self.path} was made by a newer probekit (schema {version}, "
                f"this one knows {schema.VERSION}); it is left alone",
            )
        if fresh:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        elif not is_said_twice(connection):
            upgrade(connection)
        set_pragmas(connection, memory=self.path is None)
        if fresh:
            connection.executescript(schema.script())
            self._mark()

    def _has_content(self) -> bool:
        return self.path is not None and self.path.stat().st_size > 0

    def _mark(self) -> None:
        if self._lock is None:
            return
        descriptor = open_private(self._lock.path, os.O_WRONLY | os.O_CREAT)
        with os.fdopen(descriptor, "wb") as file:
            file.write(MARK)

    def _files(self) -> "list[str]":
        """What SQLite keeps open."""
        return (
            [f"{self.path}{end}" for end in ("", "-wal", "-shm")] if self.path else []
        )

    def _are_lost(self) -> bool:
        """Whether SQLite's descriptors are closed or another file's by now.

        SQLite would write into that file, and its shared memory cannot be opened anew
        while the old connection lives: leave it, and never come back.
        """
        connection = self._connection
        if connection is not None and not all(
            held.is_ours() for held in self._descriptors
        ):
            self._lost, self._connection = True, None
            leak(connection)
        return self._lost

    def _drop_connection(self) -> None:
        if self._are_lost():
            return
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:  # a damaged file may not even close well
                return

    @contextmanager
    def _write_lock(self) -> "Iterator[None]":
        if self._lock is None or self._writing:
            yield
            return
        try:
            held = self._lock.acquire(_WRITE_LOCK_WAIT_S)
        except OSError as error:
            text = f"cannot lock {self._lock.path}: {error.strerror or error}"
            raise (DiskFails if may_pass(error) else BufferFailed)(text) from error
        if not held:
            raise BufferBusy(f"{self._lock.path} is held by another process")
        self._writing = True
        try:
            yield
        finally:
            self._writing = False
            self._lock.release()


def _has_our_tables(connection: sqlite3.Connection) -> bool:
    found = "SELECT count(*) FROM sqlite_master WHERE name IN ('account', 'cursor')"
    return bool(connection.execute(found).fetchone()[0] == 2)  # noqa: PLR2004 - both


def _pages(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA page_count").fetchone()[0])


def _identity(path: Path) -> "tuple[int, int] | None":
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
