"""collectd itself writes down what it has of us; InfluxDB's listener likewise."""

import matrix
import pytest
from servers import eventually
from shop import Shop
from timeseries import collectd, influxdb, package_version

from probekit.exporters import build
from probekit.testing.contract import HOSTILE, hostile_batch, sample_batch

pytestmark = [pytest.mark.backend, pytest.mark.timeout(60)]
HOME = "h1/probekit-shop/"
SENT = {
    "counter derive-shop.orders.plan.pro": 3.0,
    "up-down gauge-shop.carts": 3.0,
    "gauge gauge-shop.temperature": -4.5,
    "histogram derive-shop.request.duration.count": 4.0,
    "histogram total_time_in_ms-shop.request.duration.sum": 9374.0,
    "histogram gauge-shop.request.duration.max": 9.0,
}


@pytest.mark.parametrize("user", ["", "pk:secret@"])
def test_everything_an_application_records_is_written_down(tmp_path, user):
    with collectd(tmp_path / "collectd", "Sign" if user else "None") as server:
        with Shop(tmp_path, f"collectd://{user}127.0.0.1:{server.port}") as shop:
            assert shop.delivered()

        def told():
            values = {what: server.last(HOME + what.split()[1]) for what in SENT}
            log = server.log()
            values["event"] = "order.refunded" if "order.refunded" in log else None
            values["exception"] = "FAILURE" if "severity = FAILURE" in log else None
            return values

        sent = {**SENT, "event": "order.refunded", "exception": "FAILURE"}
        eventually(lambda: told() == sent)
        found = told()

    what = "`collectd:`" + (" (signed)" if user else "")
    matrix.record(what, f"collectd {package_version('collectd-core')}", sent, found)
    assert sent == found


def test_a_wrong_password_is_thrown_away_by_the_server(tmp_path):
    with collectd(tmp_path / "collectd", "Sign") as server:
        exporter = build(f"collectd://pk:wrong@127.0.0.1:{server.port}")
        exporter.send(sample_batch())
        exporter.close()

        assert eventually(lambda: "Hash" in server.log() or "hash" in server.log())
        assert server.last(HOME + "gauge-shop.temperature") is None


def test_influxdb_reads_the_same_packets(tmp_path):
    with influxdb(tmp_path / "influxdb") as influx:
        with Shop(tmp_path, f"collectd://127.0.0.1:{influx.collectd}") as shop:
            assert shop.delivered()
        query = "SELECT last(value) AS v FROM probekit_value WHERE type_instance='{}'"
        sent = {"shop.orders.plan.pro": 3, "shop.carts": 3, "shop.temperature": -4.5}

        def told():
            rows = {n: influx.rows(query.format(n), "collectd") for n in sent}
            return {name: found[0]["v"] for name, found in rows.items() if found}

        eventually(lambda: told() == sent)
        found = told()

    version = package_version("influxdb")
    matrix.record("`collectd:`", f"InfluxDB {version} (collectd listener)", sent, found)
    assert sent == found


def test_words_of_users_never_throw_a_neighbour_away(tmp_path):
    with collectd(tmp_path / "collectd") as server:
        exporter = build(f"collectd://127.0.0.1:{server.port}")
        for text in HOSTILE:
            exporter.send(hostile_batch(text))
        exporter.send(sample_batch())
        exporter.close()

        assert eventually(lambda: server.last(HOME + "gauge-shop.temperature")) == -4.5
        # Of some packets collectd reads the values and drops the event, or the reverse.
        for word in ("invalid", "malformed", "parse_packet: Received"):
            assert word not in server.log()
