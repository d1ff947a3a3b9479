"""Row R4: hours of load leave nothing behind in memory."""

import json
import signal
import time

import pytest
from faultsoak import Tally, slope_per_hour

pytestmark = [pytest.mark.e2e, pytest.mark.faults, pytest.mark.alone]

SOAK = """
import gc, json
SECONDS, THREADS, FAILURES, EVENTS = map(int, sys.argv[5:9])
# A small cap: giving up the oldest belongs to the load from its first minutes on.
configure(interval_s=2, retention={"max_bytes": 8 << 20})
ops = probekit.counter("soak.ops")

@probekit.probe
def fails(n):
    local = "x" * 1000
    if n % 2:
        raise ValueError("soak")
    raise KeyError(n)

def short():
    ops.add(1)

def turn(n, done):
    "A hundredth of a second: its share of everything."
    for _ in range(EVENTS // 100):
        probekit.event("soak", {"n": done})
        ops.add(1)
        done += 1
    for each in range(FAILURES // 100):
        try:
            fails(each)
        except Exception:
            pass
    return done

def rss_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

say("begins")
begin = time.monotonic()
done = n = threads = 0
samples, objects, sampled = [], [], 0.0
while (now := time.monotonic() - begin) < SECONDS:
    done = turn(n, done)
    n += 1
    if threads < now * THREADS:
        thread = threading.Thread(target=short)
        thread.start()
        thread.join()
        threads += 1
    if now >= sampled:
        samples.append((now, rss_mb()))
        if n % 2:
            gc.collect()
        objects.append(len(gc.get_objects()))
        sampled += min(5, SECONDS / 10)
    time.sleep(max(0.0, begin + n / 100 - time.monotonic()))
say(json.dumps({"done": done, "threads": threads, "failures": n * (FAILURES // 100),
                "samples": samples, "objects": objects,
                "flushed": wait_for(lambda: probekit.flush(5), 60)}))
check_books()
"""


@pytest.fixture
def tally():
    """A receiver that stays small itself."""
    made = Tally().start()
    yield made
    made.stop()


def stop_for(process, seconds):
    """Let the machine be too busy for *process*: afterwards all comes at once."""
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.send_signal(signal.SIGCONT)


@pytest.mark.row("R4")
def test_a_soak_leaves_nothing_in_memory_and_loses_nothing(
    scene, tally, long_run, measured
):
    """15 min (short: 4 s) of events, threads that end, and calls that fail.

    The slope is that of the time after a warm-up, a quarter of the whole, and the
    warm-up holds a stop of the process (long: 8 s) and a receiver that is slow. What
    happened meanwhile is then taken in at once, and memory reaches its high water,
    some MB above that of a quiet machine: interpreters do not give all of it back. A
    second stop, of half the length, comes after the warm-up: it may add a last step,
    which is none of the slope, and the whole rise since the warm-up has a bound.
    """
    seconds, stopped_s = (900, 8.0) if long_run else (4, 0.2)
    # The C library keeps a heap for each of the host's threads: not what is looked for.
    one_heap = {"MALLOC_ARENA_MAX": "1"}
    process = scene.start(
        SOAK,
        *(seconds, 12, 1_300, 1_000),
        environment=one_heap,
        sink=tally.url,
    )
    assert process.stdout.readline() == "» begins\n"
    tally.delay_s = stopped_s / 2
    time.sleep(0.05 * seconds)
    stop_for(process, stopped_s)
    tally.delay_s = 0.0
    time.sleep(0.4 * seconds)
    stop_for(process, stopped_s / 2)
    (said,) = scene.finish(process, timeout_s=seconds + 90)
    found = json.loads(said)
    done, samples = found["done"], found["samples"]
    settled = [each for each in samples if each[0] >= 0.25 * seconds]
    slope = slope_per_hour(settled)
    rising = f"slope {slope:+.2f} MB/h; " if long_run else ""
    growth_mb = samples[-1][1] - settled[0][1]
    measured(
        f"{seconds} s: {done:,} events, {found['failures']:,} failing calls, "
        f"{found['threads']:,} threads, stopped for {stopped_s:g} s and "
        f"{stopped_s / 2:g} s; RSS {settled[0][1]:.1f} → "
        f"{samples[-1][1]:.1f} MB; "
        f"{rising}missing 0, twice 0"
    )

    assert found["flushed"]
    assert bytes([1]) * done == bytes(tally.seen[:done])
    assert 0 == sum(tally.seen[done:])
    assert done + found["threads"] == tally.counted
    assert growth_mb <= 16
    if long_run:
        assert growth_mb <= 1
        assert slope <= 1.0, samples
