"""Carbon itself tells what it has stored of us; VictoriaMetrics likewise."""

import matrix
import pytest
from servers import eventually
from shop import VALUES, Shop
from timeseries import carbon, package_version, victoria_metrics

from probekit.exporters import build
from probekit.testing.contract import HOSTILE, hostile_batch, only

pytestmark = [pytest.mark.backend, pytest.mark.timeout(90)]
SENT = {
    "counter shop.h1.shop.orders.plan.pro": 3.0,
    "up-down shop.h1.shop.carts": 3.0,
    "gauge shop.h1.shop.temperature": -4.5,
    "histogram shop.h1.shop.request.duration.count": float(len(VALUES)),
    "histogram shop.h1.shop.request.duration.sum": sum(VALUES),
    "histogram shop.h1.shop.request.duration.max": max(VALUES),
}
# A path that no file can have is refused before it is sent.
SHORT = [text for text in HOSTILE if len(text) < 1000]


def told(server):
    return {what: server.last(what.split()[1]) for what in SENT}


@pytest.mark.parametrize("way", ["graphite", "graphite+udp", "graphite+pickle"])
def test_carbon_has_everything(tmp_path, way):
    with carbon(tmp_path / "carbon") as server:
        port = server.pickle if way == "graphite+pickle" else server.line
        with Shop(tmp_path, f"{way}://127.0.0.1:{port}") as shop:
            assert shop.delivered()
        eventually(lambda: told(server) == SENT)
        found = told(server)

    version = package_version("graphite-carbon")
    matrix.record(f"`{way}:`", f"carbon-cache {version}", SENT, found)
    assert SENT == found


def test_tags_become_labels(tmp_path):
    with victoria_metrics(tmp_path / "vm") as server:
        url = f"graphite://127.0.0.1:{server.graphite}?tags=graphite"
        with Shop(tmp_path, url) as shop:
            assert shop.delivered()
        sent = {"shop.orders{plan=pro}": 3, "shop.carts{host=h1}": 3}
        found = {
            "shop.orders{plan=pro}": server.last(
                '{__name__="shop.orders",plan="pro",service="shop"}'
            ),
            "shop.carts{host=h1}": server.last('{__name__="shop.carts",host="h1"}'),
        }
        version = package_version("victoria-metrics")
        matrix.record(
            "`graphite:?tags=graphite`", f"VictoriaMetrics {version}", sent, found
        )

        assert sent == found
        assert 0 == server.thrown_away()


def test_words_of_users_never_throw_a_neighbour_away(tmp_path):
    with victoria_metrics(tmp_path / "vm") as server:
        for style in ("graphite", "path"):
            url = f"graphite://127.0.0.1:{server.graphite}?tags={style}&prefix={style}."
            exporter = build(url)
            for text in SHORT:
                exporter.send(only(hostile_batch(text), exporter.contract.signals))
            exporter.close()
            match = f'{{__name__=~"{style}[.].*"}}'
            eventually(lambda match=match: len(server.values(match)) == len(SHORT))
            found = server.values(match)

            assert [[1]] * len(SHORT) == [values for _, values in found]
        assert 0 == server.thrown_away()
