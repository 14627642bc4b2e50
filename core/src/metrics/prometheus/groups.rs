//! Groups as Prometheus text: Kafka's beans of its group coordinator, and lag by the names that exporters of it have.
//!
//! Only text out.

use super::{Page, label, labels};
use crate::metrics::ShardReport;
use crate::metrics::groups::{GroupsReport, LogEnds};

const MANAGER: &str = "kafka_coordinator_group_groupmetadatamanager";
const METRICS: &str = "kafka_server_group_coordinator_metrics";

/// The states of classic groups, as Kafka's gauges and as ListGroups spell them.
const CLASSIC_STATES: [(&str, &str); 5] = [
    ("preparingrebalance", "PreparingRebalance"),
    ("completingrebalance", "CompletingRebalance"),
    ("stable", "Stable"),
    ("dead", "Dead"),
    ("empty", "Empty"),
];

const CONSUMER_STATES: [(&str, &str); 5] = [
    ("empty", "Empty"),
    ("assigning", "Assigning"),
    ("reconciling", "Reconciling"),
    ("stable", "Stable"),
    ("dead", "Dead"),
];

pub(super) fn render(page: &mut Page, shards: &[ShardReport], ends: &LogEnds) {
    let mut groups = GroupsReport::default();
    for shard in shards {
        groups.add(&shard.groups);
    }
    render_counts(page, &groups);
    render_counters(page, &groups);
    render_positions(page, &groups, ends);
}

fn render_counts(page: &mut Page, groups: &GroupsReport) {
    let mut gauge = |name: &str, help: &str, value: u64| {
        page.one(&format!("{MANAGER}_{name}"), "gauge", help, value);
    };
    let classic: u64 = groups.classic.states.values().sum();
    let consumer: u64 = groups.consumer.states.values().sum();
    gauge("numgroups", "Groups of the classic protocol.", classic);
    for (name, state) in CLASSIC_STATES {
        let count = groups.classic.states.get(state).copied();
        let help = format!("Groups of the classic protocol in state {state}.");
        gauge(&format!("numgroups{name}"), &help, count.unwrap_or(0));
    }
    gauge("numoffsets", "Committed offsets.", groups.offsets);
    let by_protocol = |classic: u64, consumer: u64| {
        [("classic", classic), ("consumer", consumer)]
            .map(|(protocol, count)| (label("protocol", protocol), count))
    };
    page.family(
        &format!("{METRICS}_group_count"),
        "gauge",
        "Groups, by their protocol.",
        by_protocol(classic, consumer),
    );
    page.family(
        "rinka_group_members",
        "gauge",
        "Members of groups, by the protocol of their group.",
        by_protocol(groups.classic.members, groups.consumer.members),
    );
    let states = CONSUMER_STATES.map(|(name, state)| {
        let count = groups.consumer.states.get(state).copied();
        (label("state", name), count.unwrap_or(0))
    });
    page.family(
        &format!("{METRICS}_consumer_group_count"),
        "gauge",
        "Groups of the newer protocol (KIP-848), by their state.",
        states,
    );
    page.family(
        &format!("{METRICS}_num_partitions"),
        "gauge",
        "Partitions of __consumer_offsets: active ones serve their groups, loading ones read their log, failed ones could not.",
        [
            ("active", groups.active),
            ("loading", groups.loading),
            ("failed", groups.failed),
        ]
        .map(|(state, count)| (label("state", state), count)),
    );
}

fn render_counters(page: &mut Page, groups: &GroupsReport) {
    let counters = &groups.counters;
    for (name, help, value) in [
        (
            "offset_commit_count",
            "Offsets committed.",
            counters.offset_commits,
        ),
        (
            "offset_expiration_count",
            "Offsets that went because their retention was over.",
            counters.offsets_expired,
        ),
        (
            "offset_deletion_count",
            "Offsets that went with DeleteGroups and OffsetDelete.",
            counters.offsets_deleted,
        ),
        (
            "group_completed_rebalance_count",
            "Rebalances of groups of the classic protocol that came to an assignment.",
            counters.classic_rebalances,
        ),
        (
            "consumer_group_rebalance_count",
            "Rebalances of groups of the newer protocol.",
            counters.consumer_rebalances,
        ),
    ] {
        page.one(&format!("{METRICS}_{name}"), "counter", help, value);
    }
    page.one(
        "rinka_group_members_fenced_total",
        "counter",
        "Members that were silent for too long, or did not give up partitions in time.",
        counters.members_fenced,
    );
    page.one(
        "rinka_group_failed_loads_total",
        "counter",
        "Times that a partition of __consumer_offsets could not be read; it is tried again.",
        groups.failed_loads,
    );
}

fn render_positions(page: &mut Page, groups: &GroupsReport, ends: &LogEnds) {
    let of = |at: &crate::coordinator::group::counters::CommittedPosition| {
        labels(&[
            ("consumergroup", &at.group),
            ("topic", &at.topic),
            ("partition", &at.partition.to_string()),
        ])
    };
    page.family(
        "kafka_consumergroup_current_offset",
        "gauge",
        "The committed offset of a group.",
        groups.positions.iter().map(|at| (of(at), at.offset)),
    );
    let lags = groups.positions.iter().filter_map(|at| {
        let end = ends.get(&(at.topic.clone(), at.partition))?;
        // Ahead of the end: the topic was made anew, or the log lost what was not flushed.
        Some((of(at), (end - at.offset).max(0)))
    });
    page.family(
        "kafka_consumergroup_lag",
        "gauge",
        "How many offsets there are from the committed one to the end of the partition.",
        lags,
    );
    page.one(
        "rinka_consumergroup_offsets_left_out",
        "gauge",
        "Committed offsets that this page does not list one by one.",
        groups.positions_left_out,
    );
}
