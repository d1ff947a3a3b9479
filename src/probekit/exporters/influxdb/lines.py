r"""InfluxDB's line protocol: ``measurement,tag=value field=number time``; pure.

A point is one line: its measurement is the metric's name, its tags are ``host``,
``service``, the tags of the URL and the attributes, its fields are those of
:func:`probekit.exporters.figures.windowed`, always floats (a field's type is fixed by
the first write). The time is the end of the window.

An event is a line of the measurement ``events`` with the tags ``name`` and
``severity`` and text fields. InfluxDB keeps one line for a series and time, so the last
three digits of an event's nanoseconds are those of its number: two events never share
a line, and a repeated one replaces itself.

Commas, spaces and equals signs are escaped; what the protocol cannot carry (control
characters, backslashes, halves of surrogate pairs) becomes an underscore.
"""

import re

from probekit.exporters.cache import SeriesCache
from probekit.exporters.figures import windowed
from probekit.exporters.jsonlines import attributes_text
from probekit.exporters.naming import Names, Naming
from probekit.exporters.text import host_of, severity_word, word
from probekit.model import AttributeValue, Batch, Event, Resource, Series, Snapshot

Tags = tuple[tuple[str, str], ...]
PER_PRECISION = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029\ud800-\udfff]+")
_TEXT = Naming(_FORBIDDEN)
_MEASUREMENT = Naming(re.compile(rf"^#|{_FORBIDDEN.pattern}"))
_ESCAPES = str.maketrans({",": "\\,", " ": "\\ ", "=": "\\="})
_NAME_ESCAPES = str.maketrans({",": "\\,", " ": "\\ "})
_FIELD_ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\"})
# InfluxDB refuses a tag called time; 2.x keeps the other two for itself.
_RESERVED = frozenset({"time", "_measurement", "_field"})
_EVENT_SPREAD_NS = 1000


class InfluxLines:
    """Encodes batches.

    Args:
        prefix: Put before every measurement, as it stands.
        precision: Unit of the times, a key of :data:`PER_PRECISION`.
        tags: Added to every line.
    """

    __slots__ = ("_common", "_heads", "_measurement", "_names", "_per", "_tags")

    def __init__(
        self, *, prefix: str = "", precision: str = "ns", tags: "Tags" = ()
    ) -> None:
        """Start with an empty memory."""
        self._measurement = Naming(_MEASUREMENT.forbidden, prefix=prefix)
        self._per = PER_PRECISION[precision]
        self._tags = tags
        self._common: Tags = ()
        self._names = Names()
        self._heads: SeriesCache[str] = SeriesCache(self._head)

    def learn(self, snapshot: Snapshot) -> None:
        """Name every series in the order of the snapshot."""
        self._speak_for(snapshot.resource)
        for point in snapshot.points:
            self._heads.of(point)

    def lines(self, batch: Batch) -> "list[bytes]":
        """One line for each point and event, in this order, without line ends.

        Raises:
            Rejected: A number is not finite.

        """
        self._speak_for(batch.resource)
        found = []
        for window in batch.windows:
            time = window.end_unix_ns // self._per
            for point in window.points:
                fields = ",".join(
                    f"{name}={value!r}" for name, value in windowed(point)
                )
                found.append(f"{self._heads.of(point)} {fields} {time}")
        found += [self._event(event) for event in batch.events]
        return [line.encode("utf-8", "replace") for line in found]

    def _speak_for(self, resource: Resource) -> None:
        host = host_of(resource)
        common = (
            *((("host", host),) if host else ()),
            ("service", resource.service),
            *self._tags,
        )
        if common != self._common:
            self._common, self._names = common, Names()
            self._heads = SeriesCache(self._head)

    def _head(self, series: Series) -> str:
        name = self._measurement.of(series.name).translate(_NAME_ESCAPES)
        tags = _tags((*self._common, *series.attributes))
        key = name + tags
        unique = self._names.unique(
            key, (series.name, series.kind, series.unit, series.attributes)
        )
        return name + unique[len(key) :] + tags

    def _event(self, event: Event) -> str:
        severity = severity_word(event.severity) or "INFO"
        tags = (*self._common, ("name", event.name), ("severity", severity))
        texts = {
            "title": event.name,
            "body": event.body,
            "attributes": attributes_text(event.attributes),
            "trace_id": event.trace_id,
            "span_id": event.span_id,
        }
        fields = ",".join(
            f'{name}="{_quoted(text)}"' for name, text in texts.items() if text
        )
        time_ns = event.time_unix_ns - event.time_unix_ns % _EVENT_SPREAD_NS
        time_ns += event.number % _EVENT_SPREAD_NS
        head = self._measurement.of("events").translate(_NAME_ESCAPES) + _tags(tags)
        return f"{head} {fields} {time_ns // self._per}"


def _tags(pairs: "tuple[tuple[str, AttributeValue], ...]") -> str:
    """Tags with their commas; a key that came before gets a number."""
    found: dict[str, str] = {}
    for name, value in pairs:
        text = word(value)
        if not text:
            continue  # an empty tag is refused; no tag means the same to a reader
        key = _TEXT.of(name)
        key = key + "_" if key in _RESERVED else key
        base, step = key, 2
        while key in found:
            key, step = f"{base}_{step}", step + 1
        found[key] = _TEXT.of(text)
    return "".join(
        f",{key.translate(_ESCAPES)}={found[key].translate(_ESCAPES)}"
        for key in sorted(found)
    )


def _quoted(text: str) -> str:
    """A text field; line ends stay what they are to a reader, but not on the wire."""
    return text.replace("\r", "\\r").replace("\n", "\\n").translate(_FIELD_ESCAPES)
