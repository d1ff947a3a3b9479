"""The seams: small Protocols between the rooms, and the promises they carry.

An exporter is written against this module and the model alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from probekit.model import Batch, Harvest, Signal, Snapshot

ALL_SIGNALS: "frozenset[Signal]" = frozenset({"metrics", "events", "spans"})


@dataclass(frozen=True, slots=True)
class DeliveryContract:
    """What an exporter honestly promises.

    Attributes:
        signals: Which signals it takes; others pass its cursor untouched.
        acknowledges: True when ``send`` returns only after the far side said yes.
        idempotent: True when the far side recognises a repeated batch by its key.
        accepts_past: True when old windows may be sent; else they are skipped and
            counted once older than max_age_s.
        max_age_s: Oldest data the far side takes, seconds; None for any age.
        cumulative: True when histogram points must carry their running total too
            (sums always do): dearer to load, needed by cumulative backends.
        max_records: Most records in one batch.
        deadline_s: Longest time that one ``send`` may take, seconds.
    """

    signals: "frozenset[Signal]" = field(default=ALL_SIGNALS)
    acknowledges: bool = True
    idempotent: bool = False
    accepts_past: bool = True
    max_age_s: "float | None" = None
    cumulative: bool = False
    max_records: int = 4000
    deadline_s: float = 10.0


@runtime_checkable
class Exporter(Protocol):
    """Takes batches to one backend."""

    @property
    def contract(self) -> DeliveryContract:
        """The honest promise."""

    def send(self, batch: Batch) -> None:
        """Return when the far side has the batch.

        Args:
            batch: Holds only signals of the contract; never empty.

        Raises:
            RetryLater: Not now; the same batch comes again.
            TooLarge: Too much at once; it comes again in halves.
            Forbidden: Credentials or address are wrong; it comes again, rarely.
            Rejected: Never; the reason goes into the dead letters.

        Threads:
            The exporter's own shipping thread only; may block up to its deadline.

        """

    def close(self) -> None:
        """Let go of sockets and files; called once, from the shipping thread."""


@runtime_checkable
class Pulled(Protocol):
    """The second face of an exporter that also shows where everything stands."""

    def begin(self, snapshot: "Callable[[], Snapshot]") -> None:
        """Shipping begins: *snapshot* may be asked until ``close``.

        Must not block or raise. The callable reads the buffer and may be called from
        any thread; it raises ``BufferFailed`` when the buffer cannot be read now.
        """


class Drain(Protocol):
    """Takes what a process has recorded since the last call."""

    def __call__(self) -> Harvest:
        """Return the harvest and forget it; called by one thread at a time."""


class Journal(Protocol):
    """Where a process puts its harvests so that they survive it."""

    def append(self, harvest: Harvest, *, ship_now: bool = False) -> "tuple[str, int]":
        """Write one frame, and mark the harvest; it survives the process from then on.

        Returns:
            Where it ends: segment name and offset.

        Raises:
            OSError: The frame was not written; the harvest is still the caller's.
            BaseException: A signal's handler raised it. ``harvest.is_written`` says
                whether that was after the write.

        """

    def position(self) -> "tuple[str, int] | None":
        """Where the last frame ends; None before the first."""
