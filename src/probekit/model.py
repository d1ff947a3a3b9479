"""The nouns: what is recorded, stored and sent.

Every room uses these and none adds to them behind the others' backs. Frozen,
slotted, units in the names. Nothing here does I/O or reads a clock.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from probekit.histogram import Histogram
from probekit.recorded import (
    SEVERITY_ERROR,
    SEVERITY_FATAL,
    SEVERITY_INFO,
    SEVERITY_WARN,
    Attributes,
    AttributeValue,
    Event,
    FrozenAttributes,
    Kind,
    Scalar,
    Series,
    Signal,
)

__all__ = [
    "SEVERITY_ERROR",
    "SEVERITY_FATAL",
    "SEVERITY_INFO",
    "SEVERITY_WARN",
    "AttributeValue",
    "Attributes",
    "Batch",
    "Event",
    "FrozenAttributes",
    "Harvest",
    "Kind",
    "Point",
    "Problem",
    "Resource",
    "Retention",
    "Scalar",
    "Series",
    "Signal",
    "Snapshot",
    "Span",
    "SpanEvent",
    "SpanLink",
    "Window",
]

# So that replace() and fields() take these as they take the others.
for _noun in (Series, Event):
    dataclass(init=False, repr=False, eq=False)(_noun)


@dataclass(frozen=True, slots=True)
class Problem:
    """Errors of one kind at one place, grouped.

    Attributes:
        fingerprint: 16 hex digits over the type and the application's frames.
        type: Qualified class name, ``shop.PaymentError``; builtins have no module.
        message: The newest message, scrubbed, at most 256 characters.
        culprit: ``module.function`` of the innermost frame of the application.
        stack: A sample traceback, scrubbed, without local variables.
        first_seen_unix_ns: Oldest occurrence, nanoseconds since 1970.
        last_seen_unix_ns: Newest occurrence, nanoseconds since 1970.
        count: Occurrences, exact.
    """

    fingerprint: str
    type: str
    message: str
    culprit: str
    stack: str
    first_seen_unix_ns: int
    last_seen_unix_ns: int
    count: int


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """A moment inside a span."""

    time_unix_ns: int
    name: str
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpanLink:
    """A pointer from one span to another."""

    trace_id: str
    span_id: str
    attributes: Attributes = field(default_factory=dict)
    trace_state: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """One timed operation of a trace.

    Attributes:
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
        parent_span_id: 16 hex digits, or empty for a root.
        name: Low-cardinality name, ``GET /orders/<id>``.
        kind: OpenTelemetry's number: 1 internal, 2 server, 3 client, 4 producer,
            5 consumer.
        start_unix_ns: Wall clock, nanoseconds since 1970.
        end_unix_ns: Wall clock, nanoseconds since 1970.
        status: 0 unset, 1 ok, 2 error.
        status_message: Text of an error status.
        flags: W3C trace flags.
        scope: Instrumentation scope's name.
        number: Rises by one in the buffer; 0 before the buffer has it.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: int
    start_unix_ns: int
    end_unix_ns: int
    attributes: Attributes = field(default_factory=dict)
    events: Sequence[SpanEvent] = ()
    links: Sequence[SpanLink] = ()
    status: int = 0
    status_message: str = ""
    trace_state: str = ""
    flags: int = 1
    scope: str = "probekit"
    number: int = 0


@dataclass(frozen=True, slots=True)
class Point:
    """What one series did in one window.

    Attributes:
        series: Which series.
        value: A float for counters (the delta of the window), up-down counters
            (likewise) and gauges (the last value); a histogram for histograms.
        count: Measurements behind it, for the books; 0 where only the levels of a
            process that is gone were taken back.
        total: The running total at the end of the window, over all processes and
            restarts: a float for counters and up-down counters, a histogram where
            the exporter's contract asks for cumulative ones; None for gauges.
        series_id: The buffer's id of the series; rises with first appearance.
    """

    series: Series
    value: "float | Histogram"
    count: int = 1
    total: "float | Histogram | None" = None
    series_id: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """A closed interval ``[start, end)`` and all points in it; never changes.

    Attributes:
        id: Rises by one in the buffer; (buffer id, window id) names its content.
        start_unix_ns: Nanoseconds since 1970.
        end_unix_ns: Nanoseconds since 1970; above the start.
        points: At most one for each series.
        epoch: Rises by one at each large step of the wall clock; windows of
            different epochs may overlap.
        measurements: Recorded values in it, for the books.
    """

    id: int
    start_unix_ns: int
    end_unix_ns: int
    points: Sequence[Point] = ()
    epoch: int = 0
    measurements: int = 0


@dataclass(frozen=True, slots=True)
class Resource:
    """Who speaks: ``service.name``, ``host.name``, ``service.instance.id``, ..."""

    attributes: Attributes = field(default_factory=dict)

    @property
    def service(self) -> str:
        """The service's name, or ``unknown_service``."""
        return str(self.attributes.get("service.name", "unknown_service"))


@dataclass(frozen=True, slots=True)
class Retention:
    """How much a buffer may keep: what is asked for, and what the buffer goes by.

    Attributes:
        max_bytes: Most bytes of buffer file and write-ahead log; 1 MiB or more.
        max_age_s: Undelivered data older than this is dropped and counted, seconds;
            60 or more.
        tail_s: Delivered windows keep their resolution for so long, seconds; then they
            are rolled up to a minute.
        minutes_s: Delivered minutes, events and spans are kept for so long, seconds;
            then minutes are rolled up to an hour.
        keep_s: Delivered hours are kept for so long, seconds.
    """

    max_bytes: int = 64 << 20
    max_age_s: float = 7 * 86_400.0
    tail_s: float = 900.0
    minutes_s: float = 7_200.0
    keep_s: float = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where every series of a buffer stands: what somebody who scrapes wants to see.

    Attributes:
        resource: Who speaks.
        points: In order of the series' first appearance. A sum's value and total are
            its running total, a histogram's likewise; a gauge's value is its last.
        time_unix_ns: End of the last closed window; 0 before the first.
    """

    resource: Resource
    points: Sequence[Point] = ()
    time_unix_ns: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """What an exporter is handed: closed windows, events and spans, oldest first.

    The same records always make the same batch key, so that a receiver with a
    place for an idempotency key can refuse a repetition.

    Attributes:
        buffer_id: 32 hex digits, drawn when the buffer file was made.
        resource: Who speaks.
        windows: Ids rising.
        events: Numbers rising.
        spans: Numbers rising.
        began_unix_ns: When the buffer was made, nanoseconds since 1970: every running
            total counts from there, over all processes and restarts; 0 when unknown.
    """

    buffer_id: str
    resource: Resource
    windows: Sequence[Window] = ()
    events: Sequence[Event] = ()
    spans: Sequence[Span] = ()
    began_unix_ns: int = 0

    def __len__(self) -> int:
        """Records in the batch: points, events and spans."""
        points = sum(len(window.points) for window in self.windows)
        return points + len(self.events) + len(self.spans)

    @property
    def key(self) -> str:
        """Idempotency key, the same whenever the same records are sent again."""
        windows = [window.id for window in self.windows]
        events = [event.number for event in self.events]
        spans = [span.number for span in self.spans]
        ranges = (
            f"{prefix}{numbers[0]}-{numbers[-1]}.{len(numbers)}"
            for prefix, numbers in (("w", windows), ("e", events), ("s", spans))
            if numbers
        )
        return f"{self.buffer_id}:{':'.join(ranges)}:{len(self)}"


@dataclass(slots=True)
class Harvest:
    """What one drain of a process yields, and one frame of a segment holds.

    Series are named by ids that are local to the process's table: ``series[id]``.
    The table only grows; whoever writes the frame also writes the definitions that
    its reader has not seen yet.

    Attributes:
        series: The process's table of series, indexed by local id.
        sum_ids: Local ids of counters and up-down counters that changed.
        sum_values: Their deltas, in the order of sum_ids.
        sum_counts: How many ``add`` calls are behind each delta.
        gauge_ids: Local ids of gauges that were set.
        gauge_values: Their last values, in the order of gauge_ids.
        gauge_counts: How many ``set`` calls are behind each value.
        raw: (local id, values) of histograms with few values.
        single_ids: Local ids of histograms with one value, where ``raw`` is empty:
            so frames bring them.
        single_values: Their values, in the order of single_ids.
        binned: (local id, histogram) of histograms with many values.
        events: In the order of recording.
        problems: Counts since the last drain.
        spans: In the order of their ends.
        losses: (signal, reason) → records that were recorded and dropped.
        is_written: Whether a journal has it, also where ``append`` was cut short.
    """

    series: Sequence[Series] = ()
    sum_ids: "array[int]" = field(default_factory=lambda: array("I"))
    sum_values: "array[float]" = field(default_factory=lambda: array("d"))
    sum_counts: "array[int]" = field(default_factory=lambda: array("Q"))
    gauge_ids: "array[int]" = field(default_factory=lambda: array("I"))
    gauge_values: "array[float]" = field(default_factory=lambda: array("d"))
    gauge_counts: "array[int]" = field(default_factory=lambda: array("Q"))
    raw: "list[tuple[int, Sequence[float]]]" = field(default_factory=list)
    single_ids: Sequence[int] = ()
    single_values: Sequence[float] = ()
    binned: "list[tuple[int, Histogram]]" = field(default_factory=list)
    events: "list[Event]" = field(default_factory=list)
    problems: "list[Problem]" = field(default_factory=list)
    spans: "list[Span]" = field(default_factory=list)
    losses: "dict[tuple[Signal, str], int]" = field(default_factory=dict)
    is_written: bool = field(default=False, compare=False)

    def __bool__(self) -> bool:
        """True when there is anything to write."""
        return bool(
            self.sum_ids
            or self.gauge_ids
            or self.raw
            or self.single_ids
            or self.binned
            or self.events
            or self.problems
            or self.spans
            or self.losses
        )
