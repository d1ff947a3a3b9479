"""Rows D3, D5 to D8: a disk that hangs, pages torn while in use, locks and readers."""

import os
import random
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass

import pytest
from faultscene import wait_until
from faultshim import under
from stalls import beside

pytestmark = [pytest.mark.e2e, pytest.mark.faults]

LONG = os.environ.get("PROBEKIT_FAULTS") == "long"
LATE_MS = 250
EXIT_S = 3.0  # two, and the noise of a busy machine
LOCKED_S = 60 if LONG else 2
STALL_S = 0.005  # of the event loop by our doing

TIMED = """
import asyncio
from time import perf_counter
configure()

@probekit.probe
def call():
    pass

calls, records, stalls = [], [], []

def timed(record, times):
    def timing(*args, **kwargs):
        before = perf_counter()
        record(*args, **kwargs)
        times.append(perf_counter() - before)
    return timing

class Ops:
    add = staticmethod(timed(_ops.add, records))

_ops = Ops
probekit.event = timed(probekit.event, records)
call = timed(call, calls)

async def beat():
    while True:
        before = perf_counter()
        await asyncio.sleep(0.005)
        stalls.append(perf_counter() - before - 0.005)

async def work(first, last):
    beating = asyncio.create_task(beat())
    for n in range(first, last):
        operation(n)
        for _ in range(4):
            call()
        await asyncio.sleep(0.004)
    beating.cancel()

def say_times():
    "Microseconds, 99 % and the longest: calls, counts and events, the loop's stalls."
    said = []
    for times in (calls, records, stalls):
        times.sort()
        said += [int(1e6 * times[len(times) * 99 // 100]), int(1e6 * times[-1])]
        times.clear()
    say(*said)

asyncio.run(work(0, 125))
say_times()  # with a disk that works
assert probekit.flush(20)
open(os.environ.get("FAULTIO_ARMED", os.devnull), "w").close()
say("armed")
rounds, late = [], []
for first in range(125, 375, 50):  # each takes longer than from one flush to the next
    began_s = time.monotonic()
    asyncio.run(work(first, first + 50))
    rounds.append((began_s, time.monotonic(), sorted(stalls)[len(stalls) * 99 // 100]))
    late += stalls
    stalls.clear()
stalls += late
say_times()
say(*(word for each in rounds for word in each))
"""


def rounds_of(line):
    """(began, ended, 99 % of the loop's wake-ups late at most), seconds."""
    words = [float(word) for word in line.split()]
    return list(zip(words[::3], words[1::3], words[2::3], strict=True))


@dataclass(frozen=True)
class Times:
    """What `TIMED` measured, in microseconds.

    Attributes:
        call_p99: What 99 % of the calls of a decorated function stayed below.
        call_max: The longest call.
        record_p99: What 99 % of the counts and events with attributes stayed below.
        record_max: The longest of them.
        stall_p99: What 99 % of the event loop's wake-ups were late at most.
        stall_max: The longest stall.
    """

    call_p99: int
    call_max: int
    record_p99: int
    record_max: int
    stall_p99: int
    stall_max: int

    @classmethod
    def read(cls, line):
        return cls(*map(int, line.split()))

    def __str__(self):
        return (
            f"call p99 {self.call_p99} µs, event p99 {self.record_p99} µs, "
            f"longest {max(self.call_max, self.record_max) / 1000:.1f} ms; "
            f"loop late p99 {self.stall_p99 / 1000:.1f} ms, "
            f"longest {self.stall_max / 1000:.1f} ms"
        )


@pytest.mark.row("D3")
def test_a_disk_that_hangs_holds_neither_a_call_nor_the_event_loop(
    scene, ledger, shim, measured
):
    """D3: each write and fsync comes late; only threads of ours wait for it."""
    ledger.start()
    environment = under(
        shim, -LATE_MS, armed=scene.folder / "armed", at=1, times=0, calls="wps"
    )
    program = TIMED + "operation(375)\nsay(time.monotonic())"
    with beside() as control:
        process = scene.start(program, environment=environment)
        well, _, said, rounds, ends_s = scene.finish(process)
        exit_s = time.monotonic() - float(ends_s)
    well, times = Times.read(well), Times.read(said)
    excess_s = control.excess_s(rounds_of(rounds))
    measured(
        f"each write {LATE_MS} ms late: {times} (disk well: {well}); loop's p99 by our "
        f"doing {1000 * excess_s:.1f} ms; exit {exit_s:.1f} s"
    )

    # Had one of them waited for one single write, it were more.
    assert max(times.call_max, times.record_max, times.stall_max) < LATE_MS * 1000 / 2
    assert times.call_p99 <= 50
    assert excess_s <= STALL_S
    assert exit_s <= EXIT_S
    assert scene.deliver()
    scene.expect_all(process.who)
    assert 0 == scene.lost("events") == scene.lost("metrics")


@pytest.mark.row("D3")
def test_a_disk_that_hangs_for_long_does_not_hold_the_exit(scene, ledger, shim):
    """D3: each write takes five seconds; what was recorded before the fault arrives."""
    ledger.start()
    scene.books_expected = False  # what the hanging disk did not take has no number
    environment = under(
        shim, -5_000, armed=scene.folder / "armed", at=1, times=0, calls="wps"
    )
    process = scene.start(
        """
        configure()
        for n in range(20):
            operation(n)
        assert probekit.flush(20)
        open(os.environ["FAULTIO_ARMED"], "w").close()
        for n in range(20, 60):
            operation(n)
            time.sleep(0.01)
        say(time.monotonic())
        """,
        environment=environment,
    )
    (ends_s,) = scene.finish(process, timeout_s=60)

    assert time.monotonic() - float(ends_s) <= EXIT_S
    assert scene.deliver()
    assert set(range(20)) <= ledger.ids("plain", process.who) <= set(range(60))
    assert not ledger.doubled()


@pytest.mark.row("D7")
def test_a_buffer_locked_by_a_foreign_tool_holds_nobody_up(scene, ledger, measured):
    """D7: `BEGIN EXCLUSIVE` in another process, for as long as it likes."""
    ledger.start()
    with beside() as control:
        process = scene.start(
            TIMED + "say(wait_for(lambda: probekit.flush(1), 90))\ncheck_books()"
        )
        well = Times.read(process.stdout.readline()[2:])
        assert process.stdout.readline() == "» armed\n"
        with closing(sqlite3.connect(scene.buffer, isolation_level=None)) as tool:
            tool.execute("PRAGMA busy_timeout = 5000")
            tool.execute("BEGIN EXCLUSIVE")
            time.sleep(LOCKED_S)  # the fault itself
            tool.execute("ROLLBACK")
        said, rounds, delivered = scene.finish(process, timeout_s=100)
    times = Times.read(said)
    excess_s = control.excess_s(rounds_of(rounds))
    measured(
        f"locked for {LOCKED_S} s: {times} (not locked: {well}); loop's p99 by our "
        f"doing {1000 * excess_s:.1f} ms"
    )

    assert "True" == delivered
    assert max(times.call_max, times.record_max, times.stall_max) < 500_000
    assert times.call_p99 <= 50
    assert excess_s <= STALL_S
    scene.expect_all(process.who)
    assert 0 == scene.lost("events") == scene.lost("metrics")


@pytest.mark.row("D8")
def test_the_log_shrinks_once_a_long_reader_has_left(scene, ledger):
    """D8: the reader keeps the log growing; the application loses nothing by it."""
    ledger.start()
    process = scene.start(
        """
        configure()
        operation(0)
        assert probekit.flush(20)
        say("ready")
        for n in range(1, 600):
            operation(n, pad="x" * 4000)
            time.sleep(0.004)
        say(wait_for(lambda: probekit.flush(2), 20))
        sys.stdin.close()
        end = time.monotonic() + 10
        while os.path.getsize(BUFFER + "-wal") > 1 << 20 and time.monotonic() < end:
            operation(600)
            probekit.flush(1)
        say(os.path.getsize(BUFFER + "-wal") <= 1 << 20)
        """
    )
    assert process.stdout.readline() == "» ready\n"
    log = scene.buffer.with_name("buffer.db-wal")
    with closing(sqlite3.connect(scene.buffer, isolation_level=None)) as viewer:
        viewer.execute("BEGIN")
        viewer.execute("SELECT count(*) FROM event").fetchone()
        assert wait_until(lambda: log.stat().st_size > 1 << 20)
    assert scene.finish(process) == ["True", "True"]
    assert set(scene.truth(process.who).finished) == ledger.ids("plain", process.who)


@pytest.mark.row("D5")
@pytest.mark.parametrize("turn", range(20 if LONG else 2))
def test_pages_torn_under_a_running_process_cost_nothing_without_a_number(
    scene, ledger, rng, turn
):
    """D5: what the receiver lacks is what the books call lost, and nothing is twice."""
    ledger.start()
    process = scene.start(
        """
        configure()
        for n in range(600):
            operation(n, durable=n % 40 == 0)
            time.sleep(0.004)
        say("written")
        flushed = wait_for(lambda: probekit.flush(2), 20)
        check_books()
        dropped = probekit.status().dropped
        say(flushed, *(sum(dropped[of].values()) for of in ("events", "metrics")))
        """
    )
    scene.books_expected = False  # the last wound is there still: nobody has looked
    assert wait_until(scene.buffer.exists)
    chance = random.Random(rng.random() + turn)
    for _ in range(4):
        time.sleep(0.4)
        tear(scene.buffer, chance)
    _, said = scene.finish(process)
    flushed, events, metrics = said.split()
    truth = scene.truth(process.who)
    arrived = ledger.ids("plain", process.who) | ledger.ids("durable", process.who)

    assert not ledger.doubled()
    assert arrived <= set(truth.finished)
    assert "True" == flushed
    assert len(truth.finished) - len(arrived) <= int(events)
    counted = sum(scene.blocks(process.who).values())
    assert len(truth.finished) - counted <= int(metrics)


def tear(path, chance):
    """A page becomes zeros, noise, or another page."""
    try:
        with path.open("r+b") as file:
            pages = max(1, path.stat().st_size // 4096)
            file.seek(4096 * chance.randrange(pages))
            other = file.read(4096)
            file.seek(4096 * chance.randrange(pages))
            file.write(chance.choice([bytes(4096), chance.randbytes(4096), other]))
    except FileNotFoundError:  # being set aside at this moment
        return
