"""Takes what was recorded, and folds what grows long; one thread at a time.

The pump drains; application threads fold when a list has grown long and nobody came.
Its lock is theirs to try, never to wait for. One bad series or event costs itself only.
"""

import sys
from threading import RLock

from probekit.hints import TYPE_CHECKING
from probekit.notice import notice
from probekit.recording.finish import Queued, finish_spans, finished
from probekit.recording.handle import Handle
from probekit.recording.queue import Losses
from probekit.recording.watch import LENGTH_LIMIT

if TYPE_CHECKING:
    from probekit.model import Harvest
    from probekit.recording.registry import Registry

LONG = LENGTH_LIMIT // 16  # lists below are not worth folding


class Reaper:
    """Empties one registry."""

    __slots__ = ("_busy", "_lock", "_losses", "_registry")

    def __init__(self, registry: "Registry", losses: Losses) -> None:
        """Serve *registry*; what goes wrong is counted in *losses*."""
        self._registry = registry
        self._losses = losses
        # Re-entrant, so that a signal handler that drains meets _busy, not itself.
        self._lock = RLock()
        self._busy = False

    def drain(self) -> "Harvest":
        """Take everything; see :meth:`Registry.drain`."""
        from probekit.model import Harvest  # not on the way of a call

        into = Harvest(series=self._registry.table.series)
        with self._lock:
            if not (self._busy and self._is_inside()):
                try:
                    self._busy = True  # inside: an interrupt may come at any line
                    self._harvest(into)
                finally:
                    self._busy = False
        return into

    def try_fold(self, handles: "list[Handle]", most: int) -> int:
        """Fold long lists among *handles*, unless somebody folds or drains.

        Args:
            handles: Which ones.
            most: Values to fold at most.

        Returns:
            Values that are left in long lists.

        """
        # The lock is let go in the frame that took it, without a call of a function
        # of ours: at the end of a stack such a call fails, and the lock would stay.
        lock = self._lock
        if not lock.acquire(blocking=False):
            return 0
        try:
            if self._busy and self._is_inside():
                return 0
            try:
                self._busy = True
                return self._fold(handles, most)
            finally:
                self._busy = False
        finally:
            lock.release()

    def forget(self) -> None:
        """In the child of a fork: nobody drains, whatever the parent was doing."""
        self._lock = RLock()
        self._busy = False

    @staticmethod
    def _is_inside() -> bool:
        """Whether this thread, some frames up, is draining or folding already.

        The flag alone may be left behind by an interrupt in the line that clears it.
        """
        frame = sys._getframe(1).f_back  # noqa: SLF001 - the caller's caller
        while frame is not None:
            if frame.f_code in _HOLDERS:
                return True
            frame = frame.f_back
        return False

    def _fold(self, handles: "list[Handle]", most: int) -> int:
        self._losses.fold()
        self._registry.problems.fold()
        left = 0
        for handle in handles:
            waiting = len(handle.values)
            if waiting >= LONG:
                if most > 0:
                    handle.fold(self._invalid, most=most)
                    most -= waiting
                left += len(handle.values)
        return left

    def _harvest(self, into: "Harvest") -> None:
        registry = self._registry
        registry.observers.harvest(into)
        for handle in [h for h in registry.handles if h.values or h.count]:
            self._harvest_one(handle, into)
        for queued in registry.events.take():
            self._finish_one(queued, into)
        failed = finish_spans(registry.spans.take(), into, registry)
        if failed:
            self._losses.add("spans", "internal_error", failed)
        registry.problems.harvest(into)
        dropped, registry.dropped[0] = registry.dropped[0], 0
        dropped += registry.gate.take_missed()
        if dropped:
            self._losses.add("metrics", "recursion", dropped)
        for cause, count in self._losses.take().items():
            into.losses[cause] = into.losses.get(cause, 0) + count

    def _harvest_one(self, handle: Handle, into: "Harvest") -> None:
        try:
            handle.harvest(into, self._invalid)
        except Exception as error:  # one bad series must not cost the others
            self._losses.add("metrics", "internal_error")
            notice("harvest", f"{handle.series.name} was not harvested", error)

    def _finish_one(self, queued: Queued, into: "Harvest") -> None:
        try:
            into.events.append(finished(queued, self._registry))
        except Exception as error:  # nor one bad event
            self._losses.add("events", "internal_error")
            notice("harvest-event", "an event was not harvested", error)

    def _invalid(self, n: int) -> None:
        self._losses.add("metrics", "invalid", n)


_HOLDERS = (Reaper.drain.__code__, Reaper.try_fold.__code__)
