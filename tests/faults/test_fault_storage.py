"""Rows D3, D5 to D8: a disk that hangs, pages torn while in use, locks and readers."""

import os
import random
import sqlite3
import time
from contextlib import closing

import pytest
from faultscene import wait_until
from faultshim import under

pytestmark = [pytest.mark.e2e, pytest.mark.faults]

LONG = os.environ.get("PROBEKIT_FAULTS") == "long"
LATE_MS = 250

TIMED = """
import asyncio
from time import perf_counter
configure()
operation(0)
assert probekit.flush(20)
open(os.environ.get("FAULTIO_ARMED", os.devnull), "w").close()
say("armed")
longest = stall = 0.0
async def beat():
    global stall
    while True:
        before = perf_counter()
        await asyncio.sleep(0.005)
        stall = max(stall, perf_counter() - before - 0.005)
async def work():
    global longest
    beating = asyncio.create_task(beat())
    for n in range(1, 250):
        before = perf_counter()
        operation(n)
        longest = max(longest, perf_counter() - before)
        await asyncio.sleep(0.004)
    beating.cancel()
asyncio.run(work())
say(int(1000 * longest), int(1000 * stall))
"""


@pytest.mark.row("D3")
def test_a_disk_that_hangs_holds_neither_a_call_nor_the_event_loop(scene, ledger, shim):
    """D3: each write and fsync comes late; only threads of ours wait for it."""
    ledger.start()
    environment = under(
        shim, -LATE_MS, armed=scene.folder / "armed", at=1, times=0, calls="wps"
    )
    process = scene.start(TIMED, environment=environment)
    _, said = scene.finish(process)
    longest_ms, stall_ms = map(int, said.split())

    assert longest_ms < LATE_MS / 2  # had it waited for one single write, it were more
    assert stall_ms < LATE_MS / 2
    assert scene.deliver()
    scene.expect_all(process.who)
    assert 0 == scene.lost("events") == scene.lost("metrics")


@pytest.mark.row("D7")
def test_a_buffer_locked_by_a_foreign_tool_holds_nobody_up(scene, ledger):
    """D7: `BEGIN EXCLUSIVE` in another process, for as long as it likes."""
    ledger.start()
    process = scene.start(
        TIMED + "say(wait_for(lambda: probekit.flush(1), 20))\ncheck_books()"
    )
    assert process.stdout.readline() == "» armed\n"
    with closing(sqlite3.connect(scene.buffer, isolation_level=None)) as tool:
        tool.execute("PRAGMA busy_timeout = 5000")
        tool.execute("BEGIN EXCLUSIVE")
        time.sleep(60 if LONG else 2)  # the fault itself
        tool.execute("ROLLBACK")
    said, delivered = scene.finish(process, timeout_s=100)
    longest_ms, stall_ms = map(int, said.split())

    assert "True" == delivered
    assert max(longest_ms, stall_ms) < 500
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
