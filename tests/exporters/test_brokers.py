"""What all brokers share: messages, their keys, the loop, and what errors mean."""

import asyncio
import dataclasses
import importlib
import os
import socket
import ssl
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_otlp_messages import logs_request, metrics_request, traces_request

from probekit.errors import (
    ConfigError,
    Forbidden,
    MissingExtra,
    Rejected,
    RetryLater,
    TooLarge,
)
from probekit.exporters import build
from probekit.exporters.brokers import jetstream, kafka, redis_stream
from probekit.exporters.brokers.exporter import Broker
from probekit.exporters.brokers.loop import PrivateLoop
from probekit.exporters.brokers.publisher import first_that_answers
from probekit.exporters.brokers.refusals import as_export_error
from probekit.exporters.transport.deadline import Deadline
from probekit.exporters.urls import Target
from probekit.testing import ExporterContract
from probekit.testing.contract import hostile_batch, only, sample_batch

TARGET = Target.parse("redis://u:secret@127.0.0.1:1/telemetry")


class Shelf:
    """A publisher that keeps what it is given, and fails as a test wants."""

    def __init__(self, *failures):
        self.taken = []
        self.failures = list(failures)
        self.opened = self.closed = 0
        self.alive = True

    def load(self):
        pass

    async def is_alive(self):
        return self.alive

    async def open(self):
        self.opened += 1
        self.alive = True

    async def publish(self, message):
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        self.taken.append(message)

    async def close(self):
        self.closed += 1

    def translate(self, error):
        return as_export_error(error, {"LookupError": Forbidden}, str(TARGET))


def broker(shelf, query="", timeout_s=1.0):
    options = Target.parse(f"redis://h:1/x{query}").options()
    return Broker(TARGET, options, shelf, timeout_s=timeout_s, idempotent=True)


class TestBroker(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self):
        self.shelf = Shelf()

    def exporter(self):
        return broker(self.shelf)

    def received(self):
        return len(self.shelf.taken)

    def break_far_side(self):
        self.shelf.failures = [OSError(111, "gone")] * 2
        return True


def test_a_batch_is_a_message_a_signal_under_its_key():
    shelf = Shelf()
    batch = sample_batch(10**18)
    wanted = [metrics_request(batch), logs_request(batch), traces_request(batch)]
    exporter = broker(shelf)
    exporter.send(batch)
    exporter.close()

    assert wanted == [
        type(request).FromString(message.body)
        for message, request in zip(shelf.taken, wanted, strict=True)
    ]
    assert [f"{batch.key}:{kind}" for kind in ("metrics", "logs", "traces")] == [
        message.key for message in shelf.taken
    ]


def test_what_has_arrived_does_not_go_again_and_keys_stay():
    shelf = Shelf(None, OSError(32, "broken"))
    batch = sample_batch()
    exporter = broker(shelf)
    with pytest.raises(RetryLater):
        exporter.send(batch)
    exporter.send(batch)
    exporter.close()

    assert [f"{batch.key}:{kind}" for kind in ("metrics", "logs", "traces")] == [
        message.key for message in shelf.taken
    ]
    assert 2 == shelf.opened


def test_halves_do_not_repeat_what_the_whole_has_delivered():
    shelf = Shelf(None, TooLarge("long"))
    batch = sample_batch()
    exporter = broker(shelf)
    with pytest.raises(TooLarge):
        exporter.send(batch)
    exporter.send(only(batch, frozenset({"metrics"})))
    for event in batch.events:
        half = only(batch, frozenset({"events"}))
        exporter.send(dataclasses.replace(half, events=(event,)))
    exporter.close()

    assert ["metrics", "logs", "logs"] == [message.kind for message in shelf.taken]


def test_only_the_signals_that_are_wanted_are_sent():
    shelf = Shelf()
    exporter = broker(shelf, "?signals=events")
    exporter.send(only(sample_batch(), exporter.contract.signals))
    exporter.close()

    assert frozenset({"events"}) == exporter.contract.signals
    assert ["logs"] == [message.kind for message in shelf.taken]


def test_a_connection_is_kept_and_one_that_ended_is_opened_again():
    shelf = Shelf()
    exporter = broker(shelf)
    exporter.send(sample_batch())
    exporter.send(sample_batch())
    assert (1, 0) == (shelf.opened, shelf.closed)
    shelf.alive = False
    exporter.send(sample_batch())
    exporter.close()

    assert (2, 2) == (shelf.opened, shelf.closed)


def test_a_forked_child_opens_a_connection_of_its_own(monkeypatch):
    shelf = Shelf()
    exporter = broker(shelf)
    exporter.send(sample_batch())
    monkeypatch.setattr(os, "getpid", lambda: 1)
    exporter.send(sample_batch())
    exporter.close()

    assert 2 == shelf.opened


class Slow(Shelf):
    async def publish(self, message):
        await asyncio.sleep(3600)


def test_a_broker_that_does_not_answer_holds_nobody_beyond_the_deadline():
    exporter = broker(Slow(), timeout_s=0.05)
    with pytest.raises(RetryLater, match=r"within 0\.05 s"):
        exporter.send(sample_batch())
    exporter.close()


def test_a_client_that_cancels_itself_raises_an_error_of_ours():
    exporter = broker(Shelf(asyncio.CancelledError()))
    with pytest.raises(RetryLater, match="ended the connection"):
        exporter.send(sample_batch())
    exporter.close()


def test_a_deadline_that_has_passed_starts_nothing():
    loop = PrivateLoop("h:1", 1.0)
    work = asyncio.sleep(0)
    deadline = Deadline(1e-9, "h:1")
    with pytest.raises(RetryLater):
        loop.run(work, deadline)
    loop.discard()


def test_the_loop_leaves_no_connection_open_when_it_is_discarded():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        loop = PrivateLoop("h:1", 1.0)

        async def connect():
            return await asyncio.open_connection("localhost", port)

        kept = loop.run(connect(), Deadline(2.0, "h:1"))
        theirs, _ = server.accept()
        loop.discard()
        theirs.settimeout(2)

        assert b"" == theirs.recv(1)
        theirs.close()
    assert kept
    assert not loop.is_open


def test_a_loop_that_was_running_when_we_were_forked_is_neither_run_nor_closed(
    monkeypatch,
):
    kept = []
    monkeypatch.setattr("probekit.exporters.brokers.loop._ABANDONED", kept)
    loop = PrivateLoop("h:1", 1.0)

    async def forked():
        loop.discard()

    loop.run(forked(), Deadline(2.0, "h:1"))
    (left,) = kept

    assert not left.is_closed()
    left.close()


def test_a_name_that_is_not_known_raises_an_error_of_the_system():
    loop = PrivateLoop("h:1", 1.0)
    with pytest.raises(OSError, match="look-up"):
        loop.run(
            _connect("no such host"),
            Deadline(2.0, "h:1"),
        )
    loop.discard()


async def _connect(host):
    await asyncio.open_connection(host, 1)


def test_the_first_host_that_answers_is_tried_first_from_then_on():
    addresses = [("a", 1), ("b", 2), ("c", 3)]
    tried = []

    async def connect(host, port):
        tried.append(host)
        if host == "a":
            await asyncio.sleep(3600)

    for _ in range(2):
        asyncio.run(first_that_answers(addresses, connect, 0.01))

    assert ["a", "b", "b"] == tried
    assert ("b", 2) == addresses[0]


@settings(max_examples=40)
@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=40))
def test_words_of_users_stay_inside_the_body(text):
    shelf = Shelf()
    exporter = broker(shelf)
    exporter.send(hostile_batch(text))
    exporter.close()

    assert ["metrics", "logs", "traces"] == [message.kind for message in shelf.taken]
    for message in shelf.taken:
        assert message.key.isascii()
        assert message.key.isprintable()


def error(name, text="", *bases):
    return type(name, bases or (Exception,), {})(text)


def refused_certificate():
    refused = ssl.SSLCertVerificationError(1, "certificate verify failed")
    refused.verify_message = "self-signed certificate"
    return refused


@pytest.mark.parametrize(
    "verdicts, cause, kind",
    [
        (redis_stream.VERDICTS, error("AuthenticationError"), Forbidden),
        (redis_stream.VERDICTS, error("ConnectionError"), RetryLater),
        (redis_stream.VERDICTS, error("OutOfMemoryError"), RetryLater),
        (redis_stream.VERDICTS, error("ResponseError", "WRONGTYPE x"), Forbidden),
        (redis_stream.VERDICTS, error("ResponseError", "MISCONF x"), RetryLater),
        (jetstream.VERDICTS, error("MaxPayloadError"), TooLarge),
        (jetstream.VERDICTS, error("APIError", "err_code=10054"), TooLarge),
        (jetstream.VERDICTS, error("APIError", "err_code=10077"), RetryLater),
        (jetstream.VERDICTS, error("NoStreamResponseError"), RetryLater),
        (kafka.VERDICTS, error("MessageSizeTooLargeError"), TooLarge),
        (kafka.VERDICTS, error("NotLeaderForPartitionError"), RetryLater),
        (kafka.VERDICTS, error("PolicyViolationError"), Rejected),
        (kafka.VERDICTS, error("TopicAuthorizationFailedError"), Forbidden),
        (kafka.VERDICTS, refused_certificate(), Forbidden),
    ],
)
def test_each_error_says_what_to_do(verdicts, cause, kind):
    assert kind is type(as_export_error(cause, verdicts, "h:1"))


def test_a_refused_certificate_is_found_behind_the_clients_error():
    cause = error("ConnectionError", "no")
    cause.__cause__ = refused_certificate()

    assert Forbidden is type(as_export_error(cause, redis_stream.VERDICTS, "h:1"))


def test_what_a_broker_says_is_one_line_without_secrets():
    told = as_export_error(error("E", "no\nsecret" + "x" * 999), {}, "h:1", ["secret"])

    assert str(told).startswith("h:1: E: no ***xxx")
    assert len(str(told)) < 300


@pytest.mark.parametrize(
    "url, rule",
    [
        ("nats://h:1/a..b", "words joined by dots"),
        ("nats://h:1/a.>", "words joined by dots"),
        ("kafka://h:1/a b", "249 letters"),
        ("kafka://h:1/t?sasl=NTLM", "sasl"),
        ("redis://h:1/t?maxlen=-1", "maxlen"),
        ("redis://h:1/t?tls=1&server_name=x", "server_name"),
        ("redis://h:1/t?nonsense=1", "nonsense"),
        ("redis:///t", "no host"),
    ],
)
def test_a_wrong_url_says_what_is_wrong(url, rule):
    with pytest.raises(ConfigError, match=rule):
        build(url)


@pytest.mark.parametrize(
    "scheme, module", [("redis", "redis"), ("nats", "nats"), ("kafka", "aiokafka")]
)
def test_a_client_that_is_missing_is_named_with_its_extra(scheme, module, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    importlib.invalidate_caches()
    with pytest.raises(MissingExtra, match=rf"probekit\[{scheme}\]"):
        build(f"{scheme}://h:1/x")
