"""Series are bounded for the process as a whole; nothing is lost beyond, but detail."""

import logging

import pytest

from probekit.notice import _last_told_s
from probekit.recording.functions.outcome import FUNCTION_DURATION
from probekit.recording.instruments import (
    Counter,
    Gauge,
    Histogram,
    UpDownCounter,
    instrument,
)

OVERFLOW = (("otel.metric.overflow", True),)


def series_of(registry, name):
    """Attributes of all series that *name* has."""
    return [each.attributes for each in registry.table.series if each.name == name]


@pytest.fixture
def make(registry):
    """Makes instruments in the test's registry."""
    return lambda kind, name: instrument(kind, name, registry=registry)


@pytest.fixture
def few(registry):
    """A registry whose instruments may have five attribute sets together."""
    registry.allowance.process_sets_limit = 5
    return registry


def test_attribute_sets_of_all_instruments_together_are_bounded(few, make, drained):
    """Beyond it each instrument's own overflow takes them; every value is in a sum."""
    names = ["shop.a", "shop.b", "shop.c"]
    for name in names:
        for number in range(100):
            make(Counter, name).add(1, {"n": number})
    harvest = drained()
    sums = {name: harvest.sums(name) for name in names}

    assert [100, 100, 100] == [sum(each.values()) for each in sums.values()]
    assert [95, 100, 100] == [each[OVERFLOW] for each in sums.values()]
    assert 5 + len(names) == len(few.table.series)


def test_series_that_exist_stay_when_no_further_one_may(few, make, drained):
    """Whether they are found by their attributes, by another spelling, or bound."""
    orders = make(Counter, "shop.orders")
    bound = orders.bind({"plan": "pro", "n": 0})
    for number in range(9):
        orders.add(1, {"plan": "pro", "n": number})
    orders.add(1, {"n": 0, "plan": "pro"})
    bound.add(1)
    sums = drained().sums("shop.orders")

    assert 3 == sums[(("n", 0), ("plan", "pro"))]
    assert 4 == sums[OVERFLOW]


def test_an_instrument_without_attributes_is_never_refused(few, make, drained):
    """Nor one whose attributes hold nothing that may be stored."""
    for number in range(10):
        make(Counter, "shop.orders").add(1, {"n": number})
    make(Counter, "shop.visits").add(1)
    make(Counter, "shop.visits").add(2, {"gone": None})

    assert {(): 3} == drained().sums("shop.visits")


def test_what_went_up_beyond_the_limit_comes_down_there(few, make, drained):
    """In the overflow series: its level is right."""
    active = make(UpDownCounter, "shop.active")
    for number in range(20):
        active.add(1, {"n": number})
    for number in range(20):
        active.add(-1, {"n": number})

    assert {0} == set(drained().sums("shop.active").values())


def test_functions_neither_take_places_nor_lack_them(few, make, probe):
    """They are bounded by the code, and by a limit of their own."""
    first = [probe(name=f"first.{n}")(lambda: None) for n in range(10)]
    for number in range(10):
        make(Counter, "shop.orders").add(1, {"n": number})
    later = [probe(name=f"later.{n}")(lambda: None) for n in range(10)]
    for each in first + later:
        each()

    assert 6 == len(series_of(few, "shop.orders"))
    assert 20 == len(series_of(few, FUNCTION_DURATION))
    assert OVERFLOW not in series_of(few, FUNCTION_DURATION)


def test_the_limit_of_one_instrument_holds_below_that_of_the_process(few, make):
    """One that floods leaves places to the others."""
    few.allowance.sets_limit = 2
    for name in ("shop.a", "shop.b", "shop.c"):
        for number in range(9):
            make(Counter, name).add(1, {"n": number})

    found = [len(series_of(few, name)) for name in ("shop.a", "shop.b", "shop.c")]
    assert [3, 3, 2] == found


def test_one_line_tells_which_limit_it_was(few, make, caplog):
    """And the attribute that has most of the values."""
    _last_told_s.clear()
    orders = make(Counter, "shop.orders")
    with caplog.at_level(logging.WARNING, "probekit"):
        for number in range(50):
            orders.add(1, {"plan": "pro", "user.id": number})
    (line,) = caplog.messages

    assert "shop.orders" in line
    assert "all instruments together have 5" in line
    assert "'user.id' with 5" in line


@pytest.mark.parametrize(
    "kind, record",
    [
        (Counter, Counter.add),
        (UpDownCounter, UpDownCounter.add),
        (Gauge, Gauge.set),
        (Histogram, Histogram.record),
    ],
)
def test_metric_names_without_end_end_in_one_series(registry, drained, kind, record):
    """One for each kind, whatever unit they ask for; names that are known stay."""
    registry.allowance.names_limit = 3
    for number in range(50):
        made = instrument(kind, f"shop.{number}", "By", registry=registry)
        record(made, 1)
    harvest = drained().harvest
    common = f"probekit.overflow.{kind.kind}"
    names = [each.name for each in registry.table.series]

    assert ["shop.0", "shop.1", "shop.2", common] == names
    assert 4 == len(registry.instruments)
    assert "shop.1" == instrument(kind, "shop.1", registry=registry).name
    assert 50 == sum(harvest.sum_counts) + sum(harvest.gauge_counts) + sum(
        len(values) for _, values in harvest.raw
    )


def test_a_common_name_that_a_user_took_for_another_kind_hurts_nobody(registry):
    """Neither of both raises."""
    registry.allowance.names_limit = 1
    instrument(Gauge, "probekit.overflow.counter", registry=registry).set(1)

    instrument(Counter, "shop.orders", registry=registry).add(1)
    assert 2 == len(registry.table.series)


def test_what_callbacks_read_beyond_their_series_is_counted_as_lost(registry, drained):
    """One level among others would be no level; those that are known go on."""
    registry.allowance.observed_limit = 3
    turns = []

    @registry.observe
    def endless(observer):
        turns.append(1)
        for number in range(5):
            observer.gauge("queue.depth", number, {"queue": number})
        observer.total("queue.done", len(turns), since_start=True)

    first, then = drained().harvest, drained().harvest

    assert [0.0, 1.0, 2.0] == list(first.gauge_values) == list(then.gauge_values)
    assert [] == list(first.sum_ids) == list(then.sum_ids)
    assert {("metrics", "series_limit"): 3} == first.losses == then.losses
    assert 4 == len(registry.table.series)
    assert len(then.gauge_ids) == len(then.gauge_counts)


def test_callbacks_may_read_into_series_that_instruments_have(registry, make, drained):
    """They are there already."""
    registry.allowance.observed_limit = 0
    make(Gauge, "queue.depth").set(1)
    registry.observe(lambda observer: observer.gauge("queue.depth", 7))

    assert 7 in drained().harvest.gauge_values
    assert {} == drained().harvest.losses


def test_what_callbacks_call_a_series_is_cut_and_cleaned(registry, drained):
    """As for instruments; it is the same series at the next reading."""

    @registry.observe
    def careless(observer):
        given = {"password": "geheim", "text": "x" * 9000, "half": "\ud800"}
        observer.gauge("q" * 300, 1, given)
        observer.gauge("queue.depth", 1, {"who": ValueError("geheim")})

    first, then = drained().harvest, drained().harvest
    long, short = registry.table.series
    attributes = dict(long.attributes)

    assert list(first.gauge_ids) == list(then.gauge_ids) == [0, 1]
    assert "q" * 200 == long.name
    assert {"password", "text", "half"} == set(attributes)
    assert (4096, "\\ud800") == (len(attributes["text"]), attributes["half"])
    assert {"who": "<ValueError>"} == dict(short.attributes)
    assert "geheim" not in repr(registry.table.series)
