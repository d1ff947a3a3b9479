"""The way back from memory to the file, once the file can be used after all.

A path that may not be written, a missing folder on a read-only disk, somebody else's
file in the place: all of these are put right by people, while the process runs on. A
look costs a few ``stat`` calls, a try opens the buffer and leaves nothing open.
"""

import os
import stat
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from probekit.buffer.journal.memory_journal import MemoryJournal
from probekit.buffer.journal.segments import SegmentWriter
from probekit.buffer.recovery.remains import Aged, remains
from probekit.buffer.trouble import NotOurs
from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.errors import BufferFailed

if TYPE_CHECKING:
    from probekit.buffer.store import Store
    from probekit.runtime.crew import Crew
    from probekit.settings import Settings

LOOK_S = 5.0  # between two looks
_TRY_S = 30.0  # between two tries while nothing seems to have changed
_DELIVER_S = 12.0  # for sends under way: what they deliver is not written

_View: TypeAlias = "tuple[object, ...]"


class Homecoming:
    """Looks whether the file can be used, and takes what memory holds to it.

    Attributes:
        path: The buffer that was asked for.

    Threads:
        The pump's, but for :meth:`_collect`.
    """

    def __init__(
        self,
        settings: "Settings",
        path: Path,
        error: Exception,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Remember how things were when *error* came up."""
        self._settings = settings
        self.path = path
        self._clock = clock
        self._error = error
        self._view = look(path)
        now_s = clock.monotonic_s()
        self._look_s, self._try_s = now_s + LOOK_S, now_s + _TRY_S
        self._crew: Crew | None = None
        self._found: list[Aged] = []
        self._left: deque[Aged] = deque()

    def inherited(self) -> "Homecoming":
        """In a forked child: what the parent's memory holds is the parent's."""
        mine = Homecoming(self._settings, self.path, self._error, clock=self._clock)
        mine._view = self._view
        return mine

    def _is_open(self) -> bool:
        """Whether the buffer can be used by now; asks the disk every few seconds."""
        now_s = self._clock.monotonic_s()
        if now_s < self._look_s:
            return False
        self._look_s = now_s + LOOK_S
        before, self._view = self._view, look(self.path)
        # A file of somebody else's is not opened again and again.
        is_time = now_s >= self._try_s and not isinstance(self._error, NotOurs)
        if self._view == before and not is_time:
            return False
        self._try_s = now_s + _TRY_S
        return self._try()

    def _try(self) -> bool:
        from probekit.runtime.crew import Crew
        from probekit.runtime.parts import Places

        visitor = Crew(
            self._settings,
            Places(self.path),
            (),
            may_lead=False,
            on_unusable=lambda _error: None,
        )
        try:
            visitor.occupy()
        except (BufferFailed, OSError) as error:
            self._error = error
            self._view = look(self.path)  # a try may have made a folder
            return False
        return True

    def is_packed(self, crew: "Crew") -> bool:
        """Whether *crew*, in memory, has ended, so that what it held is known.

        It is told to end once the file can be used, and does so in its own time.
        """
        leader = crew.leader
        if self._crew is None:
            if not self._is_open():
                return False
            self._crew = crew
            if leader is not None and leader.is_alive:
                by_s = self._clock.monotonic_s() + _DELIVER_S
                leader.retire(by_s, self._collect)
        return leader is None or not leader.is_alive

    def _collect(self, store: "Store") -> None:
        """On the leader's thread, when it has ended."""
        self._found = list(remains(store))

    @property
    def is_packing(self) -> bool:
        """Whether the crew in memory was told to end."""
        return self._crew is not None

    def carry(self, journal: "SegmentWriter | MemoryJournal") -> bool:
        """Write what memory held; what the disk refuses stays for the next time.

        Returns:
            Whether nothing is left.

        """
        crew, self._crew = self._crew, None
        if crew is not None:
            self._left.extend(self._found)
            if isinstance(crew.journal, MemoryJournal):
                waiting = crew.journal.retire()
                self._left.extend((at_ns, harvest) for harvest, _, at_ns in waiting)
        if not isinstance(journal, SegmentWriter):
            return not self._left
        while self._left:
            at_ns, harvest = self._left[0]
            try:
                journal.append(harvest, wall_ns=at_ns)
            except OSError:
                return False
            self._left.popleft()
        return True


def look(path: Path) -> _View:
    """What can be seen of *path* without opening anything; equal when nothing changed.

    Ends at the first folder that exists: a missing one can be made if that one may be
    written.
    """
    seen: list[object] = [_facts(path)]
    for folder in path.parents:
        facts = _facts(folder)
        seen.append(facts)
        if facts is not None:
            seen.append(os.access(folder, os.W_OK | os.X_OK))
            break
    return tuple(seen)


def _facts(path: Path) -> "_View | None":
    try:
        found = path.lstat()
    except OSError:
        return None
    facts: _View = (found.st_dev, found.st_ino, found.st_mode, found.st_uid)
    if stat.S_ISDIR(found.st_mode):
        return facts  # its times change with every file of ours and of others
    return (*facts, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
