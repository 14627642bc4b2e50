"""librdkafka by way of confluent-kafka: write, read, admin and errors as driver.rs asks for them."""

import sys

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

import frames

TIMEOUT = 30


def write(bootstrap, topic, codec):
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": codec,
            "linger.ms": 5,
        }
    )
    acks = []

    def delivered(number):
        def on_delivery(error, message):
            if error is not None:
                raise KafkaException(error)
            acks[number] = (message.partition(), message.offset())

        return on_delivery

    for partition, timestamp, key, value, headers in frames.records():
        acks.append(None)
        options = {}
        if partition is not None:
            options["partition"] = partition
        if timestamp is not None:
            options["timestamp"] = timestamp
        while True:
            try:
                producer.produce(
                    topic, value=value, key=key, headers=headers, on_delivery=delivered(len(acks) - 1), **options
                )
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(TIMEOUT)
    if left:
        raise SystemExit(f"{left} records were not acknowledged")
    for partition, offset in acks:
        frames.write_ack(partition, offset)


def consumer_of(bootstrap):
    # librdkafka wants a group id; without subscribe() and commits no group is ever asked for.
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "unused",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "check.crcs": True,
            "auto.offset.reset": "error",
        }
    )


def read(bootstrap, topic):
    consumer = consumer_of(bootstrap)
    partitions = consumer.list_topics(topic, TIMEOUT).topics[topic].partitions
    ends = {}
    for partition in partitions:
        _, ends[partition] = consumer.get_watermark_offsets(TopicPartition(topic, partition), TIMEOUT)
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    open_partitions = set(partitions)
    idle = 0
    while open_partitions:
        # It waits its whole time for a full number, so the time is short.
        messages = consumer.consume(1000, 0.1)
        idle = 0 if messages else idle + 1
        if idle > TIMEOUT * 10:
            raise SystemExit(f"nothing came from {open_partitions} for {TIMEOUT} s")
        for message in messages:
            error = message.error()
            if error is None:
                frames.write_record(
                    message.partition(),
                    message.offset(),
                    message.timestamp()[1],
                    message.key(),
                    message.value(),
                    message.headers(),
                )
            elif error.code() == KafkaError._PARTITION_EOF:
                # An end that lies before the high watermark would hide a loss.
                if message.offset() < ends[message.partition()]:
                    raise SystemExit(f"end of partition {message.partition()} at {message.offset()}")
                open_partitions.discard(message.partition())
            else:
                raise KafkaException(error)
    consumer.close()


def admin(bootstrap, topic):
    client = AdminClient({"bootstrap.servers": bootstrap})

    def create():
        new = NewTopic(topic, 3, 1, config={"max.message.bytes": "123456"})
        client.create_topics([new])[topic].result(TIMEOUT)

    create()
    again = error_of(create)
    write_ten(bootstrap, topic)
    cluster = client.describe_cluster().result(TIMEOUT)
    metadata = client.list_topics(topic, TIMEOUT).topics[topic]
    resource = ConfigResource(ResourceType.TOPIC, topic)
    config = client.describe_configs([resource])[resource].result(TIMEOUT)["max.message.bytes"]

    def offset(spec):
        partition = TopicPartition(topic, 1)
        return client.list_offsets({partition: spec})[partition].result(TIMEOUT).offset

    earliest = offset(OffsetSpec.earliest())
    latest = offset(OffsetSpec.latest())
    max_timestamp = offset(OffsetSpec.max_timestamp())
    consumer = consumer_of(bootstrap)
    (at_time,) = consumer.offsets_for_times([TopicPartition(topic, 1, 4500)], TIMEOUT)
    client.delete_topics([topic])[topic].result(TIMEOUT)
    frames.answer(
        brokers=len(cluster.nodes),
        cluster_id=len(cluster.cluster_id) > 0,
        partitions=len(metadata.partitions),
        max_message_bytes=config.value,
        create_again=again,
        earliest=earliest,
        latest=latest,
        max_timestamp=max_timestamp,
        at_time=at_time.offset,
        delete_again=error_of(lambda: client.delete_topics([topic])[topic].result(TIMEOUT)),
    )


def write_ten(bootstrap, topic):
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    for index in range(10):
        producer.produce(topic, value=b"x", partition=1, timestamp=1000 * index + 1)
    assert producer.flush(TIMEOUT) == 0


def errors(bootstrap, topic):
    absent = topic + "-absent"

    def produce(topic, value, **options):
        failures = []
        producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "message.timeout.ms": 10_000,
                "message.max.bytes": 10_000_000,
                "topic.metadata.propagation.max.ms": 1000,
            }
        )
        producer.produce(topic, value=value, on_delivery=lambda error, _: failures.append(error), **options)
        producer.flush(TIMEOUT)
        return failures[0].name() if failures[0] else "success"

    # An assigned consumer waits for ever for a topic to appear; asking for its offsets is where a user meets the error.
    def consume(topic, partition):
        consumer = consumer_of(bootstrap)
        return error_of(lambda: consumer.get_watermark_offsets(TopicPartition(topic, partition), TIMEOUT))

    frames.answer(
        unknown_topic_produce=produce(absent, b"x"),
        unknown_topic_consume=consume(absent, 0),
        record_too_large=produce(topic, b"x" * 200_000),
        no_such_partition_produce=produce(topic, b"x", partition=99),
        no_such_partition_consume=consume(topic, 99),
    )


def group(bootstrap, topic, group, protocol):
    config = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "group.protocol": protocol,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "fetch.wait.max.ms": 100,
        "reconnect.backoff.max.ms": 200,
    }
    if protocol == "classic":
        config |= {"session.timeout.ms": 6000, "heartbeat.interval.ms": 200}
    consumer = Consumer(config)
    owned = set()

    def assigned(consumer, partitions):
        owned.update(partition.partition for partition in partitions)
        frames.say_owns(owned)

    def revoked(consumer, partitions):
        owned.difference_update(partition.partition for partition in partitions)
        frames.say_owns(owned)

    consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked, on_lost=revoked)
    told = frames.told_to_leave()
    while not told.is_set():
        message = consumer.poll(0.05)
        if message is None:
            continue
        if message.error() is not None:
            # It goes on by itself after what is worth telling here: a broker that is away, for instance.
            print(message.error(), file=sys.stderr)
            continue
        frames.say("read", message.partition(), message.offset())
        try:
            consumer.commit(message, asynchronous=False)
            frames.say("committed", message.partition(), message.offset() + 1)
        except KafkaException as error:
            print(error, file=sys.stderr)
    consumer.close()


def error_of(action):
    try:
        action()
        return "success"
    except KafkaException as error:
        return error.args[0].name()


if __name__ == "__main__":
    {"write": write, "read": read, "admin": admin, "errors": errors, "group": group}[sys.argv[1]](*sys.argv[2:])
    frames.sink.flush()
