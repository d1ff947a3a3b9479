"""The metrics of OpenTelemetry's own instrumentations, through the real packages."""

import threading

import falcon
import falcon.testing
import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from probekit.integrations import libraries
from probekit.integrations.libraries import contrib, contrib_metrics
from probekit.recording.registry import REGISTRY, Registry
from program import Program
from receiver import Receiver

METRIC = "http.server.duration"


class Order:
    def on_get(self, request, response, number):
        response.media = {"number": number}


@pytest.fixture
def patched(recorded):
    contrib._found.cache_clear()
    yield recorded
    libraries.uninstall()
    REGISTRY.drain()
    contrib._found.cache_clear()


def shop():
    app = falcon.App()
    app.add_route("/orders/{number}", Order())
    return falcon.testing.TestClient(app)


def asked(client, times=3):
    for number in range(times):
        client.simulate_get(f"/orders/{number}")


def counted(recorded):
    return sum(count for _, count in recorded().of(METRIC))


def test_what_a_contrib_package_measures_is_recorded_until_it_is_switched_off(patched):
    """Also what it had measured last, and not collected by then."""
    libraries.instrument_libraries("falcon")
    client = shop()
    asked(client, 3)
    first = counted(patched)
    asked(client, 2)
    libraries.uninstall()
    last = counted(patched)
    asked(client, 4)

    assert (3, 2, 0) == (first, last, counted(patched))


def test_switched_on_again_nothing_is_counted_twice(patched):
    for _ in range(2):
        libraries.instrument_libraries("falcon")
        asked(shop(), 3)
        libraries.uninstall()

    assert 6 == counted(patched)


def test_a_provider_that_the_application_has_set_gets_its_metrics(patched, monkeypatch):
    reader = InMemoryMetricReader()
    theirs = MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: theirs)
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", theirs)
    libraries.instrument_libraries("falcon")
    asked(shop())
    names = {
        metric.name
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }

    assert METRIC in names
    assert 0 == counted(patched)


def test_the_global_provider_is_left_for_the_application_to_set(patched):
    before = metrics.get_meter_provider()
    libraries.instrument_libraries("falcon")
    shop()

    assert before is metrics.get_meter_provider()


@pytest.fixture
def meters():
    return contrib_metrics.Meters(Registry())


def sums(registry):
    harvest = registry.drain()
    names = [harvest.series[number].name for number in harvest.sum_ids]
    return dict(zip(names, harvest.sum_values, strict=True))


def test_the_pump_collects_now_and_then_and_a_flush_at_once(meters):
    counter = meters.get_meter("shop").create_counter("orders")
    counter.add(1)
    found = []

    def twice():
        found.append(sums(meters._registry))
        counter.add(2)
        found.append(sums(meters._registry))

    pump = threading.Thread(target=twice, name="probekit-pump")
    pump.start()
    pump.join()

    assert [{"orders": 1}, {}] == found
    assert {"orders": 2} == sums(meters._registry)


def test_the_pumps_last_drain_collects_whenever_it_comes(meters):
    counter, found = meters.get_meter("shop").create_counter("orders"), []

    def drain_to_the_end():
        for end in (False, False, True):
            counter.add(1)
            if end:
                meters._registry.observers.end([])
            found.append(sums(meters._registry))

    pump = threading.Thread(target=drain_to_the_end, name="probekit-pump")
    pump.start()
    pump.join()

    assert [{"orders": 1}, {}, {"orders": 2}] == found


def test_without_a_pump_an_applications_thread_collects_no_oftener(meters):
    """As in the child of a raw fork, which drains while it records."""
    counter = meters.get_meter("shop").create_counter("orders")
    registry, found = meters._registry, []
    registry.on_due = lambda: found.append(sums(registry))
    for _ in range(2):
        counter.add(1)
        registry.watch.trip()
        registry.due()

    assert [{"orders": 1}, {}] == found


def test_a_forked_child_begins_at_zero_and_waits_for_no_lock_of_its_parents(meters):
    """A lock that another thread held at the fork is held in the child for ever."""
    counter = meters.get_meter("shop").create_counter("orders")
    counter.add(5)
    meters._sdk._measurement_consumer._lock.acquire()
    meters._collector._renew()  # as in the child
    counter.add(2)

    assert {"orders": 2} == sums(meters._registry)


def test_an_sdk_that_is_built_otherwise_costs_the_childs_metrics_only(meters):
    counter = meters.get_meter("shop").create_counter("orders")
    counter.add(5)
    consumer = meters._sdk._measurement_consumer
    meters._sdk._measurement_consumer = None
    meters._collector._renew()
    meters._sdk._measurement_consumer = consumer

    assert {} == sums(meters._registry)


def test_a_drain_inside_a_measurement_does_not_wait_for_the_sdks_locks(meters):
    """As a signal handler's that flushes; the next drain has it."""
    meter, found = meters.get_meter("shop"), []

    def read(options):
        found.append(sums(meters._registry))
        return [metrics.Observation(4)]

    meter.create_counter("orders").add(1)
    meter.create_observable_gauge("depth", [read])
    meters._sdk._measurement_consumer.collect(meters._collector._reader)

    assert [{}] == found


SHOP = """
import os, sys, probekit, falcon, falcon.testing
probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]],
                   host_metrics=False, own_metrics=False)
probekit.instrument_libraries("falcon")

class Order:
    def on_get(self, request, response, number):
        response.text = number

app = falcon.App()
app.add_route("/orders/{number}", Order())
client = falcon.testing.TestClient(app)
def ask(times):
    for number in range(times):
        client.simulate_get(f"/orders/{number}")
ask(20)
child = os.fork()
if not child:
    ask(5)
    print(probekit.flush(timeout_s=20), flush=True)
    os._exit(0)
os.waitpid(child, 0)
ask(3)
"""


@pytest.mark.e2e
def test_they_arrive_once_over_forks_and_restarts(tmp_path):
    """The last ones are written as the process ends; nobody calls ``flush`` there."""
    program, receiver = Program(tmp_path), Receiver()
    receiver.start()
    try:
        for _ in range(2):
            assert ["True"] == program.run(SHOP, receiver.url).split()
        program.run(
            "import sys, probekit\n"
            "probekit.configure('shop', buffer=sys.argv[1], exporters=[sys.argv[2]])\n"
            "assert probekit.flush(timeout_s=20)\n",
            receiver.url,
        )
        # What the end of a process cut off is sent again, as it was.
        points = {
            p.SerializeToString(): p for n, p in receiver.histograms if n == METRIC
        }
    finally:
        receiver.stop()

    assert 56 == sum(point.count for point in points.values())
    assert [(56,)] == program.sql(
        f"SELECT sum(count) FROM series WHERE name = '{METRIC}'"
    )
