import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.buffer.journal import frames, tables
from probekit.model import Event, Harvest, Span, SpanEvent, SpanLink

MANY = 40
texts = st.text(max_size=5)
scalars = st.one_of(
    texts, st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.none()
)
values = st.one_of(scalars, st.lists(scalars, max_size=2).map(tuple))
attributes = st.one_of(
    st.fixed_dictionaries({}),
    st.fixed_dictionaries({"s": texts, "f": st.floats(), "i": st.integers()}),
    st.fixed_dictionaries({"i": st.integers(-9, 9), "v": values}),
    st.dictionaries(texts, values, max_size=3),
)
times = st.integers(0, 2**65)
small = st.integers(0, 300)
events = st.builds(Event, times, texts, attributes, small, texts, texts, texts)
spans = st.builds(
    Span,
    *(texts,) * 4,
    small,
    times,
    times,
    attributes,
    st.lists(st.builds(SpanEvent, times, texts, attributes), max_size=1).map(tuple),
    st.lists(st.builds(SpanLink, texts, texts, attributes), max_size=1).map(tuple),
    small,
    texts,
    texts,
    small,
    texts,
)


def alike(rows, column):
    """As many rows as tables are made for, some of them the same."""
    return st.lists(column, min_size=1, max_size=rows).map(lambda few: few * 9)


# ``repr`` tells 1 from True and 1.0, 0.0 from -0.0, and the order of keys.
@settings(max_examples=40)
@given(alike(5, events))
def test_events_come_back_as_they_were_types_and_order_included(rows):
    assert repr(rows) == repr(tables.decode_events(tables.encode_events(rows)))


@settings(max_examples=25)
@given(alike(3, spans))
def test_spans_come_back_as_they_were_types_and_order_included(rows):
    assert repr(rows) == repr(tables.decode_spans(tables.encode_spans(rows)))


@pytest.mark.parametrize("text", ["a\0b", "\0", "\ud83d", "", "ü" * 9])
def test_any_text_is_a_text_in_a_column(text):
    rows = [Event(n, text, {text: text, "n": f"{n}{text}"}) for n in range(MANY)]

    assert rows == tables.decode_events(tables.encode_events(rows))


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**63, -(2**63), True, None])
def test_a_column_of_numbers_keeps_what_is_no_usual_number(value):
    rows = [Event(n, "x", {"v": value, "w": value if n else 0}) for n in range(MANY)]
    found = tables.decode_events(tables.encode_events(rows))

    assert repr(rows) == repr(found)


def test_many_events_are_smaller_as_a_table_than_as_json(monkeypatch):
    harvest = Harvest(
        events=[Event(n, "order.refunded", {"order.id": f"A{n}"}) for n in range(MANY)]
    )
    table = frames.encode(harvest, {}, sequence=0, wall_ns=0)
    monkeypatch.setattr(frames, "_MANY", MANY + 1)
    rows = frames.encode(harvest, {}, sequence=0, wall_ns=0)

    assert len(table) < len(rows) / 2
    assert frames.decode(rows).harvest.events == frames.decode(table).harvest.events


@pytest.mark.parametrize("bad", [0, MANY - 1])
def test_one_of_many_that_json_cannot_take_is_counted_and_the_others_written(bad):
    knot = {}
    knot["self"] = knot
    every = [Event(n, "x", {"n": n}) for n in range(MANY)]
    every[bad] = Event(bad, "x", knot)
    data = frames.encode(Harvest(events=every), {}, sequence=0, wall_ns=0)
    found = frames.decode(data).harvest

    assert [each for each in every if each is not every[bad]] == found.events
    assert {("events", "invalid"): 1} == found.losses


def test_what_json_has_no_form_for_is_named_by_its_type():
    class Strange(str):
        __slots__ = ()

    rows = [Event(n, Strange("x"), {"o": object(), 5: (n,)}) for n in range(MANY)]
    found = tables.decode_events(tables.encode_events(rows))

    assert ("x", {"o": "<object>", "5": (7,)}) == (found[7].name, found[7].attributes)
    assert str is type(found[7].name)


@pytest.mark.parametrize("rows", [0, MANY - 1, MANY + 1, 2**32 - 1])
def test_a_table_that_lies_about_its_rows_is_refused(rows):
    data = tables.encode_events([Event(n, f"{n}", {"n": n}) for n in range(MANY)])

    with pytest.raises((ValueError, struct.error), match=r"row|bytes"):
        tables.decode_events(rows.to_bytes(4, "little") + data[4:])
