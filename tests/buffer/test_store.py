import os
import sqlite3
import stat
import threading
from contextlib import closing

import pytest

from probekit.buffer import schema
from probekit.buffer.database import MARK
from probekit.buffer.locks import FileLock
from probekit.buffer.meta import stored_resource
from probekit.buffer.places import aside
from probekit.buffer.read_only import covers, delivered, open_reader, read_status
from probekit.buffer.store import Store
from probekit.buffer.trouble import may_pass
from probekit.errors import BufferBusy, BufferCorrupt, BufferFailed
from probekit.histogram import Histogram
from probekit.model import Resource
from probekit.ports import DeliveryContract

ALL = DeliveryContract()
METRICS = DeliveryContract(signals=frozenset({"metrics"}))


def values(parcels, name="shop.orders"):
    return [
        point.value
        for parcel in parcels
        for window in parcel.windows
        for point in window.points
        if point.series.name == name
    ]


def test_each_exporter_gets_everything_once_and_in_order(buffer, harvest):
    buffer.store.register(["a", "b"])
    for amount in (1, 2, 3):
        buffer.write(harvest(orders=amount, events=[str(amount)]))

    for exporter in ("a", "b"):
        parcels = buffer.deliver(exporter, limit=2)
        assert [1.0, 2.0, 3.0] == values(parcels)
        assert ["1", "2", "3"] == [e.name for p in parcels for e in p.events]
    assert None is buffer.store.next_batch("a", ALL, limit=9)


def test_a_batch_comes_again_until_it_is_advanced_with_the_same_key(buffer, harvest):
    buffer.store.register(["a"])
    buffer.write(harvest(orders=1))
    first = buffer.store.next_batch("a", ALL, limit=100)
    buffer.write(harvest(orders=2))
    second = buffer.store.next_batch("a", ALL, limit=100)
    buffer.lead()
    third = buffer.store.next_batch("a", ALL, limit=1)

    assert first == second
    assert first.key == third.key
    assert first.windows == third.windows


def test_a_cursor_survives_a_restart(buffer, harvest):
    buffer.store.register(["a"])
    buffer.write(harvest(orders=1))
    buffer.deliver("a")
    buffer.lead()
    buffer.store.register(["a"])
    buffer._writer.append(harvest(orders=2))
    buffer.settle()

    assert [2.0] == values(buffer.deliver("a"))


def test_a_new_exporter_starts_at_the_oldest_stored_data(buffer, harvest):
    buffer.store.register(["a"])
    buffer.write(harvest(orders=1))
    buffer.deliver("a")
    buffer.store.register(["a", "late"])

    assert [1.0] == values(buffer.deliver("late"))
    assert buffer.books_balance()


def test_a_window_larger_than_a_batch_is_delivered_in_parts(buffer, harvest):
    buffer.store.register(["a"])
    buffer.write(harvest(orders=1, latency=[0.1], depth=2, active=1))
    parcels = buffer.deliver("a", limit=3)

    assert [3, 1] == [len(parcel) for parcel in parcels]
    assert 2 == len({parcel.key for parcel in parcels})
    assert 1 == buffer.store.delivered_through("a")
    assert 4 == buffer.store.status().accounts["metrics"].delivered


def test_halves_are_parcels_that_cover_the_whole(buffer, harvest):
    buffer.store.register(["a"])
    for _ in range(3):
        buffer.write(
            harvest(orders=1, latency=[0.1], depth=1, events=["e"], spans=["s", "t"]),
        )
    parcel = buffer.store.next_batch("a", ALL, limit=1000)
    pending, singles = [parcel], []
    while pending:
        one = pending.pop(0)
        parts = one.halves()
        if len(parts) == 1:
            singles.append(one)
            buffer.store.advance("a", one)
        else:
            assert len(one) == sum(map(len, parts))
            pending[:0] = parts

    assert len(parcel) == len(singles) == 18
    assert 18 == len({single.key for single in singles})
    assert parcel.through == singles[-1].through
    assert None is buffer.store.next_batch("a", ALL, limit=1000)
    assert 9 == buffer.store.status().accounts["metrics"].delivered
    assert buffer.books_balance()


def test_a_half_that_is_passed_is_not_offered_again_after_a_restart(buffer, harvest):
    buffer.store.register(["a"])
    buffer.write(harvest(orders=1, latency=[0.1], depth=2, active=1))
    first, second = buffer.store.next_batch("a", ALL, limit=1000).halves()
    buffer.store.advance("a", first)
    buffer.lead()
    again = buffer.store.next_batch("a", ALL, limit=1000)

    assert second.key == again.key


def test_signals_outside_the_contract_pass_and_wait_for_nobody(buffer, harvest):
    buffer.store.register(["a"])
    buffer.write(harvest(orders=1, events=["e"]))
    (parcel,) = buffer.deliver("a", METRICS)
    books = buffer.store.status().accounts

    assert () == tuple(parcel.events)
    assert 1 == buffer.store.delivered_through("a")
    assert (0, 1) == (books["events"].delivered, books["events"].stored)
    assert (1, 0) == (books["metrics"].delivered, books["metrics"].stored)


def test_delivered_means_passed_by_every_exporter(buffer, harvest):
    buffer.store.register(["a", "b"])
    buffer.write(harvest(orders=1, latency=[1.0, 2.0]))
    buffer.deliver("a")
    assert 3 == buffer.store.status().accounts["metrics"].stored
    buffer.deliver("b")

    assert 3 == buffer.store.status().accounts["metrics"].delivered


def test_without_exporters_all_is_stored(buffer, harvest):
    buffer.write(harvest(orders=1))

    assert 1 == buffer.store.status().accounts["metrics"].stored
    assert 0 == buffer.store.delivered_through("a")


def test_the_end_of_a_dead_exporter_frees_what_waited_for_it(buffer, harvest):
    buffer.store.register(["a", "dead"])
    buffer.write(harvest(orders=1))
    buffer.deliver("a")
    buffer.store.register(["a"])

    assert 1 == buffer.store.status().accounts["metrics"].delivered


def test_a_refused_batch_becomes_a_dead_letter_and_is_counted_once(buffer, harvest):
    buffer.store.register(["a", "b"])
    buffer.write(harvest(orders=1, latency=[0.1, 0.2], events=["e"]))
    for exporter in ("a", "b"):
        parcel = buffer.store.next_batch(exporter, ALL, limit=100)
        buffer.store.bury(exporter, parcel, f"{exporter} says no")
        assert buffer.books_balance()
    status = buffer.store.status()

    assert {"rejected": 3} == status.accounts["metrics"].dropped
    assert {"rejected": 1} == status.accounts["events"].dropped
    assert 6 == status.dead_letters
    assert [("a", "a says no", 3), ("b", "b says no", 3)] == buffer.sql(
        "SELECT exporter, reason, records FROM dead_letter ORDER BY id"
    )
    assert [(2,)] == buffer.sql(
        "SELECT count(*) FROM dead_letter WHERE batch LIKE '%shop.orders%'"
    )


def test_a_dead_letter_is_at_most_a_mebibyte(buffer, harvest):
    buffer.store.register(["a"])
    buffer.write(harvest(events=["x" * 300_000] * 9))
    while parcel := buffer.store.next_batch("a", ALL, limit=1000):
        buffer.store.bury("a", parcel, "no" * 1000)
    ((longest, reason),) = buffer.sql(
        "SELECT max(length(batch)), max(length(reason)) FROM dead_letter"
    )

    assert longest <= 1 << 20
    assert reason <= 300


def test_records_refused_without_a_name_are_counted(buffer, harvest):
    buffer.store.register(["a"])
    buffer.write(harvest(events=["e", "f", "g"]))
    parcel = buffer.store.next_batch("a", ALL, limit=100)
    buffer.store.refused("a", parcel, 2, "partial success")
    account = buffer.store.status().accounts["events"]

    assert (1, {"rejected": 2}) == (account.delivered, account.dropped)
    assert None is buffer.store.next_batch("a", ALL, limit=100)


def test_what_is_too_old_for_the_far_side_is_skipped_and_counted(
    buffer, clock, harvest
):
    contract = DeliveryContract(max_age_s=60)
    buffer.store.register(["a"])
    buffer.write(harvest(orders=1, events=["old"]))
    clock.advance(120)
    buffer.write(harvest(orders=2))
    parcels = buffer.deliver("a", contract)
    books = buffer.store.status().accounts

    assert [2.0] == values(parcels)
    assert {"expired": 1} == books["metrics"].dropped
    assert {"expired": 1} == books["events"].dropped
    assert buffer.books_balance()


def test_everything_too_old_leaves_nothing_to_send(buffer, clock, harvest):
    buffer.store.register(["a"])
    buffer.write(harvest(orders=1))
    clock.advance(120)

    assert [] == buffer.deliver("a", DeliveryContract(max_age_s=60))
    assert 1 == buffer.store.delivered_through("a")


def test_totals_of_histograms_are_cumulative_where_the_contract_asks(buffer, harvest):
    cumulative = DeliveryContract(cumulative=True)
    buffer.store.register(["a", "b"])
    for value in (0.1, 0.2, 0.3):
        buffer.write(harvest(latency=[value]))
    totals = [
        point.total
        for parcel in buffer.deliver("a", cumulative, limit=1)
        for window in parcel.windows
        for point in window.points
    ]
    (plain,) = buffer.deliver("b")

    expected = [
        Histogram.of([0.1]),
        Histogram.of([0.1, 0.2]),
        Histogram.of([0.1, 0.2, 0.3]),
    ]
    assert [h.bins for h in expected] == [h.bins for h in totals]
    assert [1, 2, 3] == [h.count for h in totals]
    assert expected[2].sum == pytest.approx(totals[2].sum)
    assert None is plain.windows[0].points[0].total


def test_delivered_through_waits_for_events_too(buffer, harvest):
    buffer.store.register(["a"])
    buffer.write(harvest(events=["e"] * 3))
    parcel = buffer.store.next_batch("a", ALL, limit=2)
    buffer.store.advance("a", parcel)

    assert 0 == buffer.store.delivered_through("a")
    buffer.deliver("a")
    assert 1 == buffer.store.delivered_through("a")


def test_the_last_error_stands_until_a_delivery(buffer, harvest):
    buffer.store.register(["a"])
    buffer.write(harvest(orders=1))
    buffer.store.note_error("a", "connection refused")
    assert "connection refused" == buffer.store.status().exporters[0].last_error
    buffer.deliver("a")

    assert "" == buffer.store.status().exporters[0].last_error


def test_status_says_who_leads_and_what_waits(buffer, clock, harvest):
    buffer.store.register(["a"])
    buffer.store.beat(4711)
    buffer.write(harvest(orders=1))
    clock.advance(30)
    status = buffer.store.status()

    assert 4711 == status.leader_pid
    assert 30.0 == status.leader_beat_age_s
    assert 1 == status.exporters[0].lag_windows
    assert 30.0 <= status.exporters[0].lag_s == status.oldest_age_s
    assert status.file_bytes > 0


def test_the_resource_of_the_file_speaks_when_none_is_given(tmp_path, clock, harvest):
    resource = Resource({"service.name": "shop", "n": 1, "t": ("a", "b")})
    first = Store(tmp_path / "b.db", clock=clock, resource=resource)
    first.open()
    first.dispose()
    second = Store(tmp_path / "b.db", clock=clock)
    with second._reading() as connection:
        found = stored_resource(connection)
    second.dispose()

    assert resource == found


def test_texts_with_halves_of_surrogate_pairs_do_not_stop_the_buffer(buffer, harvest):
    buffer.store.register(["a"])
    buffer.write(harvest(events=["bad \ud800 name"], spans=["\udfff"]))
    (parcel,) = buffer.deliver("a")

    assert "bad ? name" == parcel.events[0].name
    assert {"n": "bad \ud800 name"} == parcel.events[0].attributes


# The file


@pytest.mark.row("S2")
def test_all_files_are_private_under_any_umask(tmp_path, clock):
    before = os.umask(0)
    store = Store(tmp_path / "new" / "b.db", clock=clock)
    store.open()
    os.umask(before)
    modes = {
        p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "new").iterdir()
    }
    store.dispose()

    assert {"b.db", "b.db-shm", "b.db-wal", "b.db.write", "b.db.books"} == set(modes)
    assert {0o600} == set(modes.values())
    assert 0o700 == stat.S_IMODE((tmp_path / "new").stat().st_mode)


def test_every_pragma_is_in_force(buffer):
    found = {name: buffer.sql(f"PRAGMA {name}")[0][0] for name in schema.PRAGMAS}

    assert schema.PRAGMAS == found
    assert [(2,)] == buffer.sql("PRAGMA auto_vacuum")
    assert [(schema.APPLICATION_ID,)] == buffer.sql("PRAGMA application_id")
    assert [(schema.VERSION,)] == buffer.sql("PRAGMA user_version")


def failing_open(path, clock):
    store = Store(path, clock=clock)
    with pytest.raises(BufferFailed) as caught:
        store.open()
    store.dispose()
    assert str(path) in str(caught.value)
    return caught.value


@pytest.mark.parametrize("content", [b"precious\n" * 1000, b"x"])
def test_a_file_that_is_no_database_is_left_alone(tmp_path, clock, content):
    path = tmp_path / "b.db"
    path.write_bytes(content)
    error = failing_open(path, clock)

    assert isinstance(error, BufferCorrupt)
    assert content == path.read_bytes()


def test_a_database_of_somebody_else_is_left_alone(tmp_path, clock):
    path = tmp_path / "b.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customer (name TEXT)")
    connection.close()
    (tmp_path / "b.db.write").write_bytes(MARK)  # even where a buffer was before
    before = path.read_bytes()
    error = failing_open(path, clock)

    assert isinstance(error, BufferCorrupt)
    assert before == path.read_bytes()


def say_version(path, in_header, in_meta):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA user_version = {in_header}")
        text = in_meta if isinstance(in_meta, str) else schema.version_text(in_meta)
        connection.execute(
            "UPDATE meta SET value = ? WHERE key = ?", (text, schema.VERSION_KEY)
        )


@pytest.mark.row("D12")
@pytest.mark.parametrize("bit", [0, 1, 2, 3, 17])
def test_a_newer_buffer_is_left_alone_whatever_bit_of_its_number_flips(
    buffer, clock, bit
):
    newer = schema.VERSION + 1
    buffer.store.dispose()
    say_version(buffer.path, newer ^ 1 << bit, newer)
    before = buffer.path.read_bytes()

    assert "newer" in str(failing_open(buffer.path, clock))
    assert before == buffer.path.read_bytes()


@pytest.mark.row("D5")
@pytest.mark.parametrize("bit", [0, 1, 2, 3, 17])
def test_a_flipped_bit_in_its_number_makes_no_buffer_newer(buffer, harvest, bit):
    buffer.write(harvest(orders=2.0))
    buffer.store.dispose()
    say_version(buffer.path, schema.VERSION ^ 1 << bit, schema.VERSION)
    buffer.lead()

    assert 2.0 == buffer.total("shop.orders")
    assert [(schema.VERSION,)] == buffer.sql("PRAGMA user_version")


@pytest.mark.row("D5")
def test_a_number_without_its_checksum_is_written_again(buffer, harvest):
    buffer.write(harvest(orders=2.0))
    buffer.store.dispose()
    good = schema.version_text(schema.VERSION)
    say_version(buffer.path, schema.VERSION, good.replace("3", "7", 1))
    buffer.lead()

    assert 2.0 == buffer.total("shop.orders")
    assert [(good,)] == buffer.sql(
        "SELECT value FROM meta WHERE key = ?", schema.VERSION_KEY
    )


@pytest.mark.row("D12")
def test_a_buffer_of_a_newer_version_is_left_alone(buffer, clock):
    buffer.store.dispose()
    say_version(buffer.path, schema.VERSION + 1, schema.VERSION + 1)

    assert "newer" in str(failing_open(buffer.path, clock))
    assert buffer.path.exists()


@pytest.mark.parametrize("start", [0, 100, 5000])
def test_a_damaged_buffer_is_set_aside_and_a_new_one_made(
    buffer, clock, harvest, start, caplog
):
    import random

    for _ in range(5):
        buffer.write(harvest(orders=1))
    buffer.store.housekeep(deadline_s=1)
    buffer.store.dispose()
    data = buffer.path.read_bytes()
    noise = random.Random(7).randbytes(len(data) - start)
    buffer.path.write_bytes(data[:start] + noise)
    store = Store(buffer.path, clock=clock)
    store.open()

    assert 5 == store.last_window()  # numbers that were given are not given again
    assert 1 == len(aside(buffer.path))
    store.register([])
    metrics = store.status().accounts["metrics"]
    assert 5 == metrics.recorded == metrics.stored + metrics.dropped.get("corrupt", 0)
    store.dispose()


def test_damage_found_while_running_is_set_aside_at_the_next_call(
    buffer, harvest, monkeypatch
):
    buffer.write(harvest(orders=1))
    database = buffer.store._database
    with pytest.raises(BufferCorrupt), buffer.store._watching():
        raise BufferCorrupt("malformed")
    checked = []
    monkeypatch.setattr(database, "check", lambda _: checked.append(True))
    buffer.store.status()

    assert [True] == checked


@pytest.mark.row("D5")
def test_at_most_three_damaged_files_are_kept(buffer, clock):
    buffer.store.dispose()
    for _ in range(5):
        buffer.path.write_bytes(b"\0" * 8192)
        store = Store(buffer.path, clock=clock)
        store.open()
        store.dispose()

    assert 3 == len(aside(buffer.path))


@pytest.mark.row("D5")
def test_a_damaged_file_takes_no_more_room_than_evidence_may(
    buffer, clock, monkeypatch
):
    """What could be read of it goes on in the new file; then it is cut."""
    monkeypatch.setattr("probekit.buffer.places._ASIDE_BYTES", 5000)
    buffer.store.register([])
    buffer.store.dispose()
    buffer.path.write_bytes(b"\0" * 80_000)
    store = Store(buffer.path, clock=clock)
    store.open()
    (kept,) = aside(buffer.path)
    assert 80_000 == kept.stat().st_size  # nobody leads who could have read it
    store.register([])
    store.dispose()

    assert 5000 == kept.stat().st_size


@pytest.mark.row("D4")
def test_a_symlink_is_not_followed(tmp_path, clock):
    (tmp_path / "b.db").symlink_to(tmp_path / "elsewhere.db")
    failing_open(tmp_path / "b.db", clock)

    assert not (tmp_path / "elsewhere.db").exists()


@pytest.mark.parametrize("path", ["/proc/nowhere/b.db", "/dev/null/b.db"])
def test_a_path_that_cannot_be_made_is_named(clock, path):
    from pathlib import Path

    failing_open(Path(path), clock)


MOUNTS = """dev / ext4 rw 0 0
overlay /srv overlay rw 0 0
tmpfs /dev/shm tmpfs rw 0 0
host:/x /mnt/net nfs4 rw 0 0
host:/y /mnt/old nfs rw 0 0
//host/z /mnt/share cifs rw 0 0
me@host: /home/me/my\\040files fuse.sshfs rw 0 0
dev /mnt/net/local ext4 rw 0 0
"""


@pytest.mark.row("D11")
@pytest.mark.parametrize(
    "path, kind",
    [
        ("/mnt/net/a/b.db", "nfs4"),
        ("/mnt/old/b.db", "nfs"),
        ("/mnt/share/b.db", "cifs"),
        ("/home/me/my files/b.db", "fuse.sshfs"),
        ("/mnt/net/local/b.db", ""),
        ("/mnt/network/b.db", ""),
        ("/dev/shm/b.db", ""),
        ("/srv/b.db", ""),
        ("/b.db", ""),
    ],
)
def test_a_network_file_system_is_refused_and_no_other(tmp_path, path, kind):
    from pathlib import Path

    from probekit.buffer.places import unsuitable_filesystem

    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    found = unsuitable_filesystem(Path(path), str(mounts))

    assert (f"a network file system ({kind})" if kind else "") == found


def test_a_write_lock_held_elsewhere_is_a_clear_error(buffer, monkeypatch):
    monkeypatch.setattr("probekit.buffer.database._WRITE_LOCK_WAIT_S", 0.01)
    tool = FileLock(buffer.path.with_name("buffer.db.write"))
    assert tool.try_acquire()

    with pytest.raises(BufferBusy, match="held by another process"):
        buffer.store.beat(1)
    tool.close()
    buffer.store.beat(1)


def test_a_database_locked_elsewhere_is_a_clear_error(buffer):
    rival = sqlite3.connect(buffer.path, isolation_level=None)
    rival.execute("BEGIN IMMEDIATE")

    with pytest.raises(BufferBusy):
        buffer.store.beat(1)
    rival.execute("ROLLBACK")
    rival.close()
    buffer.store.beat(1)


@pytest.mark.row("P14")
@pytest.mark.parametrize("stage", ["totals.Totals.write", "commits._write_places"])
def test_what_finds_no_memory_is_rolled_back_and_done_later(
    buffer, harvest, monkeypatch, stage
):
    """SQLite says it by the same exception."""
    buffer.write(harvest(orders=1))

    def refuse(*_arguments):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(f"probekit.buffer.{stage}", refuse)
        with pytest.raises(BufferFailed, match="no memory") as caught:
            buffer.write(harvest(orders=2))
    assert may_pass(caught.value)
    assert 1.0 == buffer.total("shop.orders")
    buffer.write(harvest(orders=4))

    assert 7.0 == buffer.total("shop.orders")


def test_a_closed_store_opens_again_by_itself(buffer, harvest):
    buffer.write(harvest(orders=1))
    buffer.store.close()
    buffer.write(harvest(orders=2))

    assert 3.0 == buffer.total("shop.orders")


def test_an_interrupted_transaction_is_rolled_back_and_may_be_tried_again(
    buffer, harvest
):
    buffer.write(harvest(orders=1))

    def fork_comes():
        with buffer.store._writing() as connection:
            connection.execute("UPDATE series SET sum = 77")
            buffer.store.interrupt()

    with pytest.raises(BufferFailed, match="interrupted"):
        fork_comes()
    assert 1.0 == buffer.total("shop.orders")
    buffer.write(harvest(orders=1))
    assert 2.0 == buffer.total("shop.orders")


def test_the_gate_keeps_everybody_out(buffer):
    done = threading.Event()

    def use():
        buffer.store.status()
        done.set()

    with buffer.store.gate:
        thread = threading.Thread(target=use)
        thread.start()
        assert not done.wait(0.05)
    assert done.wait(5)
    thread.join()


# Readers


def test_a_reader_sees_a_live_buffer_and_cannot_write(buffer, harvest):
    buffer.write(harvest(orders=1))
    with open_reader(buffer.path) as connection:
        assert [(1.0,)] == connection.execute("SELECT sum FROM series").fetchall()

    with pytest.raises(BufferFailed), open_reader(buffer.path) as connection:
        connection.execute("DELETE FROM series")


def test_the_last_reader_neither_checkpoints_nor_removes_the_log(buffer, harvest):
    buffer.write(harvest(orders=1))
    log = buffer.path.with_name("buffer.db-wal")
    keeper = sqlite3.connect(buffer.path)  # what a killed leader leaves: a log
    keeper.execute("SELECT count(*) FROM series").fetchall()
    before = log.read_bytes()
    with open_reader(buffer.path):
        pass

    assert before == log.read_bytes()
    keeper.close()


def test_readers_learn_what_is_covered_and_delivered(buffer, harvest):
    buffer.store.register(["a"])
    writer = buffer.writer()
    writer.append(harvest(orders=1))
    name, end = writer.position()
    segment = buffer.directory / name

    assert not covers(buffer.path, segment, end)
    buffer.settle()
    assert covers(buffer.path, segment, end)
    assert not delivered(buffer.path)
    buffer.deliver("a")
    assert delivered(buffer.path)
    writer.close()
    buffer.settle()
    assert covers(buffer.path, segment, end)
    assert (
        buffer.store.status().accounts
        == read_status(buffer.path, buffer.clock).accounts
    )


def test_a_reader_names_what_is_missing_or_foreign(tmp_path):
    path = tmp_path / "b.db"
    with pytest.raises(BufferFailed, match="no buffer at"), open_reader(path):
        pass
    path.write_bytes(b"precious" * 100)
    with pytest.raises(BufferCorrupt, match=r"b\.db"), open_reader(path):
        pass
