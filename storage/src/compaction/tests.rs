use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use proptest::prelude::*;
use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::*;
use crate::compression::Codec;
use crate::disk::{BLOCK, Durability};
use crate::leader_epoch::LeaderEpoch;
use crate::log::{Log, LogConfig};
use crate::offset::Offset;
use crate::record::Records;
use crate::record_batch::{
    RecordBatchBuilder, RecordBatchHeader, first_at_or_after, set_base_offset_and_epoch,
    set_log_append_time, unpack, verify_crc,
};
use crate::topic_partition::{TopicId, TopicPartition};

const CONFIG: CompactionConfig = CompactionConfig {
    dirty_ratio_min: 0.5,
    lag_ms_min: 0,
    lag_ms_max: i64::MAX,
    delete_retention_ms: 100,
    segment_index_bytes: 1 << 20,
};

/// A key and whether it has a value; at a time of its own.
type Made = (u8, bool);

#[derive(Clone, Debug)]
struct MadeBatch {
    records: Vec<Made>,
    codec: Codec,
    producer: Option<i64>,
}

fn build(made: &MadeBatch, base: Offset, time: i64) -> Bytes {
    let mut builder = RecordBatchBuilder::new().codec(made.codec);
    if let Some(id) = made.producer {
        builder = builder.producer(id, 3, base.0 as i32);
    }
    for (number, (key, has_value)) in made.records.iter().enumerate() {
        let value = base.0.to_le_bytes();
        let value = has_value.then_some(&value[..]);
        builder.append_with_headers(
            time + number as i64,
            Some(&[*key]),
            value,
            &[("header", Some(b"kept"))],
        );
    }
    let mut batch = builder.build().to_vec();
    set_base_offset_and_epoch(&mut batch, base, LeaderEpoch(7));
    Bytes::from(batch)
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    offset: i64,
    timestamp: i64,
    key: u8,
    value: Option<Vec<u8>>,
}

fn told(batch: &[u8]) -> Vec<Told> {
    let header = verify_crc(batch).expect("a sum that holds");
    let body = unpack(batch, &header).expect("unpacked");
    let mut records = Records::new(&body, header.record_count);
    let told = records
        .by_ref()
        .map(|record| {
            let record = record.expect("whole");
            assert_eq!(record.headers().count(), 1);
            Told {
                offset: header.base_offset.0 + i64::from(record.offset_delta),
                timestamp: header.base_timestamp + record.timestamp_delta,
                key: record.key.expect("a key")[0],
                value: record.value.map(<[u8]>::to_vec),
            }
        })
        .collect();
    assert!(records.rest().is_empty());
    told
}

fn map_of(batches: &[Bytes], from: Offset) -> KeyMap {
    let mut map = KeyMap::new(1 << 20, 10_000, [3, 4]);
    let is_control = |batch: &&Bytes| verify_crc(batch).expect("a batch").is_control();
    let data = batches.iter().filter(|batch| !is_control(batch));
    for record in data.flat_map(|batch| told(batch)) {
        if record.offset >= from.0 {
            map.put(&[record.key], Offset(record.offset));
        }
    }
    map
}

fn end_of(batches: &[Bytes]) -> Offset {
    let last = batches.last().expect("there is one");
    RecordBatchHeader::parse(last)
        .expect("a batch")
        .end_offset()
}

/// One run over a log.
fn run(
    batches: &[Bytes],
    from: Offset,
    now: i64,
    producers: &FxHashMap<i64, Offset>,
) -> Vec<Bytes> {
    let map = map_of(batches, from);
    let upto = end_of(batches);
    let pass = Pass {
        map: &map,
        mapped: upto,
        upto,
        now,
        delete_retention_ms: 100,
        last_of_producers: producers,
    };
    let rewritten = batches.iter().filter_map(|batch| {
        let header = RecordBatchHeader::parse(batch).expect("a batch");
        match pass.rewrite(&header, batch) {
            Rewritten::Kept => Some(batch.clone()),
            Rewritten::Changed(changed) => Some(Bytes::from(changed)),
            Rewritten::Removed => None,
        }
    });
    rewritten.collect()
}

fn batch_strategy() -> impl Strategy<Value = MadeBatch> {
    let codec = prop_oneof![
        Just(Codec::None),
        Just(Codec::Gzip),
        Just(Codec::Snappy),
        Just(Codec::Lz4),
        Just(Codec::Zstd)
    ];
    let records = proptest::collection::vec((0u8..6, prop::bool::weighted(0.7)), 1..5);
    (records, codec, proptest::option::of(0i64..3)).prop_map(|(records, codec, producer)| {
        MadeBatch {
            records,
            codec,
            producer,
        }
    })
}

proptest! {
    /// The model: of each key the newest record stays, at its offset and in its form; a tombstone only until its time is over.
    #[test]
    fn what_is_left_is_the_newest_record_of_each_key(
        made in proptest::collection::vec(batch_strategy(), 1..12),
        more in proptest::collection::vec(batch_strategy(), 1..12),
    ) {
        let mut batches = Vec::new();
        let mut sent = Vec::new();
        let mut producers = FxHashMap::default();
        let mut append = |made: &[MadeBatch], batches: &mut Vec<Bytes>, producers: &mut FxHashMap<i64, Offset>| {
            for made in made {
                let base = sent.len() as i64;
                let batch = build(made, Offset(base), 1000 + base);
                sent.extend(told(&batch));
                if let Some(id) = made.producer {
                    producers.insert(id, Offset(sent.len() as i64 - 1));
                }
                batches.push(batch);
            }
            sent.clone()
        };
        let check = |sent: &[Told], before: &[Bytes], after: &[Bytes], producers: &FxHashMap<i64, Offset>, drops_tombstones: bool| {
            let mut newest = BTreeMap::new();
            for record in sent {
                newest.insert(record.key, record);
            }
            let left: Vec<Told> = after.iter().flat_map(|batch| told(batch)).collect();
            let is_kept = |record: &&Told| newest[&record.key].offset == record.offset && (record.value.is_some() || !drops_tombstones);
            let expected: Vec<Told> = sent.iter().filter(is_kept).cloned().collect();
            prop_assert_eq!(&left, &expected);
            let old: BTreeMap<i64, RecordBatchHeader> = before.iter().map(|batch| RecordBatchHeader::parse(batch).expect("a batch")).map(|header| (header.base_offset.0, header)).collect();
            let mut last = -1;
            for batch in after {
                let header = RecordBatchHeader::parse(batch).expect("a batch");
                let was = &old[&header.base_offset.0];
                prop_assert!(header.base_offset.0 > last, "order");
                last = header.last_offset().0;
                prop_assert_eq!(header.last_offset(), was.last_offset());
                prop_assert_eq!(header.partition_leader_epoch, was.partition_leader_epoch);
                prop_assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (was.producer_id, was.producer_epoch, was.base_sequence));
                prop_assert_eq!(header.last_sequence(), was.last_sequence());
                let of_batch: Vec<i64> = left.iter().filter(|record| header.base_offset.0 <= record.offset && record.offset <= last).map(|record| record.timestamp).collect();
                prop_assert_eq!(header.record_count as usize, of_batch.len());
                if let Some(max) = of_batch.iter().max() {
                    prop_assert_eq!(header.max_timestamp, *max);
                    prop_assert_eq!(header.codec(), was.codec());
                }
            }
            // Every producer's last batch, and the run's.
            let ends: HashSet<i64> = after.iter().map(|batch| RecordBatchHeader::parse(batch).expect("a batch").last_offset().0).collect();
            for last in producers.values() {
                prop_assert!(ends.contains(&last.0), "a producer's last batch");
            }
            prop_assert!(ends.contains(&(end_of(before).0 - 1)), "the last batch of the run");
            Ok(())
        };
        let all = append(&made, &mut batches, &mut producers);
        let first = run(&batches, Offset::ZERO, 5000, &producers);
        check(&all, &batches, &first, &producers, false)?;
        // Nothing new: nothing changes, and before their time is over the tombstones stay.
        let again = run(&first, end_of(&first), 5099, &producers);
        check(&all, &first, &again, &producers, false)?;
        let later = run(&again, end_of(&again), 5100, &producers);
        check(&all, &again, &later, &producers, true)?;
        // More is appended; what was there is clean.
        let dirty_from = end_of(&later);
        let mut grown = again.clone();
        let all = append(&more, &mut grown, &mut producers);
        let cleaned = run(&grown, dirty_from, 5050, &producers);
        check(&all, &grown, &cleaned, &producers, false)?;
    }

    #[test]
    fn any_records_are_rewritten_or_left_alone(body in proptest::collection::vec(any::<u8>(), 0..200), count: i32, attributes in 0i16..128) {
        let mut batch = RecordBatchBuilder::new();
        batch.append(5, Some(b"k"), None);
        let mut batch = batch.build()[..61].to_vec();
        batch[57..61].copy_from_slice(&count.to_be_bytes());
        batch[21..23].copy_from_slice(&attributes.to_be_bytes());
        batch.extend_from_slice(&body);
        let length = (batch.len() - 12) as i32;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        let header = RecordBatchHeader::parse(&batch).expect("a header");
        let map = KeyMap::new(2000, 10, [0, 0]);
        let pass = Pass { map: &map, mapped: Offset(1), upto: Offset(1), now: 10, delete_retention_ms: i64::MAX, last_of_producers: &FxHashMap::default() };
        if let Rewritten::Changed(changed) = pass.rewrite(&header, &batch) {
            prop_assert!(verify_crc(&changed).is_ok());
        }
    }
}

fn only(made: &MadeBatch, now: i64) -> RecordBatchHeader {
    let batch = build(made, Offset(0), 1000);
    let left = run(&[batch], Offset::ZERO, now, &FxHashMap::default());
    verify_crc(&left[0]).expect("a batch")
}

#[test]
fn tombstones_begin_their_time_when_they_are_first_seen() {
    let tombstone = MadeBatch {
        records: vec![(1, false)],
        codec: Codec::None,
        producer: None,
    };
    assert_eq!(only(&tombstone, 5000).delete_horizon(), Some(5100));
    let value = MadeBatch {
        records: vec![(1, true)],
        ..tombstone.clone()
    };
    assert_eq!(only(&value, 5000).delete_horizon(), None);
    // A horizon that is set is never moved.
    let batch = build(&tombstone, Offset(0), 1000);
    let none = FxHashMap::default();
    let first = run(&[batch], Offset::ZERO, 5000, &none);
    let again = run(&first, Offset(1), 5050, &none);
    assert_eq!(first, again);
    // The last batch of the run keeps its place without the record.
    let gone = run(&again, Offset(1), 5100, &none);
    let header = verify_crc(&gone[0]).expect("a batch");
    assert_eq!((header.record_count, header.delete_horizon()), (0, None));
    assert_eq!(header.last_offset(), Offset(0));
}

#[test]
fn what_the_broker_stamped_keeps_its_time() {
    let made = MadeBatch {
        records: vec![(1, true), (2, false), (1, true)],
        codec: Codec::Lz4,
        producer: None,
    };
    let mut batch = build(&made, Offset(0), 1000).to_vec();
    set_log_append_time(&mut batch, 77_000);
    let left = run(
        &[Bytes::from(batch)],
        Offset::ZERO,
        5000,
        &FxHashMap::default(),
    );
    let header = verify_crc(&left[0]).expect("a batch");
    assert!(header.is_log_append_time());
    assert_eq!((header.max_timestamp, header.record_count), (77_000, 2));
    assert_eq!(header.delete_horizon(), Some(5100));
}

#[test]
fn control_batches_and_what_is_behind_the_map_stay() {
    let mut control = RecordBatchBuilder::new()
        .producer(5, 0, -1)
        .control()
        .transactional();
    control.append(1000, Some(&[0, 0, 0, 1]), Some(&[0; 6]));
    let control = control.build();
    let left = run(
        std::slice::from_ref(&control),
        Offset::ZERO,
        9_000_000,
        &FxHashMap::default(),
    );
    assert_eq!(left, [control]);
    let tombstone = MadeBatch {
        records: vec![(1, false)],
        codec: Codec::None,
        producer: None,
    };
    let batch = build(&tombstone, Offset(4), 1000);
    let map = map_of(std::slice::from_ref(&batch), Offset(0));
    let pass = Pass {
        map: &map,
        mapped: Offset(4),
        upto: Offset(9),
        now: 9_000_000,
        delete_retention_ms: 0,
        last_of_producers: &FxHashMap::default(),
    };
    let header = verify_crc(&batch).expect("a batch");
    assert_eq!(pass.rewrite(&header, &batch), Rewritten::Kept);
}

#[test]
fn a_batch_without_records_has_no_record_at_any_time() {
    let made = MadeBatch {
        records: vec![(1, true)],
        codec: Codec::None,
        producer: None,
    };
    let mut stamped = build(&made, Offset(0), 1000).to_vec();
    set_log_append_time(&mut stamped, 2000);
    let newer = build(&made, Offset(1), 3000);
    let producers = FxHashMap::from_iter([(-1, Offset(0))]);
    let left = run(
        &[Bytes::from(stamped.clone()), newer],
        Offset::ZERO,
        1,
        &producers,
    );
    // No producer: the batch goes as a whole.
    assert_eq!(left.len(), 1);
    let alone = run(&[Bytes::from(stamped)], Offset::ZERO, 1, &producers);
    assert!(first_at_or_after(&alone[0], 0).expect("readable").is_some());
}

/// A log of rolled segments of these many bytes each, and one that is appended to.
fn log_of(segments: &[(i64, usize)], segment_bytes: u32) -> Log {
    let name = TopicPartition {
        topic_id: TopicId(Uuid::from_u128(1)),
        partition: 0,
    };
    let config = LogConfig {
        segment_bytes: 1,
        segment_ms: i64::MAX,
        index_interval_bytes: 4096,
        durability: Durability::Flushed,
    };
    let mut log = Log::new(name, "t-0".to_owned(), config);
    for &(timestamp, bytes) in segments.iter().chain([&(9000, 10)]) {
        let mut batch = RecordBatchBuilder::new();
        batch.append(timestamp, Some(b"k"), Some(&vec![0; bytes]));
        let data = batch.build();
        let header = RecordBatchHeader::parse(&data).expect("a batch");
        let place = log.place(&header);
        log.publish(place, place.offset.plus(1), data);
    }
    while let Some(write) = log.next_write() {
        let bytes = write.assemble(&[0; BLOCK]);
        log.finish_write(&write, Some(&bytes));
    }
    log.config.segment_bytes = segment_bytes;
    log
}

fn dirtiness(log: &Log, config: CompactionConfig, committed: i64) -> Dirtiness {
    Dirtiness::of(log, &config, Offset(committed), 10_000)
}

#[test]
fn what_is_dirty_ends_at_what_is_young_open_or_uncommitted() {
    let mut log = log_of(&[(1000, 900), (2000, 900), (3000, 900)], 5000);
    let upto = |log: &Log, config, committed| dirtiness(log, config, committed).upto.0;
    assert_eq!(
        upto(&log, CONFIG, 4),
        3,
        "never the one that is appended to"
    );
    assert_eq!(upto(&log, CONFIG, 2), 2);
    assert_eq!(upto(&log, CONFIG, 0), 0);
    let lag = |lag_ms_min| CompactionConfig {
        lag_ms_min,
        ..CONFIG
    };
    assert_eq!(upto(&log, lag(7000), 4), 3, "as old as it must be");
    assert_eq!(upto(&log, lag(7001), 4), 2);
    assert_eq!(upto(&log, lag(9001), 4), 0);
    let all = dirtiness(&log, CONFIG, 4);
    assert_eq!((all.ratio(), all.is_worth_it(&CONFIG)), (1.0, true));
    log.set_cleaned(Offset(2));
    let third = dirtiness(&log, CONFIG, 4);
    assert_eq!((third.first_dirty, third.upto), (Offset(2), Offset(3)));
    assert!((third.ratio() - 1.0 / 3.0).abs() < 0.01 && !third.is_worth_it(&CONFIG));
    log.set_cleaned(Offset(3));
    let nothing = dirtiness(
        &log,
        CompactionConfig {
            dirty_ratio_min: 0.0,
            ..CONFIG
        },
        4,
    );
    assert_eq!(
        (nothing.ratio(), nothing.is_worth_it(&CONFIG)),
        (0.0, false)
    );
    assert_eq!(plan(&log, &CONFIG, Offset(4), 10_000), None);
}

#[test]
fn what_is_overdue_is_worth_it_however_little_it_is() {
    let mut log = log_of(&[(1000, 900), (2000, 900), (3000, 90)], 5000);
    log.set_cleaned(Offset(2));
    let config = |lag_ms_max| CompactionConfig {
        lag_ms_max,
        ..CONFIG
    };
    let late = dirtiness(&log, config(6000), 4);
    assert_eq!(late.delay_ms, 1000);
    assert!(late.is_worth_it(&config(6000)));
    let early = dirtiness(&log, config(7000), 4);
    assert_eq!(
        (early.delay_ms, early.is_worth_it(&config(7000))),
        (0, false)
    );
}

#[test]
fn small_segments_become_one_as_far_as_they_fit() {
    let log = log_of(&[(1, 900), (1, 900), (1, 900), (1, 4000), (1, 10)], 3000);
    let plan = plan(&log, &CONFIG, Offset(6), 10_000).expect("all is dirty");
    let groups: Vec<(i64, usize)> = plan
        .groups
        .iter()
        .map(|group| (group.name.base.0, group.sources.len()))
        .collect();
    assert_eq!(groups, [(0, 3), (3, 1), (4, 1)]);
    assert!(plan.groups.iter().all(|group| group.name.revision == 1));
    assert_eq!((plan.first_dirty, plan.upto), (Offset(0), Offset(5)));
}

#[test]
fn a_written_segment_takes_the_place_of_those_it_was_made_of() {
    let mut log = log_of(&[(1, 900), (1, 900), (1, 900)], 2500);
    let made = plan(&log, &CONFIG, Offset(4), 10_000).expect("all is dirty");
    log.claim(made.groups.iter().map(|group| group.name));
    assert_eq!(log.next_revision(), 2, "a claimed name is taken");
    let group = &made.groups[0];
    let sources: Vec<_> = group.sources.iter().map(|source| source.name).collect();
    let written = crate::log::SegmentCheckpoint {
        base: group.name.base,
        revision: group.name.revision,
        size: 1000,
        max_timestamp: 1,
        first_timestamp: 1,
        offset_entries: 0,
        time_entries: 0,
    };
    assert!(log.replace(&sources, Some(&written)));
    assert!(!log.replace(&sources, Some(&written)), "they are gone");
    assert!(log.has_segment(group.name) && !log.has_segment(sources[1]));
    assert!(!log.doomed().contains(&group.name));
    assert!(sources.iter().all(|name| log.doomed().contains(name)));
    // Nothing is left of the rest: its offsets belong to the segment before.
    let rest: Vec<_> = made.groups[1]
        .sources
        .iter()
        .map(|source| source.name)
        .collect();
    assert!(log.replace(&rest, None));
    let bases: Vec<i64> = log
        .segments()
        .iter()
        .map(|segment| segment.base.0)
        .collect();
    assert_eq!(bases, [0, 3]);
    assert_eq!(log.rolled().next().expect("one").1.end, Offset(3));
    let active = log.segments().back().expect("one").name();
    assert!(!log.replace(&[active], None), "it is appended to");
    let again = Log::open(log.checkpoint(), log.directory.clone(), log.config.clone());
    assert_eq!(again.doomed(), log.doomed());
    assert!(again.has_segment(group.name));
}
