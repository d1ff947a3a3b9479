"""PostgreSQL, MariaDB and SQLite themselves tell what they have stored of us."""

import json
import os
import signal
import threading

import matrix
import pytest
import sqlservers
from servers import eventually
from shop import VALUES, Shop

from probekit.errors import Forbidden, RetryLater
from probekit.exporters import build
from probekit.testing.contract import HOSTILE, hostile_batch, sample_batch

pytestmark = [pytest.mark.backend, pytest.mark.timeout(120)]
SENT = {
    "counter shop.orders{plan=pro}": 3.0,
    "up-down shop.carts": 3.0,
    "gauge shop.temperature": -4.5,
    "histogram count": len(VALUES),
    "histogram sum": round(sum(VALUES), 9),
    "histogram min, max": [min(VALUES), max(VALUES)],
    "event order.refunded": {"amount": 9, "order.id": "A1"},
    "exception": "ValueError",
}
SERVERS = {
    "sqlite": sqlservers.sqlite,
    "postgres": sqlservers.postgres,
    "mariadb": sqlservers.mariadb,
}


# SQLite has no connection to lose, makes its file, and adds no constraint later.
with_a_server = pytest.mark.parametrize(
    "database", ["mariadb", "postgres"], indirect=True
)


@pytest.fixture(scope="module", params=sorted(SERVERS))
def database(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sql")
    with SERVERS[request.param](folder) as running:
        yield running


def told(value):
    return json.loads(value) if isinstance(value, str) else value


def stored(database, prefix):
    """What the database has, in the words of SENT."""

    def one(what, name):
        found = database.rows(
            f"SELECT {what} FROM {prefix}metrics WHERE name = '{name}'"
        )
        return found[0] if found else [None] * 4

    orders = database.rows(
        f"SELECT attributes, sum(value) FROM {prefix}metrics "
        "WHERE name = 'shop.orders' GROUP BY attributes"
    )
    count, total, low, high = one(
        "sum(count), sum(sum), min(min), max(max)", "shop.request.duration"
    )
    events = dict(database.rows(f"SELECT name, attributes FROM {prefix}events"))
    exception = told(events.get("exception", "{}"))
    return {
        "counter shop.orders{plan=pro}": next(
            (total for pair, total in orders if told(pair) == {"plan": "pro"}), None
        ),
        "up-down shop.carts": one("max(total)", "shop.carts")[0],
        "gauge shop.temperature": one("max(value)", "shop.temperature")[0],
        "histogram count": count and int(count),
        "histogram sum": round(total or 0, 9),
        "histogram min, max": [low, high],
        "event order.refunded": told(events.get("order.refunded", "null")),
        "exception": exception.get("exception.type"),
    }


def test_everything_an_application_records_comes_back(database, tmp_path):
    with Shop(tmp_path, f"{database.exporter_url}?prefix=all_") as shop:
        assert shop.delivered()
    found = stored(database, "all_")

    matrix.record("`sql+`", database.version(), SENT, found)
    assert SENT == found


@with_a_server
def test_what_the_server_refuses_is_a_dead_letter_and_the_rest_arrives(
    database, tmp_path
):
    build_tables = build(f"{database.exporter_url}?prefix=refusing_")
    build_tables.send(sample_batch())
    build_tables.close()
    database.change(
        "DELETE FROM refusing_points",
        "DELETE FROM refusing_events",
        "ALTER TABLE refusing_points "
        "ADD CONSTRAINT not_that_cold CHECK (value IS NULL OR value > -4)",
    )
    with Shop(tmp_path, f"{database.exporter_url}?prefix=refusing_") as shop:
        assert shop.delivered()
    found = stored(database, "refusing_")

    assert {**SENT, "gauge shop.temperature": None} == found
    assert {True} == {"not_that_cold" in str(reason) for reason in shop.dead_letters()}


def test_words_of_users_come_back_as_they_were(database):
    exporter = build(f"{database.exporter_url}?prefix=hostile_")
    for number, text in enumerate(HOSTILE):
        batch = hostile_batch(text)
        exporter.send(type(batch)(f"{number:032d}", batch.resource, batch.windows))
    exporter.close()
    found = database.rows("SELECT name FROM hostile_metrics")
    wanted = {
        text.replace("\0", "\ufffd").replace("\ud83d", "\ufffd") for text in HOSTILE
    }

    assert wanted == {name for (name,) in found}
    assert len(HOSTILE) == len(found)


def test_repeating_a_batch_changes_nothing(database):
    exporter = build(f"{database.exporter_url}?prefix=again_")
    batch = sample_batch()
    exporter.send(batch)
    before = database.rows("SELECT * FROM again_points ORDER BY 1, 2, 3")
    exporter.send(batch)
    exporter.close()

    assert 5 == len(before)
    assert before == database.rows("SELECT * FROM again_points ORDER BY 1, 2, 3")
    assert [(2,)] == database.rows("SELECT count(*) FROM again_events")
    assert [(1,)] == database.rows("SELECT count(*) FROM again_spans")


def test_many_applications_may_start_at_the_same_moment(database):
    exporters = [build(f"{database.exporter_url}?prefix=together_") for _ in range(4)]
    errors = []

    def start(number):
        batch = sample_batch()
        mine = type(batch)(f"{number:032d}", batch.resource, batch.windows)

        def sent():
            try:
                exporters[number].send(mine)
            except RetryLater:
                return False
            return True

        if not eventually(sent):
            errors.append(number)

    threads = [threading.Thread(target=start, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for exporter in exporters:
        exporter.close()

    assert [] == errors
    assert [(20,)] == database.rows("SELECT count(*) FROM together_points")


@with_a_server
def test_a_database_that_is_not_there_keeps_the_data(database):
    nowhere = database.exporter_url.rpartition("/")[0] + "/nowhere"
    exporter = build(nowhere)
    with pytest.raises(Forbidden, match="nowhere"):
        exporter.send(sample_batch())
    exporter.close()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_server_that_hangs_holds_nobody_beyond_the_deadline(tmp_path, driver):
    with sqlservers.postgres(tmp_path, driver) as database:
        exporter = build(f"{database.exporter_url}?timeout_s=1")
        assert eventually(lambda: sends(exporter))  # the tables may take their time
        locked = threading.Event()
        blocking(database, locked)
        with pytest.raises(RetryLater, match="within 1 s"):
            exporter.send(sample_batch())
        locked.set()
        assert eventually(lambda: sends(exporter))
        exporter.close()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_server_that_is_stopped_holds_nobody_beyond_the_deadline(tmp_path, driver):
    with sqlservers.postgres(tmp_path, driver) as database:
        exporter = build(f"{database.exporter_url}?timeout_s=1&application_name=pk")
        assert eventually(lambda: sends(exporter))
        ((pid,),) = database.rows(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'pk'"
        )
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(RetryLater, match="within 1 s"):
                exporter.send(sample_batch())
        finally:
            os.kill(pid, signal.SIGCONT)
        assert eventually(lambda: sends(exporter))
        exporter.close()


@with_a_server
def test_a_connection_that_died_while_idle_costs_no_delivery(database):
    exporter = build(f"{database.exporter_url}?prefix=idle_")
    exporter.send(sample_batch())
    database.server.kill()
    database.server.start()
    eventually(lambda: sqlservers._answers(database))
    exporter.send(sample_batch())
    exporter.close()

    assert [(5,)] == database.rows("SELECT count(*) FROM idle_points")


def blocking(database, until):
    """Hold a lock on the points until told otherwise."""
    import sqlalchemy as sa

    held = threading.Event()

    def hold():
        engine = sa.create_engine(database.url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text("LOCK TABLE probekit_points"))
            held.set()
            until.wait(30)

    threading.Thread(target=hold, daemon=True).start()
    assert held.wait(10)


def sends(exporter):
    try:
        exporter.send(sample_batch())
    except RetryLater:
        return False
    return True
