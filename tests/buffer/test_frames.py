from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.buffer.journal.frames import (
    END_OF_STREAM,
    SHIP_NOW,
    BadFrame,
    decode,
    encode,
)
from probekit.histogram import Histogram
from probekit.model import Event, Harvest, Problem, Series, Span, SpanEvent, SpanLink

ids = st.integers(0, 2**32 - 1)
floats = st.floats(allow_nan=False)
counts = st.integers(0, 2**63 - 1)
texts = st.text(st.characters(), max_size=20)  # halves of surrogate pairs included
scalars = st.one_of(
    texts, st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False)
)
values = st.one_of(scalars, st.lists(scalars, max_size=3).map(tuple))
attributes = st.dictionaries(texts, values, max_size=3)
times = st.integers(0, 2**62)
numbers = st.lists(st.tuples(ids, floats, counts), max_size=5)
events = st.builds(
    Event, times, texts, attributes, st.integers(1, 24), texts, texts, texts
)
problems = st.builds(Problem, texts, texts, texts, texts, texts, times, times, counts)
spans = st.builds(
    Span,
    *(texts,) * 4,
    st.integers(1, 5),
    times,
    times,
    attributes,
    st.lists(st.builds(SpanEvent, times, texts, attributes), max_size=2).map(tuple),
    st.lists(st.builds(SpanLink, texts, texts, attributes, texts), max_size=2).map(
        tuple
    ),
    st.integers(0, 2),
    texts,
    texts,
    st.integers(0, 255),
    texts,
)
series = st.builds(
    Series,
    texts,
    st.sampled_from(["counter", "up_down_counter", "gauge", "histogram"]),
    texts,
    attributes.map(lambda a: tuple(sorted(a.items()))),
    texts,
    st.booleans(),
)
histograms = st.lists(st.floats(-1e300, 1e300), max_size=20).map(Histogram.of)
definitions = st.dictionaries(ids, series, max_size=3)


@st.composite
def harvests(draw):
    harvest = Harvest()
    rows = draw(numbers)
    harvest.sum_ids = array("I", [r[0] for r in rows])
    harvest.sum_values = array("d", [r[1] for r in rows])
    harvest.sum_counts = array("Q", [r[2] for r in rows])
    rows = draw(numbers)
    harvest.gauge_ids = array("I", [r[0] for r in rows])
    harvest.gauge_values = array("d", [r[1] for r in rows])
    harvest.gauge_counts = array("Q", [r[2] for r in rows])
    raw = st.lists(st.tuples(ids, st.lists(floats, max_size=5)), max_size=4)
    harvest.raw = draw(raw)
    harvest.binned = draw(st.lists(st.tuples(ids, histograms), max_size=2))
    harvest.events = draw(st.lists(events, max_size=2))
    harvest.problems = draw(st.lists(problems, max_size=2))
    harvest.spans = draw(st.lists(spans, max_size=2))
    keys = st.tuples(st.sampled_from(["metrics", "events", "spans"]), texts)
    harvest.losses = draw(st.dictionaries(keys, counts, max_size=2))
    return harvest


def same(one, other):
    """Equality of harvests whose raw values may be lists or arrays."""
    plain = [
        [
            h.sum_ids,
            h.sum_values,
            h.sum_counts,
            h.gauge_ids,
            h.gauge_values,
            h.gauge_counts,
            [(i, list(v)) for i, v in h.raw]
            + [(i, [v]) for i, v in zip(h.single_ids, h.single_values, strict=True)],
            h.binned,
            h.events,
            h.problems,
            h.spans,
            h.losses,
        ]
        for h in (one, other)
    ]
    return plain[0] == plain[1]


@settings(max_examples=60)
@given(harvests(), definitions, counts, times, st.sampled_from([0, 1, 2, 3]))
def test_what_is_decoded_is_what_was_encoded(
    harvest, defined, sequence, wall_ns, flags
):
    data = encode(harvest, defined, sequence=sequence, wall_ns=wall_ns, flags=flags)
    frame = decode(b"before" + data + b"after", 6)

    assert (sequence, wall_ns, flags) == (frame.sequence, frame.wall_ns, frame.flags)
    assert len(data) == frame.size_bytes
    assert defined == frame.definitions
    assert [s.description for s in defined.values()] == [
        s.description for s in frame.definitions.values()
    ]
    assert same(harvest, frame.harvest)


@settings(max_examples=150)
@given(st.data())
def test_a_flipped_bit_anywhere_is_a_bad_frame(data):
    harvest = Harvest(raw=[(1, [0.1, 0.2])], losses={("events", "queue_full"): 3})
    good = bytearray(
        encode(harvest, {1: Series("a", "histogram")}, sequence=7, wall_ns=9)
    )
    bit = data.draw(st.integers(0, len(good) * 8 - 1))
    good[bit // 8] ^= 1 << bit % 8

    with pytest.raises(BadFrame):
        decode(bytes(good))


@settings(max_examples=150)
@given(st.binary(max_size=200), st.integers(0, 250))
def test_arbitrary_bytes_raise_bad_frame_and_nothing_else(data, offset):
    with pytest.raises(BadFrame):
        decode(data, offset)


@pytest.mark.parametrize("length", [0, 1, 20, 35, -1])
def test_a_cut_frame_is_a_bad_frame(length):
    data = encode(Harvest(losses={("spans", "x"): 1}), {}, sequence=0, wall_ns=0)

    with pytest.raises(BadFrame):
        decode(data[:length])


def test_a_body_that_lies_under_a_right_checksum_is_a_bad_frame():
    import struct
    from zlib import crc32

    body = struct.pack("<BI", 7, 3) + b"[1]"  # an event that is a number
    total = crc32(body, crc32(struct.pack("<IQqB", len(body), 0, 0, 0)))
    head = struct.pack("<4sIIQqB", b"PKF2", len(body), total, 0, 0, 0)

    with pytest.raises(BadFrame):
        decode(head + body)


def test_values_that_are_no_numbers_are_counted_and_the_others_written():
    harvest = Harvest(raw=[(1, [0.5, "x", None, 10**400, 2])])
    frame = decode(encode(harvest, {}, sequence=0, wall_ns=0))

    assert [(1, [0.5, 2.0])] == [(i, list(v)) for i, v in frame.harvest.raw]
    assert {("metrics", "invalid"): 3} == frame.harvest.losses


def test_an_event_that_json_cannot_take_is_counted_and_the_others_written():
    knot = {}
    knot["self"] = knot
    harvest = Harvest(events=[Event(1, "bad", knot), Event(2, "good", {"a": object()})])
    frame = decode(encode(harvest, {}, sequence=0, wall_ns=0))

    assert [("good", {"a": "<object>"})] == [
        (e.name, e.attributes) for e in frame.harvest.events
    ]
    assert {("events", "invalid"): 1} == frame.harvest.losses


def test_flags_are_bits_of_their_own():
    assert 0 == SHIP_NOW & END_OF_STREAM
