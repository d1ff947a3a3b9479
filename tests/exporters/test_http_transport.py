"""HTTP: one deadline, bounded answers, and an error that says what to do."""

import contextlib
import socket
import threading

import pytest

from probekit.errors import Forbidden, Rejected, RetryLater, TooLarge
from probekit.exporters.transport.dial import Dialer
from probekit.exporters.transport.http import USER_AGENT, HttpTransport
from probekit.testing import HttpReceiver, Reply

LARGE = b"x" * (8 << 20)


@pytest.fixture
def receiver():
    with HttpReceiver() as made:
        yield made


@pytest.fixture
def transport_to():
    """Makes transports and closes them at the end."""
    with contextlib.ExitStack() as opened:

        def make(*receivers, timeout_s=2.0, connect_timeout_s=3.0, **arguments):
            ports = [getattr(r, "port", r) for r in receivers]
            dialer = Dialer(
                [("127.0.0.1", port) for port in ports],
                connect_timeout_s=connect_timeout_s,
            )
            made = HttpTransport(dialer, timeout_s=timeout_s, **arguments)
            opened.callback(made.close)
            return made

        yield make


def test_a_request_arrives_as_it_was_given(receiver, transport_to):
    transport = transport_to(
        receiver, base_path="/base/", headers={"Authorization": "Bearer t"}
    )
    answer = transport.post("/v1?x=1", b"body", {"Content-Type": "a/b"})
    request = receiver.requests[0]

    assert (200, b"", True) == (answer.status, answer.body, answer.complete)
    assert ("POST", "/base/v1?x=1", b"body") == (
        request.method,
        request.path,
        request.body,
    )
    assert (
        request.headers.items()
        >= {
            "authorization": "Bearer t",
            "content-type": "a/b",
            "content-length": "4",
            "user-agent": USER_AGENT,
            "host": f"127.0.0.1:{receiver.port}",
        }.items()
    )


def test_one_connection_serves_many_requests(receiver, transport_to):
    transport = transport_to(receiver)
    for _ in range(5):
        transport.post("/", b"x")

    assert (1, 5) == (receiver.connections, len(receiver.requests))


def test_a_connection_that_the_far_side_closed_is_replaced_before_it_is_used(
    receiver, transport_to
):
    receiver.answer_with(Reply(close=True), Reply())
    transport = transport_to(receiver)
    transport.post("/", b"1")
    transport.post("/", b"2")

    assert [b"1", b"2"] == [request.body for request in receiver.requests]


def test_an_idle_connection_that_dies_in_use_is_tried_once_more(receiver, transport_to):
    receiver.answer_with(Reply(), Reply(cut=True), Reply())
    transport = transport_to(receiver)
    transport.post("/", b"1")
    transport.post("/", b"2")

    assert [b"1", b"2", b"2"] == [request.body for request in receiver.requests]


@pytest.mark.row("N9")
def test_a_fresh_connection_cut_before_the_answer_is_not_an_acknowledgement(
    receiver, transport_to
):
    receiver.answer_with(Reply(cut=True))
    with pytest.raises(RetryLater, match="without an answer"):
        transport_to(receiver).post("/", b"x")

    assert 1 == len(receiver.requests)


@pytest.mark.parametrize(
    "status, error",
    [
        (400, Rejected),
        (401, Forbidden),
        (403, Forbidden),
        (404, Forbidden),
        (301, Forbidden),
        (307, Forbidden),
        (408, RetryLater),
        (413, TooLarge),
        (429, RetryLater),
        (500, Rejected),
        (501, Rejected),
        (502, RetryLater),
        (503, RetryLater),
        (504, RetryLater),
    ],
)
def test_a_status_becomes_the_error_that_the_table_says(
    receiver, status, error, transport_to
):
    receiver.answer_with(Reply(status, {"Location": "/other"}, b"the \x07reason"))
    transport = transport_to(receiver)
    with pytest.raises(error, match=f"HTTP {status} from .*: the reason"):
        transport.post("/", b"x")

    assert 1 == len(receiver.requests)  # redirects are not followed


def test_a_backend_may_have_a_table_of_its_own(receiver, transport_to):
    receiver.answer_with(Reply(500))
    transport = transport_to(receiver, verdicts={500: "retry"})
    with pytest.raises(RetryLater):
        transport.post("/", b"x")


def test_a_dropped_request_says_how_many_records_it_held(receiver, transport_to):
    receiver.answer_with(Reply(500), Reply(400))
    transport = transport_to(receiver)
    with pytest.raises(Rejected) as dropped:
        transport.post("/", b"x", records=7)
    with pytest.raises(Rejected) as whole:
        transport.post("/", b"x", records=7)

    assert (7, None) == (dropped.value.count, whole.value.count)


def test_the_far_side_may_ask_for_a_wait(receiver, transport_to):
    receiver.answer_with(Reply(503, {"Retry-After": "17"}))
    with pytest.raises(RetryLater) as caught:
        transport_to(receiver).post("/", b"x")

    assert 17.0 == caught.value.after_s


@pytest.mark.parametrize("reply", [Reply(413, early=True, close=True)])
def test_an_answer_that_comes_while_we_write_is_read(receiver, reply, transport_to):
    receiver.answer_with(reply)
    with pytest.raises(TooLarge, match="413"):
        transport_to(receiver).post("/", LARGE)


@pytest.mark.row("N10")
@pytest.mark.parametrize(
    "reply",
    [
        Reply(hang=True),
        Reply(endless_headers=True),
        Reply(drip_s=0.02),
    ],
)
def test_an_answer_that_does_not_end_is_no_answer(receiver, reply, transport_to):
    receiver.answer_with(reply)
    with pytest.raises(RetryLater):
        transport_to(receiver, timeout_s=0.15).post("/", b"x")


@pytest.mark.row("N10")
def test_a_body_is_read_to_64_kib_and_the_connection_closed(receiver, transport_to):
    receiver.answer_with(Reply(endless_body=True), Reply())
    transport = transport_to(receiver)
    answer = transport.exchange("GET", "/")
    transport.post("/", b"x")

    assert (200, 65536, False) == (answer.status, len(answer.body), answer.complete)
    assert 2 == receiver.connections
    assert receiver.sent_bytes < 64 << 20


def test_a_body_of_exactly_64_kib_is_complete(receiver, transport_to):
    receiver.answer_with(Reply(body=b"b" * 65536))
    transport = transport_to(receiver)
    answer = transport.exchange("GET", "/")

    assert (65536, True) == (len(answer.body), answer.complete)


def test_what_is_no_http_is_no_acknowledgement(transport_to):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def babble():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        threading.Thread(target=babble, daemon=True).start()
        transport = transport_to(listener.getsockname()[1])
        with pytest.raises(RetryLater, match="does not speak HTTP"):
            transport.post("/", b"x")


def test_a_port_where_nobody_listens_says_so(receiver, transport_to):
    receiver.stop()
    with pytest.raises(RetryLater, match="refused"):
        transport_to(receiver).post("/", b"x")


def test_the_next_host_is_asked_when_the_first_is_gone(receiver, transport_to):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    transport = transport_to(port, receiver)
    transport.post("/", b"1")
    transport.post("/", b"2")

    assert [b"1", b"2"] == [request.body for request in receiver.requests]


@pytest.mark.row("N2")
def test_a_listener_that_never_accepts_costs_the_connect_timeout(transport_to):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        transport = transport_to(address[1], connect_timeout_s=0.1)
        with pytest.raises(RetryLater, match="in time"):
            transport.post("/", b"x")
        for filler in fillers:
            filler.close()


def test_the_environments_proxies_are_not_looked_at(
    receiver, monkeypatch, transport_to
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    transport = transport_to(receiver)
    transport.post("/", b"x")

    assert "/" == receiver.requests[0].path


def test_secrets_that_the_far_side_echoes_are_not_shown(receiver, transport_to):
    receiver.answer_with(Reply(403, body=b"no access for Bearer t0ps3cret"))
    transport = transport_to(receiver, headers={"Authorization": "Bearer t0ps3cret"})
    with pytest.raises(Forbidden) as caught:
        transport.post("/", b"x")

    assert "t0ps3cret" not in str(caught.value) + repr(transport)
    assert "no access" in str(caught.value)
