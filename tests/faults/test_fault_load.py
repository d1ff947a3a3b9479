"""Rows R1 to R3: labels without end, storms of records and errors, and recursion."""

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.faults]

GROWTH_MB = 16
SERIES_MB = 40  # of 10,000, recorded, folded and shipped by one process

WEIGHED = """
import ctypes, gc, json
libc = ctypes.CDLL(None)

def rss_mb():
    gc.collect()
    libc.malloc_trim(0)
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

configure()
operation(0)
assert probekit.flush(20)
before_mb = rss_mb()
"""

LABELS = (
    WEIGHED
    + r"""
labels = probekit.counter("labels")
values = probekit.histogram("values")
taken = refused = 0
names = ["\x00", "\ud800", "\u202eabc", "\U0001f600", "x" * 1000, "a\nb", "'; DROP--"]
for n in range(100_000):
    labels.add(1, {"user": f"u{n}"})
for n, name in enumerate(names):
    labels.add(1, {"name": name, name: "y" * (1 << 20)})
    try:
        probekit.counter(f"odd.{n}.{name}"[:190]).add(1)
        taken += 1
    except probekit.BadName:  # here, where it is named, and nowhere later
        refused += 1
    probekit.event("odd", {"op.id": f"x:{n}", name: name})
for value in (float("nan"), float("inf"), -float("inf"), 2.0**80, 2**80, 1e-300):
    values.record(value)
grown_mb = rss_mb() - before_mb
say(probekit.flush(20), round(grown_mb, 1))
check_books()
snapshot = probekit.status()
say(snapshot.dropped["metrics"].get("invalid", 0))
say(taken + refused == len(names), refused > 0)
"""
)


@pytest.mark.row("R1")
def test_a_hundred_thousand_labels_cost_no_memory_and_no_count(scene, ledger, measured):
    """R1: those beyond the limit add up; odd texts arrive or are booked."""
    ledger.start()
    said, invalid, names = scene.run(LABELS)
    flushed, grown_mb = said.split()

    assert "True" == flushed
    assert float(grown_mb) <= GROWTH_MB
    assert "True True" == names
    # Not a number and the two infinities: refused and counted. The rest is kept.
    assert 3 == int(invalid)
    total, overflow, kept = scene.rows(
        "SELECT sum(sum), sum(sum) FILTER (WHERE attributes LIKE '%overflow%'), "
        "count(*) FROM series WHERE name = 'labels'"
    )[0]
    assert 100_007 == total
    assert kept <= 2_001  # the limit, and the overflow
    assert set(range(7)) == ledger.ids("odd", "x")
    measured(
        f"100,007 label sets: {kept} series, {overflow:,.0f} in the overflow series, "
        f"sum exact; {grown_mb} MB more; 3 of 6 odd values refused and counted"
    )


MANY = (
    WEIGHED
    + """
many = [probekit.counter(f"many.{n}") for n in range(50)]
for n in range(20_000):
    many[n % 50].add(1, {"user": f"u{n}"})
first = many[0].bind({"user": "u0"})
first.add(1)  # a series that exists stays
grown_mb = rss_mb() - before_mb
say(probekit.flush(20), round(grown_mb, 1), round(rss_mb() - before_mb, 1))
check_books()
"""
)


@pytest.mark.row("R1")
def test_many_metrics_with_labels_without_end_make_ten_thousand_series(
    scene, ledger, measured
):
    """R1: each below its own limit; beyond the process's, each has its overflow."""
    ledger.start()
    (said,) = scene.run(MANY)
    flushed, recorded_mb, grown_mb = said.split()

    assert "True" == flushed
    series, total, overflows, overflow = scene.rows(
        "SELECT count(*), sum(sum), "
        "count(*) FILTER (WHERE attributes LIKE '%overflow%'), "
        "sum(sum) FILTER (WHERE attributes LIKE '%overflow%') "
        "FROM series WHERE name LIKE 'many.%'"
    )[0]
    # operation() has taken one of the ten thousand.
    assert (9_999 + 50, 20_001, 50) == (series, total, overflows)
    assert 20_000 - 9_999 == overflow
    assert [(2,)] == scene.rows(
        "SELECT sum FROM series WHERE name = 'many.0' AND attributes LIKE '%\"u0\"%'"
    )
    assert float(grown_mb) <= SERIES_MB
    measured(
        f"50 metrics, 20,000 label sets: 10,000 series and 50 overflow series, sum "
        f"exact; {recorded_mb} MB more once recorded, {grown_mb} MB with the buffer's "
        "and the exporter's part of each series"
    )


STORM = (
    WEIGHED
    + """
THREADS, RECORDS, ERRORS = 32, int(sys.argv[5]), int(sys.argv[6])
storm = probekit.counter("storm").bind({"kind": "x"})

@probekit.probe
def fails(n):
    huge = ["x" * 1000] * 100
    raise ValueError("storm " + str(n))

def blow(which):
    for n in range(RECORDS):
        storm.add(1)
    for n in range(ERRORS):
        try:
            fails(n)
        except ValueError:
            pass

begin = time.perf_counter()
threads = [threading.Thread(target=blow, args=(w,)) for w in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
took = time.perf_counter() - begin
peak_mb = rss_mb() - before_mb
flushed = probekit.flush(20)
each_s = int(THREADS * (RECORDS + ERRORS) / took)
say(flushed, round(rss_mb() - before_mb, 1), round(peak_mb, 1), each_s)
check_books()
"""
)


@pytest.mark.row("R2")
def test_a_storm_of_records_and_errors_is_counted_exactly(
    scene, ledger, long_run, measured
):
    """R2: 32 threads as fast as they can; one entry a fingerprint, no locals kept."""
    ledger.start()
    records, errors = (100_000, 10_000) if long_run else (8_000, 400)
    # The C library keeps a heap for each of the host's threads: not what is looked for.
    one_heap = {"MALLOC_ARENA_MAX": "1"}
    (said,) = scene.run(STORM, records, errors, environment=one_heap, timeout_s=120)
    flushed, grown_mb, peak_mb, each_s = said.split()

    assert "True" == flushed
    assert float(grown_mb) <= GROWTH_MB
    assert [(32 * records,)] == scene.rows(
        "SELECT sum FROM series WHERE name = 'storm'"
    )
    problems = scene.rows("SELECT count FROM problem WHERE type LIKE '%ValueError'")
    assert [(32 * errors,)] == problems
    measured(
        f"32 threads, {int(each_s):,} a second: {32 * records:,} records and "
        f"{32 * errors:,} errors counted exactly; {peak_mb} MB more at its end, "
        f"{grown_mb} MB once flushed"
    )


@pytest.mark.row("R3")
def test_a_log_handler_that_records_and_a_client_that_is_timed_do_not_recur(
    scene, ledger, measured
):
    """R3: our lines, our traffic and our errors make no records about themselves."""
    ledger.start()
    scene.run(
        """
        import logging, http.client
        class Recording(logging.Handler):
            def emit(self, record):
                probekit.event("logged", {"text": record.getMessage()})
                probekit.count("logged")
        handler = Recording()
        logging.getLogger().addHandler(handler)
        probekit.instrument("http.client")
        probekit.instrument_libraries()
        configure(exporters=[SINK, "otlp://127.0.0.1:1"])  # one that always fails
        for n in range(50):
            operation(n)
            logging.getLogger("host").warning("a line of the host")
        for turn in range(4):
            probekit.flush(0.3)
        say(probekit.status().recorded["events"] < 1_000)
        """
    )
    found = scene.rows("SELECT count(*) FROM series WHERE name LIKE 'http.client%'")
    assert [(0,)] == found
    assert set(range(50)) == ledger.ids("plain", "w0")
    assert not [each for each in ledger.doubled() if each[0] == "plain"]
    measured(
        "a handler that records and logs, a timed client: no record about ourselves"
    )
