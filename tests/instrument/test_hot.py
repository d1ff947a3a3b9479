"""Hot functions: counted exactly, timed every 16th time, and back."""

import sys
import threading
import types

import pytest

from probekit.buffer.fold import Fold
from probekit.buffer.journal.memory_journal import MemoryJournal
from probekit.buffer.read_only import open_reader
from probekit.buffer.store import Store
from probekit.clock import SYSTEM_CLOCK
from probekit.histogram import Histogram
from probekit.recording.functions.sampled import scaled
from probekit.recording.weave import weaver
from probekit.recording.woven import Tally, is_woven

pytestmark = pytest.mark.skipif(
    not weaver.CAN_WEAVE, reason="no hot code for this interpreter"
)

TEXT = """
    def f(x):
        if x < 0:
            raise ValueError(x)
        return x

    def leaves():
        raise SystemExit
"""


class Clock:
    """The thermostat's idea of time."""

    def __init__(self, thermostat):
        self.now_s = thermostat._last_s = 0.0
        thermostat.clock_s = lambda: self.now_s

    def pass_s(self, seconds):
        self.now_s += seconds


@pytest.fixture
def hot(shop):
    """A module with ``f`` hot, and everything before forgotten."""
    shop.module = shop.load("hotly", TEXT)
    shop.instrument("hotly")
    shop.clock = Clock(shop.instrumentation._thermostat)
    for i in range(2500):
        shop.module.f(i)
    shop.clock.pass_s(0.1)
    shop.drain()
    shop._calls.clear()
    return shop


def stitch(shop, name="hotly.f"):
    return next(s for s in shop.instrumentation if s.name == name)


def test_a_function_called_too_often_is_timed_every_16th_time(hot):
    """2,500 calls in a tenth of a second are 25,000 a second; the series says so."""
    for i in range(1600):
        hot.module.f(i)
    waiting = len(stitch(hot).hot.handle.values)

    assert 100 == waiting
    assert 1600 == hot.calls("hotly.f")
    assert 16 == hot._attributes["hotly.f", ""]["probekit.timed_every"]


def test_a_hot_function_is_still_the_same_function(hot):
    """Result, code's place, and the way back."""
    module = hot.module

    assert stitch(hot).is_hot
    assert [0, 1, 2] == [module.f(i) for i in range(3)]
    assert module.__file__ == module.f.__code__.co_filename
    hot.instrumentation.undo()
    assert not is_woven(module.f.__code__)


def test_errors_of_a_hot_function_are_exact(hot):
    """Timed or not, every one is counted by type and in its problem."""
    for _ in range(50):
        with pytest.raises(ValueError, match="-1"):
            hot.module.f(-1)
    for i in range(30):
        hot.module.f(i)

    assert 50 == hot.calls("hotly.f", "ValueError")
    assert 30 == hot.calls("hotly.f")
    assert 50 == sum(problem.count for problem in hot.problems)


def test_what_is_no_error_counts_as_a_call(hot):
    """SystemExit and its like, as everywhere."""
    stitch(hot, "hotly.leaves").heat()
    for _ in range(20):
        with pytest.raises(SystemExit):
            hot.module.leaves()

    assert 20 == hot.calls("hotly.leaves")


def test_a_function_that_cools_down_is_timed_each_time_again(hot):
    """Below 10,000 calls a second."""
    hot.clock.pass_s(0.1)
    hot.drain()
    hot.module.f(1)
    hot.drain()

    assert not stitch(hot).is_hot
    assert "probekit.timed_every" not in hot._attributes["hotly.f", ""]


def test_a_warm_function_stays_as_it_is(hot):
    """Between the two rates nothing changes, so that nothing flutters."""
    for i in range(1500):
        hot.module.f(i)
    hot.clock.pass_s(0.1)
    hot.drain()

    assert stitch(hot).is_hot


def test_calls_that_were_not_timed_have_the_last_shape_known(hot):
    """Fewer than 16 calls between two drains may all be untimed; none is lost."""
    for i in range(17):
        hot.module.f(i)
    hot.drain()
    hot._calls.clear()
    hot.module.f(1)

    assert 1 == hot.calls("hotly.f")


def test_no_call_of_a_hot_function_is_lost_under_threads(hot):
    """Four threads at a switch interval of 10 µs."""

    def work():
        for i in range(2000):
            hot.module.f(i)

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval_s)

    assert 8000 == hot.calls("hotly.f")


def test_a_child_of_a_fork_starts_from_zero(hot):
    """What was counted before belongs to the parent."""
    for i in range(100):
        hot.module.f(i)
    hot.registry.forget()

    assert 0 == hot.calls("hotly.f")
    hot.module.f(1)
    assert 1 == hot.calls("hotly.f")


def test_calls_of_a_hot_function_inside_suppress_do_not_count(hot):
    """Nothing is hot while somebody asks for silence; the calls around it are exact."""
    for _ in range(20):
        hot.module.f(1)
    with hot.registry.suppress():
        for _ in range(2500):
            hot.module.f(1)
        hot.clock.pass_s(0.1)
        hot.drain()
        assert not stitch(hot).is_hot
    for _ in range(30):
        hot.module.f(1)

    assert 50 == hot.calls("hotly.f")


def test_a_hot_function_counts_nothing_while_recording_is_off(hot):
    """And is heated again when it is on and called often."""
    hot.registry.enabled = False
    for _ in range(2500):
        hot.module.f(1)
    hot.registry.enabled = True
    assert 0 == hot.calls("hotly.f")
    for _ in range(2500):
        hot.module.f(1)
    hot.clock.pass_s(0.1)
    hot.drain()

    assert stitch(hot).is_hot
    assert 2500 == hot.calls("hotly.f")


def test_all_calls_of_a_function_are_the_sum_of_its_series(shop, tmp_path):
    """Whichever way a reader sums: by the view, or over the rows of the table."""
    module = shop.load("hotsum", TEXT)
    shop.instrument("hotsum")
    path = tmp_path / "data" / "buffer.db"
    store = Store(path, clock=SYSTEM_CLOCK, retention=None, resource=None)
    store.open()
    fold = Fold(store, MemoryJournal(), interval_s=10.0, clock=SYSTEM_CLOCK)
    for heat in (False, True, False):
        (stitch(shop, "hotsum.f").heat if heat else stitch(shop, "hotsum.f").tie)()
        for i in range(100):
            module.f(i)
        for _ in range(7):
            with pytest.raises(ValueError, match="-1"):
                module.f(-1)
        fold.add(shop.registry.drain())
    fold.close()
    store.close()
    with open_reader(path) as connection:
        (row,) = connection.execute(
            "SELECT calls, errors FROM v_functions WHERE function = 'hotsum.f'"
        )
        counts = connection.execute(
            """SELECT count, json_extract(attributes, '$."error.type"'),
                      json_extract(attributes, '$."probekit.timed_every"')
               FROM series WHERE name = 'probekit.function.duration'"""
        )

        assert (321, 21) == tuple(row)
        assert {
            (200, None, None),
            (14, "ValueError", None),
            (100, None, 16),
            (7, "ValueError", 16),
        } == set(map(tuple, counts))


def test_slow_calls_of_a_hot_function_leave_spans_when_they_are_timed(shop):
    """One call of 16; the time of one that was not timed is not invented."""
    left = []
    shop.registry.tracing = types.SimpleNamespace(past=lambda *call: left.append(call))
    module = shop.load("hotspan", TEXT)
    shop.instrument("hotspan", min_duration_s=0)
    stitch(shop, "hotspan.f").heat()
    for i in range(32):
        module.f(i)
    for _ in range(16):
        with pytest.raises(ValueError, match="-1"):
            module.f(-1)

    assert [None, None, "ValueError"] == [
        error and type(error).__name__ for _, _, _, error in left
    ]


@pytest.mark.parametrize("calls", [1, 2, 5, 99, 1000])
def test_a_scaled_histogram_has_exactly_the_calls_it_stands_for(calls):
    """Whatever the shape, the bins add up."""
    timed = Histogram.of([0.001] * 3 + [0.02] * 2 + [1.5])

    grown = scaled(timed, calls)

    assert calls == grown.count == sum(grown.bins.values())
    assert (timed.min, timed.max) == (grown.min, grown.max)
    assert timed.sum / timed.count == pytest.approx(grown.sum / calls)


def test_a_tally_can_be_read_without_being_changed():
    """It is read at each drain."""
    tally = Tally()
    ticks = [tally.tick() for _ in range(3)]

    assert [0, 1, 2] == ticks
    assert [3, 3] == [tally.read(), tally.read()]
