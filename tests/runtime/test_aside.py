"""Laws of what the main thread has others do."""

import signal
import threading
import time

import pytest

from cuts import Late
from probekit.runtime.aside import aside

MAIN = threading.main_thread()
LONG_S = 60.0


class Starter:
    """Starts each thread at once, or never."""

    def __init__(self, *, is_alive=True, starts=True):
        self.is_alive = is_alive
        self.starts = starts
        self.names = []

    def launch(self, work, name):
        self.names.append(name)
        if self.starts:
            threading.Thread(target=work, name=name, daemon=True).start()


@pytest.fixture(autouse=True)
def _on_the_main_thread():
    assert threading.current_thread() is MAIN


def test_the_main_threads_work_is_done_by_another():
    starter = Starter()

    assert aside(threading.current_thread, starter, LONG_S) is not MAIN
    assert ["probekit-aside"] == starter.names


def test_any_other_thread_does_its_own():
    found, starter = [], Starter()

    def work():
        found.append(aside(threading.current_thread, starter, LONG_S))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert [thread] == found
    assert [] == starter.names


def test_what_the_work_raises_is_raised():
    def work():
        raise KeyError("own")

    with pytest.raises(KeyError, match="own"):
        aside(work, Starter(), LONG_S)


def test_without_anybody_to_start_a_thread_it_is_done_here():
    assert aside(threading.current_thread, Starter(is_alive=False), LONG_S) is MAIN


def test_what_nobody_has_begun_is_done_here_once_the_starter_is_gone():
    class Ending(Starter):
        def launch(self, work, name):
            self.is_alive = False

    assert aside(threading.current_thread, Ending(), LONG_S) is MAIN


def test_what_was_begun_is_waited_for_although_the_starter_is_gone():
    begun, calls = threading.Event(), []

    class Ending(Starter):
        def launch(self, work, name):
            super().launch(work, name)
            begun.wait(5)
            self.is_alive = False

    def work():
        begun.set()
        time.sleep(0.01)
        calls.append(1)
        return 5

    assert 5 == aside(work, Ending(), LONG_S)
    assert [1] == calls


def test_a_wait_has_an_end():
    with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
        aside(int, Starter(starts=False), 0.01)


def test_a_signal_that_raises_is_heard_at_once_and_the_work_goes_on():
    go, done = threading.Event(), threading.Event()

    def handler(*_):
        raise Late

    def work():
        go.wait(5)
        done.set()

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    try:
        with pytest.raises(Late):
            aside(work, Starter(), LONG_S)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    go.set()

    assert done.wait(5)
