"""A real Redis tells what stands in its stream."""

import signal
import time

import brokerservers
import matrix
import pytest
from brokerread import redis_stream as stream
from brokerservers import SENT
from shop import Shop

from needs import library
from probekit.errors import Forbidden, RetryLater, TooLarge
from probekit.exporters import build
from probekit.testing import ExporterContract
from probekit.testing.contract import SECRET, sample_batch

pytestmark = [pytest.mark.backend, pytest.mark.timeout(120)]


@pytest.fixture
def server(tmp_path):
    with brokerservers.redis(tmp_path / "redis") as running:
        yield running


def asked(server, *words):
    with library("redis").Redis(port=server.port) as connection:
        return connection.execute_command(*words)


def url(server, query=""):
    return f"redis://127.0.0.1:{server.port}/telemetry{query}"


class TestRedisContract(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self, tmp_path):
        with brokerservers.redis(tmp_path / "redis") as self.server:
            yield

    def exporter(self):
        # The kit sends different records under equal keys.
        return build(url(self.server, "?remember_s=0"))

    def received(self):
        return len(stream(self.server))

    def break_far_side(self):
        self.server.kill()
        return True

    def secret_url(self):
        return f"redis://u:{SECRET}@127.0.0.1:{self.server.port}/t"


def test_everything_an_application_records_stands_in_the_stream(server, tmp_path):
    with Shop(tmp_path, url(server)) as shop:
        assert shop.delivered()
    found = stream(server).told()
    with library("redis").Redis(port=server.port) as connection:
        version = connection.info("server")["redis_version"]

    matrix.record("`redis:` (stream)", f"Redis {version}", SENT, found)
    assert SENT == found


def test_a_batch_that_comes_again_adds_nothing(server):
    exporter = build(url(server))
    exporter.send(sample_batch(10**18))
    exporter.send(sample_batch(10**18))
    exporter.close()
    found = stream(server)

    assert exporter.contract.idempotent
    assert ["metrics", "logs", "traces"] == [signal for _, signal, _ in found.messages]
    assert {sample_batch(10**18).key} == {key.rpartition(":")[0] for key in found.keys}
    assert (5, 2, 1) == (len(found.points), len(found.events), len(found.spans))


def test_without_a_memory_it_promises_none(server):
    exporter = build(url(server, "?remember_s=0"))
    exporter.send(sample_batch())
    exporter.send(sample_batch())
    exporter.close()

    assert not exporter.contract.idempotent
    assert 6 == len(stream(server).messages)


def test_signals_may_have_streams_of_their_own(server):
    exporter = build(f"redis://127.0.0.1:{server.port}/otlp_{{signal}}?signals=events")
    exporter.send(sample_batch())
    exporter.close()

    assert 2 == len(stream(server, "otlp_logs").events)


def test_a_stream_is_cut_to_its_length(server):
    exporter = build(url(server, "?maxlen=100&signals=spans&remember_s=60"))
    for number in range(1, 401):
        span = sample_batch().spans[0]
        exporter.send(one_span(span, number))
    exporter.close()

    assert 100 <= len(stream(server)) < 400
    assert 400 == len(asked(server, "KEYS", "{telemetry}:seen:*"))


def one_span(span, number):
    import dataclasses

    batch = sample_batch()
    changed = dataclasses.replace(span, number=number)
    return dataclasses.replace(batch, windows=(), events=(), spans=(changed,))


def test_a_server_that_stands_still_holds_nobody_beyond_the_deadline(server):
    exporter = build(url(server, "?timeout_s=0.5"))
    exporter.send(one_span(sample_batch().spans[0], 1))
    server._server.send_signal(signal.SIGSTOP)
    began_s = time.monotonic()
    with pytest.raises(RetryLater, match="did not"):
        exporter.send(one_span(sample_batch().spans[0], 2))
    took_s = time.monotonic() - began_s
    server._server.send_signal(signal.SIGCONT)
    exporter.send(one_span(sample_batch().spans[0], 2))
    exporter.close()

    assert took_s < 5
    assert 2 == len(set(stream(server).keys)) == len(stream(server).keys)


def test_a_full_server_is_tried_again_until_it_has_room(server):
    exporter = build(url(server))
    asked(server, "CONFIG", "SET", "maxmemory", "1mb")
    with pytest.raises(RetryLater, match="maxmemory"):
        exporter.send(sample_batch(10**18))
    asked(server, "CONFIG", "SET", "maxmemory", "0")
    exporter.send(sample_batch(10**18))
    exporter.close()

    assert 3 == len(stream(server).messages)


def test_what_is_no_stream_keeps_the_data(server):
    asked(server, "SET", "telemetry", "mine")
    exporter = build(url(server))
    with pytest.raises(Forbidden, match="WRONGTYPE"):
        exporter.send(sample_batch())
    exporter.close()

    assert b"mine" == asked(server, "GET", "telemetry")


def test_a_message_that_is_too_long_is_halved(server):
    asked(server, "CONFIG", "SET", "proto-max-bulk-len", "1mb")
    exporter = build(url(server))
    # The server may cut the line while the client still writes, and its answer is lost.
    with pytest.raises((TooLarge, RetryLater)):
        exporter.send(long_batch())
    exporter.close()


def long_batch():
    import dataclasses

    batch = sample_batch()
    event = dataclasses.replace(batch.events[0], body="x" * 2_000_000)
    return dataclasses.replace(batch, windows=(), spans=(), events=(event,))


def test_a_user_with_the_rights_of_the_page_is_enough(server):
    rights = ["+ping", "+eval", "+exists", "+xadd", "+set", "~{telemetry}:*"]
    asked(server, "ACL", "SETUSER", "u", "on", ">p", "~telemetry", *rights)
    exporter = build(f"redis://u:p@127.0.0.1:{server.port}/telemetry")
    exporter.send(sample_batch())
    exporter.close()
    elsewhere = build(f"redis://u:p@127.0.0.1:{server.port}/elsewhere")
    with pytest.raises(Forbidden):
        elsewhere.send(sample_batch())
    elsewhere.close()

    assert 3 == len(stream(server).messages)


def test_a_wrong_password_keeps_the_data_and_is_not_shown(tmp_path):
    with brokerservers.redis(tmp_path, "--requirepass", "right") as server:
        for credentials in ("", f":{SECRET}@"):
            exporter = build(f"redis://{credentials}127.0.0.1:{server.port}/telemetry")
            with pytest.raises(Forbidden) as caught:
                exporter.send(sample_batch())
            exporter.close()
            assert SECRET not in str(caught.value)
        exporter = build(f"redis://:right@127.0.0.1:{server.port}/telemetry")
        exporter.send(sample_batch())
        exporter.close()


def test_a_certificate_is_verified_by_the_authority_of_the_url_alone(tmp_path):
    with brokerservers.redis_tls(tmp_path) as server:
        ca = f"ca={brokerservers.CERTIFICATES / 'ca.pem'}"
        exporter = build(f"redis://127.0.0.1:{server.port}/telemetry?tls=1&{ca}")
        exporter.send(sample_batch())
        exporter.close()
        stranger = build(f"redis://127.0.0.1:{server.port}/telemetry?tls=1")
        with pytest.raises(Forbidden, match="certificate"):
            stranger.send(sample_batch())
        stranger.close()
        plain = build(url(server, "?timeout_s=1"))
        with pytest.raises(RetryLater):
            plain.send(sample_batch())
        plain.close()


def test_a_fork_sends_over_a_connection_of_its_own_and_nobody_prints(server):
    assert (0, "") == brokerservers.said_by_forks(url(server))
    owners = {key.partition(":")[0] for key in stream(server).keys}

    assert {"parent", "child", "parent-again"} == owners


def test_the_second_host_answers_when_the_first_does_not(server):
    exporter = build(f"redis://127.0.0.1:1,127.0.0.1:{server.port}/telemetry")
    exporter.send(sample_batch())
    exporter.close()

    assert 3 == len(stream(server).messages)
