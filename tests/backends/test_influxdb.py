"""InfluxDB itself tells what it has stored of us; VictoriaMetrics likewise."""

import collections

import matrix
import pytest
from servers import eventually
from shop import VALUES, Shop
from timeseries import fetch, influxdb, package_version, victoria_metrics

from probekit.errors import Forbidden
from probekit.exporters import build
from probekit.testing.contract import HOSTILE, hostile_batch, sample_batch

pytestmark = [pytest.mark.backend, pytest.mark.timeout(90)]
SENT = {
    "counter shop.orders{plan=pro}": 3.0,
    "up-down shop.carts": 3.0,
    "gauge shop.temperature": -4.5,
    "histogram count": len(VALUES),
    "histogram sum": round(sum(VALUES), 9),
    "histogram min, max": [min(VALUES), max(VALUES)],
    "event order.refunded": '{"amount":9,"order.id":"A1"}',
    "exception": "ValueError",
}


def stored(influx, database):
    """What InfluxDB has, in the words of SENT."""

    def one(text):
        rows = influx.rows(text, database)
        return rows[0] if rows else collections.defaultdict(lambda: None)

    duration = one(
        'SELECT sum("count") AS c, sum("sum") AS s, min("min") AS a, max("max") AS b '
        'FROM "shop.request.duration"'
    )
    orders = "SELECT sum(value) AS v FROM \"shop.orders\" WHERE plan='pro'"
    refunded = "SELECT attributes FROM events WHERE \"name\"='order.refunded'"
    exception = "SELECT attributes FROM events WHERE \"name\"='exception'"
    return {
        "counter shop.orders{plan=pro}": one(orders)["v"],
        "up-down shop.carts": one('SELECT last(value) AS v FROM "shop.carts"')["v"],
        "gauge shop.temperature": one(
            "SELECT last(value) AS v FROM \"shop.temperature\" WHERE host='h1'"
        )["v"],
        "histogram count": duration["c"],
        "histogram sum": round(duration["s"] or 0, 9),
        "histogram min, max": [duration["a"], duration["b"]],
        "event order.refunded": one(refunded)["attributes"],
        "exception": "ValueError"
        if '"exception.type":"ValueError"' in str(one(exception)["attributes"])
        else None,
    }


@pytest.fixture(scope="module")
def influx(tmp_path_factory):
    with influxdb(tmp_path_factory.mktemp("influxdb")) as running:
        yield running


@pytest.mark.parametrize("way", ["HTTP", "UDP"])
def test_everything_an_application_records_comes_back(influx, tmp_path, way):
    url, database = {
        "HTTP": (f"influxdb://127.0.0.1:{influx.http}/pk", "pk"),
        "UDP": (f"influxdb+udp://127.0.0.1:{influx.udp}", "udp"),
    }[way]
    with Shop(tmp_path, url) as shop:
        assert shop.delivered()
    eventually(lambda: stored(influx, database) == SENT)
    found = stored(influx, database)

    scheme = url.partition("//")[0]
    matrix.record(f"`{scheme}`", f"InfluxDB {package_version('influxdb')}", SENT, found)
    assert SENT == found


@pytest.mark.parametrize("way", ["HTTP", "v2", "TCP", "UDP"])
def test_victoria_metrics_reads_the_same_lines(tmp_path, way):
    with victoria_metrics(tmp_path / "vm") as server:
        url = {
            "HTTP": f"influxdb://127.0.0.1:{server.http}/pk",
            "v2": f"influxdb://127.0.0.1:{server.http}/pk?org=o&token=t&gzip=0",
            "TCP": f"influxdb+tcp://127.0.0.1:{server.influx}",
            "UDP": f"influxdb+udp://127.0.0.1:{server.influx}",
        }[way]
        with Shop(tmp_path, url) as shop:
            assert shop.delivered()
        sent = {"shop.orders": 3, "shop.carts": 3, "shop.temperature": -4.5}
        sent |= {"shop.request.duration count": 4}
        found = {
            "shop.orders": server.last('shop.orders_total{plan="pro"}'),
            "shop.carts": server.last("shop.carts_value"),
            "shop.temperature": server.last('shop.temperature_value{host="h1"}'),
            "shop.request.duration count": server.last("shop.request.duration_count"),
        }
        what = f"`{url.partition('//')[0]}` ({way})"
        version = package_version("victoria-metrics")
        matrix.record(what, f"VictoriaMetrics {version}", sent, found)

        assert sent == found
        assert 0 == server.thrown_away()


def test_what_the_server_refuses_is_a_dead_letter_and_the_rest_arrives(tmp_path):
    with influxdb(tmp_path / "influxdb") as influx:
        # A field of another type than the first: the server keeps its own.
        line = b'"'.join(
            [b"shop.temperature,host=h1,service=shop value=", b"text", b""]
        )
        fetch(f"http://127.0.0.1:{influx.http}/write?db=pk", line)
        with Shop(tmp_path, f"influxdb://127.0.0.1:{influx.http}/pk") as shop:
            assert shop.delivered()
            ((records, reason),) = shop.dead_letters()
        found = stored(influx, "pk")

    assert {**SENT, "gauge shop.temperature": "text"} == found
    assert 1 == records
    assert "field type conflict" in reason


def test_words_of_users_come_back_as_they_were_or_cleaned(influx):
    exporter = build(f"influxdb://127.0.0.1:{influx.http}/pk?prefix=hostile.")
    for text in HOSTILE:
        exporter.send(hostile_batch(text))
    exporter.close()
    names = [row["name"] for row in influx.rows("SHOW MEASUREMENTS", "pk")]
    mine = [name for name in names if name.startswith("hostile.")]

    assert {"hostile.a b", "hostile.smile \U0001f600", "hostile.=1+1"} < set(mine)
    assert len(HOSTILE) + 1 == len(mine)  # each its own, and the events


def test_a_database_that_is_not_there_keeps_the_data(influx):
    exporter = build(f"influxdb://127.0.0.1:{influx.http}/nowhere")
    with pytest.raises(Forbidden, match="database not found"):
        exporter.send(sample_batch())
    exporter.close()
    exporter = build(f"influxdb://127.0.0.1:{influx.http}/pk?rp=nowhere")
    with pytest.raises(Forbidden, match="retention policy not found"):
        exporter.send(sample_batch())
    exporter.close()
