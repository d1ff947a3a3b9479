"""A batch with the cursor that stands behind it.

Pure: cutting a parcel in two is arithmetic over what it holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from probekit.model import Batch, Window

WHOLE = 1 << 62  # above any series id: all of the window


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far an exporter has come; all that lies at or before it is delivered.

    Attributes:
        window: Last window of which anything is delivered.
        series: Last series of it that is delivered; ``WHOLE`` for all.
        event: Last event's number.
        span: Last span's number.
    """

    window: int = 0
    series: int = WHOLE
    event: int = 0
    span: int = 0

    @property
    def whole_window(self) -> int:
        """Last window that is delivered to its end."""
        return self.window if self.series >= WHOLE else self.window - 1

    def after(self, other: "Cursor") -> "Cursor":
        """The farther of both, signal by signal."""
        window, series = max((self.window, self.series), (other.window, other.series))
        event, span = max(self.event, other.event), max(self.span, other.span)
        return Cursor(window, series, event, span)


@dataclass(frozen=True, slots=True)
class Parcel(Batch):
    """What one exporter is to send next.

    Attributes:
        since: The cursor that stood before it.
        through: Where the cursor stands once the parcel is delivered.
    """

    since: Cursor = field(default_factory=Cursor)
    through: Cursor = field(default_factory=Cursor)

    @property
    def key(self) -> str:
        """Idempotency key; parts of one window have keys of their own."""
        key: str = Batch.key.__get__(self)
        parts = [
            f"{points[0].series_id}-{points[-1].series_id}"
            for points in (window.points for window in self.windows)
            if points
        ]
        return f"{key}:p{parts[0]}:{parts[-1]}" if parts else key

    def halves(self) -> "tuple[Parcel, ...]":
        """Cut the parcel in two, in the order of its records.

        Returns:
            Two parcels of nearly the same number of records, to be sent and advanced
            in this order; the parcel alone when it holds a single record.

        """
        records = len(self)
        if records < 2:  # noqa: PLR2004 - one record cannot be cut
            return (self,)
        middle = records // 2
        windows = _split_windows(self.windows, middle)
        points = sum(len(window.points) for window in self.windows)
        event_cut = min(max(middle - points, 0), len(self.events))
        span_cut = min(max(middle - points - len(self.events), 0), len(self.spans))
        cut = _cursor_at(self, windows, event_cut, span_cut)
        first = replace(
            self,
            windows=windows[0],
            events=self.events[:event_cut],
            spans=self.spans[:span_cut],
            through=cut,
        )
        second = replace(
            self,
            windows=windows[1],
            events=self.events[event_cut:],
            spans=self.spans[span_cut:],
            since=cut,
        )
        return first, second


def _split_windows(
    windows: "Sequence[Window]",
    middle: int,
) -> "tuple[tuple[Window, ...], tuple[Window, ...]]":
    """The first *middle* points, and the others; a window may lie in both."""
    first, second, left = [], [], middle
    for window in windows:
        size = len(window.points)
        if left >= size and left:
            first.append(window)
        elif left:
            first.append(replace(window, points=tuple(window.points[:left])))
            second.append(replace(window, points=tuple(window.points[left:])))
        else:
            second.append(window)
        left = max(0, left - size)
    return tuple(first), tuple(second)


def _cursor_at(
    parcel: Parcel,
    windows: "tuple[tuple[Window, ...], tuple[Window, ...]]",
    event_cut: int,
    span_cut: int,
) -> Cursor:
    first, second = windows
    cut = parcel.since
    window, series = cut.window, cut.series
    if not second:  # all points are in the first half
        window, series = parcel.through.window, parcel.through.series
    elif first and first[-1].id == second[0].id:
        window, series = first[-1].id, first[-1].points[-1].series_id
    elif first:
        window, series = first[-1].id, WHOLE
    event = parcel.events[event_cut - 1].number if event_cut else cut.event
    span = parcel.spans[span_cut - 1].number if span_cut else cut.span
    return Cursor(window, series, event, span)
