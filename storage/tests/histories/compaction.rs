//! Compaction in the histories: when it runs, and what it may have taken.
//!
//! A record may be missing when a newer one of its key is in the log, or when it is a tombstone whose time is over. Everything else that
//! was sent is where it was, in the form it was sent in.

use std::cell::Cell;
use std::collections::HashMap;

use bytes::Bytes;
use futures_lite::future::yield_now;
use rinka_storage::compaction::CompactionConfig;
use rinka_storage::disk::sim::SimDisk;
use rinka_storage::offset::Offset;
use rinka_storage::record::Records;
use rinka_storage::record_batch::{RecordBatchHeader, unpack};
use rinka_storage::store::{CompactionRequest, CompactionSettings, Store};

use crate::model::{ModelLog, Sent, SharedModel};
use crate::random::Random;

/// How a world's logs are compacted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compaction {
    /// As many keys as a log has.
    pub(crate) keys: u64,
    pub(crate) delete_retention_ms: i64,
    pub(crate) key_map_bytes: usize,
}

impl Compaction {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            keys: random.of(&[3, 20, 200]),
            delete_retention_ms: random.of(&[0, 100, 100_000]),
            key_map_bytes: random.of(&[1024, 1 << 20]),
        }
    }

    fn config(&self) -> CompactionConfig {
        CompactionConfig {
            dirty_ratio_min: 0.0,
            lag_ms_min: 0,
            lag_ms_max: i64::MAX,
            delete_retention_ms: self.delete_retention_ms,
            segment_index_bytes: 1 << 20,
        }
    }
}

/// What the driver asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) seed: u64,
}

/// Compacts all logs whenever it is wanted to, beside everything else.
pub(crate) async fn compact(
    store: &Store<SimDisk>,
    compaction: Option<Compaction>,
    model: &SharedModel,
    wanted: &Cell<Option<Run>>,
) {
    loop {
        if let (Some(compaction), Some(run)) = (compaction, wanted.take()) {
            run_once(store, &compaction, model, &run).await;
        }
        yield_now().await;
    }
}

async fn run_once(store: &Store<SimDisk>, compaction: &Compaction, model: &SharedModel, run: &Run) {
    let mut random = Random(run.seed);
    let (requests, now) = {
        let mut model = model.borrow_mut();
        model.now += 1 + random.below(200) as i64;
        let now = model.now;
        let mut requests = Vec::new();
        for log in model.logs.values_mut() {
            let Some(handle) = store.log(log.name) else {
                continue;
            };
            requests.push(CompactionRequest {
                log: handle,
                config: compaction.config(),
                committed: log.acked,
            });
            log.on_run(now, compaction.delete_retention_ms);
        }
        (requests, now)
    };
    let settings = CompactionSettings {
        key_map_bytes: compaction.key_map_bytes,
        now,
        seed: [random.next(), random.next()],
    };
    let steps_max = if random.one_in(4) {
        random.below(20)
    } else {
        u64::MAX
    };
    let steps = Cell::new(0);
    let polls = random.of(&[0, 1, 5]);
    let pace = async |_| {
        for _ in 0..polls {
            yield_now().await;
        }
        steps.set(steps.get() + 1);
        steps.get() < steps_max
    };
    let result = store.compact(&requests, &settings, &pace).await;
    if let Ok(done) = result {
        let mut model = model.borrow_mut();
        model.logs_compacted += done.logs;
        model.bytes_compacted += done.bytes_before - done.bytes_after.min(done.bytes_before);
    }
}

/// A record as it can be told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    offset: Offset,
    timestamp: i64,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

fn records(header: &RecordBatchHeader, batch: &[u8], base: Offset) -> Vec<Told> {
    let body = unpack(batch, header).expect("a batch that can be unpacked");
    Records::new(&body, header.record_count)
        .map(|record| {
            let record = record.expect("whole");
            Told {
                offset: base.plus(i64::from(record.offset_delta)),
                timestamp: header.base_timestamp + record.timestamp_delta,
                key: record.key.expect("all have one").to_vec(),
                value: record.value.map(<[u8]>::to_vec),
            }
        })
        .collect()
}

/// Keys and offsets of records that were served, in their order.
pub(crate) type ToldKeys = Vec<(Vec<u8>, Offset)>;

/// What a log's keys have come to.
pub(crate) struct Newest {
    of: HashMap<Vec<u8>, Offset>,
}

impl Newest {
    /// Of all that was sent and is below the log's end.
    pub(crate) fn of(log: &ModelLog, end: Offset) -> Self {
        let mut of = HashMap::new();
        for sent in log.sent.iter().filter(|sent| sent.end <= end) {
            for record in records(&sent.header, &sent.batch, sent.base) {
                of.insert(record.key, record.offset);
            }
        }
        Self { of }
    }

    /// What is wrong with the last records of keys that a reader of the whole log has seen: only a newest one may be the last, and
    /// that others are there is checked where they are missed.
    pub(crate) fn check_last(&self, read: &HashMap<Vec<u8>, Offset>) -> Result<(), String> {
        for (key, offset) in read {
            let newest = self.of.get(key);
            if newest != Some(offset) {
                return Err(format!(
                    "the last record of a key is the one at {offset}, the newest was at {newest:?}: what was deleted is back"
                ));
            }
        }
        Ok(())
    }

    fn may_miss(&self, log: &ModelLog, sent: &Sent, record: &Told) -> bool {
        match self.of.get(&record.key) {
            Some(newest) if *newest > record.offset => true,
            _ => record.value.is_none() && sent.horizon <= log.last_run,
        }
    }
}

/// What is wrong with batches that were served from `offset` on, or where they end and which records were in them.
pub(crate) fn check_served(
    log: &ModelLog,
    newest: &Newest,
    (offset, limit): (Offset, Offset),
    batches: &[(RecordBatchHeader, Bytes)],
) -> Result<(Offset, ToldKeys), String> {
    let mut at = offset;
    let mut told = Vec::new();
    let all_may_miss = |from: Offset, to: Offset| {
        let between = log
            .sent
            .iter()
            .filter(|sent| sent.end > from && sent.base < to);
        for sent in between {
            for record in records(&sent.header, &sent.batch, sent.base) {
                if record.offset >= from && !newest.may_miss(log, sent, &record) {
                    return Err(format!(
                        "the record at {} is gone, and no newer one has its key ({:?}, horizon {}, last run {})",
                        record.offset,
                        record.value.map(|value| value.len()),
                        sent.horizon,
                        log.last_run,
                    ));
                }
            }
        }
        Ok(())
    };
    for (header, batch) in batches {
        let index = log
            .sent
            .partition_point(|sent| sent.base < header.base_offset);
        let sent = log.sent.get(index);
        let same = |sent: &&Sent| {
            let old = &sent.header;
            sent.base == header.base_offset
                && sent.end == header.end_offset()
                && sent.epoch == header.partition_leader_epoch
                && old.producer_id == header.producer_id
                && old.producer_epoch == header.producer_epoch
                && old.base_sequence == header.base_sequence
        };
        let Some(sent) = sent.filter(same) else {
            return Err(format!(
                "no batch like the one at {} was sent",
                header.base_offset
            ));
        };
        if sent.end <= at {
            return Err(format!("the batch at {} comes after {at}", sent.base));
        }
        all_may_miss(at, sent.base)?;
        let served = records(header, batch, sent.base);
        let mut left = served.iter();
        let mut next = left.next();
        for record in records(&sent.header, &sent.batch, sent.base) {
            if next == Some(&record) {
                next = left.next();
            } else if !newest.may_miss(log, sent, &record) {
                return Err(format!(
                    "the record at {} is gone from its batch, and no newer one has its key",
                    record.offset
                ));
            }
        }
        if let Some(record) = next {
            return Err(format!("the record at {} was not sent so", record.offset));
        }
        told.extend(served.into_iter().map(|record| (record.key, record.offset)));
        at = sent.end;
    }
    if batches.is_empty() {
        all_may_miss(at, limit)?;
        at = limit;
    }
    Ok((at, told))
}
