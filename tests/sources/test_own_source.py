"""Laws of what probekit tells of itself: the books, exact over restarts."""

import pytest

from probekit.buffer.fold import Fold
from probekit.buffer.journal.memory_journal import MemoryJournal
from probekit.buffer.store import Store
from probekit.delivery.courier import Courier
from probekit.model import Event, Harvest
from probekit.observer import Observer
from probekit.runtime.governor import Reading
from probekit.sources import buffer_source, overhead_source
from probekit.testing import MemoryExporter


class Clock:
    now_s = 0.0

    def wall_ns(self):
        return 1_700_000_000_000_000_000 + int(self.now_s * 1e9)

    def monotonic_s(self):
        return self.now_s


class Governed:
    level = 2
    cpu_ratio = 0.005
    last = Reading(1.0, 4096, 1000)
    unsynced = None


def said(observer):
    """(name, attributes without pid) → value, in one reading."""
    harvest = observer.harvest()
    found = {}
    for ids, values in (
        (harvest.sum_ids, harvest.sum_values),
        (harvest.gauge_ids, harvest.gauge_values),
    ):
        for id_, value in zip(ids, values, strict=True):
            series = harvest.series[id_]
            rest = [pair for pair in series.attributes if pair[0] != "process.pid"]
            found[(series.name, *(told for _, told in rest))] = value
    return found


def test_a_process_says_what_probekit_costs():
    """Differences from the second reading on, as all totals."""
    governed, observer = Governed(), Observer()
    source = overhead_source(governed)
    source(observer)
    first = said(observer)
    governed.last = Reading(2.0, 1024, 1500)
    source(observer)

    assert {
        ("probekit.overhead.cpu.utilization",): 0.005,
        ("probekit.overhead.level",): 2,
        ("probekit.overhead.memory.usage",): 4096,
        ("probekit.overhead.disk.io",): 1000,
    } == first
    assert 500 == said(observer)["probekit.overhead.disk.io",]


def test_where_durable_events_are_synced_it_says_how_many_were_not():
    """A number from the first on, so that none can be told from not asked."""
    governed, observer = Governed(), Observer()
    source = overhead_source(governed)
    governed.unsynced = 0
    source(observer)
    first = said(observer)
    governed.unsynced = 3
    source(observer)

    assert 0 == first["probekit.durable.unsynced",]
    assert 3 == said(observer)["probekit.durable.unsynced",]


def told(store, signal):
    """(own series, reason) → its running total, of one signal."""
    found = {}
    for point in store.snapshot().points:
        attributes = dict(point.series.attributes)
        if attributes.get("probekit.signal") == signal:
            name = point.series.name.removeprefix("probekit.")
            found[name, attributes.get("reason")] = point.total
    return found


def lead(path, clock, exporter, harvest):
    """One leader's life: fold, close, ship, read the buffer's state, close."""
    store, journal = Store(path, clock=clock), MemoryJournal()
    store.open()
    store.register(["memory"])
    try:
        fold = Fold(store, journal, interval_s=10.0, clock=clock)
        courier = Courier("memory", exporter, store, clock=clock)
        observer = Observer(standing=store.standing)
        source = buffer_source(store.status)
        for _ in range(2):  # the second time nothing new has happened
            journal.append(harvest)
            harvest = Harvest()
            fold.read()
            fold.close()
            while not courier.is_idle:
                courier.step()
            source(observer)
            fold.add(observer.harvest())
            fold.close()
        return told(store, "events"), store.status().accounts["events"]
    finally:
        store.close()


def test_the_counters_follow_the_books_over_restarts(tmp_path):
    """Recorded, delivered, stored and dropped, as told, are those of the books."""
    clock, exporter = Clock(), MemoryExporter()
    for turn in (1, 2, 3):
        harvest = Harvest(events=[Event(n, "e") for n in range(4)])
        harvest.losses["events", "queue_full"] = 3
        own, books = lead(tmp_path / "buffer.db", clock, exporter, harvest)

        assert 7 * turn == books.recorded == own["records.recorded", None]
        assert 4 * turn == books.delivered == own["records.delivered", None]
        assert 0 == books.stored == own["buffer.size", None]
        assert 3 * turn == own["buffer.dropped", "queue_full"]
        assert {"queue_full": 3 * turn} == books.dropped


@pytest.mark.parametrize("failing", [True, False])
def test_each_exporter_says_how_it_is(failing):
    """Whether it fails, and what waits for it."""
    from probekit.buffer.status import BufferStatus, ExporterStatus

    exporter = ExporterStatus(
        "tcp://h:1", lag_windows=3, lag_s=30.0, dead_letters=2,
        last_error="no route" if failing else "",
    )  # fmt: skip
    observer = Observer()
    status = BufferStatus(":memory:", "id", {}, (exporter,), 1000, 500)
    buffer_source(lambda: status)(observer)

    assert {
        ("probekit.export.lag", "tcp://h:1"): 30.0,
        ("probekit.export.waiting", "tcp://h:1"): 3,
        ("probekit.export.refused", "tcp://h:1"): 2,
        ("probekit.export.failing", "tcp://h:1"): failing,
        ("probekit.buffer.bytes",): 1500,
        ("probekit.buffer.oldest_age",): 0.0,
    } == said(observer)
