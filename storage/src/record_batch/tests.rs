use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::record::Records;

fn limits() -> ProduceLimits {
    ProduceLimits {
        version: 9,
        batch_bytes_max: 1 << 20,
        now: 1_000_000,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        log_append_time: false,
        keys_required: false,
        codec: None,
    }
}

fn taken(bytes: &[u8], limits: &ProduceLimits) -> Result<Accepted, ProduceBatchError> {
    validate_produced(&Bytes::copy_from_slice(bytes), limits)
}

fn refused(index: i32, fault: RecordFault) -> Result<(), ProduceBatchError> {
    Err(ProduceBatchError::Records(vec![InvalidRecord {
        index,
        fault,
    }]))
}

fn batch() -> Vec<u8> {
    let mut builder = RecordBatchBuilder::new();
    builder.append(1000, Some(b"k"), Some(b"v"));
    builder.append(1001, None, Some(b"w"));
    builder.build().to_vec()
}

/// Changes bytes and makes the CRC hold again.
fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut batch = batch();
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = crc32c::crc32c(&batch[CRC_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

fn check(bytes: &[u8], expected: Result<(), ProduceBatchError>) {
    assert_eq!(taken(bytes, &limits()).map(|_| ()), expected);
}

#[test]
fn what_a_producer_may_send() {
    use ProduceBatchError as E;
    check(&batch(), Ok(()));
    check(
        &[],
        Err(E::InvalidRecord(
            "a produce request must hold one record batch per partition",
        )),
    );
    check(
        &changed(16, &[1]),
        Err(E::InvalidRecord(
            "record batches of magic 0 and 1 are no longer taken",
        )),
    );
    check(&changed(16, &[9]), Err(E::Corrupt));
    check(&changed(8, &10i32.to_be_bytes()), Err(E::Corrupt));
    check(
        &changed(8, &9999i32.to_be_bytes()),
        Err(E::InvalidRecord(
            "the record batch is longer than the request",
        )),
    );
    let twice = [batch(), batch()].concat();
    check(
        &twice,
        Err(E::InvalidRecord(
            "a produce request must hold exactly one record batch per partition",
        )),
    );
    let mut flipped = batch();
    *flipped.last_mut().expect("bytes") ^= 1;
    check(&flipped, Err(E::Corrupt));
    let count = Err(E::InvalidRecord(
        "the record count does not match the offsets of the batch",
    ));
    check(&changed(57, &3i32.to_be_bytes()), count.clone());
    check(&changed(57, &(-2i32).to_be_bytes()), count);
    check(
        &changed(21, &6i16.to_be_bytes()),
        Err(E::UnsupportedCompression),
    );
    check(
        &changed(21, &(1i16 << 5).to_be_bytes()),
        Err(E::InvalidRecord("clients may not write control batches")),
    );
    check(
        &changed(21, &(1i16 << 4).to_be_bytes()),
        Err(E::NoTransaction),
    );
    let no_sequence = E::InvalidRecord("an idempotent batch needs a sequence number and an epoch");
    check(&changed(43, &5i64.to_be_bytes()), Err(no_sequence));
}

#[test]
fn limits_of_the_topic() {
    let check = |limits: ProduceLimits, expected: Result<(), ProduceBatchError>| {
        assert_eq!(taken(&batch(), &limits).map(|_| ()), expected);
    };
    check(
        ProduceLimits {
            batch_bytes_max: 70,
            ..limits()
        },
        Err(ProduceBatchError::TooLarge),
    );
    check(
        ProduceLimits {
            keys_required: true,
            ..limits()
        },
        refused(1, RecordFault::KeyMissing),
    );
    check(
        ProduceLimits {
            timestamp_before_max_ms: 998_999,
            ..limits()
        },
        refused(0, RecordFault::Timestamp(1000)),
    );
    check(
        ProduceLimits {
            timestamp_before_max_ms: 10,
            log_append_time: true,
            ..limits()
        },
        Ok(()),
    );
}

#[test]
fn zstd_needs_produce_7() {
    let mut builder = RecordBatchBuilder::new().codec(Codec::Zstd);
    builder.append(1, None, Some(b"x"));
    let batch = builder.build();
    let old = ProduceLimits {
        version: 6,
        ..limits()
    };
    assert_eq!(
        taken(&batch, &old).map(|_| ()),
        Err(ProduceBatchError::UnsupportedCompression)
    );
    taken(&batch, &limits()).expect("new enough");
}

#[test]
fn offset_and_epoch_are_outside_the_crc() {
    let mut batch = batch();
    set_base_offset_and_epoch(&mut batch, Offset(77), LeaderEpoch(3));
    let header = verify_crc(&batch).expect("the CRC still holds");
    assert_eq!(
        (header.base_offset, header.partition_leader_epoch),
        (Offset(77), LeaderEpoch(3))
    );
    assert_eq!(
        (header.last_offset(), header.end_offset()),
        (Offset(78), Offset(79))
    );
}

#[test]
fn the_broker_s_time_is_summed_up_again() {
    let mut batch = batch();
    set_log_append_time(&mut batch, 5555);
    let header = verify_crc(&batch).expect("the CRC holds again");
    assert!(header.is_log_append_time() && header.max_timestamp == 5555);
    let found = first_at_or_after(&batch, 5000)
        .expect("readable")
        .expect("found");
    assert_eq!(
        found,
        TimestampAndOffset {
            timestamp: 5555,
            offset: Offset(0)
        }
    );
}

#[test]
fn records_are_found_by_time_in_every_codec() {
    for codec in [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ] {
        let mut builder = RecordBatchBuilder::new().codec(codec);
        for timestamp in [100, 300, 200, 300] {
            builder.append(timestamp, None, Some(b"value"));
        }
        let batch = builder.build();
        let first = |timestamp| {
            first_at_or_after(&batch, timestamp)
                .expect("readable")
                .map(|found| (found.timestamp, found.offset.0))
        };
        assert_eq!(first(0), Some((100, 0)));
        assert_eq!(first(150), Some((300, 1)));
        assert_eq!(first(301), None);
        let max = first_of_max_timestamp(&batch)
            .expect("readable")
            .expect("found");
        assert_eq!((max.timestamp, max.offset), (300, Offset(1)));
        assert_eq!(values(&batch).expect("readable").len(), 4);
    }
}

/// Batches as Kafka 4.3's Java client makes them (`MemoryRecordsBuilder`): producer 4711 with epoch 3 and sequence 42,
/// leader epoch 7, three records.
const OF_KAFKA: [(Codec, &str); 5] = [
    (
        Codec::None,
        concat!(
            "000000000000000000000082000000070277c07ee00000000000020000018bcfe568000000018bcfe569f40000000000",
            "00126700030000002a000000034c000000066b65793a76616c75652076616c75652076616c75652076616c7565207661",
            "6c7565003a00e80702010c6e6f206b6579040a74726163650401020a656d707479011600cf0f0408676f6e650100",
        ),
    ),
    (
        Codec::Gzip,
        concat!(
            "0000000000000000000000800000000702ef327b620001000000020000018bcfe568000000018bcfe569f40000000000",
            "00126700030000002a000000031f8b08000000000000fff361606060cb4eadb42a4bcc294d55c041325831bc606762e4",
            "c9cb5700aa65e12a294a4c4e656164e24acd2d28a964146338cfcfc2919e9f97cac800004b9cabe651000000",
        ),
    ),
    (
        Codec::Snappy,
        concat!(
            "0000000000000000000000850000000702a1f18ed00002000000020000018bcfe568000000018bcfe569f40000000000",
            "00126700030000002a0000000382534e415050590000000001000000010000004051384c000000066b65793a76616c75",
            "65205a0600a8003a00e80702010c6e6f206b6579040a74726163650401020a656d707479011600cf0f0408676f6e6501",
            "00",
        ),
    ),
    (
        Codec::Lz4,
        concat!(
            "00000000000000000000008100000007026d3f20210003000000020000018bcfe568000000018bcfe569f40000000000",
            "00126700030000002a0000000304224d1860408241000000ff004c000000066b65793a76616c756520060004f01c003a",
            "00e80702010c6e6f206b6579040a74726163650401020a656d707479011600cf0f0408676f6e65010000000000",
        ),
    ),
    (
        Codec::Zstd,
        concat!(
            "00000000000000000000007e0000000702acea5d8f0004000000020000018bcfe568000000018bcfe569f40000000000",
            "00126700030000002a0000000328b52ffd00580c0200a4034c000000066b65793a76616c756520003a00e80702010c6e",
            "6f206b6579040a74726163650401020a656d707479011600cf0f0408676f6e6501000100a94b1d010000",
        ),
    ),
];

fn bytes_of(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("hex");
            u8::from_str_radix(pair, 16).expect("hex")
        })
        .collect()
}

#[test]
fn what_kafka_s_client_writes_is_read() {
    for (codec, hex) in OF_KAFKA {
        let batch = bytes_of(hex);
        let header = taken(
            &batch,
            &ProduceLimits {
                now: 1_700_000_000_000,
                ..limits()
            },
        )
        .expect("a good batch")
        .header;
        assert_eq!(header.codec(), Ok(codec));
        assert_eq!(header.partition_leader_epoch, LeaderEpoch(7));
        let producer = (header.producer_id, header.producer_epoch);
        assert_eq!((producer, header.base_sequence), ((4711, 3), 42));
        assert_eq!((header.record_count, header.last_sequence()), (3, 44));
        assert_eq!(header.delete_horizon(), None);
        let compacted = ProduceLimits {
            keys_required: true,
            ..limits()
        };
        assert_eq!(
            taken(
                &batch,
                &ProduceLimits {
                    log_append_time: true,
                    ..compacted
                }
            )
            .map(|_| ()),
            refused(1, RecordFault::KeyMissing)
        );
        let read = lookup::with_body(&batch, &header, |body| {
            let records: Result<Vec<_>, _> = Records::new(body, 3).collect();
            records
                .expect("whole")
                .iter()
                .map(|record| {
                    let headers: Result<Vec<_>, _> = record.headers().collect();
                    format!(
                        "{} {} {:?} {:?}",
                        header.base_timestamp + record.timestamp_delta,
                        record.offset_delta,
                        record.key.map(String::from_utf8_lossy),
                        headers.expect("whole"),
                    )
                })
                .collect::<Vec<_>>()
        });
        let expected = [
            r#"1700000000000 0 Some("key") []"#,
            "1700000000500 1 None [([116, 114, 97, 99, 101], Some([1, 2])), ([101, 109, 112, 116, 121], None)]",
            r#"1699999999000 2 Some("gone") []"#,
        ];
        assert_eq!(read.expect("unpacked"), expected);
        // The tombstone has no value.
        assert_eq!(
            values(&batch).expect("readable"),
            [&b"value value value value value"[..], b"no key"]
        );
        let mut seen = Vec::new();
        let read = each_record(&batch, |record| {
            seen.push((record.key.map(<[u8]>::to_vec), record.value.is_some()));
        });
        read.expect("readable");
        let expected = [
            (Some(b"key".to_vec()), true),
            (None, true),
            (Some(b"gone".to_vec()), false),
        ];
        assert_eq!(seen, expected);
        let max = first_of_max_timestamp(&batch)
            .expect("readable")
            .expect("found");
        assert_eq!((max.timestamp, max.offset), (1_700_000_000_500, Offset(1)));
    }
}

#[test]
fn the_builder_writes_what_kafka_s_client_writes() {
    let mut builder = RecordBatchBuilder::new().producer(4711, 3, 42);
    builder.append(
        1_700_000_000_000,
        Some(b"key"),
        Some(b"value value value value value"),
    );
    builder.append_with_headers(
        1_700_000_000_500,
        None,
        Some(b"no key"),
        &[("trace", Some(&[1, 2])), ("empty", None)],
    );
    builder.append(1_699_999_999_000, Some(b"gone"), None);
    let mut batch = builder.build().to_vec();
    set_base_offset_and_epoch(&mut batch, Offset(0), LeaderEpoch(7));
    assert_eq!(batch, bytes_of(OF_KAFKA[0].1));
}

#[test]
fn records_must_be_as_the_header_says() {
    // One record fewer, or one more, than there are, with a header that agrees with itself.
    let counted = |count: i32| {
        let mut batch = changed(57, &count.to_be_bytes());
        batch[23..27].copy_from_slice(&(count - 1).to_be_bytes());
        let crc = crc32c::crc32c(&batch[CRC_FROM..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        batch
    };
    check(&counted(2), Ok(()));
    let fewer = Err(ProduceBatchError::InvalidRecord(
        "the batch holds more than its record count says",
    ));
    check(&counted(1), fewer);
    let unreadable = Err(ProduceBatchError::InvalidRecord(
        "the records of the batch cannot be read",
    ));
    let mut three = RecordBatchBuilder::new().codec(Codec::Lz4);
    three.append(1, None, Some(&[0; 100]));
    let mut three = three.build().to_vec();
    three[57..61].copy_from_slice(&2i32.to_be_bytes());
    three[23..27].copy_from_slice(&1i32.to_be_bytes());
    let crc = crc32c::crc32c(&three[CRC_FROM..]);
    three[17..21].copy_from_slice(&crc.to_be_bytes());
    check(&three, unreadable.clone());
    // The first record's offset delta, behind its length, attributes and timestamp, is zigzag 1.
    let gap = Err(ProduceBatchError::InvalidRecord(
        "the records' offsets have a gap",
    ));
    check(&changed(HEADER_BYTES + 3, &[2]), gap);
    check(&changed(HEADER_BYTES, &[0x7F]), unreadable.clone());
    // As if packed with gzip.
    check(&changed(21, &1i16.to_be_bytes()), unreadable);
}

#[test]
fn a_header_that_names_another_largest_timestamp_is_put_right() {
    let lying = changed(35, &i64::MAX.to_be_bytes());
    let accepted = taken(&lying, &limits()).expect("its records are good");
    assert_eq!(accepted.stamp, Some(Stamp::MaxTimestamp(1001)));
    let mut kept = lying;
    accepted.stamp.expect("it is there").apply(&mut kept);
    assert_eq!(kept, batch());
    assert_eq!(taken(&batch(), &limits()).expect("good").stamp, None);
}

#[test]
fn a_bomb_is_refused() {
    let mut builder = RecordBatchBuilder::new().codec(Codec::Zstd);
    builder.append(1, None, Some(&vec![0; DECOMPRESSED_BYTES_MAX]));
    let bomb = builder.build();
    assert!(bomb.len() < 100_000);
    check(
        &bomb,
        Err(ProduceBatchError::InvalidRecord(
            "the batch unpacks to more than the broker allows",
        )),
    );
}

#[test]
fn a_topic_s_codec_replaces_the_client_s() {
    let all = [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ];
    for from in all {
        let mut builder = RecordBatchBuilder::new().codec(from).producer(7, 1, 5);
        builder.append(1000, Some(b"k"), Some(&[b'x'; 3000]));
        builder.append_with_headers(1001, None, Some(b"w"), &[("a", None)]);
        let sent = builder.build();
        for to in all {
            let limits = ProduceLimits {
                codec: Some((to, None)),
                ..limits()
            };
            let accepted = taken(&sent, &limits).expect("a good batch");
            assert_eq!(from == to, accepted.batch == sent);
            let header = verify_crc(&accepted.batch).expect("its sum holds");
            assert_eq!(header, accepted.header);
            assert_eq!(header.codec(), Ok(to));
            assert_eq!((header.producer_id, header.base_sequence), (7, 5));
            // Packed back it is what the client sent.
            let back = ProduceLimits {
                codec: Some((Codec::None, None)),
                ..limits
            };
            let plain = |batch: &[u8]| taken(batch, &back).expect("a good batch").batch;
            assert_eq!(plain(&accepted.batch), plain(&sent));
        }
    }
    // What grows beyond the limit when it is unpacked is refused, as by Kafka.
    let mut builder = RecordBatchBuilder::new().codec(Codec::Zstd);
    builder.append(1000, None, Some(&[b'x'; 3000]));
    let small = ProduceLimits {
        codec: Some((Codec::None, None)),
        batch_bytes_max: 1000,
        ..limits()
    };
    let refused = taken(&builder.build(), &small).map(|_| ());
    assert_eq!(refused, Err(ProduceBatchError::TooLarge));
}

#[test]
fn an_offset_beyond_64_bits_is_no_panic() {
    let mut batch = batch();
    set_base_offset_and_epoch(&mut batch, Offset(i64::MAX), LeaderEpoch(0));
    let header = verify_crc(&batch).expect("the CRC does not cover it");
    assert_eq!(header.end_offset(), Offset(i64::MAX));
    let found = first_at_or_after(&batch, 1001).expect("readable");
    assert_eq!(found.map(|found| found.offset), Some(Offset(i64::MAX)));
}

#[test]
fn a_delete_horizon_stands_where_the_base_timestamp_was() {
    let header = verify_crc(&changed(21, &(1i16 << 6).to_be_bytes())).expect("a batch");
    assert_eq!(header.delete_horizon(), Some(1000));
}

#[test]
fn a_walk_ends_where_batches_end() {
    let three = [batch(), batch(), batch()].concat();
    let size = batch().len();
    for length in 0..three.len() {
        let mut walk = batches(&three[..length]);
        assert!(
            walk.by_ref()
                .all(|found| found.is_ok_and(|(_, bytes)| bytes == batch()))
        );
        assert_eq!(walk.rest().len(), length % size);
    }
    // Zeros, as behind a segment's last batch.
    let padded = [batch(), vec![0; 100]].concat();
    let mut walk = batches(&padded);
    assert!(walk.next().is_some_and(|found| found.is_ok()));
    assert_eq!(
        walk.next().map(|found| found.err()),
        Some(Some(BatchError::Magic(0)))
    );
    assert!(walk.next().is_none() && walk.rest().len() == 100);
}

proptest! {
    #[test]
    fn any_bytes_are_taken_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), keys_required: bool) {
        if bytes.len() > 16 {
            bytes[16] = 2;
        }
        let _ = taken(&bytes, &ProduceLimits { keys_required, ..limits() });
        let _ = first_at_or_after(&bytes, 0);
        let _ = values(&bytes);
        let _ = each_record(&bytes, |_| {});
        let _ = batches(&bytes).count();
    }

    #[test]
    fn a_batch_that_comes_in_parts_has_the_same_sum(parts in 1usize..80, flipped in proptest::option::of(CRC_FROM..70usize)) {
        let mut batch = batch();
        let header = RecordBatchHeader::parse(&batch).expect("a batch");
        if let Some(at) = flipped {
            batch[at] ^= 1;
        }
        let mut sum = BatchSum::default();
        for part in batch.chunks(parts) {
            prop_assert!(!sum.holds(&header), "not all of it was seen");
            sum.add(part);
        }
        prop_assert_eq!(sum.holds(&header), flipped.is_none());
    }

    #[test]
    fn a_flipped_bit_under_the_crc_is_found(bit in 0usize..8, at in CRC_FROM..70usize) {
        let mut batch = batch();
        batch[at] ^= 1 << bit;
        prop_assert_eq!(verify_crc(&batch), Err(BatchError::Crc));
    }
}
