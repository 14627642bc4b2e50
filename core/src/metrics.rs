//! What the broker counts, and how that reads as Prometheus text.
//!
//! A shard counts in its own cells, without a lock or an atomic; who wants to see them asks the shard for a [`ShardReport`].
//! Never decides anything by a count.

pub(crate) mod groups;
mod prometheus;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use rinka_net::wire::{ApiKey, ErrorCode};
use rinka_storage::latency_histogram::LatencySnapshot;

pub(crate) use prometheus::render;

use groups::GroupsReport;

/// How many error codes are counted apart; Kafka's go to 133.
const ERROR_CODES: usize = 160;

/// What a shard counts of requests.
pub(crate) struct RequestCounters {
    /// By the API's place in [`ApiKey::served`].
    requests: Vec<Cell<u64>>,
    /// Produce requests' partitions that were refused, by error code; the last is for all beyond.
    refused: Vec<Cell<u64>>,
}

impl Default for RequestCounters {
    fn default() -> Self {
        Self {
            requests: ApiKey::served().map(|_| Cell::default()).collect(),
            refused: (0..ERROR_CODES).map(|_| Cell::default()).collect(),
        }
    }
}

fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

impl RequestCounters {
    pub(crate) fn on_request(&self, api: ApiKey) {
        if let Some(place) = ApiKey::served().position(|served| served == api) {
            count(&self.requests[place]);
        }
    }

    pub(crate) fn on_refused(&self, error: ErrorCode) {
        let place = usize::try_from(error.0).unwrap_or(ERROR_CODES - 1);
        count(&self.refused[place.min(ERROR_CODES - 1)]);
    }

    fn requests(&self) -> BTreeMap<&'static str, u64> {
        let counted = ApiKey::served().zip(&self.requests);
        counted
            .map(|(api, cell)| (api.name(), cell.get()))
            .collect()
    }

    fn refused(&self) -> BTreeMap<String, u64> {
        let counted = (0i16..).zip(&self.refused);
        let counted = counted.filter(|(_, cell)| cell.get() > 0);
        counted
            .map(|(code, cell)| (ErrorCode(code).to_string(), cell.get()))
            .collect()
    }

    /// Adds what was counted to a report.
    pub(crate) fn report(&self, report: &mut ShardReport) {
        report.requests = self.requests();
        report.refused = self.refused();
    }
}

/// What a partition counts.
#[derive(Default)]
pub(crate) struct PartitionCounters {
    pub(crate) messages_in: Cell<u64>,
    pub(crate) bytes_in: Cell<u64>,
    pub(crate) bytes_out: Cell<u64>,
    pub(crate) produces: Cell<u64>,
    pub(crate) failed_produces: Cell<u64>,
    pub(crate) fetches: Cell<u64>,
    pub(crate) failed_fetches: Cell<u64>,
    /// Produce requests acknowledged when their records were on disk, flushed.
    pub(crate) acknowledged_flushed: Cell<u64>,
    /// ... handed to the device, not flushed.
    pub(crate) acknowledged_written: Cell<u64>,
}

/// What a topic's partitions on one shard come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicReport {
    pub(crate) partitions: u64,
    pub(crate) log_bytes: u64,
    pub(crate) messages_in: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) produces: u64,
    pub(crate) failed_produces: u64,
    pub(crate) fetches: u64,
    pub(crate) failed_fetches: u64,
    pub(crate) acknowledged_flushed: u64,
    pub(crate) acknowledged_written: u64,
}

impl TopicReport {
    pub(crate) fn add_partition(&mut self, counters: &PartitionCounters, log_bytes: u64) {
        let other = Self {
            partitions: 1,
            log_bytes,
            messages_in: counters.messages_in.get(),
            bytes_in: counters.bytes_in.get(),
            bytes_out: counters.bytes_out.get(),
            produces: counters.produces.get(),
            failed_produces: counters.failed_produces.get(),
            fetches: counters.fetches.get(),
            failed_fetches: counters.failed_fetches.get(),
            acknowledged_flushed: counters.acknowledged_flushed.get(),
            acknowledged_written: counters.acknowledged_written.get(),
        };
        self.add(&other);
    }

    fn add(&mut self, other: &Self) {
        self.partitions += other.partitions;
        self.log_bytes += other.log_bytes;
        self.messages_in += other.messages_in;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.produces += other.produces;
        self.failed_produces += other.failed_produces;
        self.fetches += other.fetches;
        self.failed_fetches += other.failed_fetches;
        self.acknowledged_flushed += other.acknowledged_flushed;
        self.acknowledged_written += other.acknowledged_written;
    }
}

/// One shard's counts at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShardReport {
    /// Why its disk takes nothing any more.
    pub(crate) failure: Option<String>,
    pub(crate) stopping: bool,
    /// Its disk is full: records are refused until there is space.
    pub(crate) full: bool,
    pub(crate) topics: BTreeMap<String, TopicReport>,
    pub(crate) requests: BTreeMap<&'static str, u64>,
    pub(crate) refused: BTreeMap<String, u64>,
    /// Connections that were closed by us, by reason.
    pub(crate) rejected: BTreeMap<&'static str, u64>,
    pub(crate) connections: u64,
    pub(crate) connections_opened: u64,
    pub(crate) network_bytes_in: u64,
    pub(crate) network_bytes_out: u64,
    pub(crate) flush: LatencySnapshot,
    pub(crate) journal_blocks: u64,
    pub(crate) journal_bytes: u64,
    /// Of the journal's capacity, 0 to 1.
    pub(crate) journal_fullness: f64,
    pub(crate) unsent_bytes: u64,
    pub(crate) uncommitted_bytes: u64,
    pub(crate) cached_bytes: u64,
    /// Bytes in memory and the journal that no segment holds yet.
    pub(crate) unwritten_bytes: u64,
    pub(crate) open_files: u64,
    pub(crate) doomed_files: u64,
    pub(crate) fetch_sessions: u64,
    pub(crate) fetch_session_partitions: u64,
    pub(crate) cleaner: CleanerReport,
    pub(crate) groups: GroupsReport,
    pub(crate) stalls: u64,
    pub(crate) offline_partitions: u64,
}

/// What compaction did on one shard.
#[derive(Clone, Debug, Default)]
pub(crate) struct CleanerReport {
    /// Logs compacted, one counted as often as it was.
    pub(crate) logs: u64,
    /// Bytes of segments that were replaced, and of those that took their place.
    pub(crate) bytes_before: u64,
    pub(crate) bytes_after: u64,
    pub(crate) bytes_read: u64,
    pub(crate) bytes_written: u64,
    /// Of the dirtiest log, 0 to 1, when it was last looked.
    pub(crate) max_dirty_ratio: f64,
    /// By how much the oldest dirty record is beyond `max.compaction.lag.ms`.
    pub(crate) max_delay: Duration,
    pub(crate) last_took: Duration,
    pub(crate) last_key_map_utilization: f64,
    /// What was left of what the last run looked at, 0 to 1.
    pub(crate) last_recopied_ratio: f64,
    pub(crate) uncleanable_partitions: u64,
    pub(crate) since_last_run: Duration,
}

/// What is true of the whole process.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessReport {
    pub(crate) version: &'static str,
    pub(crate) uptime: Duration,
    pub(crate) recovery: Duration,
    pub(crate) recovered_partitions: u64,
    pub(crate) replayed_blocks: u64,
    pub(crate) damaged_journals: u64,
    pub(crate) replayed_bytes: u64,
    pub(crate) resident_bytes: u64,
    pub(crate) cpu: Duration,
    pub(crate) open_descriptors: u64,
}
