"""aiokafka: write, read, admin and errors as driver.rs asks for them."""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

import frames

TIMEOUT = 30
# Sends that wait for their ack at a time; more would only cost memory.
IN_FLIGHT_MAX = 4000


async def write(bootstrap, topic, codec):
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        enable_idempotence=True,
        acks="all",
        compression_type=None if codec == "none" else codec,
        max_batch_size=65536,
        linger_ms=5,
    )
    await producer.start()
    pending = []

    async def drain():
        for metadata in await asyncio.gather(*pending):
            frames.write_ack(metadata.partition, metadata.offset)
        pending.clear()

    for partition, timestamp, key, value, headers in frames.records():
        sent = await producer.send(
            topic, value, key, partition=partition, timestamp_ms=timestamp, headers=headers or None
        )
        pending.append(sent)
        if len(pending) >= IN_FLIGHT_MAX:
            await drain()
    await drain()
    await producer.stop()


async def read(bootstrap, topic):
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="none", check_crcs=True
    )
    await consumer.start()
    partitions = [TopicPartition(topic, number) for number in await partitions_of(consumer, topic)]
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    starts = await consumer.beginning_offsets(partitions)
    for partition, offset in starts.items():
        consumer.seek(partition, offset)
    open_partitions = {partition for partition in partitions if ends[partition] > starts[partition]}
    while open_partitions:
        batches = await asyncio.wait_for(consumer.getmany(timeout_ms=5000), TIMEOUT)
        for partition, messages in batches.items():
            for message in messages:
                frames.write_record(
                    message.partition,
                    message.offset,
                    message.timestamp,
                    message.key,
                    message.value,
                    message.headers,
                )
            if messages and messages[-1].offset + 1 >= ends[partition]:
                open_partitions.discard(partition)
    await consumer.stop()


async def partitions_of(consumer, topic):
    # Without a subscription the client learns of a topic when it first asks for its partitions.
    await consumer._client.add_topic(topic)
    return sorted(consumer.partitions_for_topic(topic))


async def admin(bootstrap, topic):
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()

    async def create():
        new = NewTopic(topic, 3, 1, topic_configs={"max.message.bytes": "123456"})
        response = await client.create_topics([new])
        return name_of(response.topic_errors[0][1])

    assert await create() == "NoError"
    again = await create()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    await producer.start()
    for index in range(10):
        await producer.send_and_wait(topic, b"x", partition=1, timestamp_ms=1000 * index + 1)
    await producer.stop()
    cluster = await client.describe_cluster()
    described = await client.describe_topics([topic])
    (configs,) = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    values = {entry[0]: entry[1] for entry in configs.resources[0][4]}
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    partition = TopicPartition(topic, 1)
    consumer.assign([partition])
    earliest = (await consumer.beginning_offsets([partition]))[partition]
    latest = (await consumer.end_offsets([partition]))[partition]
    at_time = (await consumer.offsets_for_times({partition: 4500}))[partition].offset
    await consumer.stop()
    deleted = await client.delete_topics([topic])
    assert name_of(deleted.topic_error_codes[0][1]) == "NoError"
    deleted = await client.delete_topics([topic])
    await client.close()
    frames.answer(
        brokers=len(cluster["brokers"]),
        cluster_id=len(cluster["cluster_id"]) > 0,
        partitions=len(described[0]["partitions"]),
        max_message_bytes=values["max.message.bytes"],
        create_again=again,
        earliest=earliest,
        latest=latest,
        at_time=at_time,
        delete_again=name_of(deleted.topic_error_codes[0][1]),
    )


async def errors(bootstrap, topic):
    absent = topic + "-absent"

    async def produce(topic, value, **options):
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, request_timeout_ms=5000, max_request_size=10_000_000, max_batch_size=10_000_000
        )
        await producer.start()
        try:
            await producer.send_and_wait(topic, value, **options)
            return "success"
        except (KafkaError, AssertionError, ValueError) as error:
            return type(error).__name__
        finally:
            await producer.stop()

    async def end_offset(topic, partition):
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, request_timeout_ms=5000)
        await consumer.start()
        try:
            await consumer.end_offsets([TopicPartition(topic, partition)])
            return "success"
        except (KafkaError, AssertionError) as error:
            return type(error).__name__
        finally:
            await consumer.stop()

    frames.answer(
        unknown_topic_produce=await produce(absent, b"x"),
        unknown_topic_consume=await end_offset(absent, 0),
        record_too_large=await produce(topic, b"x" * 200_000),
        no_such_partition_produce=await produce(topic, b"x", partition=99),
        no_such_partition_consume=await end_offset(topic, 99),
    )


async def group(bootstrap, topic, group, protocol):
    assert protocol == "classic"
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=6000,
        heartbeat_interval_ms=200,
        fetch_max_wait_ms=100,
        retry_backoff_ms=50,
    )

    class Listener(ConsumerRebalanceListener):
        async def on_partitions_revoked(self, revoked):
            frames.say_owns([])

        async def on_partitions_assigned(self, assigned):
            frames.say_owns(partition.partition for partition in assigned)

    consumer.subscribe([topic], listener=Listener())
    await consumer.start()
    told = frames.told_to_leave()
    while not told.is_set():
        batches = await consumer.getmany(timeout_ms=50)
        for partition, messages in batches.items():
            for message in messages:
                frames.say("read", message.partition, message.offset)
            try:
                await consumer.commit({partition: messages[-1].offset + 1})
                frames.say("committed", partition.partition, messages[-1].offset + 1)
            except KafkaError as error:
                print(repr(error), file=sys.stderr)
    await consumer.stop()


def name_of(code):
    return for_code(code).__name__


if __name__ == "__main__":
    asyncio.run({"write": write, "read": read, "admin": admin, "errors": errors, "group": group}[sys.argv[1]](*sys.argv[2:]))
    frames.sink.flush()
