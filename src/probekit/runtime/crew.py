"""Who serves the buffer in one process: journal, store, leader, and how they see it.

A crew belongs to one process. After a fork the child abandons its parent's crew and
musters one of its own.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from probekit.buffer.journal.memory_journal import MemoryJournal
from probekit.buffer.journal.segments import SegmentWriter
from probekit.buffer.locks import FileLock, make_private_directory
from probekit.buffer.progress import Progress
from probekit.buffer.status import BufferStatus
from probekit.buffer.trouble import translated
from probekit.delivery.leader import Leader
from probekit.errors import BufferBusy
from probekit.model import Harvest
from probekit.ports import Exporter
from probekit.runtime.outlook import Outlook
from probekit.runtime.parts import Places, build_office, build_store, silence

if TYPE_CHECKING:
    from probekit.buffer.journal.prompt import PromptSync
    from probekit.buffer.store import Store
    from probekit.delivery.courier import Ledger
    from probekit.delivery.meter import CpuMeter
    from probekit.settings import Settings

# What exporters accepted and no cursor shows yet; outlives every crew, so that
# nothing accepted is sent twice by this process.
_LEDGER: "Ledger" = {}


class Crew:
    """The parts of one process around one buffer.

    Attributes:
        places: The buffer's files; None for a buffer in memory.
        journal: Where this process writes what it recorded.
        leader: Who leads or stands for it; None where another process does.
        outlook: How this process sees the buffer.
    """

    def __init__(
        self,
        settings: "Settings",
        places: "Places | None",
        exporters: "Sequence[tuple[str, Exporter]]",
        *,
        may_lead: bool,
        on_unusable: Callable[[Exception], None],
        meter: "CpuMeter | None" = None,
        may_thread: bool = True,
        on_unsynced: Callable[[], None] = lambda: None,
    ) -> None:
        """Build the parts; nothing is opened or started.

        Args:
            settings: What was asked for.
            places: The buffer's files; None for memory.
            exporters: (cursor's name, exporter), for the leader.
            may_lead: Whether this process may ever open the buffer for writing.
            on_unusable: Told by the leader that the buffer cannot be used.
            meter: Told what our threads cost.
            may_thread: Whether this process may start threads.
            on_unsynced: Called for each durable event that is written but not synced.

        """
        self.places = places
        self.leader: Leader | None = None
        self._settings = settings
        self._store: Store | None = None
        memory = None if places else MemoryJournal()
        self.journal: SegmentWriter | MemoryJournal = memory or _segments(places)
        if may_lead:
            path = places.buffer if places else None
            self._store = build_store(settings, path)
            self._office = build_office(
                settings,
                self._store,
                exporters,
                memory=memory,
                ledger=_LEDGER,
                on_start=silence,
                meter=meter,
            )
            self.leader = Leader(self._office, on_unusable=on_unusable)
        self.outlook = Outlook(places, self._store)
        self._prompt: PromptSync | None = None
        if settings.sync_durable and places is not None:
            self._prompt = _prompt(places, on_unsynced, may_thread=may_thread)

    def write(self, harvest: Harvest) -> None:
        """Write what is durable now; with ``sync_durable``, onto the disk.

        Raises:
            OSError: It is not written. One that is written and could not be synced
                is told and counted, and no error: trying again would repeat it.

        """
        segment, _ = self.journal.append(harvest)
        if self._prompt is not None:
            self._prompt.cover(segment)

    def occupy(self) -> None:
        """Open the buffer now, so that one nobody can use is told at once.

        Takes the lead if this process may and nobody has it; otherwise only looks
        whether the buffer can be opened, and leaves nothing open.

        Raises:
            BufferFailed: The buffer cannot be used; the text names it and says why.
            OSError: Its folder cannot be made.

        """
        places = self.places
        if places is None:
            return
        make_private_directory(places.buffer.parent)
        make_private_directory(places.journal)
        store = self._store or build_store(self._settings, places.buffer)
        lock = self._office.lock if self.leader else None
        stays = lock is not None
        lock = lock or FileLock(places.lock)
        try:
            with store.gate, translated(places.buffer):
                if lock.try_acquire():
                    store.open()
        except BufferBusy:  # somebody's tool is at work: the leader tries again
            return
        except BaseException:
            stays = False
            raise
        finally:
            if not stays:
                store.close()
                lock.close()

    def start(self) -> bool:
        """Let the leader stand for office; False when there can be no thread now."""
        if self.leader is None or self.leader.start():
            return True
        self.leader.stand_aside()
        return False

    @property
    def leads(self) -> bool:
        """Whether this process leads."""
        return self.leader is not None and self.leader.is_leading

    def progress(self, segment: str) -> "Progress | None":
        """How far the buffer is; None when it cannot be read now."""
        return self.outlook.progress(segment, leads=self.leads)

    def covers(self, progress: Progress, segment: str, offset: int) -> bool:
        """Whether all up to *offset* of *segment* is committed."""
        term = self.leader.term if self.leader is not None else None
        if term is not None:
            return term.covers(segment, offset)
        return self.outlook.covers(progress, segment, offset)

    def status(self) -> "BufferStatus | None":
        """What the buffer says about itself; None when it cannot be read now."""
        return self.outlook.status(leads=self.leads)

    def abandon(self) -> None:
        """In a forked child: let go of what is the parent's, unlocking nothing."""
        self.journal.abandon()
        if self._store is not None:
            if self._office.lock is not None:
                self._office.lock.abandon()
            self._office.bell.close()
            self._store.abandon()


def _prompt(
    places: Places, on_unsynced: Callable[[], None], *, may_thread: bool
) -> "PromptSync":
    from probekit.buffer.journal.prompt import PromptSync

    return PromptSync(places.journal, may_thread=may_thread, missed=on_unsynced)


def _segments(places: "Places | None") -> SegmentWriter:
    assert places is not None  # noqa: S101 - without files there is a memory journal
    return SegmentWriter(places.journal)
