"""Tables in SQLite through SQLAlchemy; the laws that hold for every database."""

import itertools
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.errors import (
    ConfigError,
    Forbidden,
    MissingExtra,
    Rejected,
    RetryLater,
    TooLarge,
)
from probekit.exporters import build
from probekit.exporters.sql import schema
from probekit.exporters.sql.exporter import Sql
from probekit.exporters.sql.refusals import as_export_error
from probekit.exporters.sql.retention import DAY_NS
from probekit.exporters.sql.rows import Rows, json_of, text
from probekit.exporters.sql.upsert import upsert
from probekit.model import Batch, Event, Point, Resource, Series, Window
from probekit.testing import ExporterContract
from probekit.testing.contract import SECRET, sample_batch


@pytest.fixture
def tmp_path():
    """A folder in memory where there is one: no commit waits for a disk."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


class Fresh(Sql):
    """Every batch is of a buffer of its own, so that none replaces another."""

    numbers = itertools.count()

    def send(self, batch):
        super().send(replace(batch, buffer_id=f"{next(self.numbers):032x}"))


class TestSql(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self, tmp_path):
        self.path = tmp_path / "theirs.db"

    def exporter(self):
        return Fresh(f"sql+sqlite:///{self.path}?timeout_s=1")

    def received(self):
        if not self.path.exists():
            return 0
        tables = ("points", "events", "spans")
        return sum(len(rows(self.path, f"SELECT 1 FROM probekit_{t}")) for t in tables)

    def break_far_side(self):
        self.path.unlink()
        self.path.mkdir()
        return True

    def secret_url(self):
        return f"sql+postgresql+psycopg://u:{SECRET}@127.0.0.1:1/db?application_name=x"


def rows(path, query):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def one_point(value, **more):
    series = Series("a", "gauge", attributes=(("plan", "pro"),))
    window = Window(1, 0, 10**9, (Point(series, value),))
    return replace(Batch("b" * 32, Resource(), (window,)), **more)


def test_a_batch_that_comes_again_changes_nothing(tmp_path):
    path = tmp_path / "theirs.db"
    exporter = build(f"sql+sqlite:///{path}")
    exporter.send(sample_batch(0))
    before = rows(path, "SELECT * FROM probekit_points")
    exporter.send(sample_batch(0))
    exporter.close()

    assert before == rows(path, "SELECT * FROM probekit_points")
    assert [(5,)] == rows(path, "SELECT count(*) FROM probekit_series")


def test_a_refused_record_takes_the_whole_batch_back(tmp_path):
    path = tmp_path / "theirs.db"
    exporter = build(f"sql+sqlite:///{path}")
    exporter.send(one_point(1.0))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TRIGGER no BEFORE INSERT ON probekit_events "
            "BEGIN SELECT RAISE(ABORT, 'we want no events'); END"
        )
    event = Event(1, "e", number=1)
    with pytest.raises(Rejected, match="we want no events"):
        exporter.send(one_point(2.0, events=(event,)))
    exporter.close()

    assert [(1.0,)] == rows(path, "SELECT value FROM probekit_points")


def test_a_table_that_is_gone_is_made_again_before_the_next_try(tmp_path):
    path = tmp_path / "theirs.db"
    exporter = build(f"sql+sqlite:///{path}")
    exporter.send(one_point(1.0))
    with closing(sqlite3.connect(path)) as connection:
        for table in ("points", "meta"):
            connection.execute(f"DROP TABLE probekit_{table}")
    with pytest.raises(RetryLater, match="no such table"):
        exporter.send(one_point(1.0))
    exporter.send(one_point(1.0))
    exporter.close()

    assert [(1.0,)] == rows(path, "SELECT value FROM probekit_points")


def test_a_later_version_of_the_tables_is_reached_with_all_rows_kept(
    tmp_path, monkeypatch
):
    path = tmp_path / "theirs.db"
    exporter = build(f"sql+sqlite:///{path}")
    exporter.send(one_point(1.0))
    exporter.close()

    def second(connection, tables):
        connection.exec_driver_sql(
            f"ALTER TABLE {tables.prefix}points ADD COLUMN note TEXT DEFAULT 'old'"
        )

    monkeypatch.setattr(schema, "STEPS", [*schema.STEPS, second])
    exporter = build(f"sql+sqlite:///{path}")
    exporter.send(one_point(1.0))
    exporter.send(one_point(1.0))
    exporter.close()

    assert [(1.0, "old")] == rows(path, "SELECT value, note FROM probekit_points")
    assert [("2",)] == rows(path, "SELECT value FROM probekit_meta")


def test_tables_newer_than_ours_are_left_alone(tmp_path):
    path = tmp_path / "theirs.db"
    exporter = build(f"sql+sqlite:///{path}")
    exporter.send(one_point(1.0))
    exporter.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE probekit_meta SET value = '99'")
    exporter = build(f"sql+sqlite:///{path}")
    with pytest.raises(Forbidden, match="of version 99"):
        exporter.send(one_point(2.0))
    exporter.close()

    assert [(1.0,)] == rows(path, "SELECT value FROM probekit_points")


def test_without_leave_to_create_nothing_is_created(tmp_path):
    path = tmp_path / "theirs.db"
    exporter = build(f"sql+sqlite:///{path}?create=0")
    with pytest.raises(Forbidden, match="create=0"):
        exporter.send(one_point(1.0))
    exporter.close()

    assert [] == rows(path, "SELECT name FROM sqlite_master")


class Clock:
    def __init__(self, wall_ns):
        self.now_ns = wall_ns

    def wall_ns(self):
        return self.now_ns

    def monotonic_s(self):
        return self.now_ns / 1e9


def test_what_is_older_than_its_days_goes_and_the_rest_stays(tmp_path):
    path = tmp_path / "theirs.db"
    clock = Clock(100 * DAY_NS)
    exporter = Sql(f"sql+sqlite:///{path}?retention_days=3", clock=clock)
    series = Series("a", "gauge")
    for number, day in enumerate((90, 98, 100)):
        window = Window(number, day * DAY_NS, day * DAY_NS + 1, (Point(series, day),))
        events = (Event(day * DAY_NS, "e", number=number + 1),)
        exporter.send(Batch("b" * 32, Resource(), (window,), events))
    exporter.close()

    assert [(98.0,), (100.0,)] == rows(path, "SELECT value FROM probekit_points")
    assert [(2,)] == rows(path, "SELECT count(*) FROM probekit_events")
    assert [(1,)] == rows(path, "SELECT count(*) FROM probekit_series")


def test_a_series_that_nobody_sends_any_more_goes_with_its_points(tmp_path):
    path = tmp_path / "theirs.db"
    clock = Clock(10 * DAY_NS)
    exporter = Sql(f"sql+sqlite:///{path}?retention_days=3", clock=clock)
    exporter.send(one_point(1.0))
    exporter.send(one_point(1.0))
    clock.now_ns += 700 * 10**9
    exporter.send(
        replace(one_point(1.0), windows=(), events=(Event(clock.now_ns, "e"),))
    )
    exporter.close()

    assert [(0,)] == rows(path, "SELECT count(*) FROM probekit_series")


def test_series_that_differ_only_in_a_type_stay_apart():
    values = (True, 1, 1.0, "1", ("1",))
    points = [
        Point(Series("a", "counter", attributes=(("k", value),)), 1.0, series_id=n)
        for n, value in enumerate(values, start=1)
    ]
    found = Rows().of(Batch("b", Resource(), (Window(1, 0, 1, points),)))

    assert len(values) == len({row["series_key"] for row in found["points"]})


def test_a_number_that_is_none_is_refused_before_the_database_sees_it():
    with pytest.raises(Rejected, match="nan"):
        Rows().of(one_point(float("nan")))


@given(st.text(st.characters(exclude_categories=())))
@settings(max_examples=60)
def test_every_text_becomes_one_that_databases_take(words):
    clean = text(words)

    assert "\0" not in clean
    assert clean == clean.encode("utf-8").decode("utf-8")
    assert text(clean) == clean
    assert "\\u0000" not in json_of({words: words}).replace("\\\\", "")


def test_any_other_database_deletes_and_inserts(monkeypatch):
    engine = sa.create_engine("sqlite://")
    tables = schema.Tables()
    with engine.begin() as connection:
        schema.prepare(connection, tables)
        found = Rows().of(one_point(1.0))["points"]
        monkeypatch.setattr(connection.dialect, "name", "oracle")
        upsert(connection, tables.points, found)
        upsert(connection, tables.points, [{**found[0], "value": 2.0}])
        values = connection.execute(sa.select(tables.points.c.value)).all()
        monkeypatch.undo()
    engine.dispose()

    assert [(2.0,)] == values


class DriverError(Exception):
    def __init__(self, *args, sqlstate=None):
        super().__init__(*args)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    "cause, kind, error",
    [
        (DriverError("x", sqlstate="22001"), sa.exc.DataError, Rejected),
        (DriverError("x", sqlstate="P0001"), sa.exc.DatabaseError, Rejected),
        (DriverError("x", sqlstate="42501"), sa.exc.ProgrammingError, Forbidden),
        (DriverError("x", sqlstate="40P01"), sa.exc.OperationalError, RetryLater),
        (DriverError("x", sqlstate="53100"), sa.exc.OperationalError, RetryLater),
        (DriverError("password authentication"), sa.exc.OperationalError, Forbidden),
        (DriverError(1045, "no"), sa.exc.OperationalError, Forbidden),
        (DriverError(1153, "big"), sa.exc.OperationalError, TooLarge),
        (DriverError(1644, "trigger"), sa.exc.OperationalError, Rejected),
        (DriverError(2006, "gone"), sa.exc.OperationalError, RetryLater),
        (DriverError("database is locked"), sa.exc.OperationalError, RetryLater),
    ],
)
def test_each_error_says_what_to_do(cause, kind, error):
    assert error is type(as_export_error(kind("INSERT secret", {}, cause), "sql+x:"))


def test_errors_hold_neither_statements_nor_rows():
    cause = DriverError("violates\nDETAIL:  Failing row contains (secret)")
    told = as_export_error(sa.exc.IntegrityError("INSERT hidden", {}, cause), "sql+x:")

    assert "sql+x:: DriverError: violates" == str(told)


@pytest.mark.parametrize(
    "url, rule",
    [
        ("sql+nosuch://h/db", "nosuch"),
        ("sql+sqlite:///x?prefix=A-B", "prefix must be"),
        ("sql+sqlite:///x?retention_days=-1", "retention_days"),
        ("sql+sqlite:///x?create=perhaps", "create"),
    ],
)
def test_a_wrong_url_says_what_is_wrong(url, rule):
    with pytest.raises(ConfigError, match=rule):
        build(url)


def test_a_missing_driver_is_named():
    with pytest.raises(MissingExtra, match="oracledb"):
        build("sql+oracle+oracledb://u:p@h/db")
