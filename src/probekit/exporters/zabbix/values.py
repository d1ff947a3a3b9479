"""Records as values of items; pure.

Sums are sent as their running total, gauges as their last value, histograms as the
window's count, sum, min, max and percentiles. An event is a line of a log item: the
JSON object that the JSON lines have for it.

An item keeps one value for a moment and drops a second one, so moments are made unique
and lasting: a window's end to the millisecond and the series' number behind it; an
event's time to the microsecond and the event's number behind it. A value that comes
again is the same and is dropped by the server.
"""

from dataclasses import dataclass

from probekit.errors import Rejected
from probekit.exporters.cache import SeriesCache
from probekit.exporters.figures import running, windowed
from probekit.exporters.jsonlines import JsonLines
from probekit.exporters.text import number
from probekit.exporters.zabbix.identity import Identities, Identity
from probekit.exporters.zabbix.wire import Value
from probekit.histogram import Histogram
from probekit.model import Batch, Event, Point, Snapshot

EVENTS, EXCEPTIONS = "probekit.events", "probekit.exceptions"
_WINDOW_SPREAD_NS = 10**6
_EVENT_SPREAD_NS = 1000
_LARGEST = 1.7e308  # beyond it the server takes a value and does not store it


@dataclass(frozen=True, slots=True)
class Encoded:
    """A batch as Zabbix gets it.

    Attributes:
        values: In the order of the records.
        records: Number of records behind them.
        identities: Of the metrics among the values, by the record's position.
    """

    values: "list[Value]"
    records: int
    identities: "dict[int, Identity]"


class ZabbixValues:
    """Encodes batches."""

    __slots__ = ("_events", "_identities", "_places", "seen")

    def __init__(self) -> None:
        """Start with an empty memory."""
        self._identities = Identities()
        self._places: SeriesCache[Identity] = SeriesCache(self._identities.of)
        self._events = JsonLines()
        self.seen: dict[Identity, None] = {}

    def learn(self, snapshot: Snapshot) -> None:
        """Know every series that the buffer has, in the order of first appearance."""
        for point in snapshot.points:
            self.seen.setdefault(self._places.of(point))

    def encode(self, batch: Batch) -> Encoded:
        """The values of *batch*; new series are noted in ``seen``.

        Raises:
            Rejected: A number is not finite or too large for the server.

        """
        values: list[Value] = []
        identities: dict[int, Identity] = {}
        record = 0
        for window in batch.windows:
            base_ns = window.end_unix_ns - window.end_unix_ns % _WINDOW_SPREAD_NS
            for point in window.points:
                identity = self._places.of(point)
                self.seen.setdefault(identity)
                identities[record] = identity
                time_ns = base_ns + point.series_id % _WINDOW_SPREAD_NS
                values += [
                    Value(identity.key(figure), text, time_ns, record)
                    for figure, text in _figures(identity, point)
                ]
                record += 1
        values += self._happened(batch, record)
        return Encoded(values, record + len(batch.events), identities)

    def _happened(self, batch: Batch, first: int) -> "list[Value]":
        if not batch.events:
            return []
        alone = Batch(batch.buffer_id, batch.resource, events=batch.events)
        lines = self._events.lines(alone)
        return [
            Value(_log_of(event), line.decode("ascii"), _moment_ns(event), first + turn)
            for turn, (event, line) in enumerate(zip(batch.events, lines, strict=True))
        ]


def _figures(identity: Identity, point: Point) -> "list[tuple[str, str]]":
    found = windowed(point) if isinstance(point.value, Histogram) else running(point)
    for _, value in found:
        if abs(value) > _LARGEST:
            raise Rejected(
                f"{identity.text[:60]!r} is {value}, which Zabbix does not store"
            )
    return [
        (figure, repr(number(value)))
        for figure, value in found
        if identity.takes(figure)
    ]


def _log_of(event: Event) -> str:
    return EXCEPTIONS if "exception.type" in event.attributes else EVENTS


def _moment_ns(event: Event) -> int:
    whole_ns = event.time_unix_ns - event.time_unix_ns % _EVENT_SPREAD_NS
    return whole_ns + event.number % _EVENT_SPREAD_NS
