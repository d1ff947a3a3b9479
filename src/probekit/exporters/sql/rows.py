"""From a batch to rows of our tables; pure.

A series' key is a hash of who speaks and everything that makes the series, types
included, so two series never share a row. What no database stores as text (NUL, halves
of surrogate pairs) becomes U+FFFD.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable

from probekit.exporters.cache import SeriesCache
from probekit.exporters.figures import windowed
from probekit.exporters.jsonlines import attributes_text, buckets_text
from probekit.exporters.text import (
    SPAN_KINDS,
    SPAN_STATUSES,
    host_of,
    severity_word,
    word_of,
)
from probekit.histogram import Histogram
from probekit.model import (
    Attributes,
    AttributeValue,
    Batch,
    Event,
    Point,
    Resource,
    Series,
    Span,
)

Row = dict[str, object]
_HIGHEST = 2**63 - 1
_LAST_S = 253_402_300_799  # the end of the year 9999
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_FIGURES = ("value", "total", "sum", "min", "max", "p50", "p90", "p95", "p99")


class Rows:
    """Makes rows; keeps what it made of each series."""

    __slots__ = ("_resource", "_series")

    def __init__(self) -> None:
        """Start with an empty memory."""
        self._resource = Resource()
        self._series: SeriesCache[Row] = SeriesCache(self._of_series)

    def of(self, batch: Batch) -> "dict[str, list[Row]]":
        """Table → rows in the order of their keys; tables without rows are left out.

        Raises:
            Rejected: A number is not finite.

        """
        if batch.resource != self._resource:
            self._resource = batch.resource
            self._series = SeriesCache(self._of_series)
        series: dict[object, Row] = {}
        points: list[Row] = []
        for window in batch.windows:
            common: Row = {
                "buffer_id": batch.buffer_id,
                "window_id": window.id,
                "time": moment(window.end_unix_ns),
                "start_unix_ns": window.start_unix_ns,
                "end_unix_ns": window.end_unix_ns,
            }
            for point in window.points:
                row = self._series.of(point)
                key = row["series_key"]
                seen = {"last_seen_unix_ns": window.end_unix_ns}
                series[key] = {**row, **seen}
                points.append({**common, "series_key": key, **_figures(point)})
        who: Row = {
            "buffer_id": batch.buffer_id,
            "service": text(batch.resource.service),
            "host": text(host_of(batch.resource)),
        }
        # One order for everybody: two applications never lock rows crosswise.
        found = {
            "series": [series[key] for key in sorted(series, key=str)],
            "points": points,
            "events": [{**who, **_event(event)} for event in batch.events],
            "spans": [{**who, **_span(span)} for span in batch.spans],
        }
        return {name: rows for name, rows in found.items() if rows}

    def _of_series(self, series: Series) -> Row:
        service, host = self._resource.service, host_of(self._resource)
        identity = (service, host, series.name, series.kind, series.unit)
        spelled = repr((*identity, series.attributes)).encode("utf-8", "surrogatepass")
        return {
            "series_key": hashlib.blake2b(spelled, digest_size=16).hexdigest(),
            "service": text(service),
            "host": text(host),
            "name": text(series.name),
            "kind": series.kind,
            "unit": text(series.unit),
            "description": text(series.description),
            "attributes": json_of(dict(series.attributes)),
            "resource": json_of(self._resource.attributes),
        }


def _figures(point: Point) -> Row:
    found: Row = dict.fromkeys(_FIGURES)
    found.update(windowed(point), count=point.count, buckets=None)
    if isinstance(point.value, Histogram):
        found.update(count=point.value.count, buckets=buckets_text(point.value))
    elif point.series.kind == "up_down_counter":
        found.update(value=point.value, total=point.total)
    return found


def _event(event: Event) -> Row:
    return {
        "number": event.number,
        "time": moment(event.time_unix_ns),
        "time_unix_ns": _bigint(event.time_unix_ns),
        "name": text(event.name),
        "severity": severity_word(event.severity) or str(event.severity)[:16],
        "body": text(event.body),
        "trace_id": text(event.trace_id),
        "span_id": text(event.span_id),
        "attributes": json_of(event.attributes),
    }


def _span(span: Span) -> Row:
    return {
        "number": span.number,
        "time": moment(span.start_unix_ns),
        "time_unix_ns": _bigint(span.start_unix_ns),
        "name": text(span.name),
        "kind": word_of(SPAN_KINDS, span.kind)[:16],
        "duration_s": (span.end_unix_ns - span.start_unix_ns) / 1e9,
        "status": word_of(SPAN_STATUSES, span.status)[:16],
        "status_message": text(span.status_message),
        "trace_id": text(span.trace_id),
        "span_id": text(span.span_id),
        "parent_span_id": text(span.parent_span_id),
        "attributes": json_of(span.attributes),
        "events": _listed(
            ({"name": event.name, "time_unix_ns": event.time_unix_ns}, event.attributes)
            for event in span.events
        ),
        "links": _listed(
            ({"trace_id": link.trace_id, "span_id": link.span_id}, link.attributes)
            for link in span.links
        ),
    }


def _listed(items: "Iterable[tuple[dict[str, AttributeValue], Attributes]]") -> str:
    found = (
        f'{json_of(item)[:-1]},"attributes":{json_of(attributes)}}}'
        for item, attributes in items
    )
    return f"[{','.join(found)}]"


def moment(time_unix_ns: int) -> dt.datetime:
    """*time_unix_ns* for a column of times: UTC, microseconds, within the calendar.

    Example:
        >>> moment(1_700_000_000_123_456_789).isoformat()
        '2023-11-14T22:13:20.123456+00:00'

    """
    seconds, nanoseconds = divmod(max(time_unix_ns, 0), 10**9)
    if seconds > _LAST_S:
        seconds, nanoseconds = _LAST_S, 0
    return _EPOCH + dt.timedelta(seconds=seconds, microseconds=nanoseconds // 1000)


def _bigint(value: int) -> int:
    return min(max(value, -_HIGHEST), _HIGHEST)


def text(value: str) -> str:
    r"""*value* as every database stores it.

    Example:
        >>> text("a\0b\ud83d")
        'a\ufffdb\ufffd'

    """
    if value.isascii() and "\0" not in value:
        return value
    whole = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\0", "\ufffd")


def json_of(attributes: Attributes) -> str:
    r"""*attributes* as one JSON object in ASCII, without the NUL that jsonb refuses.

    Example:
        >>> json_of({"a": "x\0", "n": 1}), json_of({})
        ('{"a":"x\\ufffd","n":1}', '{}')

    """
    clean = {text(name): _clean(value) for name, value in attributes.items()}
    return attributes_text(clean) or "{}"


def _clean(value: AttributeValue) -> AttributeValue:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, (bool, int, float)):
        return value
    return tuple(text(item) if isinstance(item, str) else item for item in value)
