"""The far sides that other tests lean on do what they say."""

import socket

import pytest

from probekit.errors import Rejected, RetryLater
from probekit.model import Batch, Point, Resource, Series, Window
from probekit.testing import MemoryExporter, TcpReceiver, UdpReceiver
from probekit.testing.contract import sample_batch


@pytest.mark.parametrize("kind", [TcpReceiver, UdpReceiver])
def test_a_receiver_keeps_its_port_over_stop_and_start(kind):
    receiver = kind().start()
    port = receiver.port
    receiver.stop()
    receiver.start()
    receiver.stop()

    assert port == receiver.port > 0


def test_cut_ends_open_connections():
    with TcpReceiver() as receiver:
        client = socket.create_connection(("127.0.0.1", receiver.port))
        client.sendall(b"x\n")
        receiver.wait_for_lines(1)
        receiver.cut()
        client.settimeout(5)
        with client:
            try:
                left = client.recv(1)
            except ConnectionResetError:
                left = b""

    assert b"" == left


def test_the_memory_exporter_fails_as_told():
    exporter = MemoryExporter([RetryLater("later")])
    exporter.fail_with(Rejected("never"))
    for error in (RetryLater, Rejected):
        with pytest.raises(error):
            exporter.send(sample_batch())
    exporter.send(sample_batch())
    exporter.refuse(ValueError("foreign"))
    with pytest.raises(ValueError, match="foreign"):
        exporter.send(sample_batch())

    assert (1, 4) == (len(exporter.batches), exporter.attempts)
    assert exporter.wait_for(8)
    assert not exporter.wait_for(9, timeout_s=0.01)


def test_the_memory_exporter_adds_up():
    exporter = MemoryExporter()
    for window in (1, 2):
        point = Point(Series("a", "counter"), 2.0)
        windows = (Window(window, 0, 1, (point,)),)
        exporter.send(Batch("0" * 32, Resource(), windows))

    assert 4.0 == exporter.total("a")
    assert [1, 2] == [window.id for window in exporter.windows]
    assert ([], []) == (exporter.events, exporter.spans)
