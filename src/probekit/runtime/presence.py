"""What exists of probekit in this process, from ``configure`` to the end, over forks.

One object per ``configure``. Everything here survives being copied by a fork: the
hooks put it in order in the child, or the first record of a raw-forked child does.
"""

import os
import threading
from typing import TYPE_CHECKING

from probekit.clock import SYSTEM_CLOCK
from probekit.delivery import fork
from probekit.delivery.pump import Pump
from probekit.errors import BufferFailed
from probekit.model import Harvest, Snapshot
from probekit.notice import notice
from probekit.runtime.aside import aside
from probekit.runtime.ending import at_end_of_process
from probekit.runtime.overhead import Overhead
from probekit.runtime.parts import process_sources, silence, tell_limits
from probekit.runtime.quarters import Quarters
from probekit.runtime.status import Status, buffer_fields
from probekit.runtime.waiting import wait_delivered
from probekit.thread import is_cradle

if TYPE_CHECKING:
    from probekit.buffer.journal.memory_journal import MemoryJournal
    from probekit.buffer.journal.segments import SegmentWriter
    from probekit.buffer.status import BufferStatus
    from probekit.delivery.fork import Gate
    from probekit.recording.registry import Registry
    from probekit.settings import Settings

EXIT_BUDGET_S = 0.1  # of the 0.3 s that we may add; the rest is the interpreter's own
_LAST_WORDS_S = 0.1  # for closing, when a flush has used up the time
_DISK_S = 1.0  # what a flush may take beyond its time when a disk hangs
_READ_S = 10.0  # longest wait for what is read from the buffer
_ENDING_S = 0.01  # between two writes for daemon threads that work on at the end


class Presence:
    """Records, writes and perhaps leads, for one process at a time.

    Attributes:
        settings: What was asked for.
    """

    def __init__(self, settings: "Settings", registry: "Registry") -> None:
        """Build the parts; nothing is started.

        Raises:
            ConfigError: An exporter cannot be made, or cannot be handed to a sidecar.

        """
        self.settings = settings
        self._registry = registry
        self._pid = os.getpid()
        self._tainted = False
        self._awake = False
        self._over = self._closed = self._alert = False
        # Threads that fork at this moment, each with the gate it took.
        self._held: dict[int, Gate] = {}
        self._switch = threading.RLock()  # a signal's handler may flush
        self._overhead = Overhead(settings, registry)
        self._sources = process_sources(settings, self._overhead)
        self._quarters = Quarters(
            settings,
            registry,
            self._overhead,
            on_move=self._redirect,
        )
        self._pump = self._make_pump()

    def _make_pump(self) -> Pump:
        pump = Pump(
            self._registry.drain,
            self._quarters.crew.journal,
            self._registry.watch,
            flush_interval_s=self.settings.flush_interval_s,
            interval_s=self.settings.interval_s,
            on_start=silence,
            tick=self._tick,
            foretell=self._foretell,
            meter=self._overhead.meter,
            memory_bytes=self.settings.limits.memory_bytes,
        )
        self._overhead.govern(pump, lambda: self._quarters.crew.journal)
        return pump

    def _redirect(self, journal: "SegmentWriter | MemoryJournal") -> None:
        self._pump.redirect(journal)

    def _foretell(self, *, early: bool) -> None:
        self._registry.observers.is_early = early

    def _tick(self) -> None:
        """Govern ourselves, and see to the buffer. The pump's thread."""
        self._overhead.turn()
        self._quarters.tend(self._pump.steady, is_over=self._over)

    # -- the beginning -------------------------------------------------------------

    def start(self) -> None:
        """Connect the registry and begin to work."""
        at_end_of_process(self.end)  # first: the exit writes what an interrupt leaves
        if not self._tainted:
            self._quarters.occupy()
        registry = self._registry
        tell_limits(self.settings, registry)
        for source in self._sources:
            registry.observe(source)
        registry.on_due = self.attend
        registry.on_durable = self.write
        fork.protect(self)
        self._quarters.see_to_sidecar()  # now: a process of a moment must not miss it
        if not self._tainted:
            self._awaken()

    def _awaken(self) -> None:
        """Start what runs by itself; on the thread of whoever recorded first."""
        with self._switch:
            if self._tainted or self._over:
                return
            pumps, leads = self._pump.start(), self._quarters.start()
            self._awake = pumps and leads
            self._be_alert(alert=is_cradle())
        at_end_of_process(self.end)

    def _be_alert(self, *, alert: bool) -> None:
        """Have each value ask for attention: nobody says when uWSGI's worker begins."""
        if alert != self._alert:
            self._alert = alert
            watch = self._registry.watch
            (watch.hold if alert else watch.release)()

    @property
    def is_working(self) -> bool:
        """Whether this presence serves the process it is asked in."""
        return self._pid == os.getpid() and not self._over

    @property
    def _holds(self) -> bool:
        """Whether what is recorded now is for who comes next: nobody takes it here."""
        return self._closed or (self._over and self._quarters.places is None)

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
        self._quarters.crew.write(harvest)

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
            crew = self._quarters.crew
            position = crew.journal.position()
        if self._tainted or position is None:
            self._quarters.nudge()
            return False  # who may not open the buffer cannot know
        if not self._awake:
            self._awaken()
        segment, offset = position
        is_file = self._quarters.places is not None
        external = self.settings.shipper == "external" and is_file
        delivered = wait_delivered(
            lambda: crew.progress(segment),
            lambda progress: crew.covers(progress, segment, offset),
            frozenset() if external else self._quarters.names,
            nudge=self._quarters.nudge,
            timeout_s=max(0.0, end_s - SYSTEM_CLOCK.monotonic_s()),
            is_over=lambda: self._closed,
        )
        return delivered and written

    def status(self) -> Status:
        """See ``probekit.status``."""
        self._belong()
        found = None if self._tainted else self._read_status()
        quarters = self._quarters
        places, trouble = quarters.places, quarters.trouble
        role = "leader" if quarters.crew.leads else "follower"
        return Status(
            service=self.settings.service,
            role="inline" if self._tainted else role,
            buffer=str(places.buffer) if places else ":memory:",
            memory_only=places is None and bool(trouble),
            trouble=trouble,
            pump_alive=self._pump.is_alive,
            flush_interval_s=self._pump.interval_s,
            cpu_ratio=self._overhead.cpu_ratio,
            overhead_level=self._overhead.level,
            overhead_step=self._overhead.step,
            **buffer_fields(found),  # type: ignore[arg-type]
        )

    def _read_status(self) -> "BufferStatus | None":
        try:
            return aside(self._quarters.crew.status, self._pump, _READ_S)
        except TimeoutError:
            return None

    def snapshot(self) -> Snapshot:
        """Where every series stands, as of the last closed window."""
        self._belong()
        if self._tainted:
            raise BufferFailed("the child of a raw fork may not open the buffer")
        crew = self._quarters.crew
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
        self._quarters.release_sidecar()
        return delivered

    def _finish(self, by_s: float) -> bool:
        """Write and deliver; whether the disk took what was recorded."""
        self._over = True
        # To read our own sources may be slow, and nobody will miss it.
        self._registry.observers.end(self._sources)
        if self._holds:
            self._registry.on_durable = None
            if not self._pump.has_begun:  # nor would anybody deliver it
                return False
        self._quarters.unpack(self._pump.steady, by_s)
        left_s = max(0.0, by_s - SYSTEM_CLOCK.monotonic_s())
        is_written = self._pump.stop(left_s, self._quarters.end_records)
        if not is_written:
            notice("end-disk", "the disk does not take what was recorded last")
        self._registry.watch.rest_for(_ENDING_S)
        self._quarters.finish(by_s)
        return is_written

    # -- over forks ------------------------------------------------------------------

    def before_fork(self) -> None:
        """Close every connection and hold the gate until the fork is done."""
        self._held[threading.get_ident()] = self._quarters.hold_still()

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
        self._quarters.abandon()
        self._overhead.restart()
        self._registry.forget()
        for source in self._sources:
            source.restart()
        self._quarters.settle(tainted=self._tainted)
        self._pump = self._make_pump()

    def _belong(self) -> None:
        """Notice a fork that no hook saw."""
        if self._pid != os.getpid():
            self.after_fork_in_child(clean=False)
