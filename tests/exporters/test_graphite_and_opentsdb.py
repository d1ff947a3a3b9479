"""Graphite's and OpenTSDB's formats: few characters, and nobody's words add to them."""

import json
import pickle
import re
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.errors import ConfigError, Rejected, RetryLater, TooLarge
from probekit.exporters import build
from probekit.exporters.figures import running
from probekit.exporters.graphite.encoding import GraphiteMetrics
from probekit.exporters.opentsdb.encoding import OpenTsdbPoints
from probekit.histogram import Histogram
from probekit.model import Batch, Point, Resource, Series, Snapshot, Window
from probekit.testing import HttpReceiver, Reply
from probekit.testing.contract import sample_batch

GOLDEN = Path(__file__).parent / "golden"
WHO = Resource({"service.name": "shop", "host.name": "h1"})
TEXT = st.text(st.characters(), min_size=1, max_size=30)
ENCODERS = {
    "graphite-path": lambda: GraphiteMetrics(prefix="app.").lines,
    "graphite-tags": lambda: GraphiteMetrics(tags="graphite").lines,
    "opentsdb-telnet": lambda: OpenTsdbPoints(prefix="app.").telnet,
    "opentsdb-json": lambda: OpenTsdbPoints().json,
}


def batch_of(*points):
    return Batch("0" * 32, WHO, (Window(1, 0, 10**10, points),))


@pytest.mark.parametrize("form", sorted(ENCODERS))
def test_the_format_is_the_golden_file(form):
    found = ENCODERS[form]()(sample_batch(10**18))

    assert (GOLDEN / f"{form}.txt").read_bytes() == b"\n".join([*found, b""])


def test_running_numbers_are_totals_and_shapes_are_the_windows():
    series = Series("d", "histogram", "s")
    window, total = Histogram.of([2.0]), Histogram.of([1.0, 2.0, 4.0])

    assert [
        ("count", 3.0),
        ("sum", 7.0),
        ("min", 2.0),
        ("max", 2.0),
        ("p50", 2.0),
        ("p90", 2.0),
        ("p95", 2.0),
        ("p99", 2.0),
    ] == running(Point(series, window, total=total))
    assert [("", 2.0)] == running(Point(Series("c", "counter"), 2.0))


@settings(max_examples=100)
@given(TEXT, TEXT, TEXT)
def test_no_text_adds_a_line_or_a_word(name, key, value):
    batch = batch_of(Point(Series(name, "gauge", attributes=((key, value),)), 1.5))
    (path,) = GraphiteMetrics().lines(batch)
    (tagged,) = GraphiteMetrics(tags="graphite").lines(batch)
    (put,) = OpenTsdbPoints().telnet(batch)
    (item,) = OpenTsdbPoints().json(batch)

    assert re.fullmatch(rb"shop\.h1(\.[\w-]+)+ 1\.5 10", path)
    assert re.fullmatch(r"[^\s;]*(;[^\s;=]+=[^\s;=]+){3} 1\.5 10", tagged.decode())
    assert re.fullmatch(rb"put [\w./-]+ 10 1\.5( [\w./-]+=[\w./-]+){3}", put)
    told = json.loads(item)
    assert (10_000, 1.5, 3) == (told["timestamp"], told["value"], len(told["tags"]))


@pytest.mark.parametrize("form", sorted(ENCODERS))
def test_two_series_never_share_a_name(form):
    a = Series("a.b", "gauge")
    variants = [
        a,
        replace(a, name="a b"),
        replace(a, name="a_b"),
        replace(a, name="a\nb"),
        replace(a, kind="counter"),
        replace(a, unit="s"),
        replace(a, attributes=(("k", "v.w"),)),
        replace(a, attributes=(("k", "v_w"),)),
        replace(a, attributes=(("k", "v w"),)),
        replace(a, attributes=(("k" * 300, "v"), ("k" * 300 + "x", "v"))),
        replace(a, attributes=(("host", "other"), ("name", "x"))),
        replace(a, attributes=tuple((f"k{n}", n) for n in range(10))),
        replace(a, attributes=tuple((f"k{n}", n) for n in range(11))),
    ]
    points = [Point(series, 1.0) for series in variants]
    histogram = Point(Series("d", "histogram"), Histogram.of([1.0]))
    points += [histogram, Point(Series("d.count", "gauge"), 1.0)]
    found = ENCODERS[form]()(batch_of(*points))
    if form == "opentsdb-json":
        names = {str((i["metric"], i["tags"])) for i in map(json.loads, found)}
    else:
        names = {re.sub(rb" [\d.]+ 10\b| 10 [\d.]+", b"", line) for line in found}

    assert len(variants) + 9 == len(found) == len(names)


def test_names_keep_their_order_over_restarts():
    first, second = Series("a b", "gauge"), Series("a_b", "gauge")
    told = Snapshot(WHO, (Point(first, 1.0), Point(second, 1.0)))
    graphite, opentsdb = GraphiteMetrics(), OpenTsdbPoints()
    graphite.learn(told)
    opentsdb.learn(told)

    assert graphite.lines(batch_of(Point(second, 1.0)))[0].startswith(b"shop.h1.a_b_")
    assert opentsdb.telnet(batch_of(Point(second, 1.0)))[0].startswith(b"put a_b_")


def test_more_tags_than_the_server_takes_stand_in_one():
    series = Series("a", "gauge", attributes=tuple((f"k{n}", n) for n in range(8)))
    (line,) = OpenTsdbPoints(most_tags=5).telnet(batch_of(Point(series, 1.0)))

    assert (
        b"put a 10 1 host=h1 service=shop k0=0 k1=1 more=k2.2.k3.3.k4.4.k5.5.k6.6.k7.7"
        == line
    )


def test_templates_put_attributes_where_they_are_wanted():
    series = Series("req", "counter", attributes=(("plan", "a.b"), ("x", True)))
    encoder = GraphiteMetrics(template="app.{plan}.{name}.{attributes}.{zone}")
    (line,) = encoder.lines(batch_of(Point(series, 1.0, total=5.0)))

    assert b"app.a_b.req.x.true.none 5 10" == line


def test_pickled_frames_are_short_and_carry_the_same():
    points = [Point(Series(f"g{n}", "gauge"), float(n)) for n in range(1200)]
    frames = GraphiteMetrics().frames(batch_of(*points))
    lists = [pickle.loads(frame[4:]) for frame in frames]

    assert [500, 500, 200] == [len(some) for some in lists]
    assert all(struct.unpack(">I", f[:4]) == (len(f) - 4,) for f in frames)
    assert ("shop.h1.g7", (10, 7.0)) == lists[0][7]


@pytest.mark.parametrize("form", sorted(ENCODERS))
def test_a_number_that_is_none_is_refused(form):
    with pytest.raises(Rejected, match="no number"):
        ENCODERS[form]()(batch_of(Point(Series("a", "gauge"), float("nan"))))


def test_a_path_too_long_for_a_file_is_refused():
    long = tuple((f"{n:03}" + "k" * 190, "v" * 200) for n in range(10))
    with pytest.raises(Rejected, match="longer than 3000"):
        GraphiteMetrics().lines(batch_of(Point(Series("a", "gauge", "", long), 1.0)))


def sent(*replies, query="", batch=None):
    """The data points of each request, and the error that one send ends with."""
    with HttpReceiver(script=replies, reply=Reply(204)) as receiver:
        exporter = build(f"opentsdb://127.0.0.1:{receiver.port}?{query or 'points=50'}")
        error = None
        try:
            exporter.send(batch or sample_batch())
        except Exception as raised:
            error = raised
        exporter.close()
        return [json.loads(request.body) for request in receiver.requests], error


def test_a_batch_goes_in_requests_that_opentsdb_takes():
    points = [Point(Series(f"g{n}", "gauge"), 1.0) for n in range(120)]
    bodies, error = sent(batch=batch_of(*points))

    assert error is None
    assert [50, 50, 20] == [len(body) for body in bodies]


def test_a_retry_goes_on_with_what_was_not_taken():
    batch = batch_of(*(Point(Series(f"g{n}", "gauge"), 1.0) for n in range(120)))
    script = [Reply(204), Reply(503)]
    with HttpReceiver(script=script, reply=Reply(204)) as receiver:
        exporter = build(f"opentsdb://127.0.0.1:{receiver.port}")
        with pytest.raises(RetryLater):
            exporter.send(batch)
        exporter.send(batch)
        exporter.send(batch)
        exporter.close()
        sizes = [len(json.loads(request.body)) for request in receiver.requests]

    assert [50, 50, 50, 20, 50, 50, 20] == sizes


def test_requests_become_smaller_until_they_are_taken():
    points = [Point(Series(f"g{n}", "gauge"), 1.0) for n in range(4)]
    bodies, error = sent(
        Reply(413), Reply(413), query="points=4", batch=batch_of(*points)
    )

    assert error is None
    assert [4, 2, 1, 1, 1, 1] == [len(body) for body in bodies]
    assert isinstance(sent(Reply(413), query="points=1")[1], TooLarge)


def test_the_words_of_the_details_are_the_reason():
    told = {"failed": 1, "success": 11, "errors": [{"error": "Unable to parse value"}]}
    _, error = sent(Reply(400, body=json.dumps(told).encode()))

    assert isinstance(error, Rejected)
    assert "1 failed: Unable to parse value" in error.reason
    told = json.dumps(told).encode()
    assert isinstance(sent(Reply(200, body=told))[1], Rejected)
    assert sent(Reply(200, body=b'{"failed":0,"success":12,"errors":[]}'))[1] is None
    page = Reply(200, {"Content-Type": "text/html"}, b"<html>Log in")
    assert isinstance(sent(page)[1], RetryLater)
    assert isinstance(sent(Reply(500))[1], RetryLater)
    assert isinstance(sent(Reply(500, body=b"partial write: x"))[1], Rejected)


@pytest.mark.parametrize(
    "url, rule",
    [
        ("graphite://h?template=a.b", "must hold"),
        ("graphite://h?template=a%20{name}", "must hold"),
        ("graphite://h?prefix=a%20b", "may hold"),
        ("graphite://h?tags=dogstatsd", "one of path"),
        ("opentsdb+telnet://h/api", "no path"),
        ("opentsdb://h?most_tags=2", "from 3"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url, rule):
    with pytest.raises(ConfigError, match=rule):
        build(url)
