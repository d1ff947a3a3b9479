"""What a buffer in memory still holds, as harvests: for the file that takes over.

A buffer in memory stands in for a file that could not be used. Once the file can be,
this room says what nobody has been given yet, window by window, so that it can be
written as if it had been recorded into the file.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from probekit.histogram import Histogram
from probekit.model import Batch, Harvest, Point
from probekit.observer import SeriesTable
from probekit.ports import DeliveryContract

if TYPE_CHECKING:
    from probekit.buffer.store import Store

Aged: TypeAlias = "tuple[int, Harvest]"

_READER = "probekit.remains"
_LIMIT = 4000  # records of one harvest


def remains(store: "Store") -> "Iterator[Aged]":
    """What is left in *store*, from where its slowest exporter stands.

    What one exporter has and another has not yet is among it: nothing is lost, and
    the quicker one gets it again. Dropped records keep their number and reason, and
    up-down counters their level. Reading moves a cursor: the store is of no other use
    afterwards.

    Yields:
        (when it was recorded, nanoseconds since 1970; harvest), oldest first.

    Raises:
        BufferFailed: It cannot be read.

    """
    table = SeriesTable()
    contract = DeliveryContract(max_records=_LIMIT)
    levels = _levels(store, table)
    for at_ns, harvest in _stored(store, table, contract):
        for slot, value in zip(harvest.sum_ids, harvest.sum_values, strict=True):
            if slot in levels:
                levels[slot] -= value
        yield at_ns, harvest
    rest = Harvest(series=table.series)
    _carry(rest, store, levels)
    if rest:
        yield store.now_ns(), rest


def _levels(store: "Store", table: SeriesTable) -> "dict[int, float]":
    """Up-down counters mean nothing without where they stand."""
    return {
        table.intern(point.series): point.value
        for point in store.snapshot().points
        if point.series.kind == "up_down_counter"
        and not isinstance(point.value, Histogram)
    }


def _stored(
    store: "Store",
    table: SeriesTable,
    contract: DeliveryContract,
) -> "Iterator[Aged]":
    store.stand_with_the_slowest(_READER)
    while True:
        parcel = store.next_batch(_READER, contract, limit=_LIMIT)
        if parcel is None:
            return
        yield from _harvests(parcel, table, store.now_ns())
        store.advance(_READER, parcel)


def _harvests(batch: Batch, table: SeriesTable, now_ns: int) -> "Iterator[Aged]":
    for window in batch.windows:
        harvest = Harvest(series=table.series)
        for point in window.points:
            _put(harvest, table.intern(point.series), point)
        yield (window.start_unix_ns + window.end_unix_ns) // 2, harvest
    if batch.events or batch.spans:
        events, spans = list(batch.events), list(batch.spans)
        yield now_ns, Harvest(series=table.series, events=events, spans=spans)


def _put(harvest: Harvest, slot: int, point: Point) -> None:
    if isinstance(point.value, Histogram):
        harvest.binned.append((slot, point.value))
    elif point.series.kind == "gauge":
        harvest.gauge_ids.append(slot)
        harvest.gauge_values.append(point.value)
        harvest.gauge_counts.append(point.count)
    else:
        harvest.sum_ids.append(slot)
        harvest.sum_values.append(point.value)
        harvest.sum_counts.append(point.count)


def _carry(harvest: Harvest, store: "Store", levels: "dict[int, float]") -> None:
    """What is no record: levels that were delivered, losses, groups of errors."""
    for slot, value in levels.items():
        if value:
            harvest.sum_ids.append(slot)
            harvest.sum_values.append(value)
            harvest.sum_counts.append(0)
    for signal, account in store.status().accounts.items():
        for reason, count in account.dropped.items():
            harvest.losses[signal, reason] = count
    harvest.problems = store.problems()
