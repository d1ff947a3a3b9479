"""Remembers which records of an unfinished batch the far side has already taken.

A batch is up to three requests. When the second fails, the batch comes again, as a
whole or in halves with other keys; what the first has delivered must not go twice.
"""

from collections.abc import Hashable, Iterator
from dataclasses import replace

from probekit.model import Batch, Signal

LIMIT_RECORDS = 50_000


class Delivered:
    """The records that were accepted while their batch as a whole was not.

    Args:
        limit: Records remembered; the oldest are forgotten first.
    """

    __slots__ = ("_limit", "_records")

    def __init__(self, limit: int = LIMIT_RECORDS) -> None:
        """Start empty."""
        self._limit = limit
        self._records: dict[Hashable, None] = {}

    def add(self, batch: Batch, signal: Signal) -> None:
        """The records of *signal* in *batch* were accepted."""
        for record in _identities(batch, signal):
            self._records[record] = None
        for oldest in list(self._records)[: max(0, len(self._records) - self._limit)]:
            del self._records[oldest]

    def forget(self, batch: Batch) -> None:
        """All of *batch* was accepted: it will not come again."""
        if self._records:
            for signal in ("metrics", "events", "spans"):
                for record in _identities(batch, signal):
                    self._records.pop(record, None)

    def remaining(self, batch: Batch) -> Batch:
        """*batch* without what was accepted; the same object when that is nothing."""
        known = self._records
        if not known:
            return batch
        windows = [
            replace(
                window,
                points=[
                    point
                    for point in window.points
                    if ("metrics", batch.buffer_id, window.id, point.series)
                    not in known
                ],
            )
            for window in batch.windows
        ]
        return replace(
            batch,
            windows=[window for window in windows if window.points],
            events=[
                event
                for event in batch.events
                if ("events", batch.buffer_id, event.number, event.time_unix_ns)
                not in known
            ],
            spans=[
                span
                for span in batch.spans
                if ("spans", batch.buffer_id, span.number, span.span_id) not in known
            ],
        )


def _identities(batch: Batch, signal: Signal) -> "Iterator[Hashable]":
    if signal == "metrics":
        for window in batch.windows:
            for point in window.points:
                yield "metrics", batch.buffer_id, window.id, point.series
    elif signal == "events":
        for event in batch.events:
            yield "events", batch.buffer_id, event.number, event.time_unix_ns
    else:
        for span in batch.spans:
            yield "spans", batch.buffer_id, span.number, span.span_id
