"""Prometheus' formats: read back by its own client's parsers, nothing merged."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_text

from probekit.exporters.prometheus.aliases import with_aliases
from probekit.exporters.prometheus.exemplars import SpanExemplars
from probekit.exporters.prometheus.naming import PrometheusNames, metric_name
from probekit.exporters.prometheus.shelf import Shelf
from probekit.exporters.prometheus.text import Exposition
from probekit.histogram import Histogram
from probekit.model import Point, Resource, Series, Snapshot, Span
from probekit.testing.contract import HOSTILE, sample_batch

GOLDEN = Path(__file__).parent / "golden"
WORDS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(alphabet='ab_. "\\\n\r|#:;,={}\0\u2028\ud800é1', min_size=1, max_size=8),
)


def snapshot(*points, resource=()):
    return Snapshot(Resource(dict(resource)), points, 10**18)


def counter(name, value=1.0, unit="", **attributes):
    series = Series(name, "counter", unit, tuple(sorted(attributes.items())))
    return Point(series, value, total=value)


def samples(*points, **how):
    """Sample name and labels → value, as the format's own parser reads it."""
    text = Exposition().write(snapshot(*points), **how).decode()
    parser = read_openmetrics if how.get("openmetrics") else read_text
    found = [sample for family in parser(text) for sample in family.samples]
    keyed = {(s.name, frozenset(s.labels.items())): s.value for s in found}
    assert len(keyed) == len(found)
    return keyed


@pytest.mark.parametrize("openmetrics", [False, True])
def test_the_format_is_the_golden_file(openmetrics):
    shelf = Shelf()
    shelf.add(sample_batch(10**18))
    name = "openmetrics.txt" if openmetrics else "prometheus.txt"
    text = Exposition().write(shelf.snapshot(), openmetrics=openmetrics)

    assert (GOLDEN / name).read_bytes() == text


@pytest.mark.parametrize(
    "name, kind, unit, expected",
    [
        ("http.server.request.duration", "histogram", "s",
         "http_server_request_duration_seconds"),
        ("process.cpu.time", "counter", "s", "process_cpu_time_seconds"),
        ("shop.orders", "counter", "{order}", "shop_orders"),
        ("system.cpu.utilization", "gauge", "1", "system_cpu_utilization_ratio"),
        ("x.total", "counter", "", "x"),
        ("2nd  try", "gauge", "By/s", "_2nd_try_bytes_per_second"),
        ("already.seconds", "gauge", "s", "already_seconds"),
    ],
)  # fmt: skip
def test_names_follow_the_translation(name, kind, unit, expected):
    assert expected == metric_name(Series(name, kind, unit))[0]


def test_two_metrics_never_share_a_sample():
    took = Series("a", "histogram")
    found = samples(
        Point(took, Histogram.of([1.0]), total=Histogram.of([1.0])),
        Point(Series("a.count", "gauge"), 7.0),
        counter("b.c"),
        counter("b c", 2.0),
        counter("b.c", 3.0, unit="{x}"),
    )

    assert {1.0, 2.0, 3.0} == {v for (n, _), v in found.items() if n.startswith("b_c")}
    assert 1.0 == found["a_count", frozenset()]
    assert [7.0] == [v for (n, _), v in found.items() if n.startswith("a_count_")]


def test_attributes_that_look_alike_stay_apart():
    found = samples(
        counter("a", 1.0, k=1),
        counter("a", 2.0, k="1"),
        counter("a", 3.0, k=""),
        counter("a", 4.0),
        counter("a", 5.0, **{"x.y": "1"}),
        counter("a", 6.0, x_y="1"),
        counter("a", 7.0, le="1", job="j"),
    )

    assert [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0] == sorted(found.values())


def test_a_name_that_is_its_own_unit_has_no_unit():
    assert ("seconds", "") == metric_name(Series("seconds", "gauge", "s"))


def test_names_are_the_same_every_time():
    names = PrometheusNames()
    twins = [counter("a b").series, counter("a.b").series]

    assert [names.of(s) for s in twins] == [names.of(s) for s in twins]


@settings(max_examples=60)
@given(st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=4))
def test_no_word_adds_or_breaks_a_sample(words):
    points = {
        series: Point(series, 1.0, total=1.0)
        for name, key, value in words
        for series in [Series(name, "counter", "", ((key, value),))]
    }
    plain = counter("plain", 42.0, kept="yes")
    for openmetrics in (False, True):
        found = samples(*points.values(), plain, openmetrics=openmetrics)

        assert len(points) + 1 == len(found)
        assert 42.0 == found["plain_total", frozenset({("kept", "yes")})]


@settings(max_examples=60)
@given(st.text(max_size=20).filter(lambda t: t and "\0" not in t))
def test_values_come_back_as_they_were(text):
    text = text.encode("utf-8", "replace").decode()
    found = samples(counter("a", 1.0, k=text))

    assert [{"k": text}] == [dict(labels) for _, labels in found]


def test_a_counter_that_was_sent_in_pieces_shows_its_sum():
    shelf = Shelf()
    for batch in (sample_batch(10**18), sample_batch(10**18 + 10**10)):
        pieces = [
            Point(p.series, p.value, p.count) for w in batch.windows for p in w.points
        ]
        windows = (type(batch.windows[0])(1, 0, 1, pieces),)
        shelf.add(type(batch)("0" * 32, batch.resource, windows))
    found = {p.series.name: p.total for p in shelf.snapshot().points}

    assert 8 == found["shop.request.duration"].count
    assert -4.0 == found["shop.carts"]


def test_a_span_is_the_example_of_its_bucket():
    attributes = {"code.function.name": "shop.pay", "other": 1}
    series = Series(
        "probekit.function.duration", "histogram", "s",
        (("code.function.name", "shop.pay"),),
    )  # fmt: skip
    exemplars = SpanExemplars()
    exemplars.add([Span("a" * 32, "b" * 16, "", "pay", 1, 0, 20_000_000, attributes)])
    told = Histogram.of([0.02])
    text = Exposition().write(
        snapshot(Point(series, told, total=told)), openmetrics=True, exemplars=exemplars
    )
    found = [
        sample.exemplar
        for family in read_openmetrics(text.decode())
        for sample in family.samples
        if sample.exemplar
    ]

    assert [("a" * 32, 0.02)] == [(e.labels["trace_id"], e.value) for e in found]


def test_stock_names_are_sums_over_what_they_do_not_tell_apart():
    def point(name, kind, value, **more):
        pairs = {"process.pid": 7, **more}
        return Point(Series(name, kind, "", tuple(sorted(pairs.items()))), value)

    shown = with_aliases(
        snapshot(
            point("process.cpu.time", "counter", 1.0, **{"cpu.mode": "user"}),
            point("process.cpu.time", "counter", 2.0, **{"cpu.mode": "system"}),
            point("process.memory.usage", "up_down_counter", 64.0),
            point("process.uptime", "gauge", 10.0),
        )
    )
    found = samples(*shown.points)

    pid = frozenset({("process_pid", "7")})
    assert 3.0 == found["process_cpu_seconds_total", pid]
    assert 64.0 == found["process_resident_memory_bytes", pid]
    assert 1e9 - 10 == found["process_start_time_seconds", pid]
