"""TCP: what can be known without an answer is known."""

import os
import socket
import threading

import pytest

from probekit.errors import RetryLater
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.transport.dial import Dialer, Line
from probekit.exporters.transport.resolve import Resolver
from probekit.exporters.transport.tcp import TcpTransport
from probekit.exporters.transport.udp import UdpTransport
from probekit.testing import TcpReceiver, UdpReceiver


@pytest.fixture
def receiver():
    with TcpReceiver() as made:
        yield made


def transport_to(receiver, timeout_s=2.0):
    return TcpTransport(Dialer([("127.0.0.1", receiver.port)]), timeout_s=timeout_s)


def test_bytes_arrive_over_one_connection(receiver):
    transport = transport_to(receiver)
    for number in range(5):
        transport.send(b"%d\n" % number)

    assert [b"0", b"1", b"2", b"3", b"4"] == receiver.wait_for_lines(5)
    assert 1 == receiver.connections
    transport.close()


def test_a_large_payload_arrives_whole(receiver):
    transport = transport_to(receiver, timeout_s=10)
    payload = b"x" * (4 << 20) + b"\n"
    transport.send(payload)
    receiver.wait_for_lines(1)

    assert payload == receiver.received
    transport.close()


@pytest.mark.row("P12")
def test_a_far_side_that_went_away_is_noticed_before_the_next_write(receiver):
    transport = transport_to(receiver)
    transport.send(b"1\n")
    receiver.wait_for_lines(1)
    receiver.stop()
    with pytest.raises(RetryLater):
        transport.send(b"2\n")
    receiver.start()
    transport.send(b"2\n")

    assert [b"1", b"2"] == receiver.wait_for_lines(2)
    transport.close()


@pytest.mark.row("N2")
def test_a_far_side_that_does_not_read_costs_the_timeout(receiver):
    receiver.reading.clear()
    transport = transport_to(receiver, timeout_s=0.15)
    with pytest.raises(RetryLater, match=r"in time|within"):
        transport.send(b"x" * (32 << 20))
    receiver.reading.set()
    transport.close()


def test_a_reset_between_two_sends_is_noticed_before_the_next():
    """A far side that resets the connection gets a new one, not our bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted = threading.Event()

        def reset():
            connection, _ = listener.accept()
            connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
            )
            accepted.wait(5)
            connection.close()

        threading.Thread(target=reset, daemon=True).start()
        dialer = Dialer([listener.getsockname()])
        line = Line(dialer)
        line.open(Deadline(2))
        accepted.set()
        while True:
            _, used_before = line.open(Deadline(2))
            if not used_before:  # the reset was noticed, and a new one opened
                break
        line.close()


def test_nobody_listening_is_a_reason_to_wait(receiver):
    receiver.stop()
    with pytest.raises(RetryLater, match="refused"):
        transport_to(receiver).send(b"x")


def test_a_connection_is_not_shared_with_a_forked_child(receiver, monkeypatch):
    transport = transport_to(receiver)
    transport.send(b"parent\n")
    monkeypatch.setattr(os, "getpid", lambda: 1)
    transport.send(b"child\n")
    receiver.wait_for_lines(2)

    assert 2 == receiver.connections
    transport.close()


@pytest.mark.row("N11")
def test_a_lookup_that_hangs_ends_with_the_deadline_and_holds_one_thread(monkeypatch):
    gate, asked = threading.Event(), []

    def slow(host, port, *, type, flags):  # noqa: A002 - getaddrinfo's own name
        if flags:
            raise socket.gaierror(socket.EAI_NONAME, "not numeric")
        asked.append(host)
        gate.wait(5)
        return [(socket.AF_INET, type, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    resolver = Resolver(socket.SOCK_STREAM)
    for _ in range(3):
        with pytest.raises(RetryLater, match="does not end"):
            resolver.lookup("slow.example", 1, Deadline(0.02))
    gate.set()
    found = resolver.lookup("slow.example", 1, Deadline(5))

    assert [(socket.AF_INET, 6, ("127.0.0.1", 1))] == found
    assert ["slow.example"] == asked


@pytest.mark.row("N11")
def test_an_unknown_name_is_a_reason_to_wait(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(RetryLater, match=r"nowhere.*not known"):
        TcpTransport(Dialer([("nowhere.example", 1)])).send(b"x")


@pytest.mark.row("N11")
def test_a_name_that_no_resolver_can_spell_is_a_reason_to_wait():
    with pytest.raises(RetryLater, match="look-up"):
        TcpTransport(Dialer([("a" * 300, 1)])).send(b"x")


@pytest.mark.row("P16")
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_socket_number_that_the_host_took_over_is_not_written_to(tmp_path, kind):
    """A daemonizing host closes our number and opens something else under it."""
    canary = tmp_path / "canary"
    with TcpReceiver() as stream, UdpReceiver() as datagrams:
        if kind == "tcp":
            transport = transport_to(stream)
            send = transport.send
        else:
            transport = UdpTransport([("127.0.0.1", datagrams.port)])
            send = lambda line: transport.send([line])  # noqa: E731
        send(b"1\n")
        number = (
            transport._line.socket if kind == "tcp" else transport._socket
        ).fileno()
        with canary.open("wb", buffering=0) as other:
            os.dup2(other.fileno(), number)
            send(b"2\n")
            transport.close()
            os.write(number, b"theirs")
            os.close(number)
        lines = stream.wait_for_lines if kind == "tcp" else datagrams.wait_for
        assert 2 == len(lines(2))

    assert b"theirs" == canary.read_bytes()
