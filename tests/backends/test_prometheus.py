"""Prometheus itself tells what it has of us: scraped, written to, pushed beside."""

import subprocess

import matrix
import pytest
from promservers import prometheus, pushgateway
from servers import command, eventually
from shop import VALUES, Shop
from timeseries import fetch, package_version, victoria_metrics

from freeports import free_ports
from probekit.exporters import Prometheus, build
from probekit.exporters.prometheus.shelf import Shelf
from probekit.exporters.prometheus.text import Exposition
from probekit.testing.contract import HOSTILE, hostile_batch, only, sample_batch

pytestmark = [pytest.mark.backend, pytest.mark.timeout(90)]
QUERIES = {
    'shop_orders_total{plan="pro"}': 3.0,
    "shop_carts": 3.0,
    "shop_temperature_celsius": -4.5,
    'shop_request_duration_seconds_bucket{le="0.25"}': 3.0,
    "shop_request_duration_seconds_count": float(len(VALUES)),
    "round(shop_request_duration_seconds_sum, 0.000001)": round(sum(VALUES), 6),
}


def told(server):
    return {query: server.value(query) for query in QUERIES}


def note(backend, server, found):
    name, package = server
    version = package_version(package)
    return matrix.record(backend, f"{name} {version}", QUERIES, found)


def test_a_scrape_sees_the_totals_of_all_processes_and_restarts(tmp_path):
    (port,) = free_ports(1)
    url = f"prometheus://127.0.0.1:{port}"
    with prometheus(tmp_path / "prometheus", scrape=port) as server:
        with Shop(tmp_path, url) as first:
            assert first.delivered()
            assert eventually(lambda: told(server) == QUERIES, 20)
            note("`prometheus:` (scraped)", ("Prometheus", "prometheus"), told(server))
        with Shop(tmp_path, url) as second:
            assert second.ask("flush 10")  # nothing recorded: the totals still stand
            assert eventually(lambda: server.value('up{job="probekit"}') == 1, 20)
            assert second.delivered()
            wanted = 'shop_orders_total{plan="pro"}'
            assert eventually(lambda: server.value(wanted) == 6.0, 20)
            more = "shop_request_duration_seconds_count"
            assert eventually(lambda: server.value(more) == 8.0, 20)


def test_workers_are_one_and_the_next_one_takes_over(tmp_path):
    (port,) = free_ports(1)
    url = f"prometheus://127.0.0.1:{port}"
    wanted = 'shop_orders_total{plan="pro"}'
    with (
        prometheus(tmp_path / "prometheus", scrape=port) as server,
        Shop(tmp_path, url) as second,
    ):
        with Shop(tmp_path, url) as first:
            assert first.delivered()
            assert second.delivered()
            assert eventually(lambda: server.value(wanted) == 6.0, 20)
        assert second.delivered()
        assert eventually(lambda: server.value(wanted) == 9.0, 20)
        falls = server.value(f"resets({wanted}[5m])")

    assert 0 == falls


def test_examples_are_stored(tmp_path):
    exporter = Prometheus(port=0)
    batch = sample_batch()
    exporter.send(only(batch, exporter.contract.signals))
    series = next(
        p.series for p in batch.windows[0].points if p.series.kind == "histogram"
    )
    from probekit.exporters.prometheus.text import Exemplar

    class Always:
        def of(self, asked, bounds):
            now_ns = batch.windows[0].end_unix_ns
            return (
                {0: Exemplar(0.004, "a" * 32, "b" * 16, now_ns)}
                if asked == series
                else {}
            )

    exporter._endpoint.close()
    scrape = exporter._endpoint._handler.respond.__self__
    scrape._exemplars = Always()
    exporter._endpoint.open()
    with prometheus(tmp_path / "prometheus", scrape=exporter.port) as server:
        query = "shop_request_duration_seconds_bucket"

        def examples():
            return server.api("query_exemplars", query=query, start=0, end=9e9)

        found = eventually(examples, 20)
    exporter.close()

    assert "a" * 32 == found[0]["exemplars"][0]["labels"]["trace_id"]


def test_the_stock_linter_has_nothing_against_our_text():
    shelf = Shelf()
    shelf.add(sample_batch())
    done = subprocess.run(
        [command("promtool"), "check", "metrics"],
        input=Exposition().write(shelf.snapshot()),
        capture_output=True,
        timeout=20,
        check=False,
    )
    findings = [
        line for line in done.stderr.decode().splitlines() if "no help" not in line
    ]

    assert [] == findings
    assert done.returncode in {0, 3}


def test_words_of_users_never_fail_a_scrape(tmp_path):
    exporter = Prometheus(port=0)
    for text in HOSTILE:
        exporter.send(only(hostile_batch(text), exporter.contract.signals))
    exporter.send(only(sample_batch(), exporter.contract.signals))
    with prometheus(tmp_path / "prometheus", scrape=exporter.port) as server:
        plain = 'shop_orders_total{plan="pro"}'
        assert eventually(lambda: server.value(plain) == 3.0, 20)
        assert 1 == server.value('up{job="probekit"}')
        stored = server.value('count({job="probekit",key!=""})')
    exporter.close()

    assert len(HOSTILE) == stored


def test_what_is_written_comes_back(tmp_path):
    with prometheus(tmp_path / "prometheus") as server:
        url = f"prometheus-remote-write://127.0.0.1:{server.port}/api/v1/write"
        with Shop(tmp_path, url) as shop:
            assert shop.delivered()
        found = told(server)
        labels = server.rows("shop_carts")[0][0]
        started = server.value('increase(shop_orders_total{plan="pro"}[1m]) > bool 0')

    note("`prometheus-remote-write:`", ("Prometheus", "prometheus"), found)
    assert QUERIES == found
    assert ("shop", "h1") == (labels["job"], labels["instance"])
    assert 1 == started


def test_victoria_metrics_takes_the_same_requests(tmp_path):
    with victoria_metrics(tmp_path / "vm") as server:
        with Shop(
            tmp_path, f"prometheus-remote-write://127.0.0.1:{server.http}/api/v1/write"
        ) as shop:
            assert shop.delivered()
        sent = {q: value for q, value in QUERIES.items() if not q.startswith("r")}

        def stored():
            return {query: server.last(query) for query in sent}

        eventually(lambda: stored() == sent)
        found = stored()
        lost = server.thrown_away()
    version = f"VictoriaMetrics {package_version('victoria-metrics')}"
    matrix.record("`prometheus-remote-write:`", version, sent, found)

    assert sent == found
    assert 0 == lost


def test_what_the_server_refuses_is_a_dead_letter_and_the_rest_arrives(tmp_path):
    with prometheus(tmp_path / "prometheus") as server:
        url = f"prometheus-remote-write://127.0.0.1:{server.port}"
        with Shop(tmp_path, url) as shop:
            assert shop.delivered()
            exporter = build(url)
            # Somebody else writes the same series a little later: ours is out of order.
            exporter._clock = type("Late", (), {"wall_ns": lambda _: 1 << 62})()
            import time
            from dataclasses import replace

            from probekit.model import Batch, Point, Resource, Series, Window

            end_ns = time.time_ns() + 120 * 10**9
            point = Point(Series("shop.temperature", "gauge", "Cel"), 99.0)
            window = Window(1, end_ns - 10**9, end_ns, (point,))
            resource = Resource({"service.name": "shop", "host.name": "h1"})
            batch = Batch("1" * 32, resource, (window,))
            exporter._requests._introduce = lambda *_: None
            exporter.send(replace(batch))
            exporter.close()
            assert shop.delivered()
            ((records, reason),) = shop.dead_letters()
        orders = server.value('shop_orders_total{plan="pro"}')
        carts = server.value("shop_carts")

    assert (6.0, 6.0) == (orders, carts)
    assert 1 == records
    assert "out of order" in reason


def test_a_job_is_found_at_the_pushgateway(tmp_path):
    with pushgateway(tmp_path / "gateway") as port:
        with Shop(tmp_path, f"pushgateway://127.0.0.1:{port}?job=nightly/run") as shop:
            assert shop.delivered()
        with prometheus(tmp_path / "p", scrape=port, honor="true") as server:
            assert eventually(lambda: told(server) == QUERIES, 20)
            note(
                "`pushgateway:`",
                ("Pushgateway", "prometheus-pushgateway"),
                told(server),
            )
            job = server.rows("shop_carts")[0][0]["job"]

    assert "nightly/run" == job


def test_a_family_that_the_gateway_refuses_leaves_the_others_alone(tmp_path):
    with pushgateway(tmp_path / "gateway") as port:
        base = f"http://127.0.0.1:{port}/metrics"
        fetch(f"{base}/job/other", b"# TYPE shop_carts counter\nshop_carts 1\n")
        with Shop(tmp_path, f"pushgateway://127.0.0.1:{port}") as shop:
            assert shop.delivered()
            ((records, reason),) = shop.dead_letters()
        text = fetch(base)

    assert 'shop_orders_total{instance="",job="shop",plan="pro"} 3' in text
    assert 'shop_carts{instance="",job="shop"}' not in text
    assert 1 == records
    assert "shop_carts" in reason
