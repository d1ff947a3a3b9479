"""DogStatsD: events, service checks, distributions and packed values."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_dogstatsd import Check, Happened, Metric, parse

from probekit.errors import ConfigError
from probekit.exporters import build
from probekit.exporters.statsd.encoding import StatsdLines
from probekit.histogram import Histogram
from probekit.model import Batch, Event, Point, Resource, Series, Window
from probekit.testing.contract import sample_batch

GOLDEN = Path(__file__).parent / "golden"
WHO = Resource({"service.name": "shop", "host.name": "h1"})


def told(*points, events=(), limit_bytes=0, **style):
    batch = Batch("0" * 32, WHO, (Window(1, 0, 10**10, points),), events)
    lines = StatsdLines(tags="dogstatsd", events=True, **style)
    return [
        found for chunk in lines.chunks(batch, limit_bytes) for found in parse(chunk)
    ]


def test_the_format_is_the_golden_file():
    encoder = StatsdLines(
        tags="dogstatsd", histograms="d", packed_bytes=400, events=True
    )
    lines = encoder.chunks(sample_batch(10**18))

    assert (GOLDEN / "dogstatsd.txt").read_bytes() == b"\n".join([*lines, b""])


def test_an_event_says_what_it_is():
    event = Event(2 * 10**9, "order|refunded", {"id": "A,1"}, 17, "two\nlines|é")
    (found,) = told(events=[event])

    assert found == Happened(
        "order_refunded",
        "two\nlines|é",
        {"d": "2", "h": "h1", "t": "error"},
        ("service:shop", "id:A_1"),
    )


@pytest.mark.parametrize(
    "status, number", [("ok", 0), ("warning", 1), ("critical", 2), ("unknown", 3)]
)
def test_an_event_with_a_status_is_a_service_check(status, number):
    event = Event(10**9, "db.up", {"check.status": status, "n": 1}, body="m:a|b\nc")
    (found,) = told(events=[event])

    assert found == Check(
        "db.up", number, {"d": "1", "h": "h1"}, ("service:shop", "n:1"), "m\\:a/b\\nc"
    )


def test_distributions_keep_their_unit_and_go_many_in_a_line():
    series = Series("d", "histogram", "s", (("k", "v"),))
    values = [0.1, 0.2, 0.4, 0.8]
    point = Point(series, Histogram.of(values))
    (packed,) = told(point, histograms="d", packed_bytes=200)
    alone = told(point, histograms="h")
    short = told(point, histograms="d", packed_bytes=24)

    assert ("d", "d", 1.0, ("k:v",)) == (packed.name, *packed[2:])
    assert 4 == len(packed.values)
    assert (0.1, 0.8) == (packed.values[0], packed.values[-1])
    assert [
        Metric("d", (value,), "h", 1.0, ("k:v",)) for value in packed.values
    ] == alone
    assert packed.values == tuple(v for line in short for v in line.values)
    assert 1 < len(short) <= 4


def test_packed_values_of_a_sample_stand_for_all():
    point = Point(Series("d", "histogram"), Histogram.of(map(float, range(1000))))
    found = told(point, histograms="d", packed_bytes=100, samples=20)

    assert 1000 == pytest.approx(sum(len(m.values) / m.rate for m in found))


TEXT = st.text(st.characters(), min_size=1, max_size=40)


@settings(max_examples=40)
@given(TEXT, TEXT, TEXT, st.text(st.characters(), max_size=3000), st.booleans())
def test_no_text_adds_a_record_or_a_tag_and_every_event_fits(
    name, key, value, body, is_check
):
    attributes = {key: value, **({"check.status": "ok"} if is_check else {})}
    event = Event(1, name, attributes, body=body)
    batch = Batch("0" * 32, WHO, (), (event,))
    (line,) = StatsdLines(tags="dogstatsd", events=True).chunks(batch, 1432)
    (found,) = parse(line)

    assert b"\n" not in line
    assert len(line) <= 1432
    assert is_check == isinstance(found, Check)
    assert 2 == len(found.tags)


def test_events_are_for_those_who_understand_them():
    assert {"metrics", "events"} == build("statsd://h?tags=dogstatsd").contract.signals
    assert {"metrics"} == build("statsd://h?tags=dogstatsd&events=0").contract.signals
    assert {"metrics"} == build("statsd://h").contract.signals
    with pytest.raises(ConfigError, match="DogStatsD"):
        build("statsd://h?events=1")
