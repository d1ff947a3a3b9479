"""What a buffer says about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from probekit.model import Signal


@dataclass(frozen=True, slots=True)
class Account:
    """The books of one signal: ``recorded == delivered + stored + dropped``, always.

    Metrics are counted in measurements, events and spans in records.

    Attributes:
        recorded: All that reached the buffer, and all that is known to be lost.
        delivered: Passed by every exporter that takes this signal.
        stored: Waiting in the buffer.
        dropped: Reason → how many.
    """

    recorded: int = 0
    delivered: int = 0
    stored: int = 0
    dropped: "Mapping[str, int]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExporterStatus:
    """How far one exporter is.

    Attributes:
        name: As given to ``register``.
        delivered_through: Last window that it has passed with all before it.
        lag_windows: Windows that wait for it.
        lag_s: Age of the oldest data that waits for it, seconds; 0.0 for none.
        last_error: What went wrong last; empty when nothing has since a delivery.
        last_error_unix_ns: When.
        delivered_unix_ns: Last delivery.
        dead_letters: Records that it refused.
        refusal: Why it refused the last of them; empty without any.
    """

    name: str
    delivered_through: int = 0
    lag_windows: int = 0
    lag_s: float = 0.0
    last_error: str = ""
    last_error_unix_ns: int = 0
    delivered_unix_ns: int = 0
    dead_letters: int = 0
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class BufferStatus:
    """The buffer as it is now.

    Attributes:
        path: The file, or ``:memory:``.
        buffer_id: 32 hex digits.
        accounts: Signal → its books.
        exporters: In the order of their names.
        file_bytes: Size of the main file.
        wal_bytes: Size of the write-ahead log.
        windows: Stored windows, delivered ones included.
        oldest_age_s: Age of the oldest undelivered data, seconds; 0.0 for none.
        leader_pid: Who led last; 0 when nobody ever did.
        leader_beat_age_s: Seconds since its last heartbeat; None when never.
        dead_letters: Records refused by exporters and kept.
    """

    path: str
    buffer_id: str
    accounts: "Mapping[Signal, Account]"
    exporters: "tuple[ExporterStatus, ...]" = ()
    file_bytes: int = 0
    wal_bytes: int = 0
    windows: int = 0
    oldest_age_s: float = 0.0
    leader_pid: int = 0
    leader_beat_age_s: "float | None" = None
    dead_letters: int = 0
