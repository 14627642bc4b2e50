//! Which keys of a broker can be set while it runs, as in Kafka: the defaults of topics, limits of connections, a group's
//! assignment interval, and a few that it takes without effect here. Not those of listeners and of TLS and SASL, which Kafka can
//! change too: nothing would come of a change that asks for security.
//!
//! Decides about keys only; what a change comes to is decided by `controller`.

use super::broker_keys;
use super::definition::{ConfigType, Definition};
use super::topic_keys::KEYS;

/// Beside the defaults of topics.
const DYNAMIC: &[&str] = &[
    "group.consumer.assignment.interval.ms",
    "max.connections",
    "max.connections.per.ip",
    "producer.id.expiration.ms",
];

/// Those that Kafka's tools set while a broker runs, and that nothing here listens to.
const DYNAMIC_WITHOUT_EFFECT: &[&str] = &[
    "background.threads",
    "follower.fetch.last.tiered.offset.enable",
    "follower.replication.throttled.rate",
    "group.coordinator.cached.buffer.max.bytes",
    "group.share.assignment.interval.ms",
    "group.streams.assignment.interval.ms",
    "leader.replication.throttled.rate",
    "log.cleaner.backoff.ms",
    "log.cleaner.dedupe.buffer.size",
    "log.cleaner.io.buffer.load.factor",
    "log.cleaner.io.buffer.size",
    "log.cleaner.io.max.bytes.per.second",
    "log.cleaner.threads",
    "max.connection.creation.rate",
    "max.connections.per.ip.overrides",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
    "remote.fetch.max.wait.ms",
    "remote.list.offsets.request.timeout.ms",
    "remote.log.index.file.cache.total.size.bytes",
    "remote.log.manager.copier.thread.pool.size",
    "remote.log.manager.copy.max.bytes.per.second",
    "remote.log.manager.expiration.thread.pool.size",
    "remote.log.manager.fetch.max.bytes.per.second",
    "remote.log.manager.follower.thread.pool.size",
    "remote.log.reader.threads",
    "replica.alter.log.dirs.io.max.bytes.per.second",
    "sasl.kerberos.kinit.cmd",
    "sasl.kerberos.min.time.before.relogin",
    "sasl.kerberos.principal.to.local.rules",
    "sasl.kerberos.service.name",
    "sasl.kerberos.ticket.renew.jitter",
    "sasl.kerberos.ticket.renew.window.factor",
    "sasl.login.refresh.buffer.seconds",
    "sasl.login.refresh.min.period.seconds",
    "sasl.login.refresh.window.factor",
    "sasl.login.refresh.window.jitter",
    "share.coordinator.cached.buffer.max.bytes",
    "transaction.partition.verification.enable",
];

/// Whether the key of a broker can be set while it runs. Of the keys that give a topic's default only the first can: not
/// `log.retention.hours`, but `log.retention.ms`.
#[must_use]
pub fn is_dynamic(key: &str) -> bool {
    let is_first = |synonyms: &[super::topic_keys::Synonym]| {
        synonyms.first().is_some_and(|synonym| synonym.key == key)
    };
    DYNAMIC.contains(&key)
        || DYNAMIC_WITHOUT_EFFECT.contains(&key)
        || KEYS.iter().any(|topic_key| is_first(topic_key.synonyms))
}

/// Whether a broker shows the key only once it is set, as Kafka does with the throttles that tools set for a while.
#[must_use]
pub fn is_shown_when_set(key: &str) -> bool {
    matches!(
        key,
        "follower.replication.throttled.rate"
            | "leader.replication.throttled.rate"
            | "replica.alter.log.dirs.io.max.bytes.per.second"
    )
}

/// What is known of a broker's key.
#[must_use]
pub fn definition(key: &str) -> Option<&'static Definition> {
    broker_keys::definition(key)
}

/// Whether the key's value is a list, to which an element can be appended; `None` for a key that does not exist.
#[must_use]
pub fn is_list(key: &str) -> Option<bool> {
    definition(key).map(|definition| definition.config_type == ConfigType::List)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dynamic_key_is_known() {
        for key in DYNAMIC.iter().chain(DYNAMIC_WITHOUT_EFFECT) {
            assert!(definition(key).is_some(), "{key}");
        }
    }

    #[test]
    fn defaults_of_topics_can_be_set_and_what_the_process_stands_on_cannot() {
        for key in [
            "log.retention.ms",
            "log.segment.bytes",
            "message.max.bytes",
            "compression.type",
            "log.cleanup.policy",
            "min.insync.replicas",
            "rinka.ack",
        ] {
            assert!(is_dynamic(key), "{key}");
        }
        for key in [
            "log.retention.hours",
            "node.id",
            "listeners",
            "log.dirs",
            "rinka.shards",
            "num.partitions",
            "quota.window.num",
        ] {
            assert!(!is_dynamic(key), "{key}");
        }
    }
}
