//! What happened in many histories: a fault that never came, or an operation that never ran, proves nothing.

use rinka_storage::disk::sim::{Lost, SimDisk};

use crate::life::Plan;
use crate::model::Model;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    lives: u64,
    /// Ended with an orderly stop; ended in the middle of recovery; ended by the power, with this much lost.
    stops: u64,
    ended_in_recovery: u64,
    cuts: u64,
    lost: Lost,
    write_errors: u64,
    flush_errors: u64,
    full: u64,
    misdirected: u64,
    pub(crate) flips: u64,
    bytes_written: u64,
    /// Of logs as they were at the end of their history.
    batches: u64,
    batches_lost: u64,
    topics_deleted: u64,
    records_deleted: u64,
    logs_compacted: u64,
    bytes_compacted: u64,
}

impl Tally {
    pub(crate) fn life(&mut self, disk: &SimDisk, plan: &Plan, lived: &Result<bool, String>) {
        let counts = disk.counts();
        self.lives += 1;
        self.stops += u64::from(plan.stop && *lived == Ok(true));
        self.ended_in_recovery += u64::from(lived.is_err());
        self.write_errors += counts.write_errors;
        self.flush_errors += counts.flush_errors;
        self.full += counts.full;
        self.misdirected += counts.misdirected;
        self.bytes_written += counts.bytes_written;
    }

    pub(crate) fn cut(&mut self, lost: Lost) {
        self.cuts += 1;
        self.lost.names += lost.names;
        self.lost.writes += lost.writes;
        self.lost.torn += lost.torn;
    }

    pub(crate) fn model(&mut self, model: &Model) {
        self.topics_deleted += model.deleted.len() as u64;
        self.logs_compacted += model.logs_compacted;
        self.bytes_compacted += model.bytes_compacted;
        for log in model.logs.values() {
            self.batches += log.sent.len() as u64;
            self.batches_lost += log.lost.len() as u64;
            self.records_deleted += log.start.0.unsigned_abs();
        }
    }

    pub(crate) fn everything_happened(&self) {
        let each = [
            self.stops,
            self.ended_in_recovery,
            self.lost.names,
            self.lost.writes,
            self.lost.torn,
            self.write_errors,
            self.flush_errors,
            self.full,
            self.misdirected,
            self.flips,
            self.batches_lost,
            self.topics_deleted,
            self.records_deleted,
            self.logs_compacted,
            self.bytes_compacted,
        ];
        assert!(
            each.iter().all(|count| *count >= 50),
            "too little of something: {self:?}"
        );
    }
}
