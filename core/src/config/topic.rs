//! The configuration of a topic: its own overrides over the broker's defaults.
//!
//! Decides what a topic may be given and what it comes to; never changes a topic.

use std::collections::BTreeMap;
use std::fmt;

use super::broker::BrokerConfig;
use super::broker_keys;
use super::definition::{ConfigType, Definition, InvalidValue, Value, split_list};
use super::topic_keys::{FORGOTTEN_KEYS, KEYS, TopicKey, topic_key};

/// What a topic's overrides are kept as: the texts that were set, by key.
pub type TopicOverrides = BTreeMap<String, String>;

/// What holds for a topic, all of it, as types that cannot be wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    pub ack: Ack,
    pub cleanup: CleanupPolicy,
    /// `None`: for ever.
    pub retention_ms: Option<i64>,
    /// Per partition. `None`: no limit.
    pub retention_bytes: Option<u64>,
    pub segment_bytes: u32,
    pub segment_ms: i64,
    pub segment_jitter_ms: i64,
    pub segment_index_bytes: u32,
    pub index_interval_bytes: u32,
    pub file_delete_delay_ms: i64,
    pub dirty_ratio_min: f64,
    pub compaction_lag_ms_min: i64,
    pub compaction_lag_ms_max: i64,
    pub delete_retention_ms: i64,
    pub compression: Compression,
    pub message_bytes_max: u32,
    pub timestamp_type: TimestampType,
    pub timestamp_before_ms_max: i64,
    pub timestamp_after_ms_max: i64,
    pub min_insync_replicas: i32,
    pub unclean_leader_election: bool,
}

/// What an ack waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// On disk: survives power loss.
    Flushed,
    /// Handed to the device: survives the end of the process.
    Written,
}

/// What happens to old segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    pub delete: bool,
    pub compact: bool,
}

/// How batches are compressed in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As they came.
    Producer,
    Uncompressed,
    Gzip {
        level: i32,
    },
    Snappy,
    Lz4 {
        level: i32,
    },
    Zstd {
        level: i32,
    },
}

/// Who sets the timestamps of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

/// Why a topic cannot be configured so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidConfig {
    UnknownKey(String),
    /// A key without a value.
    NullValue(String),
    Value(InvalidValue),
    CompactionLags {
        min: i64,
        max: i64,
    },
    TieredStorage,
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey(key) => write!(formatter, "Unknown topic config name: {key}"),
            Self::NullValue(key) => {
                write!(formatter, "Null value not supported for topic configs: {key}")
            }
            Self::Value(error) => error.fmt(formatter),
            Self::CompactionLags { min, max } => write!(
                formatter,
                "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
            ),
            Self::TieredStorage => formatter.write_str(
                "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.",
            ),
        }
    }
}

impl std::error::Error for InvalidConfig {}

/// Whether a topic may be given `overrides`, all together. They are what the topic would have, not only what changes.
pub fn validate(overrides: &TopicOverrides, broker: &BrokerConfig) -> Result<(), InvalidConfig> {
    for (key, text) in overrides {
        let topic_key = topic_key(key).ok_or_else(|| InvalidConfig::UnknownKey(key.clone()))?;
        let value = topic_key.definition.parse(text);
        let value = value.map_err(InvalidConfig::Value)?;
        if key == "remote.storage.enable" && value.boolean() {
            return Err(InvalidConfig::TieredStorage);
        }
    }
    let config = TopicConfig::effective(overrides, broker)?;
    let (min, max) = (config.compaction_lag_ms_min, config.compaction_lag_ms_max);
    if min > max {
        return Err(InvalidConfig::CompactionLags { min, max });
    }
    Ok(())
}

/// Whether the key is one of earlier Kafka versions that old tools still send: it is taken and forgotten.
#[must_use]
pub fn is_forgotten(key: &str) -> bool {
    FORGOTTEN_KEYS.contains(&key)
}

/// Whether the key's value is a list, to which an element can be appended; `None` for a key that does not exist.
#[must_use]
pub fn is_list(key: &str) -> Option<bool> {
    topic_key(key).map(|topic_key| topic_key.definition.config_type == ConfigType::List)
}

/// The value that holds for `key`, as a text; `None` for a key that does not exist.
#[must_use]
pub fn effective_text(
    key: &str,
    overrides: &TopicOverrides,
    broker: &BrokerConfig,
) -> Option<String> {
    topic_key(key).map(|topic_key| effective(topic_key, overrides, broker))
}

impl TopicConfig {
    /// What holds for a topic with `overrides`. Keys that this version does not know are passed over: a later one may have set them.
    pub fn effective(
        overrides: &TopicOverrides,
        broker: &BrokerConfig,
    ) -> Result<Self, InvalidConfig> {
        let values = Values { overrides, broker };
        let cleanup = values.list("cleanup.policy")?;
        let has_policy = |policy: &str| cleanup.iter().any(|element| element == policy);
        Ok(Self {
            ack: match values.text("rinka.ack")?.as_str() {
                "written" => Ack::Written,
                _ => Ack::Flushed,
            },
            cleanup: CleanupPolicy {
                delete: has_policy("delete"),
                compact: has_policy("compact"),
            },
            retention_ms: Some(values.number("retention.ms")?).filter(|&ms| ms >= 0),
            retention_bytes: u64::try_from(values.number::<i64>("retention.bytes")?).ok(),
            segment_bytes: values.number("segment.bytes")?,
            segment_ms: values.number("segment.ms")?,
            segment_jitter_ms: values.number("segment.jitter.ms")?,
            segment_index_bytes: values.number("segment.index.bytes")?,
            index_interval_bytes: values.number("index.interval.bytes")?,
            file_delete_delay_ms: values.number("file.delete.delay.ms")?,
            dirty_ratio_min: values.value("min.cleanable.dirty.ratio")?.double(),
            compaction_lag_ms_min: values.number("min.compaction.lag.ms")?,
            compaction_lag_ms_max: values.number("max.compaction.lag.ms")?,
            delete_retention_ms: values.number("delete.retention.ms")?,
            compression: values.compression()?,
            message_bytes_max: values.number("max.message.bytes")?,
            timestamp_type: match values.text("message.timestamp.type")?.as_str() {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_ms_max: values.number("message.timestamp.before.max.ms")?,
            timestamp_after_ms_max: values.number("message.timestamp.after.max.ms")?,
            min_insync_replicas: values.number("min.insync.replicas")?,
            unclean_leader_election: values.value("unclean.leader.election.enable")?.boolean(),
        })
    }
}

/// Reads the value that holds for a key.
struct Values<'a> {
    overrides: &'a TopicOverrides,
    broker: &'a BrokerConfig,
}

impl Values<'_> {
    fn value(&self, key: &str) -> Result<Value, InvalidConfig> {
        let topic_key = topic_key(key).expect("the code asks for keys of the table");
        let text = effective(topic_key, self.overrides, self.broker);
        let value = topic_key.definition.parse(&text);
        value.map_err(InvalidConfig::Value)
    }

    fn number<T: TryFrom<i64>>(&self, key: &str) -> Result<T, InvalidConfig> {
        let number = T::try_from(self.value(key)?.number());
        Ok(
            number
                .unwrap_or_else(|_| panic!("the table's range of {key} exceeds the field's type")),
        )
    }

    fn text(&self, key: &str) -> Result<String, InvalidConfig> {
        Ok(self.value(key)?.into_text())
    }

    fn list(&self, key: &str) -> Result<Vec<String>, InvalidConfig> {
        Ok(self.value(key)?.into_list())
    }

    fn compression(&self) -> Result<Compression, InvalidConfig> {
        Ok(match self.text("compression.type")?.as_str() {
            "uncompressed" => Compression::Uncompressed,
            "gzip" => Compression::Gzip {
                level: self.number("compression.gzip.level")?,
            },
            "snappy" => Compression::Snappy,
            "lz4" => Compression::Lz4 {
                level: self.number("compression.lz4.level")?,
            },
            "zstd" => Compression::Zstd {
                level: self.number("compression.zstd.level")?,
            },
            _ => Compression::Producer,
        })
    }
}

/// The text that holds: the topic's, else the broker's explicit one, else the default.
pub(super) fn effective(
    topic_key: &TopicKey,
    overrides: &TopicOverrides,
    broker: &BrokerConfig,
) -> String {
    let own = overrides.get(topic_key.definition.key).cloned();
    let from_broker = || {
        topic_key.synonyms.iter().find_map(|synonym| {
            let text = broker.explicit(synonym.key)?;
            Some(scaled(synonym.key, text, synonym.unit))
        })
    };
    let default = topic_key.definition.default.unwrap_or_default();
    own.or_else(from_broker)
        .unwrap_or_else(|| default.to_owned())
}

/// Minutes and hours of the broker become the topic's milliseconds; -1 stays "never".
fn scaled(broker_key: &str, text: &str, unit: i64) -> String {
    if unit == 1 {
        return text.trim().to_owned();
    }
    let definition = broker_keys::definition(broker_key).expect("a test looks up every synonym");
    let number = definition.parse(text).map(|value| value.number());
    let number = number.expect("the broker's configuration was parsed before it was kept");
    let scaled = if number < 0 {
        number
    } else {
        number.saturating_mul(unit)
    };
    scaled.to_string()
}

/// Appends the elements of `elements` that `current` does not have, or takes them out of it.
#[must_use]
pub(crate) fn edit_list(current: &str, elements: &str, append: bool) -> String {
    let mut list = split_list(current);
    for element in split_list(elements) {
        match (append, list.iter().position(|known| *known == element)) {
            (true, None) => list.push(element),
            (false, Some(position)) => {
                list.remove(position);
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    list.join(",")
}

/// The definitions of all topic keys, in the order of the alphabet.
pub fn definitions() -> impl Iterator<Item = &'static Definition> {
    KEYS.iter().map(|topic_key| &topic_key.definition)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn overrides(pairs: &[(&str, &str)]) -> TopicOverrides {
        pairs
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    fn check_refused(pairs: &[(&str, &str)], expected: &str) {
        let error = validate(&overrides(pairs), &BrokerConfig::default()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn the_defaults_are_kafkas() {
        let config = TopicConfig::effective(&overrides(&[]), &BrokerConfig::default()).unwrap();
        assert_eq!(config.retention_ms, Some(604_800_000));
        assert_eq!(config.retention_bytes, None);
        assert_eq!(config.segment_bytes, 1 << 30);
        assert_eq!(config.message_bytes_max, 1_048_588);
        assert_eq!(config.timestamp_after_ms_max, 3_600_000);
        assert_eq!(config.compression, Compression::Producer);
        assert_eq!(config.ack, Ack::Flushed);
        assert_eq!(
            config.cleanup,
            CleanupPolicy {
                delete: true,
                compact: false
            }
        );
    }

    #[test]
    fn the_topic_wins_over_the_broker_and_milliseconds_over_hours() {
        let broker = BrokerConfig::parse(
            "log.retention.hours=2\nlog.roll.ms=5\nlog.roll.hours=1\nrinka.ack=written\ncompression.type=zstd\ncompression.zstd.level=7",
            &[],
        )
        .unwrap();
        let config = TopicConfig::effective(&overrides(&[]), &broker).unwrap();
        assert_eq!(config.retention_ms, Some(7_200_000));
        assert_eq!(config.segment_ms, 5);
        assert_eq!(config.ack, Ack::Written);
        assert_eq!(config.compression, Compression::Zstd { level: 7 });
        let own = overrides(&[
            ("retention.ms", "-1"),
            ("rinka.ack", "flushed"),
            ("cleanup.policy", "delete,compact"),
            ("a.later.versions.key", "x"),
        ]);
        let config = TopicConfig::effective(&own, &broker).unwrap();
        assert_eq!(config.retention_ms, None);
        assert_eq!(config.ack, Ack::Flushed);
        assert!(config.cleanup.delete && config.cleanup.compact);
        let never = BrokerConfig::parse("log.retention.hours=-1", &[]).unwrap();
        let config = TopicConfig::effective(&overrides(&[]), &never).unwrap();
        assert_eq!(config.retention_ms, None);
    }

    #[test]
    fn refusals_read_as_in_kafka() {
        check_refused(&[("colour", "red")], "Unknown topic config name: colour");
        check_refused(
            &[("cleanup.policy", "shred")],
            "Invalid value shred for configuration cleanup.policy: String must be one of: compact, delete",
        );
        check_refused(&[("retention.ms", "-2")], "Value must be at least -1");
        check_refused(&[("min.insync.replicas", "0")], "Value must be at least 1");
        check_refused(
            &[
                ("min.compaction.lag.ms", "2"),
                ("max.compaction.lag.ms", "1"),
            ],
            "conflict topic config setting min.compaction.lag.ms (2) > max.compaction.lag.ms (1)",
        );
        check_refused(&[("remote.storage.enable", "true")], "Tiered Storage");
    }

    #[test]
    fn lists_are_edited_element_by_element() {
        assert_eq!(
            edit_list("delete", "compact,delete", true),
            "delete,compact"
        );
        assert_eq!(edit_list("delete,compact", "delete", false), "compact");
        assert_eq!(edit_list("", "a", false), "");
    }

    proptest! {
        #[test]
        fn what_validates_is_effective_and_nothing_panics(
            pairs in proptest::collection::btree_map(
                any::<prop::sample::Index>().prop_map(|i| KEYS[i.index(KEYS.len())].definition.key.to_owned()),
                "[a-zA-Z,*:]{0,10}|-?[0-9]{1,20}|compact|true|0\\.3",
                0..5,
            )
        ) {
            let broker = BrokerConfig::default();
            let validated = validate(&pairs, &broker);
            let effective = TopicConfig::effective(&pairs, &broker);
            prop_assert!(validated.is_err() || effective.is_ok());
        }
    }
}
