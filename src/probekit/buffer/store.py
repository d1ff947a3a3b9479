"""The only door to SQLite: windows, totals, cursors, accounts, retention."""

import threading
from collections.abc import Sequence
from pathlib import Path

from probekit.buffer.parcel import Parcel
from probekit.buffer.retention import Retention
from probekit.buffer.status import BufferStatus
from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.model import Resource
from probekit.ports import DeliveryContract


class Store:
    """One buffer file; only the leader opens it for writing.

    Every method may raise ``BufferFailed`` (``BufferBusy`` when another process holds
    the write lock, ``BufferCorrupt`` when the file is damaged) and nothing else that
    an ``except BufferFailed`` would miss; a failed call has changed nothing.

    Attributes:
        gate: Held around SQLite calls; take it before a fork.
        path: The file, or None for memory.
    """

    def __init__(
        self,
        path: "Path | None",
        *,
        clock: Clock = SYSTEM_CLOCK,
        retention: "Retention | None" = None,
        resource: "Resource | None" = None,
    ) -> None:
        """Name the file; nothing is opened yet. ``None`` keeps all in memory."""
        self.gate = threading.RLock()
        raise NotImplementedError

    @property
    def buffer_id(self) -> str:
        """32 hex digits, drawn when the buffer was made."""
        raise NotImplementedError

    def open(self) -> None:
        """Open the file, making or migrating it; harmless when it is open.

        A damaged buffer is renamed to ``<path>.corrupt-<time>`` and a new one made.

        Raises:
            BufferCorrupt: The file belongs to somebody else, or to a newer probekit.
            BufferFailed: It cannot be made, read or written; the text says why.

        """
        raise NotImplementedError

    def close(self) -> None:
        """Close all connections; the next call opens again."""
        raise NotImplementedError

    def interrupt(self) -> None:
        """Stop a running statement (before a fork); its call fails and may be tried again."""
        raise NotImplementedError

    def abandon(self) -> None:
        """In a forked child: forget everything inherited, unlocking and closing nothing."""
        raise NotImplementedError

    def register(self, exporters: Sequence[str]) -> None:
        """These exporters have cursors from now on; others' cursors are dropped.

        A new cursor starts at the oldest stored data.
        """
        raise NotImplementedError

    def next_batch(
        self,
        exporter: str,
        contract: DeliveryContract,
        *,
        limit: int,
    ) -> "Parcel | None":
        """What *exporter* is to send next; the same again until it is advanced.

        Args:
            exporter: A registered name.
            contract: Signals not in it pass; data older than its ``max_age_s`` is
                skipped and counted as ``expired``.
            limit: Most records.

        Returns:
            A parcel with at least one record, or None when nothing waits.

        """
        raise NotImplementedError

    def advance(self, exporter: str, parcel: Parcel) -> None:
        """The parcel is delivered: the cursor moves, in one transaction."""
        raise NotImplementedError

    def bury(self, exporter: str, parcel: Parcel, reason: str) -> None:
        """The parcel is refused for ever: dead letter, counted, the cursor moves."""
        raise NotImplementedError

    def note_error(self, exporter: str, text: str) -> None:
        """Keep what went wrong last, for ``status``; a delivery clears it."""
        raise NotImplementedError

    def refused(self, exporter: str, parcel: Parcel, count: int, reason: str) -> None:
        """Delivered but for *count* records that the far side refused unnamed."""
        raise NotImplementedError

    def housekeep(self, *, deadline_s: float) -> None:
        """Retention, roll-up, checkpoint, vacuum: bounded work a call."""
        raise NotImplementedError

    def beat(self, pid: int) -> None:
        """The leader's heartbeat."""
        raise NotImplementedError

    def delivered_through(self, exporter: str) -> int:
        """Last window id that the exporter has passed, events and spans included."""
        raise NotImplementedError

    def last_window(self) -> int:
        """Id of the last closed window; 0 before the first."""
        raise NotImplementedError

    def status(self) -> BufferStatus:
        """The books, the cursors, the sizes."""
        raise NotImplementedError
