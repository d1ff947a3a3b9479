"""Loki's push body: streams of (time, JSON line) pairs; pure.

A stream's labels are ``service_name``, ``host``, ``kind`` (``event`` or ``metric``),
``level`` and those of the URL: few, as Loki wants them. A line is the one of
:mod:`probekit.exporters.jsonlines`, so that LogQL's ``| json`` finds every attribute.
"""

import json
import re
from collections.abc import Iterator

from probekit.exporters.jsonlines import JsonLines
from probekit.exporters.naming import Naming
from probekit.exporters.text import host_of, severity_word
from probekit.model import Batch

LABEL = Naming(re.compile(r"[^A-Za-z0-9_]+|^(?=[0-9])|^_+"))
Entries = dict[tuple[str, str], list[tuple[int, str]]]


class LokiStreams:
    """Encodes batches.

    Args:
        labels: Added to every stream; names are cleaned.
    """

    __slots__ = ("_labels", "_lines")

    def __init__(self, labels: "dict[str, str] | None" = None) -> None:
        """Start with an empty memory."""
        self._labels = {LABEL.of(name): text for name, text in (labels or {}).items()}
        self._lines = JsonLines()

    def body(self, batch: Batch) -> bytes:
        """One JSON object; entries of a stream in order of time; empty for none."""
        streams: Entries = {}
        for kind, level, time_ns, line in self._entries(batch):
            streams.setdefault((kind, level), []).append((time_ns, line))
        if not streams:
            return b""
        return json.dumps(
            {
                "streams": [
                    {
                        "stream": self._stream(batch, kind, level),
                        "values": [[str(time), line] for time, line in sorted(entries)],
                    }
                    for (kind, level), entries in sorted(streams.items())
                ]
            },
            separators=(",", ":"),
        ).encode("ascii")

    def _entries(self, batch: Batch) -> "Iterator[tuple[str, str, int, str]]":
        events = self._lines.lines(
            Batch(batch.buffer_id, batch.resource, (), batch.events)
        )
        for event, line in zip(batch.events, events, strict=True):
            level = severity_word(event.severity).lower() or "info"
            yield "event", level, event.time_unix_ns, line.decode("ascii")
        for window in batch.windows:
            one = Batch(batch.buffer_id, batch.resource, (window,))
            for line in self._lines.lines(one):
                yield "metric", "info", window.end_unix_ns, line.decode("ascii")

    def _stream(self, batch: Batch, kind: str, level: str) -> "dict[str, str]":
        host = host_of(batch.resource)
        labels = {"service_name": batch.resource.service, "kind": kind, "level": level}
        labels |= {"host": host} if host else {}
        # Halves of surrogate pairs are no text to anybody.
        return {
            name: text.encode("utf-8", "replace").decode()
            for name, text in {**labels, **self._labels}.items()
        }
