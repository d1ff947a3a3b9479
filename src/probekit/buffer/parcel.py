"""A batch with the cursor that stands behind it.

Pure: cutting a parcel in two is arithmetic over what it holds.
"""

from dataclasses import dataclass, field, replace

from probekit.model import Batch, Event, Point, Span, Window


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """How far an exporter has come; all that lies at or before it is delivered.

    Attributes:
        window: Last window that is delivered as a whole.
        series: Last series delivered of the window after it; 0 for none.
        event: Last event's number.
        span: Last span's number.
    """

    window: int = 0
    series: int = 0
    event: int = 0
    span: int = 0

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
        key = Batch.key.__get__(self)
        parts = [
            f"{points[0].series_id}-{points[-1].series_id}"
            for points in (window.points for window in self.windows)
            if points
        ]
        return f"{key}:p{parts[0]}:{parts[-1]}" if parts else str(key)

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
    windows: "tuple[Window, ...] | object",
    middle: int,
) -> "tuple[tuple[Window, ...], tuple[Window, ...]]":
    raise NotImplementedError


def _cursor_at(
    parcel: Parcel,
    windows: "tuple[tuple[Window, ...], tuple[Window, ...]]",
    event_cut: int,
    span_cut: int,
) -> Cursor:
    raise NotImplementedError


__all__ = ["Cursor", "Event", "Parcel", "Point", "Span"]
