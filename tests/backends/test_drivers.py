"""Real drivers against real PostgreSQL, MariaDB and redis, read back by name."""

import asyncio
import contextlib

import pytest
import servers
from recorded import instrumented, take

from needs import library

pytestmark = pytest.mark.backend

METRIC = "db.client.operation.duration"
LITERAL = "4111-secret"


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory):
    with servers.redis(tmp_path_factory.mktemp("redis")) as port:
        yield port


def told(taken):
    """(operation, collection, error) → values."""
    return {
        (
            found["db.operation.name"],
            found.get("db.collection.name", ""),
            found.get("error.type", ""),
        ): count
        for found, count in taken.of(METRIC)
    }


def shared(taken):
    """What all series say of the connection."""
    keys = ("db.system.name", "db.namespace", "server.address", "server.port")
    return {tuple(found.get(key) for key in keys) for found, _ in taken.of(METRIC)}


def story(connection, missing):
    """Create, insert, select, fail; as any DB-API driver does it."""
    cursor = connection.cursor()
    cursor.execute("DROP TABLE IF EXISTS orders")
    cursor.execute("CREATE TABLE orders (id INT, card VARCHAR(40))")
    cursor.execute(f"INSERT INTO orders VALUES (1, '{LITERAL}')")
    cursor.executemany("INSERT INTO orders VALUES (%s, %s)", [(2, "a"), (3, "b")])
    cursor.execute("SELECT id, card FROM orders WHERE card = %s", (LITERAL,))
    assert [(1, LITERAL)] == list(cursor.fetchall())
    connection.commit()
    with pytest.raises(missing):
        cursor.execute("SELECT * FROM nowhere")
    connection.rollback()
    cursor.close()


def expected(error):
    return {
        ("DROP", "orders", ""): 1,
        ("CREATE", "orders", ""): 1,
        ("INSERT", "orders", ""): 2,
        ("SELECT", "orders", ""): 1,
        ("SELECT", "nowhere", error): 1,
    }


def test_psycopg2_tells_each_statement_once(postgres):
    psycopg2 = library("psycopg2")
    with instrumented("psycopg2"):
        connection = psycopg2.connect(
            host="127.0.0.1", port=postgres, user="postgres", dbname="postgres"
        )
        with contextlib.closing(connection):
            assert isinstance(connection, psycopg2.extensions.connection)
            assert isinstance(connection.cursor(), psycopg2.extensions.cursor)
            story(connection, psycopg2.errors.UndefinedTable)
        taken = take()

    assert expected("psycopg2.errors.UndefinedTable") == told(taken)
    assert {("postgresql", "postgres", "127.0.0.1", postgres)} == shared(taken)
    assert LITERAL not in repr(taken)


def test_psycopg2_keeps_factories_of_the_applications_own(postgres):
    psycopg2 = library("psycopg2")
    from psycopg2.extras import DictCursor, RealDictCursor

    with instrumented("psycopg2"):
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=postgres,
            user="postgres",
            cursor_factory=RealDictCursor,
        )
        with contextlib.closing(connection), connection.cursor() as cursor:
            assert isinstance(cursor, RealDictCursor)
            cursor.execute("SELECT 1 AS one")
            assert {"one": 1} == dict(cursor.fetchone())
            with connection.cursor(cursor_factory=DictCursor) as other:
                other.execute("SELECT 2 AS two")
                assert 2 == other.fetchone()["two"]
            with connection.cursor("named") as named:
                named.execute("SELECT 3 AS three")
                assert [3] == list(named.fetchone().values())
        assert {("SELECT", "", ""): 3} == told(take())


def test_psycopg_tells_each_statement_once(postgres):
    psycopg = library("psycopg")
    with instrumented("psycopg"):
        with psycopg.connect(
            host="127.0.0.1", port=postgres, user="postgres", dbname="postgres"
        ) as connection:
            assert type(connection) is psycopg.Connection
            assert type(connection.cursor()) is psycopg.Cursor
            story(connection, psycopg.errors.UndefinedTable)
        taken = take()

    assert expected("psycopg.errors.UndefinedTable") == told(taken)
    assert {("postgresql", "postgres", "127.0.0.1", postgres)} == shared(taken)
    assert LITERAL not in repr(taken)


def test_psycopg_tells_composed_statements_and_server_side_cursors(postgres):
    psycopg = library("psycopg")
    from psycopg import sql

    with instrumented("psycopg"):
        with psycopg.connect(
            host="127.0.0.1", port=postgres, user="postgres"
        ) as connection:
            connection.execute(
                sql.SQL("SELECT {} FROM {}").format(
                    sql.Literal(LITERAL), sql.Identifier("pg_class")
                )
            )
            with connection.cursor("named") as cursor:
                cursor.execute("SELECT relname FROM pg_class")
                cursor.fetchone()
        taken = take()

    assert {("SELECT", "pg_class", ""): 2} == told(taken)
    assert LITERAL not in repr(taken)


def test_psycopgs_async_cursors_are_told_too(postgres):
    psycopg = library("psycopg")

    async def ask():
        async with await psycopg.AsyncConnection.connect(
            host="127.0.0.1", port=postgres, user="postgres"
        ) as connection:
            cursor = await connection.execute("SELECT 1")
            assert (1,) == await cursor.fetchone()
            with pytest.raises(psycopg.errors.UndefinedTable):
                await connection.execute("SELECT * FROM nowhere")

    with instrumented("psycopg"):
        assert asyncio.iscoroutinefunction(psycopg.AsyncCursor.execute)
        asyncio.run(ask())
        taken = take()

    error = "psycopg.errors.UndefinedTable"
    assert {("SELECT", "", ""): 1, ("SELECT", "nowhere", error): 1} == told(taken)


def test_pymysql_tells_each_statement_once(mariadb):
    pymysql = library("pymysql")
    with instrumented("pymysql"):
        connection = pymysql.connect(
            host="127.0.0.1", port=mariadb, user="root", charset="utf8mb4"
        )
        with contextlib.closing(connection):
            with connection.cursor() as cursor:
                cursor.execute("CREATE DATABASE IF NOT EXISTS shop")
            connection.select_db("shop")
        take()
        connection = pymysql.connect(
            host="127.0.0.1", port=mariadb, user="root", database="shop"
        )
        with contextlib.closing(connection):
            story(connection, pymysql.err.ProgrammingError)
        taken = take()

    assert expected("pymysql.err.ProgrammingError") == told(taken)
    assert {("mariadb", "shop", "127.0.0.1", mariadb)} == shared(taken)
    assert LITERAL not in repr(taken)


def test_a_driver_nobody_knows_is_recorded_through_proxies(mariadb):
    from probekit.integrations.libraries.dbapi import instrument_driver

    pymysql = library("pymysql")
    undo = instrument_driver(pymysql, "mariadb", host="127.0.0.1", port=mariadb)
    try:
        connection = pymysql.connect(
            host="127.0.0.1", port=mariadb, user="root", database="test_proxies"
        )
    except pymysql.err.OperationalError:  # unknown database: made here
        with pymysql.connect(host="127.0.0.1", port=mariadb, user="root") as made:
            made.cursor().execute("CREATE DATABASE test_proxies")
        connection = pymysql.connect(
            host="127.0.0.1", port=mariadb, user="root", database="test_proxies"
        )
    take()
    with contextlib.closing(connection):
        assert isinstance(connection, pymysql.connections.Connection)
        assert isinstance(connection.cursor(), pymysql.cursors.Cursor)
        assert connection.cursor().connection is connection
        story(connection, pymysql.err.ProgrammingError)
    undo()

    taken = take()
    assert expected("pymysql.err.ProgrammingError") == told(taken)
    assert LITERAL not in repr(taken)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_sqlalchemy_counts_a_statement_once_over_a_patched_driver(postgres, driver):
    sqlalchemy = library("sqlalchemy")
    library(driver)
    with instrumented("sqlalchemy", driver):
        engine = sqlalchemy.create_engine(
            f"postgresql+{driver}://postgres@127.0.0.1:{postgres}/postgres"
        )
        with engine.connect():
            take()  # what the dialect asks of a new server is its own business
        with engine.connect() as connection:
            text = sqlalchemy.text
            connection.execute(text("SELECT relname FROM pg_class LIMIT 1"))
            with pytest.raises(sqlalchemy.exc.ProgrammingError):
                connection.execute(text("SELECT * FROM nowhere"))
            connection.rollback()
            connection.execute(text("SELECT :card"), {"card": LITERAL})
        taken = take()
        engine.dispose()

    assert {
        ("SELECT", "pg_class", ""): 1,
        ("SELECT", "nowhere", f"{driver}.errors.UndefinedTable"): 1,
        ("SELECT", "", ""): 1,
    } == told(taken)
    assert {("postgresql", "postgres", "127.0.0.1", postgres)} == shared(taken)
    assert LITERAL not in repr(taken)


def test_sqlalchemy_tells_mariadb_from_mysql(mariadb):
    sqlalchemy = library("sqlalchemy")
    library("pymysql")
    with instrumented("sqlalchemy", "pymysql"):
        engine = sqlalchemy.create_engine(
            f"mysql+pymysql://root@127.0.0.1:{mariadb}/mysql"
        )
        with engine.connect():
            take()
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1 FROM user"))
        taken = take()
        engine.dispose()

    assert {("SELECT", "user", ""): 1} == told(taken)
    assert {("mariadb", "mysql", "127.0.0.1", mariadb)} == shared(taken)


def test_sqlalchemy_is_silent_after_uninstall(postgres):
    sqlalchemy = library("sqlalchemy")
    library("psycopg")
    engine = sqlalchemy.create_engine(
        f"postgresql+psycopg://postgres@127.0.0.1:{postgres}/postgres"
    )
    with instrumented("sqlalchemy"), engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT 1"))
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT 1"))
    engine.dispose()

    assert [] == take().of(METRIC)


def test_redis_commands_are_told_by_their_word(redis_port):
    redis = library("redis")
    with instrumented("redis"), redis.Redis(port=redis_port, db=2) as server:
        assert type(server) is redis.Redis
        server.set(LITERAL, LITERAL)
        assert LITERAL.encode() == server.get(LITERAL)
        with pytest.raises(redis.ResponseError):
            server.lpush(LITERAL, 1)
        with server.pipeline(transaction=False) as pipeline:
            assert [True, b"1"] == pipeline.set("a", 1).get("a").execute()
        with server.pipeline() as pipeline:
            pipeline.watch("a")
            pipeline.multi()
            pipeline.incr("a")
            assert [2] == pipeline.execute()
            assert [] == pipeline.execute()
        taken = take()

    assert {
        ("SET", "", ""): 1,
        ("GET", "", ""): 1,
        ("LPUSH", "", "redis.exceptions.ResponseError"): 1,
        ("PIPELINE", "", ""): 1,
        ("WATCH", "", ""): 1,
        ("MULTI", "", ""): 1,
    } == {key: count for key, count in told(taken).items() if key[0] != "UNWATCH"}
    assert {("redis", "2", "127.0.0.1", redis_port)} == shared(taken) or {
        ("redis", "2", "localhost", redis_port)
    } == shared(taken)
    assert LITERAL not in repr(taken)


def test_redis_is_told_under_asyncio_too(redis_port):
    redis = library("redis.asyncio")

    async def ask():
        async with redis.Redis(port=redis_port) as server:
            await server.set("b", 1)
            async with server.pipeline() as pipeline:
                assert [b"1"] == await pipeline.get("b").execute()

    with instrumented("redis"):
        asyncio.run(ask())
        taken = take()

    assert {("SET", "", ""): 1, ("MULTI", "", ""): 1} == told(taken)
