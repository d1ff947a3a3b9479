"""One change at a time; what a signal's handler asks for in the midst comes after."""

import os
import threading

import pytest

from cuts import cuts
from forks import FORKS
from probekit.runtime.turns import Turns


@pytest.fixture
def turns():
    return Turns()


@pytest.fixture
def held(turns):
    """Another thread is in the midst of a change until the test ends."""
    inside, over = threading.Event(), threading.Event()

    def change():
        inside.set()
        over.wait(10)

    thread = threading.Thread(target=lambda: turns.take(change))
    thread.start()
    assert inside.wait(10)
    yield
    over.set()
    thread.join(10)


def test_what_a_change_returns_and_raises_is_its_callers(turns):
    def fails():
        raise KeyError(1)

    assert turns.take(lambda: "made") == "made"
    with pytest.raises(KeyError):
        turns.take(fails)
    assert turns.take(lambda: "made") == "made"


def test_a_change_that_is_asked_for_at_any_place_of_another_is_made_once():
    turns, made = Turns(), []

    def handler():
        turns.take(lambda: made.append("handler's"))

    for places, cut in enumerate(cuts(handler=handler)):
        turns, made = Turns(), []
        with cut:
            turns.take(lambda made=made: made.append("own"))

        assert sorted(made) == ["handler's", "own"][1 - cut.came :], places
    assert places > 5


def test_it_is_made_after_the_one_in_whose_midst_it_came(turns):
    made = []

    def change():
        assert turns.take(lambda: made.append("second")) is None
        made.append("first")

    turns.take(change)

    assert made == ["first", "second"]


def test_it_is_made_also_where_that_one_fails(turns):
    """Say because the handler raises ``SystemExit`` when it has asked."""
    made = []

    def change():
        turns.take(lambda: made.append("asked for"))
        raise SystemExit

    with pytest.raises(SystemExit):
        turns.take(change)

    assert made == ["asked for"]


def test_what_fails_later_is_told_and_disturbs_nobody(turns, caplog):
    def fails():
        raise KeyError("no such thing")

    def change():
        turns.take(fails)
        return "made"

    assert turns.take(change) == "made"
    assert "no such thing" in caplog.text


@pytest.mark.usefixtures("held")
def test_another_threads_change_is_waited_for_no_longer_than_asked(turns):
    made = []

    assert turns.take(lambda: made.append(1), wait_s=0.01) is None
    assert turns.take(lambda: made.append(2), wait_s=0) is None
    assert made == []


@pytest.mark.parametrize("fork", FORKS)
@pytest.mark.usefixtures("held")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_does_not_wait_for_its_parents_threads(turns, fork):
    pid = FORKS[fork]()
    if pid == 0:
        os._exit(7 if turns.take(lambda: True, wait_s=5) else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
