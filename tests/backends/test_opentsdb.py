"""The OpenTSDB ports of VictoriaMetrics and InfluxDB tell what they have of us."""

import matrix
import pytest
from servers import eventually
from shop import VALUES, Shop
from timeseries import fetch, influxdb, package_version, victoria_metrics

from probekit.exporters import build
from probekit.testing.contract import HOSTILE, hostile_batch, only

pytestmark = [pytest.mark.backend, pytest.mark.timeout(90)]
SENT = {
    "counter shop.orders{plan=pro}": 3.0,
    "up-down shop.carts": 3.0,
    "gauge shop.temperature": -4.5,
    "histogram count": float(len(VALUES)),
    "histogram sum": sum(VALUES),
    "histogram max": max(VALUES),
}
METRICS = [
    ("shop.orders", "plan", "pro"),
    ("shop.carts", "host", "h1"),
    ("shop.temperature", "service", "shop"),
    ("shop.request.duration.count", "host", "h1"),
    ("shop.request.duration.sum", "host", "h1"),
    ("shop.request.duration.max", "host", "h1"),
]


def told_by_influx(influx):
    def last(metric, tag, value):
        query = f'SELECT last(value) AS v FROM "{metric}" WHERE "{tag}"=\'{value}\''
        rows = influx.rows(query, "opentsdb")
        return rows[0]["v"] if rows else None

    return {what: last(*m) for what, m in zip(SENT, METRICS, strict=True)}


def told_by_victoria(server):
    return {
        what: server.last(f'{{__name__="{name}",{tag}="{value}"}}')
        for what, (name, tag, value) in zip(SENT, METRICS, strict=True)
    }


@pytest.mark.parametrize("way", ["opentsdb", "opentsdb+telnet"])
def test_victoria_metrics_has_everything(tmp_path, way):
    with victoria_metrics(tmp_path / "vm") as server:
        port = server.opentsdb_http if way == "opentsdb" else server.opentsdb
        with Shop(tmp_path, f"{way}://127.0.0.1:{port}") as shop:
            assert shop.delivered()
        found = told_by_victoria(server)

        version = package_version("victoria-metrics")
        matrix.record(f"`{way}:`", f"VictoriaMetrics {version}", SENT, found)
        assert SENT == found
        assert 0 == server.thrown_away()


@pytest.mark.parametrize("way", ["opentsdb", "opentsdb+telnet"])
def test_influxdb_has_everything(tmp_path, way):
    with influxdb(tmp_path / "influxdb") as influx:
        with Shop(tmp_path, f"{way}://127.0.0.1:{influx.opentsdb}") as shop:
            assert shop.delivered()
        eventually(lambda: told_by_influx(influx) == SENT)
        found = told_by_influx(influx)

    version = package_version("influxdb")
    matrix.record(f"`{way}:`", f"InfluxDB {version}", SENT, found)
    assert SENT == found


def test_what_the_server_refuses_is_a_dead_letter_and_the_rest_arrives(tmp_path):
    with influxdb(tmp_path / "influxdb") as influx:
        # A field of another type than the first: the server keeps its own.
        line = b'shop.temperature,host=h1,service=shop value="text"'
        fetch(f"http://127.0.0.1:{influx.http}/write?db=opentsdb", line)
        with Shop(tmp_path, f"opentsdb://127.0.0.1:{influx.opentsdb}") as shop:
            assert shop.delivered()
            ((records, reason),) = shop.dead_letters()
        found = told_by_influx(influx)

    assert {**SENT, "gauge shop.temperature": "text"} == found
    assert 1 == records
    assert "field type conflict" in reason


def test_words_of_users_never_throw_a_neighbour_away(tmp_path):
    with victoria_metrics(tmp_path / "vm") as server:
        exporter = build(f"opentsdb+telnet://127.0.0.1:{server.opentsdb}?prefix=w.")
        for text in HOSTILE:
            exporter.send(only(hostile_batch(text), exporter.contract.signals))
        exporter.close()
        eventually(lambda: len(server.values('{__name__=~"w[.].*"}')) == len(HOSTILE))
        found = server.values('{__name__=~"w[.].*"}')

        assert [[1]] * len(HOSTILE) == [values for _, values in found]
        assert 0 == server.thrown_away()
