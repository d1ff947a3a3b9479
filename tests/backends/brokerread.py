"""What stands in the brokers' streams and topics, read by their own clients."""

import asyncio
import contextlib

from brokerservers import Found

from needs import library


def redis_stream(server, name="telemetry"):
    """All entries of a stream as (key, signal, body)."""
    with library("redis").Redis(port=server.port) as connection:
        entries = [fields for _, fields in connection.xrange(name)]
    return Found(
        (fields[b"key"].decode(), fields[b"signal"].decode(), fields[b"body"])
        for fields in entries
    )


def nats_asked(server, work):
    """What *work* says, given a connection; it may be tried until it works."""
    nats = library("nats")

    async def connected():
        async with contextlib.AsyncExitStack() as stack:
            connection = await nats.connect(f"nats://127.0.0.1:{server.port}")
            stack.push_async_callback(connection.close)
            return await work(connection)

    return asyncio.run(connected())


def add_stream(**more):
    async def work(connection):
        wanted = {"name": "TELEMETRY", "subjects": ["telemetry.>"], **more}
        await connection.jetstream().add_stream(**wanted)

    return work


async def everything(connection):
    stream = connection.jetstream()
    info = await stream.stream_info("TELEMETRY")
    found = []
    for number in range(1, info.state.last_seq + 1):
        message = await stream.get_msg("TELEMETRY", number)
        headers = message.headers
        found.append((headers["Nats-Msg-Id"], headers["Probekit-Signal"], message.data))
    return found


def nats_stream(server):
    """All messages of a stream."""
    return Found(nats_asked(server, everything))


def kafka_records(server, topic="telemetry"):
    """All records of a topic, partition after partition."""
    aiokafka = library("aiokafka")

    async def read():
        consumer = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=f"127.0.0.1:{server.port}", enable_auto_commit=False
        )
        await consumer.start()
        try:
            numbers = consumer.partitions_for_topic(topic) or await known(consumer)
            places = [aiokafka.TopicPartition(topic, n) for n in sorted(numbers or ())]
            if not places:
                return []
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            ends = await consumer.end_offsets(places)
            found, left = [], sum(ends.values())
            while len(found) < left:
                some = await consumer.getmany(timeout_ms=1000)
                found += [record for several in some.values() for record in several]
            return found
        finally:
            await consumer.stop()

    async def known(consumer):
        await consumer.topics()
        return consumer.partitions_for_topic(topic)

    return asyncio.run(read())


def kafka_topic(server, name="telemetry"):
    return Found(
        (
            record.key.decode(),
            dict(record.headers)["probekit-signal"].decode(),
            record.value,
        )
        for record in kafka_records(server, name)
    )
