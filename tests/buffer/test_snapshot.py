"""Where every series stands, as somebody who scrapes sees it."""

import sqlite3

import pytest

from probekit.buffer import checksums, schema
from probekit.buffer.snapshot import GONE_NS, read_snapshot
from probekit.histogram import Histogram


@pytest.fixture
def connection():
    made = sqlite3.connect(":memory:")
    made.executescript(schema.script())
    yield made
    made.close()


def add(connection, name, kind, attributes="{}", updated=10 * GONE_NS, **columns):
    filled = {"count": 1, "updated_unix_ns": updated, **columns}
    names = ", ".join(filled)
    marks = ", ".join("?" for _ in filled)
    connection.execute(
        f"INSERT INTO series (name, kind, unit, attributes, description, "
        f"ends_with_process, {names}) VALUES (?, ?, '', ?, '', 0, {marks})",
        (name, kind, attributes, *filled.values()),
    )
    seal(connection)


def seal(connection):
    names = ", ".join(("id", *checksums.STANDING))
    for row in connection.execute(f"SELECT {names} FROM series").fetchall():
        crc = checksums.of_total(row)
        connection.execute(
            "UPDATE series SET total_crc = ? WHERE id = ?", (crc, row[0])
        )


def test_an_empty_buffer_stands_nowhere(connection):
    assert () == read_snapshot(connection).points


def test_each_kind_shows_where_it_stands(connection):
    durations = Histogram.of([0.1, 0.2])
    add(connection, "orders", "counter", '{"plan": "pro"}', sum=3.0)
    add(connection, "carts", "up_down_counter", sum=-2.0)
    add(connection, "depth", "gauge", last=7.0)
    add(
        connection, "took", "histogram",
        sum=durations.sum, min=0.1, max=0.2, bins=durations.to_blob(),
    )  # fmt: skip
    points = read_snapshot(connection).points
    found = {point.series.name: point for point in points}

    assert ["orders", "carts", "depth", "took"] == [p.series.name for p in points]
    assert (("plan", "pro"),) == found["orders"].series.attributes
    assert (3.0, -2.0) == (found["orders"].total, found["carts"].total)
    assert (7.0, None) == (found["depth"].value, found["depth"].total)
    assert durations == found["took"].total


def test_what_a_dead_process_said_about_itself_is_left_out(connection):
    add(connection, "new", "counter", sum=1.0)
    add(connection, "old", "counter", updated=1, sum=1.0)
    add(connection, "dead", "counter", '{"process.pid": 7}', updated=1, sum=1.0)

    assert ["new", "old"] == [p.series.name for p in read_snapshot(connection).points]
