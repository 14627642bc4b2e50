use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::disk::buffer_lying_as_at;
use crate::record_batch::RecordBatchBuilder;
use crate::topic_partition::TopicId;

/// A log with one batch of one record in each segment, at these timestamps.
fn log_of(timestamps: &[i64]) -> Log {
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
    for &timestamp in timestamps {
        let mut batch = RecordBatchBuilder::new();
        batch.append(timestamp, None, Some(b"value"));
        let data = batch.build();
        let header = RecordBatchHeader::parse(&data).expect("a batch");
        let place = log.place(&header);
        log.publish(place, place.offset.plus(1), data);
    }
    log
}

fn write_all(log: &mut Log) {
    while let Some(write) = log.next_write() {
        let bytes = write.assemble(&[0; BLOCK]);
        log.finish_write(&write, Some(&bytes));
    }
}

fn retained(log: &Log, ms: Option<i64>, bytes: Option<u64>, high_watermark: i64) -> Offset {
    let retention = Retention {
        now: 1000,
        ms,
        bytes,
    };
    log.retained_from(&retention, Offset(high_watermark))
}

#[test]
fn what_is_too_old_goes_oldest_first() {
    let log = log_of(&[100, 300, 200, 900]);
    assert_eq!(retained(&log, None, None, 4), Offset(0));
    assert_eq!(retained(&log, Some(900), None, 4), Offset(0));
    assert_eq!(retained(&log, Some(899), None, 4), Offset(1));
    // The third is too old, but younger records lie before it.
    assert_eq!(retained(&log, Some(750), None, 4), Offset(1));
    assert_eq!(retained(&log, Some(650), None, 4), Offset(3));
    // The active segment goes too when all of it is too old.
    assert_eq!(retained(&log, Some(50), None, 4), Offset(4));
    // Nothing that is not committed.
    assert_eq!(retained(&log, Some(50), None, 3), Offset(3));
    // No timestamp, no age.
    let log = log_of(&[-1, 100]);
    assert_eq!(retained(&log, Some(0), None, 2), Offset(0));
}

#[test]
fn what_is_beyond_the_size_goes_in_whole_segments() {
    let log = log_of(&[1, 2, 3, 4]);
    let each = u64::from(log.segments()[0].size);
    assert_eq!(retained(&log, None, Some(4 * each), 4), Offset(0));
    assert_eq!(retained(&log, None, Some(4 * each - 1), 4), Offset(0));
    assert_eq!(retained(&log, None, Some(3 * each), 4), Offset(1));
    assert_eq!(retained(&log, None, Some(each + 1), 4), Offset(2));
    assert_eq!(retained(&log, None, Some(0), 4), Offset(4));
    assert_eq!(retained(&log, None, Some(0), 2), Offset(2));
}

#[test]
fn dead_segments_go_once_the_start_is_durable() {
    let mut log = log_of(&[1, 2, 3]);
    log.advance_log_start(Offset(2));
    assert_eq!(log.take_dead_segments(), []);
    log.log_start_is_durable(Offset(2));
    // A write under way holds them up.
    let write = log.next_write().expect("nothing is written yet");
    assert_eq!(log.take_dead_segments(), []);
    let bytes = write.assemble(&[]);
    log.finish_write(&write, Some(&bytes));
    let names = [0, 1].map(|base| SegmentName::appended(Offset(base)));
    assert_eq!(log.take_dead_segments(), names);
    assert_eq!(log.doomed(), names);
    // What was never written of them is not written any more, and the rest is.
    assert_eq!(log.bytes_to_write(), log.segments()[0].size as usize);
    write_all(&mut log);
    assert_eq!(log.written_back().offset, Offset(3));
    assert_eq!(log.bytes_to_write(), 0);
    let checkpoint = log.checkpoint();
    assert_eq!(checkpoint.doomed, names);
    assert_eq!(checkpoint.log_start, Offset(2));
    log.forget_doomed(names[0]);
    assert_eq!(log.doomed(), [names[1]]);
}

#[test]
fn a_log_of_which_nothing_is_left_goes_on() {
    let mut log = log_of(&[1, 2]);
    write_all(&mut log);
    log.advance_log_start(Offset(2));
    log.log_start_is_durable(Offset(2));
    assert_eq!(log.take_dead_segments().len(), 2);
    assert!(log.segments().is_empty() && !log.is_empty());
    let mut batch = RecordBatchBuilder::new();
    batch.append(3, None, Some(b"value"));
    let data = batch.build();
    let place = log.place(&RecordBatchHeader::parse(&data).expect("a batch"));
    let expected = Place {
        offset: Offset(2),
        segment: Offset(2),
        position: 0,
    };
    assert_eq!(place, expected);
    log.publish(place, Offset(3), data);
    write_all(&mut log);
    assert_eq!(log.written_back().offset, Offset(3));
    // And so it does after a restart with nothing in it.
    log.advance_log_start(Offset(3));
    log.log_start_is_durable(Offset(3));
    log.take_dead_segments();
    let again = Log::open(log.checkpoint(), log.directory.clone(), log.config.clone());
    assert_eq!((again.log_start(), again.end()), (Offset(3), Offset(3)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_written_is_head_and_pieces_in_whole_blocks(
        head_length in 0..BLOCK,
        pieces in proptest::collection::vec((1..5 * IN_PLACE_BYTES_MIN, 0..3_u8), 1..6),
    ) {
        let mut expected: Vec<u8> = vec![7; head_length];
        let mut at = head_length;
        let mut in_place = 0;
        let mut of_write = Vec::new();
        for (number, (length, lies)) in pieces.into_iter().enumerate() {
            // As in the file, as it happens, or one byte off.
            let position = match lies {
                0 => at,
                1 => 0,
                _ => at + 1,
            };
            let mut memory = buffer_lying_as_at(position, length);
            memory.extend((0..length).map(|byte| (byte + number) as u8));
            expected.extend_from_slice(&memory);
            if lies == 0 && length >= IN_PLACE_BYTES_MIN {
                in_place += 1;
            }
            at += length;
            of_write.push(memory.freeze());
        }
        expected.resize(align_up(expected.len()), 0);
        let place = Place { offset: Offset(0), segment: Offset(0), position: 0 };
        let memory: Vec<Range<*const u8>> = of_write.iter().map(|piece| piece.as_ptr_range()).collect();
        let write = SegmentWrite {
            segment: Offset(0),
            position: 0,
            head_length,
            head: None,
            pieces: of_write,
            upto: place,
        };
        let parts = write.assemble(&[7; BLOCK]);
        for part in &parts {
            prop_assert!(part.len().is_multiple_of(BLOCK));
            prop_assert_eq!(part.as_ptr().align_offset(BLOCK), 0);
        }
        prop_assert_eq!(parts.concat(), expected);
        let shared = parts.iter().filter(|part| memory.iter().any(|piece| piece.contains(&part.as_ptr())));
        prop_assert!(shared.count() >= in_place);
    }
}
