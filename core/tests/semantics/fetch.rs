//! Items 30 to 37: what a fetch is given, and when.

use std::time::{Duration, Instant};

use rinka_net::wire::ErrorCode;
use rinka_storage::record_batch::RecordBatchHeader;

use super::*;

#[test]
fn item_30_the_batch_that_holds_the_offset_is_given_whole() {
    let mut bench = Bench::new(&[]);
    bench.produce(batch_at(Codec::Lz4, &[now(); 10]));
    let data = bench.fetch_at(7, 1 << 20);
    let header = RecordBatchHeader::parse(&records_of(&data)).expect("a batch");
    assert_eq!((header.base_offset.0, header.record_count), (0, 10));
}

#[test]
fn item_31_the_first_batch_is_given_whatever_its_size() {
    let mut bench = Bench::new(&[]);
    let mut builder = RecordBatchBuilder::new();
    builder.append(now(), None, Some(&[b'x'; 50_000]));
    bench.produce(builder.build());
    bench.produce(builder.build());
    let records = records_of(&bench.fetch_at(0, 100));
    let header = RecordBatchHeader::parse(&records).expect("a batch");
    assert_eq!(records.len(), header.size_in_bytes(), "one, and whole");
}

#[test]
fn item_32_a_fetch_waits_for_bytes_and_no_longer_than_asked() {
    let mut bench = Bench::new(&[]);
    let mut request = bench.fetch_request(0, 1 << 20);
    request.min_bytes = 1;
    request.max_wait_ms = 400;
    let begun = Instant::now();
    let answer = bench.fetch(&request);
    assert!(
        begun.elapsed() >= Duration::from_millis(390),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(answer.error_code, ErrorCode::NONE);
    // Somebody appends while it waits: it is answered at once.
    request.max_wait_ms = 20_000;
    let topic = bench.topic.clone();
    let bootstrap = bench.broker.bootstrap().to_owned();
    let begun = Instant::now();
    let producer =
        std::thread::spawn(move || Connection::open(&bootstrap).produce(&topic, 0, batch(1)));
    let answer = bench.fetch(&request);
    producer.join().expect("it was acknowledged");
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(!records_of(&answer.responses[0].partitions[0]).is_empty());
    // An error is told without waiting.
    let mut wrong = bench.fetch_request(77, 1 << 20);
    (wrong.min_bytes, wrong.max_wait_ms) = (1, 20_000);
    let begun = Instant::now();
    let answer = bench.fetch(&wrong);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(
        answer.responses[0].partitions[0].error_code,
        ErrorCode::OFFSET_OUT_OF_RANGE
    );
}

#[test]
fn item_33_offsets_beyond_either_end_are_out_of_range() {
    let mut bench = Bench::new(&[]);
    bench.produce(batch(3));
    let at_end = bench.fetch_at(3, 1 << 20);
    assert_eq!(
        (at_end.error_code, at_end.high_watermark),
        (ErrorCode::NONE, 3)
    );
    assert!(records_of(&at_end).is_empty());
    assert_eq!(
        bench.fetch_at(4, 1 << 20).error_code,
        ErrorCode::OFFSET_OUT_OF_RANGE
    );
    assert_eq!(
        bench.fetch_at(-5, 1 << 20).error_code,
        ErrorCode::OFFSET_OUT_OF_RANGE
    );
    bench.connection.delete_records(&bench.topic, 0, 2);
    assert_eq!(
        bench.fetch_at(1, 1 << 20).error_code,
        ErrorCode::OFFSET_OUT_OF_RANGE
    );
    assert_eq!(bench.fetch_at(2, 1 << 20).log_start_offset, 2);
}

#[test]
fn item_34_read_committed_has_a_list_of_aborted_transactions_and_an_offset_that_is_stable() {
    let mut bench = Bench::new(&[]);
    bench.produce(batch(2));
    assert!(
        bench
            .fetch_at(0, 1 << 20)
            .aborted_transactions
            .is_none_or(|list| list.is_empty())
    );
    let mut request = bench.fetch_request(0, 1 << 20);
    request.isolation_level = 1;
    let answer = bench.fetch(&request);
    let data = &answer.responses[0].partitions[0];
    assert_eq!((data.last_stable_offset, data.high_watermark), (2, 2));
    assert!(data.aborted_transactions.as_ref().is_none_or(Vec::is_empty));
}

#[test]
fn item_35_a_session_is_told_what_changed() {
    let mut bench = Bench::new(&[]);
    bench.produce(batch(1));
    let mut full = bench.fetch_request(1, 1 << 20);
    full.session_epoch = 0;
    let opened = bench.fetch(&full);
    assert_eq!(opened.error_code, ErrorCode::NONE);
    assert_ne!(opened.session_id, 0);
    assert_eq!(opened.responses[0].partitions[0].high_watermark, 1);
    let next = |epoch| FetchRequest {
        session_id: opened.session_id,
        session_epoch: epoch,
        max_bytes: 1 << 20,
        ..Default::default()
    };
    let nothing_new = bench.fetch(&next(1));
    assert_eq!(
        (nothing_new.error_code, nothing_new.session_id),
        (ErrorCode::NONE, opened.session_id)
    );
    assert!(nothing_new.responses.is_empty());
    bench.produce(batch(1));
    let news = bench.fetch(&next(2));
    let data = &news.responses[0].partitions[0];
    assert_eq!(
        (data.high_watermark, records_of(data).is_empty()),
        (2, false)
    );
    assert_eq!(
        bench.fetch(&next(2)).error_code,
        ErrorCode::INVALID_FETCH_SESSION_EPOCH
    );
    let unknown = FetchRequest {
        session_id: opened.session_id ^ 1,
        ..next(1)
    };
    assert_eq!(
        bench.fetch(&unknown).error_code,
        ErrorCode::FETCH_SESSION_ID_NOT_FOUND
    );
    // -1 ends it.
    let mut last = bench.fetch_request(0, 1 << 20);
    (last.session_id, last.session_epoch) = (opened.session_id, -1);
    assert_eq!(bench.fetch(&last).session_id, 0);
    assert_eq!(
        bench.fetch(&next(3)).error_code,
        ErrorCode::FETCH_SESSION_ID_NOT_FOUND
    );
}

#[test]
fn item_36_an_unknown_topic_id_has_a_code_of_its_own() {
    let mut bench = Bench::new(&[]);
    let mut request = bench.fetch_request(0, 1 << 20);
    request.topics[0].topic_id = uuid::Uuid::from_u128(0x1234_5678_9abc);
    let answer: FetchResponse = bench.connection.call(ApiKey::Fetch, 13, &request);
    let data = &answer.responses[0].partitions[0];
    assert_eq!(data.error_code, ErrorCode::UNKNOWN_TOPIC_ID);
}

#[test]
fn item_37_epochs_that_are_not_the_leader_s_are_told_apart() {
    let mut bench = Bench::new(&[]);
    bench.produce(batch(1));
    let mut ask = |epoch| {
        let mut request = bench.fetch_request(0, 1 << 20);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        bench.fetch(&request).responses[0].partitions[0].error_code
    };
    assert_eq!(ask(-1), ErrorCode::NONE);
    assert_eq!(ask(0), ErrorCode::NONE);
    assert_eq!(ask(1000), ErrorCode::UNKNOWN_LEADER_EPOCH);
}
