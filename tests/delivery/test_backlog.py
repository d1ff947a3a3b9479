"""Laws of the memory ring: numbers merge, records are bounded, losses are counted."""

from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.delivery.backlog import Backlog, measurements
from probekit.histogram import Histogram
from probekit.model import Event, Harvest, Series

TABLE = [Series("c", "counter"), Series("g", "gauge"), Series("h", "histogram")]


def harvest_of(adds, level, values, *, binned=False, events=0):
    harvest = Harvest(series=TABLE)
    harvest.sum_ids.append(0)
    harvest.sum_values.append(float(sum(adds)))
    harvest.sum_counts.append(len(adds))
    harvest.gauge_ids.append(1)
    harvest.gauge_values.append(level)
    harvest.gauge_counts.append(1)
    if binned:
        harvest.binned.append((2, Histogram.of(values)))
    else:
        harvest.raw.append((2, list(values)))
    harvest.events = [Event(n, "e") for n in range(events)]
    return harvest


one = st.tuples(
    st.lists(st.integers(0, 1000), min_size=1, max_size=5),
    st.floats(-1e6, 1e6),
    st.lists(st.floats(0, 1e6), max_size=20),
    st.booleans(),
)


@settings(max_examples=50)
@given(st.lists(one, min_size=1, max_size=6))
def test_merging_keeps_every_sum_count_and_last_level(parts):
    """What comes out equals what went in, whatever its form."""
    backlog = Backlog()
    for adds, level, values, binned in parts:
        backlog.put(harvest_of(adds, level, values, binned=binned))
    taken = backlog.take()
    everything = [value for _, _, values, _ in parts for value in values]

    assert [sum(sum(adds) for adds, *_ in parts)] == list(taken.sum_values)
    assert [sum(len(adds) for adds, *_ in parts)] == list(taken.sum_counts)
    assert [parts[-1][1]] == list(taken.gauge_values)
    assert [(2, Histogram.of(everything))] == taken.binned
    assert taken.series is TABLE
    assert not backlog


def test_the_oldest_events_go_first_and_are_counted():
    """A full disk for hours costs old events, with a number."""
    backlog = Backlog(records_limit=10)
    for _ in range(3):
        backlog.put(harvest_of([1], 0.0, [], events=6))
    taken = backlog.take()

    assert len(taken.events) == 10
    assert {("events", "disk"): 8} == taken.losses


def test_losses_in_what_waits_stay_counted():
    """They are part of the books."""
    backlog = Backlog()
    backlog.put(Harvest(losses={("metrics", "invalid"): 2}))
    backlog.put(Harvest(losses={("metrics", "invalid"): 3}))

    assert {("metrics", "invalid"): 5} == backlog.take().losses


def test_an_empty_harvest_leaves_the_backlog_empty():
    """There is nothing to write then."""
    backlog = Backlog()
    backlog.put(Harvest())

    assert not backlog


def test_measurements_count_values_in_every_form():
    """Adds, sets, raw values and binned ones."""
    harvest = harvest_of([1, 2, 3], 0.5, [0.1, 0.2])
    harvest.binned = [(2, Histogram.of([1.0, 2.0, 3.0, 4.0]))]
    harvest.sum_counts = array("Q", [3])

    assert measurements(harvest) == 3 + 1 + 2 + 4
