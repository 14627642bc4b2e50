//! What the group coordinator is told once: Kafka's keys, and the bounds of what clients can make it keep.
//!
//! Never changes while a coordinator lives.

use std::time::Duration;

use super::consumer::assignor::Assignor;
use super::consumer::config::{ConsumerGroupConfig, MigrationPolicy};
use crate::config::broker::{GroupConfig, OffsetsConfig};

/// The limits and delays of one coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `group.initial.rebalance.delay.ms`
    pub initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`
    pub session_timeout_ms_max: i32,
    /// `group.max.size`
    pub group_size_max: usize,
    /// `offset.metadata.max.bytes`. As in Kafka it counts units of UTF-16.
    pub offset_metadata_max: usize,
    /// `offsets.retention.minutes`
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`
    pub offsets_check_interval: Duration,
    pub bounds: Bounds,
    /// `group.consumer.*`
    pub consumer: ConsumerGroupConfig,
}

/// What clients can make one coordinator keep at most. Kafka has no such bounds; these are far above what it is used with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Groups, with and without members. More: COORDINATOR_NOT_AVAILABLE, since some expire.
    pub groups_max: usize,
    /// Members of all groups together. More: GROUP_MAX_SIZE_REACHED.
    pub members_max: usize,
    /// Members that were told their id and have not come back yet. More: COORDINATOR_NOT_AVAILABLE; they expire within a session.
    pub pending_members_max: usize,
    /// Ids, protocols with their metadata, and assignments of one group, in bytes. More: GROUP_MAX_SIZE_REACHED for a member that
    /// joins, UNKNOWN_SERVER_ERROR for an assignment, as for one that does not fit into a batch.
    pub group_bytes_max: usize,
    /// The same of all groups together.
    pub coordinator_bytes_max: usize,
    /// Committed offsets of all groups together. More: INVALID_COMMIT_OFFSET_SIZE.
    pub offsets_max: usize,
    /// Appends under way. More: COORDINATOR_NOT_AVAILABLE for commits of offsets; members wait for the log anyway.
    pub appends_max: usize,
    /// Requests that wait until the records of their group are committed. More: COORDINATOR_NOT_AVAILABLE.
    pub held_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            groups_max: 100_000,
            members_max: 100_000,
            pending_members_max: 10_000,
            group_bytes_max: 16 << 20,
            coordinator_bytes_max: 128 << 20,
            offsets_max: 2_000_000,
            appends_max: 10_000,
            held_max: 10_000,
        }
    }
}

impl Settings {
    #[must_use]
    pub fn new(group: &GroupConfig, offsets: &OffsetsConfig) -> Self {
        Self {
            initial_rebalance_delay: Duration::from_millis(group.initial_rebalance_delay_ms),
            session_timeout_ms_min: group.session_timeout_ms_min,
            session_timeout_ms_max: group.session_timeout_ms_max,
            group_size_max: group.size_max,
            offset_metadata_max: offsets.metadata_bytes_max,
            offsets_retention_ms: offsets.retention_ms,
            offsets_check_interval: Duration::from_millis(offsets.retention_check_interval_ms),
            bounds: Bounds::default(),
            consumer: consumer(group),
        }
    }
}

fn consumer(group: &GroupConfig) -> ConsumerGroupConfig {
    let assignors = group.consumer_assignors.iter();
    let assignors: Vec<_> = assignors.filter_map(|name| Assignor::named(name)).collect();
    let default = ConsumerGroupConfig::default();
    ConsumerGroupConfig {
        heartbeat_interval_ms: group.consumer_heartbeat_interval_ms,
        session_timeout_ms: group.consumer_session_timeout_ms,
        members_max: group.consumer_size_max,
        assignors: match assignors.is_empty() {
            true => default.assignors,
            false => assignors,
        },
        migration_policy: MigrationPolicy::named(&group.consumer_migration_policy)
            .unwrap_or(default.migration_policy),
        regex_refresh_interval_ms: default.regex_refresh_interval_ms,
        classic_members_max: group.size_max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::broker::BrokerConfig;

    #[test]
    fn without_configuration_the_limits_are_those_of_kafka() {
        let config = BrokerConfig::default();
        let settings = Settings::new(&config.group, &config.offsets);
        let expected = Settings {
            initial_rebalance_delay: Duration::from_secs(3),
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            group_size_max: 2_147_483_647,
            offset_metadata_max: 4096,
            offsets_retention_ms: 7 * 24 * 3_600_000,
            offsets_check_interval: Duration::from_secs(600),
            bounds: Bounds::default(),
            consumer: ConsumerGroupConfig::default(),
        };
        assert_eq!(settings, expected);
        assert_eq!(config.offsets.topic.partitions, 50);
    }
}
