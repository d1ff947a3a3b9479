"""A buffer recovers from whatever happens to its file, and the books know the loss."""

import random
import shutil
import sqlite3
from contextlib import closing

import pytest

from probekit.buffer.fold import Fold
from probekit.buffer.journal.segments import SegmentWriter
from probekit.buffer.places import aside
from probekit.buffer.recovery.copybook import path_of
from probekit.buffer.store import Store
from probekit.errors import BufferFailed
from probekit.model import Event, Harvest, Series, Span
from probekit.ports import DeliveryContract

CONTRACT = DeliveryContract()
PAGE = 4096


def wound(path, rng, kinds=("flip", "zero", "noise", "cut", "swap", "first")):
    """One of the wounds that disks and people inflict on a file of pages."""
    data = bytearray(path.read_bytes())
    kind = rng.choice(kinds)
    pages = max(1, len(data) // PAGE)
    at = rng.randrange(len(data))
    page = at // PAGE * PAGE
    if kind == "flip":
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "zero":
        data[page : page + PAGE] = bytes(PAGE)
    elif kind == "noise":
        data[page : page + PAGE] = rng.randbytes(PAGE)
    elif kind == "cut":
        del data[at:]
    elif kind == "swap":
        other = rng.randrange(pages) * PAGE
        data[page : page + PAGE] = data[other : other + PAGE]
    else:
        data[:PAGE] = rng.choice([bytes(PAGE), rng.randbytes(PAGE)])
    with path.open("r+b") as file:  # in place: a running leader goes on with it
        file.truncate(len(data))
        file.write(data)
    return kind


class House:
    """One buffer, one writer, one receiver; everything has a name."""

    def __init__(self, folder):
        self.path = folder / "buffer.db"
        self.journal = folder / "buffer.db.journal"
        self.writer = SegmentWriter(self.journal)
        self.written = 0
        self.events, self.spans, self.sums = [], [], {}
        self.lead()

    def lead(self):
        self.store = Store(self.path)
        self.patiently(self.store.open)
        self.patiently(lambda: self.store.register(["x"]))
        self.fold = self.patiently(lambda: Fold(self.store, self.journal))

    def patiently(self, step):
        """As the leader does: what fails is tried again."""
        for _ in range(20):  # as often as it takes
            try:
                return step()
            except BufferFailed:  # noqa: PERF203 - that is the point
                self.store._check_due_s = 0.0
        return step()

    def record(self, count=10):
        for _ in range(count):
            n, self.written = self.written, self.written + 1
            table = [Series("ops", "counter", "", (("n", n),))]
            harvest = Harvest(series=table)
            harvest.sum_ids.append(0)
            harvest.sum_values.append(n + 1.0)
            harvest.sum_counts.append(1)
            harvest.events = [Event(n + 1, "plain", {"n": n})]
            harvest.spans = [Span("a" * 32, f"{n:016x}", "", "s", 1, n + 1, n + 2)]
            self.writer.append(harvest)
            self.writer.close()  # local ids begin anew
            self.writer = SegmentWriter(self.journal)

    def settle(self):
        def step():
            self.fold.read()
            return self.fold.close()

        return self.patiently(step)

    def deliver(self, limit=1000, parcels=100):
        for _ in range(parcels):
            parcel = self.patiently(
                lambda: self.store.next_batch("x", CONTRACT, limit=limit)
            )
            if parcel is None:
                return
            for window in parcel.windows:
                for point in window.points:
                    n = dict(point.series.attributes)["n"]
                    assert n not in self.sums, "twice"
                    self.sums[n] = point.value
            self.events += [event.attributes["n"] for event in parcel.events]
            self.spans += [int(span.span_id, 16) for span in parcel.spans]
            self.patiently(lambda parcel=parcel: self.store.advance("x", parcel))

    def check(self):
        """Nothing wrong, nothing twice, and each record is here or has a number."""
        assert all(value == n + 1.0 for n, value in self.sums.items())
        assert len(set(self.events)) == len(self.events)
        assert len(set(self.spans)) == len(self.spans)
        arrived = {"metrics": self.sums, "events": self.events, "spans": self.spans}
        books = self.patiently(self.store.status).accounts
        for signal, found in arrived.items():
            account = books[signal]
            dropped = sum(account.dropped.values())
            assert self.written == account.recorded, (signal, account)
            assert 0 == account.stored, (signal, account)
            assert len(found) == account.delivered, (signal, account)
            assert self.written == len(found) + dropped, (signal, account)
        return books

    def close(self):
        self.writer.close()
        self.store.dispose()


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    made.close()


def checkpoint(house):
    house.store.housekeep(deadline_s=0.2)


@pytest.mark.row("D5")
@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_file_costs_nothing_without_a_number(house, seed):
    """At rest: the leader ends, the file or its log is hurt, another one leads."""
    rng = random.Random(seed)
    house.record(20)
    house.settle()
    house.deliver(parcels=1)
    if rng.random() < 0.5:
        checkpoint(house)
    house.record(20)
    house.settle()
    if rng.random() < 0.7:
        house.store.dispose()
    path = house.path
    wal = path.with_name("buffer.db-wal")
    if wal.exists() and wal.stat().st_size and rng.random() < 0.3:
        path = wal
    wound(path, rng)
    house.store.dispose()
    house.lead()
    house.record(5)
    house.settle()
    house.deliver()

    house.check()


@pytest.mark.row("D5")
@pytest.mark.parametrize("seed", range(8))
def test_pages_torn_under_a_running_leader_cost_nothing_without_a_number(house, seed):
    """The leader goes on, whatever the disk does to its file."""
    rng = random.Random(seed)
    for _ in range(3):
        house.record(10)
        house.settle()
        if rng.random() < 0.5:
            house.deliver(parcels=1)
        if rng.random() < 0.6:
            checkpoint(house)
        wound(house.path, rng, ("flip", "zero", "noise", "swap", "first"))
    house.record(5)
    house.settle()
    house.deliver()

    house.check()


@pytest.mark.row("D6")
@pytest.mark.parametrize("while_running", [True, False])
def test_an_older_copy_of_the_buffer_is_noticed_and_repeats_nothing(
    house, tmp_path, while_running
):
    """D6: somebody restores a backup of the one file."""
    house.record(10)
    house.settle()
    checkpoint(house)
    backup = tmp_path / "backup.db"
    shutil.copy(house.path, backup)
    house.deliver()
    house.record(10)
    house.settle()
    if not while_running:
        house.store.dispose()
    for name in ("buffer.db-wal", "buffer.db-shm", "buffer.db"):
        house.path.with_name(name).unlink(missing_ok=True)
    shutil.copy(backup, house.path)
    if not while_running:
        house.lead()
    house.record(5)
    house.settle()
    house.deliver()

    books = house.check()
    assert all(account.dropped == {"lost": 10} for account in books.values())


@pytest.mark.row("D6")
def test_a_deleted_buffer_is_counted_as_lost_and_numbers_go_on(house):
    """D6: what had not been delivered when the file was deleted has a number."""
    house.record(10)
    house.settle()
    house.deliver()
    house.record(7)
    last = house.settle()
    house.store.dispose()
    for name in ("buffer.db-wal", "buffer.db-shm", "buffer.db"):
        house.path.with_name(name).unlink(missing_ok=True)
    house.lead()
    house.record(3)

    assert last < house.settle()
    house.deliver()
    books = house.check()
    assert all(account.dropped == {"lost": 7} for account in books.values())


@pytest.mark.row("D10")
@pytest.mark.parametrize("with_books", [True, False])
@pytest.mark.parametrize("cut", range(3))
def test_power_loss_costs_at_most_what_came_after_the_last_checkpoint(
    house, tmp_path, cut, with_books
):
    """D10: the disk afterwards is what was synced; the log and later files are gone."""
    shadow = tmp_path / "shadow.db"
    for turn in range(3):
        house.record(6)
        house.settle()
        house.deliver()
        if turn <= cut:
            checkpoint(house)
            shutil.copy(house.path, shadow)
    house.store.dispose()
    for name in ("buffer.db-wal", "buffer.db-shm"):
        house.path.with_name(name).unlink(missing_ok=True)
    shutil.copy(shadow, house.path)
    if not with_books:
        path_of(house.path).write_bytes(b"")  # renamed, and never written
    house.sums, house.events, house.spans = {}, [], []
    house.lead()
    house.record(4)
    house.settle()
    house.deliver()
    books = house.patiently(house.store.status).accounts

    assert {n: n + 1.0 for n in range(18, 22)}.items() <= house.sums.items()
    for account in books.values():
        dropped = sum(account.dropped.values())
        assert account.recorded == account.delivered + account.stored + dropped
    if with_books:
        assert 22 == books["events"].recorded


@pytest.mark.parametrize("version", [1, 2])
def test_rows_of_an_older_file_get_their_checksums(tmp_path, version):
    """A file of an older version is brought up to this one, and delivered."""
    house = House(tmp_path)
    house.record(5)
    house.settle()
    house.store.dispose()
    with sqlite3.connect(house.path) as connection:
        connection.execute("ALTER TABLE series DROP COLUMN total_crc")
        tables = ["series", "window", "point", "event", "span", "segment"]
        for table in ("dead_letter", *tables[: None if version == 1 else 0]):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN crc")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("DELETE FROM meta WHERE key = 'stamp'")
    connection.close()
    path_of(house.path).unlink()
    house.lead()
    house.deliver()

    house.check()
    assert [] == aside(house.path)
    house.close()


@pytest.mark.row("D5")
@pytest.mark.parametrize("with_first_page", [True, False])
def test_a_damaged_file_of_an_older_version_is_salvaged_too(house, with_first_page):
    house.record(10)
    house.settle()
    house.store.dispose()
    with closing(sqlite3.connect(house.path)) as connection, connection:
        connection.execute("ALTER TABLE series DROP COLUMN total_crc")
        connection.execute("ALTER TABLE dead_letter DROP COLUMN crc")
        connection.execute("DELETE FROM meta WHERE key = 'schema_version'")
        connection.execute("PRAGMA user_version = 2")
        if with_first_page:  # it looks like somebody else's, with our tables
            connection.execute("PRAGMA application_id = 7")
    if not with_first_page:
        wound(house.path, random.Random(1), ["first"])
    house.lead()
    house.deliver()

    books = house.check()
    assert 1 == len(aside(house.path))
    assert all(account.dropped == {} for account in books.values()), books
    totals = house.store.snapshot().points
    assert [float(n + 1) for n in range(10)] == [point.value for point in totals]


@pytest.mark.row("D5")
@pytest.mark.parametrize("wound_with", ["first", "cut"])
def test_a_buffer_that_cannot_be_recognised_any_more_is_still_ours(house, wound_with):
    """Its first page is gone, or all but a few bytes: it is set aside, not left."""
    house.record(10)
    house.settle()
    checkpoint(house)
    house.store.dispose()
    if wound_with == "first":
        wound(house.path, random.Random(1), ["first"])
    else:
        house.path.write_bytes(house.path.read_bytes()[:100])
    house.lead()
    house.deliver()

    books = house.check()
    assert 1 == len(list(house.path.parent.glob("*.corrupt-*")))  # and nothing beside
    if wound_with == "first":
        assert all(account.dropped == {} for account in books.values()), books
