"""How this process sees its buffer: through the leader's store, or as a reader.

Every look happens under one gate, so that no connection is open while a fork happens;
a reader's connection is closed after each look.
"""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from typing import TypeVar
from urllib.parse import quote

from probekit.buffer.progress import Progress, read_progress
from probekit.buffer.reports import status_of
from probekit.buffer.snapshot import read_snapshot
from probekit.buffer.status import BufferStatus
from probekit.buffer.store import Store
from probekit.clock import SYSTEM_CLOCK
from probekit.errors import BufferFailed
from probekit.model import Snapshot
from probekit.notice import notice
from probekit.runtime.parts import Places

T = TypeVar("T")


class Outlook:
    """Reads progress and status; what :mod:`probekit.delivery.fork` closes.

    Attributes:
        gate: Held around every SQLite call of this process.
    """

    def __init__(
        self,
        places: "Places | None",
        store: "Store | None",
    ) -> None:
        """See a buffer, through *store* if this process may lead.

        Args:
            places: The buffer's files; None for a buffer in memory.
            store: The leader's, open while this process leads.

        """
        self.gate = store.gate if store is not None else threading.RLock()
        self._path = places.buffer if places else None
        self._journal = places.journal if places else None
        self._store = store

    def progress(self, segment: str, *, leads: bool) -> "Progress | None":
        """How far the buffer is; None when it cannot be read now.

        Args:
            segment: Whose offset is wanted.
            leads: Whether this process leads, so that its store is open.

        """
        if self._store is not None and (leads or self._path is None):
            try:
                return self._store.progress(segment)
            except BufferFailed:
                return None
        return self._read(lambda connection: read_progress(connection, segment))

    def status(self, *, leads: bool) -> "BufferStatus | None":
        """What the buffer says about itself; None when it cannot be read now."""
        if self._store is not None and (leads or self._path is None):
            try:
                return self._store.status()
            except BufferFailed as error:
                notice("status", f"the buffer cannot be read: {error}")
                return None
        now_ns = SYSTEM_CLOCK.wall_ns()
        return self._read(lambda found: status_of(found, self._path, now_ns))

    def snapshot(self, *, leads: bool) -> Snapshot:
        """Where every series stands.

        Raises:
            BufferFailed: The buffer cannot be read now.

        """
        if self._store is not None and (leads or self._path is None):
            return self._store.snapshot()
        found = self._read(read_snapshot)
        if found is None:
            raise BufferFailed("the buffer is not there yet, or busy")
        return found

    def covers(self, progress: Progress, segment: str, offset: int) -> bool:
        """Whether all up to *offset* of *segment* is committed, as a reader sees it."""
        if progress.offset is not None:
            return progress.offset >= offset
        # Folded to its end and removed: this process has begun another one since.
        return self._journal is not None and not (self._journal / segment).exists()

    def _read(self, ask: "Callable[[sqlite3.Connection], T]") -> "T | None":
        if self._path is None or not self._path.exists():
            return None
        uri = f"file:{quote(str(self._path))}?mode=ro"
        try:
            with (
                self.gate,
                closing(
                    sqlite3.connect(uri, uri=True, timeout=0.1, isolation_level=None),
                ) as connection,
            ):
                connection.execute("BEGIN")  # all figures of one moment
                return ask(connection)
        except sqlite3.Error:  # being made, being moved, locked: look again later
            return None

    def interrupt(self) -> None:
        """Stop what runs, before a fork."""
        if self._store is not None:
            self._store.interrupt()

    def close(self) -> None:
        """Close every connection; under the gate."""
        if self._store is not None:
            self._store.close()
