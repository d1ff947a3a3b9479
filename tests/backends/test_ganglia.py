"""gmond shows in its XML what it has understood of our packets."""

from contextlib import suppress

import matrix
import pytest
from monitors import gmond, gmond_version
from servers import eventually
from shop import CARTS, ORDERS, TEMPERATURE, VALUES, Shop

from freeports import free_ports
from probekit.errors import RetryLater
from probekit.exporters import build
from probekit.model import Batch, Point, Resource, Series, Window
from probekit.testing.contract import HOSTILE, hostile_batch, only, sample_batch

pytestmark = [pytest.mark.backend, pytest.mark.timeout(90)]
METRICS = frozenset({"metrics"})
SPOOF = "10.9.8.7:web1"
DURATION = "shop.request.duration"
SENT = {
    "counter shop.orders{plan=pro}": [ORDERS, "positive", "order"],
    "up-down shop.carts": [CARTS, "both", "cart"],
    "gauge shop.temperature": [TEMPERATURE, "both", "Celsius"],
    "histogram count": [float(len(VALUES)), "both", ""],
    "histogram sum": [round(sum(VALUES), 9), "both", "s"],
    "histogram min, max": [min(VALUES), max(VALUES)],
    "group": "shop",
}


def stored(server, host="web1"):
    """What gmond has, in the words of SENT."""
    shown = server.metrics().get(host, {})

    def told(name):
        metric = shown.get(name)
        if metric is None:
            return None
        return [float(metric["VAL"]), metric["SLOPE"], metric["UNITS"]]

    shape = [told(f"{DURATION}_{which}") or [None] for which in ("min", "max")]
    return {
        "counter shop.orders{plan=pro}": told("shop.orders.plan.pro_total"),
        "up-down shop.carts": told("shop.carts"),
        "gauge shop.temperature": told("shop.temperature"),
        "histogram count": told(f"{DURATION}_count"),
        "histogram sum": told(f"{DURATION}_sum"),
        "histogram min, max": [each[0] for each in shape],
        "group": shown.get("shop.carts", {}).get("GROUP"),
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with gmond(tmp_path_factory.mktemp("gmond")) as running_server:
        yield running_server


def test_everything_an_application_records_comes_back(server, tmp_path):
    with Shop(tmp_path, f"ganglia://127.0.0.1:{server.port}?spoof={SPOOF}") as shop:
        assert shop.delivered()
    eventually(lambda: stored(server) == SENT)
    found = stored(server)

    matrix.record("`ganglia:`", f"gmond {gmond_version()}", SENT, found)
    assert SENT == found


def test_words_of_users_leave_the_xml_whole(server):
    exporter = build(f"ganglia://127.0.0.1:{server.port}?spoof=10.9.8.6:hostile")
    batches = [only(hostile_batch(text), METRICS) for text in HOSTILE]
    for batch in batches:
        exporter.send(batch)
    exporter.close()
    eventually(lambda: len(server.metrics().get("hostile", {})) >= 2 * len(HOSTILE))
    found = server.metrics()["hostile"]
    totals = [m["VAL"] for name, m in found.items() if "_total" in name]

    assert 2 * len(HOSTILE) == len(found)
    assert ["1"] * len(HOSTILE) == totals


def test_many_metrics_at_once_survive_the_socket(server):
    points = [Point(Series(f"burst{n}", "gauge"), float(n)) for n in range(1500)]
    exporter = build(f"ganglia://127.0.0.1:{server.port}?spoof=10.9.8.5:burst")
    for start in range(0, 1500, 500):
        window = Window(1, 0, 10**9, points[start : start + 500])
        exporter.send(Batch("0" * 32, Resource(), (window,)))
    exporter.close()
    eventually(lambda: len(server.metrics().get("burst", {})) >= 1500)
    found = server.metrics()["burst"]

    assert {f"burst{n}": float(n) for n in range(1500)} == {
        name: float(metric["VAL"]) for name, metric in found.items()
    }


def test_a_gmond_that_was_restarted_learns_the_metadata_again(tmp_path):
    (port,) = free_ports(1)
    url = f"ganglia://127.0.0.1:{port}?spoof={SPOOF}&metadata_s=0.01"
    exporter = build(url)
    batch = only(sample_batch(), METRICS)
    with gmond(tmp_path / "first", port) as first:
        exporter.send(batch)
        assert eventually(lambda: "web1" in first.metrics())

    def send_thrice():
        for _ in range(3):
            exporter.send(batch)

    with pytest.raises(RetryLater):
        send_thrice()

    def is_learnt(server):
        with suppress(RetryLater):  # its door for datagrams opens after the other one
            exporter.send(batch)
        return "shop.temperature" in server.metrics().get("web1", {})

    with gmond(tmp_path / "second", port) as second:
        assert eventually(lambda: is_learnt(second))
    exporter.close()
