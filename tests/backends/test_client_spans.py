"""Calls of real clients inside a recorded trace: one client span each."""

import asyncio

import pytest
import servers
from opentelemetry import trace
from recorded import http_server, instrumented
from test_drivers import LITERAL
from test_http_clients import CLIENTS

from freeports import free_ports
from needs import library
from probekit.recording.registry import REGISTRY
from probekit.tracing.connection import connect
from probekit.tracing.policy import plan_of

pytestmark = pytest.mark.backend

CLIENT = 3
HTTP = ["requests", "httpx", "urllib3", "aiohttp"]


@pytest.fixture
def root():
    """Runs something inside of a recorded trace; gives the spans it has left."""
    REGISTRY.drain()
    on = connect(REGISTRY, plan_of(1.0), {"service.name": "shop"})

    def run(work):
        with trace.get_tracer("shop").start_as_current_span("root"):
            work()
            still = trace.get_current_span().name
        spans = list(REGISTRY.drain().spans)
        (first,) = [span for span in spans if span.name == "root"]
        spans.remove(first)

        assert "root" == still
        assert {CLIENT} == {span.kind for span in spans}
        assert {first.span_id} == {span.parent_span_id for span in spans}
        return spans

    yield run
    on.close()
    REGISTRY.drain()


def told(spans):
    """(name, error) in the order of their ends."""
    return [(span.name, span.attributes.get("error.type", "")) for span in spans]


@pytest.mark.parametrize("ask", CLIENTS, ids=lambda ask: ask.__name__[3:])
def test_a_request_is_one_span_and_its_server_is_told_that_span(ask, root):
    """However many patched layers it passes."""
    library("requests"), library("httpx"), library("aiohttp")
    with http_server() as (port, seen), instrumented(*HTTP):
        url = f"http://127.0.0.1:{port}"

        def work():
            ask(f"{url}/ok?card={LITERAL}")
            ask(f"{url}/missing")

        found, missing = root(work)

    assert [("GET", ""), ("GET", "404")] == told([found, missing])
    assert [0, 2] == [found.status, missing.status]
    assert {
        "http.request.method": "GET",
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "server.port": port,
        "http.response.status_code": 200,
        "url.full": f"{url}/ok?card=REDACTED",
    } == dict(found.attributes)
    sent = [
        {name.lower(): value for name, value in headers.items()}["traceparent"]
        for headers in seen
    ]
    assert [f"00-{span.trace_id}-{span.span_id}" for span in (found, missing)] == [
        header[:-3] for header in sent
    ]


@pytest.mark.parametrize("ask", CLIENTS, ids=lambda ask: ask.__name__[3:])
def test_a_server_that_is_not_there_is_a_failed_span(ask, root):
    library("requests"), library("httpx"), library("aiohttp")
    (port,) = free_ports(1)
    with instrumented(*HTTP):

        def work():
            with pytest.raises(Exception, match=r"(?i)connect|refused|retries"):
                ask(f"http://127.0.0.1:{port}/ok")

        (span,) = root(work)

    assert 2 == span.status
    assert span.attributes["error.type"].rpartition(".")[2] in {
        "ConnectionError", "ConnectError", "MaxRetryError", "ClientConnectorError",
    }  # fmt: skip


def by_psycopg(port):
    return library("psycopg").connect(
        host="127.0.0.1", port=port, user="postgres", dbname="postgres"
    )


def by_psycopg2(port):
    return library("psycopg2").connect(
        host="127.0.0.1", port=port, user="postgres", dbname="postgres"
    )


@pytest.mark.parametrize("open_", [by_psycopg, by_psycopg2])
def test_a_statement_is_one_span_without_its_values(open_, postgres, root):
    name = open_.__name__[3:]
    library(name)
    with instrumented(name):
        connection = open_(postgres)
        cursor = connection.cursor()

        def work():
            cursor.execute("SELECT * FROM pg_class WHERE relname = %s", (LITERAL,))
            cursor.execute(f"SELECT '{LITERAL}' FROM pg_class")
            with pytest.raises(library(name).Error):
                cursor.execute("SELECT * FROM nowhere")

        spans = root(work)
        connection.close()

    assert [
        ("SELECT pg_class", ""),
        ("SELECT pg_class", ""),
        ("SELECT nowhere", f"{name}.errors.UndefinedTable"),
    ] == told(spans)
    assert {
        "db.system.name": "postgresql",
        "db.namespace": "postgres",
        "db.operation.name": "SELECT",
        "db.collection.name": "pg_class",
        "server.address": "127.0.0.1",
        "server.port": postgres,
    } == dict(spans[0].attributes)
    assert LITERAL not in repr(spans)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_sqlalchemys_statement_is_one_span_over_a_patched_driver(
    driver, postgres, root
):
    sqlalchemy = library("sqlalchemy")
    library(driver)
    with instrumented("sqlalchemy", driver):
        engine = sqlalchemy.create_engine(
            f"postgresql+{driver}://postgres@127.0.0.1:{postgres}/postgres"
        )
        engine.connect().close()  # what the dialect asks of a new server

        def work():
            with engine.connect() as connection:
                text = sqlalchemy.text("SELECT relname, :card FROM pg_class LIMIT 1")
                connection.execute(text, {"card": LITERAL})
                with pytest.raises(sqlalchemy.exc.ProgrammingError):
                    connection.execute(sqlalchemy.text("SELECT * FROM nowhere"))

        spans = root(work)
        engine.dispose()

    assert [
        ("SELECT pg_class", ""),
        ("SELECT nowhere", f"{driver}.errors.UndefinedTable"),
    ] == told(spans)
    assert LITERAL not in repr(spans)


def test_pymysqls_statement_is_one_span(mariadb, root):
    pymysql = library("pymysql")
    with instrumented("pymysql"):
        connection = pymysql.connect(host="127.0.0.1", port=mariadb, user="root")
        cursor = connection.cursor()
        spans = root(lambda: cursor.execute("SELECT %s FROM mysql.user", (LITERAL,)))
        connection.close()

    assert [("SELECT mysql.user", "")] == told(spans)
    assert LITERAL not in repr(spans)


def test_redis_commands_and_pipelines_are_spans_named_by_their_words(tmp_path, root):
    redis = library("redis")
    waiting = library("redis.asyncio")

    async def wait(port):
        async with waiting.Redis(port=port) as server:
            await server.get(LITERAL)

    with servers.redis(tmp_path / "redis") as port, instrumented("redis"):
        server = redis.Redis(port=port)
        server.ping()

        def work():
            server.set(LITERAL, LITERAL)
            with pytest.raises(redis.ResponseError):
                server.lpush(LITERAL, 1)
            server.pipeline().incr("a").execute()
            asyncio.run(wait(port))

        spans = root(work)
        server.close()

    names = [each for each in told(spans) if each[0] != "CLIENT"]
    assert [
        ("SET", ""),
        ("LPUSH", "redis.exceptions.ResponseError"),
        ("MULTI", ""),
        ("GET", ""),
    ] == names
    assert LITERAL not in repr(spans)
