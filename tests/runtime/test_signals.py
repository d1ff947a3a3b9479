"""A signal while probekit is configured, flushed or shut down: nothing gets stuck.

Its handler may do anything an application's does: record, configure probekit, end it,
or set a limit by raising.
"""

import random
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

TESTS = Path(__file__).parents[1]

# Every place would take minutes: each run looks at others.
LAW = """
import random, threading
sys.path.append(sys.argv[3])
from cuts import Cut, Late, late
interrupted, buffer, step = sys.argv[4], sys.argv[5] or BUFFER, int(sys.argv[6])
random.seed(int(sys.argv[7]))
recorded = 0

def begin():
    configure(buffer=buffer)

def record():
    global recorded
    recorded += 1
    probekit.count("shop.orders")
    probekit.event("paid", {"number": recorded}, durable=True)

HANDLERS = {"record": record, "begin": begin, "end": lambda: probekit.shutdown(5)}
if buffer == BUFFER:  # what waits in memory goes with an interrupted start
    HANDLERS["raise"] = late

for name, handler in HANDLERS.items():
    came, number = True, 0
    while came:
        number += random.randrange(1, 2 * step) if step > 1 else 1
        probekit.shutdown(5) if interrupted == "begin" else begin()
        record()
        cut = Cut(number, handler)
        try:
            with cut:
                {"begin": begin, "end": HANDLERS["end"], "flush": probekit.flush}[
                    interrupted]()
        except Late:
            pass
        came = cut.came
    begin()
    print(name, probekit.flush(10), probekit.shutdown(10), threading.active_count())
print("recorded", recorded)
"""


@pytest.mark.parametrize("buffer", ["", ":memory:"], ids=["file", "memory"])
@pytest.mark.parametrize("interrupted, step", [("begin", 60), ("end", 3), ("flush", 1)])
def test_whatever_a_handler_does_all_arrives_once_and_nothing_stays(
    stage, interrupted, step, buffer
):
    seed = random.randrange(1_000_000)
    out = stage.run(LAW, TESTS, interrupted, buffer, step, seed)
    *ends, recorded = out.splitlines()
    numbers = [line["number"] for line in stage.lines() if line["name"] == "paid"]

    assert {end.split(" ", 1)[1] for end in ends} == {"True True 1"}, seed
    assert len(ends) >= 3
    assert sorted(numbers) == list(range(1, int(recorded.split()[1]) + 1)), seed
    assert stage.totals()["shop.orders"] == len(numbers)


def test_an_impatient_second_signal_does_not_hold_up_the_end(stage):
    """What deployments send: terminate, and once more."""
    process = stage.start(
        """
        from probekit.exporters.file import File

        def end(*_):
            probekit.shutdown(10)
            raise SystemExit(3)

        class Slow(File):
            def send(self, batch):
                print("sends", flush=True)
                time.sleep(0.5)
                super().send(batch)

        signal.signal(signal.SIGTERM, end)
        configure(exporters=[Slow(SINK[7:])])
        probekit.count("shop.orders")
        print("ready", flush=True)
        signal.pause()
        """,
    )
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.stdout.readline() == "sends\n"
    process.terminate()

    process.communicate(timeout=20)
    assert process.returncode == 3
    assert stage.totals()["shop.orders"] == 1


def test_an_end_in_the_midst_of_a_durable_event_costs_no_other_record(stage):
    """The pump meets the interrupted write, and nobody else has what it holds."""
    stage.run(
        """
        import threading
        write = os.write

        def end(*_):
            probekit.shutdown(0.2)
            raise SystemExit(3)

        def interrupted(*given):
            if threading.current_thread() is threading.main_thread():
                os.write = write
                os.kill(os.getpid(), signal.SIGTERM)
            return write(*given)

        signal.signal(signal.SIGTERM, end)
        configure()
        for number in range(5):
            probekit.event("paid", {"number": number})
        os.write = interrupted
        probekit.event("cut", durable=True)
        """,
        code=3,
    )
    stage.deliver()

    paid = [line["number"] for line in stage.lines() if line["name"] == "paid"]
    assert sorted(paid) == list(range(5))


def test_a_process_that_is_ended_while_it_configures_keeps_what_it_has_recorded(stage):
    stage.run(
        """
        probekit.event("paid", {"number": 1})

        def opened(database):
            raise SystemExit(3)

        from probekit.buffer.database import Database
        Database.open = opened
        configure()
        """,
        code=3,
    )
    stage.deliver()

    assert [line["number"] for line in stage.lines() if line["name"] == "paid"] == [1]


def test_a_flush_ends_when_another_thread_has_shut_down(stage):
    """Its receiver is down, and nobody will try again."""
    out = stage.run(
        """
        import threading
        configure(exporters=["tcp://127.0.0.1:9"])
        probekit.count("shop.orders")
        answers = []
        waits = threading.Thread(target=lambda: answers.append(probekit.flush(600)))
        waits.start()
        time.sleep(0.3)
        probekit.shutdown(0.1)
        waits.join(30)
        print(answers)
        """
    )

    assert out == "[False]\n"
