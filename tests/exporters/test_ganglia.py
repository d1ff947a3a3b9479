import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from ganglia_packets import read
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.errors import ConfigError, Rejected
from probekit.exporters import build
from probekit.exporters.ganglia.exporter import Ganglia
from probekit.exporters.ganglia.metrics import GangliaMetrics
from probekit.exporters.ganglia.xdr import Source, metadata, value
from probekit.model import Batch, Point, Resource, Series, Window
from probekit.testing import ExporterContract, UdpReceiver
from probekit.testing.contract import HOSTILE, only, sample_batch

GOLDEN = Path(__file__).parent / "golden" / "ganglia.txt"
START = 1_700_000_000_000_000_000
METRICS = frozenset({"metrics"})
XML_SAFE = re.compile(r"[A-Za-z0-9 _.,:;()/%+-]*")
texts = st.text(max_size=40) | st.sampled_from(HOSTILE)


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def monotonic_s(self):
        return self.now_s

    def wall_ns(self):
        return START


def packets_of(batch):
    source = Source("h1")
    return [
        packet
        for metric in GangliaMetrics().of(batch)
        for packet in (
            metadata(metric.about, source),
            value(metric.about.name, metric.value, source),
        )
    ]


class TestGanglia(ExporterContract):
    most_lines_a_record = 4

    @pytest.fixture(autouse=True)
    def far_side(self):
        with UdpReceiver() as self.receiver:
            yield

    def exporter(self):
        return build(f"ganglia://127.0.0.1:{self.receiver.port}")

    def received(self):
        return len(self.receiver.datagrams)

    def break_far_side(self):
        self.receiver.stop()
        return True


def test_the_packets_of_a_batch_are_the_golden_ones():
    packets = packets_of(sample_batch(START))
    lines = [json.dumps(read(packet)) + "\n" for packet in packets]

    assert GOLDEN.read_text("ascii") == "".join(lines)


def test_a_packet_is_xdr_to_the_byte():
    packet = value("ab", "1.5", Source("hostname"))

    assert packet == (
        b"\0\0\0\x85\0\0\0\x08hostname\0\0\0\x02ab\0\0\0\0\0\0"
        b"\0\0\0\x02%s\0\0\0\0\0\x031.5\0"
    )


@settings(max_examples=80)
@given(texts, texts, st.dictionaries(texts, texts, max_size=3))
def test_no_word_of_a_user_leaves_what_gmond_can_print(name, unit, attributes):
    frozen = tuple(sorted(attributes.items()))
    series = Series(name, "counter", unit, frozen, description=unit)
    window = Window(1, START, START + 10**10, (Point(series, 1.0, total=1.0),))
    batch = Batch("0" * 32, Resource({"service.name": name or "s"}), (window,))
    packets = packets_of(batch)

    assert 4 == len(packets)
    for packet in packets:
        assert len(packet) < 1400
        for text in re.findall(r'"([^"]*)"', json.dumps(read(packet))):
            assert XML_SAFE.fullmatch(text)


def test_metrics_of_two_series_never_share_a_name():
    points = [
        Point(Series("a", "counter"), 1.0, total=1.0),
        Point(Series("a_total", "gauge"), 2.0),
        Point(Series("a b", "gauge"), 3.0),
        Point(Series("a/b", "gauge"), 4.0),
    ]
    batch = Batch("0" * 32, Resource(), (Window(1, START, START + 10**9, points),))
    made = GangliaMetrics()
    names = [metric.about.name for metric in made.of(batch)]

    assert 5 == len(set(names))
    assert names == [metric.about.name for metric in made.of(batch)]


def test_slopes_and_units_say_what_a_number_is():
    series = [
        Series("orders", "counter", "{order}"),
        Series("spent", "counter", "s"),
        Series("memory", "gauge", "By"),
        Series("took", "histogram", "s"),
    ]
    batch = sample_batch(START)
    histogram = batch.windows[0].points[-1].value
    points = [Point(each, 5.0, total=20.0) for each in series[:2]]
    points += [Point(series[2], 5.0), Point(series[3], histogram, 4)]
    window = replace(batch.windows[0], points=points)
    made = GangliaMetrics().of(replace(batch, windows=(window,)))
    found = {m.about.name: (m.value, m.about.units, m.about.slope) for m in made}

    assert ("0.5", "order/s", "both") == found["orders"]
    assert ("20", "order", "positive") == found["orders_total"]
    assert ("20", "s", "both") == found["spent_total"]
    assert ("5", "Bytes", "both") == found["memory"]
    assert ("4", "", "both") == found["took_count"]
    assert ("9", "s", "both") == found["took_max"]


def test_of_several_windows_the_newest_point_of_a_series_is_sent():
    first = sample_batch(START).windows[0]
    gauge = Series("g", "gauge")
    windows = [
        replace(first, id=n, points=(Point(gauge, float(n)),)) for n in (1, 2, 3)
    ]
    made = GangliaMetrics().of(Batch("0" * 32, Resource(), windows))

    assert ["3"] == [metric.value for metric in made]


def test_metadata_goes_first_and_again_after_a_while():
    clock = Clock()
    with UdpReceiver() as receiver:
        url = f"ganglia://127.0.0.1:{receiver.port}?metadata_s=60"
        exporter = Ganglia(url, clock=clock)
        batch = only(sample_batch(), METRICS)
        batch = replace(
            batch,
            windows=(replace(batch.windows[0], points=batch.windows[0].points[3:4]),),
        )
        for _ in range(2):
            exporter.send(batch)
        clock.now_s += 61
        exporter.send(batch)
        exporter.close()
        kinds = [read(data)["kind"] for data in receiver.wait_for(5)]

    assert [128, 133, 133, 128, 133] == kinds


def test_a_spoofed_host_stands_in_every_packet():
    with UdpReceiver() as receiver:
        url = f"ganglia://127.0.0.1:{receiver.port}?spoof=10.9.8.7:web1&group=shop"
        exporter = build(url)
        exporter.send(only(sample_batch(), METRICS))
        exporter.close()
        found = [read(data) for data in receiver.wait_for(28)]

    assert {("10.9.8.7:web1", 1)} == {(each["host"], each["spoofed"]) for each in found}
    extra = [dict(each["extra"]) for each in found if each["kind"] == 128]
    assert all(each["SPOOF_HOST"] == "10.9.8.7:web1" for each in extra)
    assert all(each["GROUP"] == "shop" for each in extra)


def test_many_packets_go_in_small_groups():
    pauses = []
    points = [Point(Series(f"g{n}", "gauge"), 1.0) for n in range(100)]
    batch = Batch("0" * 32, Resource(), (Window(1, 0, 10**9, points),))
    with UdpReceiver() as receiver:
        url = f"ganglia://127.0.0.1:{receiver.port}"
        exporter = Ganglia(url, pause=pauses.append)
        exporter.send(batch)
        exporter.close()

        assert 200 == len(receiver.wait_for(200))
    assert 4 == len(pauses)


def test_a_number_that_is_none_is_refused():
    point = Point(Series("a", "gauge"), float("nan"))
    batch = Batch("0" * 32, Resource(), (Window(1, 0, 10**9, (point,)),))
    with pytest.raises(Rejected):
        GangliaMetrics().of(batch)


@pytest.mark.parametrize(
    "query, word", [("spoof=web1", "IP:NAME"), ("prefix=a<b", "prefix"), ("x=1", "'x'")]
)
def test_a_wrong_parameter_is_named(query, word):
    with pytest.raises(ConfigError, match=word):
        build(f"ganglia://h?{query}")
