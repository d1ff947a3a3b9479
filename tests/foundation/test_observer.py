"""Laws of the observer: what is becomes what changed."""

import math
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probekit.model import Series
from probekit.observer import Observer, Readings, SeriesTable


def sums(observer):
    """The growth by name, as a dict."""
    harvest = observer.harvest()
    return {
        harvest.series[i].name: v
        for i, v in zip(harvest.sum_ids, harvest.sum_values, strict=True)
    }


def test_a_total_that_began_before_us_is_a_base_line():
    """The bytes that a network card moved before we came are not ours."""
    observer = Observer()
    observer.total("net.io", 1000.0)
    first = sums(observer)
    observer.total("net.io", 1500.0)

    assert {"net.io": 0.0} == first
    assert {"net.io": 500.0} == sums(observer)


def test_a_total_of_this_process_counts_from_its_start():
    """CPU time used before the first reading was used by us."""
    observer = Observer()
    observer.total("cpu", 2.0, since_start=True)

    assert {"cpu": 2.0} == sums(observer)


def test_a_total_that_falls_has_begun_anew():
    """A counter that was reset grew by what it says now."""
    observer = Observer()
    observer.total("t", 100.0)
    observer.harvest()
    observer.total("t", 30.0)

    assert {"t": 30.0} == sums(observer)


def test_levels_add_up_to_the_last_level():
    """The sum of all differences is the level now."""
    observer = Observer()
    seen = 0.0
    for level in (5.0, 9.0, 2.0):
        observer.level("threads", level)
        seen += sums(observer).get("threads", 0.0)

    assert seen == 2.0


def test_a_level_is_taken_back_with_its_process():
    """The series says that it ends with the process."""
    observer = Observer()
    observer.level("threads", 5.0)

    assert observer.harvest().series[0].ends_with_process


def test_levels_of_a_host_go_on_from_where_they_stand():
    """The next reader adds the difference only, and nothing is taken back."""
    observer = Observer(standing=lambda series: 40.0)
    observer.level("system.memory.usage", 50.0)
    harvest = observer.harvest()

    assert [10.0] == list(harvest.sum_values)
    assert not harvest.series[0].ends_with_process


def test_readings_that_are_no_numbers_are_counted_as_invalid():
    """NaN harms neither the level nor its neighbours, and is not silent."""
    observer = Observer()
    observer.gauge("g", math.nan)
    observer.gauge("h", 1.0)
    harvest = observer.harvest()

    assert {("metrics", "invalid"): 1} == harvest.losses
    assert [1.0] == list(harvest.gauge_values)


def test_racing_threads_agree_on_the_id_of_a_series():
    """Two first sights at once give one id, and it names that series."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(20):
            table, found = SeriesTable(), []
            gate = threading.Barrier(4)

            def look(table=table, found=found, gate=gate):
                gate.wait()
                found.extend(
                    (n, table.intern(Series(f"s{n}", "counter"))) for n in range(20)
                )

            threads = [threading.Thread(target=look) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

            assert len(set(found)) == 20
            assert all(table.series[i].name == f"s{n}" for n, i in found)
    finally:
        sys.setswitchinterval(interval)


MANNERS = {
    "gauge": lambda observer, name, value: observer.gauge(name, value, unit="1"),
    "level": lambda observer, name, value: observer.level(name, value, unit="1"),
    "total": lambda observer, name, value: observer.total(name, value, unit="1"),
    "total_since_start": lambda observer, name, value: observer.total(
        name, value, unit="1", since_start=True
    ),
}
NUMBERS = st.sampled_from([0, 1, 2.5, 7, -3, 1e308, float("inf"), float("nan")])


def told(harvest):
    """All that was said, in any order."""
    names = [one.name for one in harvest.series]

    def by_name(ids, values):
        return sorted(zip((names[n] for n in ids), values, strict=True))

    return (
        by_name(harvest.sum_ids, harvest.sum_values),
        by_name(harvest.gauge_ids, harvest.gauge_values),
        list(harvest.sum_counts) + list(harvest.gauge_counts),
        harvest.losses,
    )


@settings(max_examples=40)
@given(
    st.sampled_from(sorted(MANNERS)),
    st.lists(st.lists(NUMBERS, min_size=2, max_size=2), min_size=1, max_size=4),
    st.sampled_from([list, tuple]),
)
def test_what_is_said_together_is_what_would_be_said_one_by_one(manner, rows, shape):
    together, apart = Observer(), Observer()
    readings = Readings(manner, [("a", None, "1"), ("b", None, "1")])
    for row in rows:
        together.say(readings, shape(row))
        for name, value in zip("ab", row, strict=True):
            MANNERS[manner](apart, name, value)

        assert told(apart.harvest()) == told(together.harvest())


@pytest.mark.parametrize("values", [[], [1], [1, 2, 3]])
def test_values_that_do_not_fit_their_series_are_refused_and_nothing_is_said(values):
    observer = Observer()
    readings = Readings("gauge", [("a", None, ""), ("b", None, "")])

    with pytest.raises(ValueError, match=r"values for 2 series"):
        observer.say(readings, values)
    assert not observer.harvest()


def test_a_series_may_be_said_alone_between():
    observer = Observer()
    readings = Readings("total", [("a", None, "")])
    observer.say(readings, (5,))
    observer.total("a", 7)
    observer.say(readings, (5,))  # below the last: its owner began anew

    assert [0.0, 2.0, 5.0] == list(observer.harvest().sum_values)


@settings(max_examples=40)
@given(
    st.sampled_from(["level", "total", "total_since_start"]),
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "ab", "ba"]),
            st.lists(NUMBERS, min_size=2, max_size=2),
        ),
        max_size=6,
    ),
)
def test_together_and_alone_in_any_order_say_the_same(manner, turns):
    mixed, apart = Observer(), Observer()
    readings = {
        names: Readings(manner, [(name, None, "1") for name in names])
        for names in ("ab", "ba")
    }
    for names, values in turns:
        if names in readings:
            mixed.say(readings[names], values)
        else:
            MANNERS[manner](mixed, names, values[0])
        for name, value in zip(names, values, strict=False):
            MANNERS[manner](apart, name, value)

        assert told(apart.harvest()) == told(mixed.harvest())


def test_readings_of_nothing_say_nothing():
    observer, readings = Observer(), Readings("level", [])
    observer.say(readings, [])
    observer.say(readings, [])

    assert not observer.harvest()


def test_a_list_that_is_filled_anew_is_read_anew():
    observer = Observer()
    readings, values = Readings("level", [("a", None, "")]), [5]
    observer.say(readings, values)
    values[0] = 7
    observer.say(readings, values)

    assert [5.0, 2.0] == list(observer.harvest().sum_values)
