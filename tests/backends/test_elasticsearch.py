"""Servers that speak Elasticsearch and OpenSearch tell what they have of us."""

import matrix
import pytest
import searchservers
from shop import VALUES, Shop

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
    "event order.refunded": {"amount": 9, "order.id": "A1"},
    "exception": "ValueError",
}
SERVERS = {
    "noida-db as Elasticsearch": searchservers.noida,
    "osmem as OpenSearch": searchservers.osmem,
}


@pytest.fixture(scope="module", params=sorted(SERVERS))
def search(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    with SERVERS[request.param](folder) as running:
        running.name = request.param
        yield running


def stored(search, namespace):
    """What the server has, in the words of SENT."""
    metrics = f"metrics-probekit-{namespace}"
    logs = f"logs-probekit-{namespace}"
    orders = search.documents(
        metrics, **{"name": "shop.orders", "attributes.plan": "pro"}
    )
    carts = search.documents(metrics, name="shop.carts")
    cold = search.documents(metrics, name="shop.temperature")
    durations = search.documents(metrics, name="shop.request.duration")
    refunded = search.documents(logs, name="order.refunded")
    exceptions = search.documents(logs, name="exception")
    return {
        "counter shop.orders{plan=pro}": sum(d["value"] for d in orders),
        "up-down shop.carts": max((d["value"] for d in carts), default=None),
        "gauge shop.temperature": max((d["value"] for d in cold), default=None),
        "histogram count": sum(d["count"] for d in durations),
        "histogram sum": round(sum(d["sum"] for d in durations), 9),
        "histogram min, max": [
            min((d["min"] for d in durations), default=None),
            max((d["max"] for d in durations), default=None),
        ],
        "event order.refunded": refunded[0]["attributes"] if refunded else None,
        "exception": exceptions[0]["attributes"]["exception.type"]
        if exceptions
        else None,
    }


def test_everything_an_application_records_comes_back(search, tmp_path):
    with Shop(tmp_path, f"{search.url}&namespace=all") as shop:
        assert shop.delivered()
    found = stored(search, "all")

    server = f"{search.name} {search.version()}"
    matrix.record("`elasticsearch:`", server, SENT, found)
    assert SENT == found


def test_what_the_server_refuses_is_a_dead_letter_and_the_rest_arrives(
    search, tmp_path
):
    # Somebody else's index, in which an attribute is a number.
    mapping = {"properties": {"attributes": {"properties": {"plan": {"type": "long"}}}}}
    name = {"properties": {"name": {"type": "keyword"}}}
    mapping["properties"].update(name["properties"])
    search.ask("/metrics-probekit-refusing", {"mappings": mapping}, "PUT")
    with Shop(tmp_path, f"{search.url}&namespace=refusing&create=0") as shop:
        assert shop.delivered()
        reasons = shop.dead_letters()
    found = stored(search, "refusing")

    assert {**SENT, "counter shop.orders{plan=pro}": 0} == found
    assert {True} == {"[attributes.plan]" in str(reason) for reason in reasons}, reasons


def test_repeating_a_batch_changes_nothing(search):
    exporter = build(f"{search.url}&namespace=again")
    batch = sample_batch()
    exporter.send(batch)
    exporter.send(batch)
    exporter.close()
    streams = ("metrics", "logs", "traces")

    assert [5, 2, 1] == [
        len(search.documents(f"{stream}-probekit-again")) for stream in streams
    ]


def test_words_of_users_come_back_as_they_were(search):
    exporter = build(f"{search.url}&namespace=hostile")
    for text in HOSTILE:
        exporter.send(hostile_batch(text))
    exporter.close()
    found = [d["name"] for d in search.documents("metrics-probekit-hostile")]

    assert sorted(text.replace("\ud83d", "\\ud83d") for text in HOSTILE) == sorted(
        found
    )
