"""Laws of leading, with the real buffer in a temporary folder."""

import threading
import time
from types import SimpleNamespace

import pytest

from probekit.buffer.journal.segments import SegmentWriter
from probekit.buffer.locks import FileLock
from probekit.buffer.store import Store
from probekit.delivery.leader import Leader
from probekit.delivery.term import Office
from probekit.delivery.wake import FifoBell, ring
from probekit.errors import BufferCorrupt
from probekit.model import Harvest, Series
from probekit.ports import DeliveryContract

TABLE = [Series("shop.orders", "counter")]


class Collector:
    """An exporter that keeps windows and says when something came."""

    def __init__(self, error=None):
        self.contract = DeliveryContract()
        self.error = error
        self.windows = []
        self.arrived = threading.Condition()
        self.closed = threading.Event()

    def send(self, batch):
        if self.error is not None:
            raise self.error
        with self.arrived:
            self.windows += batch.windows
            self.arrived.notify_all()

    def close(self):
        self.closed.set()

    def total(self):
        return sum(point.value for w in self.windows for point in w.points)

    def wait_for(self, total):
        with self.arrived:
            return self.arrived.wait_for(lambda: self.total() == total, 10)


@pytest.fixture
def house(tmp_path):
    """Makes leaders of one buffer, and a writer into its journal."""
    leaders = []
    writer = SegmentWriter(tmp_path / "b.journal")

    def leader(*exporters, interval_s=60.0, host=None, **more):
        office = Office(
            store=Store(tmp_path / "b"),
            source=tmp_path / "b.journal",
            bell=FifoBell(tmp_path / "b.wake"),
            lock=FileLock(tmp_path / "b.leader"),
            exporters=[(f"e{n}", each) for n, each in enumerate(exporters)],
            interval_s=interval_s,
            host=host,
        )
        made = Leader(office, **more)
        leaders.append(made)
        assert made.start()
        return made

    def add(n, *, ship_now=True):
        harvest = Harvest(series=TABLE)
        harvest.sum_ids.append(0)
        harvest.sum_values.append(float(n))
        harvest.sum_counts.append(1)
        writer.append(harvest, ship_now=ship_now)
        ring(tmp_path / "b.wake")

    yield SimpleNamespace(leader=leader, add=add, folder=tmp_path)
    for each in leaders:
        each.finish(time.monotonic())
        assert each.join(10)
    writer.close()


def until(condition):
    end_s = time.monotonic() + 10
    while not condition() and time.monotonic() < end_s:
        time.sleep(0.002)
    return condition()


def test_a_rung_leader_delivers_at_once(house):
    """Long before the window would close."""
    collector = Collector()
    leader = house.leader(collector)
    assert until(lambda: leader.is_leading)
    house.add(3)

    assert collector.wait_for(3)


def test_a_dead_backend_does_not_delay_the_other(house):
    """Each has a cursor and a thread of its own."""
    dead, alive = Collector(ConnectionRefusedError()), Collector()
    house.leader(dead, alive)
    house.add(5)

    assert alive.wait_for(5)
    assert not dead.windows


def test_there_is_one_leader_and_the_next_one_continues(house):
    """Windows go on where the first one stopped, and nothing comes twice."""
    first, second = Collector(), Collector()
    one = house.leader(first)
    assert until(lambda: one.is_leading)
    other = house.leader(second)
    house.add(1)
    assert first.wait_for(1)
    assert not other.is_leading
    one.finish(time.monotonic() + 5)
    assert one.join(10)
    assert until(lambda: other.is_leading)
    house.add(2)

    assert second.wait_for(2)
    assert first.windows[-1].id < second.windows[0].id


def test_a_finishing_leader_delivers_what_was_written_last(house):
    """Without any ring, and says that nothing is left."""
    collector = Collector()
    leader = house.leader(collector)
    assert until(lambda: leader.is_leading)
    house.add(7, ship_now=False)
    leader.finish(time.monotonic() + 10)
    assert leader.join(10)

    assert collector.total() == 7
    assert leader.delivered_all is True
    assert collector.closed.wait(5)


def test_a_finishing_leader_does_not_wait_for_a_backend_that_is_down(house):
    """It has ten seconds and takes none of them."""
    leader = house.leader(Collector(ConnectionRefusedError()))
    assert until(lambda: leader.is_leading)
    house.add(7)
    leader.finish(time.monotonic() + 1000)

    assert leader.join(10)
    assert leader.delivered_all is False


def test_windows_close_on_the_grid_of_the_wall_clock(house):
    """Nobody rings and nobody flushes."""
    collector = Collector()
    house.leader(collector, interval_s=0.05)
    house.add(4, ship_now=False)

    assert collector.wait_for(4)


def test_the_host_is_read_by_the_leader(house):
    """Its figures are windows like all others."""
    collector = Collector()
    house.leader(
        collector,
        interval_s=0.05,
        host=lambda observer: observer.gauge("system.uptime", 5.0, unit="s"),
    )

    assert until(
        lambda: any(
            point.series.name == "system.uptime"
            for window in list(collector.windows)
            for point in window.points
        ),
    )


def test_a_host_source_that_fails_costs_nothing_else(house):
    """The window closes without it."""
    collector = Collector()
    house.leader(collector, interval_s=0.05, host=lambda _: 1 / 0)
    house.add(4, ship_now=False)

    assert collector.wait_for(4)


def test_a_leader_whose_lock_file_was_replaced_steps_down_and_stands_again(
    house, monkeypatch
):
    """A lock on a removed file excludes nobody."""
    monkeypatch.setattr("probekit.delivery.leader._CHECK_S", 0.0)
    collector = Collector()
    leader = house.leader(collector, interval_s=0.05)
    assert until(lambda: leader.is_leading)
    first = leader.term
    (house.folder / "b.leader").unlink()
    assert until(lambda: leader.is_leading and leader.term is not first)
    house.add(9)

    assert collector.wait_for(9)


def test_somebody_elses_file_ends_the_leader_and_is_reported(house):
    """The runtime then goes on in memory."""
    (house.folder / "b").write_text("precious" * 1000)
    told = []
    leader = house.leader(Collector(), on_unusable=told.append)

    assert leader.join(10)
    assert isinstance(told[0], BufferCorrupt)
    assert (house.folder / "b").read_text() == "precious" * 1000


def test_a_send_that_outlives_its_leader_leaves_no_connection_open(house):
    """It settles what was sent, which opens the buffer once more."""
    sends, answers = threading.Event(), threading.Event()

    class Slow(Collector):
        def send(self, batch):
            sends.set()
            assert answers.wait(10)

    slow = Slow()
    leader = house.leader(slow)
    store = leader._office.store
    house.add(1)
    assert sends.wait(10)
    leader.finish(time.monotonic())
    assert leader.join(10)
    answers.set()

    assert slow.closed.wait(10)
    assert not store._database.is_open


def test_whoever_gives_up_waiting_ends(house):
    """A second sidecar is not needed while the first one leads."""
    one = house.leader(Collector())
    assert until(lambda: one.is_leading)
    second = house.leader(Collector(), give_up_after_s=0.0)

    assert second.join(10)
    assert one.is_leading
