//! What must hold whatever happens. Each invariant is one name and the functions that hold it; a violation ends the history.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;

use bytes::Bytes;
use rinka_storage::disk::sim::{Counts, SimDisk};
use rinka_storage::log::LogCheckpoint;
use rinka_storage::offset::Offset;
use rinka_storage::record_batch::verify_crc;
use rinka_storage::segment_files::DELETED_SUFFIX;
use rinka_storage::store::Appended;

use crate::compaction::{Newest, ToldKeys, check_served};
use crate::model::{ModelLog, Sent};
use crate::world::{Faults, ROOT};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invariant {
    AckedIsDurable,
    OrderAndOffsetsHold,
    NothingDamagedIsServed,
    RecoveryIsIdempotent,
    RecoveryIsBounded,
    FlushFailureIsFinal,
    OnlyTheDiskFails,
}

fn violated(invariant: Invariant, what: impl Display) -> ! {
    panic!("{invariant:?}: {what}");
}

/// `AckedIsDurable`: what was acknowledged is there after whatever its acknowledgement was to survive.
pub(crate) fn acked_is_durable(log: &ModelLog, end: Offset) {
    if end < log.acked {
        let what = format!(
            "{} ends at {end}, acknowledged up to {}",
            log.name, log.acked
        );
        violated(Invariant::AckedIsDurable, what);
    }
}

/// `AckedIsDurable`: a data directory that nothing has damaged can be opened.
pub(crate) fn acked_can_be_opened<T>(opened: Result<T, String>) -> T {
    opened.unwrap_or_else(|error| violated(Invariant::AckedIsDurable, error))
}

/// `AckedIsDurable` below the acknowledged offset and `NothingDamagedIsServed` above it: what recovery keeps can be read.
pub(crate) fn what_is_kept_can_be_read(log: &ModelLog, offset: Offset, error: impl Display) -> ! {
    let what = format!("{} cannot be read at {offset}: {error}", log.name);
    if offset < log.acked {
        violated(Invariant::AckedIsDurable, what);
    }
    violated(Invariant::NothingDamagedIsServed, what)
}

/// `OrderAndOffsetsHold`: a log ends where a batch ends.
pub(crate) fn no_batch_is_split(log: &ModelLog, end: Offset) {
    if end != Offset::ZERO && !log.sent.iter().any(|sent| sent.end == end) {
        let what = format!("{} ends at {end}, which is no batch's end", log.name);
        violated(Invariant::OrderAndOffsetsHold, what);
    }
}

/// `AckedIsDurable` for the records that were to go, and `OrderAndOffsetsHold` for those that were not: a log starts where
/// it was said to.
pub(crate) fn the_log_start_holds(log: &ModelLog, start: Offset, end: Offset) {
    if start < log.start.min(end) {
        let what = format!("{} starts at {start}, {} was durable", log.name, log.start);
        violated(Invariant::AckedIsDurable, what);
    }
    if start > log.start_wanted {
        let what = format!(
            "{} starts at {start}, asked for {}",
            log.name, log.start_wanted
        );
        violated(Invariant::OrderAndOffsetsHold, what);
    }
}

/// `OrderAndOffsetsHold`: an appended batch gets the offsets behind the last one's.
pub(crate) fn offsets_follow(log: &ModelLog, base: Offset) {
    let expected = log.sent.last().map_or(Offset::ZERO, |sent| sent.end);
    if base != expected {
        let what = format!("{}: {base} was given and {expected} is next", log.name);
        violated(Invariant::OrderAndOffsetsHold, what);
    }
}

/// `OrderAndOffsetsHold`: a batch that is sent again is answered with the offsets it has, and is not appended again.
pub(crate) fn a_repeated_batch_is_known(
    log: &ModelLog,
    sent: &Sent,
    answer: &impl PartialEq<Appended>,
    shown: &str,
) {
    let expected = Appended::Duplicate {
        base: sent.base,
        end: sent.end,
    };
    if *answer != expected {
        let what = format!(
            "{}: {expected:?} is repeated, the answer is {shown}",
            log.name
        );
        violated(Invariant::OrderAndOffsetsHold, what);
    }
}

/// `OrderAndOffsetsHold` and `NothingDamagedIsServed`: batches served from `offset` on are whole, are those that were sent,
/// leave none out, and begin with the one that holds the offset. Returns where they end.
pub(crate) fn what_is_served_is_what_was_sent(
    log: &ModelLog,
    offset: Offset,
    limit: Offset,
    batches: &[Bytes],
    faults: &Faults,
) -> Offset {
    let first = log.sent.partition_point(|sent| sent.end <= offset);
    if batches.is_empty() {
        let what = format!("{}: nothing at {offset}, below {limit}", log.name);
        violated(Invariant::OrderAndOffsetsHold, what);
    }
    let mut end = offset;
    for (number, batch) in batches.iter().enumerate() {
        let Ok(header) = verify_crc(batch) else {
            let what = format!("{}: a batch served at {end} has a wrong sum", log.name);
            violated(Invariant::NothingDamagedIsServed, what)
        };
        let same = |sent: &&Sent| {
            sent.base == header.base_offset
                // No sum covers the epoch.
                && (sent.epoch == header.partition_leader_epoch || faults.bit_flips)
                && batch.len() == sent.batch.len()
                && batch[16..] == sent.batch[16..]
        };
        let right = log.sent.get(first + number).filter(same);
        // Where a write went astray, its place still holds what was there: an older batch that is right in every respect.
        let stale = || {
            log.lost
                .iter()
                .find(|sent| faults.disk.misdirected > 0 && same(sent) && sent.base == end)
        };
        let right = right.or_else(stale);
        let Some(sent) = right else {
            let what = format!(
                "{}: asked for {offset}, batch {number} served says {} (epoch {}) and is another than was sent at {end}",
                log.name, header.base_offset, header.partition_leader_epoch
            );
            violated(Invariant::OrderAndOffsetsHold, what)
        };
        end = sent.end;
    }
    if end > limit {
        let what = format!("{}: served up to {end}, asked up to {limit}", log.name);
        violated(Invariant::OrderAndOffsetsHold, what);
    }
    end
}

/// As [`what_is_served_is_what_was_sent`], of a log that is compacted: `AckedIsDurable` for what may not be missing. Returns where the
/// batches end, and the records in them.
pub(crate) fn what_is_served_is_what_was_left(
    log: &ModelLog,
    newest: &Newest,
    asked: (Offset, Offset),
    batches: &[Bytes],
) -> (Offset, ToldKeys) {
    let whole = batches.iter().map(|batch| match verify_crc(batch) {
        Ok(header) => (header, batch.clone()),
        Err(error) => {
            let what = format!("{}: a batch served has a wrong sum: {error:?}", log.name);
            violated(Invariant::NothingDamagedIsServed, what)
        }
    });
    let whole: Vec<_> = whole.collect();
    check_served(log, newest, asked, &whole).unwrap_or_else(|error| {
        let what = format!("{}: asked for {asked:?}: {error}", log.name);
        violated(Invariant::AckedIsDurable, what)
    })
}

/// `OrderAndOffsetsHold`: who reads a compacted log from its beginning ends with the last value of each key.
pub(crate) fn the_last_values_are_known(
    log: &ModelLog,
    newest: &Newest,
    read: &HashMap<Vec<u8>, Offset>,
) {
    if let Err(error) = newest.check_last(read) {
        let what = format!("{}: {error}", log.name);
        violated(Invariant::OrderAndOffsetsHold, what);
    }
}

/// `RecoveryIsIdempotent`: recovering again gives what the first time gave, also when the first time was cut short.
pub(crate) fn recovery_is_idempotent<T: PartialEq + std::fmt::Debug>(
    first: &T,
    again: &T,
    how: &str,
) {
    if first != again {
        let what = format!("{how}: first {first:?}, then {again:?}");
        violated(Invariant::RecoveryIsIdempotent, what);
    }
}

/// `RecoveryIsIdempotent`: what could be recovered can be recovered again.
pub(crate) fn recovery_is_repeatable<T>(opened: Result<T, String>, how: &str) -> T {
    opened.unwrap_or_else(|error| {
        violated(Invariant::RecoveryIsIdempotent, format!("{how}: {error}"))
    })
}

/// What recovery may touch.
pub(crate) struct Bound {
    /// Bytes of the journal and of the checkpoints on disk.
    pub(crate) journal: u64,
    pub(crate) checkpoints: u64,
    pub(crate) logs: u64,
    /// Bytes of the batches that were brought to their logs.
    pub(crate) replayed: u64,
}

/// `RecoveryIsBounded`: recovery reads and writes in proportion to the journal and the checkpoints, however long the logs are.
pub(crate) fn recovery_is_bounded(before: Counts, after: Counts, bound: &Bound) {
    let bytes = after.bytes_read + after.bytes_written - before.bytes_read - before.bytes_written;
    // A journal is read twice at most (for log starts first), with windows that overlap by less than a block each. A replayed batch is written once, and a large
    // one read as well; each log and each of its files has a first and a last block that is not whole. A checkpoint is
    // read, and written in blocks.
    let most = 3 * bound.journal
        + 4 * bound.replayed
        + 4 * bound.checkpoints
        + (bound.logs + 4) * (64 << 10);
    if bytes > most {
        let what = format!("{bytes} bytes were read and written, {most} at most are allowed");
        violated(Invariant::RecoveryIsBounded, what);
    }
}

/// `RecoveryIsBounded`: after an orderly stop there is nothing to replay.
pub(crate) fn an_orderly_stop_leaves_nothing_to_replay(batches: u64) {
    if batches > 0 {
        let what = format!("{batches} batches were replayed after an orderly stop");
        violated(Invariant::RecoveryIsBounded, what);
    }
}

/// `NothingDamagedIsServed`, the other way round: what is whole is not called damaged. Without faults that damage, and when every ack
/// waits for its flush, a journal ends where writing did.
pub(crate) fn nothing_whole_is_called_damaged(journals: u64) {
    if journals > 0 {
        let what = format!("{journals} journals are said to be damaged");
        violated(Invariant::NothingDamagedIsServed, what);
    }
}

/// `RecoveryIsBounded`, by what it leaves behind: after a life that nothing disturbs, nothing is left of what deleted topics
/// had: of directories there are only those that are `known`.
pub(crate) fn what_was_deleted_is_gone(disk: &SimDisk, known: Option<&HashSet<String>>) {
    for (path, size) in disk.files() {
        let below_root = path.strip_prefix(ROOT).ok();
        let directory = below_root.and_then(|path| path.iter().next());
        let directory = directory.unwrap_or_default().to_string_lossy();
        // The process ended before the directory said whose it is: there is nothing else in it.
        let is_nobodys = size == 0 && path.ends_with("partition.metadata");
        let is_left = directory.starts_with("topic")
            && !is_nobodys
            && known.is_some_and(|known| !known.contains(&*directory));
        if is_left || directory.contains(DELETED_SUFFIX) {
            let what = format!("{} is left of what was deleted", path.display());
            violated(Invariant::RecoveryIsBounded, what);
        }
    }
}

/// `RecoveryIsBounded`, by what it leaves behind: of compaction there are only the segments that the logs are made of.
pub(crate) fn nothing_is_left_of_compaction(disk: &SimDisk, logs: &[LogCheckpoint]) {
    let segments = logs.iter().flat_map(|log| &log.segments);
    let known: HashSet<String> = segments
        .map(|segment| segment.name().file_name("log"))
        .collect();
    for (path, _) in disk.files() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_compacted = name.ends_with(".log") && name.matches('.').count() == 2;
        if is_compacted && !known.contains(&*name) {
            let what = format!("{} belongs to no log", path.display());
            violated(Invariant::RecoveryIsBounded, what);
        }
    }
}

/// `FlushFailureIsFinal`: after a write or a flush has failed, only what was under way beside it is still acknowledged.
pub(crate) fn flush_failure_is_final(acknowledging_since: u64, failures: Counts) {
    if acknowledging_since > 1 {
        let what = format!(
            "{acknowledging_since} commits were acknowledged after {} failed writes and {} failed flushes",
            failures.write_errors, failures.flush_errors
        );
        violated(Invariant::FlushFailureIsFinal, what);
    }
}

/// `OnlyTheDiskFails`: a store or a log takes nothing more only when the disk gave it a reason.
pub(crate) fn only_the_disk_fails(what: &str, reason: &str) -> ! {
    let what = format!("{what} has failed, and no fault was injected: {reason}");
    violated(Invariant::OnlyTheDiskFails, what);
}

/// `FlushFailureIsFinal`: a store that has failed takes nothing.
pub(crate) fn a_failed_store_takes_nothing(failure: Option<String>) {
    if let Some(reason) = failure {
        violated(
            Invariant::FlushFailureIsFinal,
            format!("an append was taken after: {reason}"),
        );
    }
}
