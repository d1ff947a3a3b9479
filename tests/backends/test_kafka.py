"""A broker that speaks Kafka's protocol tells what stands in its topic.

It is tansu: no Kafka can be had from the package sources. It keeps all in memory, and
knows no producer ids, hence ``idempotence=0``.
"""

import asyncio
import dataclasses

import brokerservers
import matrix
import pytest
import searchservers
from brokerread import kafka_records as records
from brokerread import kafka_topic as topic
from brokerservers import SENT
from servers import eventually
from shop import Shop

from needs import library
from probekit.errors import RetryLater, TooLarge
from probekit.exporters import build
from probekit.testing import ExporterContract
from probekit.testing.contract import SECRET, sample_batch

pytestmark = [pytest.mark.backend, pytest.mark.timeout(120)]


@pytest.fixture
def server(tmp_path):
    with brokerservers.kafka(tmp_path / "kafka") as running:
        yield running


def url(server, query="", name="telemetry"):
    return f"kafka://127.0.0.1:{server.port}/{name}?idempotence=0{query}"


class TestKafkaContract(ExporterContract):
    @pytest.fixture(autouse=True)
    def far_side(self, tmp_path):
        with brokerservers.kafka(tmp_path / "kafka") as self.server:
            yield

    def exporter(self):
        return build(url(self.server, "&timeout_s=2"))

    def received(self):
        aiokafka = library("aiokafka")

        async def count():
            consumer = aiokafka.AIOKafkaConsumer(
                bootstrap_servers=f"127.0.0.1:{self.server.port}"
            )
            await consumer.start()
            try:
                await consumer.topics()
                numbers = consumer.partitions_for_topic("telemetry") or ()
                places = [aiokafka.TopicPartition("telemetry", n) for n in numbers]
                return sum((await consumer.end_offsets(places)).values())
            finally:
                await consumer.stop()

        return asyncio.run(count())

    def break_far_side(self):
        self.server.kill()
        return True

    def secret_url(self):
        return f"kafka://u:{SECRET}@127.0.0.1:{self.server.port}/t?timeout_s=1"


def test_everything_an_application_records_stands_in_the_topic(server, tmp_path):
    with Shop(tmp_path, url(server)) as shop:
        assert shop.delivered()
    found = topic(server).told()

    matrix.record("`kafka:`", "tansu 0.6 (Kafka's protocol)", SENT, found)
    assert SENT == found


def test_a_batch_that_comes_again_has_the_same_keys(server):
    exporter = build(url(server))
    exporter.send(sample_batch(10**18))
    exporter.send(sample_batch(10**18))
    exporter.close()
    found = topic(server)

    assert not exporter.contract.idempotent
    assert 6 == len(found.messages)
    assert 3 == len(set(found.messages))
    assert {sample_batch(10**18).key} == {key.rpartition(":")[0] for key in found.keys}


def test_a_record_carries_its_type_and_is_readable_by_its_headers(server):
    exporter = build(url(server, "&gzip=0&signals=spans", "otlp_{signal}"))
    exporter.send(sample_batch())
    exporter.close()
    (record,) = records(server, "otlp_traces")

    assert (
        ("content-type", b"application/x-protobuf"),
        ("probekit-signal", b"traces"),
    ) == tuple(record.headers)


def test_a_broker_that_comes_back_is_found_again(server):
    exporter = build(url(server, "&timeout_s=1"))
    exporter.send(sample_batch())
    server.kill()
    with pytest.raises(RetryLater):
        exporter.send(sample_batch())
    server.start()
    assert eventually(lambda: sends(exporter), 30)
    exporter.close()

    assert len(topic(server)) >= 8


def sends(exporter):
    try:
        exporter.send(sample_batch())
    except RetryLater:
        return False
    return True


def test_a_fork_sends_over_a_connection_of_its_own_and_nobody_prints(server):
    assert (0, "") == brokerservers.said_by_forks(url(server))
    owners = {key.partition(":")[0] for key in topic(server).keys}

    assert {"parent", "child", "parent-again"} == owners


def test_a_message_that_is_too_long_is_halved(server):
    batch = sample_batch()
    event = dataclasses.replace(batch.events[0], body="x" * 2_000_000)
    exporter = build(url(server))
    with pytest.raises(TooLarge):
        exporter.send(dataclasses.replace(batch, windows=(), spans=(), events=(event,)))
    exporter.send(batch)
    exporter.close()

    assert 3 == len(topic(server).messages)


def test_a_broker_with_producer_ids_gives_one(tmp_path):
    with searchservers.noida(tmp_path) as search:
        search.server.port = search.server.ports["kafka"]
        exporter = build(f"kafka://127.0.0.1:{search.server.port}/telemetry")
        exporter.send(sample_batch())
        exporter.close()
        found = topic(search.server)

    assert (5, 2, 1) == (len(found.points), len(found.events), len(found.spans))


def test_a_broker_without_producer_ids_is_told_by_its_error(server):
    exporter = build(f"kafka://127.0.0.1:{server.port}/telemetry?timeout_s=2")
    with pytest.raises(RetryLater, match="idempotence=0"):
        exporter.send(sample_batch())
    exporter.close()
