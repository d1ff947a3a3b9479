"""A Zabbix server tells what it has stored of us, through its own API."""

import dataclasses
import json

import matrix
import pytest
from servers import eventually
from shop import CARTS, ORDERS, TEMPERATURE, VALUES, Shop
from zabbixserver import arrives, zabbix_version

from probekit.errors import Forbidden
from probekit.exporters import build
from probekit.exporters.zabbix.refusals import FEW
from probekit.testing.contract import HOSTILE, hostile_batch, only, sample_batch

pytestmark = [pytest.mark.backend, pytest.mark.timeout(120)]
SENT = {
    "counter shop.orders{plan=pro}": ORDERS,
    "up-down shop.carts": CARTS,
    "gauge shop.temperature": TEMPERATURE,
    "histogram count": float(len(VALUES)),
    "histogram sum": round(sum(VALUES), 9),
    "histogram min, max": [min(VALUES), max(VALUES)],
    "event order.refunded": "A1",
    "exception": "ValueError",
}


EVENTS, METRICS = frozenset({"events"}), frozenset({"metrics"})


@pytest.fixture
def server(zabbix_server):
    return zabbix_server


def host(server, name):
    """A host of the test's own, once the server knows it."""
    server.make_host(name, "probekit")
    exporter = build(f"zabbix://127.0.0.1:{server.port}?host={name}")
    assert eventually(lambda: arrives(exporter, only(sample_batch(), EVENTS)), 20)
    exporter.close()
    return name


def stored(server, name):
    """What Zabbix has, in the words of SENT."""

    def last(key):
        values = server.history(name, key)
        return values[-1] if values else None

    def figure(which):
        return last(f"probekit.histogram[shop.request.duration,{which}]")

    events = [json.loads(text) for text in server.history(name, "probekit.events")]
    errors = [json.loads(text) for text in server.history(name, "probekit.exceptions")]
    refunded = [event for event in events if event["name"] == "order.refunded"]
    refunded = [event for event in refunded if event["time"] > "2000"]
    return {
        "counter shop.orders{plan=pro}": last("probekit.counter[shop.orders;plan=pro]"),
        "up-down shop.carts": last("probekit.gauge[shop.carts]"),
        "gauge shop.temperature": last("probekit.gauge[shop.temperature]"),
        "histogram count": figure("count"),
        "histogram sum": round(figure("sum") or 0, 9),
        "histogram min, max": [figure("min"), figure("max")],
        "event order.refunded": refunded[0]["order.id"] if refunded else None,
        "exception": errors[0]["exception.type"] if errors else None,
    }


def test_everything_an_application_records_comes_back(server, tmp_path):
    name = host(server, "shop-1")
    with Shop(tmp_path, f"zabbix://127.0.0.1:{server.port}?host={name}") as shop:
        shop.ask("record")
        assert shop.ask("flush 30")
    eventually(lambda: stored(server, name) == SENT, 20)
    found = stored(server, name)

    matrix.record("`zabbix:`", f"Zabbix {zabbix_version()}", SENT, found)
    assert SENT == found


def test_what_has_no_item_is_a_dead_letter_and_the_rest_arrives(server, tmp_path):
    name = host(server, "shop-3")
    url = f"zabbix://127.0.0.1:{server.port}?host={name}"
    first, second = tmp_path / "first", tmp_path / "second"
    with Shop(first, url) as shop:
        shop.ask("record")
        assert shop.ask("flush 30")
    with Shop(second, f"{url}&discovery=0") as shop:
        shop.ask("gauge shop.temperature=7")
        shop.ask("gauge shop.unknown=1")
        shop.ask("record")
        assert shop.ask("flush 30")
        letters = shop.dead_letters()
    wanted = {**SENT}
    orders = "probekit.counter[shop.orders;plan=pro]"
    # The second application's values equal the first's: their number tells.
    eventually(lambda: len(server.history(name, orders)) > 1, 20)
    eventually(lambda: stored(server, name) == wanted, 20)
    totals = server.history(name, orders)

    assert wanted == stored(server, name)
    assert [ORDERS, ORDERS] == totals  # of both applications
    # On a slow machine the process has told of itself too, which has no items either:
    # more than a few are counted together, in the words that fit the first.
    records, reason = letters[0]
    assert "no item with the key 'probekit.gauge[" in reason
    assert records > FEW or "gauge[shop.unknown]" in str(letters)
    assert "failed: " in reason


def test_words_of_users_make_one_item_each_and_break_none(server):
    name = host(server, "shop-4")
    exporter = build(f"zabbix://127.0.0.1:{server.port}?host={name}")
    batches = [hostile_batch(text) for text in HOSTILE]
    points = tuple(batch.windows[0].points[0] for batch in batches)
    window = dataclasses.replace(batches[0].windows[0], points=points)
    batch = dataclasses.replace(only(batches[0], METRICS), windows=(window,))
    assert eventually(lambda: arrives(exporter, batch), 20)
    exporter.close()
    mine = [key for key in server.keys(name) if key.startswith("probekit.counter[")]
    eventually(lambda: all(server.history(name, key) for key in mine), 20)

    assert len(HOSTILE) == len(mine)
    assert [1.0] * len(HOSTILE) == [server.history(name, key)[0] for key in mine]


def test_functions_and_routes_are_discovered(server):
    from probekit.histogram import Histogram
    from probekit.model import Batch, Point, Resource, Series, Window

    name = host(server, "shop-5")
    exporter = build(f"zabbix://127.0.0.1:{server.port}?host={name}")
    function, error = ("code.function.name", "shop.pay"), ("error.type", "ValueError")
    route = (
        ("http.request.method", "GET"),
        ("http.response.status_code", 200),
        ("http.route", "/orders/<id>"),
        ("url.scheme", "http"),
    )
    spent = Histogram.of([0.5, 1.0])
    duration = "probekit.function.duration"
    requests = "http.server.request.duration"
    points = (
        Point(Series(duration, "histogram", "s", (function,)), spent, 2),
        Point(Series(duration, "histogram", "s", (function, error)), spent, 2),
        Point(Series(requests, "histogram", "s", route), spent, 2),
    )
    window = sample_batch().windows[0]
    window = Window(9, window.start_unix_ns, window.end_unix_ns, points)
    batch = Batch("0" * 32, Resource(), (window,))
    assert eventually(lambda: arrives(exporter, batch), 20)
    exporter.close()
    expected = {
        "probekit.function[shop.pay,count]": 2.0,
        "probekit.function[shop.pay,p99]": 1.0,
        "probekit.error[shop.pay ValueError,count]": 2.0,
        "probekit.route[GET /orders/<id> 200,count]": 2.0,
        "probekit.route[GET /orders/<id> 200,sum]": 1.5,
    }

    def told():
        return {key: [*server.history(name, key), None][0] for key in expected}

    eventually(lambda: told() == expected, 20)
    titles = server.call("trigger.get", {"host": name, "output": ["description"]})

    assert expected == told()
    assert {
        "shop.pay fails with ValueError",
        "shop.pay is slow",
        "GET /orders/<id> 200 is slow",
    } == {trigger["description"] for trigger in titles}


def test_a_host_that_is_not_there_keeps_the_data(server):
    exporter = build(f"zabbix://127.0.0.1:{server.port}?host=nobody")
    with pytest.raises(Forbidden, match="no host 'nobody'"):
        exporter.send(sample_batch())
    exporter.close()
