import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Apache Kafka's Java client: write, read, admin and errors as driver.rs asks for them. */
public final class Driver {
    private static final Duration TIMEOUT = Duration.ofSeconds(30);
    private static final int BUFFER_BYTES = 256 << 10;

    private final String bootstrap;
    private final String topic;
    private final DataInputStream in =
        new DataInputStream(new BufferedInputStream(new FileInputStream(FileDescriptor.in), BUFFER_BYTES));
    private final DataOutputStream out =
        new DataOutputStream(new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), BUFFER_BYTES));

    private Driver(String bootstrap, String topic) {
        this.bootstrap = bootstrap;
        this.topic = topic;
    }

    public static void main(String[] arguments) throws Exception {
        Driver driver = new Driver(arguments[1], arguments[2]);
        switch (arguments[0]) {
            case "write" -> driver.write(arguments[3]);
            case "read" -> driver.read();
            case "admin" -> driver.admin();
            case "errors" -> driver.errors();
            case "group" -> driver.group(arguments[3], arguments[4]);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
        driver.out.flush();
    }

    /** One member of a group; it leaves when standard input ends. */
    private void group(String group, String protocol) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("group.id", group);
        properties.put("group.protocol", protocol);
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        properties.put("fetch.max.wait.ms", "100");
        properties.put("retry.backoff.ms", "50");
        if (protocol.equals("classic")) {
            properties.put("session.timeout.ms", "6000");
            properties.put("heartbeat.interval.ms", "200");
        }
        AtomicBoolean told = new AtomicBoolean();
        Thread listener = new Thread(() -> {
            try {
                in.readAllBytes();
            } catch (IOException error) {
                // As good as its end.
            }
            told.set(true);
        });
        listener.setDaemon(true);
        listener.start();
        Set<Integer> owned = new TreeSet<>();
        var deserializer = new ByteArrayDeserializer();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(properties, deserializer, deserializer)) {
            consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    partitions.forEach(partition -> owned.add(partition.partition()));
                    sayOwns(owned);
                }

                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    partitions.forEach(partition -> owned.remove(partition.partition()));
                    sayOwns(owned);
                }
            });
            while (!told.get()) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(50))) {
                    say("read=" + record.partition() + ":" + record.offset());
                    var partition = new TopicPartition(record.topic(), record.partition());
                    long next = record.offset() + 1;
                    try {
                        consumer.commitSync(Map.of(partition, new OffsetAndMetadata(next)));
                        say("committed=" + record.partition() + ":" + next);
                    } catch (KafkaException error) {
                        System.err.println(error);
                    }
                }
            }
        }
    }

    private void sayOwns(Set<Integer> partitions) {
        say("owns=" + partitions.stream().map(String::valueOf).collect(Collectors.joining(",")));
    }

    private void say(String line) {
        try {
            out.write((line + "\n").getBytes(StandardCharsets.UTF_8));
            out.flush();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private void write(String codec) throws Exception {
        // Idempotence and acks=all are this client's defaults.
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = producer(Map.of("compression.type", codec, "linger.ms", "5"))) {
            for (int first = in.read(); first >= 0; first = in.read()) {
                sent.add(producer.send(nextRecord(first)));
            }
        }
        for (Future<RecordMetadata> future : sent) {
            RecordMetadata metadata = future.get();
            out.writeInt(metadata.partition());
            out.writeLong(metadata.offset());
        }
    }

    private ProducerRecord<byte[], byte[]> nextRecord(int first) throws IOException {
        int partition = first << 24 | in.readUnsignedByte() << 16 | in.readUnsignedShort();
        in.readLong();
        long timestamp = in.readLong();
        byte[] key = readBytes();
        byte[] value = readBytes();
        List<Header> headers = new ArrayList<>();
        for (int left = in.readInt(); left > 0; left--) {
            headers.add(new RecordHeader(new String(readBytes(), StandardCharsets.UTF_8), readBytes()));
        }
        return new ProducerRecord<>(
            topic, partition < 0 ? null : partition, timestamp < 0 ? null : timestamp, key, value, headers);
    }

    private void read() throws Exception {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic, TIMEOUT).stream()
                .map(info -> new TopicPartition(topic, info.partition())).toList();
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Set<TopicPartition> open = new HashSet<>(partitions);
            long last = System.nanoTime();
            while (!open.isEmpty()) {
                var records = consumer.poll(Duration.ofSeconds(1));
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    writeRecord(record);
                }
                open.removeIf(partition -> consumer.position(partition) >= ends.get(partition));
                if (!records.isEmpty()) {
                    last = System.nanoTime();
                } else if (System.nanoTime() - last > TIMEOUT.toNanos()) {
                    throw new IllegalStateException("nothing came from " + open);
                }
            }
        }
    }

    private void admin() throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            NewTopic created = new NewTopic(topic, 3, (short) 1).configs(Map.of("max.message.bytes", "123456"));
            var creation = admin.createTopics(List.of(created));
            creation.all().get();
            // The answer to the creation carries the partitions and the configuration, since KIP-525.
            int createdPartitions = creation.numPartitions(topic).get();
            String createdConfig = creation.config(topic).get().get("max.message.bytes").value();
            String createdId = creation.topicId(topic).get().toString();
            String again = errorOf(admin.createTopics(List.of(created)).all());
            try (KafkaProducer<byte[], byte[]> producer = producer(Map.of())) {
                for (int index = 0; index < 10; index++) {
                    producer.send(new ProducerRecord<>(topic, 1, 1000L * index + 1, null, new byte[] {'x'})).get();
                }
            }
            var cluster = admin.describeCluster();
            var description = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            var config = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("max.message.bytes");
            ConfigResource broker = new ConfigResource(
                ConfigResource.Type.BROKER, cluster.nodes().get().iterator().next().idString());
            int brokerConfigs = admin.describeConfigs(List.of(broker)).all().get().get(broker).entries().size();
            answer("brokers", cluster.nodes().get().size());
            answer("cluster_id", !cluster.clusterId().get().isEmpty());
            answer("controller", cluster.controller().get() != null);
            answer("created_partitions", createdPartitions);
            answer("created_max_message_bytes", createdConfig);
            answer("same_topic_id", description.topicId().toString().equals(createdId));
            answer("listed", admin.listTopics().names().get().contains(topic));
            answer("partitions", description.partitions().size());
            answer("max_message_bytes", config.value());
            answer("max_message_bytes_source", config.source());
            answer("broker_configs", brokerConfigs > 0);
            answer("create_again", again);
            answer("earliest", offset(admin, OffsetSpec.earliest()));
            answer("latest", offset(admin, OffsetSpec.latest()));
            answer("max_timestamp", offset(admin, OffsetSpec.maxTimestamp()));
            answer("at_time", offset(admin, OffsetSpec.forTimestamp(4500)));
            admin.deleteTopics(List.of(topic)).all().get();
            answer("delete_again", errorOf(admin.deleteTopics(List.of(topic)).all()));
            answer("describe_deleted", errorOf(admin.describeTopics(List.of(topic)).allTopicNames()));
        }
    }

    private long offset(Admin admin, OffsetSpec spec) throws Exception {
        TopicPartition partition = new TopicPartition(topic, 1);
        return admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get().offset();
    }

    private void errors() throws Exception {
        String absent = topic + "-absent";
        answer("unknown_topic_produce", produce(new ProducerRecord<>(absent, new byte[1])));
        answer("unknown_topic_consume", endOffset(absent, 0));
        answer("record_too_large", produce(new ProducerRecord<>(topic, new byte[200_000])));
        answer("no_such_partition_produce", produce(new ProducerRecord<>(topic, 99, null, new byte[1])));
        answer("no_such_partition_consume", endOffset(topic, 99));
    }

    private String produce(ProducerRecord<byte[], byte[]> record) {
        Map<String, Object> impatient = Map.of("max.block.ms", "4000", "max.request.size", "10000000");
        try (KafkaProducer<byte[], byte[]> producer = producer(impatient)) {
            producer.send(record).get();
            return "success";
        } catch (ExecutionException error) {
            return error.getCause().getClass().getSimpleName();
        } catch (Exception error) {
            return error.getClass().getSimpleName();
        }
    }

    private String endOffset(String topic, int partition) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            consumer.endOffsets(List.of(new TopicPartition(topic, partition)), Duration.ofSeconds(4));
            return "success";
        } catch (Exception error) {
            return error.getClass().getSimpleName();
        }
    }

    private static String errorOf(KafkaFuture<?> future) throws InterruptedException {
        try {
            future.get();
            return "success";
        } catch (ExecutionException error) {
            return error.getCause().getClass().getSimpleName();
        }
    }

    private KafkaProducer<byte[], byte[]> producer(Map<String, Object> settings) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.putAll(settings);
        return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private KafkaConsumer<byte[], byte[]> consumer() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("auto.offset.reset", "none");
        properties.put("enable.auto.commit", "false");
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private byte[] readBytes() throws IOException {
        int length = in.readInt();
        if (length < 0) {
            return null;
        }
        byte[] content = new byte[length];
        in.readFully(content);
        return content;
    }

    private void writeRecord(ConsumerRecord<byte[], byte[]> record) throws IOException {
        out.writeInt(record.partition());
        out.writeLong(record.offset());
        out.writeLong(record.timestamp());
        writeBytes(record.key());
        writeBytes(record.value());
        Header[] headers = record.headers().toArray();
        out.writeInt(headers.length);
        for (Header header : headers) {
            writeBytes(header.key().getBytes(StandardCharsets.UTF_8));
            writeBytes(header.value());
        }
    }

    private void writeBytes(byte[] content) throws IOException {
        out.writeInt(content == null ? -1 : content.length);
        if (content != null) {
            out.write(content);
        }
    }

    private void answer(String name, Object value) throws IOException {
        out.write((name + "=" + value + "\n").getBytes(StandardCharsets.UTF_8));
    }
}
