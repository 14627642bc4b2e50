//! The table of broker keys: every key that a Kafka broker's properties file may hold, and Rinka's own, prefixed `rinka.`.
//!
//! Holds data only: what the keys come to is computed in `broker`.

use super::definition::Allowed::{Any, AtLeast, Between, NoneOrSomeOf, OneOf};
use super::definition::ConfigType::{Boolean, Class, Double, Int, List, Long, Password, Short};
use super::definition::{Allowed, ConfigType, Definition, Effect};

const TEXT: ConfigType = ConfigType::String;

/// 1 MiB, Kafka's floor for a segment since 4.0 (KIP-1030).
const SEGMENT_BYTES_MIN: i64 = 1 << 20;

pub(super) const COMPRESSION_TYPES: &[&str] =
    &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
pub(super) const CLEANUP_POLICIES: &[&str] = &["compact", "delete"];
pub(super) const TIMESTAMP_TYPES: &[&str] = &["CreateTime", "LogAppendTime"];
pub(super) const ACKS: &[&str] = &["flushed", "written"];

const THREADS: &str = "one thread per shard does everything: see rinka.shards";
const QUORUM: &str = "the metadata quorum is this node alone, and no controller listener is opened";
const ZOOKEEPER: &str = "there is no ZooKeeper";
const NO_TLS: &str = "TLS is not built yet: listeners that ask for it are refused";
const NO_SASL: &str = "SASL is not built yet: listeners that ask for it are refused";
const NO_AUTHORIZER: &str = "no authorizer is built yet: authorizer.class.name is refused";
const OWN_REPLICATION: &str = "replicas are fed by the leader, not by fetching";
const OWN_JOURNAL: &str = "every append is journaled: see rinka.ack and rinka.journal.bytes";
const OWN_CLEANER: &str = "compaction runs inside each shard in what time is left over";
const OWN_METRICS: &str = "metrics are served over HTTP";
const NO_QUOTAS: &str =
    "of quotas only those of clients are built: bytes produced, bytes fetched and request time";
const NO_TIERS: &str = "tiered storage is not built";
const NO_SHARE_GROUPS: &str = "share groups are not built yet";
const NO_STREAMS_GROUPS: &str = "streams groups are not built yet";
const NO_JVM: &str = "Java classes cannot be loaded";
const NO_BALANCER: &str = "leaders are not moved automatically yet";

/// Keys that begin so are Kafka's, whatever follows: they configure one listener's security or a plugin.
pub(super) const PREFIXES_WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("listener.name.", NO_TLS),
    ("ssl.", NO_TLS),
    ("sasl.", NO_SASL),
    ("rlmm.", NO_TIERS),
    ("rsm.", NO_TIERS),
    ("remote.log.", NO_TIERS),
    ("zookeeper.", ZOOKEEPER),
    ("confluent.", "it belongs to another distribution of Kafka"),
    ("log.cleaner.", OWN_CLEANER),
    ("metadata.", QUORUM),
    ("controller.", QUORUM),
    ("group.share.", NO_SHARE_GROUPS),
    ("share.", NO_SHARE_GROUPS),
    ("group.streams.", NO_STREAMS_GROUPS),
    ("telemetry.", OWN_METRICS),
];

pub(super) fn definition(key: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.key == key)
}

const fn honoured(
    key: &'static str,
    config_type: ConfigType,
    default: Option<&'static str>,
    allowed: Allowed,
    documentation: &'static str,
) -> Definition {
    Definition {
        key,
        config_type,
        default,
        allowed,
        effect: Effect::Honoured,
        documentation,
    }
}

const fn without(
    key: &'static str,
    config_type: ConfigType,
    default: Option<&'static str>,
    why: &'static str,
) -> Definition {
    Definition {
        key,
        config_type,
        default,
        allowed: Any,
        effect: Effect::Without(why),
        documentation: why,
    }
}

const fn refused(
    key: &'static str,
    config_type: ConfigType,
    unless: &'static [&'static str],
    why: &'static str,
) -> Definition {
    Definition {
        key,
        config_type,
        default: None,
        allowed: Any,
        effect: Effect::RefusedUnless(unless, why),
        documentation: why,
    }
}

/// One line per key, however long.
#[rustfmt::skip]
pub(super) static DEFINITIONS: &[Definition] = &[
    // Who the node is and where it is reached.
    honoured("node.id", Int, Some("1"), AtLeast(0), "The number of this node, unique in the cluster."),
    honoured("broker.id", Int, None, AtLeast(-1), "The older name of node.id; both, if given, must agree."),
    honoured("broker.rack", TEXT, None, Any, "The rack of this node, told to clients."),
    honoured("process.roles", List, None, OneOf(&["broker", "controller"]), "Must include broker; this node is controller too whether named or not."),
    honoured("listeners", List, Some("PLAINTEXT://127.0.0.1:9092"), Any, "Where to listen: NAME://host:port, separated by commas; an empty host means all interfaces."),
    honoured("advertised.listeners", List, None, Any, "Where clients are told to connect, by listener name; unset means as in listeners."),
    honoured("listener.security.protocol.map", List, Some("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT"), Any, "The security protocol of each listener name; clients can be given PLAINTEXT only."),
    honoured("controller.listener.names", List, Some("CONTROLLER"), Any, "Listeners that belong to Kafka's own quorum; they are not opened."),
    // Where the data is.
    honoured("log.dirs", List, None, Any, "The data directory. Only the first one is used."),
    honoured("log.dir", TEXT, Some("./rinka-data"), Any, "The data directory, when log.dirs is not set."),
    // Topics.
    honoured("num.partitions", Int, Some("1"), AtLeast(1), "Partitions of a topic that is created without a number."),
    honoured("default.replication.factor", Int, Some("1"), Between(1, 32767), "Replicas of a topic that is created without a number."),
    honoured("auto.create.topics.enable", Boolean, Some("true"), Any, "Whether a topic comes into being when a client asks for it."),
    honoured("delete.topic.enable", Boolean, Some("true"), Any, "Whether topics can be deleted."),
    honoured("min.insync.replicas", Int, Some("1"), AtLeast(1), "In-sync replicas without which acks=all is refused."),
    honoured("unclean.leader.election.enable", Boolean, Some("false"), Any, "Whether a replica that lags may lead when no other is left; loses data."),
    // Connections and requests.
    honoured("message.max.bytes", Int, Some("1048588"), AtLeast(0), "The largest record batch taken, as it is on the wire."),
    honoured("socket.request.max.bytes", Int, Some("104857600"), AtLeast(1), "The largest request taken; a larger one closes the connection."),
    honoured("fetch.max.bytes", Int, Some("57671680"), AtLeast(1024), "The most bytes a fetch returns."),
    honoured("max.incremental.fetch.session.cache.slots", Int, Some("1000"), AtLeast(0), "Fetch sessions kept, per shard."),
    honoured("connections.max.idle.ms", Long, Some("600000"), Any, "A connection without a request for this long is closed; negative: never."),
    honoured("max.connections", Int, Some("2147483647"), AtLeast(0), "Connections taken at a time."),
    honoured("max.connections.per.ip", Int, Some("2147483647"), AtLeast(0), "Connections taken at a time from one address."),
    honoured("quota.window.num", Int, Some("11"), Between(1, 1000), "Windows over which the rate of a client with a quota is taken, the one that fills included."),
    honoured("quota.window.size.seconds", Int, Some("1"), Between(1, 3600), "The length of each of them."),
    // The log: defaults of the topics.
    honoured("log.segment.bytes", Int, Some("1073741824"), AtLeast(SEGMENT_BYTES_MIN), "The size at which a segment is closed."),
    honoured("log.roll.ms", Long, None, AtLeast(1), "The age at which a segment is closed."),
    honoured("log.roll.hours", Int, Some("168"), AtLeast(1), "As log.roll.ms, in hours; used when that is not set."),
    honoured("log.roll.jitter.ms", Long, None, AtLeast(0), "The most by which a segment is closed early, so that not all close together."),
    honoured("log.roll.jitter.hours", Int, Some("0"), AtLeast(0), "As log.roll.jitter.ms, in hours; used when that is not set."),
    honoured("log.retention.ms", Long, None, AtLeast(-1), "The age beyond which segments are deleted; -1: never."),
    honoured("log.retention.minutes", Int, None, AtLeast(-1), "As log.retention.ms, in minutes; used when that is not set."),
    honoured("log.retention.hours", Int, Some("168"), AtLeast(-1), "As log.retention.minutes, in hours; used when that is not set."),
    honoured("log.retention.bytes", Long, Some("-1"), Any, "The size of a partition beyond which its oldest segments are deleted; negative: no limit."),
    honoured("log.retention.check.interval.ms", Long, Some("300000"), AtLeast(1), "How often segments are looked at for deletion."),
    honoured("log.cleanup.policy", List, Some("delete"), NoneOrSomeOf(CLEANUP_POLICIES), "Whether old segments are deleted, compacted, or both; empty: neither."),
    honoured("log.cleaner.enable", Boolean, Some("true"), Any, "Whether topics that ask for it are compacted."),
    honoured("log.cleaner.backoff.ms", Long, Some("15000"), AtLeast(0), "The pause when no log is dirty enough to be compacted."),
    honoured("log.cleaner.dedupe.buffer.size", Long, None, AtLeast(1 << 20), "Memory for the keys of a log while it is compacted, all shards together, 24 bytes a key; not set: 16 MiB a shard."),
    honoured("log.cleaner.io.max.bytes.per.second", Double, None, Allowed::BetweenDoubles(1.0, f64::MAX), "What compaction may read and write, all shards together; not set: no limit."),
    honoured("log.cleaner.delete.retention.ms", Long, Some("86400000"), AtLeast(0), "How long a tombstone is kept in a compacted topic."),
    honoured("log.cleaner.min.compaction.lag.ms", Long, Some("0"), AtLeast(0), "The age below which a record is not compacted."),
    honoured("log.cleaner.max.compaction.lag.ms", Long, Some("9223372036854775807"), AtLeast(1), "The age beyond which a record is compacted even if little would be gained."),
    honoured("log.cleaner.min.cleanable.ratio", Double, Some("0.5"), Allowed::BetweenDoubles(0.0, 1.0), "The share of not yet compacted bytes above which a log is compacted."),
    honoured("log.index.interval.bytes", Int, Some("4096"), AtLeast(0), "Bytes between two entries of the offset index."),
    honoured("log.index.size.max.bytes", Int, Some("10485760"), AtLeast(4), "The size of an offset index at which its segment is closed."),
    honoured("log.segment.delete.delay.ms", Long, Some("60000"), AtLeast(0), "How long the file of a deleted segment stays."),
    honoured("log.message.timestamp.type", TEXT, Some("CreateTime"), OneOf(TIMESTAMP_TYPES), "Whether the producer or the broker sets the timestamps."),
    honoured("log.message.timestamp.before.max.ms", Long, Some("9223372036854775807"), AtLeast(0), "How far a record's timestamp may lie behind the broker's clock."),
    honoured("log.message.timestamp.after.max.ms", Long, Some("3600000"), AtLeast(0), "How far a record's timestamp may lie ahead of the broker's clock."),
    honoured("compression.type", TEXT, Some("producer"), OneOf(COMPRESSION_TYPES), "How batches are compressed in the log; producer: as they came."),
    honoured("compression.gzip.level", Int, Some("-1"), Between(-1, 9), "The level when compression.type is gzip."),
    honoured("compression.lz4.level", Int, Some("9"), Between(1, 17), "The level when compression.type is lz4."),
    honoured("compression.zstd.level", Int, Some("3"), Between(-131_072, 22), "The level when compression.type is zstd."),
    honoured("log.flush.interval.messages", Long, Some("9223372036854775807"), AtLeast(1), "The default of flush.messages; an ack waits as rinka.ack says."),
    honoured("log.flush.interval.ms", Long, None, AtLeast(0), "The default of flush.ms; an ack waits as rinka.ack says."),
    honoured("log.flush.scheduler.interval.ms", Long, Some("9223372036854775807"), AtLeast(0), "The default of flush.ms when log.flush.interval.ms is not set."),
    honoured("log.preallocate", Boolean, Some("false"), Any, "The default of preallocate, which topics may set and which has no effect."),
    honoured("log.local.retention.ms", Long, Some("-2"), AtLeast(-2), "The default of local.retention.ms, which has no effect without tiered storage."),
    honoured("log.local.retention.bytes", Long, Some("-2"), AtLeast(-2), "The default of local.retention.bytes, which has no effect without tiered storage."),
    honoured("producer.id.expiration.ms", Int, Some("86400000"), AtLeast(1), "How long an idle producer's sequence numbers are remembered."),
    // Groups, offsets, transactions.
    honoured("group.initial.rebalance.delay.ms", Int, Some("3000"), AtLeast(0), "How long an empty group waits for more members before its first generation."),
    honoured("group.min.session.timeout.ms", Int, Some("6000"), AtLeast(1), "The least session timeout a member may ask for."),
    honoured("group.max.session.timeout.ms", Int, Some("1800000"), AtLeast(1), "The greatest session timeout a member may ask for."),
    honoured("group.max.size", Int, Some("2147483647"), AtLeast(1), "The most members of a group."),
    honoured("group.consumer.session.timeout.ms", Int, Some("45000"), AtLeast(1), "The session timeout of members that speak the newer group protocol."),
    honoured("group.consumer.heartbeat.interval.ms", Int, Some("5000"), AtLeast(1), "The heartbeat interval of members that speak the newer group protocol."),
    honoured("group.consumer.min.session.timeout.ms", Int, Some("45000"), AtLeast(1), "The least consumer.session.timeout.ms that a group may be given."),
    honoured("group.consumer.max.session.timeout.ms", Int, Some("60000"), AtLeast(1), "The greatest consumer.session.timeout.ms that a group may be given."),
    honoured("group.consumer.min.heartbeat.interval.ms", Int, Some("5000"), AtLeast(1), "The least consumer.heartbeat.interval.ms that a group may be given."),
    honoured("group.consumer.max.heartbeat.interval.ms", Int, Some("15000"), AtLeast(1), "The greatest consumer.heartbeat.interval.ms that a group may be given."),
    honoured("group.consumer.assignment.interval.ms", Int, Some("0"), AtLeast(0), "How long after one assignment of a group that speaks the newer protocol the next one may be made, so that many joins come to one; Kafka's default is 1000."),
    honoured("group.consumer.min.assignment.interval.ms", Int, Some("0"), AtLeast(0), "The least consumer.assignment.interval.ms that a group may be given."),
    honoured("group.consumer.max.assignment.interval.ms", Int, Some("15000"), AtLeast(0), "The greatest consumer.assignment.interval.ms that a group may be given."),
    honoured("group.consumer.regex.refresh.interval.ms", Int, Some("600000"), AtLeast(10_000), "After how long the topics that a group's regular expressions mean are looked for again when none came or went."),
    honoured("group.consumer.max.size", Int, Some("2147483647"), AtLeast(1), "The most members of a group that speaks the newer protocol."),
    honoured("group.consumer.assignors", List, Some("uniform,range"), OneOf(&["uniform", "range"]), "The assignors of the newer group protocol; the first is the default."),
    honoured("group.consumer.migration.policy", TEXT, Some("bidirectional"), OneOf(&["bidirectional", "upgrade", "downgrade", "disabled"]), "Which way a group may change its protocol while it has members."),
    honoured("offset.metadata.max.bytes", Int, Some("4096"), AtLeast(0), "The longest metadata of a committed offset."),
    honoured("offsets.retention.minutes", Int, Some("10080"), AtLeast(1), "How long the offsets of an empty group are kept."),
    honoured("offsets.retention.check.interval.ms", Long, Some("600000"), AtLeast(1), "How often offsets are looked at for expiry."),
    honoured("offsets.topic.num.partitions", Int, Some("50"), Between(1, 10_000), "Partitions of __consumer_offsets."),
    honoured("offsets.topic.replication.factor", Short, Some("3"), AtLeast(1), "Replicas of __consumer_offsets. The default yields to a cluster with fewer nodes."),
    honoured("offsets.topic.segment.bytes", Int, Some("104857600"), AtLeast(SEGMENT_BYTES_MIN), "The segment size of __consumer_offsets."),
    honoured("transaction.max.timeout.ms", Int, Some("900000"), AtLeast(1), "The greatest transaction timeout a producer may ask for."),
    honoured("transactional.id.expiration.ms", Int, Some("604800000"), AtLeast(1), "How long an idle transactional id is remembered."),
    honoured("transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, Some("10000"), AtLeast(1), "How often transactions are looked at for their timeout."),
    honoured("transaction.remove.expired.transaction.cleanup.interval.ms", Int, Some("3600000"), AtLeast(1), "How often transactional ids are looked at for expiry."),
    honoured("transaction.state.log.num.partitions", Int, Some("50"), Between(1, 10_000), "Partitions of __transaction_state."),
    honoured("transaction.state.log.replication.factor", Short, Some("3"), AtLeast(1), "Replicas of __transaction_state. The default yields to a cluster with fewer nodes."),
    honoured("transaction.state.log.min.isr", Int, Some("2"), AtLeast(1), "min.insync.replicas of __transaction_state. The default yields to a cluster with fewer nodes."),
    honoured("transaction.state.log.segment.bytes", Int, Some("104857600"), AtLeast(SEGMENT_BYTES_MIN), "The segment size of __transaction_state."),
    honoured("replica.lag.time.max.ms", Long, Some("30000"), AtLeast(1), "How long a follower may lag before it leaves the in-sync replicas."),
    // Rinka's own.
    honoured("rinka.shards", Int, Some("0"), Between(0, 1024), "How many shards run, one per core; 0: one for each core this process may use."),
    honoured("rinka.routing", TEXT, Some("node"), OneOf(&["node", "core"]), "node: clients see one broker. core: they see a broker per shard and connect to the core that owns the partition."),
    honoured("rinka.core.port.base", Int, Some("0"), Between(0, 65_535), "With core routing, shard n listens on this port plus n; 0: the port of the first listener plus 1."),
    honoured("rinka.ack", TEXT, Some("flushed"), OneOf(ACKS), "What an ack waited for, unless the topic says otherwise. flushed: survives power loss. written: survives the end of the process."),
    honoured("rinka.memory", Long, Some("67108864"), Between(1 << 20, 1 << 40), "Bytes of cache per shard."),
    honoured("rinka.journal.bytes", Long, Some("268435456"), Between(64 << 20, 1 << 40), "Bytes of journal on disk per shard; bounds the work of recovery."),
    honoured("rinka.request.memory", Long, Some("268435456"), Between(1 << 20, 1 << 40), "Bytes of requests that a shard holds, half of them of large ones; beyond it sockets are not read."),
    honoured("rinka.reply.memory", Long, Some("268435456"), Between(1 << 20, 1 << 40), "Bytes of records that a shard holds for consumers that have yet to read them; a fetch gets a quarter of what is left at most."),
    honoured("rinka.request.time.ms", Int, Some("30000"), Between(1, 3_600_000), "How long a request may take to arrive, from its first byte, and a second more for each 16 KiB that came."),
    honoured("rinka.send.time.ms", Int, Some("30000"), Between(1, 3_600_000), "How long a client may take to read a reply, and a second more for each 16 KiB that it took."),
    honoured("rinka.spin.us", Int, Some("0"), Between(0, 1000), "How long an idle shard polls before it sleeps: buys latency with CPU."),
    honoured("rinka.admin.listener", TEXT, Some("127.0.0.1:9644"), Any, "Where /metrics, /healthz and /readyz are served over HTTP, HOST:PORT; empty: nowhere. The default yields when the port is taken, a value that was set does not."),
    honoured("rinka.shutdown.ms", Int, Some("10000"), Between(0, 3_600_000), "How long shutdown waits for requests under way."),
    // Told to tools, which read features from it.
    without("inter.broker.protocol.version", TEXT, Some("4.0-IV3"), "told to tools that read a broker's features from it"),
    // What would be less than asked for.
    refused("authorizer.class.name", Class, &[""], "authorization is not built yet, and every client would be let in"),
    refused("create.topic.policy.class.name", Class, &[""], "Java classes cannot be loaded, and every topic would be let in"),
    refused("alter.config.policy.class.name", Class, &[""], "Java classes cannot be loaded, and every change would be let in"),
    refused("security.inter.broker.protocol", TEXT, &["PLAINTEXT"], "neither TLS nor SASL is built yet"),
    refused("remote.log.storage.system.enable", Boolean, &["false"], "tiered storage is not built, and the disk would fill up"),
    // Known from Kafka, without effect.
    without("inter.broker.listener.name", TEXT, None, OWN_REPLICATION),
    without("controller.quorum.voters", List, None, QUORUM),
    without("controller.quorum.bootstrap.servers", List, Some(""), QUORUM),
    without("early.start.listeners", List, None, QUORUM),
    without("initial.broker.registration.timeout.ms", Int, Some("60000"), QUORUM),
    without("broker.heartbeat.interval.ms", Int, Some("2000"), QUORUM),
    without("broker.session.timeout.ms", Int, Some("9000"), QUORUM),
    without("server.max.startup.time.ms", Long, None, QUORUM),
    without("unstable.api.versions.enable", Boolean, Some("false"), QUORUM),
    without("unstable.feature.versions.enable", Boolean, Some("false"), QUORUM),
    without("broker.id.generation.enable", Boolean, None, ZOOKEEPER),
    without("reserved.broker.max.id", Int, None, ZOOKEEPER),
    without("control.plane.listener.name", TEXT, None, ZOOKEEPER),
    without("num.network.threads", Int, Some("3"), THREADS),
    without("num.io.threads", Int, Some("8"), THREADS),
    without("background.threads", Int, Some("10"), THREADS),
    without("num.recovery.threads.per.data.dir", Int, Some("2"), THREADS),
    without("num.replica.alter.log.dirs.threads", Int, None, THREADS),
    without("num.replica.fetchers", Int, Some("1"), THREADS),
    without("queued.max.requests", Int, Some("500"), THREADS),
    without("queued.max.request.bytes", Long, Some("-1"), THREADS),
    without("request.timeout.ms", Int, Some("30000"), OWN_REPLICATION),
    without("socket.send.buffer.bytes", Int, Some("102400"), "the kernel sizes socket buffers"),
    without("socket.receive.buffer.bytes", Int, Some("102400"), "the kernel sizes socket buffers"),
    without("socket.listen.backlog.size", Int, Some("50"), "the backlog is as long as the kernel allows"),
    without("max.connections.per.ip.overrides", TEXT, Some(""), NO_QUOTAS),
    without("max.connection.creation.rate", Int, Some("2147483647"), NO_QUOTAS),
    without("connection.failed.authentication.delay.ms", Int, Some("100"), NO_SASL),
    without("connections.max.reauth.ms", Long, Some("0"), NO_SASL),
    without("max.request.partition.size.limit", Int, Some("2000"), "a request is bounded by its bytes"),
    without("controlled.shutdown.enable", Boolean, Some("true"), "see rinka.shutdown.ms"),
    without("controlled.shutdown.max.retries", Int, None, "see rinka.shutdown.ms"),
    without("controlled.shutdown.retry.backoff.ms", Long, None, "see rinka.shutdown.ms"),
    without("auto.leader.rebalance.enable", Boolean, Some("true"), NO_BALANCER),
    without("leader.imbalance.check.interval.seconds", Long, Some("300"), NO_BALANCER),
    without("leader.imbalance.per.broker.percentage", Int, Some("10"), NO_BALANCER),
    without("replica.fetch.backoff.ms", Int, Some("1000"), OWN_REPLICATION),
    without("replica.fetch.max.bytes", Int, Some("1048576"), OWN_REPLICATION),
    without("replica.fetch.min.bytes", Int, Some("1"), OWN_REPLICATION),
    without("replica.fetch.response.max.bytes", Int, Some("10485760"), OWN_REPLICATION),
    without("replica.fetch.wait.max.ms", Int, Some("500"), OWN_REPLICATION),
    without("replica.high.watermark.checkpoint.interval.ms", Long, Some("5000"), OWN_REPLICATION),
    without("replica.socket.receive.buffer.bytes", Int, Some("65536"), OWN_REPLICATION),
    without("replica.socket.timeout.ms", Int, Some("30000"), OWN_REPLICATION),
    // Not in a file: tools that move replicas set them while a broker runs.
    without("leader.replication.throttled.rate", Long, None, OWN_REPLICATION),
    without("follower.replication.throttled.rate", Long, None, OWN_REPLICATION),
    without("replica.alter.log.dirs.io.max.bytes.per.second", Long, None, "there is one directory"),
    without("replica.selector.class", TEXT, None, NO_JVM),
    without("follower.fetch.last.tiered.offset.enable", Boolean, Some("false"), NO_TIERS),
    without("fetch.purgatory.purge.interval.requests", Int, Some("1000"), "waiting requests are dropped at once when answered"),
    without("producer.purgatory.purge.interval.requests", Int, Some("1000"), "waiting requests are dropped at once when answered"),
    without("delete.records.purgatory.purge.interval.requests", Int, Some("1"), "waiting requests are dropped at once when answered"),
    without("log.flush.offset.checkpoint.interval.ms", Int, Some("60000"), OWN_JOURNAL),
    without("log.flush.start.offset.checkpoint.interval.ms", Int, Some("60000"), OWN_JOURNAL),
    without("log.dir.failure.timeout.ms", Long, Some("30000"), "a failed write takes its partitions offline at once"),
    without("log.initial.task.delay.ms", Long, None, OWN_JOURNAL),
    without("log.deletion.max.segments.per.run", Int, None, OWN_CLEANER),
    without("log.message.format.version", TEXT, None, "batches are kept in the one format there is"),
    without("log.message.downconversion.enable", Boolean, None, "batches are kept in the one format there is"),
    without("log.message.timestamp.difference.max.ms", Long, None, "Kafka 4.0 replaced it by log.message.timestamp.before.max.ms and after.max.ms"),
    without("log.cleaner.threads", Int, Some("1"), OWN_CLEANER),
    without("log.cleaner.io.buffer.size", Int, Some("524288"), OWN_CLEANER),
    without("log.cleaner.io.buffer.load.factor", Double, Some("0.9"), OWN_CLEANER),
    without("group.coordinator.threads", Int, Some("4"), THREADS),
    without("group.coordinator.append.linger.ms", Int, Some("-1"), OWN_JOURNAL),
    without("group.coordinator.rebalance.protocols", List, Some("classic,consumer"), "the protocols that are built are offered"),
    without("group.coordinator.new.enable", Boolean, None, "there is one coordinator"),
    without("offsets.load.buffer.size", Int, Some("5242880"), OWN_JOURNAL),
    without("offsets.commit.timeout.ms", Int, Some("5000"), OWN_JOURNAL),
    without("offsets.commit.required.acks", Short, None, OWN_JOURNAL),
    without("offsets.topic.compression.codec", Int, Some("0"), "coordinator records are small and not compressed"),
    without("transaction.state.log.load.buffer.size", Int, Some("5242880"), OWN_JOURNAL),
    without("transaction.partition.verification.enable", Boolean, Some("true"), "partitions of a transaction are always verified"),
    without("transaction.two.phase.commit.enable", Boolean, Some("false"), "two-phase commit is not built yet"),
    without("producer.id.expiration.check.interval.ms", Int, Some("600000"), "expiry is looked at with retention"),
    without("add.partitions.to.txn.retry.backoff.ms", Int, Some("20"), OWN_REPLICATION),
    without("add.partitions.to.txn.retry.backoff.max.ms", Int, Some("100"), OWN_REPLICATION),
    without("client.quota.callback.class", Class, None, NO_QUOTAS),
    without("quota.consumer.default", Long, None, NO_QUOTAS),
    without("quota.producer.default", Long, None, NO_QUOTAS),
    without("replication.quota.window.num", Int, Some("11"), NO_QUOTAS),
    without("replication.quota.window.size.seconds", Int, Some("1"), NO_QUOTAS),
    without("alter.log.dirs.replication.quota.window.num", Int, Some("11"), NO_QUOTAS),
    without("alter.log.dirs.replication.quota.window.size.seconds", Int, Some("1"), NO_QUOTAS),
    without("controller.quota.window.num", Int, Some("11"), NO_QUOTAS),
    without("controller.quota.window.size.seconds", Int, Some("1"), NO_QUOTAS),
    without("super.users", TEXT, None, NO_AUTHORIZER),
    without("allow.everyone.if.no.acl.found", Boolean, None, NO_AUTHORIZER),
    without("principal.builder.class", Class, None, NO_JVM),
    without("security.providers", TEXT, None, NO_JVM),
    without("sasl.enabled.mechanisms", List, Some("GSSAPI"), NO_SASL),
    without("sasl.mechanism.inter.broker.protocol", TEXT, Some("GSSAPI"), NO_SASL),
    without("sasl.mechanism.controller.protocol", TEXT, Some("GSSAPI"), NO_SASL),
    without("sasl.jaas.config", Password, None, NO_SASL),
    without("sasl.kerberos.service.name", TEXT, None, NO_SASL),
    without("sasl.kerberos.kinit.cmd", TEXT, Some("/usr/bin/kinit"), NO_SASL),
    without("sasl.kerberos.ticket.renew.window.factor", Double, Some("0.8"), NO_SASL),
    without("sasl.kerberos.ticket.renew.jitter", Double, Some("0.05"), NO_SASL),
    without("sasl.kerberos.min.time.before.relogin", Long, Some("60000"), NO_SASL),
    without("sasl.kerberos.principal.to.local.rules", List, Some("DEFAULT"), NO_SASL),
    without("sasl.login.refresh.window.factor", Double, Some("0.8"), NO_SASL),
    without("sasl.login.refresh.window.jitter", Double, Some("0.05"), NO_SASL),
    without("sasl.login.refresh.min.period.seconds", Short, Some("60"), NO_SASL),
    without("sasl.login.refresh.buffer.seconds", Short, Some("300"), NO_SASL),
    without("ssl.keystore.location", TEXT, None, NO_TLS),
    without("ssl.keystore.password", Password, None, NO_TLS),
    without("ssl.keystore.key", Password, None, NO_TLS),
    without("ssl.keystore.certificate.chain", Password, None, NO_TLS),
    without("ssl.key.password", Password, None, NO_TLS),
    without("ssl.truststore.location", TEXT, None, NO_TLS),
    without("ssl.truststore.password", Password, None, NO_TLS),
    without("ssl.truststore.certificates", Password, None, NO_TLS),
    without("ssl.client.auth", TEXT, Some("none"), NO_TLS),
    without("delegation.token.master.key", Password, None, NO_SASL),
    without("delegation.token.secret.key", Password, None, NO_SASL),
    without("delegation.token.expiry.time.ms", Long, Some("86400000"), NO_SASL),
    without("delegation.token.max.lifetime.ms", Long, Some("604800000"), NO_SASL),
    without("delegation.token.expiry.check.interval.ms", Long, Some("3600000"), NO_SASL),
    without("password.encoder.secret", Password, None, ZOOKEEPER),
    without("metric.reporters", List, None, OWN_METRICS),
    without("auto.include.jmx.reporter", Boolean, None, OWN_METRICS),
    without("kafka.metrics.reporters", List, Some(""), OWN_METRICS),
    without("kafka.metrics.polling.interval.secs", Int, Some("10"), OWN_METRICS),
    without("metrics.num.samples", Int, Some("2"), OWN_METRICS),
    without("metrics.sample.window.ms", Long, Some("30000"), OWN_METRICS),
    without("metrics.recording.level", TEXT, Some("INFO"), OWN_METRICS),
    without("client.telemetry.max.bytes", Int, None, OWN_METRICS),
    without("config.providers", List, Some(""), NO_JVM),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_key_is_listed_once_and_documented_and_its_default_is_valid() {
        let mut seen = HashSet::new();
        for definition in DEFINITIONS {
            assert!(seen.insert(definition.key), "{} twice", definition.key);
            assert!(!definition.documentation.is_empty(), "{}", definition.key);
            if let Some(default) = definition.default {
                definition.parse(default).unwrap();
            }
        }
    }
}
