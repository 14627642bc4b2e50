//! The configuration of a group (KIP-848, KIP-1043): its own values over the broker's defaults.
//!
//! Decides what a group may be given and what it comes to; never changes a group.

use std::collections::BTreeMap;
use std::fmt;

use super::broker::BrokerConfig;
use super::definition::Allowed::AtLeast;
use super::definition::{ConfigType, Definition, Effect, InvalidValue};

/// What a group's own values are kept as: the texts that were set, by key.
pub type GroupOverrides = BTreeMap<String, String>;

const SESSION_TIMEOUT: &str = "consumer.session.timeout.ms";
const HEARTBEAT_INTERVAL: &str = "consumer.heartbeat.interval.ms";
const ASSIGNMENT_INTERVAL: &str = "consumer.assignment.interval.ms";

/// What holds for a group whose members speak the newer protocol, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerGroupConfig {
    pub session_timeout_ms: i32,
    pub heartbeat_interval_ms: i32,
    pub assignment_interval_ms: i32,
}

/// A group's key, and the broker's key of its default.
#[derive(Debug)]
pub(super) struct GroupKey {
    pub(super) definition: Definition,
    pub(super) default: &'static str,
    bounds: Bounds,
}

/// The broker's keys between whose values a group's must lie.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    min: &'static str,
    max: &'static str,
}

const fn milliseconds(key: &'static str, at_least: i64, documentation: &'static str) -> Definition {
    Definition {
        key,
        config_type: ConfigType::Int,
        default: None,
        allowed: AtLeast(at_least),
        effect: Effect::Honoured,
        documentation,
    }
}

/// In the order of the alphabet.
pub(super) static KEYS: &[GroupKey] = &[
    GroupKey {
        definition: milliseconds(
            ASSIGNMENT_INTERVAL,
            0,
            "How long after one assignment of the group the next one may be made, so that many joins come to one.",
        ),
        default: "group.consumer.assignment.interval.ms",
        bounds: Bounds {
            min: "group.consumer.min.assignment.interval.ms",
            max: "group.consumer.max.assignment.interval.ms",
        },
    },
    GroupKey {
        definition: milliseconds(
            HEARTBEAT_INTERVAL,
            1,
            "How often a member of the group is to be heard of.",
        ),
        default: "group.consumer.heartbeat.interval.ms",
        bounds: Bounds {
            min: "group.consumer.min.heartbeat.interval.ms",
            max: "group.consumer.max.heartbeat.interval.ms",
        },
    },
    GroupKey {
        definition: milliseconds(
            SESSION_TIMEOUT,
            1,
            "After how long without a heartbeat a member is out of the group.",
        ),
        default: "group.consumer.session.timeout.ms",
        bounds: Bounds {
            min: "group.consumer.min.session.timeout.ms",
            max: "group.consumer.max.session.timeout.ms",
        },
    },
];

/// Why a group cannot be configured so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidGroupConfig {
    UnknownKey(String),
    Value(InvalidValue),
    BelowMin {
        key: &'static str,
        min: &'static str,
    },
    AboveMax {
        key: &'static str,
        max: &'static str,
    },
    HeartbeatBeyondSession,
}

impl fmt::Display for InvalidGroupConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey(key) => write!(formatter, "Unknown group config name: {key}"),
            Self::Value(error) => error.fmt(formatter),
            Self::BelowMin { key, min } => {
                write!(formatter, "{key} must be greater than or equal to {min}")
            }
            Self::AboveMax { key, max } => {
                write!(formatter, "{key} must be less than or equal to {max}")
            }
            Self::HeartbeatBeyondSession => write!(
                formatter,
                "{SESSION_TIMEOUT} must be greater than {HEARTBEAT_INTERVAL}"
            ),
        }
    }
}

impl std::error::Error for InvalidGroupConfig {}

/// Whether a group may be given `overrides`, all together.
pub fn validate(
    overrides: &GroupOverrides,
    broker: &BrokerConfig,
) -> Result<(), InvalidGroupConfig> {
    for (key, text) in overrides {
        let known = KEYS.iter().find(|known| known.definition.key == key);
        let known = known.ok_or_else(|| InvalidGroupConfig::UnknownKey(key.clone()))?;
        let definition = &known.definition;
        let value = definition.parse(text).map_err(InvalidGroupConfig::Value)?;
        let Bounds { min, max } = known.bounds;
        let key = definition.key;
        if value.number() < broker.number(min) {
            return Err(InvalidGroupConfig::BelowMin { key, min });
        }
        if value.number() > broker.number(max) {
            return Err(InvalidGroupConfig::AboveMax { key, max });
        }
    }
    let config = ConsumerGroupConfig::effective(overrides, broker);
    if config.session_timeout_ms <= config.heartbeat_interval_ms {
        return Err(InvalidGroupConfig::HeartbeatBeyondSession);
    }
    Ok(())
}

impl ConsumerGroupConfig {
    /// What holds for a group with `overrides`. A value that does not fit its key is passed over: a later release may have set it. One
    /// that lies beyond the broker's bounds, which may be others than when it was set, counts as the bound.
    #[must_use]
    pub fn effective(overrides: &GroupOverrides, broker: &BrokerConfig) -> Self {
        let number = |key: &str| {
            let known = KEYS.iter().find(|known| known.definition.key == key);
            let known = known.expect("the code asks for keys of the table");
            let own = overrides.get(key);
            let own = own.and_then(|text| known.definition.parse(text).ok());
            let value = match own.map(|value| value.number()) {
                None => broker.number(known.default),
                Some(own) => {
                    let Bounds { min, max } = known.bounds;
                    own.min(broker.number(max)).max(broker.number(min))
                }
            };
            i32::try_from(value).unwrap_or(i32::MAX)
        };
        Self {
            session_timeout_ms: number(SESSION_TIMEOUT),
            heartbeat_interval_ms: number(HEARTBEAT_INTERVAL),
            assignment_interval_ms: number(ASSIGNMENT_INTERVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(pairs: &[(&str, &str)]) -> GroupOverrides {
        let pairs = pairs.iter();
        pairs
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    fn check(pairs: &[(&str, &str)], expected: Result<(i32, i32), &str>) {
        let broker = BrokerConfig::default();
        let overrides = overrides(pairs);
        let seen = validate(&overrides, &broker).map(|()| {
            let config = ConsumerGroupConfig::effective(&overrides, &broker);
            (config.session_timeout_ms, config.heartbeat_interval_ms)
        });
        let seen = seen.map_err(|error| error.to_string());
        assert_eq!(seen, expected.map_err(str::to_owned));
    }

    #[test]
    fn a_group_has_its_own_values_within_the_brokers_bounds() {
        check(&[], Ok((45_000, 5_000)));
        check(&[(SESSION_TIMEOUT, "50000")], Ok((50_000, 5_000)));
        check(
            &[(SESSION_TIMEOUT, "44999")],
            Err(
                "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
            ),
        );
        check(
            &[(HEARTBEAT_INTERVAL, "15001")],
            Err(
                "consumer.heartbeat.interval.ms must be less than or equal to group.consumer.max.heartbeat.interval.ms",
            ),
        );
        check(
            &[("colour", "red")],
            Err("Unknown group config name: colour"),
        );
        check(
            &[(SESSION_TIMEOUT, "long")],
            Err(
                "Invalid value long for configuration consumer.session.timeout.ms: Not a number of type INT",
            ),
        );
        check(
            &[(ASSIGNMENT_INTERVAL, "15001")],
            Err(
                "consumer.assignment.interval.ms must be less than or equal to group.consumer.max.assignment.interval.ms",
            ),
        );
        // Kafka 4.3.0 has a name for it, and does not take it.
        check(
            &[("consumer.assignor.offload.enable", "false")],
            Err("Unknown group config name: consumer.assignor.offload.enable"),
        );
    }

    #[test]
    fn what_was_set_under_other_bounds_counts_as_the_bound() {
        let set = overrides(&[
            (SESSION_TIMEOUT, "70000"),
            (HEARTBEAT_INTERVAL, "1000"),
            (ASSIGNMENT_INTERVAL, "700"),
        ]);
        let config = ConsumerGroupConfig::effective(&set, &BrokerConfig::default());
        let expected = ConsumerGroupConfig {
            session_timeout_ms: 60_000,
            heartbeat_interval_ms: 5_000,
            assignment_interval_ms: 700,
        };
        assert_eq!(config, expected);
    }
}
