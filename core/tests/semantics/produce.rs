//! Items 13 to 28: what a produce request may hold, and what becomes of it.

use std::io::Read as _;

use rinka_net::wire::ErrorCode;
use rinka_net::wire::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use rinka_storage::record_batch::{self, RecordBatchHeader};

use super::*;

fn check(bench: &mut Bench, records: Bytes, expected: ErrorCode) -> PartitionProduceResponse {
    let answer = bench.produce(records);
    assert_eq!(answer.error_code, expected, "{:?}", answer.error_message);
    if expected.is_error() {
        assert_eq!(answer.base_offset, -1);
    }
    answer
}

#[test]
fn item_13_offset_and_epoch_are_set_in_place_and_the_sum_still_holds() {
    let mut bench = Bench::new(&[]);
    bench.produce(batch(3));
    let sent = batch(2);
    assert_eq!(bench.produce(sent.clone()).base_offset, 3);
    let kept = records_of(&bench.fetch_at(3, 1 << 20));
    let header = record_batch::verify_crc(&kept).expect("one batch, whole");
    assert_eq!(header.base_offset.0, 3);
    assert!(header.partition_leader_epoch.0 >= 0);
    assert_eq!(
        kept[17..],
        sent[17..],
        "all but offset, length and epoch is as it was sent"
    );
}

#[test]
fn item_14_exactly_one_batch_and_zstd_from_version_7_on() {
    let mut bench = Bench::new(&[]);
    let twice = Bytes::from([batch(1), batch(1)].concat());
    check(&mut bench, twice, ErrorCode::INVALID_RECORD);
    let zstd = batch_at(Codec::Zstd, &[now()]);
    let answer = bench.produce_with(6, -1, zstd.clone());
    assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    check(&mut bench, zstd, ErrorCode::NONE);
}

#[test]
fn item_15_counts_control_batches_and_sequences_are_checked() {
    let mut bench = Bench::new(&[]);
    let good = batch(2);
    check(
        &mut bench,
        changed(&good, 57, &3i32.to_be_bytes()),
        ErrorCode::INVALID_RECORD,
    );
    check(
        &mut bench,
        changed(&good, 23, &5i32.to_be_bytes()),
        ErrorCode::INVALID_RECORD,
    );
    // The header agrees with itself and not with what follows it.
    let one_more = changed(
        &changed(&good, 57, &3i32.to_be_bytes()),
        23,
        &2i32.to_be_bytes(),
    );
    check(&mut bench, one_more, ErrorCode::INVALID_RECORD);
    let one_fewer = changed(
        &changed(&good, 57, &1i32.to_be_bytes()),
        23,
        &0i32.to_be_bytes(),
    );
    check(&mut bench, one_fewer, ErrorCode::INVALID_RECORD);
    check(
        &mut bench,
        changed(&good, 21, &(1i16 << 5).to_be_bytes()),
        ErrorCode::INVALID_RECORD,
    );
    // A producer id without a sequence number.
    check(
        &mut bench,
        changed(&good, 43, &5i64.to_be_bytes()),
        ErrorCode::INVALID_RECORD,
    );
    assert_eq!(
        bench.fetch_at(0, 1 << 20).high_watermark,
        0,
        "nothing of it was kept"
    );
}

#[test]
fn item_16_the_broker_s_time_is_stamped_and_told() {
    let mut bench = Bench::new(&[("message.timestamp.type", "LogAppendTime")]);
    let before = now();
    let answer = check(&mut bench, batch_at(Codec::Lz4, &[5, 6]), ErrorCode::NONE);
    assert!((before..=now()).contains(&answer.log_append_time_ms));
    let kept = records_of(&bench.fetch_at(0, 1 << 20));
    let header = record_batch::verify_crc(&kept).expect("the sum was made anew");
    assert!(header.is_log_append_time());
    assert_eq!(header.max_timestamp, answer.log_append_time_ms);
    let mut plain = Bench::new(&[]);
    assert_eq!(
        check(&mut plain, batch(1), ErrorCode::NONE).log_append_time_ms,
        -1
    );
}

#[test]
fn item_17_a_timestamp_out_of_range_is_refused_by_record() {
    let mut bench = Bench::new(&[
        ("message.timestamp.before.max.ms", "60000"),
        ("message.timestamp.after.max.ms", "60000"),
    ]);
    let times = [now(), now() - 120_000, now(), now() + 120_000];
    let answer = check(
        &mut bench,
        batch_at(Codec::Gzip, &times),
        ErrorCode::INVALID_TIMESTAMP,
    );
    let refused: Vec<i32> = answer
        .record_errors
        .iter()
        .map(|error| error.batch_index)
        .collect();
    assert_eq!(refused, [1, 3]);
    assert!(answer.error_message.is_some());
    check(
        &mut bench,
        batch_at(Codec::Gzip, &[now(), now() - 30_000]),
        ErrorCode::NONE,
    );
}

#[test]
fn item_18_a_compacted_topic_takes_no_record_without_a_key() {
    let mut bench = Bench::new(&[("cleanup.policy", "compact")]);
    let mut builder = RecordBatchBuilder::new().codec(Codec::Snappy);
    builder.append(now(), Some(b"key"), Some(b"value"));
    builder.append(now(), None, Some(b"value"));
    let answer = check(&mut bench, builder.build(), ErrorCode::INVALID_RECORD);
    let refused: Vec<i32> = answer
        .record_errors
        .iter()
        .map(|error| error.batch_index)
        .collect();
    assert_eq!(refused, [1]);
    check(&mut bench, batch(1), ErrorCode::NONE);
}

#[test]
fn item_19_sizes_are_limited_by_batch_and_by_segment() {
    let mut bench = Bench::new(&[("max.message.bytes", "1000")]);
    let large = |codec| {
        let mut builder = RecordBatchBuilder::new().codec(codec);
        builder.append(now(), None, Some(&[b'x'; 5000]));
        builder.build()
    };
    check(&mut bench, large(Codec::None), ErrorCode::MESSAGE_TOO_LARGE);
    // What counts is the batch as it is sent.
    check(&mut bench, large(Codec::Zstd), ErrorCode::NONE);
    let mut bench = Bench::new(&[
        ("segment.bytes", "1048576"),
        ("max.message.bytes", "3000000"),
    ]);
    let mut builder = RecordBatchBuilder::new();
    builder.append(now(), None, Some(&vec![b'x'; 2_000_000]));
    check(
        &mut bench,
        builder.build(),
        ErrorCode::RECORD_LIST_TOO_LARGE,
    );
}

#[test]
fn item_20_a_sum_that_does_not_hold_is_a_corrupt_message() {
    let mut bench = Bench::new(&[]);
    let mut flipped = batch(1).to_vec();
    *flipped.last_mut().expect("bytes") ^= 1;
    check(&mut bench, Bytes::from(flipped), ErrorCode::CORRUPT_MESSAGE);
}

#[test]
fn item_21_only_three_kinds_of_acks() {
    let mut bench = Bench::new(&[]);
    for acks in [7, 2, -2] {
        let answer = bench.produce_with(9, acks, batch(1));
        assert_eq!(
            answer.error_code,
            ErrorCode::INVALID_REQUIRED_ACKS,
            "{acks}"
        );
    }
    assert_eq!(
        bench.produce_with(9, 1, batch(1)).error_code,
        ErrorCode::NONE
    );
}

#[test]
fn item_21_a_client_s_timeout_is_for_other_replicas_and_there_are_none() {
    let mut bench = Bench::new(&[]);
    for acks in [1, -1] {
        let request = ProduceRequest {
            timeout_ms: 0,
            ..bench.produce_request(acks, Some(batch(1)))
        };
        let response: ProduceResponse = bench.connection.call(ApiKey::Produce, 9, &request);
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(answer.error_code, ErrorCode::NONE, "acks {acks}");
    }
}

#[test]
fn item_22_no_ack_is_no_answer_and_a_failure_ends_the_connection() {
    let mut bench = Bench::new(&[]);
    let request = bench.produce_request(0, Some(batch(2)));
    bench.connection.send(ApiKey::Produce, 9, &request);
    // The next answer on the connection is that of the next request.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while bench.fetch_at(0, 1 << 20).high_watermark < 2 {
        assert!(
            std::time::Instant::now() < deadline,
            "it was appended all the same"
        );
    }
    let mut flipped = batch(1).to_vec();
    *flipped.last_mut().expect("bytes") ^= 1;
    let request = bench.produce_request(0, Some(Bytes::from(flipped)));
    bench.connection.send(ApiKey::Produce, 9, &request);
    let mut rest = Vec::new();
    let ended = bench.connection.stream().read_to_end(&mut rest);
    assert!(
        ended.is_ok() && rest.is_empty(),
        "closed without a word: {ended:?}"
    );
}

fn idempotent(id: i64, epoch: i16, sequence: i32, records: usize) -> Bytes {
    let mut builder = RecordBatchBuilder::new().producer(id, epoch, sequence);
    for _ in 0..records {
        builder.append(now(), None, Some(b"value"));
    }
    builder.build()
}

#[test]
fn item_24_an_id_and_its_epoch_are_given_both_or_not_at_all() {
    let mut bench = Bench::new(&[]);
    let mut ask = |producer_id, producer_epoch, transactional_id: Option<&'static str>| {
        let request = InitProducerIdRequest {
            transactional_id: transactional_id.map(Text::from),
            transaction_timeout_ms: 1000,
            producer_id,
            producer_epoch,
        };
        let answer: InitProducerIdResponse =
            bench.connection.call(ApiKey::InitProducerId, 4, &request);
        answer.error_code
    };
    assert_eq!(ask(-1, -1, None), ErrorCode::NONE);
    assert_eq!(ask(5, -1, None), ErrorCode::INVALID_REQUEST);
    assert_eq!(ask(-1, 5, None), ErrorCode::INVALID_REQUEST);
    assert_eq!(ask(-1, -1, Some("")), ErrorCode::INVALID_REQUEST);
}

#[test]
fn item_25_the_last_five_batches_are_remembered() {
    let mut bench = Bench::new(&[]);
    let id = bench.connection.producer_id();
    let sent: Vec<Bytes> = (0..6)
        .map(|round| idempotent(id, 0, round * 2, 2))
        .collect();
    for (round, batch) in (0..).zip(&sent) {
        assert_eq!(
            check(&mut bench, batch.clone(), ErrorCode::NONE).base_offset,
            round * 2
        );
    }
    // The last five again: acknowledged with the offset they have.
    for (round, batch) in (0..).zip(&sent).skip(1) {
        assert_eq!(
            check(&mut bench, batch.clone(), ErrorCode::NONE).base_offset,
            round * 2
        );
    }
    // The one before is no longer known.
    let forgotten = bench.produce(sent[0].clone()).error_code;
    assert_eq!(forgotten, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    let gap = idempotent(id, 0, 14, 1);
    check(&mut bench, gap, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(bench.fetch_at(0, 1 << 20).high_watermark, 12);
}

#[test]
fn item_25_sequence_numbers_wrap_to_zero() {
    let mut bench = Bench::new(&[]);
    let id = bench.connection.producer_id();
    check(
        &mut bench,
        idempotent(id, 0, i32::MAX - 1, 2),
        ErrorCode::NONE,
    );
    check(&mut bench, idempotent(id, 0, 0, 2), ErrorCode::NONE);
    check(&mut bench, idempotent(id, 0, 2, 1), ErrorCode::NONE);
    // And in the middle of a batch.
    let id = bench.connection.producer_id();
    check(&mut bench, idempotent(id, 0, i32::MAX, 3), ErrorCode::NONE);
    check(&mut bench, idempotent(id, 0, 2, 1), ErrorCode::NONE);
}

#[test]
fn item_26_unknown_producers_may_begin_anywhere_and_old_epochs_are_fenced() {
    let mut bench = Bench::new(&[]);
    let id = bench.connection.producer_id();
    check(&mut bench, idempotent(id, 3, 77, 1), ErrorCode::NONE);
    check(
        &mut bench,
        idempotent(id, 2, 78, 1),
        ErrorCode::INVALID_PRODUCER_EPOCH,
    );
    check(&mut bench, idempotent(id, 3, 78, 1), ErrorCode::NONE);
}

#[test]
fn item_27_a_new_epoch_begins_with_sequence_zero() {
    let mut bench = Bench::new(&[]);
    let id = bench.connection.producer_id();
    check(&mut bench, idempotent(id, 0, 0, 5), ErrorCode::NONE);
    check(
        &mut bench,
        idempotent(id, 1, 5, 1),
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
    );
    check(&mut bench, idempotent(id, 1, 0, 1), ErrorCode::NONE);
}

#[test]
fn item_28_producers_are_known_after_a_restart() {
    let mut bench = Bench::new(&[]);
    if !bench.broker.can_be_killed() {
        return;
    }
    let id = bench.connection.producer_id();
    let sent = idempotent(id, 0, 0, 5);
    check(&mut bench, sent.clone(), ErrorCode::NONE);
    for kill in [true, false] {
        if kill {
            bench.broker.kill9();
        } else {
            bench.broker.terminate();
        }
        bench.broker.start_again();
        bench.connection = Connection::open(bench.broker.bootstrap());
        assert_eq!(
            check(&mut bench, sent.clone(), ErrorCode::NONE).base_offset,
            0
        );
        check(
            &mut bench,
            idempotent(id, 0, 9, 1),
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        );
    }
    check(&mut bench, idempotent(id, 0, 5, 1), ErrorCode::NONE);
}

#[test]
fn item_68_batches_are_kept_as_they_came_or_packed_as_the_topic_asks() {
    for codec in [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ] {
        let mut bench = Bench::new(&[]);
        let sent = batch_at(codec, &[now(), now()]);
        check(&mut bench, sent.clone(), ErrorCode::NONE);
        let kept = records_of(&bench.fetch_at(0, 1 << 20));
        assert_eq!(kept[61..], sent[61..], "{codec:?}");
    }
    let mut bench = Bench::new(&[("compression.type", "zstd")]);
    check(
        &mut bench,
        batch_at(Codec::Gzip, &[now(), now()]),
        ErrorCode::NONE,
    );
    let kept = records_of(&bench.fetch_at(0, 1 << 20));
    let header = RecordBatchHeader::parse(&kept).expect("a batch");
    assert_eq!(header.codec(), Ok(Codec::Zstd));
    assert_eq!(record_batch::values(&kept).expect("readable").len(), 2);
}
