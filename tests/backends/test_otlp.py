"""A real OTLP receiver reads our requests and prints what it understood."""

import importlib.metadata
import re

import matrix
import otlpserver
import pytest
from shop import Shop

from needs import library
from probekit.errors import Rejected
from probekit.exporters import build
from probekit.testing import HttpReceiver, Reply
from probekit.testing.contract import HOSTILE, hostile_batch, sample_batch

pytestmark = pytest.mark.backend


@pytest.fixture
def rotel(tmp_path):
    with otlpserver.rotel(tmp_path / "rotel") as running:
        yield running


READ_BACK = {
    "resource": r"service.name: Str\(shop\)\n.*host.name: Str\(h1\)\n.*cpus: Int\(2\)",
    "scope": r"InstrumentationScope probekit \d+\.\d+\.\d+",
    "counter": r"Name: shop.orders\n.*\n.*Unit: \{order\}\n.*DataType: Sum\n"
    r".*IsMonotonic: true\n.*TEMPORALITY_DELTA\n(.*\n){2}.*plan: Str\(pro\)\n"
    r"StartTimestamp: (?P<start>\d+)\nTimestamp: (?P<end>\d+)\nValue: 3\n",
    "attribute types": r"count: Int\(7\)\n.*float: Double\(0.5\)\n.*paid: Bool\(true\)"
    r"\n.*tags: Slice\(Str\(x\), Str\(y\)\)\n.*\n.*\nValue: 0.25\n",
    "up-down counter": r"Name: shop.carts\n(.*\n){3}.*IsMonotonic: false\n"
    r".*TEMPORALITY_CUMULATIVE\n(.*\n){3}Value: -2\n",
    "gauge": r"Name: shop.temperature\n(.*\n){2}.*DataType: Gauge\n(.*\n){3}"
    r"Value: -4.5\n",
    "histogram": r"Name: shop.request.duration\n(.*\n){2}.*DataType: Histogram\n"
    r"(.*\n){6}Count: 4\nSum: 9.374\nMin: 0.004\nMax: 9\n",
    "buckets": r"Buckets #0, Count: 1\n(.*Count: 0\n){5}Buckets #6, Count: 2\n"
    r"(.*Count: 0\n){6}Buckets #13, Count: 1\n",
    "event": r"EventName: order.refunded\n.*\n.*\n.*order.id: Str\(A1\)\n"
    r".*amount: Int\(9\)\n.*ok: Bool\(true\)",
    "exception": r"NUMBER_ERROR\(17\)\nEventName: exception\nBody: Str\(it broke\)\n"
    r".*\n.*exception.type: Str\(ValueError\)",
    "span": r"Parent ID +: 00f067aa0ba902b7\n.*b7ad6b7169203331\n.*GET /orders/<id>\n"
    r".*KIND_SERVER\n.*\n.*\n.*STATUS_CODE_ERROR\n.*it broke\n"
    r".*\n.*http.response.status_code: Int\(500\)",
    "span's event": r"Name: retry\n(.*\n){3}.*n: Int\(1\)",
    "span's link": r"SpanLink #0\n(.*\n){5}.*why: Str\(batch\)",
}


@pytest.mark.parametrize("scheme", ["otlp", "otlp+json", "otlp+grpc"])
@pytest.mark.parametrize("query", ["", "?gzip=0"])
def test_every_kind_of_record_comes_back(rotel, scheme, query):
    batch = sample_batch()
    if scheme == "otlp+grpc":
        library("grpc")
    port = rotel.grpc if scheme == "otlp+grpc" else rotel.port
    exporter = build(f"{scheme}://127.0.0.1:{port}{query}")
    exporter.send(batch)
    exporter.close()
    rotel.has(*READ_BACK.values())  # it prints each signal when it likes
    text = rotel.text()
    missing = [
        what for what, pattern in READ_BACK.items() if not re.search(pattern, text)
    ]

    found = {what: what not in missing for what in READ_BACK}
    version = importlib.metadata.version("rotel")
    if not query:
        sent = dict.fromkeys(READ_BACK, True)
        matrix.record(f"`{scheme}:`", f"rotel {version}", sent, found)
    assert [] == missing
    counter = re.search(READ_BACK["counter"], text)
    window = batch.windows[0]
    assert (window.start_unix_ns, window.end_unix_ns) == (
        int(counter["start"]),
        int(counter["end"]),
    )


PARTLY = (
    b'{"partialSuccess": {"rejectedDataPoints": "1", "errorMessage": "no such unit"}}'
)


@pytest.mark.parametrize("scheme", ["otlp", "otlp+json"])
def test_what_the_server_refuses_is_a_dead_letter_and_the_rest_arrives(
    tmp_path, scheme
):
    # A receiver of our own: rotel takes a request whole or not at all.
    answers = {"/v1/metrics": PARTLY}
    kind = {"Content-Type": "application/json"}
    with HttpReceiver(
        reply=lambda request: Reply(200, kind, answers.pop(request.path, b"{}"))
    ) as receiver:
        with Shop(tmp_path, f"{scheme}://127.0.0.1:{receiver.port}") as shop:
            assert shop.delivered()
            ((records, reason),) = shop.dead_letters()
            shop.ask("record")
            assert shop.ask("flush 10")
            ((still, _),) = shop.dead_letters()
        paths = [request.path for request in receiver.requests]

    assert 1 == records == still
    assert "no such unit" in reason
    assert paths.count("/v1/logs") >= 2


def test_totals_are_cumulative_on_request(rotel):
    exporter = build(f"otlp://127.0.0.1:{rotel.port}?temporality=cumulative")
    exporter.send(sample_batch())
    exporter.close()

    assert rotel.has(
        r"Name: shop.orders\n(.*\n){3}.*IsMonotonic: true\n.*TEMPORALITY_CUMULATIVE"
    )


def test_hostile_words_are_accepted(rotel):
    exporter = build(f"otlp://127.0.0.1:{rotel.port}")
    for text in HOSTILE:
        exporter.send(hostile_batch(text))
    exporter.close()


def test_garbage_is_refused_with_a_status_we_understand(rotel):
    exporter = build(f"otlp://127.0.0.1:{rotel.port}?gzip=0")
    exporter._encoders["metrics"] = lambda _: b"\xff\xff\xff"
    with pytest.raises(Rejected, match="400"):
        exporter.send(sample_batch())
    exporter.close()
