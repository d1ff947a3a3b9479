"""Instruments: the same name is the same measure, and recording never raises."""

import decimal
import enum
import fractions
import logging
import math
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit import count as count_global
from probekit.errors import BadName
from probekit.recording.attributes import clean
from probekit.recording.instruments import (
    Counter,
    Gauge,
    Histogram,
    UpDownCounter,
    instrument,
)
from probekit.recording.registry import REGISTRY, Registry


@pytest.fixture
def make(registry):
    """Make an instrument in the test's registry."""
    return lambda kind, name, *args, **options: instrument(
        kind,
        name,
        *args,
        registry=registry,
        **options,
    )


def test_a_counter_adds_up_by_attributes(make, drained):
    """The order of attributes does not matter, an empty set is one of its own."""
    orders = make(Counter, "shop.orders", "{order}")
    orders.add(1, {"plan": "pro", "country": "de"})
    orders.add(2, {"country": "de", "plan": "pro"})
    orders.bind({"plan": "pro", "country": "de"}).add()
    orders.add(5)

    key = (("country", "de"), ("plan", "pro"))
    assert {key: 4, (): 5} == drained().sums("shop.orders")
    assert {} == drained().sums("shop.orders")


def test_an_up_down_counter_goes_both_ways(make, drained, registry):
    """And says whether it ends with its process."""
    open_ = make(UpDownCounter, "shop.carts", ends_with_process=True)
    open_.add(3)
    open_.bind().add(-5)

    assert {(): -2} == drained().sums("shop.carts")
    assert registry.table.series[0].ends_with_process


def test_a_gauge_keeps_the_last_value_and_counts_the_sets(make, registry, drained):
    """The books need every measurement."""
    depth = make(Gauge, "queue.depth")
    depth.set(3, {"queue": "a"})
    depth.bind({"queue": "a"}).set(4)
    depth.set(-1.5, {"queue": "b"})
    harvest = registry.drain()

    assert [2, 1] == list(harvest.gauge_counts)
    assert [4, -1.5] == list(harvest.gauge_values)


def test_a_histogram_travels_raw_while_small_and_binned_when_large(make, registry):
    """64 values are the border."""
    values = make(Histogram, "cart.value", "EUR")
    for _ in range(64):
        values.record(1.5)
    assert [[1.5] * 64] == [list(raw) for _, raw in registry.drain().raw]

    bound = values.bind()
    for number in range(1000):
        bound.record(number)
    harvest = registry.drain()

    assert [] == harvest.raw
    (binned,) = [histogram for _, histogram in harvest.binned]
    assert (1000, 999, 499_500) == (binned.count, binned.max, binned.sum)


@pytest.mark.parametrize(
    "kind, bad",
    [
        (Counter, -1),
        (Counter, math.nan),
        (Counter, math.inf),
        (Counter, "1"),
        (Counter, None),
        (Counter, 10**400),
        (Counter, 1j),
        (Counter, object()),
        (UpDownCounter, math.nan),
        (Gauge, math.inf),
        (Gauge, "12"),
        (Histogram, math.nan),
        (Histogram, -math.inf),
        (Histogram, [1]),
    ],
)
def test_a_bad_value_is_a_loss_and_good_ones_beside_it_stay(make, drained, kind, bad):
    """One at a time, never the whole list."""
    name = {Gauge: "set", Histogram: "record"}.get(kind, "add")
    made = make(kind, "shop.thing")
    getattr(made.bind(), name)(1)
    getattr(made, name)(bad)
    getattr(made, name)(bad, {"a": 1})
    getattr(made.bind(), name)(2)
    recorded = drained()

    assert {("metrics", "invalid"): 2} == recorded.losses
    good = {Gauge: {(): 2}, Counter: {(): 3}, UpDownCounter: {(): 3}}.get(kind)
    if good:
        assert good == (recorded.gauges if kind is Gauge else recorded.sums)(
            "shop.thing"
        )
    else:
        assert 2 == recorded.count("shop.thing")


@pytest.mark.parametrize(
    "number",
    [True, decimal.Decimal("1.0"), fractions.Fraction(1), enum.IntEnum("E", "A").A],
)
def test_numbers_of_other_types_count(make, drained, number):
    """As floats."""
    made = make(Counter, "shop.thing")
    made.add(number)

    assert {(): 1.0} == drained().sums("shop.thing")


@pytest.mark.parametrize("attributes", ["text", 7, [("a", 1)], object()])
def test_attributes_that_are_none_are_a_loss(make, drained, attributes):
    """Recording does not raise."""
    make(Counter, "shop.thing").add(1, attributes)

    assert {("metrics", "invalid"): 1} == drained().losses


@pytest.mark.parametrize("attributes", ["text", 7, [("a", 1)], object()])
def test_binding_to_attributes_that_are_none_is_one_clear_error(make, attributes):
    with pytest.raises(TypeError, match="attributes must be a mapping, got <"):
        make(Counter, "shop.thing").bind(attributes)


def test_attribute_values_keep_their_types_and_others_are_named(make, registry):
    """No __str__ of the application is called."""

    class Hostile:
        def __str__(self):
            raise AssertionError

        __repr__ = __str__

    class Plan(enum.Enum):
        PRO = "pro"

    given_ = {
        "text": "a",
        "flag": True,
        "whole": 3,
        "real": 0.5,
        "many": ["a", "b"],
        "none": None,
        "hostile": Hostile(),
        "plan": Plan.PRO,
        "money": decimal.Decimal("1.50"),
        "map": {"a": 1},
        "nan": math.nan,
        "huge": 2**70,
        3: "key is no text",
    }
    make(Counter, "shop.thing").add(1, given_)
    make(Counter, "shop.thing").add(1, given_)
    series = registry.table.series
    found = dict(series[0].attributes)

    assert 1 == len(series)
    assert ("a", True, 3, 0.5, ("a", "b")) == tuple(
        found[key] for key in ("text", "flag", "whole", "real", "many")
    )
    assert found["flag"] is True
    assert "none" not in found
    assert "Hostile>" in found["hostile"]
    assert ("pro", "1.50", "<dict of 1>", "nan", "<int>") == tuple(
        found[key] for key in ("plan", "money", "map", "nan", "huge")
    )


def test_long_values_are_cut(make, registry):
    """At 4,096 characters."""
    make(Counter, "shop.thing").add(1, {"text": "x" * 10_000})

    assert 4096 == len(dict(registry.table.series[0].attributes)["text"])


def test_the_same_name_is_the_same_instrument(make):
    """Until kind or unit differ."""
    orders = make(Counter, "shop.orders", "{order}")

    assert orders is make(Counter, "shop.orders", "{order}")
    assert orders is make(Counter, "shop.orders")
    with pytest.raises(BadName, match=r"shop\.orders.*counter.*gauge"):
        make(Gauge, "shop.orders")
    with pytest.raises(BadName, match=r"\{order\}.*'s'"):
        make(Counter, "shop.orders", "s")


@pytest.mark.parametrize("name", ["", " a", "a\n", "x" * 201, 7, None, [], "\ud800"])
def test_a_bad_name_is_refused_where_the_instrument_is_made(make, name):
    """With the rule it breaks."""
    with pytest.raises(BadName, match="metric name"):
        make(Counter, name)


def test_attribute_sets_beyond_the_limit_go_to_the_overflow_series(
    make, drained, caplog
):
    """2,000 of them, then one more series, and one warning that names the culprit."""
    orders = make(Counter, "shop.orders")
    with caplog.at_level(logging.WARNING, "probekit"):
        for number in range(2100):
            orders.add(1, {"plan": "pro", "user.id": number})
        orders.add(1, {"user.id": 7, "plan": "pro"})
    sums = drained().sums("shop.orders")

    assert 2001 == len(sums)
    assert 100 == sums[(("otel.metric.overflow", True),)]
    assert 2 == sums[(("plan", "pro"), ("user.id", 7))]
    assert 2101 == sum(sums.values())
    (warning,) = caplog.messages
    assert "shop.orders" in warning
    assert "'user.id' with 2000" in warning


def test_memory_for_spellings_is_bounded(make):
    """New attribute sets beyond the limit leave nothing behind."""
    orders = make(Counter, "shop.orders", limit_sets=10)
    for number in range(1000):
        orders.add(1, {"n": number})

    assert len(orders._handles) + len(orders._aliases) < 40


@pytest.mark.parametrize("wrap", [lambda it: it, lambda it: (1, it)])
def test_no_object_given_as_a_value_is_kept_alive(make, wrap):
    """An exception among the attributes holds the frames it came through."""

    class Failed(Exception):
        pass

    error = Failed("x")
    gone = weakref.ref(error)
    orders = make(Counter, "shop.orders")
    for _ in range(2):
        orders.add(1, {"error": wrap(error)})
        orders.bind({"error": wrap(error)})
    del error

    assert gone() is None


def test_secrets_in_attributes_are_not_stored(make, registry):
    """A password as an attribute is no series."""
    make(Counter, "shop.logins").add(1, {"password": "geheim"})

    assert "geheim" not in repr(registry.table.series)


def test_count_is_the_shortcut_and_never_raises():
    """A bad name or a taken one is a loss."""
    REGISTRY.drain()
    count_global("recording.test.orders", plan="pro")
    count_global("recording.test.orders", 2, plan="pro")
    count_global("recording.test.orders", value=3, name="x")
    count_global("")
    count_global(None)
    count_global([])
    instrument(Gauge, "recording.test.gauge")
    count_global("recording.test.gauge")
    harvest = REGISTRY.drain()

    sums = {
        harvest.series[series_id].attributes: value
        for series_id, value in zip(harvest.sum_ids, harvest.sum_values, strict=True)
        if harvest.series[series_id].name == "recording.test.orders"
    }
    assert {(("plan", "pro"),): 3, (("name", "x"),): 3} == sums
    assert 4 == harvest.losses["metrics", "invalid"]


number = st.one_of(
    st.integers(-(10**6), 10**6),
    st.floats(-1e6, 1e6),
    st.sampled_from([math.nan, math.inf, "x", None, True, -1, 10**400]),
)


@settings(max_examples=60)
@given(
    st.lists(st.one_of(number, st.sampled_from(["drain", "compact"])), max_size=60),
)
def test_every_value_is_in_the_sum_or_in_the_losses(steps):
    """Whenever anybody drains or folds in between."""
    registry = Registry()
    handle = instrument(Counter, "n", registry=registry).bind()
    added = counted = lost = 0
    total = 0.0

    def drain():
        nonlocal counted, lost, total
        harvest = registry.drain()
        counted += sum(harvest.sum_counts)
        total += sum(harvest.sum_values)
        lost += harvest.losses.get(("metrics", "invalid"), 0)

    expected = 0.0
    for step in steps:
        if step == "drain":
            drain()
        elif step == "compact":
            for one in registry.handles:
                one.fold(registry._reaper._invalid)
        else:
            handle.add(step)
            added += 1
            if isinstance(step, int | float) and 0 <= step < 1e7:
                expected += step
    drain()

    assert added == counted + lost
    assert math.isclose(expected, total, abs_tol=1e-6)


text = st.text(st.characters(exclude_categories=[]), max_size=30)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), text, st.binary()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(text, inner)),
    max_leaves=5,
)


@settings(max_examples=25)
@given(st.dictionaries(st.one_of(text, st.integers()), anything, max_size=5))
def test_cleaned_attributes_can_always_be_stored(attributes):
    """Text that encodes, whole numbers of 64 bits, finite reals, tuples of these."""
    cleaned = clean(attributes)

    assert cleaned == clean(cleaned)
    for key, value in cleaned.items():
        key.encode()
        assert 0 < len(key) <= 1200
        for item in value if isinstance(value, tuple) else (value,):
            assert type(item) in {str, bool, int, float}
            if type(item) is str:
                item.encode()
            if type(item) is int:
                assert -(2**63) <= item < 2**63
            if type(item) is float:
                assert math.isfinite(item)


def test_among_thousands_of_values_bad_ones_are_left_out(registry, drained):
    """A long list is looked at value by value only when something shows."""
    sizes = instrument(Histogram, "sizes", registry=registry).bind()
    for bad in ("text", None, float("nan"), 10**400, object()):
        for value in (
            *[0.5] * 2500,
            bad,
            fractions.Fraction(1, 4),
            decimal.Decimal(2),
            3,
        ):
            sizes.record(value)
    recorded = drained()
    ((_, binned),) = recorded.harvest.binned

    assert 5 * 2503 == binned.count
    assert (0.25, 3.0) == (binned.min, binned.max)
    assert {("metrics", "invalid"): 5} == recorded.losses


class AddsUp:
    """A sum with it is a number, and that is all it can do."""

    def __radd__(self, other):
        return other

    def __add__(self, other):
        return other


@pytest.mark.parametrize("number", [200, 9000])
def test_what_only_adds_up_is_left_out_and_others_count_once(registry, drained, number):
    """It shows when values are compared: what was added up by then is not kept."""
    sizes = instrument(Histogram, "sizes", registry=registry).bind()
    for value in (*[0.5] * number, AddsUp()):
        sizes.record(value)
    recorded = drained()
    ((_, binned),) = recorded.harvest.binned

    assert (number, number / 2) == (binned.count, binned.sum)
    assert number == sum(binned.bins.values())
    assert {("metrics", "invalid"): 1} == recorded.losses
