"""What exists of probekit in this process: pump, journal, leader; and over its forks.

One object per ``configure``. Everything here survives being copied by a fork: the
hooks put it in order in the child, or the first record of a raw-forked child does.
"""

import os
import threading
from typing import TYPE_CHECKING

from probekit.buffer.trouble import FilesLost, may_pass
from probekit.clock import SYSTEM_CLOCK
from probekit.delivery import fork
from probekit.delivery.pump import Pump
from probekit.delivery.wake import ring
from probekit.errors import BufferFailed
from probekit.model import Harvest, Snapshot
from probekit.notice import notice
from probekit.runtime.aside import aside
from probekit.runtime.crew import Crew
from probekit.runtime.ending import at_end_of_process
from probekit.runtime.heartbeat import Heartbeat
from probekit.runtime.homecoming import Homecoming
from probekit.runtime.overhead import Overhead
from probekit.runtime.parts import (
    Places,
    build_exporters,
    hire,
    process_sources,
    silence,
    tell_limits,
)
from probekit.runtime.status import Status, buffer_fields
from probekit.runtime.waiting import wait_delivered
from probekit.thread import is_cradle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probekit.buffer.status import BufferStatus
    from probekit.ports import Exporter
    from probekit.recording.registry import Registry
    from probekit.settings import Settings

EXIT_BUDGET_S = 0.1  # of the 0.3 s that we may add; the rest is the interpreter's own
_LAST_WORDS_S = 0.1  # for closing, when a flush has used up the time
_SIDECAR_CHECK_S = 1.0
_DISK_S = 1.0  # what a flush may take beyond its time when a disk hangs
_READ_S = 10.0  # longest wait for what is read from the buffer
_ENDING_S = 0.01  # between two writes for daemon threads that work on at the end


class Presence:
    """Records, writes and perhaps leads, for one process at a time.

    Attributes:
        settings: What was asked for.
        trouble: Why all is kept in memory although a file was asked for; else empty.
    """

    def __init__(self, settings: "Settings", registry: "Registry") -> None:
        """Build the parts; nothing is started.

        Raises:
            ConfigError: An exporter cannot be made, or cannot be handed to a sidecar.

        """
        self.settings = settings
        self.trouble = ""
        self._registry = registry
        self._pid = os.getpid()
        self._tainted = False
        self._awake = False
        self._over = self._closed = self._alert = False
        # Threads that fork at this moment, each with the gate it took.
        self._held: dict[int, threading.RLock] = {}
        self._switch = threading.RLock()  # a signal's handler may flush
        self._sidecar_due_s = 0.0
        self._overhead = Overhead(settings, registry)
        self._sources = process_sources(settings, self._overhead)
        exporters = build_exporters(settings.exporters)
        self._names = frozenset(name for name, _ in exporters)
        self._places = None if settings.buffer is None else Places(settings.buffer)
        self._homecoming: Homecoming | None = None
        self._heartbeat = self._make_heartbeat()
        self._sidecar = hire(settings, self._places)
        self._crew = self._muster(exporters)
        self._pump = self._make_pump()

    def _make_heartbeat(self) -> "Heartbeat | None":
        if self._places is None:
            return None
        return Heartbeat(self._registry, self._places.journal)

    def _muster(self, exporters: "Sequence[tuple[str, Exporter]]") -> Crew:
        """The crew of this process: at the beginning, and in each child anew."""
        leads_here = self._places is None or self.settings.shipper == "thread"
        return Crew(
            self.settings,
            self._places,
            exporters,
            may_lead=leads_here and not self._tainted,
            on_unusable=self._fall_back,
            meter=self._overhead.meter,
            may_thread=not self._tainted,
            on_unsynced=self._overhead.missed_sync,
        )

    def _make_pump(self) -> Pump:
        pump = Pump(
            self._registry.drain,
            self._crew.journal,
            self._registry.watch,
            flush_interval_s=self.settings.flush_interval_s,
            interval_s=self.settings.interval_s,
            on_start=silence,
            tick=self._tick,
            foretell=self._foretell,
            meter=self._overhead.meter,
            memory_bytes=self.settings.limits.memory_bytes,
        )
        self._overhead.govern(pump, lambda: self._crew.journal)
        return pump

    def _foretell(self, *, early: bool) -> None:
        self._registry.observers.is_early = early

    def _tick(self) -> None:
        """Govern ourselves; see to buffer, sidecar, heartbeat. The pump's thread."""
        self._overhead.turn()
        if self._homecoming is not None and not self._over:
            self._come_home(self._homecoming)
        if self._heartbeat is not None and not self._over:
            self._heartbeat.beat()
        now_s = SYSTEM_CLOCK.monotonic_s()
        if self._sidecar is not None and now_s >= self._sidecar_due_s:
            self._sidecar_due_s = now_s + _SIDECAR_CHECK_S
            self._sidecar.ensure()

    # -- the beginning -------------------------------------------------------------

    def start(self) -> None:
        """Connect the registry and begin to work."""
        at_end_of_process(self.end)  # first: the exit writes what an interrupt leaves
        try:
            if not self._tainted:
                self._crew.occupy()
        except (BufferFailed, OSError) as error:
            if self._crew.leader is None or not may_pass(error):
                self._fall_back(error)
            else:  # what is recorded waits for the leader, who tries again
                notice("buffer-open", f"{error}; trying again")
        registry = self._registry
        tell_limits(self.settings, registry)
        for source in self._sources:
            registry.observe(source)
        registry.on_due = self.attend
        registry.on_durable = self.write
        fork.protect(self)
        if self._sidecar is not None and not self._tainted:
            self._sidecar.ensure()  # now: a process of a moment must not miss it
        if not self._tainted:
            self._awaken()

    def _awaken(self) -> None:
        """Start what runs by itself; on the thread of whoever recorded first."""
        with self._switch:
            if self._tainted or self._over:
                return
            pumps, leads = self._pump.start(), self._crew.start()
            self._awake = pumps and leads
            self._be_alert(alert=is_cradle())
        at_end_of_process(self.end)

    def _be_alert(self, *, alert: bool) -> None:
        """Have each value ask for attention: nobody says when uWSGI's worker begins."""
        if alert != self._alert:
            self._alert = alert
            watch = self._registry.watch
            (watch.hold if alert else watch.release)()

    def _fall_back(self, error: Exception) -> None:
        """The buffer cannot be used: go on in memory, say so once."""
        if self._places is None:
            return
        self.trouble = str(error)
        if isinstance(error, FilesLost):
            notice("files-lost", f"{error}; another process delivers")
            return
        where = str(self._places.buffer)
        what = str(error) if where in str(error) else f"the buffer {where}: {error}"
        notice(
            "memory-only",
            f"{what}; all is kept in memory instead and ends with the process, unless "
            "the buffer can be used before",
        )
        self._homecoming = Homecoming(self.settings, self._places.buffer, error)
        self._move(None)
        self._pump.redirect(self._crew.journal)
        if self._awake:
            self._crew.start()

    def _move(self, places: "Places | None") -> None:
        """A new crew at *places*; None for memory."""
        exporters = build_exporters(self.settings.exporters)
        with self._crew.outlook.gate:  # no fork while the crew changes
            self._places = places
            self._sidecar = hire(self.settings, places) if places else None
            self._heartbeat = self._make_heartbeat()
            self._crew = self._muster(exporters)

    def _come_home(self, homecoming: Homecoming) -> None:
        """Go back to the file once it can be used, with all that memory holds."""
        in_memory = self._places is None
        if in_memory and not homecoming.is_packed(self._crew):
            return
        with self._pump.steady:  # a flush meanwhile would write to the old place
            if in_memory:
                self._move(Places(homecoming.path))
                self._pump.redirect(self._crew.journal)
            carried = homecoming.carry(self._crew.journal)
        if in_memory:
            self.trouble = ""
            notice("memory-over", f"{homecoming.path} can be used, memory went there")
            if self._awake:
                self._crew.start()
        # The leader of the new crew may have fallen back meanwhile.
        if carried and self._homecoming is homecoming:
            self._homecoming = None

    @property
    def is_working(self) -> bool:
        """Whether this presence serves the process it is asked in."""
        return self._pid == os.getpid() and not self._over

    @property
    def _holds(self) -> bool:
        """Whether what is recorded now is for who comes next: nobody takes it here."""
        return self._closed or (self._over and self._places is None)

    # -- on the application's threads -----------------------------------------------

    def attend(self) -> None:
        """The watch has run out: start what should run, or do its work inline."""
        self._belong()
        if not (self._tainted or self._over or (self._awake and self._pump.is_alive)):
            self._awaken()
        if self._pump.is_alive:  # it starts, or is late, or a disk holds it at the end
            self._registry.compact()
            return
        if not self._holds:
            self._pump.stroke()
        rest_s = _ENDING_S if self._over else self.settings.flush_interval_s
        self._registry.watch.rest_for(rest_s)

    def write(self, harvest: Harvest) -> None:
        """Write a durable event now.

        Raises:
            OSError: It is not written.

        """
        self._belong()
        self._crew.write(harvest)

    def flush(self, timeout_s: float) -> bool:
        """See ``probekit.flush``; another thread may close meanwhile."""
        self._belong()
        bound_s = timeout_s + _DISK_S
        try:
            return aside(lambda: self._flush(timeout_s), self._pump, bound_s)
        except TimeoutError:
            return False

    def _flush(self, timeout_s: float) -> bool:
        end_s = SYSTEM_CLOCK.monotonic_s() + timeout_s
        with self._pump.steady:
            if self._holds:
                return False
            written = self._pump.stroke(ship_now=True)
            crew, position = self._crew, self._crew.journal.position()
        if self._tainted or position is None:
            self._nudge()
            return False  # who may not open the buffer cannot know
        if not self._awake:
            self._awaken()
        segment, offset = position
        external = self.settings.shipper == "external" and self._places is not None
        delivered = wait_delivered(
            lambda: crew.progress(segment),
            lambda progress: crew.covers(progress, segment, offset),
            frozenset() if external else self._names,
            nudge=self._nudge,
            timeout_s=max(0.0, end_s - SYSTEM_CLOCK.monotonic_s()),
            is_over=lambda: self._closed,
        )
        return delivered and written

    def _nudge(self) -> None:
        heard = self._places is not None and ring(self._places.wake)
        if heard or self._tainted:
            return
        if self._crew.leader is not None:
            self._crew.leader.hurry()
        if self._sidecar is not None:
            self._sidecar.ensure()

    def status(self) -> Status:
        """See ``probekit.status``."""
        self._belong()
        found = None if self._tainted else self._read_status()
        role = "leader" if self._crew.leads else "follower"
        return Status(
            service=self.settings.service,
            role="inline" if self._tainted else role,
            buffer=str(self._places.buffer) if self._places else ":memory:",
            memory_only=self._places is None and bool(self.trouble),
            trouble=self.trouble,
            pump_alive=self._pump.is_alive,
            flush_interval_s=self._pump.interval_s,
            cpu_ratio=self._overhead.cpu_ratio,
            overhead_level=self._overhead.level,
            overhead_step=self._overhead.step,
            **buffer_fields(found),  # type: ignore[arg-type]
        )

    def _read_status(self) -> "BufferStatus | None":
        try:
            return aside(self._crew.status, self._pump, _READ_S)
        except TimeoutError:
            return None

    def snapshot(self) -> Snapshot:
        """Where every series stands, as of the last closed window."""
        self._belong()
        if self._tainted:
            raise BufferFailed("the child of a raw fork may not open the buffer")
        crew = self._crew
        try:
            return aside(
                lambda: crew.outlook.snapshot(leads=crew.leads), self._pump, _READ_S
            )
        except TimeoutError as error:
            raise BufferFailed("the buffer cannot be read now") from error

    # -- the end ---------------------------------------------------------------------

    def end(self) -> None:
        """The process ends: write what is left, deliver what the budget allows."""
        self._belong()
        if self._finish(SYSTEM_CLOCK.monotonic_s() + EXIT_BUDGET_S):
            self._pump.stroke()  # daemon threads of the application work until the last

    def close(self, timeout_s: float, *, wait: bool) -> bool:
        """Stop everything; what is recorded later is held as before ``configure``.

        Args:
            timeout_s: Longest time this may take, seconds.
            wait: Whether to wait for a leader elsewhere too.

        Returns:
            True when everything is known to be delivered.

        """
        self._belong()
        end_s = SYSTEM_CLOCK.monotonic_s() + timeout_s
        registry = self._registry
        delivered = wait and self.flush(timeout_s)
        self._finish(max(end_s, SYSTEM_CLOCK.monotonic_s() + _LAST_WORDS_S))
        self._closed = True
        registry.on_due = registry.on_durable = None
        self._overhead.release()
        self._be_alert(alert=False)
        registry.watch.trip()
        fork.protect(None)
        if self._sidecar is not None:
            self._sidecar.release()
        return delivered

    def _finish(self, by_s: float) -> bool:
        """Write and deliver; whether the disk took what was recorded."""
        self._over = True
        clock = SYSTEM_CLOCK
        # To read our own sources may be slow, and nobody will miss it.
        self._registry.observers.end(self._sources)
        if self._holds:
            self._registry.on_durable = None
            if not self._pump.has_begun:  # nor would anybody deliver it
                return False
        homecoming, leader = self._homecoming, self._crew.leader
        if homecoming is not None and homecoming.is_packing and leader is not None:
            leader.join(by_s - clock.monotonic_s())
            self._come_home(homecoming)
        left_s = max(0.0, by_s - clock.monotonic_s())
        is_written = self._pump.stop(left_s, self._end_records)
        if not is_written:
            notice("end-disk", "the disk does not take what was recorded last")
        self._registry.watch.rest_for(_ENDING_S)
        leader = self._crew.leader
        if leader is not None:
            leader.finish(by_s)
            leader.join(by_s - clock.monotonic_s())
        return is_written

    def _end_records(self) -> None:
        """After the last write; on the pump's thread, for these wait for the disk."""
        if self._heartbeat is not None:
            self._heartbeat.end()
        try:
            self._crew.journal.close()
        except OSError as error:
            notice("segment-close", f"the segment was not closed: {error}")

    # -- over forks ------------------------------------------------------------------

    def before_fork(self) -> None:
        """Close every connection and hold the gate until the fork is done."""
        outlook = self._crew.outlook
        fork.quiesce(outlook)
        while outlook is not self._crew.outlook:  # another crew took over meanwhile
            outlook.gate.release()
            outlook = self._crew.outlook
            fork.quiesce(outlook)
        self._held[threading.get_ident()] = outlook.gate

    def after_fork_in_parent(self) -> None:
        """Go on."""
        gate = self._held.pop(threading.get_ident(), None)
        if gate is not None:
            gate.release()

    def after_fork_in_child(self, *, clean: bool) -> None:
        """Let go of everything that is the parent's and start from zero."""
        self._pid = os.getpid()
        self._tainted = self._tainted or not clean
        self._over = self._awake = False
        self._be_alert(alert=False)
        self._held = {}
        self._switch = threading.RLock()
        home = self._homecoming if self._places is None else None
        self._homecoming = home and home.inherited()
        self._crew.abandon()
        self._overhead.restart()
        if self._heartbeat is not None:
            self._heartbeat.abandon()
        if self._sidecar is not None:
            self._sidecar.inherit()
        self._registry.forget()
        for source in self._sources:
            source.restart()
        specs = () if self._tainted else self.settings.exporters
        self._crew = self._muster(build_exporters(specs))
        self._pump = self._make_pump()

    def _belong(self) -> None:
        """Notice a fork that no hook saw."""
        if self._pid != os.getpid():
            self.after_fork_in_child(clean=False)
