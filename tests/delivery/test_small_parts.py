"""Laws of the small parts: names, the wait of flush, the fork's gate."""

import threading

import pytest

from probekit.buffer.progress import Progress
from probekit.delivery import fork
from probekit.delivery.identity import cursor_names
from probekit.runtime.waiting import wait_delivered


def test_a_cursor_is_named_alike_whatever_the_credentials():
    """A changed token must not deliver everything again."""
    first = cursor_names(["otlp://a:b@h:4318/x?token=1", "udp://h:1"])
    later = cursor_names(["otlp://c:d@h:4318/x?token=2&gzip=0", "udp://h:1"])

    assert ["otlp://h:4318/x", "udp://h:1"] == first == later


def test_equal_exporters_have_cursors_of_their_own(fakes):
    """Two of a kind are numbered."""
    assert (
        len(set(cursor_names([fakes.Exporter(), fakes.Exporter(), "tcp://h:1"]))) == 3
    )


def looks(*seen):
    """A look that sees one after the other, the last one for ever."""
    rest = list(seen)
    return lambda: rest.pop(0) if len(rest) > 1 else rest[0]


def progress(offset, last, passed, *names):
    return Progress(offset, {"metrics": last}, {"metrics": passed}, frozenset(names))


def wait(clock, look, names=frozenset({"x"}), timeout_s=1.0, is_over=lambda: False):
    def sleep(seconds):
        clock.now_s += seconds

    return wait_delivered(
        look,
        lambda progress: (progress.offset or 0) >= 10,
        names,
        nudge=lambda: None,
        timeout_s=timeout_s,
        is_over=is_over,
        clock=clock,
        sleep=sleep,
    )


def test_a_flush_ends_when_the_covering_window_is_passed(clock):
    """Not before the frame is committed, not before the cursor is there."""
    look = looks(
        None,
        progress(None, 3, 3, "x"),
        progress(10, 4, 3, "x"),
        progress(10, 4, 3, "x"),  # once more, now that the frame is seen committed
        progress(10, 5, 4, "x"),
        progress(10, 9, 4, "x"),
    )

    assert wait(clock, look) is True


def test_a_flush_looks_once_more_when_those_who_deliver_have_ended(clock):
    began_s, ends = clock.now_s, [False, False, True]
    delivered = progress(10, 4, 4, "x")

    assert wait(clock, lambda: delivered, is_over=lambda: True) is True
    assert wait(clock, lambda: None, is_over=lambda: ends.pop(0)) is False
    assert clock.now_s - began_s < 0.1
    assert ends == []


@pytest.mark.parametrize(
    "seen",
    [
        None,
        progress(9, 4, 4, "x"),
        progress(10, 4, 3, "x"),
        progress(10, 4, 4),
    ],
)
def test_a_flush_does_not_claim_what_it_does_not_see(clock, seen):
    """Unreadable, uncommitted, undelivered, or a leader without our exporter."""
    assert wait(clock, looks(seen)) is False
    assert clock.now_s == pytest.approx(1.0)


def test_without_exporters_committed_is_enough(clock):
    """There is nobody to deliver to."""
    assert wait(clock, looks(progress(10, 4, None)), frozenset()) is True


class Busy:
    """A store in the middle of a transaction that ends when interrupted."""

    def __init__(self):
        self.gate = threading.RLock()
        self.interrupted = threading.Event()
        self.closed_under_gate = None
        self.started = threading.Event()

    def work(self):
        with self.gate:
            self.started.set()
            self.interrupted.wait(5)

    def interrupt(self):
        self.interrupted.set()

    def close(self):
        self.closed_under_gate = self.gate._is_owned()


def test_a_fork_interrupts_what_runs_and_closes_it_under_the_gate():
    """So that no connection crosses it, and the fork waits for a moment only."""
    store = Busy()
    thread = threading.Thread(target=store.work)
    thread.start()
    store.started.wait(5)
    fork.quiesce(store)
    held = store.gate._is_owned()
    store.gate.release()
    thread.join(5)

    assert store.interrupted.is_set()
    assert store.closed_under_gate is True
    assert held is True


def test_a_fork_that_finds_the_buffer_busy_goes_on_without_it(clock):
    """The gate is given back; the child will be a tainted one."""
    store = Busy()
    store.close = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        fork.quiesce(store)

    assert not store.gate._is_owned()
