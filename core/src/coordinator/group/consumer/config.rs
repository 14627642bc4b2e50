//! What the broker's configuration says about consumer groups.
//!
//! Holds numbers only; nobody here reads a properties file.

use std::fmt;

use super::assignor::Assignor;

/// The keys `group.consumer.*`, and the one of classic groups that a downgrade must heed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupConfig {
    /// `group.consumer.heartbeat.interval.ms`: what members are told. Milliseconds, default 5000.
    pub heartbeat_interval_ms: i32,
    /// `group.consumer.session.timeout.ms`: a member that is silent for this long is fenced. Milliseconds, default 45000.
    pub session_timeout_ms: i32,
    /// `group.consumer.assignment.interval.ms`: so long after an assignment the next one waits for it. Milliseconds, default 1000 (KIP-1263):
    /// whoever joins within it has no partitions until its next heartbeat.
    pub assignment_interval_ms: i32,
    /// `group.consumer.max.size`: members of a group at most. Default 2147483647.
    pub members_max: usize,
    /// `group.consumer.assignors`: the first is the default. Never empty. Default: uniform, range.
    pub assignors: Vec<Assignor>,
    /// `group.consumer.migration.policy`. Default: bidirectional.
    pub migration_policy: MigrationPolicy,
    /// `group.consumer.regex.refresh.interval.ms`: regular expressions are resolved anew after this long even when no topic came or went.
    /// Milliseconds, default 600000.
    pub regex_refresh_interval_ms: i64,
    /// `group.max.size`: a larger group is not made a classic one. Default 2147483647.
    pub classic_members_max: usize,
}

impl Default for ConsumerGroupConfig {
    fn default() -> Self {
        Self {
            heartbeat_interval_ms: 5_000,
            session_timeout_ms: 45_000,
            assignment_interval_ms: 1_000,
            members_max: i32::MAX as usize,
            assignors: Assignor::ALL.to_vec(),
            migration_policy: MigrationPolicy::Bidirectional,
            regex_refresh_interval_ms: 600_000,
            classic_members_max: i32::MAX as usize,
        }
    }
}

/// The bounds within which a group's own interval and timeout must lie (`group.consumer.{min,max}.heartbeat.interval.ms`,
/// `group.consumer.{min,max}.session.timeout.ms`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerGroupBounds {
    /// Milliseconds, defaults 5000 and 15000.
    pub heartbeat_interval_ms: (i32, i32),
    /// Milliseconds, defaults 45000 and 60000.
    pub session_timeout_ms: (i32, i32),
}

impl Default for ConsumerGroupBounds {
    fn default() -> Self {
        Self {
            heartbeat_interval_ms: (5_000, 15_000),
            session_timeout_ms: (45_000, 60_000),
        }
    }
}

/// Why a configuration is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerGroupConfigError {
    HeartbeatInterval,
    SessionTimeout,
    /// The session must outlast the interval between two heartbeats.
    SessionNotAboveHeartbeat,
    NoAssignor,
    MembersMax,
}

impl fmt::Display for ConsumerGroupConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::HeartbeatInterval => {
                "group.consumer.heartbeat.interval.ms must lie between its minimum and its maximum"
            }
            Self::SessionTimeout => {
                "group.consumer.session.timeout.ms must lie between its minimum and its maximum"
            }
            Self::SessionNotAboveHeartbeat => {
                "group.consumer.session.timeout.ms must be greater than group.consumer.heartbeat.interval.ms"
            }
            Self::NoAssignor => "group.consumer.assignors must name an assignor",
            Self::MembersMax => "group.consumer.max.size must be at least 1",
        })
    }
}

impl std::error::Error for ConsumerGroupConfigError {}

impl ConsumerGroupConfig {
    /// # Errors
    /// The first rule of Kafka's that it breaks.
    pub fn check(&self, bounds: &ConsumerGroupBounds) -> Result<(), ConsumerGroupConfigError> {
        let within = |value: i32, (least, most): (i32, i32)| (least..=most).contains(&value);
        if !within(self.heartbeat_interval_ms, bounds.heartbeat_interval_ms) {
            Err(ConsumerGroupConfigError::HeartbeatInterval)
        } else if !within(self.session_timeout_ms, bounds.session_timeout_ms) {
            Err(ConsumerGroupConfigError::SessionTimeout)
        } else if self.session_timeout_ms <= self.heartbeat_interval_ms {
            Err(ConsumerGroupConfigError::SessionNotAboveHeartbeat)
        } else if self.assignors.is_empty() {
            Err(ConsumerGroupConfigError::NoAssignor)
        } else if self.members_max == 0 {
            Err(ConsumerGroupConfigError::MembersMax)
        } else {
            Ok(())
        }
    }
}

/// Which way a group may change its protocol while it has members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationPolicy {
    Bidirectional,
    Upgrade,
    Downgrade,
    Disabled,
}

impl MigrationPolicy {
    /// As the key spells it, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "bidirectional" => Some(Self::Bidirectional),
            "upgrade" => Some(Self::Upgrade),
            "downgrade" => Some(Self::Downgrade),
            "disabled" => Some(Self::Disabled),
            _ => None,
        }
    }

    #[must_use]
    pub fn may_upgrade(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Upgrade)
    }

    #[must_use]
    pub fn may_downgrade(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Downgrade)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass_and_what_kafka_refuses_does_not() {
        let bounds = ConsumerGroupBounds::default();
        let config = ConsumerGroupConfig::default();
        assert_eq!(config.check(&bounds), Ok(()));
        let check = |change: fn(&mut ConsumerGroupConfig), expected| {
            let mut config = ConsumerGroupConfig::default();
            change(&mut config);
            assert_eq!(config.check(&bounds), Err(expected));
        };
        check(
            |config| config.heartbeat_interval_ms = 4_999,
            ConsumerGroupConfigError::HeartbeatInterval,
        );
        check(
            |config| config.session_timeout_ms = 60_001,
            ConsumerGroupConfigError::SessionTimeout,
        );
        check(
            |config| config.assignors.clear(),
            ConsumerGroupConfigError::NoAssignor,
        );
        check(
            |config| config.members_max = 0,
            ConsumerGroupConfigError::MembersMax,
        );
        let wide = ConsumerGroupBounds {
            heartbeat_interval_ms: (1, 60_000),
            ..bounds
        };
        let config = ConsumerGroupConfig {
            heartbeat_interval_ms: 45_000,
            ..config
        };
        assert_eq!(
            config.check(&wide),
            Err(ConsumerGroupConfigError::SessionNotAboveHeartbeat)
        );
    }

    #[test]
    fn policies_are_known_by_their_names() {
        assert_eq!(
            MigrationPolicy::named("Bidirectional"),
            Some(MigrationPolicy::Bidirectional)
        );
        assert_eq!(MigrationPolicy::named("both"), None);
        assert!(!MigrationPolicy::Upgrade.may_downgrade());
        assert!(MigrationPolicy::Downgrade.may_downgrade());
    }
}
