"""Laws of the pace: others come first, and the work gets done beside them."""

import pytest

from probekit import pace as module
from probekit.pace import Pace, Paced


class Interpreter:
    """A clock, and others who keep the interpreter as long as they are told."""

    def __init__(self):
        self.now_s = 100.0
        self.others_s = 0.0
        self.given_up = 0

    def perf_counter(self):
        return self.now_s

    def sleep(self, _):
        self.given_up += 1
        self.now_s += self.others_s

    def work(self, pace, seconds, step_s=0.0001):
        """Work for so long, breathing at each step; how often it was given up."""
        before = self.given_up
        for _ in range(round(seconds / step_s)):
            self.now_s += step_s
            pace.breathe()
        return self.given_up - before


@pytest.fixture
def interpreter(monkeypatch):
    made = Interpreter()
    monkeypatch.setattr(module, "time", made)
    return made


def test_who_is_quick_is_never_kept_waiting_for_long(interpreter):
    assert interpreter.work(Pace(), 0.01) >= 30


@pytest.mark.parametrize("others_s", [0.001, 0.005])
def test_who_computes_gets_as_much_and_no_more(interpreter, others_s):
    interpreter.others_s = others_s

    assert 0.1 / others_s == pytest.approx(interpreter.work(Pace(), 0.1), rel=0.15)


def test_who_keeps_the_interpreter_for_seconds_is_not_copied(interpreter):
    interpreter.others_s = 3.0

    assert interpreter.work(Pace(), 0.1) >= 18


def test_after_them_come_short_slices_again(interpreter):
    pace = Pace()
    interpreter.others_s = 0.005
    interpreter.work(pace, 0.05)
    interpreter.others_s = 0.0
    interpreter.work(pace, 0.01)

    assert interpreter.work(pace, 0.01) >= 30


def test_short_work_gives_nothing_up(interpreter):
    assert 0 == interpreter.work(Pace(), 0.0002)


@pytest.mark.parametrize("number", [0, 1, 4, 5, 17])
def test_all_things_come_through_in_order(number):
    assert list(range(number)) == list(Pace().through(range(number)))
    assert list(range(number)) == list(Pace().through(iter(range(number))))
    assert tuple(range(number)) == Paced(range(number)) == (*Paced(range(number)),)


def test_who_goes_through_a_paced_tuple_gives_the_interpreter_up(interpreter):
    for _ in Paced(range(1_000)):
        interpreter.now_s += 0.0001

    assert interpreter.given_up >= 30
