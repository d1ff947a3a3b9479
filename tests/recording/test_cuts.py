"""A signal at every place of a drain: its handler loses and doubles nothing."""

from contextlib import suppress

import pytest

from cuts import Late, cuts
from probekit.model import Span
from probekit.pace import Pace
from probekit.recording.events import record_event
from probekit.recording.instruments import Counter, Gauge, Histogram
from probekit.recording.probe import Wish
from probekit.recording.queue import Queue
from probekit.recording.registry import Registry

SERIES = 3
MANY = 70  # beyond what travels as raw values


def recorded():
    """A registry in which something of every kind waits."""
    registry = Registry()
    registry.watch.rest_for(3600)
    orders = Counter("orders", registry=registry)
    depth = Gauge("depth", registry=registry)
    sizes = Histogram("sizes", registry=registry)
    for n in range(SERIES):
        orders.add(1, {"n": n})
        depth.set(2, {"n": n})
        sizes.record(1.5, {"n": n})
        record_event(registry, "e", {"n": n})
        registry.span(Span("t", f"{n}", "", "work", "internal", 1, 2))
    for _ in range(MANY):
        sizes.record(1.0, {"many": True})
    registry.loss("spans", "overhead", 2)
    return registry


def told(harvests):
    """What *harvests* say together."""
    return {
        "sums": [v for each in harvests for v in each.sum_values],
        "counts": [n for each in harvests for n in each.sum_counts],
        "gauges": [n for each in harvests for n in each.gauge_counts],
        "raw": [raw for each in harvests for _, raw in each.raw],
        "binned": [b.count for each in harvests for _, b in each.binned],
        "events": [e.attributes["n"] for each in harvests for e in each.events],
        "spans": [span.span_id for each in harvests for span in each.spans],
        "losses": [loss for each in harvests for loss in each.losses.items()],
    }


def test_a_drain_that_is_cut_anywhere_loses_nothing_and_doubles_nothing():
    whole = told([recorded().drain()])
    for places, cut in enumerate(cuts()):
        registry, harvests = recorded(), []
        with suppress(Late), cut:
            harvests.append(registry.drain())
        if cut.came:
            harvests.append(registry.drain())

        assert whole == told(harvests), places
    assert [1.0] * SERIES == whole["sums"]
    assert [MANY] == whole["binned"]
    assert places > 100


def test_a_handler_that_drains_in_a_drain_takes_nothing_twice():
    whole = told([recorded().drain()])
    registry, harvests = recorded(), []

    def handler():
        harvests.append(registry.drain())

    for places, cut in enumerate(cuts(handler=handler)):
        registry, harvests = recorded(), []
        with cut:
            last = registry.drain()

        assert whole == told([*harvests, last]), places


def test_what_comes_during_a_drain_has_all_the_room_there_is():
    """The drain lets the application's threads run, and takes its time for it."""
    refused, given = [], []
    queue = Queue(lambda: refused.append(1), limit=10)
    for n in range(10):
        queue.put(n)

    def use(n):
        if n < 10:
            queue.put(n + 10)
        given.append(n)

    queue.empty(use, Pace())
    queue.empty(use, Pace())

    assert list(range(20)) == given
    assert [] == refused
    assert 0 == len(queue)


def test_a_series_that_is_made_while_a_signal_comes_is_harvested():
    for places, cut in enumerate(cuts()):
        registry = Registry()
        registry.watch.rest_for(3600)
        orders = Counter("orders", registry=registry)
        with suppress(Late), cut:
            orders.add(1, {"n": 1})
        before = sum(registry.drain().sum_values)
        orders.add(5, {"n": 1})

        assert before in {0.0, 1.0}
        assert 5.0 == sum(registry.drain().sum_values), places
    assert places > 10


def test_attention_that_is_cut_is_given_by_the_next_call():
    for places, cut in enumerate(cuts()):
        registry, calls = Registry(), []
        registry.on_due = lambda calls=calls: calls.append(1)
        with suppress(Late), cut:
            registry.due()
        before = len(calls)
        registry.watch.trip()
        registry.due()

        assert before + 1 == len(calls), places
    assert places > 3


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.usefixtures("way")
def test_a_failure_that_is_cut_anywhere_leaves_the_next_one_recorded(counted):
    for places, cut in enumerate(cuts()):
        registry = Registry()
        registry.watch.rest_for(3600)

        @Wish(registry=registry, counted=counted, name="work").grant
        def work():
            raise KeyError

        with suppress(Late, KeyError), cut:
            work()
        registry.drain()
        with suppress(KeyError):
            work()

        assert [1] == [each.count for each in registry.drain().problems], places
    assert places > 5
