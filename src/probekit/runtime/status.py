"""What probekit says about itself in this process."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from probekit.buffer.status import Account, BufferStatus, ExporterStatus
from probekit.model import Signal


@dataclass(frozen=True, slots=True)
class Status:
    """The buffer's books and this process's part in them.

    For each signal ``recorded == delivered + stored + dropped``, over all processes
    and restarts. What waits in memory for the next write (0.2 s) is not in it yet.

    Attributes:
        service: Name of the service; empty before ``configure``.
        role: ``leader``, ``follower``, ``inline`` (no threads: the child of a raw
            fork), ``disabled``, or ``off`` before ``configure``.
        buffer: Path of the buffer, ``:memory:``, or empty.
        memory_only: Whether the buffer cannot be used and all is kept in memory.
        trouble: Why that is so, or why this process cannot lead; empty otherwise.
        pump_alive: Whether this process's pump runs.
        flush_interval_s: Between two writes of this process now, seconds; longer than
            asked for while our threads cost more than they may.
        cpu_ratio: Share of a core that our threads in this process took lately.
        overhead_level: How much is given up because they took more than they may: 0
            for nothing, 1 spans, 2 samples of stacks, 3 attribute sets, 4 the flush.
        overhead_step: Its name: ``spans``, ``stacks``, ``attributes``, ``flush``.
        recorded: Signal → records that reached the buffer or are known to be lost.
        delivered: Signal → records that every exporter has.
        stored: Signal → records that wait.
        dropped: Signal → reason → records.
        exporters: How far each exporter is, with its lag and last error.
        leader_pid: Who led last; 0 when nobody did.
        leader_beat_age_s: Seconds since its last sign of life; None when never.
        details: Everything that the buffer says; None when it cannot be read.
    """

    service: str = ""
    role: str = "off"
    buffer: str = ""
    memory_only: bool = False
    trouble: str = ""
    pump_alive: bool = False
    flush_interval_s: float = 0.0
    cpu_ratio: float = 0.0
    overhead_level: int = 0
    overhead_step: str = ""
    recorded: "Mapping[Signal, int]" = field(default_factory=dict)
    delivered: "Mapping[Signal, int]" = field(default_factory=dict)
    stored: "Mapping[Signal, int]" = field(default_factory=dict)
    dropped: "Mapping[Signal, Mapping[str, int]]" = field(default_factory=dict)
    exporters: "tuple[ExporterStatus, ...]" = ()
    leader_pid: int = 0
    leader_beat_age_s: "float | None" = None
    details: "BufferStatus | None" = None


def buffer_fields(found: "BufferStatus | None") -> "dict[str, object]":
    """The fields of a :class:`Status` that the buffer knows."""
    if found is None:
        return {}
    accounts: Mapping[Signal, Account] = found.accounts
    return {
        "recorded": {signal: each.recorded for signal, each in accounts.items()},
        "delivered": {signal: each.delivered for signal, each in accounts.items()},
        "stored": {signal: each.stored for signal, each in accounts.items()},
        "dropped": {signal: dict(each.dropped) for signal, each in accounts.items()},
        "exporters": found.exporters,
        "leader_pid": found.leader_pid,
        "leader_beat_age_s": found.leader_beat_age_s,
        "details": found,
    }
