"""Transactions of one buffer: prepared, watched for damage, entered into both books."""

import os
import sqlite3
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from probekit.buffer import cursors
from probekit.buffer.database import Database
from probekit.buffer.meta import BEGAN, keep_resource, read_meta, write_meta
from probekit.buffer.recovery.keeper import Keeper
from probekit.buffer.totals import Totals
from probekit.buffer.trouble import NotOurs
from probekit.clock import Clock
from probekit.errors import BufferCorrupt
from probekit.model import Resource

_TRIES = 3
_CHECK_SHARE = 20  # of the time at most a twentieth is spent looking for damage
# What reading a damaged row may raise: it is anything but what was written.
_ODD = (
    *(TypeError, ValueError, LookupError),
    *(AttributeError, ArithmeticError, struct.error),
)


class Session:
    """What :class:`~probekit.buffer.store.Store` does its work in.

    Attributes:
        path: The buffer file; None for a buffer in memory.
    """

    def __init__(
        self,
        path: "Path | None",
        *,
        clock: Clock,
        resource: "Resource | None",
    ) -> None:
        """Name the file; nothing is opened yet."""
        self.path = path
        self._clock = clock
        self._resource = resource
        self._database = Database(path)
        self._keeper = Keeper(self._database.path)
        self._totals = Totals()
        self._prepared = -1
        self._suspect: BufferCorrupt | None = None
        self._strikes = 0
        self._check_due_s = float("-inf")
        self._buffer_id = ""
        self._exporters: Sequence[str] | None = None

    def _open(self) -> None:
        for _ in range(_TRIES - 1):
            if self._try_open():
                return
        self._database.open()
        with self._writing():
            return

    def _try_open(self) -> bool:
        """False when there are rows that nobody wrote: the next try mends them."""
        try:
            self._database.open()
            with self._writing():
                return True
        except NotOurs:
            raise
        except BufferCorrupt:
            return False

    @contextmanager
    def _reading(self) -> "Iterator[sqlite3.Connection]":
        with self._watching():
            if not self._is_prepared():
                with self._writing():
                    pass
            with self._database.reading() as connection:
                yield connection

    @contextmanager
    def _writing(self) -> "Iterator[sqlite3.Connection]":
        with self._watching():
            books, prepared = None, self._prepared
            try:
                with self._database.writing() as connection:
                    before = connection.total_changes
                    if not self._is_prepared():
                        self._prepare(connection)
                    yield connection
                    if connection.total_changes != before:
                        books = self._keeper.note(connection)
            except BaseException:
                if self._prepared != prepared:
                    self._prepared = -1  # rolled back with the rest
                raise
            self._database.kept = None
            self._keeper.save(books)

    @contextmanager
    def _watching(self) -> "Iterator[None]":
        """Check the file before the next use once something was found damaged."""
        if self._suspect and time.monotonic() >= self._check_due_s:
            self._check(self._suspect)
        try:
            yield
        except BufferCorrupt as error:
            self._suspect = error
            raise
        except _ODD as error:
            self._suspect = BufferCorrupt(f"{self.path} cannot be read: {error!r}")
            raise self._suspect from error

    def _check(self, error: BufferCorrupt) -> None:
        """Look for damage; what is damaged goes, with a number.

        SQLite may stumble over what its own check does not see: then it is right when
        it says so for the second time.
        """
        began_s = time.monotonic()
        self._suspect = None
        by_sqlite = isinstance(error.__cause__, sqlite3.Error)
        self._strikes = self._strikes + 1 if by_sqlite else 0
        try:
            if (
                not self._database.check(error if self._strikes > 1 else None)
                or self._mend()
            ):
                self._strikes = 0
        except NotOurs:
            raise
        except BufferCorrupt as found:
            self._database.check(found)
        finally:
            now_s = time.monotonic()
            self._check_due_s = now_s + _CHECK_SHARE * (now_s - began_s)

    def _mend(self) -> bool:
        """Whether anything was wrong."""
        remembered = self._totals.remembered()
        self._totals.forget()
        self._prepared = -1
        with self._database.writing() as connection:
            found = self._keeper.mend(connection, remembered)
            books = self._keeper.note(connection)
        self._keeper.save(books)
        return found

    def _is_prepared(self) -> bool:
        return self._database.is_open and self._prepared == self._database.opened

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Once for each connection: identity, resource, the table of series."""
        self._keeper.begin(connection, self._database.kept)
        if self._exporters is not None:  # otherwise whoever takes office will
            self._keeper.salvage(connection)
            # Made anew under a leader: who was served before is served on.
            cursors.register(connection, self._exporters)
        found = read_meta(connection, "buffer_id")
        if found is None:
            found = os.urandom(16).hex()
            write_meta(connection, "buffer_id", found)
            write_meta(connection, BEGAN, self._clock.wall_ns())
        if self._resource is not None:
            keep_resource(connection, self._resource, self._clock.wall_ns())
        self._totals.load(connection, self._database.opened)
        self._buffer_id = str(found)
        self._prepared = self._database.opened

    def _salvage(self, connection: sqlite3.Connection) -> None:
        """Take in what is left of a damaged file, before anybody is served."""
        if self._keeper.salvage(connection):
            self._totals.forget()
            self._totals.load(connection, self._database.opened)
            self._buffer_id = str(read_meta(connection, "buffer_id"))
