"""Laws of the observer: what is becomes what changed."""

import math
import sys
import threading

from probekit.model import Series
from probekit.observer import Observer, SeriesTable


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
