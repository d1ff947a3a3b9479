"""What probekit says about itself: what it costs, and how its buffer is.

Each reading is a few dozen measurements a window, whatever their values; they are
recorded, stored and delivered like all others, and counted in the books like all
others. So they cannot feed on themselves: the books of one window tell of those before.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from probekit.observer import Observer

if TYPE_CHECKING:
    from probekit.buffer.status import BufferStatus


class Used(Protocol):
    """What has been used; see ``runtime.governor.Reading``."""

    @property
    def memory_bytes(self) -> int:
        """What waits in memory."""

    @property
    def written_bytes(self) -> int:
        """What has been written since the process began."""


class Governed(Protocol):
    """Who knows what our threads cost."""

    @property
    def level(self) -> int:
        """How many steps of the stated order are in force."""

    @property
    def cpu_ratio(self) -> float:
        """Share of a core that our threads took lately."""

    @property
    def last(self) -> Used:
        """The last reading."""

    @property
    def unsynced(self) -> "int | None":
        """Durable events that could not be synced; None where none is to be."""


class OverheadSource:
    """Says what probekit costs in this process."""

    __slots__ = ("_governor",)

    def __init__(self, governor: Governed) -> None:
        """Ask *governor*."""
        self._governor = governor

    def __call__(self, observer: Observer) -> None:
        """Say it; each series carries ``process.pid``."""
        governor, whose = self._governor, {"process.pid": os.getpid()}
        name, used = "probekit.overhead", governor.last
        observer.gauge(f"{name}.cpu.utilization", governor.cpu_ratio, whose, unit="1")
        observer.gauge(f"{name}.level", governor.level, whose, unit="{step}")
        observer.level(f"{name}.memory.usage", used.memory_bytes, whose, unit="By")
        observer.total(
            f"{name}.disk.io", used.written_bytes, whose, unit="By", since_start=True
        )
        if governor.unsynced is not None:
            observer.total(
                "probekit.durable.unsynced",
                governor.unsynced,
                whose,
                unit="{event}",
                since_start=True,
            )


class BufferSource:
    """Says how the buffer is: its books, its size, who waits; the leader's to ask.

    Give it to an observer that knows where totals stand: counters then equal the
    books over all restarts.
    """

    __slots__ = ("_status",)

    def __init__(self, status: "Callable[[], BufferStatus]") -> None:
        """Ask *status* at each reading."""
        self._status = status

    def __call__(self, observer: Observer) -> None:
        """Say it.

        Raises:
            BufferFailed: The buffer cannot be read now.

        """
        now = self._status()
        _say_books(now, observer)
        _say_exporters(now, observer)
        size_bytes = now.file_bytes + now.wal_bytes
        observer.level("probekit.buffer.bytes", size_bytes, unit="By")
        observer.gauge("probekit.buffer.oldest_age", now.oldest_age_s, unit="s")


def _say_books(now: "BufferStatus", observer: Observer) -> None:
    for signal, account in now.accounts.items():
        of = {"probekit.signal": signal}
        unit = "{record}"
        observer.total(
            "probekit.records.recorded",
            account.recorded,
            of,
            unit=unit,
            since_start=True,
        )
        observer.total(
            "probekit.records.delivered",
            account.delivered,
            of,
            unit=unit,
            since_start=True,
        )
        observer.level("probekit.buffer.size", account.stored, of, unit=unit)
        for reason, count in account.dropped.items():
            observer.total(
                "probekit.buffer.dropped",
                count,
                {**of, "reason": reason},
                unit=unit,
                since_start=True,
            )


def _say_exporters(now: "BufferStatus", observer: Observer) -> None:
    for exporter in now.exporters:
        of = {"probekit.exporter": exporter.name}
        observer.gauge("probekit.export.lag", exporter.lag_s, of, unit="s")
        observer.level(
            "probekit.export.waiting", exporter.lag_windows, of, unit="{window}"
        )
        observer.total(
            "probekit.export.refused",
            exporter.dead_letters,
            of,
            unit="{record}",
            since_start=True,
        )
        observer.gauge(
            "probekit.export.failing", bool(exporter.last_error), of, unit="1"
        )
