"""Rows P4, P7, P12, P13, N13: odd ends, forks without number, sleep, and a fleet."""

import os
import signal
import sqlite3
import time

import pytest
from faultscene import BLOCK, ENDLESS, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.faults]


ENDS = {
    "os._exit(3)": 3,
    "os.abort()": -signal.SIGABRT,
    'os.execv("/bin/sh", ["sh", "-c", "exit 4"])': 4,
}


@pytest.mark.row("P4")
def test_an_end_that_runs_no_exit_hooks_costs_at_most_the_last_moment(scene, ledger):
    """P4: what was written before is delivered by the next; durable ones always."""
    ledger.start()
    for end, code in ENDS.items():
        scene.run(
            f"""
            configure(shipper="external")
            for n in range({BLOCK}):
                operation(n)
            probekit.flush(0)
            for n in range({BLOCK}, {2 * BLOCK}):
                operation(n, durable=n % 2 == 0)
            {end}
            """,
            code=code,
        )
    assert scene.deliver()

    for who in scene.whos[: len(ENDS)]:
        truth, plain = scene.truth(who), ledger.ids("plain", who)
        assert truth.durable == ledger.ids("durable", who)
        assert set(range(BLOCK)) <= plain <= truth.plain()
        assert BLOCK == scene.blocks(who)[0]
    assert not ledger.doubled()


@pytest.mark.row("P7")
@pytest.mark.timeout(900)
def test_forks_without_number_neither_hang_nor_repeat(
    scene, ledger, long_run, measured
):
    """P7: 50 (long: 1,000) while four threads record; every other child just exits."""
    ledger.start()
    forks = 1_000 if long_run else 50
    said = scene.run(
        """
        forks = int(sys.argv[5])
        configure()
        stop = threading.Event()
        def load(first):
            n = first
            while not stop.is_set():
                operation(n)
                n += 1
                if n % 3 == 0:
                    time.sleep(0.001)
                if n % 6_000 == 0:  # the end of its numbers
                    stop.wait()
        threads = [threading.Thread(target=load, args=(first,))
                   for first in range(0, 24_000, 6_000)]
        for thread in threads:
            thread.start()
        hung = 0
        for child in range(forks):
            pid = os.fork()
            if pid == 0:
                # Each in a block of its own.
                operation(24_000 + 40 * child, durable=True)
                if child % 2:
                    sys.exit(0)
                os._exit(0)
            end = time.monotonic() + 10
            while os.waitpid(pid, os.WNOHANG) == (0, 0):
                if time.monotonic() > end:
                    hung += 1
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                    break
                time.sleep(0.001)
        stop.set()
        for thread in threads:
            thread.join()
        say(hung, probekit.flush(30))
        """,
        forks,
        timeout_s=800,
    )
    truth = scene.truth("w0")

    assert ["0 True"] == said
    assert forks == len(truth.durable)
    assert truth.durable == ledger.ids("durable", "w0")
    assert truth.plain() == ledger.ids("plain", "w0")
    assert not ledger.doubled()
    assert 0 == ledger.repeats
    measured(
        f"{forks:,} forks while four threads record {len(truth.plain()):,} events: "
        "hung 0, lost 0, repeated 0"
    )


@pytest.mark.row("P12")
@pytest.mark.timeout(200)
def test_a_stopped_and_continued_process_goes_on_as_if_it_had_not_been(
    scene, ledger, long_run, measured
):
    """P12: no storm of requests, no window without length, nothing lost."""
    ledger.start()
    process = scene.start(
        ENDLESS.replace("60_000", "1_500") + "say(probekit.flush(20))"
    )
    assert process.stdout.readline() == "» ready\n"
    assert wait_until(lambda: ledger.ids("plain", process.who))
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    ledger.stop()
    frozen_ns = time.time_ns()
    time.sleep(60 if long_run else 2)
    thawed_ns = time.time_ns()
    ledger.start()
    before = len(ledger.bodies)
    process.send_signal(signal.SIGCONT)
    time.sleep(1)
    # Windows of half a second: metrics and events of three, and what had waited.
    requests = len(ledger.bodies) - before
    assert requests <= 12

    assert scene.finish(process, timeout_s=60) == ["True"]
    scene.expect_all(process.who)
    assert 0 == ledger.repeats
    connection = sqlite3.connect(scene.buffer)
    windows = connection.execute(
        "SELECT start_unix_ns, end_unix_ns FROM window ORDER BY id"
    ).fetchall()
    connection.close()
    # The window that was open holds what came before the sleep and what came after.
    over = [w for w in windows if w[0] <= frozen_ns and w[1] >= thawed_ns]
    assert [] == [w for w in windows if w[0] >= w[1]]
    assert len(over) <= 1
    measured(
        f"frozen for {(thawed_ns - frozen_ns) / 1e9:.0f} s: {requests} requests in the "
        "first second after it; lost 0, twice 0"
    )


@pytest.mark.row("P13")
def test_records_of_the_interpreters_last_moments_disturb_nothing(scene, ledger):
    """P13: finalizers, exit hooks before and after ours, threads that go on."""
    ledger.start()
    scene.run(
        """
        import atexit, gc
        class Late:
            def __init__(self, n):
                self.n = n
                self.me = self
            def __del__(self):
                operation(self.n)
        @probekit.probe
        def call():
            pass
        def daemon():
            while True:
                call()
                time.sleep(0.0001)
        atexit.register(operation, 0)  # runs after ours
        configure()
        atexit.register(operation, 1)  # before it
        threading.Thread(target=daemon, daemon=True).start()
        operation(2)
        late = Late(3)                 # dies with its module
        sys.late = Late(4)             # with the interpreter
        """
    )
    assert scene.deliver()
    found, finished = ledger.ids("plain", "w0"), scene.truth("w0").finished

    assert {1, 2} <= found <= set(finished)
    assert {0, 1, 2} <= set(finished), "an exit hook of the host did not run to its end"
    assert not ledger.doubled()


@pytest.mark.row("P13")
def test_a_program_that_begins_with_us_when_it_ends_works(scene, ledger):
    """P13: configured inside an exit hook, where no thread may be started any more."""
    ledger.start()
    scene.run(
        """
        import atexit
        @atexit.register
        def last():
            configure()
            operation(0, durable=True)
            operation(1)
            say("done")
        """
    )
    assert scene.deliver()

    assert {0} == ledger.ids("durable", "w0")
    assert not ledger.doubled()


@pytest.mark.row("N13")
def test_a_fleet_that_comes_back_at_the_same_moment_is_counted_once(scene, ledger):
    """N13: twelve processes over one buffer wait for one receiver."""
    process = scene.start(
        """
        configure()
        pids = []
        for child in range(12):
            pid = os.fork()
            if pid == 0:
                for n in range(200 * child, 200 * child + 150):
                    operation(n)
                go = os.path.join(FOLDER, "go")
                wait_for(lambda: os.path.exists(go), 30)
                os._exit(0 if probekit.flush(30) else 1)
            pids.append(pid)
        say("waiting")
        codes = {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids}
        say(codes)
        """
    )
    assert process.stdout.readline() == "» waiting\n"
    time.sleep(1)
    ledger.start()
    (scene.folder / "go").touch()

    assert ["{0}"] == scene.finish(process, timeout_s=60)
    scene.expect_all(process.who)
    assert 0 == ledger.repeats
