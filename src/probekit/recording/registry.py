"""The registry: everything recorded in this process and not yet taken.

It exists from import, so nothing recorded before ``configure`` is lost; ``runtime``
only connects it. Application threads append and compare the watch; the registry's
lock is theirs to try, never to wait for. There is one global, :data:`REGISTRY`;
every class of this room takes a registry as an argument.
"""

import os
from collections.abc import Callable
from time import perf_counter

from probekit.alone import Alone
from probekit.clock import SYSTEM_CLOCK, Clock
from probekit.hints import TYPE_CHECKING, Any, TypeVar
from probekit.notice import notice
from probekit.observer import Observe, SeriesTable
from probekit.recorded import Series, Signal
from probekit.recording.allowance import Allowance
from probekit.recording.errors.problems import Problems
from probekit.recording.finish import Queued, QueuedSpan
from probekit.recording.handle import Handle, make_handle
from probekit.recording.observers import Observers
from probekit.recording.queue import Losses, Queue
from probekit.recording.quiet import Suppression, is_disabled, suppressed
from probekit.recording.reaper import Reaper
from probekit.recording.thrift import Thrift
from probekit.recording.twins import Twins
from probekit.recording.watch import LENGTH_LIMIT, Watch
from probekit.recording.woven import Gate

if TYPE_CHECKING:
    from probekit.model import Harvest
    from probekit.recording.instrument import Instrument
    from probekit.recording.seams import Scrub, SpanMaker, Tracing

REST_S = 0.2  # between two looks while nobody drains
BUSY_REST_S = 0.005  # the same while there is more than one look can fold
FOLD_LIMIT = 20_000  # values folded in one look, on an application's thread: 2 ms

C = TypeVar("C", bound=Observe)


class Registry:
    """What one process has recorded, and whom it asks for attention.

    Attributes:
        table: The process's series by local id; it only grows.
        watch: Says until when nobody needs to look; the pump sets it.
        handles: One for each series that values can be appended to.
        instruments: By metric name.
        observers: Callbacks that the draining thread asks for levels and totals.
        events: Events waiting for the next drain, 10,000 at most.
        spans: Spans waiting for the next drain, 10,000 at most.
        problems: Errors, grouped.
        gate: The registry as woven code sees it.
        twins: Of probed functions, asleep while the registry is switched off.
        dropped: One count, of durations lost after a RecursionError.
        allowance: How many attribute sets and names there may be.
        thrift: What is given up because probekit costs too much.
        clock: Where moments come from.
        on_due: Called on an application's thread when the watch has run out; may be
            slow once (it starts the pump), must set the watch. None folds what waits.
        on_durable: Called with one event; returns when its frame is written.
        trace_ids: Says (trace id, span id) of the running context, or two empty texts.
        span_maker: Opens a span for ``probe(span=True)``; None while traces are off.
        tracing: Opens spans for middleware and libraries; None while traces are off.
    """

    def __init__(
        self,
        *,
        clock: Clock = SYSTEM_CLOCK,
        watch: "Watch | None" = None,
    ) -> None:
        """Start empty, with a watch that has run out."""
        self.table = SeriesTable()
        self.watch = watch or Watch()
        self.clock = clock
        self.handles: list[Handle] = []
        self.instruments: dict[str, Instrument[Any]] = {}
        self._handle_by_id: dict[int, Handle] = {}
        self._losses = Losses()
        self.dropped = [0]  # durations lost where even a call was impossible
        self.allowance = Allowance()
        self.observers = Observers(self.table, self.allowance, lambda: self.scrub)
        self.events: Queue[Queued] = Queue(self._refuser("events"))
        self.spans: Queue[QueuedSpan] = Queue(self._refuser("spans"))
        self.problems = Problems(self)
        self.gate = Gate(self)
        self.twins = Twins()
        self.thrift = Thrift()
        self.on_due: Callable[[], None] | None = None
        self.on_durable: Callable[[Harvest], None] | None = None
        self.trace_ids: Callable[[], tuple[str, str]] | None = None
        self.span_maker: SpanMaker | None = None
        self.tracing: Tracing | None = None
        self._scrub: Scrub | None = None
        self._enabled = True
        self._pid = os.getpid()
        self._reaper = Reaper(self, self._losses)
        self._attending = Alone()

    # -- what application threads call -------------------------------------------

    def handle(self, series: Series) -> Handle:
        """The handle of *series*, the same one whenever it is asked for; any thread."""
        series_id = self.table.intern(series)
        known = self._handle_by_id.get(series_id)
        if known is not None:
            return known
        made = make_handle(series, series_id)
        # First, for an interrupt must not leave one in use that nobody harvests.
        self.handles.append(made)
        winner = self._handle_by_id.setdefault(series_id, made)
        if winner is not made:
            self.handles.remove(made)
        return winner

    def adopt(self, handle: Handle) -> None:
        """Take a handle of a kind of its own for a series that has none yet."""
        self.handles.append(handle)
        if self._handle_by_id.setdefault(handle.series_id, handle) is not handle:
            self.handles.remove(handle)

    def due(self) -> bool:
        """Give attention because the watch has run out.

        Returns:
            True when the value at hand is not to be recorded: the registry is
            switched off, or the caller runs inside ``suppress()``.

        Threads:
            Any; never waits for a lock. In the child of a fork it drops what the
            parent had recorded, before the child's first value is appended.

        """
        try:
            return self._attend()
        except RecursionError:  # no stack left here; a later call will do it
            return False
        except Exception as error:
            return self._put_off(error)

    def due_for(self, handle: Handle) -> bool:
        """The same for a handle whose list has reached the watch's limit."""
        muted = self.due()
        if len(handle.values) >= LENGTH_LIMIT:
            try:
                self._reaper.try_fold([handle], LENGTH_LIMIT)
            except RecursionError:  # no stack left here; the list can wait
                return muted
        return muted

    def is_muted(self) -> bool:
        """For paths that are not hot: look at the watch, say whether to be silent."""
        if perf_counter() > self.watch.deadline[()]:
            return self.due() or suppressed()
        return not self._enabled or suppressed()

    def loss(self, signal: Signal, reason: str, n: int = 1) -> None:
        """Count *n* records that were recorded and dropped; any thread."""
        self._losses.add(signal, reason, n)

    def ids(self) -> "tuple[str, str]":
        """Trace and span id of the running context; empty texts outside any."""
        if self.trace_ids is None:
            return "", ""
        try:
            trace_id, span_id = self.trace_ids()
            return trace_id, span_id
        except Exception as error:
            notice("trace-ids", "the trace context could not be read", error)
            return "", ""

    def span(self, span: QueuedSpan) -> None:
        """Take a finished span; beyond 10,000 a drain it is counted as lost."""
        thrift = self.thrift
        if thrift.one_trace_in == 1 or thrift.keeps(span.trace_id):
            self.spans.put(span)
        else:
            self._losses.add("spans", "overhead")

    def observe(self, callback: C) -> C:
        """Let the draining thread call *callback* with an ``Observer`` each time."""
        self.observers.add(callback)
        return callback

    def suppress(self) -> Suppression:
        """Make a block whose calls are not recorded."""
        return Suppression(self.watch.hold, self.watch.release)

    # -- what runtime and the pump call ------------------------------------------

    def drain(self) -> "Harvest":
        """Take everything recorded since the last call.

        Returns:
            The harvest; empty when the calling thread is inside a drain already (a
            signal handler that flushes).

        Threads:
            One at a time: the pump, or an application's thread without a pump. Waits
            for a fold of at most 2 ms on another thread.

        """
        return self._reaper.drain()

    def compact(self, *, most: int = FOLD_LIMIT) -> int:
        """Turn long lists into sums and histograms; nothing is lost.

        Args:
            most: Values to fold at most, a bound for the time it takes.

        Returns:
            Values that are left in long lists.

        Threads:
            Any; returns at once when another thread folds or drains.

        """
        return self._reaper.try_fold(self.handles, most)

    def forget(self) -> None:
        """Start from zero in the child of a fork; the table of series stays.

        Values recorded and not drained belong to the parent, which still has them.
        """
        self._reaper.forget()
        self._attending = Alone()
        self._pid = os.getpid()
        self.watch.trip()
        for handle in self.handles:
            handle.forget()
        self.events.forget()
        self.spans.forget()
        self.problems.forget()
        self._losses.forget()
        self.dropped[0] = 0
        self.gate.forget()
        self.observers.forget()

    def disown(self) -> None:
        """Forget, if a fork lies between now and the last look; ``configure`` asks."""
        if self._pid != os.getpid():
            self.forget()

    @property
    def enabled(self) -> bool:
        """Whether anything is recorded; may be switched at any time."""
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        if enabled != self._enabled:
            self._enabled = enabled
            (self.watch.release if enabled else self.watch.hold)()
            self.twins.switch(asleep=not enabled)

    @property
    def scrub(self) -> "Scrub":
        """What takes secrets out; the standard rules until ``runtime`` sets others."""
        if self._scrub is None:
            from probekit.scrub import Scrubber

            self._scrub = Scrubber()
        return self._scrub

    @scrub.setter
    def scrub(self, scrub: "Scrub") -> None:
        self._scrub = scrub

    # -- inside -------------------------------------------------------------------

    def _attend(self) -> bool:
        if not self._enabled:
            return True
        if self._pid != os.getpid():
            self.forget()
        if self.watch.is_held and suppressed():
            return True
        if not self.watch.is_resting():
            self._attending.run(self._do_what_is_due)
        return False

    def _do_what_is_due(self) -> None:
        (self.on_due or self._rest)()
        if not self.watch.is_resting():
            self.watch.rest_for(REST_S)

    def _put_off(self, error: Exception) -> bool:
        try:
            self.watch.rest_for(REST_S)
            notice("due", "recording could not start its work", error)
        except RecursionError:  # as above
            return False
        return False

    def _rest(self) -> None:
        left = self.compact()
        self.watch.rest_for(BUSY_REST_S if left else REST_S)

    def _refuser(self, signal: Signal) -> Callable[[], None]:
        return lambda: self._losses.add(signal, "queue_full")


REGISTRY = Registry()
REGISTRY.enabled = not is_disabled()
