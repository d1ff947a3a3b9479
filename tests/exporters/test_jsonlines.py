"""JSON lines: one object a line, nothing lost, nothing added."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.exporters.jsonlines import OWN_EVENT_KEYS, JsonLines
from probekit.histogram import Histogram
from probekit.model import Batch, Event, Point, Resource, Series, Window
from probekit.testing.contract import sample_batch

GOLDEN = Path(__file__).parent / "golden" / "jsonlines.txt"


def decoded(batch):
    return [json.loads(line) for line in JsonLines().lines(batch)]


def window(*points):
    return Batch("0" * 32, Resource(), (Window(1, 0, 10**10, points),))


def events(*events):
    return Batch("0" * 32, Resource({"host.name": "h"}), events=events)


def test_the_format_is_the_golden_file():
    assert GOLDEN.read_bytes() == JsonLines().document(sample_batch(10**18))


def test_a_line_stands_alone():
    for line in decoded(sample_batch()):
        assert ("shop", "h1") == (line["service"], line["host"])
        assert line["type"] in {"metric", "event", "span"}


def test_whole_deltas_are_integers_and_gauges_stay_floats():
    lines = decoded(
        window(
            Point(Series("a", "counter"), 3.0),
            Point(Series("b", "counter"), 0.5),
            Point(Series("c", "gauge"), 12.0),
            Point(Series("d", "up_down_counter"), -1.0, total=4.0),
        ),
    )

    assert [3, 0.5, 12.0, -1] == [line["value"] for line in lines]
    assert [int, float, float, int] == [type(line["value"]) for line in lines]
    assert 4 == lines[3]["total"]
    assert lines[0]["start"] < lines[0]["end"]


def test_a_histogram_has_count_sum_edges_and_buckets_and_no_value():
    values = [0.1, 0.25, 0.25, 3e18]
    line = decoded(window(Point(Series("a", "histogram"), Histogram.of(values))))[0]

    assert "value" not in line
    assert (4, sum(values), 0.1, 3e18) == (
        line["count"],
        line["sum"],
        line["min"],
        line["max"],
    )
    assert [[0.1, 1], [0.25, 2], [3e18, 1]] == line["buckets"]


def test_events_keep_their_attributes_under_their_own_keys():
    line = decoded(events(Event(5, "order.refunded", {"order.id": "A1", "n": 2})))[0]

    assert ("order.refunded", "A1", 2) == (line["name"], line["order.id"], line["n"])
    assert "1970-01-01T00:00:00.000000005Z" == line["time"]


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                *sorted(OWN_EVENT_KEYS),
                *(f"attributes.{key}" for key in sorted(OWN_EVENT_KEYS)),
                "attributes.",
                "attributes.attributes.name",
                "other",
            ]
        ),
        st.integers(),
        max_size=8,
    ),
)
def test_attributes_that_collide_with_our_keys_are_found_again(attributes):
    line = decoded(events(Event(1, "mine", attributes)))[0]
    found = {
        key.removeprefix("attributes."): value
        for key, value in line.items()
        if key.startswith("attributes.") or key not in OWN_EVENT_KEYS
    }

    assert attributes == found
    assert ("mine", "h") == (line["name"], line["host"])


@settings(max_examples=60)
@given(st.text(st.characters(), max_size=40), st.text(st.characters(), max_size=40))
def test_no_text_adds_a_line_and_whole_characters_come_back(key, value):
    lines = JsonLines().document(events(Event(1, "x", {"k" + key: value}))).splitlines()

    assert 1 == len(lines)
    assert lines[0].isascii()
    assert whole(value) == json.loads(lines[0])[whole("k" + key)]


def whole(text):
    """*text* with surrogates that have no partner written as escapes."""
    joined = text.encode("utf-16-le", "surrogatepass").decode(
        "utf-16-le", "surrogatepass"
    )
    return joined.encode("utf-8", "backslashreplace").decode()


@pytest.mark.parametrize(
    "value, shown",
    [
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (2**80, 2**80),
        (10**5000, hex(10**5000)),
        ("\ud83d", "\\ud83d"),
        ("\udc80", "\\udc80"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\U0001f600", "\U0001f600"),
        (("a", float("nan")), ["a", "NaN"]),
        (b"x", [120]),
        (object(), "<object>"),
        (None, None),
    ],
    ids=range(13),
)
def test_what_json_cannot_say_is_said_in_words(value, shown):
    line = decoded(events(Event(1, "x", {"k": value})))[0]

    assert shown == line["k"]


def test_a_batch_without_records_is_no_line():
    assert b"" == JsonLines().document(Batch("0" * 32, Resource()))
