//! The table of topic keys: those of Kafka 4, `rinka.ack`, and for each the broker keys that hold its default.
//!
//! Holds data only: what the keys come to is computed in `topic`.

use super::broker_keys::{ACKS, CLEANUP_POLICIES, COMPRESSION_TYPES, TIMESTAMP_TYPES};
use super::definition::Allowed::{Any, AtLeast, Between, NoneOrSomeOf, OneOf};
use super::definition::ConfigType::{Boolean, Double, Int, List, Long};
use super::definition::{Allowed, ConfigType, Definition, Effect};

const TEXT: ConfigType = ConfigType::String;

/// A topic key and where its default comes from.
#[derive(Debug)]
pub(super) struct TopicKey {
    pub(super) definition: Definition,
    /// The broker's keys, the one that counts most first.
    pub(super) synonyms: &'static [Synonym],
}

/// A broker key whose value, times `unit`, is a topic key's default.
#[derive(Debug)]
pub(super) struct Synonym {
    pub(super) key: &'static str,
    pub(super) unit: i64,
}

/// Keys of earlier Kafka versions that old tools still send: taken and forgotten.
pub(super) const FORGOTTEN_KEYS: &[&str] = &[
    "message.downconversion.enable",
    "message.format.version",
    "message.timestamp.difference.max.ms",
];

pub(super) fn topic_key(key: &str) -> Option<&'static TopicKey> {
    KEYS.iter()
        .find(|topic_key| topic_key.definition.key == key)
}

const fn same(key: &'static str) -> Synonym {
    Synonym { key, unit: 1 }
}

const fn minutes(key: &'static str) -> Synonym {
    Synonym { key, unit: 60_000 }
}

const fn hours(key: &'static str) -> Synonym {
    Synonym {
        key,
        unit: 3_600_000,
    }
}

const fn key(
    key: &'static str,
    config_type: ConfigType,
    default: &'static str,
    allowed: Allowed,
    synonyms: &'static [Synonym],
    documentation: &'static str,
) -> TopicKey {
    TopicKey {
        definition: Definition {
            key,
            config_type,
            default: Some(default),
            allowed,
            effect: Effect::Honoured,
            documentation,
        },
        synonyms,
    }
}

/// As [`key`], but taken and shown only.
const fn inert(
    key: &'static str,
    config_type: ConfigType,
    default: &'static str,
    allowed: Allowed,
    synonyms: &'static [Synonym],
    why: &'static str,
) -> TopicKey {
    TopicKey {
        definition: Definition {
            key,
            config_type,
            default: Some(default),
            allowed,
            effect: Effect::Without(why),
            documentation: why,
        },
        synonyms,
    }
}

/// In the order of the alphabet, as Kafka's tools print them; one line per key, however long.
#[rustfmt::skip]
pub(super) static KEYS: &[TopicKey] = &[
    key("cleanup.policy", List, "delete", NoneOrSomeOf(CLEANUP_POLICIES), &[same("log.cleanup.policy")], "Whether old segments are deleted, compacted, or both; empty: neither."),
    key("compression.gzip.level", Int, "-1", Between(-1, 9), &[same("compression.gzip.level")], "The level when compression.type is gzip."),
    key("compression.lz4.level", Int, "9", Between(1, 17), &[same("compression.lz4.level")], "The level when compression.type is lz4."),
    key("compression.type", TEXT, "producer", OneOf(COMPRESSION_TYPES), &[same("compression.type")], "How batches are compressed in the log; producer: as they came."),
    key("compression.zstd.level", Int, "3", Between(-131_072, 22), &[same("compression.zstd.level")], "The level when compression.type is zstd."),
    key("delete.retention.ms", Long, "86400000", AtLeast(0), &[same("log.cleaner.delete.retention.ms")], "How long a tombstone is kept when the topic is compacted."),
    key("file.delete.delay.ms", Long, "60000", AtLeast(0), &[same("log.segment.delete.delay.ms")], "How long the file of a deleted segment stays."),
    inert("flush.messages", Long, "9223372036854775807", AtLeast(1), &[same("log.flush.interval.messages")], "Taken and shown; an ack waits as rinka.ack says."),
    inert("flush.ms", Long, "9223372036854775807", AtLeast(0), &[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")], "Taken and shown; an ack waits as rinka.ack says."),
    key("follower.replication.throttled.replicas", List, "", Allowed::ThrottledReplicas, &[], "Followers whose catching up is throttled: partition:broker pairs, or *."),
    key("index.interval.bytes", Int, "4096", AtLeast(0), &[same("log.index.interval.bytes")], "Bytes between two entries of the offset index."),
    key("leader.replication.throttled.replicas", List, "", Allowed::ThrottledReplicas, &[], "Leaders whose feeding of followers is throttled: partition:broker pairs, or *."),
    inert("local.retention.bytes", Long, "-2", AtLeast(-2), &[same("log.local.retention.bytes")], "Taken and shown; tiered storage is not built."),
    inert("local.retention.ms", Long, "-2", AtLeast(-2), &[same("log.local.retention.ms")], "Taken and shown; tiered storage is not built."),
    key("max.compaction.lag.ms", Long, "9223372036854775807", AtLeast(1), &[same("log.cleaner.max.compaction.lag.ms")], "The age beyond which a record is compacted even if little would be gained."),
    key("max.message.bytes", Int, "1048588", AtLeast(0), &[same("message.max.bytes")], "The largest record batch taken, as it is on the wire."),
    key("message.timestamp.after.max.ms", Long, "3600000", AtLeast(0), &[same("log.message.timestamp.after.max.ms")], "How far a record's timestamp may lie ahead of the broker's clock."),
    key("message.timestamp.before.max.ms", Long, "9223372036854775807", AtLeast(0), &[same("log.message.timestamp.before.max.ms")], "How far a record's timestamp may lie behind the broker's clock."),
    key("message.timestamp.type", TEXT, "CreateTime", OneOf(TIMESTAMP_TYPES), &[same("log.message.timestamp.type")], "Whether the producer or the broker sets the timestamps."),
    key("min.cleanable.dirty.ratio", Double, "0.5", Allowed::BetweenDoubles(0.0, 1.0), &[same("log.cleaner.min.cleanable.ratio")], "The share of not yet compacted bytes above which the log is compacted."),
    key("min.compaction.lag.ms", Long, "0", AtLeast(0), &[same("log.cleaner.min.compaction.lag.ms")], "The age below which a record is not compacted."),
    key("min.insync.replicas", Int, "1", AtLeast(1), &[same("min.insync.replicas")], "In-sync replicas without which acks=all is refused."),
    inert("preallocate", Boolean, "false", Any, &[same("log.preallocate")], "Taken and shown; the journal is always preallocated."),
    inert("remote.log.copy.disable", Boolean, "false", Any, &[], "Taken and shown; tiered storage is not built."),
    inert("remote.log.delete.on.disable", Boolean, "false", Any, &[], "Taken and shown; tiered storage is not built."),
    key("remote.storage.enable", Boolean, "false", Any, &[], "Must be false: tiered storage is not built."),
    key("retention.bytes", Long, "-1", Any, &[same("log.retention.bytes")], "The size of a partition beyond which its oldest segments are deleted; negative: no limit."),
    key("retention.ms", Long, "604800000", AtLeast(-1), &[same("log.retention.ms"), minutes("log.retention.minutes"), hours("log.retention.hours")], "The age beyond which segments are deleted; -1: never."),
    key("rinka.ack", TEXT, "flushed", OneOf(ACKS), &[same("rinka.ack")], "What an ack waited for. flushed: survives power loss. written: survives the end of the process."),
    key("segment.bytes", Int, "1073741824", AtLeast(1 << 20), &[same("log.segment.bytes")], "The size at which a segment is closed."),
    key("segment.index.bytes", Int, "10485760", AtLeast(4), &[same("log.index.size.max.bytes")], "The size of an offset index at which its segment is closed."),
    key("segment.jitter.ms", Long, "0", AtLeast(0), &[same("log.roll.jitter.ms"), hours("log.roll.jitter.hours")], "The most by which a segment is closed early, so that not all close together."),
    key("segment.ms", Long, "604800000", AtLeast(1), &[same("log.roll.ms"), hours("log.roll.hours")], "The age at which a segment is closed."),
    key("unclean.leader.election.enable", Boolean, "false", Any, &[same("unclean.leader.election.enable")], "Whether a replica that lags may lead when no other is left; loses data."),
];

#[cfg(test)]
mod tests {
    use super::super::broker_keys;
    use super::*;

    #[test]
    fn keys_are_sorted_and_their_defaults_are_those_of_the_broker() {
        assert!(KEYS.is_sorted_by(|a, b| a.definition.key < b.definition.key));
        for TopicKey {
            definition,
            synonyms,
        } in KEYS
        {
            let own = definition.parse(definition.default.unwrap()).unwrap();
            let defaults = synonyms.iter().filter_map(|synonym| {
                let broker = broker_keys::definition(synonym.key).expect(synonym.key);
                broker.default.map(|default| {
                    let value = broker.parse(default).unwrap();
                    (value, synonym.unit)
                })
            });
            for (default, unit) in defaults {
                match default {
                    super::super::definition::Value::Number(number) => {
                        assert_eq!(own.number(), number * unit, "{}", definition.key);
                    }
                    other => assert_eq!(own, other, "{}", definition.key),
                }
            }
        }
    }
}
