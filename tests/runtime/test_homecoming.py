"""When a process that went to memory looks for its file again, and what it carries."""

from array import array
from types import SimpleNamespace

import pytest

from probekit.buffer.fold import Fold
from probekit.buffer.journal.memory_journal import MemoryJournal
from probekit.buffer.recovery.remains import remains
from probekit.buffer.store import Store
from probekit.buffer.trouble import NotOurs
from probekit.errors import BufferFailed
from probekit.model import Event, Harvest, Series
from probekit.ports import DeliveryContract
from probekit.runtime import homecoming
from probekit.runtime.homecoming import Homecoming
from probekit.settings import load

TABLE = [Series("orders", "counter"), Series("busy", "up_down_counter")]


@pytest.fixture
def clock():
    """Moves when told."""
    made = SimpleNamespace(now_s=100.0)
    made.monotonic_s = lambda: made.now_s
    return made


def visits(path, error, clock):
    """A homecoming whose tries are noted, and all fail."""
    made = Homecoming(load(buffer=path), path, error, clock=clock)
    tried = []
    made._try = lambda: tried.append(clock.now_s)
    return made, tried


def wait(made, clock, seconds):
    for _ in range(seconds):
        clock.now_s += 1.0
        made.is_packed(SimpleNamespace(leader=None))


def test_nothing_is_opened_while_nothing_changes_but_every_half_minute(tmp_path, clock):
    """A look costs a few stats; what cannot be seen is tried after all."""
    made, tried = visits(tmp_path / "b", BufferFailed("no"), clock)
    wait(made, clock, 64)

    assert [130.0, 160.0] == tried


def test_a_foreign_file_is_opened_again_only_once_it_has_changed(tmp_path, clock):
    """Opening somebody's database touches it."""
    path = tmp_path / "b"
    path.write_bytes(b"theirs")
    made, tried = visits(path, NotOurs("theirs"), clock)
    wait(made, clock, 100)
    assert [] == tried
    path.unlink()
    wait(made, clock, int(homecoming.LOOK_S))

    assert 1 == len(tried)


def harvest(orders=0, busy=0.0, names=()):
    made = Harvest(series=TABLE, events=[Event(1, name) for name in names])
    made.sum_ids = array("I", [0, 1])
    made.sum_values = array("d", [orders, busy])
    made.sum_counts = array("Q", [orders, 1])
    return made


def test_what_no_exporter_has_is_carried_and_levels_stand_where_they_stood():
    """Delivered records stay behind; a level is a level, delivered or not."""
    store, journal = Store(None), MemoryJournal()
    store.register(["x", "y"])
    fold = Fold(store, journal)
    for given in (harvest(3, 2.0, ["old"]), harvest(4, 5.0, ["new"])):
        journal.append(given)
        fold.read()
        fold.close()
        if "old" in [event.name for event in given.events]:
            for exporter in ("x", "y"):
                parcel = store.next_batch(exporter, DeliveryContract(), limit=100)
                store.advance(exporter, parcel)
    parcel = store.next_batch("x", DeliveryContract(), limit=100)
    store.advance("x", parcel)  # y has not got it
    found = [each for _, each in remains(store)]
    sums = {}
    for each in found:
        for slot, value in zip(each.sum_ids, each.sum_values, strict=True):
            name = each.series[slot].name
            sums[name] = sums.get(name, 0.0) + value
    store.dispose()

    assert ["new"] == [event.name for each in found for event in each.events]
    assert {"orders": 4.0, "busy": 7.0} == sums
    assert 5 == sum(sum(each.sum_counts) for each in found)


def test_what_memory_dropped_keeps_its_number():
    """Losses move with the rest."""
    store, journal = Store(None), MemoryJournal()
    store.register(["x"])
    fold = Fold(store, journal)
    journal.append(Harvest(losses={("events", "disk"): 7}))
    fold.read()
    fold.close()
    found = [each for _, each in remains(store)]
    store.dispose()

    assert [{("events", "disk"): 7}] == [each.losses for each in found]


def test_a_journal_that_was_retired_refuses_what_comes_later():
    """The harvest stays the caller's, who writes it to the file."""
    journal = MemoryJournal()
    journal.append(harvest(1))
    assert 1 == len(journal.retire())

    with pytest.raises(OSError, match="file has taken over"):
        journal.append(harvest(1))
