"""A refused batch as text, for the people who will look at it."""

import json
from typing import Any

from probekit.buffer.cursors import DEAD_LETTER_BYTES
from probekit.buffer.parcel import Parcel
from probekit.buffer.records import event_row, span_row
from probekit.histogram import Histogram
from probekit.model import Point, Window


def letter(parcel: Parcel) -> str:
    """JSON of a parcel, cut to 1 MiB at the border of a record."""
    records: list[Any] = [
        {"window": _window(window), "point": _point(point)}
        for window in parcel.windows
        for point in window.points
    ]
    records += [{"event": event_row(e), "number": e.number} for e in parcel.events]
    records += [{"span": span_row(s), "number": s.number} for s in parcel.spans]
    kept: list[str] = []
    left = DEAD_LETTER_BYTES - 64
    for record in records:
        text = json.dumps(record, default=lambda v: f"<{type(v).__name__}>")
        left -= len(text) + 1
        if left < 0:
            kept.append(json.dumps({"cut": len(records) - len(kept)}))
            break
        kept.append(text)
    return f'{{"key": "{parcel.key}", "records": [{",".join(kept)}]}}'


def _window(window: Window) -> "list[Any]":
    return [window.id, window.start_unix_ns, window.end_unix_ns, window.epoch]


def _point(point: Point) -> "dict[str, Any]":
    value = point.value
    shown: Any = value
    if isinstance(value, Histogram):
        shown = {
            "count": value.count,
            "sum": value.sum,
            "min": value.min,
            "max": value.max,
        }
    return {
        "name": point.series.name,
        "attributes": dict(point.series.attributes),
        "value": shown,
        "count": point.count,
    }
