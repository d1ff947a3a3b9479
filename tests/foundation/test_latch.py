"""Opened once, for good, whatever befalls those who wait."""

import threading
from contextlib import suppress

from cuts import Late, cuts
from probekit.latch import Latch

SOON_S = 0.01


def test_it_lets_through_who_waits_and_who_comes_later():
    latch, through = Latch(), []
    threads = [
        threading.Thread(target=lambda: through.append(latch.wait(10)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    assert latch.wait(SOON_S) is False

    latch.open()
    latch.open()
    for thread in threads:
        thread.join(10)

    assert through == [True] * 3
    assert latch.is_open
    assert latch.wait(0) is True


def test_who_is_cut_while_waiting_jams_it_for_nobody():
    for places, cut in enumerate(cuts()):
        latch = Latch()
        opener = threading.Timer(SOON_S, latch.open)
        opener.start()
        with suppress(Late), cut:
            latch.wait(10)
        opener.join(10)

        assert not opener.is_alive(), places
        assert latch.wait(SOON_S) is True, places
    assert places > 2
