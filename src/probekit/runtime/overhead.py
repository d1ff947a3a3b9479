"""The governor of one process: what it reads, what it may give up, whom it tells."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.delivery.meter import CpuMeter
from probekit.model import SEVERITY_INFO, SEVERITY_WARN, AttributeValue, Event
from probekit.notice import notice
from probekit.runtime.governor import Budget, Governor, Move, Reading
from probekit.runtime.savings import savings_of

if TYPE_CHECKING:
    from probekit.buffer.journal.memory_journal import MemoryJournal
    from probekit.buffer.journal.segments import SegmentWriter
    from probekit.delivery.pump import Pump
    from probekit.recording.registry import Registry
    from probekit.settings import Settings

EVENT = "probekit.governor"


class Overhead:
    """What probekit costs in this process, kept within the settings' budget.

    Attributes:
        meter: Add up here what threads of ours cost.
        unsynced: Durable events that were written and could not be synced; None
            where nobody asked for that.

    Threads:
        The pump's; attributes may be read by any.
    """

    def __init__(
        self,
        settings: "Settings",
        registry: "Registry",
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Begin without anything to govern."""
        self.meter = CpuMeter()
        self.unsynced = 0 if settings.sync_durable else None
        self._budget = Budget(
            settings.limits.cpu_ratio,
            settings.limits.memory_bytes,
            settings.limits.disk_bytes_per_s,
        )
        self._registry = registry
        self._clock = clock
        self._governor: Governor | None = None

    def restart(self) -> None:
        """Begin anew: in a forked child, which has used nothing yet."""
        self.release()
        self.meter = CpuMeter()
        self.unsynced = self.unsynced and 0

    def govern(
        self, pump: "Pump", journal: "Callable[[], SegmentWriter | MemoryJournal]"
    ) -> None:
        """Govern this process's *pump*; *journal* says where it writes now."""
        meter = self.meter

        def read() -> Reading:
            return Reading(meter.total_s(), pump.waiting_bytes, journal().written_bytes)

        savings = savings_of(self._registry, pump)
        self._governor = Governor(
            self._budget, savings, read, self._tell, clock=self._clock
        )

    def missed_sync(self) -> None:
        """Count a durable event that could not be synced; one thread at a time."""
        self.unsynced = (self.unsynced or 0) + 1

    def turn(self) -> None:
        """Look, if it is time."""
        if self._governor is not None:
            self._governor.turn()

    def release(self) -> None:
        """Take everything back that was given up."""
        governor, self._governor = self._governor, None
        if governor is not None:
            governor.release()

    @property
    def level(self) -> int:
        """Place of the last step in the stated order, from 1; 0 for none."""
        return self._governor.level if self._governor else 0

    @property
    def step(self) -> str:
        """What was given up last; empty for nothing."""
        return self._governor.step if self._governor else ""

    @property
    def cpu_ratio(self) -> float:
        """Share of a core that our threads took lately."""
        return self._governor.cpu_ratio if self._governor else 0.0

    @property
    def last(self) -> Reading:
        """What was read last."""
        return self._governor.last if self._governor else Reading()

    def _tell(self, move: Move) -> None:
        down = move.direction == "down"
        attributes: dict[str, AttributeValue] = {
            "probekit.overhead.step": move.saving,
            "probekit.overhead.direction": move.direction,
            "probekit.overhead.level": move.level,
            "probekit.overhead.cause": move.cause,
            "probekit.overhead.used": round(move.used_ratio, 3),
        }
        # Not by the public way: this thread of ours is silenced.
        self._registry.events.put(
            Event(
                self._clock.wall_ns(),
                EVENT,
                attributes,
                SEVERITY_WARN if down else SEVERITY_INFO,
            )
        )
        what = "records less" if down else "records more again"
        notice(
            f"governor {move.direction} {move.saving}",
            f"probekit {what} ({move.saving}): its {move.cause} use is at "
            f"{move.used_ratio:.0%} of its budget",
        )
