"""What a fold commits in one transaction, and what it finds when it begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from probekit.buffer.cumulative import copy_of
from probekit.buffer.rows import Facts
from probekit.errors import BufferFailed
from probekit.histogram import Histogram
from probekit.model import Point, Problem, Series, Signal, Window


class Superseded(BufferFailed):
    """Somebody committed since this fold last looked: it must begin from the file."""


@dataclass(slots=True)
class ClosedCell:
    """A window that has ended and has no id yet.

    Attributes:
        start_ns: Nanoseconds since 1970.
        end_ns: Nanoseconds since 1970; above the start.
        epoch: Number of the clock's epoch.
        points: (series, value, measurements), at most one for each series.
        measurements: Recorded values in it.
    """

    start_ns: int
    end_ns: int
    epoch: int
    points: "list[tuple[Series, float | Histogram, int]]"
    measurements: int


@dataclass(slots=True)
class SegmentRow:
    """How far a segment is folded.

    Attributes:
        name: The file's name.
        stream: The stream it belongs to.
        offset: All before it is folded.
        ids: The series of each local id, None where there is none; None altogether
            when nothing changed since the last commit.
    """

    name: str
    stream: str
    offset: int
    ids: "Sequence[Series | None] | None"


@dataclass(slots=True)
class StreamRow:
    """One process's life: what comes next, and what to take back at its end.

    Attributes:
        id: Sixteen hex digits.
        sequence: The number that the next frame should have.
        nets: Series that end with the process → what it has added on balance.
    """

    id: str
    sequence: int
    nets: "Mapping[Series, float]" = field(default_factory=dict)


@dataclass(slots=True)
class Closing:
    """One commit.

    Attributes:
        generation: Commits so far, as this fold knows them.
        epoch: Number of the clock's epoch at the end.
        end_ns: Where the next window starts, nanoseconds since 1970.
        cells: Windows, oldest first.
        events: In the order of reading.
        spans: Likewise.
        losses: (signal, reason) → records; recorded and dropped.
        gone_segments: Names to forget.
        gone_streams: Ids to forget.
    """

    generation: int
    epoch: int
    end_ns: int
    cells: "list[ClosedCell]" = field(default_factory=list)
    events: "list[Facts]" = field(default_factory=list)
    spans: "list[Facts]" = field(default_factory=list)
    problems: "list[Problem]" = field(default_factory=list)
    losses: "dict[tuple[Signal, str], int]" = field(default_factory=dict)
    segments: "list[SegmentRow]" = field(default_factory=list)
    streams: "list[StreamRow]" = field(default_factory=list)
    gone_segments: "list[str]" = field(default_factory=list)
    gone_streams: "list[str]" = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything to commit."""
        return bool(
            self.cells
            or self.events
            or self.spans
            or self.problems
            or self.losses
            or self.segments
            or self.streams
            or self.gone_segments
            or self.gone_streams,
        )


@dataclass(slots=True)
class Folded:
    """What was committed last.

    Attributes:
        buffer_id: The file's identity.
        generation: Commits so far.
        epoch: Number of the clock's epoch.
        end_ns: End of the last window, nanoseconds since 1970; 0 for none.
        segments: By name.
        streams: By id.
    """

    buffer_id: str
    generation: int
    epoch: int
    end_ns: int
    segments: "dict[str, SegmentRow]"
    streams: "dict[str, StreamRow]"


@dataclass(frozen=True, slots=True)
class FoldState:
    """What one reading found.

    Attributes:
        ship_now: A frame that is not yet committed asks to be shipped at once.
        records_waiting: Records folded and not yet committed.
        closed: Windows were closed early because memory would have grown too much.
    """

    ship_now: bool = False
    records_waiting: int = 0
    closed: bool = False


def open_window(cell: ClosedCell) -> Window:
    """A window that is still open, for live views; its histograms are copies."""
    points = tuple(
        Point(series, copy_of(value) if isinstance(value, Histogram) else value, count)
        for series, value, count in cell.points
    )
    return Window(
        0,
        cell.start_ns,
        cell.end_ns,
        points,
        cell.epoch,
        cell.measurements,
    )
