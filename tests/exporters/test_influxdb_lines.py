"""InfluxDB's line protocol: what goes in comes out of a parser, one line each."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.errors import ConfigError, Forbidden, Rejected, RetryLater, TooLarge
from probekit.exporters import build
from probekit.exporters.influxdb.lines import InfluxLines
from probekit.model import Batch, Event, Point, Resource, Series, Snapshot, Window
from probekit.testing import HttpReceiver, Reply
from probekit.testing.contract import sample_batch

GOLDEN = Path(__file__).parent / "golden"
WHO = Resource({"service.name": "shop"})


def lines(*points, events=(), **options):
    windows = (Window(1, 0, 10**10, points),) if points else ()
    return InfluxLines(**options).lines(Batch("0" * 32, WHO, windows, events))


def parsed(line):
    """(measurement, tags, fields as text, time), as the documentation reads it."""
    text = line.decode()
    # Unescaped spaces outside quotes divide a line in three.
    parts = re.fullmatch(
        r'((?:\\.|[^ \\])+) ((?:[^" ]|"(?:\\.|[^"\\])*")+) (-?\d+)', text, re.DOTALL
    )
    head, *pairs = re.split(r"(?<!\\),", parts[1])
    plain = lambda word: re.sub(r"\\([, =])", r"\1", word)  # noqa: E731
    split = [re.split(r"(?<!\\)=", pair) for pair in pairs]
    tags = {plain(key): plain(value) for key, value in split}
    assert len(tags) == len(pairs)
    return plain(head), tags, parts[2], int(parts[3])


def test_the_format_is_the_golden_file():
    found = InfluxLines(prefix="app.", tags=(("dc", "b 1"),)).lines(
        sample_batch(10**18)
    )

    assert (GOLDEN / "influxdb.txt").read_bytes() == b"\n".join([*found, b""])


TEXT = st.text(st.characters(), min_size=1, max_size=30)
KEPT = re.compile(r"[^\x00-\x1f\x7f-\x9f\\\u2028\u2029\ud800-\udfff]+")


@settings(max_examples=100)
@given(TEXT, TEXT, TEXT)
def test_no_text_adds_a_line_or_a_tag_and_most_come_back(name, key, value):
    (line,) = lines(Point(Series(name, "gauge", attributes=((key, value),)), 1.5))
    measurement, tags, fields, time = parsed(line)

    assert ("value=1.5", 10**10) == (fields, time)
    assert {"service": "shop"}.items() <= tags.items()
    assert 2 == len(tags)
    assert not measurement.startswith("#")
    if KEPT.fullmatch(name) and not name.startswith("#"):
        assert name == measurement
    if KEPT.fullmatch(key + value) and key not in {
        *("service", "time", "_field", "_measurement")
    }:
        assert value == tags[key]


@settings(max_examples=100)
@given(TEXT, st.text(st.characters(), max_size=40), TEXT)
def test_no_text_of_an_event_adds_a_line_or_a_field(name, body, key):
    event = Event(10**18 + 999_999, name, {key: body}, body=body, number=7)
    (line,) = lines(events=(event,))
    measurement, tags, fields, time = parsed(line)

    assert b"\n" not in line
    assert ("events", 10**18 + 999_007) == (measurement, time)
    assert {"name", "severity", "service"} == set(tags)
    found = re.findall(r'(\w+)="((?:\\.|[^"\\])*)"', fields, re.DOTALL)
    assert ["title", *(["body"] if body else []), "attributes"] == [k for k, _ in found]
    told = re.sub(r'\\(["\\])', r"\1", dict(found)["attributes"])
    assert [key.encode("utf-8", "replace").decode().replace("?", "")] == [
        re.sub("[?\ufffd]", "", k) for k in json.loads(told)
    ] or not key.isascii()


def test_two_series_never_share_a_line():
    a = Series("a b", "gauge")
    found = lines(
        Point(a, 1.0),
        Point(replace(a, name="a\nb"), 1.0),
        Point(replace(a, name="a\0b"), 1.0),
        Point(replace(a, kind="counter"), 1.0),
        Point(replace(a, unit="s"), 1.0),
        Point(replace(a, attributes=(("k", ""),)), 1.0),
        Point(replace(a, attributes=(("k", "x"), ("k\0", "x"), ("k_", "x"))), 1.0),
        Point(replace(a, attributes=(("time", "x"), ("service", "other"))), 1.0),
    )

    assert len(found) == len({line.partition(b" value")[0] for line in found})
    assert {"service": "shop", "service_2": "other", "time_": "x"} == parsed(found[-1])[
        1
    ]


def test_names_keep_their_order_over_restarts():
    first, second = Series("a\nb", "gauge"), Series("a_b", "gauge")
    encoder = InfluxLines()
    encoder.learn(Snapshot(WHO, (Point(first, 1.0), Point(second, 1.0))))
    batch = Batch("0" * 32, WHO, (Window(1, 0, 10**9, (Point(second, 1.0),)),))

    assert encoder.lines(batch)[0].startswith(b"a_b_")


def test_events_of_one_moment_stand_beside_one_another():
    found = lines(events=[Event(5, "a", number=n) for n in (1, 2)])

    assert [1, 2] == [parsed(line)[3] for line in found]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_influxdb_refuses_is_refused_here(value):
    with pytest.raises(Rejected, match="no number"):
        lines(Point(Series("a", "gauge"), value))


def answered(*replies, url="influxdb://127.0.0.1:{port}/pk", batch=None):
    """The requests that one batch makes, and the error it ends with."""
    with HttpReceiver(script=replies, reply=Reply(204)) as receiver:
        exporter = build(url.format(port=receiver.port))
        error = None
        try:
            exporter.send(batch or sample_batch())
        except Exception as raised:
            error = raised
        exporter.close()
        return receiver.requests, error


def test_both_write_apis_are_spoken():
    first, _ = answered(url="influxdb://u:p@127.0.0.1:{port}/pk?rp=r&precision=us")
    second, _ = answered(
        url="influxdb://127.0.0.1:{port}/pk?org=a%20b&token=t&precision=us&gzip=0"
    )

    assert "/write?db=pk&rp=r&precision=u" == first[0].path
    assert "Basic dTpw" == first[0].headers["authorization"]
    assert "gzip" == first[0].headers["content-encoding"]
    assert "/api/v2/write?bucket=pk&org=a+b&precision=us" == second[0].path
    assert "Token t" == second[0].headers["authorization"]
    assert second[0].body.startswith(
        b"shop.orders,host=h1,plan=pro,service=shop value=3"
    )


def dropped(count):
    return Reply(400, body=b'{"error":"partial write: too old dropped=%d"}' % count)


def test_answers_say_what_to_do():
    many = sample_batch()
    points = many.windows[0].points * 5
    many = replace(many, windows=(replace(many.windows[0], points=points),))

    def error_of(reply, batch=None):
        return answered(reply, batch=batch)[1]

    assert error_of(Reply(204)) is None
    assert isinstance(error_of(Reply(200, body=b"<html>Log in")), RetryLater)
    assert error_of(dropped(1)).count is None  # few are looked for
    assert 20 == error_of(dropped(20), many).count
    assert error_of(dropped(len(many)), many).count is None
    assert isinstance(error_of(Reply(404, body=b"database not found")), Forbidden)
    assert isinstance(
        error_of(Reply(500, body=b"retention policy not found: x")), Forbidden
    )
    assert isinstance(error_of(Reply(500, body=b"timeout")), RetryLater)
    assert isinstance(error_of(Reply(503)), RetryLater)
    assert isinstance(error_of(Reply(413)), TooLarge)
    assert isinstance(error_of(Reply(422, body=b"field type conflict")), Rejected)


@pytest.mark.parametrize(
    "url, rule",
    [
        ("influxdb://h:1", "names no database"),
        ("influxdb+udp://h:1/pk", "remove the path"),
        ("influxdb+tcp://h:1?precision=s", "precision"),
        ("influxdb://h:1/pk?precision=h", "one of ns"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url, rule):
    with pytest.raises(ConfigError, match=rule):
        build(url)


def test_a_line_longer_than_a_datagram_is_refused():
    exporter = build("influxdb+udp://127.0.0.1:9?datagram_bytes=256")
    batch = Batch("0" * 32, WHO, (), (Event(1, "x" * 300, number=1),))
    with pytest.raises(Rejected, match="longer than a datagram of 256"):
        exporter.send(batch)
    exporter.close()
