"""Exporters that show where everything stands are told how to ask."""

import pytest

from probekit.delivery.term import _quietly
from probekit.model import Resource, Snapshot
from probekit.ports import DeliveryContract, Exporter, Pulled


class Plain:
    contract = DeliveryContract()

    def send(self, batch):
        pass

    def close(self):
        pass


class Shown(Plain):
    def begin(self, snapshot):
        self.snapshot = snapshot


def test_only_exporters_that_want_it_are_told():
    assert isinstance(Shown(), Exporter)
    assert isinstance(Shown(), Pulled)
    assert not isinstance(Plain(), Pulled)


def test_each_thread_is_silenced_once():
    import threading

    told, stands = [], Snapshot(Resource())
    ask = _quietly(lambda: told.append(threading.get_ident()), lambda: stands)
    other = threading.Thread(target=lambda: (ask(), ask()))
    other.start()
    other.join(5)
    ask()

    assert stands is ask()
    assert 2 == len(told) == len(set(told))


@pytest.mark.parametrize("error", [RuntimeError("no"), TypeError("what")])
def test_a_begin_that_fails_does_not_stop_the_others(tmp_path, error):
    import probekit

    class Odd(Plain):
        def begin(self, snapshot):
            raise error

    probekit.configure(
        "pulled", buffer=tmp_path / "b.db", exporters=[Odd()], host_metrics=False
    )
    probekit.counter("pulled.x").add(1)
    delivered = probekit.flush(10)
    probekit.shutdown()

    assert delivered
