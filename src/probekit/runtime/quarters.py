"""Where a process's records go, and who serves them there: the file, or memory.

A file that cannot be used must cost the application nothing: then memory is in its
place, and the file again as soon as it can be used.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from probekit.buffer.trouble import FilesLost, may_pass
from probekit.clock import SYSTEM_CLOCK
from probekit.delivery import fork
from probekit.delivery.wake import ring
from probekit.errors import BufferFailed
from probekit.notice import notice
from probekit.runtime.crew import Crew
from probekit.runtime.heartbeat import Heartbeat
from probekit.runtime.homecoming import Homecoming
from probekit.runtime.parts import Places, build_exporters, hire

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from probekit.buffer.journal.memory_journal import MemoryJournal
    from probekit.buffer.journal.segments import SegmentWriter
    from probekit.delivery.fork import Gate
    from probekit.ports import Exporter
    from probekit.recording.registry import Registry
    from probekit.runtime.overhead import Overhead
    from probekit.settings import Settings

    # What keeps the pump from writing meanwhile: its ``steady``.
    Steady: TypeAlias = AbstractContextManager[bool]

_SIDECAR_CHECK_S = 1.0


class Quarters:
    """The buffer that one process works with, and everybody who serves it there.

    Attributes:
        crew: Who serves the buffer now; another one after each move and fork.
        places: The buffer's files; None while it is in memory.
        names: Cursors of the exporters.
        trouble: Why all is kept in memory although a file was asked for; else empty.
    """

    def __init__(
        self,
        settings: "Settings",
        registry: "Registry",
        overhead: "Overhead",
        *,
        on_move: "Callable[[SegmentWriter | MemoryJournal], None]",
    ) -> None:
        """Build the parts; nothing is opened or started.

        Args:
            settings: What was asked for.
            registry: Whose operations under way are looked at.
            overhead: Told what our threads cost, and which syncs were missed.
            on_move: Told where to write from now on.

        Raises:
            ConfigError: An exporter cannot be made, or cannot be handed to a sidecar.

        """
        self.trouble = ""
        self._settings = settings
        self._registry = registry
        self._overhead = overhead
        self._on_move = on_move
        self._tainted = False
        self._is_staffed = False
        self._sidecar_due_s = 0.0
        self._homecoming: Homecoming | None = None
        exporters = build_exporters(settings.exporters)
        self.names = frozenset(name for name, _ in exporters)
        self.places = None if settings.buffer is None else Places(settings.buffer)
        self._heartbeat = self._make_heartbeat()
        self._sidecar = hire(settings, self.places)
        self.crew = self._muster(exporters)

    def _make_heartbeat(self) -> "Heartbeat | None":
        if self.places is None:
            return None
        return Heartbeat(self._registry, self.places.journal)

    def _muster(self, exporters: "Sequence[tuple[str, Exporter]]") -> Crew:
        """The crew of this process: at the beginning, and in each child anew."""
        leads_here = self.places is None or self._settings.shipper == "thread"
        return Crew(
            self._settings,
            self.places,
            exporters,
            may_lead=leads_here and not self._tainted,
            on_unusable=self._fall_back,
            meter=self._overhead.meter,
            may_thread=not self._tainted,
            on_unsynced=self._overhead.missed_sync,
        )

    # -- the beginning -------------------------------------------------------------

    def occupy(self) -> None:
        """Open the buffer now; go on in memory if it cannot be used."""
        try:
            self.crew.occupy()
        except (BufferFailed, OSError) as error:
            if self.crew.leader is None or not may_pass(error):
                self._fall_back(error)
            else:  # what is recorded waits for the leader, who tries again
                notice("buffer-open", f"{error}; trying again")

    def see_to_sidecar(self) -> None:
        """Have the process run that ships for this one, where one is wanted."""
        if self._sidecar is not None and not self._tainted:
            self._sidecar.ensure()

    def start(self) -> bool:
        """Let the leader stand for office; False when there can be no thread now."""
        self._is_staffed = True  # first: at once the leader may find it cannot lead
        return self.crew.start()

    # -- between file and memory -----------------------------------------------------

    def _fall_back(self, error: Exception) -> None:
        """The buffer cannot be used: go on in memory, say so once."""
        if self.places is None:
            return
        self.trouble = str(error)
        if isinstance(error, FilesLost):
            notice("files-lost", f"{error}; another process delivers")
            return
        where = str(self.places.buffer)
        what = str(error) if where in str(error) else f"the buffer {where}: {error}"
        notice(
            "memory-only",
            f"{what}; all is kept in memory instead and ends with the process, unless "
            "the buffer can be used before",
        )
        self._homecoming = Homecoming(self._settings, self.places.buffer, error)
        self._move(None)
        self._restaff()

    def _move(self, places: "Places | None") -> None:
        """A new crew at *places*; None for memory."""
        exporters = build_exporters(self._settings.exporters)
        with self.crew.outlook.gate:  # no fork while the crew changes
            self.places = places
            self._sidecar = hire(self._settings, places) if places else None
            self._heartbeat = self._make_heartbeat()
            self.crew = self._muster(exporters)
        self._on_move(self.crew.journal)

    def _restaff(self) -> None:
        if self._is_staffed:
            self.crew.start()

    def _come_home(self, homecoming: Homecoming, steady: "Steady") -> None:
        """Go back to the file once it can be used, with all that memory holds."""
        in_memory = self.places is None
        if in_memory and not homecoming.is_packed(self.crew):
            return
        with steady:  # a flush meanwhile would write to the old place
            if in_memory:
                self._move(Places(homecoming.path))
            carried = homecoming.carry(self.crew.journal)
        if in_memory:
            self.trouble = ""
            notice("memory-over", f"{homecoming.path} can be used, memory went there")
            self._restaff()
        # The leader of the new crew may have fallen back meanwhile.
        if carried and self._homecoming is homecoming:
            self._homecoming = None

    # -- day by day ------------------------------------------------------------------

    def tend(self, steady: "Steady", *, is_over: bool) -> None:
        """See to buffer, heartbeat and sidecar; the pump's thread.

        Args:
            steady: Keeps the pump from writing during a move.
            is_over: Whether the process ends: no move and no beat any more.

        """
        if self._homecoming is not None and not is_over:
            self._come_home(self._homecoming, steady)
        if self._heartbeat is not None and not is_over:
            self._heartbeat.beat()
        now_s = SYSTEM_CLOCK.monotonic_s()
        if now_s >= self._sidecar_due_s:
            self._sidecar_due_s = now_s + _SIDECAR_CHECK_S
            self.see_to_sidecar()

    def nudge(self) -> None:
        """Have whoever leads look now."""
        heard = self.places is not None and ring(self.places.wake)
        if heard or self._tainted:
            return
        if self.crew.leader is not None:
            self.crew.leader.hurry()
        self.see_to_sidecar()

    # -- the end ---------------------------------------------------------------------

    def unpack(self, steady: "Steady", by_s: float) -> None:
        """End a move to the file that is under way: what memory holds goes with it.

        Args:
            steady: Keeps the pump from writing meanwhile.
            by_s: How long to wait for the crew in memory, on the monotonic clock.

        """
        homecoming, leader = self._homecoming, self.crew.leader
        if homecoming is not None and homecoming.is_packing and leader is not None:
            leader.join(by_s - SYSTEM_CLOCK.monotonic_s())
            self._come_home(homecoming, steady)

    def end_records(self) -> None:
        """After the last write; on the pump's thread, for these wait for the disk."""
        if self._heartbeat is not None:
            self._heartbeat.end()
        try:
            self.crew.journal.close()
        except OSError as error:
            notice("segment-close", f"the segment was not closed: {error}")

    def finish(self, by_s: float) -> None:
        """Let the leader deliver what it can until *by_s*, monotonic, and end."""
        leader = self.crew.leader
        if leader is not None:
            leader.finish(by_s)
            leader.join(by_s - SYSTEM_CLOCK.monotonic_s())

    def release_sidecar(self) -> None:
        """Need no sidecar any more."""
        if self._sidecar is not None:
            self._sidecar.release()

    # -- over forks ------------------------------------------------------------------

    def hold_still(self) -> "Gate":
        """Close every connection; return the gate, held, that keeps them closed.

        Raises:
            TimeoutError: The buffer is busy; nothing is held.

        """
        outlook = self.crew.outlook
        fork.quiesce(outlook)
        while outlook is not self.crew.outlook:  # another crew took over meanwhile
            outlook.gate.release()
            outlook = self.crew.outlook
            fork.quiesce(outlook)
        return outlook.gate

    def abandon(self) -> None:
        """In a forked child, first: let go of what is the parent's."""
        home = self._homecoming if self.places is None else None
        self._homecoming = home and home.inherited()
        self._is_staffed = False
        self.crew.abandon()
        if self._heartbeat is not None:
            self._heartbeat.abandon()
        if self._sidecar is not None:
            self._sidecar.inherit()

    def settle(self, *, tainted: bool) -> None:
        """In a forked child, then: a crew of its own; a *tainted* one never leads."""
        self._tainted = tainted
        specs = () if tainted else self._settings.exporters
        self.crew = self._muster(build_exporters(specs))
