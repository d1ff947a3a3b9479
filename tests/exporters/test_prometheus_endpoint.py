"""``/metrics``: served, negotiated, guarded, and let go of."""

import gzip
import http.client
import os

import pytest

from probekit.errors import BufferFailed, ConfigError, RetryLater
from probekit.exporters import Prometheus, build
from probekit.exporters.prometheus.scrape import Scrape
from probekit.model import Point, Resource, Series, Snapshot
from probekit.testing.contract import SECRET, ExporterContract, only, sample_batch

ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


@pytest.fixture
def exporter():
    made = Prometheus(port=0)
    made.send(only(sample_batch(), made.contract.signals))
    yield made
    made.close()


def get(exporter, path="/metrics", method="GET", **headers):
    client = http.client.HTTPConnection("127.0.0.1", exporter.port, timeout=5)
    client.request(method, path, headers=headers)
    answer = client.getresponse()
    body = answer.read()
    client.close()
    return answer, body


class TestPrometheus(ExporterContract):
    def exporter(self):
        return Prometheus(port=0)

    def secret_url(self):
        return f"prometheus://u:{SECRET}@127.0.0.1:1"


def test_a_scraper_gets_the_format_it_likes_best(exporter):
    plain, _ = get(exporter)
    openmetrics, body = get(exporter, Accept=ACCEPT)
    packed, small = get(exporter, **{"Accept-Encoding": "gzip", "Accept": ACCEPT})

    assert "text/plain; version=0.0.4; charset=utf-8" == plain.getheader("Content-Type")
    assert openmetrics.getheader("Content-Type").startswith("application/openmetrics")
    assert body.endswith(b"# EOF\n")
    assert body == gzip.decompress(small)
    assert "gzip" == packed.getheader("Content-Encoding")


@pytest.mark.parametrize(
    "path, method, status",
    [("/metrics", "HEAD", 200), ("/etc/passwd", "GET", 404), ("/metrics", "POST", 405)],
)
def test_nothing_but_reading_metrics_is_answered(exporter, path, method, status):
    answer, body = get(exporter, path, method)

    assert status == answer.status
    assert b"shop" not in body


def test_the_buffer_is_asked_while_it_can_be_asked(exporter):
    series = Series("elsewhere", "counter")
    exporter.begin(lambda: Snapshot(Resource(), (Point(series, 9.0, total=9.0),)))
    _, body = get(exporter)

    assert b"# TYPE elsewhere_total counter\nelsewhere_total 9.0\n" == body


def test_a_buffer_that_cannot_be_read_is_told_without_its_path():
    def broken():
        raise BufferFailed("/secret/place is locked")

    answer = Scrape(broken).answer("GET")

    assert 503 == answer.status
    assert b"secret" not in answer.body


def test_credentials_are_wanted_where_the_url_has_them():
    target = build("prometheus://me:word@127.0.0.1:1")
    target._endpoint._address = ("127.0.0.1", 0)
    target.send(only(sample_batch(), target.contract.signals))
    right = "Basic bWU6d29yZA=="

    assert 401 == get(target)[0].status
    assert 401 == get(target, Authorization="Basic x")[0].status
    assert 200 == get(target, Authorization=right)[0].status
    target.close()


def test_a_port_that_is_taken_is_tried_again(exporter):
    second = Prometheus(port=exporter.port)
    with pytest.raises(RetryLater, match="cannot listen"):
        second.send(only(sample_batch(), second.contract.signals))
    exporter.close()
    second.send(only(sample_batch(), second.contract.signals))

    assert 200 == get(second)[0].status
    second.close()


@pytest.mark.e2e
def test_a_forked_child_does_not_hold_the_port(exporter):
    port = exporter.port
    (read_end, write_end), (leave, let_go) = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        os.write(write_end, b"0" if exporter.port == 0 else b"1")
        os.read(leave, 1)
        os._exit(0)
    try:
        assert b"0" == os.read(read_end, 1)
        exporter.close()
        again = Prometheus(port=port)
        again.send(only(sample_batch(), again.contract.signals))
        assert 200 == get(again)[0].status
        again.close()
    finally:
        os.write(let_go, b"x")
        os.waitpid(child, 0)
        for end in (read_end, write_end, leave, let_go):
            os.close(end)


@pytest.mark.parametrize("port", [-1, 65536, "x"])
def test_a_wrong_port_is_named(port):
    with pytest.raises(ConfigError, match="port"):
        Prometheus(port=port)
