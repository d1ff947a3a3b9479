"""The original StatsD server reads our lines and tells them back."""

import matrix
import pytest
from servers import eventually
from shop import Shop
from statsdserver import server

from freeports import free_ports
from probekit.exporters import build
from probekit.histogram import Histogram
from probekit.model import Batch, Point, Resource, Series, Window
from probekit.testing import UdpReceiver
from probekit.testing.contract import HOSTILE, hostile_batch, only, sample_batch

pytestmark = pytest.mark.backend
METRICS = frozenset({"metrics"})


@pytest.fixture(scope="module")
def statsd(tmp_path_factory):
    with server(tmp_path_factory.mktemp("statsd"), free_ports(3)) as running_server:
        yield running_server


def send(url, batch):
    exporter = build(url)
    exporter.send(only(batch, METRICS))
    exporter.close()


@pytest.mark.parametrize("scheme", ["statsd", "statsd+tcp"])
def test_every_kind_of_number_comes_back(statsd, scheme):
    port = statsd.udp if scheme == "statsd" else statsd.tcp
    prefix = "udp." if scheme == "statsd" else "tcp."
    url = f"{scheme}://127.0.0.1:{port}?prefix={prefix}"
    before = statsd.bad_lines()
    send(url, sample_batch())
    send(url, sample_batch())
    timer = prefix + "shop.request.duration.plan.pro"
    eventually(lambda: len(statsd.ask("timers").get(timer, ())) == 8)

    assert 6 == statsd.ask("counters")[prefix + "shop.orders.plan.pro"]
    assert -4.5 == statsd.ask("gauges")[prefix + "shop.temperature"]
    assert -2 == statsd.ask("gauges")[prefix + "shop.carts"]
    assert [4, 115, 245, 9000] == statsd.ask("timers")[timer][:4]
    assert before == statsd.bad_lines()


def test_dogstatsd_tags_come_back(statsd):
    url = f"statsd://127.0.0.1:{statsd.udp}?tags=dogstatsd&prefix=dog."
    send(url, sample_batch())
    name = "dog.shop.orders;plan=pro"

    assert 3 == eventually(lambda: statsd.ask("counters").get(name))


def test_graphite_tags_come_back(statsd):
    url = f"statsd://127.0.0.1:{statsd.udp}?tags=graphite&prefix=gr."
    send(url, sample_batch())
    name = "gr.shop.orders;plan=pro"

    assert 3 == eventually(lambda: statsd.ask("counters").get(name))


def test_sampled_timings_keep_their_number(statsd):
    histogram = Histogram.of([0.001 * i for i in range(1, 1001)])
    point = Point(Series("sampled", "histogram", "s"), histogram)
    batch = Batch("0" * 32, Resource(), (Window(1, 0, 10**10, (point,)),))
    before = statsd.bad_lines()
    send(f"statsd+tcp://127.0.0.1:{statsd.tcp}", batch)
    values = eventually(lambda: statsd.ask("timers").get("sampled"))

    assert 32 == len(values)
    assert (1, 1000) == (values[0], values[-1])
    assert abs(sorted(values)[16] - 500) <= 50
    assert before == statsd.bad_lines()


@pytest.mark.parametrize("tags", ["path", "dogstatsd", "graphite"])
def test_words_of_users_add_no_line_and_break_none(statsd, tags):
    before = statsd.ask("counters")
    url = f"statsd+tcp://127.0.0.1:{statsd.tcp}?tags={tags}&prefix=hostile_{tags}."
    for text in HOSTILE:
        send(url, hostile_batch(text))

    def received():
        seen = statsd.ask("counters")["statsd.metrics_received"]
        return seen - before["statsd.metrics_received"] >= len(HOSTILE)

    assert eventually(received)
    found = statsd.ask("counters")
    mine = [name for name in found if name.startswith(f"hostile_{tags}.")]

    assert before["statsd.bad_lines_seen"] == found["statsd.bad_lines_seen"]
    assert len(HOSTILE) == sum(found[name] for name in mine)


def test_everything_an_application_records_comes_back(statsd, tmp_path):
    url = f"statsd://127.0.0.1:{statsd.udp}?prefix=app."
    before = statsd.bad_lines()
    with Shop(tmp_path, url) as shop:
        assert shop.delivered()
    sent = {
        "counter": 3,
        "up-down": 3,
        "gauge": -4.5,
        "timings ms": [4, 115, 245, 9000],
    }

    def told():
        counters, gauges = statsd.ask("counters"), statsd.ask("gauges")
        return {
            "counter": counters.get("app.shop.orders.plan.pro"),
            "up-down": gauges.get("app.shop.carts"),
            "gauge": gauges.get("app.shop.temperature"),
            "timings ms": statsd.ask("timers").get("app.shop.request.duration"),
        }

    eventually(lambda: told() == sent)
    found = told()

    matrix.record("`statsd:`", "statsd (npm) 0.9.0", sent, found)
    assert sent == found
    assert before == statsd.bad_lines()


def test_events_and_distributions_arrive_as_datadog_wants_them(tmp_path):
    from tests_dogstatsd import Happened, Metric, parse

    with UdpReceiver() as receiver:
        url = f"statsd://127.0.0.1:{receiver.port}?tags=dogstatsd&histograms=d"
        with Shop(tmp_path, f"{url}&packed_bytes=500") as shop:
            assert shop.delivered()
        receiver.wait_until(lambda: any(b"_e{9" in d for d in receiver.datagrams))
        records = [found for data in receiver.datagrams for found in parse(data)]
    metrics = {r.name: r for r in records if isinstance(r, Metric)}
    events = {r.title: r for r in records if isinstance(r, Happened)}
    sent = {"counter": 3.0, "tags": ["plan:pro"], "distribution": 4}
    sent |= {"event": ["service:shop", "amount:9", "order.id:A1"], "exception": "error"}
    found = {
        "counter": sum(metrics["shop.orders"].values),
        "tags": list(metrics["shop.orders"].tags),
        "distribution": len(metrics["shop.request.duration"].values),
        "event": list(events["order.refunded"].tags),
        "exception": events["exception"].fields["t"],
    }

    what = "`statsd:?tags=dogstatsd`"
    matrix.record(what, "a parser of our own (no agent can be had)", sent, found)
    assert sent == found
