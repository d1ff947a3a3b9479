"""Our OTLP bytes are the very message that the generated classes build."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_otlp_messages import (
    REQUESTS,
    logs_request,
    metrics_request,
    traces_request,
)

from probekit.exporters.otlp.attributes import KeyValues, any_value
from probekit.exporters.otlp.logs import encode_logs
from probekit.exporters.otlp.metrics import MetricsEncoder
from probekit.exporters.otlp.protobuf import fields, length_delimited, unsigned, varint
from probekit.exporters.otlp.traces import encode_traces
from probekit.histogram import Histogram
from probekit.model import (
    Batch,
    Event,
    Point,
    Resource,
    Series,
    Span,
    SpanEvent,
    SpanLink,
    Window,
)
from probekit.testing.contract import sample_batch

TEXT = st.text(max_size=20) | st.text(st.characters(), max_size=200)
SCALAR = (
    TEXT
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.integers()
    | st.sampled_from([0, -1, 127, 128, 2**63 - 1, -(2**63), 2**63, 2**80])
    | st.floats(allow_nan=True, allow_infinity=True)
)
ATTRIBUTES = st.dictionaries(
    TEXT, SCALAR | st.lists(SCALAR, max_size=3).map(tuple), max_size=4
)
MOMENT = st.integers(0, 2**63)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
HEX16, HEX8 = (st.binary(min_size=n, max_size=n).map(bytes.hex) for n in (16, 8))
RESOURCE = st.builds(Resource, ATTRIBUTES)


def frozen(attributes):
    return tuple(sorted(attributes.items()))


# Made once: a strategy that is made within a draw is looked through again each time.
KIND = st.sampled_from(["counter", "up_down_counter", "gauge", "histogram"])
UNIT = st.sampled_from(["", "s", "By", "{order}"])
SECONDS = st.lists(st.floats(0, 1e6), min_size=1, max_size=8)
PERHAPS = st.none() | FINITE
SERIES_ID = st.integers(0, 3)


@st.composite
def points(draw):
    kind = draw(KIND)
    name = draw(TEXT)
    series = Series(
        name,
        kind,
        draw(UNIT),
        frozen(draw(ATTRIBUTES)),
        # Not part of a series' identity: one series has one of them.
        "What it is." if len(name) % 2 else "",
    )
    if kind == "histogram":
        return Point(series, Histogram.of(draw(SECONDS)))
    total = draw(PERHAPS) if kind == "up_down_counter" else None
    return Point(series, draw(FINITE), total=total, series_id=draw(SERIES_ID))


WINDOW = st.builds(
    Window,
    st.integers(1, 9),
    MOMENT,
    MOMENT,
    st.lists(points(), max_size=4),
)
EVENT = st.builds(
    Event,
    MOMENT,
    TEXT,
    ATTRIBUTES,
    st.integers(1, 24),
    TEXT,
    st.just("") | HEX16,
    st.just("") | HEX8,
)
SPAN = st.builds(
    Span,
    HEX16,
    HEX8,
    st.just("") | HEX8,
    TEXT,
    st.integers(0, 5),
    MOMENT,
    MOMENT,
    ATTRIBUTES,
    st.lists(st.builds(SpanEvent, MOMENT, TEXT, ATTRIBUTES), max_size=2),
    st.lists(st.builds(SpanLink, HEX16, HEX8, ATTRIBUTES, TEXT), max_size=2),
    st.integers(0, 2),
    TEXT,
    TEXT,
    st.integers(0, 2**32 - 1),
    st.sampled_from(["probekit", "other"]),
)


def same(expected, encoded):
    """Equal as bytes once re-written: unlike ==, this holds for NaN too."""
    parsed = type(expected).FromString(encoded)
    return expected.SerializeToString(deterministic=True) == (
        parsed.SerializeToString(deterministic=True)
    )


@settings(max_examples=30)
@given(RESOURCE, st.lists(WINDOW, max_size=3), MOMENT)
def test_windows_are_the_message_of_the_generated_classes(resource, windows, began):
    batch = Batch("0" * 32, resource, windows=windows, began_unix_ns=began)

    assert same(metrics_request(batch), MetricsEncoder().encode(batch))


@settings(max_examples=30)
@given(RESOURCE, st.lists(EVENT, max_size=3))
def test_events_are_the_message_of_the_generated_classes(resource, events):
    batch = Batch("0" * 32, resource, events=events)

    assert same(logs_request(batch), encode_logs(batch))


@settings(max_examples=30)
@given(RESOURCE, st.lists(SPAN, max_size=3))
def test_spans_are_the_message_of_the_generated_classes(resource, spans):
    batch = Batch("0" * 32, resource, spans=spans)

    assert same(traces_request(batch), encode_traces(batch))


def test_our_metrics_and_logs_are_theirs_to_the_byte():
    batch = replace(sample_batch(10**18), began_unix_ns=10**17)

    assert metrics_request(batch).SerializeToString() == MetricsEncoder().encode(batch)
    assert logs_request(batch).SerializeToString() == encode_logs(batch)


def test_one_encoder_tells_series_apart_that_share_an_id():
    encoder = MetricsEncoder()
    for name in ("a", "b", "a"):
        point = Point(Series(name, "counter"), 1.0, series_id=1)
        batch = Batch("0" * 32, Resource(), (Window(1, 1, 2, (point,)),))

        assert same(metrics_request(batch), encoder.encode(batch))


def test_bounds_can_be_chosen():
    point = Point(Series("x", "histogram", "s"), Histogram.of([0.5, 1.0, 1.1, 7.0]))
    batch = Batch("0" * 32, Resource(), (Window(1, 1, 2, (point,)),))
    message = REQUESTS["/v1/metrics"].FromString(
        MetricsEncoder((1.0, 2.0)).encode(batch)
    )
    found = message.resource_metrics[0].scope_metrics[0].metrics[0].histogram

    assert [1.0, 2.0] == list(found.data_points[0].explicit_bounds)
    assert [2, 1, 1] == list(found.data_points[0].bucket_counts)


def test_an_id_that_is_none_is_left_out():
    batch = Batch(
        "0" * 32, Resource(), events=[Event(1, "x", trace_id="zz", span_id="0")]
    )
    message = REQUESTS["/v1/logs"].FromString(encode_logs(batch))
    record = message.resource_logs[0].scope_logs[0].log_records[0]

    assert (b"", b"") == (record.trace_id, record.span_id)


@settings(max_examples=30)
@given(st.lists(SPAN, max_size=4), st.lists(SPAN, max_size=4))
def test_what_was_encoded_before_changes_no_span(before, spans):
    batch = Batch("0" * 32, Resource(), spans=spans)
    encode_traces(Batch("0" * 32, Resource(), spans=before))

    assert same(traces_request(batch), encode_traces(batch))


@pytest.mark.parametrize("value", [1, True, 1.0, 0, False, -0.0, 0.0, "1", "", 4096])
def test_values_that_equal_each_other_keep_their_types(value):
    for each in (1, 0, value, value):
        span = Span("", "", "", "x", 1, 1, 2, {"a": each})
        batch = Batch("0" * 32, Resource(), spans=[span])

        assert same(traces_request(batch), encode_traces(batch))


@pytest.mark.parametrize("size", [0, 1, 64, 65, 117, 118, 125, 126, 127, 128, 2**14])
@pytest.mark.parametrize("letter", ["x", "ü"])
def test_a_text_of_any_length_is_the_message_of_the_generated_classes(size, letter):
    for _ in range(2):  # made, and remembered
        span = Span("", "", "", "x", 1, 1, 2, {"key": letter * size})
        batch = Batch("0" * 32, Resource(), spans=[span])

        assert same(traces_request(batch), encode_traces(batch))


@pytest.mark.parametrize(
    "lengths", [(32, 16, 0), (32, 16, 16), (31, 17, 16), (0, 0, 1)]
)
def test_a_span_has_those_of_its_ids_that_are_ids(lengths):
    trace, own, parent = ("a" * length for length in lengths)
    span = Span(trace, own, parent, "x", 1, -5, 2**70)
    body = encode_traces(Batch("0" * 32, Resource(), spans=[span]))
    message = REQUESTS["/v1/traces"].FromString(body)
    found = message.resource_spans[0].scope_spans[0].spans[0]

    assert found.trace_id == (b"\xaa" * 16 if len(trace) == 32 else b"")
    assert found.span_id == (b"\xaa" * 8 if len(own) == 16 else b"")
    assert found.parent_span_id == (b"\xaa" * 8 if len(parent) == 16 else b"")
    assert (0, 2**64 - 1) == (found.start_time_unix_nano, found.end_time_unix_nano)


def test_pairs_are_remembered_up_to_a_limit_and_only_small_ones():
    fields = KeyValues(b"\x4a")
    fields.of({"long": "x" * 1000, "large": 10**9, "true": True, "float": 0.5})

    assert not fields.known
    for number in range(20_000):
        fields.of({"a": str(number)})
        assert str(number) in fields.known["a"]
        assert 4096 >= len(fields.known["a"])
    for number in range(20_000):
        fields.of({f"a{number}": "x"})
        assert 4096 >= len(fields.known)


class Loud:
    def __repr__(self):
        raise RuntimeError("never call user code")

    __str__ = __repr__


def test_a_value_of_another_type_is_named_and_never_asked():
    assert any_value("<Loud>") == any_value(Loud())
    assert b"" == any_value(None)


@given(st.integers(-(2**63), 2**64 - 1))
def test_a_varint_comes_back(value):
    message = unsigned(3, value) if value else b"\x18\x00"

    assert [(3, value % 2**64)] == list(fields(message))
    assert len(varint(value)) <= 10


@settings(max_examples=30)
@given(st.binary(max_size=30))
def test_the_reader_reads_or_refuses_any_bytes(garbage):
    try:
        found = list(fields(garbage))
    except ValueError:
        return

    assert all(isinstance(value, (int, bytes)) for _, value in found)


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_message_that_breaks_off_is_refused(cut):
    with pytest.raises(ValueError, match="message"):
        list(fields(length_delimited(1, b"abc")[:-cut]))
