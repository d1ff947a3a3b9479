"""All clients in one application: what the buffer says after ``flush()``."""

import json
import os
import sqlite3
import subprocess
import sys
import textwrap

import pytest
import servers
from recorded import http_server

from needs import library

pytestmark = [pytest.mark.backend, pytest.mark.timeout(120)]

APPLICATION = textwrap.dedent(
    """
    import contextlib, os, sqlite3, sys, urllib.request
    import probekit

    buffer, web, postgres, mariadb, redis_port = sys.argv[1:]
    probekit.configure("shop", buffer=buffer, host_metrics=False)
    probekit.instrument_libraries(exclude=["unhandled"])

    import aiohttp, asyncio, httpx, psycopg, psycopg2, pymysql, redis, requests
    import sqlalchemy, urllib3

    url = f"http://127.0.0.1:{web}/ok"
    requests.get(url)
    httpx.get(url)
    urllib3.PoolManager().request("GET", url)
    urllib.request.urlopen(url).read()

    async def ask():
        async with aiohttp.ClientSession() as session:
            async with session.get(url) as response:
                await response.read()
        async with httpx.AsyncClient() as session:
            await session.get(url)

    asyncio.run(ask())
    place = dict(host="127.0.0.1", port=int(postgres), user="postgres")
    for driver in (psycopg, psycopg2):
        with contextlib.closing(driver.connect(**place)) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT relname FROM pg_class")
            with contextlib.suppress(driver.Error):
                cursor.execute("SELECT * FROM nowhere")
    place = dict(host="127.0.0.1", port=int(mariadb), user="root")
    with pymysql.connect(**place) as connection:
        connection.cursor().execute("SELECT 1 FROM mysql.user")
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE orders (id)")
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT 1 FROM sqlite_master"))
    redis.Redis(port=int(redis_port)).set("a", 1)
    assert probekit.flush()
    """
)


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """(name, attributes, count, sum) of every series in the application's buffer."""
    for name in (
        *("aiohttp", "httpx", "psycopg", "psycopg2", "pymysql"),
        *("redis", "requests", "sqlalchemy", "urllib3"),
    ):
        library(name)
    folder = tmp_path_factory.mktemp("shop")
    buffer = folder / "buffer.db"
    with (
        http_server() as (web, _),
        servers.postgres() as postgres,
        servers.mariadb() as mariadb,
        servers.redis(folder / "redis") as redis,
    ):
        ports = [str(port) for port in (web, postgres, mariadb, redis)]
        done = subprocess.run(
            [sys.executable, "-c", APPLICATION, str(buffer), *ports],
            env={**os.environ},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (0, "") == (done.returncode, done.stderr)
    connection = sqlite3.connect(f"file:{buffer}?mode=ro", uri=True)
    rows = connection.execute("SELECT name, attributes, count, sum FROM series")
    found = [(name, json.loads(text), count, sum_) for name, text, count, sum_ in rows]
    connection.close()
    return found


def test_six_requests_by_six_clients_are_six_values(series):
    found = [row for row in series if row[0] == "http.client.request.duration"]

    assert [("GET", 200, "127.0.0.1", 6)] == [
        (
            attributes["http.request.method"],
            attributes["http.response.status_code"],
            attributes["server.address"],
            count,
        )
        for _, attributes, count, _ in found
    ]
    assert 0 < found[0][3] < 30


def test_each_database_is_told_with_its_statements_and_errors(series):
    found = {
        (
            attributes["db.system.name"],
            attributes["db.operation.name"],
            attributes.get("db.collection.name"),
            attributes.get("error.type"),
        ): count
        for name, attributes, count, _ in series
        if name == "db.client.operation.duration"
    }

    for expected, count in {
        ("postgresql", "SELECT", "pg_class", None): 2,
        ("postgresql", "SELECT", "nowhere", "psycopg.errors.UndefinedTable"): 1,
        ("postgresql", "SELECT", "nowhere", "psycopg2.errors.UndefinedTable"): 1,
        ("mariadb", "SELECT", "mysql.user", None): 1,
        ("sqlite", "CREATE", "orders", None): 1,
        ("sqlite", "SELECT", "sqlite_master", None): 1,
        ("redis", "SET", None, None): 1,
    }.items():
        assert count == found.pop(expected), expected


def test_the_buffers_own_statements_are_not_in_it(series):
    collections = {attributes.get("db.collection.name") for _, attributes, *_ in series}

    assert not collections & {"series", "window", "point", "cursor", "segment", "meta"}
