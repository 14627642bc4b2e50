//! What a shard tells of itself, for the admin port.
//!
//! Only reads.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use rinka_net::rejected::Rejected;
use rinka_storage::topic_partition::TopicPartition;

use super::Shard;
use super::partition::Partition;
use super::shard_map::METADATA;
use crate::config::broker::Routing;
use crate::metrics::groups::LogEnds;
use crate::metrics::{ShardReport, TopicReport};

/// Partitions looked at before others have their turn.
const PARTITIONS_AT_ONCE: usize = 256;

impl Shard {
    /// The shards of the broker that clients of this one see: all of the node, or, under core routing, this one alone. What is told of a
    /// broker is told of these, so that who asks every broker counts nothing twice.
    pub(crate) fn of_broker(&self) -> Range<usize> {
        match self.node.config.routing {
            Routing::Node => 0..self.shards(),
            Routing::Core => self.number..self.number + 1,
        }
    }

    /// Bytes of each log here, the metadata log's included.
    pub(crate) async fn log_sizes(self: Rc<Self>) -> Vec<(TopicPartition, u64)> {
        let partitions: Vec<Rc<Partition>> = self.partitions.borrow().values().cloned().collect();
        let mut sizes = Vec::with_capacity(partitions.len());
        for (index, partition) in partitions.iter().enumerate() {
            if index % PARTITIONS_AT_ONCE == PARTITIONS_AT_ONCE - 1 {
                rinka_reactor::yield_if_needed().await;
            }
            sizes.push((partition.name, partition.log.borrow().size()));
        }
        sizes
    }

    /// Where the partitions end that are here, of those that are asked for: the first offsets that are not committed.
    pub(crate) async fn log_ends(
        self: Rc<Self>,
        wanted: Arc<BTreeSet<(Arc<str>, i32)>>,
    ) -> LogEnds {
        let image = Arc::clone(&self.image.borrow());
        let mut ends = LogEnds::new();
        for (index, (topic, partition)) in wanted.iter().enumerate() {
            if index % PARTITIONS_AT_ONCE == PARTITIONS_AT_ONCE - 1 {
                rinka_reactor::yield_if_needed().await;
            }
            let Some(known) = image.topic_named(topic) else {
                continue;
            };
            let found = self.partition(TopicPartition {
                topic_id: known.id,
                partition: *partition,
            });
            if let Some(found) = found {
                let end = found.high_watermark().0;
                ends.insert((Arc::clone(topic), *partition), end);
            }
        }
        ends
    }

    pub(crate) async fn report(self: Rc<Self>) -> ShardReport {
        let partitions: Vec<Rc<Partition>> = self.partitions.borrow().values().cloned().collect();
        let mut topics: BTreeMap<String, TopicReport> = BTreeMap::new();
        let mut offline_partitions = 0;
        for (index, partition) in partitions.iter().enumerate() {
            if index % PARTITIONS_AT_ONCE == PARTITIONS_AT_ONCE - 1 {
                rinka_reactor::yield_if_needed().await;
            }
            offline_partitions += u64::from(partition.closed.get());
            let image = self.image.borrow();
            let name = match image.topic(partition.name.topic_id) {
                Some(topic) => &*topic.name,
                None if partition.name == METADATA => "__cluster_metadata",
                None => continue,
            };
            let log_bytes = partition.log.borrow().size();
            match topics.get_mut(name) {
                Some(topic) => topic.add_partition(&partition.counters, log_bytes),
                None => {
                    let topic = topics.entry(name.to_owned()).or_default();
                    topic.add_partition(&partition.counters, log_bytes);
                }
            }
        }
        let groups = self.report_groups().await;
        let sessions = self.fetch_sessions.borrow();
        let network = &self.connection_counters;
        let mut report = ShardReport {
            failure: self.store.failure(),
            stopping: self.stopping(),
            topics,
            rejected: Rejected::ALL
                .into_iter()
                .map(|kind| (kind.name(), network.rejected.count(kind)))
                .collect(),
            connections: network.open(),
            connections_opened: network.opened.get(),
            network_bytes_in: network.bytes_in.get(),
            network_bytes_out: network.bytes_out.get(),
            unsent_bytes: network.unsent.get() as u64,
            flush: self.store.flush_latency(),
            journal_blocks: self.store.commits(),
            journal_bytes: self.store.journal_bytes(),
            journal_fullness: self.store.journal_fullness(),
            uncommitted_bytes: self.store.uncommitted_bytes() as u64,
            cached_bytes: self.store.cached_bytes() as u64,
            unwritten_bytes: self.store.unwritten_bytes() as u64,
            full: self.store.full().is_some(),
            open_files: self.store.files.open_files() as u64,
            doomed_files: self.doomed.borrow().len() as u64,
            fetch_sessions: sessions.len() as u64,
            fetch_session_partitions: sessions.partitions() as u64,
            groups,
            cleaner: self.cleaner.report(self.now()),
            stalls: self.stalls(),
            offline_partitions,
            ..ShardReport::default()
        };
        self.counters.report(&mut report);
        report
    }
}
