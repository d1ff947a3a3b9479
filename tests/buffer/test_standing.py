"""A running total that is not what was written reaches nobody, and is set right."""

import sqlite3
from contextlib import closing

import pytest

from probekit.buffer import checksums
from probekit.buffer.recovery.standing import restore
from probekit.buffer.snapshot import read_snapshot
from probekit.errors import BufferCorrupt, BufferFailed
from probekit.histogram import Histogram
from probekit.ports import DeliveryContract

CUMULATIVE = DeliveryContract(cumulative=True)


def damage(buffer, name, **columns):
    """As a disk would: nobody of ours knows."""
    with closing(sqlite3.connect(buffer.path)) as connection, connection:
        for column, value in columns.items():
            connection.execute(
                f"UPDATE series SET {column} = ? WHERE name = ?", (value, name)
            )


def patiently(step, times=5):
    for _ in range(times):
        try:
            return step()
        except BufferFailed:  # noqa: PERF203 - as the leader does
            continue
    return step()


def standing(buffer):
    def look():
        buffer.store._check_due_s = 0.0
        return buffer.store.snapshot()

    points = patiently(look).points
    return {point.series.name: point.value for point in points}


def test_every_column_of_a_total_is_sealed():
    row = (7, 3, 1.5, None, 0.1, 0.9, 0.5, 0.6, 0.7, b"B\x01\x00\x03", 9)
    sealed = (*row, checksums.of_total(row))
    flipped = [
        (*sealed[:place], other, *sealed[place + 1 :])
        for place, value in enumerate(sealed)
        for other in (None, "7", b"B", 2.5, 8)
        if other != value
    ]

    assert checksums.is_total_good(sealed)
    assert [] == [row for row in flipped if checksums.is_total_good(row)]


@pytest.mark.row("D5")
def test_a_leader_sets_totals_right_from_what_it_remembers(buffer, harvest):
    buffer.write(harvest(orders=2.0, latency=[0.1, 0.2], depth=4.0))
    damage(buffer, "shop.orders", sum=99.0)
    damage(buffer, "shop.latency", bins=b"B\x01\x00\x02")
    damage(buffer, "queue.depth", last=5.0)
    found = standing(buffer)

    assert 2.0 == found["shop.orders"]
    assert Histogram.of([0.1, 0.2]) == found["shop.latency"]
    assert 4.0 == found["queue.depth"]
    assert buffer.books_balance()


@pytest.mark.row("D5")
def test_a_new_leader_sets_sums_and_gauges_right_from_their_points(buffer, harvest):
    buffer.write(harvest(orders=2.0, depth=1.0))
    buffer.write(harvest(orders=3.0, depth=4.0, active=7.0))
    damage(buffer, "shop.orders", sum=99.0)
    damage(buffer, "http.server.active_requests", count=0)
    damage(buffer, "queue.depth", last=None)
    buffer.lead()
    found = standing(buffer)

    assert (5.0, 4.0) == (found["shop.orders"], found["queue.depth"])
    assert 7.0 == found["http.server.active_requests"]
    assert buffer.books_balance()


@pytest.mark.row("D5")
def test_a_histogram_that_nobody_remembers_begins_with_what_is_stored(buffer, harvest):
    buffer.store.register(["x"])
    buffer.write(harvest(latency=[0.1]))
    buffer.deliver("x", CUMULATIVE)
    buffer.write(harvest(latency=[0.5]))
    damage(buffer, "shop.latency", p99=7.0)
    with closing(sqlite3.connect(buffer.path)) as connection, connection:
        connection.execute("DELETE FROM point WHERE window = 1")
        connection.execute("DELETE FROM window WHERE id = 1")
    buffer.lead()
    (parcel,) = buffer.deliver("x", CUMULATIVE)

    assert Histogram.of([0.5]) == standing(buffer)["shop.latency"]
    assert Histogram.of([0.5]) == parcel.windows[0].points[0].total
    assert [(0.5, 0.5)] == buffer.sql("SELECT p99, sum FROM series WHERE p99 > 0")
    assert buffer.books_balance()


def test_a_reader_leaves_out_what_is_damaged(buffer, harvest):
    buffer.write(harvest(orders=2.0, depth=4.0))
    damage(buffer, "shop.orders", sum=99.0)
    with closing(sqlite3.connect(buffer.path)) as connection:
        points = read_snapshot(connection).points
        with pytest.raises(BufferCorrupt, match="total"):
            read_snapshot(connection, strict=True)

    assert ["queue.depth"] == [point.series.name for point in points]


def test_totals_that_are_sound_are_left_alone(buffer, harvest):
    buffer.write(harvest(orders=2.0, latency=[0.1], depth=4.0))
    with buffer.store._writing() as connection:
        before = connection.total_changes

        assert not restore(connection, {})
        assert before == connection.total_changes


@pytest.mark.row("D5")
def test_a_dead_letter_that_is_damaged_is_no_evidence(buffer, harvest):
    buffer.store.register(["x"])
    for orders in (1.0, 2.0):
        buffer.write(harvest(orders=orders))
        parcel = buffer.store.next_batch("x", DeliveryContract(), limit=10)
        buffer.store.bury("x", parcel, "no")
    with closing(sqlite3.connect(buffer.path)) as connection, connection:
        connection.execute("UPDATE dead_letter SET reason = 'yes' WHERE id = 1")
    damage(buffer, "shop.orders", sum=99.0)
    standing(buffer)

    assert [(2, "no")] == buffer.sql("SELECT id, reason FROM dead_letter")
    assert buffer.books_balance()


def test_an_older_file_gets_the_checksums_that_a_new_one_has(buffer, harvest):
    buffer.write(harvest(orders=2.0, latency=[0.1, 0.2], depth=4.0, active=-1.0))
    rows = "SELECT id, crc, total_crc FROM series"
    before = buffer.sql(rows)
    with buffer.store._writing() as connection:
        connection.execute("ALTER TABLE series DROP COLUMN total_crc")
        checksums.add_checksums(connection)

    assert 4 == len(before)
    assert before == buffer.sql(rows)
