//! Items 40, 41 and 48: ListOffsets, OffsetForLeaderEpoch, DeleteRecords.

use rinka_net::wire::ErrorCode;
use rinka_net::wire::delete_records::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest,
    DeleteRecordsResponse, DeleteRecordsTopic,
};
use rinka_net::wire::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic,
};
use rinka_net::wire::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopic,
};

use super::*;

fn list(bench: &mut Bench, version: i16, timestamps: &[i64]) -> Vec<ListOffsetsPartitionResponse> {
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: Text::from(bench.topic.clone()),
            partitions: timestamps
                .iter()
                .map(|&timestamp| ListOffsetsPartition {
                    current_leader_epoch: -1,
                    timestamp,
                    ..Default::default()
                })
                .collect(),
        }],
        ..Default::default()
    };
    let mut response: ListOffsetsResponse =
        bench
            .connection
            .call(ApiKey::ListOffsets, version, &request);
    response.topics.remove(0).partitions
}

fn found(bench: &mut Bench, timestamp: i64) -> (i64, i64) {
    let answer = list(bench, 7, &[timestamp]).remove(0);
    assert_eq!(answer.error_code, ErrorCode::NONE);
    (answer.timestamp, answer.offset)
}

#[test]
fn item_40_offsets_are_found_by_mark_and_by_time_inside_a_batch() {
    for codec in [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ] {
        let mut bench = Bench::new(&[]);
        assert_eq!(
            found(&mut bench, -3),
            (-1, -1),
            "an empty log has no largest timestamp"
        );
        let start = now() - 10_000;
        bench.produce(batch_at(codec, &[start, start + 10, start + 5]));
        bench.produce(batch_at(codec, &[start + 20, start + 30]));
        bench.produce(batch_at(codec, &[start + 25]));
        assert_eq!(found(&mut bench, -1), (-1, 6));
        assert_eq!(found(&mut bench, -2), (-1, 0));
        assert_eq!(found(&mut bench, start), (start, 0));
        assert_eq!(found(&mut bench, start + 1), (start + 10, 1));
        assert_eq!(found(&mut bench, start + 11), (start + 20, 3));
        assert_eq!(found(&mut bench, start + 30), (start + 30, 4));
        assert_eq!(found(&mut bench, start + 31), (-1, -1));
        assert_eq!(found(&mut bench, -3), (start + 30, 4));
        assert_eq!(list(&mut bench, 8, &[-4])[0].offset, 0);
    }
}

#[test]
fn item_40_nothing_is_tiered_nor_waits_to_be() {
    let mut bench = Bench::new(&[]);
    bench.produce(batch(3));
    for (version, timestamp) in [(9, -5), (11, -6)] {
        let answer = list(&mut bench, version, &[timestamp]).remove(0);
        assert_eq!(answer.error_code, ErrorCode::NONE);
        assert_eq!((answer.offset, answer.timestamp), (-1, -1));
    }
    let early = list(&mut bench, 10, &[-6]).remove(0);
    assert_eq!(early.error_code, ErrorCode::UNSUPPORTED_VERSION);
}

#[test]
fn item_40_a_partition_named_twice_is_an_invalid_request() {
    let mut bench = Bench::new(&[]);
    let answers = list(&mut bench, 5, &[-1, -2]);
    let [answer] = &answers[..] else {
        panic!("told of once: {answers:?}");
    };
    assert_eq!(answer.error_code, ErrorCode::INVALID_REQUEST);
}

#[test]
fn item_40_a_question_of_a_later_version_is_refused_before_the_partition_is_looked_for() {
    let mut bench = Bench::new(&[]);
    bench.topic = fresh_name("not-there");
    let answer = list(&mut bench, 6, &[-3]).remove(0);
    assert_eq!(answer.error_code, ErrorCode::UNSUPPORTED_VERSION);
}

#[test]
fn item_41_epochs_end_where_the_log_says() {
    let mut bench = Bench::new(&[]);
    bench.produce(batch(4));
    let mut ask = |epoch, believed| {
        let request = OffsetForLeaderEpochRequest {
            replica_id: -1,
            topics: vec![OffsetForLeaderTopic {
                topic: Text::from(bench.topic.clone()),
                partitions: vec![OffsetForLeaderPartition {
                    partition: 0,
                    current_leader_epoch: believed,
                    leader_epoch: epoch,
                }],
            }],
        };
        let response: OffsetForLeaderEpochResponse =
            bench
                .connection
                .call(ApiKey::OffsetForLeaderEpoch, 3, &request);
        let answer = &response.topics[0].partitions[0];
        (answer.error_code, answer.leader_epoch, answer.end_offset)
    };
    assert_eq!(ask(0, -1), (ErrorCode::NONE, 0, 4));
    assert_eq!(ask(55, -1), (ErrorCode::NONE, -1, -1));
    assert_eq!(ask(-1, -1), (ErrorCode::NONE, -1, -1));
    assert_eq!(ask(0, 9).0, ErrorCode::UNKNOWN_LEADER_EPOCH);
}

fn delete(bench: &mut Bench, offset: i64) -> DeleteRecordsPartitionResult {
    delete_within(bench, offset, 30_000)
}

fn delete_within(bench: &mut Bench, offset: i64, timeout_ms: i32) -> DeleteRecordsPartitionResult {
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: Text::from(bench.topic.clone()),
            partitions: vec![DeleteRecordsPartition {
                partition_index: 0,
                offset,
            }],
        }],
        timeout_ms,
    };
    let mut response: DeleteRecordsResponse =
        bench.connection.call(ApiKey::DeleteRecords, 2, &request);
    response.topics.remove(0).partitions.remove(0)
}

#[test]
fn item_48_no_records_of_an_internal_topic_are_deleted() {
    let mut bench = Bench::new(&[]);
    support::groups::wait_for_coordinator(&mut bench.connection, "any");
    bench.topic = "__consumer_offsets".to_owned();
    let answer = delete(&mut bench, 0);
    assert_eq!(answer.error_code, ErrorCode::INVALID_TOPIC_EXCEPTION);
}

#[test]
fn item_48_records_are_deleted_up_to_an_offset_or_the_high_watermark() {
    let mut bench = Bench::new(&[]);
    bench.produce(batch(10));
    let deleted = delete(&mut bench, 4);
    assert_eq!(
        (deleted.error_code, deleted.low_watermark),
        (ErrorCode::NONE, 4)
    );
    assert_eq!(found(&mut bench, -2), (-1, 4));
    // Never back.
    assert_eq!(delete(&mut bench, 2).low_watermark, 4);
    assert_eq!(
        delete(&mut bench, 11).error_code,
        ErrorCode::OFFSET_OUT_OF_RANGE
    );
    assert_eq!(delete(&mut bench, -1).low_watermark, 10);
    assert_eq!(found(&mut bench, -2), (-1, 10));
    // Other replicas are what a client waits for, and there are none.
    bench.produce(batch(5));
    let at_once = delete_within(&mut bench, 12, 0);
    assert_eq!(
        (at_once.error_code, at_once.low_watermark),
        (ErrorCode::NONE, 12)
    );
    let mut compacted = Bench::new(&[("cleanup.policy", "compact")]);
    compacted.produce(batch(1));
    assert_eq!(
        delete(&mut compacted, 1).error_code,
        ErrorCode::POLICY_VIOLATION
    );
}
