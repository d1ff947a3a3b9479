"""A real NATS tells what stands in its stream."""

import asyncio
import dataclasses
import signal
import time

import brokerservers
import matrix
import pytest
from brokerread import add_stream
from brokerread import nats_asked as asked
from brokerread import nats_stream as stream
from brokerservers import SENT
from servers import eventually
from shop import Shop

from probekit.errors import Forbidden, RetryLater, TooLarge
from probekit.exporters import build
from probekit.testing import ExporterContract
from probekit.testing.contract import SECRET, sample_batch

pytestmark = [pytest.mark.backend, pytest.mark.timeout(120)]


@pytest.fixture
def server(tmp_path):
    with brokerservers.nats(tmp_path / "nats") as running:
        asked(running, add_stream())
        yield running


def url(server, query=""):
    return f"nats://127.0.0.1:{server.port}/telemetry.shop{query}"


class Fresh:
    """Sends every batch as one of another buffer, so that none is a repetition."""

    def __init__(self, exporter):
        self._exporter, self._number = exporter, 0
        self.contract, self.close = exporter.contract, exporter.close

    def send(self, batch):
        self._number += 1
        buffer_id = f"{id(self):x}-{self._number:x}"
        self._exporter.send(dataclasses.replace(batch, buffer_id=buffer_id))


class TestNatsContract(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self, tmp_path):
        with brokerservers.nats(tmp_path / "nats") as self.server:
            asked(self.server, add_stream())
            yield

    def exporter(self):
        return Fresh(build(url(self.server)))

    def received(self):
        async def count(connection):
            info = await connection.jetstream().stream_info("TELEMETRY")
            return info.state.messages

        return asked(self.server, count)

    def break_far_side(self):
        self.server.kill()
        return True

    def secret_url(self):
        return f"nats://u:{SECRET}@127.0.0.1:{self.server.port}/t?token={SECRET}"


def test_everything_an_application_records_stands_in_the_stream(server, tmp_path):
    with Shop(tmp_path, url(server)) as shop:
        assert shop.delivered()
    found = stream(server).told()

    async def version(connection):
        return str(connection.connected_server_version)

    name = asked(server, version).strip("<>").replace("nats server v", "nats-server ")
    matrix.record("`nats:` (JetStream)", name, SENT, found)
    assert SENT == found


def test_a_batch_that_comes_again_adds_nothing(server):
    exporter = build(url(server))
    exporter.send(sample_batch(10**18))
    exporter.send(sample_batch(10**18))
    exporter.close()
    found = stream(server)

    assert ["metrics", "logs", "traces"] == [kind for _, kind, _ in found.messages]
    assert {sample_batch(10**18).key} == {key.rpartition(":")[0] for key in found.keys}
    assert (5, 2, 1) == (len(found.points), len(found.events), len(found.spans))


def test_a_connection_that_ended_meanwhile_is_opened_again(server):
    exporter = build(url(server))
    exporter.send(sample_batch(1))
    server.kill()
    server.start()
    exporter.send(dataclasses.replace(sample_batch(1), buffer_id="b"))
    exporter.close()

    assert 6 == len(stream(server).messages)


def test_a_server_that_stands_still_holds_nobody_beyond_the_deadline(server):
    exporter = build(url(server, "?timeout_s=0.5"))
    exporter.send(sample_batch(1))
    server._server.send_signal(signal.SIGSTOP)
    began_s = time.monotonic()
    again = dataclasses.replace(sample_batch(1), buffer_id="b")
    with pytest.raises(RetryLater):
        exporter.send(again)
    took_s = time.monotonic() - began_s
    server._server.send_signal(signal.SIGCONT)
    exporter.send(again)
    exporter.close()

    assert took_s < 5
    assert 6 == len(stream(server).messages)


def test_a_subject_that_no_stream_covers_keeps_the_data(server):
    exporter = build(f"nats://127.0.0.1:{server.port}/elsewhere")
    with pytest.raises(RetryLater, match="NoStreamResponse"):
        exporter.send(sample_batch())
    exporter.close()


def test_somebody_elses_answer_is_no_acknowledgement(server):
    exporter = build(f"nats://127.0.0.1:{server.port}/polite?timeout_s=5")

    async def answers(connection):
        async def hello(message):
            await message.respond(b"hello")

        await connection.subscribe("polite", cb=hello)
        await connection.flush()
        loop = asyncio.get_running_loop()
        with pytest.raises(RetryLater):
            await loop.run_in_executor(None, exporter.send, sample_batch())
        exporter.close()

    asked(server, answers)


def test_a_message_longer_than_the_stream_takes_is_halved(server):
    async def narrow(connection):
        wanted = {"name": "NARROW", "subjects": ["narrow"], "max_msg_size": 300}
        await connection.jetstream().add_stream(**wanted)

    asked(server, narrow)
    exporter = build(f"nats://127.0.0.1:{server.port}/narrow")
    with pytest.raises(TooLarge, match="10054"):
        exporter.send(sample_batch())
    exporter.close()


def test_a_message_longer_than_the_server_takes_is_halved(server):
    batch = sample_batch()
    event = dataclasses.replace(batch.events[0], body="x" * 2_000_000)
    exporter = build(url(server))
    with pytest.raises(TooLarge):
        exporter.send(dataclasses.replace(batch, windows=(), spans=(), events=(event,)))
    exporter.send(batch)
    exporter.close()

    assert 3 == len(stream(server).messages)


def test_one_record_that_is_too_long_is_a_dead_letter_and_the_rest_arrives(
    server, tmp_path
):
    async def narrow(connection):
        wanted = {"name": "NARROW", "subjects": ["narrow"], "max_msg_size": 5000}
        await connection.jetstream().add_stream(**wanted)

    asked(server, narrow)
    with Shop(tmp_path, f"nats://127.0.0.1:{server.port}/narrow") as shop:
        shop.ask("hostile x")
        assert shop.delivered()
        assert eventually(lambda: shop.ask("flush 5"), 30)
        reasons = {reason for _, reason in shop.dead_letters()}

    assert reasons
    assert all("10054" in reason for reason in reasons)


def test_wrong_credentials_keep_the_data_and_are_not_shown(tmp_path):
    with brokerservers.nats(tmp_path, "--user", "u", "--pass", "right") as server:
        for credentials in ("", f"u:{SECRET}@"):
            exporter = build(f"nats://{credentials}127.0.0.1:{server.port}/telemetry")
            with pytest.raises(Forbidden) as caught:
                exporter.send(sample_batch())
            exporter.close()
            assert SECRET not in str(caught.value)


def test_what_the_account_may_not_publish_keeps_the_data(tmp_path):
    config = tmp_path / "c.conf"
    config.write_text(
        'authorization { users: [ { user: "u", password: "p", permissions: '
        '{ publish: "other.>" } } ] }\n'
    )
    with brokerservers.nats(tmp_path, "-c", config) as server:
        exporter = build(f"nats://u:p@127.0.0.1:{server.port}/telemetry?timeout_s=1")
        with pytest.raises(Forbidden, match="ermissions"):
            exporter.send(sample_batch())
        exporter.close()


def test_a_certificate_is_verified_by_the_authority_of_the_url(tmp_path):
    files = brokerservers.CERTIFICATES
    words = ["--tls", "--tlscert", files / "server.pem", "--tlskey"]
    with brokerservers.nats(tmp_path, *words, files / "server.key") as server:
        exporter = build(url(server, f"?tls=1&ca={files / 'ca.pem'}&timeout_s=2"))
        with pytest.raises(RetryLater, match="NoStreamResponse"):
            exporter.send(sample_batch())
        exporter.close()
        stranger = build(url(server, "?tls=1&timeout_s=2"))
        with pytest.raises(Forbidden, match="certificate"):
            stranger.send(sample_batch())
        stranger.close()


def test_a_fork_sends_over_a_connection_of_its_own_and_nobody_prints(server):
    assert (0, "") == brokerservers.said_by_forks(url(server))
    owners = {key.partition(":")[0] for key in stream(server).keys}

    assert {"parent", "child", "parent-again"} == owners


def test_the_second_host_answers_when_the_first_does_not(server):
    exporter = build(f"nats://127.0.0.1:1,127.0.0.1:{server.port}/telemetry.x")
    exporter.send(sample_batch())
    exporter.close()

    assert 3 == len(stream(server).messages)
