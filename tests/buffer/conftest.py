"""A clock that only moves when told, and buffers that are closed after each test."""

from array import array

import pytest

from probekit.buffer.fold import Fold
from probekit.buffer.journal.segments import SegmentWriter
from probekit.buffer.store import Store
from probekit.histogram import Histogram
from probekit.model import Event, Harvest, Series, Span
from probekit.ports import DeliveryContract

START_NS = 1_800_000_000 * 10**9  # on the grid of 10 s, of a minute and of an hour


class FakeClock:
    def __init__(self):
        self.now_ns = START_NS
        self.monotonic = 1000.0

    def wall_ns(self):
        return self.now_ns

    def monotonic_s(self):
        return self.monotonic

    def advance(self, seconds):
        self.now_ns += int(seconds * 1e9)
        self.monotonic += seconds

    def step(self, seconds):
        """The wall clock is set; nothing else happens."""
        self.now_ns += int(seconds * 1e9)


ORDERS = Series("shop.orders", "counter", "{order}", (("plan", "pro"),))
LATENCY = Series("shop.latency", "histogram", "s")
DEPTH = Series("queue.depth", "gauge")
ACTIVE = Series(
    "http.server.active_requests", "up_down_counter", "{request}", (), "", True
)
TABLE = (ORDERS, LATENCY, DEPTH, ACTIVE)


def make_harvest(
    *,
    orders=None,
    latency=(),
    depth=None,
    active=None,
    events=(),
    spans=(),
    losses=None,
    binned=(),
    table=TABLE,
):
    harvest = Harvest(series=table)
    sums = [(0, orders), (3, active)]
    sums = [(i, v) for i, v in sums if v is not None]
    harvest.sum_ids = array("I", [i for i, _ in sums])
    harvest.sum_values = array("d", [v for _, v in sums])
    harvest.sum_counts = array("Q", [1 for _ in sums])
    if depth is not None:
        harvest.gauge_ids = array("I", [2])
        harvest.gauge_values = array("d", [depth])
        harvest.gauge_counts = array("Q", [1])
    if latency:
        harvest.raw = [(1, list(latency))]
    if binned:
        harvest.binned = [(1, Histogram.of(binned))]
    harvest.events = [Event(START_NS, name, {"n": name}) for name in events]
    harvest.spans = [
        Span("a" * 32, f"{i:016x}", "", name, 1, START_NS, START_NS + 1)
        for i, name in enumerate(spans)
    ]
    harvest.losses = dict(losses or {})
    return harvest


class Buffer:
    """One buffer as a leader has it, with writers that stand for processes."""

    def __init__(self, folder, clock):
        self.path = folder / "buffer.db"
        self.directory = folder / "buffer.db.journal"
        self.clock = clock
        self.options = {}
        self.store = self.fold = None
        self.lead()

    def lead(self):
        """A leader takes office, with nothing but what is on disk."""
        if self.store is not None:
            self.store.close()
        self.store = Store(self.path, clock=self.clock, **self.options)
        self.store.open()
        self.fold = Fold(self.store, self.directory, clock=self.clock)

    def writer(self, **options):
        return SegmentWriter(self.directory, clock=self.clock, **options)

    def write(self, harvest):
        """Straight into a window: written, folded, closed."""
        if not hasattr(self, "_writer"):
            self._writer = self.writer()
        self._writer.append(harvest)
        return self.settle()

    def settle(self):
        self.fold.read()
        return self.fold.close()

    def deliver(self, exporter, contract=None, limit=1000):
        """Everything that waits, as parcels, each delivered."""
        parcels = []
        contract = contract or DeliveryContract()
        while parcel := self.store.next_batch(exporter, contract, limit=limit):
            parcels.append(parcel)
            self.store.advance(exporter, parcel)
        return parcels

    def sql(self, statement, *values):
        with self.store._database.reading() as connection:
            return connection.execute(statement, values).fetchall()

    def total(self, name):
        return self.sql("SELECT sum FROM series WHERE name = ?", name)[0][0]

    def books_balance(self):
        """The law of the books, for every signal."""
        return all(
            account.recorded
            == account.delivered + account.stored + sum(account.dropped.values())
            for account in self.store.status().accounts.values()
        )

    def close(self):
        self.store.dispose()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def harvest():
    return make_harvest


@pytest.fixture
def buffer(tmp_path, clock):
    made = Buffer(tmp_path, clock)
    yield made
    made.close()


@pytest.fixture
def new_buffer(clock):
    """Buffers in folders of one's own choice."""
    made = []

    def make(folder, of_clock=None):
        made.append(Buffer(folder, of_clock or clock))
        return made[-1]

    yield make
    for buffer in made:
        buffer.close()


@pytest.fixture
def start_ns():
    return START_NS


@pytest.fixture(scope="session")
def clock_class():
    return FakeClock


@pytest.fixture(scope="session")
def buffer_class():
    return Buffer


@pytest.fixture(scope="session")
def make():
    return make_harvest
