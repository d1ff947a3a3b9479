"""From a batch to documents with ids of their own; pure.

A document's id is made of the buffer and the window and series, or the number, so the
same record always has the same id. The fields are in ``mappings``.
"""

import hashlib
import re
from dataclasses import dataclass

from probekit.exporters.cache import SeriesCache
from probekit.exporters.figures import windowed
from probekit.exporters.jsonlines import attributes_text
from probekit.exporters.naming import Names, Naming
from probekit.exporters.text import (
    SPAN_KINDS,
    SPAN_STATUSES,
    host_of,
    number,
    rfc3339,
    severity_word,
    word_of,
)
from probekit.model import Attributes, Batch, Event, Resource, Series, Signal, Span

# Dots at an edge or side by side would be fields without names; ES refuses them.
KEYS = Naming(
    re.compile(r"^[\s.]+|[\s.]+$|\.(?=\.)|[\x00-\x1f\x7f\ud800-\udfff]+"), limit=256
)
_LAST_NS = 2**63 - 1  # date_nanos ends in 2262


@dataclass(frozen=True, slots=True)
class Document:
    """What is stored of one record.

    Attributes:
        signal: Which data stream it belongs to.
        id: The same for the same record, at most 512 bytes of ASCII.
        source: One line of JSON.
    """

    signal: Signal
    id: str
    source: str


class Documents:
    """Makes documents; keeps what it made of each series."""

    __slots__ = ("_heads", "_keys", "_resource")

    def __init__(self) -> None:
        """Start with an empty memory."""
        self._resource = Resource()
        self._keys = Names()
        self._heads: SeriesCache[tuple[str, str]] = SeriesCache(self._head)

    def of(self, batch: Batch) -> "list[Document]":
        """One document for each point, event and span, in this order.

        Raises:
            Rejected: A number is not finite.

        """
        if batch.resource != self._resource:
            self._resource = batch.resource
            self._heads = SeriesCache(self._head)
        found: list[Document] = []
        for window in batch.windows:
            times = (
                f'{{"@timestamp":"{_when(window.end_unix_ns)}",'
                f'"start":"{_when(window.start_unix_ns)}","window":{window.id},'
            )
            start = f"{batch.buffer_id}-w{window.id}-"
            for point in window.points:
                key, head = self._heads.of(point)
                figures = ",".join(
                    f'"{name}":{number(value)!r}' for name, value in windowed(point)
                )
                source = f"{times}{head}{figures}}}"
                found.append(Document("metrics", start + key, source))
        for event in batch.events:
            key = f"{batch.buffer_id}-e{event.number}"
            found.append(Document("events", key, self._event(event)))
        for span in batch.spans:
            key = f"{batch.buffer_id}-s{span.number}"
            found.append(Document("spans", key, self._span(span)))
        return found

    def _who(self) -> "dict[str, str]":
        return {"service": self._resource.service, "host": host_of(self._resource)}

    def _head(self, series: Series) -> "tuple[str, str]":
        """A hash that stands for the series, and its part of every document."""
        spelled = repr((series.name, series.kind, series.unit, series.attributes))
        spelled += repr(tuple(self._who().items()))
        raw = spelled.encode("utf-8", "surrogatepass")
        head = self._open(
            {
                **self._who(),
                "name": series.name,
                "kind": series.kind,
                "unit": series.unit,
            },
            dict(series.attributes),
        )
        return hashlib.blake2b(raw, digest_size=16).hexdigest(), head + ","

    def _open(self, plain: Attributes, attributes: Attributes) -> str:
        """The inside of a document, without its braces."""
        held = self._attributes(attributes)
        return f'{attributes_text(plain)[1:-1]},"attributes":{held}'

    def _attributes(self, attributes: Attributes) -> str:
        clean = {
            self._keys.unique(KEYS.of(name), name): value
            for name, value in attributes.items()
        }
        return attributes_text(clean) or "{}"

    def _event(self, event: Event) -> str:
        plain: Attributes = {
            **self._who(),
            "name": event.name,
            "message": event.body,
            "severity": severity_word(event.severity),
            "severity_number": event.severity,
            "trace_id": event.trace_id,
            "span_id": event.span_id,
        }
        when = f'{{"@timestamp":"{_when(event.time_unix_ns)}",'
        return f"{when}{self._open(plain, event.attributes)}}}"

    def _span(self, span: Span) -> str:
        plain: Attributes = {
            **self._who(),
            "name": span.name,
            "kind": word_of(SPAN_KINDS, span.kind),
            "status": word_of(SPAN_STATUSES, span.status),
            "status_message": span.status_message,
            "trace_id": span.trace_id,
            "span_id": span.span_id,
            "parent_span_id": span.parent_span_id,
            "duration_s": (span.end_unix_ns - span.start_unix_ns) / 1e9,
        }
        when = (
            f'{{"@timestamp":"{_when(span.start_unix_ns)}",'
            f'"end":"{_when(span.end_unix_ns)}",'
        )
        events = ",".join(
            f'{{"@timestamp":"{_when(event.time_unix_ns)}",'
            f"{self._open({'name': event.name}, event.attributes)}}}"
            for event in span.events
        )
        links = ",".join(
            "{"
            + self._open(
                {"trace_id": link.trace_id, "span_id": link.span_id}, link.attributes
            )
            + "}"
            for link in span.links
        )
        inside = self._open(plain, span.attributes)
        return f'{when}{inside},"events":[{events}],"links":[{links}]}}'


def _when(time_unix_ns: int) -> str:
    return rfc3339(min(time_unix_ns, _LAST_NS))
