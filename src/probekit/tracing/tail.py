"""Tail sampling in the process: a trace waits until its local root has ended.

A local root is a span whose parent is in no trace that waits here: it has none, or the
parent is in another process, or was forgotten. When the last local root of a trace
ends, all its spans are kept or none. Spans that end later share the decision.

Limits: as many spans wait as ``Tail.most_spans`` says; beyond, the oldest trace is
decided early, and what goes then is counted as lost. Decisions about 20,000 traces are
remembered.
"""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from probekit.tracing.policy import Tail
from probekit.tracing.slowness import Slowness
from probekit.tracing.translate import duration_s, has_failed

DECISIONS_LIMIT = 20_000
_HIGH_BITS = 64


class _Trace:
    """What waits of one trace."""

    __slots__ = ("failed", "roots", "slow", "spans")

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.roots: set[int] = set()
        self.failed = False
        self.slow = False


class TailSampler:
    """Holds spans until it is known what became of their trace.

    Threads:
        Any. A lock is held for a few dictionary operations; one that is the calling
        thread's own already (a signal handler's span) is no obstacle.
    """

    def __init__(
        self,
        tail: Tail,
        keep: Callable[[Sequence[Any]], None],
        lose: Callable[[int], None],
    ) -> None:
        """Start with nothing.

        Args:
            tail: The rules.
            keep: Takes the spans of kept traces, in the order of their ends.
            lose: Told how many spans went undecided, because memory is bounded.

        """
        self._tail = tail
        self._keep = keep
        self._lose = lose
        self._share_below = round(tail.share * (1 << _HIGH_BITS))
        self._renew()

    def _renew(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._traces: dict[int, _Trace] = {}
        self._decisions: dict[int, bool | None] = {}  # None: gone for want of memory
        self._waiting = 0
        self._slowness = Slowness()

    @property
    def waiting(self) -> int:
        """Spans that have ended and are not decided about."""
        return self._waiting

    def started(self, span: Any) -> None:
        """A recorded span has begun."""
        if self._pid != os.getpid():  # what the parent holds is the parent's
            self._renew()
        context, parent = span.context, span.parent
        is_local = parent is not None and not parent.is_remote
        with self._lock:
            trace = self._traces.get(context.trace_id)
            if trace is None:
                known = context.trace_id in self._decisions
                if known and (is_local or self._decisions[context.trace_id]):
                    return
                trace = self._traces[context.trace_id] = _Trace()
                trace.roots.add(context.span_id)
            elif not is_local:
                trace.roots.add(context.span_id)
        if len(self._traces) > self._tail.most_spans:
            self._make_room()

    def ended(self, readable: Any) -> None:
        """A recorded span has ended."""
        if self._pid != os.getpid():
            self._renew()
        kept: Sequence[Any] = ()
        with self._lock:
            trace_id = readable.context.trace_id
            trace = self._traces.get(trace_id)
            if trace is None:
                if self._late(readable):
                    kept = (readable,)
            else:
                self._add(trace, readable)
                if not trace.roots:
                    kept = self._decided(trace_id)
        if kept:
            self._keep(kept)
        if self._waiting > self._tail.most_spans:
            self._make_room()

    def finish(self) -> None:
        """Decide about everything by what is known: the process, or tracing, ends."""
        if self._pid != os.getpid():
            self._renew()
        for trace_id in list(self._traces):
            with self._lock:
                kept = self._decided(trace_id)
            if kept:
                self._keep(kept)

    def _add(self, trace: _Trace, readable: Any) -> None:
        trace.spans.append(readable)
        self._waiting += 1
        trace.failed = trace.failed or has_failed(readable)
        span_id = readable.context.span_id
        if span_id in trace.roots:
            trace.roots.discard(span_id)
            trace.slow = self._is_slow(readable) or trace.slow

    def _is_slow(self, readable: Any) -> bool:
        took_s, tail = duration_s(readable), self._tail
        slow = tail.slower_than_s is not None and took_s > tail.slower_than_s
        if tail.slower_than_p99:
            slow = self._slowness.is_slow(str(readable.name), took_s) or slow
        return slow

    def _late(self, readable: Any) -> bool:
        """Whether to keep a span whose trace does not wait here any more."""
        trace_id = readable.context.trace_id
        if trace_id in self._decisions:
            decision = self._decisions[trace_id]
            if decision is None:
                self._lose(1)
            return bool(decision)
        failed = self._tail.errors and has_failed(readable)
        return self._remember(trace_id, keep=failed or self._drawn(trace_id))

    def _drawn(self, trace_id: int) -> bool:
        # The high half: the head's ratio has looked at the low one.
        return trace_id >> _HIGH_BITS < self._share_below

    def _decided(self, trace_id: int) -> Sequence[Any]:
        """Let go of a trace; its spans if it is kept."""
        trace = self._traces.pop(trace_id, None)
        if trace is None:
            return ()
        self._waiting -= len(trace.spans)
        wanted = (self._tail.errors and trace.failed) or trace.slow
        keep = self._remember(trace_id, keep=wanted or self._drawn(trace_id))
        return trace.spans if keep else ()

    def _remember(self, trace_id: int, *, keep: bool) -> bool:
        decisions = self._decisions
        if len(decisions) >= DECISIONS_LIMIT:
            del decisions[next(iter(decisions))]
        decisions[trace_id] = keep
        return keep

    def _make_room(self) -> None:
        """Decide early about the oldest trace; without a reason to keep it, it is lost.

        Its later spans share that decision: kept, or lost and counted.
        """
        with self._lock:
            trace_id = next(iter(self._traces), None)
            if trace_id is None:
                return
            count = len(self._traces[trace_id].spans)
            kept = self._decided(trace_id)
            if not self._decisions[trace_id]:
                self._decisions[trace_id] = None
        if kept:
            self._keep(kept)
        elif count:
            self._lose(count)
