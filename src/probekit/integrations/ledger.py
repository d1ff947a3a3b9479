"""Requests that have begun, until the draining thread has counted them.

A request in the middle of a large application finds the processor's caches full of
that application: what it touches there costs ten times what it costs in a loop. So it
leaves as little as can be, one record in one list, and whoever drains does the rest for
many at once: looks up their series, counts their durations and those in flight.
"""

from collections.abc import Callable
from typing import TypeAlias

from probekit.integrations.http import Answer, ServerMetrics
from probekit.integrations.record import Record
from probekit.model import Harvest, Series
from probekit.notice import notice
from probekit.recording.handle import Handle, Invalid
from probekit.recording.registry import REGISTRY, Registry
from probekit.recording.underway.running import UNDERWAY

OPEN_LIMIT = 20_000  # requests under way that are remembered
_SHARE = 10  # values that a fold takes in the time of one record

_Key: TypeAlias = "tuple[str, str]"


class Ledger(Handle):
    """The requests of this process; for a registry one more handle to be drained.

    Attributes:
        values: Records, appended when their requests begin.

    Threads:
        Any may append. The rest only under the registry's lock. As in other handles,
        what is found is put in place by statements without a call in between: an
        interrupt on the way leaves everything as it was.
    """

    __slots__ = (
        "_durations",
        "_levels",
        "_metrics",
        "_open",
        "_registry",
        "_touched",
    )

    def __init__(self, registry: Registry = REGISTRY) -> None:
        """Start empty; the registry asks it from now on, before all others."""
        super().__init__(Series("http.server.request.duration", "histogram"), -1)
        self.count = 1  # be asked also when no request has begun lately
        self._registry = registry
        self._metrics: ServerMetrics | None = None
        self._open: list[tuple[Record, _Key]] = []
        self._durations: dict[Answer, list[float]] = {}
        self._levels: dict[_Key, int] = {}
        self._touched: list[Handle] = []
        # First: what it gives to other handles is taken by the same drain.
        registry.handles.insert(0, self)

    def open(self) -> None:
        """Make the instruments, at the latest now.

        Raises:
            BadName: The application has others of these names.

        """
        if self._metrics is None:
            self._metrics = ServerMetrics()

    def forget(self) -> None:
        """Drop everything: those are the parent's requests."""
        del self.values[:]
        self._open = []
        self._durations, self._levels, self._touched = {}, {}, []

    def fold(self, invalid: Invalid, *, most: "int | None" = None) -> None:
        """Count requests that have ended, to keep the list short."""
        self._settle(None if most is None else max(1, most // _SHARE))
        for handle in self._taken():
            handle.fold(invalid)

    def harvest(self, into: Harvest, invalid: Invalid) -> None:
        """Count requests and write what came of it into *into*."""
        self._settle(None)
        for handle in self._taken():
            handle.harvest(into, invalid)

    def _taken(self) -> "list[Handle]":
        touched, self._touched = self._touched, []
        return touched

    def _settle(self, most: "int | None") -> None:
        self._hand_on()  # what an interrupt has left
        if not (self.values or self._open):
            return
        found = _Findings()
        chunk = self.values[:most]
        taken = len(chunk)
        for record, key in self._open:
            found.look_again(record, key)
        found.look(chunk)
        lost = len(found.open) - OPEN_LIMIT
        if lost > 0:
            found.forget_oldest(lost)
        failed, open_ = found.failed, found.open
        durations, levels = found.durations, found.levels
        del self.values[:taken]
        self._durations, self._levels, self._open = durations, levels, open_
        if failed:
            self._registry.loss("metrics", "internal_error", failed)
        if lost > 0:
            self._registry.loss("metrics", "unfinished", lost)
            notice("ledger-open", f"{lost} requests have not ended; they are forgotten")
        self._hand_on()

    def _hand_on(self) -> None:
        """Give values to the handles of their series, each at once or not at all."""
        for answer in list(self._durations):
            n = len(self._durations[answer])
            handle = self._found(n, ServerMetrics.duration, answer)
            if handle is not None:
                values = handle.values
                values += self._durations[answer]
                self._levels.setdefault(answer[:2], 0)
            del self._durations[answer]
        for key in list(self._levels):
            handle = self._found(1, ServerMetrics.active, *key)
            if handle is not None:
                values = handle.values
                values += [self._levels[key]]
            del self._levels[key]

    def _found(
        self, n: int, find: "Callable[..., Handle]", *what: object
    ) -> "Handle | None":
        try:
            metrics = self._metrics
            if metrics is None:
                metrics = self._metrics = ServerMetrics()
            handle = find(metrics, *what)
            self._touched.append(handle)
        except Exception as error:
            self._registry.loss("metrics", "internal_error", n)
            notice("ledger", "probekit: requests were not counted", error)
            return None
        return handle


class _Findings:
    """What a look at records has found; nothing else is changed by it."""

    __slots__ = ("durations", "failed", "levels", "open")

    def __init__(self) -> None:
        self.failed = 0
        self.durations: dict[Answer, list[float]] = {}
        self.levels: dict[_Key, int] = {}
        self.open: list[tuple[Record, _Key]] = []

    def look(self, records: "list[Record]") -> None:
        """Look at requests that were not known before."""
        durations = self.durations
        for record in records:
            try:
                ended_s = record.ended_s
                if ended_s <= 0.0:
                    self._begun(record)
                    continue
                route = record.route
                answer = (
                    record.method,
                    record.scheme,
                    route if route.__class__ is str else route.rule,
                    record.status,
                    record.protocol,
                    record.error,
                )
                lasted_s = ended_s - record.began_s
                times_s = durations.get(answer)
                if times_s is None:
                    durations[answer] = [lasted_s]
                else:
                    times_s.append(lasted_s)
            except Exception as error:
                self._failed(error)

    def look_again(self, record: Record, key: _Key) -> None:
        """Look at one that had not ended at the last look."""
        if not record.ended_s:
            self.open.append((record, key))
            return
        self._leave(record, key)
        if record.ended_s > 0.0:
            self.look([record])

    def forget_oldest(self, n: int) -> None:
        """Expect no end of *n* requests any more: their server seems to drop them."""
        for record, key in self.open[:n]:
            self._leave(record, key)
        del self.open[:n]

    def _leave(self, record: Record, key: _Key) -> None:
        self._add(key, -1)
        entry = record.entry()
        if entry is not None:
            UNDERWAY.discard(entry)

    def _begun(self, record: Record) -> None:
        if record.ended_s < 0.0:  # recording was switched off meanwhile
            return
        key = record.key()
        self.open.append((record, key))
        self._add(key, 1)
        entry = record.entry()
        if entry is not None:
            UNDERWAY.add(entry)

    def _add(self, key: _Key, n: int) -> None:
        self.levels[key] = self.levels.get(key, 0) + n

    def _failed(self, error: Exception) -> None:
        self.failed += 1
        notice("ledger-record", "probekit: a request was not counted", error)


LEDGER = Ledger()
