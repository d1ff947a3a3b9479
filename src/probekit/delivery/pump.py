"""The pump: takes what a process recorded and writes it, five times a second or more.

One daemon thread a process. It never raises, never touches SQLite or the network, and
tells the watch until when application threads need not care.
"""

import contextlib
import queue
import threading
from collections.abc import Callable
from time import perf_counter
from typing import Protocol, TypeAlias

from probekit.clock import SYSTEM_CLOCK, Clock, cell_start_ns
from probekit.delivery.backlog import MEMORY_BYTES, Backlog, measurements
from probekit.delivery.meter import CpuMeter
from probekit.model import Harvest
from probekit.notice import notice
from probekit.patience import Patience
from probekit.ports import Drain, Journal
from probekit.thread import Thread, is_beginning, is_cradle

HUGE = 200_000  # measurements in one drain after which the next comes sooner
# Events and spans that wait for a drain. A span of OpenTelemetry's is a dozen objects;
# each 700 more make the garbage collector look; and what it meets alive again and again
# makes it look at all the process has.
FEW = 32
_SOON_S = 0.01  # shortest wait
_RETRY_S = (0.2, 5.0)  # first and longest wait before a failed write is tried again
_COLLECT_S = 5.0  # longest wait at the end for what collects, which is not the disk
_STEP_S = 0.01
_DISK_S = 1.0  # of the two seconds that an exit may take while a disk hangs


_Launch: TypeAlias = "tuple[Callable[[], None], str]"


class Watch(Protocol):
    """What the pump tells that it is alive."""

    def rest_until(self, perf_counter_s: float) -> None:
        """Nobody needs to look before *perf_counter_s*, a ``perf_counter`` time."""


class Foretell(Protocol):
    """Told before each drain what kind it is."""

    def __call__(self, *, early: bool) -> None:
        """The drain that comes is *early*: between two regular ones."""


def _untold(*, early: bool) -> None:
    """Nobody wants to know."""


class Pump:
    """Moves harvests from the registry into the journal.

    Attributes:
        interval_s: Between two writes now, seconds; may be changed at any time.
    """

    def __init__(
        self,
        drain: Drain,
        journal: Journal,
        watch: Watch,
        *,
        flush_interval_s: float = 0.2,
        interval_s: float = 10.0,
        clock: Clock = SYSTEM_CLOCK,
        on_start: Callable[[], None] = lambda: None,
        tick: Callable[[], None] = lambda: None,
        foretell: Foretell = _untold,
        meter: "CpuMeter | None" = None,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        """Wire the pump; nothing runs yet.

        Args:
            drain: Takes what was recorded.
            journal: Where it goes.
            watch: Told that the pump is alive.
            flush_interval_s: Between two writes, seconds; what a kill may cost.
            interval_s: Width of a window: there is a write at each of its ends too.
            clock: Where time comes from.
            on_start: Called once on the pump's thread before all else.
            tick: Called on the pump's thread after each stroke; may fail.
            foretell: Told before each drain whether it comes between two regular ones,
                for nothing but the many events and spans that wait.
            meter: Told what the pump's thread costs.
            memory_bytes: Most that may wait for the disk.

        """
        self.interval_s = flush_interval_s
        self._drain = drain
        self._journal = journal
        self._watch = watch
        self._width_s = interval_s
        self._clock = clock
        self._on_start = on_start
        self._tick = tick
        self._foretell = foretell
        self._usual_s = flush_interval_s
        self._regular_due_s = float("-inf")
        self._lock = threading.RLock()
        self._backlog = Backlog(bytes_limit=memory_bytes)
        self._meter = meter or CpuMeter()
        self._patience = Patience("pump", "writing to the buffer", clock=clock)
        # What to start; None only wakes. No Event: its lock is let go of in Python,
        # and the handler of a signal may raise before that.
        self._launched: queue.SimpleQueue[_Launch | None] = queue.SimpleQueue()
        self._stopping = self._collecting = self._is_all_written = False
        self._at_end: Callable[[], object] | None = None
        self._share = 1.0  # of the interval, to wait now
        self._failed_until_s = float("-inf")
        self._retry_s = _RETRY_S[0]
        self._thread: threading.Thread | None = None

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def has_begun(self) -> bool:
        """Whether its thread was started ever, or is being started."""
        return self._thread is not None

    @property
    def waiting_bytes(self) -> int:
        """What waits in memory for the disk, about."""
        return self._backlog.size_bytes

    def start(self) -> bool:
        """Start the thread, unless it runs; say whether it runs now.

        Threads:
            Any, one at a time; waits for the new thread's first step, about 0.1 ms.

        """
        if self.is_alive:
            return True
        if is_cradle() or is_beginning(self._thread):
            return False
        # Known before it runs: a handler that raises meanwhile must not leave one that
        # nobody can stop, nor a second one.
        self._thread = Thread(self._run, "probekit-pump")
        try:
            self._thread.start()
        except RuntimeError as error:  # no more threads, or the interpreter ends
            self._thread = None
            notice("pump-start", f"the pump could not start: {error}; writing inline")
            return False
        return True

    def redirect(self, journal: Journal) -> None:
        """Write to *journal* from now on, what waits included; any thread."""
        with self._lock:
            self._journal = journal
            self._failed_until_s = float("-inf")

    @property
    def steady(self) -> "contextlib.AbstractContextManager[bool]":
        """While held, nobody writes nor changes where to, but the holder."""
        return self._lock

    def launch(self, work: Callable[[], None], name: str) -> None:
        """Do *work* on a thread called *name*, that begins and ends unseen by signals.

        The pump's starts it: what a handler raises in a starting thread's parent, or
        where a thread's object dies, Python prints and forgets.
        """
        self._launched.put((work, name))

    def stop(
        self, timeout_s: float, at_end: "Callable[[], object] | None" = None
    ) -> bool:
        """Write what is left and end the thread.

        Its thread does it, if it runs: the caller must not wait for a disk that hangs.
        What it could not write is tried once more by the caller.

        Args:
            timeout_s: Longest wait for a thread that has nothing to do. One that
                collects what was recorded is waited for up to five seconds, one that
                writes up to a second: nobody else can write it.
            at_end: Called after the last write, by whoever did it, and again where
                that is tried once more; may fail.

        Returns:
            True when everything recorded before the call is written.

        """
        self._at_end = at_end
        self._stopping = True
        self._launched.put(None)
        if self.is_alive and self._thread is not threading.current_thread():
            assert self._thread is not None  # noqa: S101 - is_alive said so
            self._thread.join(timeout_s)
            self._outlast(self._thread)
            if self._thread.is_alive():  # the disk hangs; it is not for us to wait
                return False
            if self._is_all_written:
                return True
            self._at_end = at_end  # once more: what it waited for may be over now
        self._end()
        return self._is_all_written

    def _outlast(self, thread: threading.Thread) -> None:
        collect_s, disk_s = _COLLECT_S, _DISK_S
        while thread.is_alive() and (collect_s if self._collecting else disk_s) > 0:
            if self._collecting:
                collect_s -= _STEP_S
            else:
                disk_s -= _STEP_S
            thread.join(_STEP_S)

    def _end(self) -> None:
        self._failed_until_s = float("-inf")  # the last chance is tried anyway
        self._is_all_written = self.stroke()
        call, self._at_end = self._at_end, None
        if call is not None:
            try:
                call()
            except Exception as error:
                notice("pump-end", f"what is recorded was not ended well: {error}")

    def stroke(self, *, ship_now: bool = False) -> bool:
        """Drain once and write one frame.

        Args:
            ship_now: Mark the frame, and write one even if nothing was recorded.

        Returns:
            True when all that was recorded is written.

        Threads:
            Any; another thread's stroke is waited for. Never raises.

        """
        try:
            with self._lock:
                return self._stroke(ship_now=ship_now)
        except Exception as error:
            self._patience.failed(error)
            return False

    def _stroke(self, *, ship_now: bool, early: bool = False) -> bool:
        # Asked for first: between two calls Python takes signals, and without a thread
        # of ours a handler that raises must not cost what was drained.
        waits = bool(self._backlog)
        self._foretell(early=early)
        self._collecting = True
        try:
            harvest = self._drain()
        finally:
            self._collecting = False
        if waits:
            self._backlog.put(harvest)
            if not ship_now and self._clock.monotonic_s() < self._failed_until_s:
                return False
            harvest = self._backlog.take()
        try:
            self._share = self._share_after(harvest)
            if not harvest and not ship_now:
                return True
            self._journal.append(harvest, ship_now=ship_now)
        except BaseException as error:
            if not harvest.is_written:  # else a handler raised after the write
                self._backlog.put(harvest)
            if not isinstance(error, OSError):
                raise
            self._failed_until_s = self._clock.monotonic_s() + self._retry_s
            self._retry_s = min(2 * self._retry_s, _RETRY_S[1])
            if not isinstance(error, BlockingIOError):
                notice(
                    "segment-write",
                    "cannot write to the buffer, what is recorded waits in memory: "
                    f"{error}",
                )
            return False
        self._retry_s = _RETRY_S[0]
        return True

    def _run(self) -> None:
        with contextlib.suppress(Exception):  # silence on our threads is a courtesy
            self._on_start()
        while not self._stopping:
            if self._patience.allows():
                self._turn()
            self._rest()
        if not self._is_all_written:  # else it began so late that nobody waits for it
            self._end()

    def _rest(self) -> None:
        """Sleep until the next stroke is due; start what is to be started meanwhile."""
        due_s = perf_counter() + self._wait_s()
        with contextlib.suppress(queue.Empty):
            while not self._stopping:
                left_s = max(0.0, due_s - perf_counter())
                launch = self._launched.get(timeout=left_s)
                if launch is not None:
                    _begin(*launch)
                del launch

    def _turn(self) -> None:
        try:
            # Half of the shortest wait early is on time.
            now_s = self._clock.monotonic_s() + _SOON_S / 2
            early = self._share < 1.0 and now_s < self._regular_due_s
            if not early:
                self._regular_due_s = now_s + self.interval_s - _SOON_S
            with self._lock:
                self._stroke(ship_now=False, early=early)
            self._beat()
            self._tick()
        except Exception as error:
            self._patience.failed(error)
        else:
            self._patience.worked()
        self._meter.turn()

    def _beat(self) -> None:
        self._watch.rest_until(perf_counter() + max(0.4, 2 * self.interval_s))

    def _wait_s(self) -> float:
        now_ns = self._clock.wall_ns()
        width_ns = int(self._width_s * 1e9)
        end_ns = cell_start_ns(now_ns, self._width_s) + width_ns
        # A stroke at the window's end keeps neighbours apart to the millisecond.
        wait_s = self.interval_s * self._share
        return max(0.001, min(wait_s, (end_ns - now_ns) / 1e9))

    def _share_after(self, harvest: Harvest) -> float:
        """How much of the interval to wait, for little to wait at the end of it."""
        records = len(harvest.events) + len(harvest.spans)
        share = self._share * FEW / records if records else 1.0
        if self.interval_s > self._usual_s:  # the governor saves strokes
            share = 1.0
        if measurements(harvest) > HUGE:
            share = 0.0
        return min(1.0, max(share, _SOON_S / self.interval_s))


def _begin(work: Callable[[], None], name: str) -> None:
    try:
        Thread(work, name).start()
    except RuntimeError:  # no more threads, or the interpreter ends: somebody waits
        work()
