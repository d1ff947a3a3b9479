"""Takes what was recorded, and folds what grows long; one thread at a time.

The pump drains; application threads fold when a list has grown long and nobody came.
It is theirs to try, never to wait for. One bad series or event costs itself only.
"""

from threading import get_ident

from probekit.alone import Alone
from probekit.hints import TYPE_CHECKING
from probekit.notice import notice
from probekit.recording.finish import Queued, QueuedSpan, finished, finished_span
from probekit.recording.handle import Handle
from probekit.recording.queue import Losses
from probekit.recording.watch import LENGTH_LIMIT

if TYPE_CHECKING:
    from probekit.model import Harvest
    from probekit.pace import Pace
    from probekit.recording.registry import Registry

LONG = LENGTH_LIMIT // 16  # lists below are not worth folding


class Reaper:
    """Empties one registry."""

    __slots__ = ("_alone", "_losses", "_registry", "_taken", "_under_way")

    def __init__(self, registry: "Registry", losses: Losses) -> None:
        """Serve *registry*; what goes wrong is counted in *losses*."""
        self._registry = registry
        self._losses = losses
        self._alone = Alone()
        # By thread: kept until it is handed over, so that an interrupt costs nothing.
        self._taken: dict[int, Harvest] = {}
        self._under_way: Handle | None = None

    def drain(self) -> "Harvest":
        """Take everything; see :meth:`Registry.drain`."""
        from probekit.model import Harvest  # not on the way of a call

        me = get_ident()
        into = self._alone.run(lambda: self._drain(me), wait_s=-1)
        # No call and no jump from looking to taking, where Python would take a signal.
        try:
            if into is not None:
                into = self._taken[me]
                del self._taken[me]
                return into
        except KeyError:  # a signal's handler has it
            pass
        return Harvest(series=self._registry.table.series)

    def _drain(self, me: int) -> "Harvest":
        from probekit.model import Harvest
        from probekit.pace import Pace

        if me in self._taken:
            into = self._taken[me]
            _mend(into, self._under_way)
        else:
            into = self._taken[me] = Harvest(series=self._registry.table.series)
        self._harvest(into, Pace())
        return into

    def try_fold(self, handles: "list[Handle]", most: int) -> int:
        """Fold long lists among *handles*, unless somebody folds or drains.

        Args:
            handles: Which ones.
            most: Values to fold at most.

        Returns:
            Values that are left in long lists.

        """
        return self._alone.run(lambda: self._fold(handles, most)) or 0

    def forget(self) -> None:
        """In the child of a fork: nobody drains, whatever the parent was doing."""
        self._alone = Alone()
        self._taken = {}
        self._under_way = None

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

    def _harvest(self, into: "Harvest", pace: "Pace") -> None:
        registry = self._registry
        registry.observers.harvest(into)
        touched = [each for each in registry.handles if each.values or each.count]
        for handle in pace.through(touched):
            self._under_way = handle
            self._harvest_one(handle, into)
            self._under_way = None
        registry.events.empty(lambda queued: self._finish_one(queued, into), pace)
        registry.spans.empty(lambda queued: self._finish_span(queued, into), pace)
        registry.problems.harvest(into)
        dropped, registry.dropped[0] = registry.dropped[0], 0
        dropped += registry.gate.take_missed()
        if dropped:
            self._losses.add("metrics", "recursion", dropped)
        self._losses.harvest(into.losses)

    def _harvest_one(self, handle: Handle, into: "Harvest") -> None:
        try:
            handle.harvest(into, self._invalid)
        except Exception as error:  # one bad series must not cost the others
            notice("harvest", f"{handle.series.name} was not harvested", error)
            self._losses.add("metrics", "internal_error")

    def _finish_one(self, queued: Queued, into: "Harvest") -> None:
        try:
            # No append, which is a call: a signal might come before it is counted.
            into.events += [finished(queued, self._registry)]
        except Exception as error:  # nor one bad event
            notice("harvest-event", "an event was not harvested", error)
            self._losses.add("events", "internal_error")

    def _finish_span(self, queued: QueuedSpan, into: "Harvest") -> None:
        try:
            into.spans += [finished_span(queued, self._registry)]
        except Exception as error:
            notice("harvest-span", "a span was not harvested", error)
            self._losses.add("spans", "internal_error")

    def _invalid(self, n: int) -> None:
        self._losses.add("metrics", "invalid", n)


def _mend(into: "Harvest", under_way: "Handle | None") -> None:
    """Take out what an interrupt has left of a series, which still has all of it."""
    taken = -1 if under_way is None else under_way.series_id
    for ids, values, counts in (
        (into.sum_ids, into.sum_values, into.sum_counts),
        (into.gauge_ids, into.gauge_values, into.gauge_counts),
    ):
        rows = min(len(ids), len(values), len(counts))
        rows -= taken in ids[rows - 1 : rows]
        del ids[rows:], values[rows:], counts[rows:]
    for pairs in (into.raw, into.binned):
        if pairs and pairs[-1][0] == taken:
            del pairs[-1]
