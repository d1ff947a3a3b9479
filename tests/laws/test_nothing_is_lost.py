"""What was recorded arrives, once, whoever dies and whatever is down."""

import signal

import pytest

pytestmark = pytest.mark.e2e

RECORD = """
import sys, probekit
probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]], interval_s=1)

@probekit.probe
def work(n):
    return n

for n in range(10_000):
    work(n)
    probekit.count("shop.orders")
"""

RESTART = """
import sys, probekit
probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]], interval_s=1)
print(probekit.flush(timeout_s=20))
"""


@pytest.mark.row("P6")
def test_calls_counted_while_the_receiver_is_down_arrive_once_after_a_restart(
    program,
    receiver,
):
    """The receiver was never there; the process ended normally; nothing is lost."""
    program.run(RECORD, receiver.url)
    receiver.start()
    out = program.run(RESTART, receiver.url)
    program.run(RESTART, receiver.url)

    assert out.split() == ["True"]
    assert receiver.total("probekit.function.duration") == 10_000
    assert receiver.total("shop.orders") == 10_000
    assert not receiver.repeated()
    assert program.sql(
        "SELECT name, count FROM series WHERE name='probekit.function.duration'",
    ) == [("probekit.function.duration", 10_000)]


@pytest.mark.row("P1")
def test_a_durable_event_survives_sigkill(program, receiver):
    """It is on disk before the call returns."""
    process = program.start(
        """
        import os, signal, sys, probekit
        probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]])
        probekit.event("order.refunded", {"order.id": "A1", "n": 7, "ok": True},
                       durable=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        receiver.url,
    )
    process.communicate(timeout=20)
    receiver.start()
    program.run(RESTART, receiver.url)
    events = receiver.events("order.refunded")

    assert process.returncode == -signal.SIGKILL
    assert len(events) == 1
    values = {a.key: a.value for a in events[0].attributes}
    assert values["order.id"].string_value == "A1"
    assert values["n"].int_value == 7
    assert values["ok"].bool_value is True


@pytest.mark.row("P5")
def test_an_outage_in_the_middle_loses_and_repeats_nothing(
    program,
    receiver,
    eventually,
):
    """Receiver up, down for a while, up again, all within one process."""
    receiver.start()
    process = program.start(
        """
        import sys, time, probekit
        probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]],
                           interval_s=0.5)
        for second in range(8):
            for n in range(100):
                probekit.count("shop.orders")
            time.sleep(0.5)
        print(probekit.flush(timeout_s=20))
        """,
        receiver.url,
    )
    assert eventually(lambda: receiver.total("shop.orders") > 0)
    receiver.stop()
    assert eventually(lambda: receiver.total("shop.orders") < 800, 1.5)
    receiver.start()
    out, err = process.communicate(timeout=40)

    assert out.split() == ["True"], err
    assert receiver.total("shop.orders") == 800
    assert not receiver.repeated()


def test_a_dead_backend_does_not_delay_another(program, receiver):
    """Each exporter has a cursor of its own."""
    receiver.start()
    out = program.run(
        """
        import sys, time, probekit
        probekit.configure("shop", buffer=sys.argv[1], interval_s=0.5,
                           exporters=["otlp://127.0.0.1:1", sys.argv[2]])
        probekit.counter("shop.orders").add(5)
        print(probekit.flush(timeout_s=3))
        """,
        receiver.url,
    )

    assert out.split() == ["False"]
    assert receiver.total("shop.orders") == 5


@pytest.mark.row("P8")
def test_children_of_multiprocessing_lose_nothing_at_a_normal_end(program, receiver):
    """They skip atexit; their records arrive all the same."""
    receiver.start()
    out = program.run(
        """
        import multiprocessing, sys, probekit

        def child(n):
            for _ in range(100):
                probekit.count("shop.orders")

        def main():
            probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]],
                               interval_s=0.5)
            probekit.count("shop.orders", 7)
            context = multiprocessing.get_context("fork")
            children = [context.Process(target=child, args=(n,)) for n in range(4)]
            for c in children: c.start()
            for c in children: c.join()
            print(probekit.flush(timeout_s=20))

        if __name__ == "__main__":
            main()
        """,
        receiver.url,
        PYTHONWARNINGS="ignore",
    )

    assert out.split() == ["True"]
    assert receiver.total("shop.orders") == 407


def test_without_any_flush_data_arrives_soon_after_its_window_closed(
    program,
    receiver,
    eventually,
):
    """Nobody has to call flush."""
    receiver.start()
    process = program.start(
        """
        import sys, time, probekit
        probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]],
                           interval_s=1)
        probekit.count("shop.orders", 3)
        time.sleep(30)
        """,
        receiver.url,
    )
    try:
        assert eventually(lambda: receiver.total("shop.orders") == 3, 8)
    finally:
        process.kill()
        process.communicate()


def test_recording_before_configure_is_held(program, receiver):
    """Decorated functions run while the application is still starting."""
    receiver.start()
    program.run(
        """
        import sys, probekit

        @probekit.probe
        def early():
            probekit.count("shop.early")

        for _ in range(50_000):
            early()
        probekit.event("app.starting")
        probekit.configure("shop", buffer=sys.argv[1], exporters=[sys.argv[2]])
        assert probekit.flush(timeout_s=20)
        """,
        receiver.url,
    )

    assert receiver.total("shop.early") == 50_000
    assert receiver.total("probekit.function.duration") == 50_000
    assert len(receiver.events("app.starting")) == 1
