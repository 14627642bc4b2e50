//! What the group coordinator is told once: Kafka's keys, and the bounds of what clients can make it keep.
//!
//! Holds numbers only. A coordinator is told new ones while it runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::consumer::assignor::Assignor;
use super::consumer::config::{ConsumerGroupConfig, MigrationPolicy};
use crate::config::broker::{BrokerConfig, GroupConfig};
use crate::config::group::{self as group_config, GroupOverrides};

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
    /// What holds for groups that have a configuration of their own.
    pub consumer_of_groups: Arc<BTreeMap<Arc<str>, ConsumerGroupConfig>>,
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
    /// `own` are the configurations of single groups (KIP-848's ConfigResource GROUP).
    #[must_use]
    pub fn new(broker: &BrokerConfig, own: &BTreeMap<String, GroupOverrides>) -> Self {
        let (group, offsets) = (&broker.group, &broker.offsets);
        let consumer = consumer(group);
        let of_groups = own.iter().map(|(id, overrides)| {
            let own = group_config::ConsumerGroupConfig::effective(overrides, broker);
            let config = ConsumerGroupConfig {
                heartbeat_interval_ms: own.heartbeat_interval_ms,
                session_timeout_ms: own.session_timeout_ms,
                assignment_interval_ms: own.assignment_interval_ms,
                ..consumer.clone()
            };
            (Arc::from(id.as_str()), config)
        });
        Self {
            initial_rebalance_delay: Duration::from_millis(group.initial_rebalance_delay_ms),
            session_timeout_ms_min: group.session_timeout_ms_min,
            session_timeout_ms_max: group.session_timeout_ms_max,
            group_size_max: group.size_max,
            offset_metadata_max: offsets.metadata_bytes_max,
            offsets_retention_ms: offsets.retention_ms,
            offsets_check_interval: Duration::from_millis(offsets.retention_check_interval_ms),
            bounds: Bounds::default(),
            consumer_of_groups: Arc::new(of_groups.collect()),
            consumer,
        }
    }

    /// What holds for this group when its members speak the newer protocol.
    #[must_use]
    pub fn consumer_of(&self, group_id: &str) -> &ConsumerGroupConfig {
        let own = self.consumer_of_groups.get(group_id);
        own.unwrap_or(&self.consumer)
    }
}

fn consumer(group: &GroupConfig) -> ConsumerGroupConfig {
    let assignors = group.consumer_assignors.iter();
    let assignors: Vec<_> = assignors.filter_map(|name| Assignor::named(name)).collect();
    let default = ConsumerGroupConfig::default();
    ConsumerGroupConfig {
        heartbeat_interval_ms: group.consumer_heartbeat_interval_ms,
        session_timeout_ms: group.consumer_session_timeout_ms,
        assignment_interval_ms: group.consumer_assignment_interval_ms,
        members_max: group.consumer_size_max,
        assignors: match assignors.is_empty() {
            true => default.assignors,
            false => assignors,
        },
        migration_policy: MigrationPolicy::named(&group.consumer_migration_policy)
            .unwrap_or(default.migration_policy),
        regex_refresh_interval_ms: group.consumer_regex_refresh_interval_ms,
        classic_members_max: group.size_max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_configuration_the_limits_are_those_of_kafka() {
        let config = BrokerConfig::default();
        let settings = Settings::new(&config, &BTreeMap::new());
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
            consumer_of_groups: Arc::default(),
        };
        assert_eq!(settings, expected);
        assert_eq!(config.offsets.topic.partitions, 50);
    }

    #[test]
    fn a_group_with_a_configuration_of_its_own_has_that_and_the_rest_of_the_brokers() {
        let session = ("consumer.session.timeout.ms".to_owned(), "50000".to_owned());
        let own = BTreeMap::from([("slow".to_owned(), GroupOverrides::from([session]))]);
        let settings = Settings::new(&BrokerConfig::default(), &own);
        let expected = ConsumerGroupConfig {
            session_timeout_ms: 50_000,
            ..ConsumerGroupConfig::default()
        };
        assert_eq!(settings.consumer_of("slow"), &expected);
        assert_eq!(settings.consumer_of("other"), &settings.consumer);
    }
}
