"""A reader that stays: the log is bounded, and neither side loses anything."""

import sqlite3
from pathlib import Path

import pytest

from probekit.buffer import renewal
from probekit.buffer.fold import Fold
from probekit.buffer.journal.segments import SegmentWriter
from probekit.buffer.store import LOG_BYTES, Store
from probekit.model import Event, Harvest, Retention
from probekit.ports import DeliveryContract

CAP = 1 << 20


class House:
    """A buffer with a small cap, and a way to fill it."""

    def __init__(self, folder):
        self.path = folder / "b.db"
        self.store = Store(self.path, retention=Retention(max_bytes=CAP))
        self.store.register(["x"])
        self.fold = Fold(self.store, folder / "journal")
        self.writer = SegmentWriter(folder / "journal")
        self.written = 0

    def record(self, count=20, pad=10_000):
        first = self.written
        self.written += count
        names = [Event(1, "e", {"n": first + n, "p": "x" * pad}) for n in range(count)]
        self.writer.append(Harvest(events=names))
        self.fold.read()
        self.fold.close()

    def deliver(self):
        found = []
        while parcel := self.store.next_batch("x", DeliveryContract(), limit=1000):
            found += [event.attributes["n"] for event in parcel.events]
            self.store.advance("x", parcel)
        return found

    def size(self):
        ends = ("", "-wal")
        paths = [Path(f"{self.path}{end}") for end in ends]
        return sum(path.stat().st_size for path in paths if path.exists())


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    made.writer.close()
    made.store.dispose()


@pytest.fixture
def reader(house):
    """A tool that looks at the buffer and never ends."""
    house.record(10)
    connection = sqlite3.connect(house.path, isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM event").fetchone()
    yield connection
    connection.close()


@pytest.mark.row("D8")
def test_a_reader_that_stays_does_not_let_the_log_grow_for_ever(house, reader):
    """Each record is delivered once; the reader reads on what it saw."""
    delivered, largest = [], 0
    for _ in range(25):
        house.record()
        delivered += house.deliver()
        house.store._renew_due_s = 0.0  # five seconds have passed
        house.store.housekeep(deadline_s=0.05)
        largest = max(largest, house.size())

    assert list(range(house.written)) == delivered
    assert largest <= CAP + LOG_BYTES + (1 << 20)  # and what one commit writes
    assert 10 == reader.execute("SELECT count(*) FROM event").fetchone()[0]
    account = house.store.status().accounts["events"]
    assert (house.written, house.written) == (account.recorded, account.delivered)


@pytest.mark.row("D8")
def test_a_reader_that_leaves_late_takes_nothing_of_the_new_file_along(house, reader):
    """SQLite's last reader removes the log by its name: it must not be ours."""
    house.store._database.renew()
    house.record(5)
    reader.close()
    house.record(5)
    with sqlite3.connect(house.path) as other:
        assert 20 == other.execute("SELECT count(*) FROM event").fetchone()[0]
        assert [("ok",)] == other.execute("PRAGMA integrity_check").fetchall()
        assert [(2,)] == other.execute("PRAGMA auto_vacuum").fetchall()
    other.close()


@pytest.mark.row("D8")
@pytest.mark.parametrize("step", ["copy", "log", "name"])
def test_a_crash_in_the_middle_of_it_loses_nothing(house, reader, monkeypatch, step):
    """Old file with its log, or the whole copy: the next leader finds one of them."""
    rename = Path.rename
    house.path.with_name("b.db.part").write_bytes(b"of an earlier crash")

    def dies(*_, **__):
        raise KeyboardInterrupt

    if step == "copy":
        monkeypatch.setattr(Path, "rename", dies)
    elif step == "log":
        monkeypatch.setattr(renewal, "take_over", dies)
    else:
        monkeypatch.setattr(
            Path,
            "rename",
            lambda path, to: dies() if path.suffix == ".fresh" else rename(path, to),
        )
    with pytest.raises(KeyboardInterrupt):  # as little is put right as by SIGKILL
        house.store._database.renew()
    monkeypatch.undo()
    house.store.dispose()
    if step == "name":  # somebody looks, and finds no log
        house.path.with_name("b.db-wal").touch()
    house.record(5)

    assert list(range(15)) == house.deliver()
    left = {path.name for path in house.path.parent.glob("b.db.*")}
    assert {"b.db.books", "b.db.write"} == left
