"""StatsD lines: honest about what the protocol cannot say."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.errors import Rejected
from probekit.exporters.statsd.encoding import StatsdLines
from probekit.histogram import Histogram
from probekit.model import Batch, Point, Resource, Series, Window
from probekit.testing.contract import sample_batch

GOLDEN = Path(__file__).parent / "golden"
LINE = re.compile(
    rb"[A-Za-z0-9_.;=-]+:[-+]?[0-9.e+-]+\|(c|g|ms)(\|@[0-9.]+)?(\|#[^|\n]*)?"
)


def chunks(*points, limit_bytes=0, **style):
    batch = Batch("0" * 32, Resource(), (Window(1, 0, 10**10, points),))
    return StatsdLines(**style).chunks(batch, limit_bytes)


@pytest.mark.parametrize("tags", ["path", "dogstatsd", "graphite"])
def test_the_format_is_the_golden_file(tags):
    lines = StatsdLines(tags=tags, prefix="app.").chunks(sample_batch(10**18))

    assert (GOLDEN / f"statsd-{tags}.txt").read_bytes() == b"\n".join([*lines, b""])


def test_numbers_have_the_sign_that_the_server_needs():
    down = Series("l", "up_down_counter")

    assert [
        b"c:2|c",
        b"g:4.5|g",
        b"g:0|g\ng:-4|g",
        b"l:7|g",
        b"l:0|g\nl:-7|g",
        b"l:+2|g",
        b"l:-2|g",
    ] == chunks(
        Point(Series("c", "counter"), 2.0),
        Point(Series("g", "gauge"), 4.5),
        Point(Series("g", "gauge"), -4.0),
        Point(down, -1.0, total=7.0),
        Point(down, -1.0, total=-7.0),
        Point(down, 2.0),
        Point(down, -2.0),
    )


@pytest.mark.parametrize(
    "value, text",
    [
        (0.0, b"0"),
        (-0.0, b"0"),
        (7, b"7"),
        (0.5, b"0.5"),
        (999.0, b"999"),
        (1000.0, b"1000"),
        (2.0**53, b"9007199254740992.0"),
    ],
)
def test_a_count_is_told_alike_the_first_time_and_ever_after(value, text):
    counter = Series("c", "counter")

    for _ in range(2):
        assert [b"c:" + text + b"|c"] == chunks(Point(counter, value))


def test_seconds_become_milliseconds_and_other_units_stay():
    one = Histogram.of([0.25])

    assert [b"a:250|ms", b"b:0.25|ms", b"c:0|ms"] == chunks(
        Point(Series("a", "histogram", "s"), one),
        Point(Series("b", "histogram", "EUR"), one),
        Point(Series("c", "histogram"), Histogram.of([-5.0])),
    )


@settings(max_examples=80)
@given(
    st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=300),
    st.integers(2, 40),
)
def test_the_values_that_stand_for_all_keep_number_edges_and_order(values, limit):
    point = Point(Series("a", "histogram", "By"), Histogram.of(values))
    style = {"tags": "dogstatsd", "histograms": "h", "samples": limit}
    lines = chunks(point, **style)
    found = [float(line[len(b"a:") : line.index(b"|")]) for line in lines]

    assert lines == chunks(point, **style)
    assert min(len(values), limit) == len(found)
    assert pytest.approx(max(values), rel=1e-11) == found[-1]
    assert len(found) == 1 or pytest.approx(min(values), rel=1e-11) == found[0]
    assert sorted(found) == found
    if len(values) <= limit:
        pairs = zip(sorted(values), found, strict=True)
        assert all(abs(a - b) <= 0.1 * a for a, b in pairs)


@settings(max_examples=40)
@given(st.integers(1, 10**9))
def test_rates_add_up_to_the_number_of_values(count):
    histogram = Histogram.of([0.1, 0.2])
    histogram.bins = dict.fromkeys(histogram.bins, count)
    histogram.count = 2 * count
    total = 0.0
    for line in chunks(Point(Series("a", "histogram", "s"), histogram)):
        rate = re.search(rb"\|@([0-9.]+)$", line)  # statsd's own pattern
        total += 1 / float(rate.group(1)) if rate else 1

    assert 2 * count == pytest.approx(total, rel=1e-9)


@settings(max_examples=80)
@given(
    st.text(st.characters(), min_size=1, max_size=30),
    st.text(st.characters(), max_size=30),
    st.text(st.characters(), max_size=30),
    st.sampled_from(["path", "dogstatsd", "graphite"]),
)
def test_no_text_adds_a_record_or_breaks_a_line(name, key, value, tags):
    series = Series(name, "counter", attributes=((key, value),))
    (line,) = chunks(Point(series, 1.0), tags=tags)

    assert b"\n" not in line
    assert LINE.fullmatch(line)
    if tags == "dogstatsd":
        assert 0 == line.partition(b"|#")[2].count(b",")


def test_two_series_never_share_a_name(caplog):
    names = {
        line.split(b":")[0]
        for line in chunks(
            Point(Series("a b", "counter"), 1.0),
            Point(Series("a:b", "counter"), 1.0),
            Point(Series("a_b", "counter"), 1.0),
            Point(Series("a", "counter", attributes=(("b", "c.d"),)), 1.0),
            Point(Series("a", "counter", attributes=(("b", "c_d"),)), 1.0),
        )
    }

    assert 5 == len(names)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_number_that_statsd_has_not_is_refused(value):
    with pytest.raises(Rejected, match="no number"):
        chunks(Point(Series("g", "gauge"), value))


def test_a_line_longer_than_a_datagram_is_refused():
    long = Series("x" * 500, "counter")
    with pytest.raises(Rejected, match="longer than a datagram of 400"):
        chunks(Point(long, 1.0), limit_bytes=400)
