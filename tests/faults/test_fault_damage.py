"""Row D5: bits flip, files are cut, zeroed, swapped for garbage."""

import shutil
from array import array

import pytest

from probekit.buffer.fold import Fold
from probekit.buffer.journal.segments import SegmentWriter
from probekit.buffer.store import Store
from probekit.errors import BufferFailed
from probekit.model import Event, Harvest, Series
from probekit.ports import DeliveryContract

pytestmark = [pytest.mark.e2e, pytest.mark.faults]

FRAMES = 20


def wounded(data, rng):
    """*data* with one of the wounds that disks and people inflict; where it begins."""
    data = bytearray(data)
    kind = rng.choice(["flip", "flip", "cut", "zero", "garbage", "repeat"])
    at = rng.randrange(len(data))
    if kind == "flip":
        data[at] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del data[at:]
    elif kind == "zero":
        end = min(len(data), at + 4096)
        data[at:end] = bytes(end - at)
    elif kind == "garbage":
        end = min(len(data), at + rng.randrange(1, 512))
        data[at:end] = rng.randbytes(end - at)
    else:
        data[at:at] = data[:at]
    return bytes(data), at


def written_segment(folder):
    """A segment of twenty frames, and where each of them ends."""
    table = [Series("ops", "counter", "", (("block", str(n)),)) for n in range(FRAMES)]
    writer = SegmentWriter(folder)
    ends = []
    for n in range(FRAMES):
        harvest = Harvest(series=table)
        harvest.sum_ids = array("I", [n])
        harvest.sum_values = array("d", [n + 1.0])
        harvest.sum_counts = array("Q", [1])
        harvest.events = [Event(1, "plain", {"op.id": n})]
        writer.append(harvest)
        name, end = writer.position()
        ends.append(end)
    writer.close()
    return folder / name, ends


def read_by_a_leader(folder):
    """What exporters get of the segments in *folder*; and the books."""
    store = Store(folder / "buffer.db")
    try:
        store.open()
        store.register(["x"])
        fold = Fold(store, folder / "journal")
        fold.read()
        fold.close()
        sums, events = {}, []
        while (
            parcel := store.next_batch("x", DeliveryContract(), limit=10_000)
        ) is not None:
            for window in parcel.windows:
                for point in window.points:
                    sums[dict(point.series.attributes)["block"]] = point.value
            events += [event.attributes["op.id"] for event in parcel.events]
            store.advance("x", parcel)
        return sums, events, store.status().accounts
    finally:
        store.close()


@pytest.mark.row("D5")
def test_no_wrong_record_is_ever_read_from_a_damaged_segment(
    rng, long_run, tmp_path, measured
):
    """What is read is what was written, up to the wound; a wound is booked."""
    (tmp_path / "whole").mkdir()
    segment, ends = written_segment(tmp_path / "whole" / "journal")
    whole = segment.read_bytes()
    turns = 500 if long_run else 50
    for turn in range(turns):
        folder = tmp_path / f"turn-{turn}"
        (folder / "journal").mkdir(parents=True, mode=0o700)
        data, at = wounded(whole, rng)
        (folder / "journal" / segment.name).write_bytes(data)
        before = sum(end <= at for end in ends)
        sums, events, books = read_by_a_leader(folder)

        assert list(range(len(events))) == events
        assert len(events) >= before
        assert {str(n): n + 1.0 for n in range(len(events))} == sums
        for account in books.values():
            dropped = sum(account.dropped.values())
            assert account.recorded == account.delivered + account.stored + dropped
        cut_between_frames = data == whole[: ends[before - 1] if before else 0]
        if len(events) < FRAMES and not cut_between_frames:
            assert books["metrics"].dropped, "a loss without a number"
        shutil.rmtree(folder)
    measured(f"{turns} wounds of a segment: wrong records 0, losses without a number 0")


@pytest.mark.row("D5")
@pytest.mark.parametrize("size", [0, 1, 4096])
def test_a_buffer_that_is_empty_or_garbage_is_told_from_ours(scene, ledger, rng, size):
    """An empty file is used; garbage that we did not make is left as it is."""
    scene.books_expected = size == 0
    ledger.start()
    scene.state.mkdir(mode=0o700)
    garbage = rng.randbytes(size)
    scene.buffer.write_bytes(garbage)
    said = scene.run(
        """
        configure()
        for n in range(100):
            operation(n)
        say(probekit.flush(20), probekit.status().memory_only)
        """
    )

    assert said == [f"True {size > 0}"]
    scene.expect_all("w0")
    assert size == 0 or scene.buffer.read_bytes() == garbage


@pytest.mark.row("D6")
@pytest.mark.parametrize("end", ["advance", "bury", "refused"])
def test_a_parcel_of_a_lost_file_moves_no_cursor_of_the_new_one(tmp_path, end):
    """D6: the file went away while a send was under way; the new records wait.

    What was in it is counted as lost: whether it arrived, nobody can know any more.
    """
    store = Store(tmp_path / "buffer.db")
    fold = Fold(store, tmp_path / "journal")
    writer = SegmentWriter(tmp_path / "journal")

    def record(name, times):
        writer.append(Harvest(events=[Event(1, name) for _ in range(times)]))
        fold.read()
        try:
            fold.close()
        except BufferFailed:  # the file is another one: folded anew, then committed
            fold.close()

    def waiting():
        return store.next_batch("x", DeliveryContract(), limit=100)

    store.register(["x"])
    record("old", 5)
    under_way = waiting()
    for suffix in ("-wal", "-shm", ""):
        (tmp_path / f"buffer.db{suffix}").unlink()
    record("new", 2)
    more = {"advance": (), "bury": ("no",), "refused": (1, "no")}[end]
    getattr(store, end)("x", under_way, *more)

    assert ["new", "new"] == [event.name for event in waiting().events]
    books = store.status().accounts["events"]
    assert (7, 0, 2, {"lost": 5}) == (
        books.recorded, books.delivered, books.stored, dict(books.dropped)
    )  # fmt: skip
    writer.close()
    store.close()
