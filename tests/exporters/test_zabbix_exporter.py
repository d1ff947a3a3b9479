from dataclasses import replace

import pytest
from trappers import TrapperEndpoint

from probekit.errors import ConfigError, Forbidden, Rejected, RetryLater
from probekit.exporters.zabbix.exporter import Zabbix
from probekit.model import Batch, Point, Resource, Series, Snapshot, Window
from probekit.testing import ExporterContract
from probekit.testing.contract import only, sample_batch

START = 1_700_000_000_000_000_000


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def monotonic_s(self):
        return self.now_s

    def wall_ns(self):
        return START


@pytest.fixture
def trapper():
    with TrapperEndpoint() as endpoint:
        yield endpoint


@pytest.fixture
def make(trapper):
    clock = Clock()

    def make(query=""):
        url = f"zabbix://127.0.0.1:{trapper.port}?host=h1{query}"
        return Zabbix(url, clock=clock), clock

    return make


class TestZabbix(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self):
        with TrapperEndpoint() as self.trapper:
            yield

    def exporter(self):
        return Zabbix(f"zabbix://127.0.0.1:{self.trapper.port}?host=h1&timeout_s=2")

    def received(self):
        return len(self.trapper.keys())

    def break_far_side(self):
        self.trapper.stop()
        return True


def gauges(count, first=1):
    points = tuple(
        Point(Series(f"g{n}", "gauge"), float(n), series_id=n)
        for n in range(first, first + count)
    )
    window = Window(1, START, START + 10**10, points)
    return Batch("0" * 32, Resource({"host.name": "web 1"}), (window,))


def key(number):
    return f"probekit.gauge[g{number}]"


def test_discovery_goes_before_the_values_and_holds_everything(make, trapper):
    exporter, _ = make()
    old = Point(Series("old", "gauge"), 1.0, series_id=9)
    exporter.begin(lambda: Snapshot(Resource(), (old,)))
    exporter.send(gauges(1))
    rules = [what for what in trapper.values if what[0].startswith("probekit.disc")]
    (told,) = [value for name, value, *_ in rules if "gauges" in name]

    assert 6 == len(rules)
    assert '"{#SERIES}":"old"' in told
    assert '"{#SERIES}":"g1"' in told
    assert list(trapper.values)[-1][0] == key(1)


def test_nothing_is_told_again_until_something_is_new_or_an_hour_is_over(make, trapper):
    exporter, clock = make()
    exporter.send(gauges(1))
    exporter.send(gauges(1))

    assert 3 == trapper.requests
    exporter.send(gauges(2))

    assert 5 == trapper.requests
    clock.now_s += 3601
    exporter.send(gauges(1))

    assert 7 == trapper.requests


def test_a_new_series_waits_for_its_item(make, trapper):
    exporter, _ = make()
    trapper.missing = {key(2)}
    with pytest.raises(RetryLater, match="no items yet") as waits:
        exporter.send(gauges(2))

    assert waits.value.after_s is not None
    trapper.missing = set()
    exporter.send(gauges(2))

    assert {key(1), key(2)} == set(trapper.keys())


def test_a_host_without_the_template_keeps_everything(make, trapper):
    exporter, _ = make()
    trapper.missing = {"probekit.discovery[gauges]"}
    with pytest.raises(Forbidden, match="failed: 1"):
        exporter.send(gauges(1))

    assert [] == trapper.keys()


def test_few_refused_records_are_looked_for_until_each_is_alone(make, trapper):
    exporter, clock = make("&discovery_wait_s=1")
    trapper.missing = {key(3)}
    exporter.begin(lambda: Snapshot(Resource(), gauges(4).windows[0].points))
    exporter.send(gauges(1))
    clock.now_s += 2
    with pytest.raises(Rejected) as whole:
        exporter.send(gauges(4))

    assert whole.value.count is None
    assert {key(1), key(2), key(4)} == set(trapper.keys())
    with pytest.raises(Rejected, match=r"g3.*processed: 0; failed: 1") as alone:
        exporter.send(gauges(1, first=3))

    assert alone.value.count is None
    with pytest.raises(Rejected) as later:
        exporter.send(gauges(4))

    assert 1 == later.value.count


def test_many_refused_records_are_counted(make, trapper):
    exporter, _ = make("&discovery=0")
    trapper.missing = {key(n) for n in range(1, 21)}
    with pytest.raises(Rejected) as refused:
        exporter.send(gauges(30))

    assert 20 == refused.value.count
    before = trapper.requests
    with pytest.raises(Rejected) as again:
        exporter.send(gauges(30))

    assert (20, 1) == (again.value.count, trapper.requests - before)


def test_a_figure_that_somebody_switched_off_refuses_no_record(make, trapper):
    exporter, _ = make("&discovery=0")
    batch = only(sample_batch(), frozenset({"metrics"}))
    trapper.missing = {"probekit.histogram[shop.request.duration;plan=pro,p50]"}
    exporter.send(batch)

    assert len(trapper.keys()) == 4 + 7


def test_a_batch_that_comes_again_is_the_same(make, trapper):
    exporter, _ = make()
    exporter.send(sample_batch(START))
    exporter.send(sample_batch(START))

    taken = {what: n for what, n in trapper.values.items() if "disc" not in what[0]}
    assert {2} == set(taken.values())


@pytest.mark.parametrize(
    "answer",
    [
        b'{"response":"success","info":"processed: 1; failed: 0; total: 1"}',
        b'{"response":"success","info":"processed: 6; failed: 0; total: 7"}',
        b'{"response":"failed","info":"no"}',
        b"",
    ],
)
def test_an_answer_that_does_not_add_up_is_no_acknowledgement(make, trapper, answer):
    exporter, _ = make()
    trapper.answer = answer
    with pytest.raises(RetryLater):
        exporter.send(gauges(3))


def test_without_a_name_the_host_is_that_of_the_resource(trapper):
    exporter = Zabbix(f"zabbix://127.0.0.1:{trapper.port}")
    exporter.send(gauges(1))
    exporter.send(replace(gauges(1), resource=Resource({"host.name": "a/b:c"})))

    assert {"web 1", "a_b_c"} == trapper.hosts


@pytest.mark.parametrize(
    "query, word", [("host=a/b", "host"), ("x=1", "'x'"), ("discovery=2", "discovery")]
)
def test_a_wrong_parameter_is_named(query, word):
    with pytest.raises(ConfigError, match=word):
        Zabbix(f"zabbix://127.0.0.1:1?{query}")
