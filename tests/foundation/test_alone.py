"""Laws of being alone: one at a time, nobody twice, whatever comes from a signal."""

import threading

import pytest

from cuts import Late, every_cut
from probekit.alone import Alone


def elsewhere(work):
    """What *work* returns on another thread."""
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join(5)
    return found


def test_work_is_done_and_its_result_returned():
    assert 5 == Alone().run(lambda: 5)


def test_nobody_is_let_in_twice_and_what_is_raised_goes_on():
    alone = Alone()

    def work():
        assert alone.run(lambda: 1, wait_s=-1) is None
        raise KeyError("own")

    with pytest.raises(KeyError):
        alone.run(work)
    assert 1 == alone.run(lambda: 1)


def test_one_may_be_inside_of_two_at_once():
    first, second = Alone(), Alone()

    assert 1 == first.run(lambda: second.run(lambda: 1))


@pytest.mark.parametrize("wait_s", [0.0, 0.01])
def test_another_thread_is_refused_while_somebody_is_inside(wait_s):
    alone = Alone()

    assert [None] == alone.run(lambda: elsewhere(lambda: alone.run(int, wait_s=wait_s)))
    assert [0] == elsewhere(lambda: alone.run(int))


def test_another_thread_waits_as_long_as_it_may():
    alone, inside, go = Alone(), threading.Event(), threading.Event()

    def work():
        inside.set()
        go.wait(5)

    thread = threading.Thread(target=lambda: alone.run(work))
    thread.start()
    inside.wait(5)
    threading.Timer(0.01, go.set).start()

    assert 0 == alone.run(int, wait_s=-1)
    thread.join()


@pytest.mark.parametrize("wait_s", [0.0, -1, 1.0])
def test_a_signal_at_any_place_leaves_it_free(wait_s):
    """Between the taking of the lock and the ``try`` too."""
    alone = Alone()
    for place in every_cut(lambda: alone.run(int, wait_s=wait_s)):
        assert [1] == elsewhere(lambda: alone.run(lambda: 1)), place
        assert 1 == alone.run(lambda: 1)
    assert place > 3


def test_a_signal_that_comes_inside_leaves_it_free():
    alone = Alone()

    def late():
        raise Late

    with pytest.raises(Late):
        alone.run(late)
    assert [1] == elsewhere(lambda: alone.run(lambda: 1))
