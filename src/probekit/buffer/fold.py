"""The leader's open windows: frames of all segments, folded exactly once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from probekit.buffer.segments import MemoryJournal
from probekit.buffer.store import Store
from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.model import Harvest, Window


@dataclass(frozen=True, slots=True)
class FoldState:
    """What one reading found.

    Attributes:
        ship_now: A frame that is not yet committed asks to be shipped at once.
        records_waiting: Records folded and not yet committed.
        closed: Windows were closed early because memory would have grown too much.
    """

    ship_now: bool = False
    records_waiting: int = 0
    closed: bool = False


class Fold:
    """Folds frames into open windows and commits them with the offsets.

    Threads:
        The leader's only. Make it after the leader's lock is taken; it continues at
        the offsets that were committed last.
    """

    def __init__(
        self,
        store: Store,
        directory: "Path | MemoryJournal",
        *,
        interval_s: float = 10.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Begin an open window now.

        Args:
            store: Where windows go.
            directory: Where segments lie, or the queue of a buffer in memory.
            interval_s: Width of a window, seconds.
            clock: Where time comes from.

        """
        raise NotImplementedError

    def read(self) -> FoldState:
        """Fold every frame that was written since the last reading."""
        raise NotImplementedError

    def close(self) -> int:
        """Commit open windows, points, totals and offsets in ONE transaction.

        Returns:
            Id of the last window; the same as before when nothing was waiting.

        Raises:
            BufferFailed: Nothing was committed; all stays open, call again.

        """
        raise NotImplementedError

    def add(self, harvest: Harvest) -> None:
        """Fold the leader's own records (host figures), which have no segment."""
        raise NotImplementedError

    def live(self) -> Sequence[Window]:
        """The open windows as if they were closed now, ids 0."""
        raise NotImplementedError

    def covers(self, segment: str, offset: int) -> bool:
        """Whether all up to *offset* of *segment* is committed."""
        raise NotImplementedError
