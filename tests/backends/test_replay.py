"""``probekit export`` brings history to real servers that were not there then."""

import subprocess
import sys

import matrix
import pytest
from clickhouseserver import Engine, clickhouse
from shop import VALUES, Shop
from sqlservers import postgres
from timeseries import influxdb, package_version

pytestmark = [pytest.mark.backend, pytest.mark.timeout(120)]
SENT = {
    "counter shop.orders{plan=pro}": 3.0,
    "histogram count": len(VALUES),
    "histogram sum": round(sum(VALUES), 9),
    "event order.refunded": 1,
}
QUERIES = {
    "counter shop.orders{plan=pro}": (
        "sum(value) FROM probekit_metrics WHERE name = 'shop.orders'"
    ),
    "histogram count": (
        "sum(count)::int FROM probekit_metrics WHERE name = 'shop.request.duration'"
    ),
    "histogram sum": (
        "sum(sum) FROM probekit_metrics WHERE name = 'shop.request.duration'"
    ),
    "event order.refunded": (
        "count(*)::int FROM probekit_events WHERE name = 'order.refunded'"
    ),
}


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A buffer that knew no backend."""
    folder = tmp_path_factory.mktemp("replay")
    with Shop(folder, "console:?stream=stderr") as shop:
        assert shop.delivered()
    return shop.buffer


def replay(buffer, url):
    """What the command says."""
    command = [sys.executable, "-m", "probekit", "export", "--buffer", buffer]
    done = subprocess.run(
        [*command, "--since", "1h", "--to", url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_postgres_has_each_record_once_however_often_it_is_replayed(history, tmp_path):
    with postgres(tmp_path) as database:
        said = {replay(history, database.exporter_url) for _ in range(2)}
        found = {
            what: database.rows(f"SELECT {sql}")[0][0] for what, sql in QUERIES.items()
        }
        version = database.version()

    matrix.record("`probekit export` to `sql+`", version, SENT, found)
    assert 1 == len(said)
    assert SENT == {**found, "histogram sum": round(found["histogram sum"], 9)}


def test_clickhouse_has_each_record_once_however_often_it_is_replayed(
    history, tmp_path
):
    with clickhouse(tmp_path / "clickhouse") as server:
        engine = Engine(server)
        for _ in range(2):
            replay(history, engine.url("past"))
        orders = "FROM past.otel_metrics_sum WHERE MetricName = 'shop.orders'"
        took = "FROM past.otel_metrics_histogram"
        refunded = "LogAttributes['event.name'] = 'order.refunded'"
        (found,) = engine.rows(
            f"SELECT (SELECT sum(Value) {orders}) AS orders, "
            f"(SELECT toFloat64(sum(Count)) {took} "
            "WHERE MetricName = 'shop.request.duration') AS count, "
            f"(SELECT toFloat64(count()) FROM past.otel_logs WHERE {refunded}) "
            "AS events"
        )

    assert {"orders": 3.0, "count": len(VALUES), "events": 1} == found


def test_influxdb_has_the_same_points_however_often_it_is_replayed(history, tmp_path):
    with influxdb(tmp_path / "influxdb") as influx:
        for _ in range(2):
            replay(history, f"influxdb://127.0.0.1:{influx.http}/pk")
        counted = 'SELECT sum("count") AS v, sum("sum") AS s FROM'
        (took,) = influx.rows(f'{counted} "shop.request.duration"', "pk")
        (orders,) = influx.rows('SELECT sum("value") AS v FROM "shop.orders"', "pk")

    what = f"InfluxDB {package_version('influxdb')}"
    sent = {"counter": 3.0, "histogram": [len(VALUES), round(sum(VALUES), 9)]}
    found = {"counter": orders["v"], "histogram": [took["v"], round(took["s"], 9)]}
    matrix.record("`probekit export` to `influxdb:`", what, sent, found)
    assert sent == found
