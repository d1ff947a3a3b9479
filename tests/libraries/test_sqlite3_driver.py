import sqlite3
import traceback

import pytest

from probekit.integrations import libraries

PLAIN = [sqlite3.connect]  # in a list: bare names are patched, that is the law below
connect_by_name = sqlite3.connect
CARD = "4111-secret"


@pytest.fixture
def connection(recorded):
    libraries.instrument_libraries("sqlite3")
    opened = sqlite3.connect(":memory:")
    yield opened
    opened.close()


def test_each_statement_is_told_once_by_verb_table_and_error(connection, recorded):
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE t (a)")
    connection.execute("INSERT INTO t VALUES (?)", (CARD,))
    cursor.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
    cursor.executescript(f"SELECT '{CARD}'; SELECT 2")
    with pytest.raises(sqlite3.OperationalError):
        connection.execute("SELECT * FROM nowhere")

    taken = recorded()
    assert {
        ("CREATE", "t", ""): 1,
        ("INSERT", "t", ""): 2,
        ("SELECT", "", ""): 1,
        ("SELECT", "nowhere", "sqlite3.OperationalError"): 1,
    } == taken.statements()
    assert CARD not in repr(vars(taken))
    systems = {
        (found["db.system.name"], found["db.namespace"])
        for found, _ in taken.of("db.client.operation.duration")
    }
    assert {("sqlite", ":memory:")} == systems


def test_the_database_is_named_by_its_file_not_by_its_folder(tmp_path, recorded):
    libraries.instrument_libraries("sqlite3")
    for database in (tmp_path / "shop.db", f"file:{tmp_path}/shop.db?mode=ro"):
        opened = sqlite3.connect(database, uri=True)
        opened.execute("SELECT 1")
        opened.close()

    ((found, count),) = recorded().of("db.client.operation.duration")
    assert ("shop.db", 2) == (found["db.namespace"], count)


def test_types_hold(connection):
    assert isinstance(connection, sqlite3.Connection)
    assert isinstance(connection.cursor(), sqlite3.Cursor)
    assert isinstance(connection.execute("SELECT 1"), sqlite3.Cursor)
    assert repr(connection).startswith("<sqlite3.Connection object")
    assert connection.execute("SELECT 1").connection is connection


def test_a_cursor_that_execute_returned_is_recorded_as_well(connection, recorded):
    connection.execute("SELECT 1").execute("SELECT 2")

    assert {("SELECT", "", ""): 2} == recorded().statements()


def test_row_factories_and_transactions_work_as_ever(connection):
    connection.row_factory = sqlite3.Row
    with connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(ZeroDivisionError), connection:  # noqa: PT012 - a transaction
        connection.execute("INSERT INTO t VALUES (2)")
        raise ZeroDivisionError

    assert [1] == [row["a"] for row in connection.execute("SELECT a FROM t")]


class Own(sqlite3.Connection):
    def cursor(self, *args, **kwargs):
        return super().cursor(*args, **kwargs)

    def execute(self, *args):
        return super().execute(*args)


class OwnCursor(sqlite3.Cursor):
    def execute(self, sql, *args):
        return super().execute(sql.replace("%s", "?"), *args)


class Noticing(sqlite3.Connection):
    kinds: list = []  # noqa: RUF012 - a registry, as applications have them

    def __init_subclass__(cls, **kwargs):
        cls.kinds.append(cls)


def test_a_factory_of_the_applications_own_is_kept(recorded):
    libraries.instrument_libraries("sqlite3")
    opened = sqlite3.connect(":memory:", factory=Own)
    assert isinstance(opened, Own)
    assert (1,) == opened.execute("SELECT 1").fetchone()
    cursor = opened.cursor(factory=OwnCursor)
    assert isinstance(cursor, OwnCursor)
    assert (2,) == cursor.execute("SELECT %s", (2,)).fetchone()
    opened.close()

    assert {("SELECT", "", ""): 2} == recorded().statements()


def test_a_factory_that_would_notice_a_subclass_is_left_alone(recorded):
    libraries.instrument_libraries("sqlite3")
    opened = sqlite3.connect(":memory:", factory=Noticing)
    opened.execute("SELECT 1")
    opened.close()

    assert Noticing is type(opened)
    assert [] == Noticing.kinds
    plain = sqlite3.connect(":memory:", factory=lambda *a, **k: sqlite3.Connection(*a))
    assert sqlite3.Connection is type(plain)
    plain.close()


@pytest.mark.parametrize("arguments", [(), (3,), ("SELECT 1", 2, 3), ("nonsense",)])
def test_errors_are_the_drivers_own(arguments, recorded):
    def failure():
        opened = sqlite3.connect(":memory:")
        try:
            opened.execute(*arguments)
        except Exception as error:
            return type(error), str(error)
        finally:
            opened.close()

    without = failure()
    libraries.instrument_libraries("sqlite3")

    assert without == failure()


def test_a_traceback_has_at_most_one_frame_of_ours_on_a_cursor(connection):
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.cursor().execute("SELECT * FROM nowhere")

    names = [frame.filename for frame in traceback.extract_tb(caught.tb)]
    assert 1 == sum("probekit/integrations" in name for name in names)


def test_names_imported_before_and_after_are_put_back_by_identity(recorded):
    libraries.instrument_libraries("sqlite3")
    assert PLAIN[0] is not sqlite3.connect
    assert connect_by_name is sqlite3.connect
    globals()["imported_later"] = sqlite3.connect
    libraries.uninstall()

    assert sqlite3.connect is sqlite3.dbapi2.connect
    assert PLAIN[0] is sqlite3.connect
    assert connect_by_name is sqlite3.connect
    assert globals()["imported_later"] is sqlite3.connect


def test_the_buffers_own_connections_are_not_recorded(recorded):
    from types import FunctionType

    libraries.instrument_libraries("sqlite3")

    def body():
        return sqlite3.connect(":memory:")

    ours = FunctionType(body.__code__, {"__name__": "probekit.x", "sqlite3": sqlite3})
    opened = ours()
    opened.execute("SELECT 1")
    opened.close()

    assert sqlite3.Connection is type(opened)
    assert {} == recorded().statements()


def test_an_open_connection_is_silent_after_uninstall(connection, recorded):
    cursor = connection.cursor()
    libraries.uninstall()
    cursor.execute("SELECT 1")
    connection.execute("SELECT 1")

    assert {} == recorded().statements()
