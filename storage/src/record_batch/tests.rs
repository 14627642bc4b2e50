use proptest::prelude::*;

use super::*;

fn limits() -> ProduceLimits {
    ProduceLimits {
        version: 9,
        batch_bytes_max: 1 << 20,
        now: 1_000_000,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        log_append_time: false,
        keys_required: false,
    }
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
    assert_eq!(validate_produced(bytes, &limits()).map(|_| ()), expected);
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
    check(&changed(57, &3i32.to_be_bytes()), count);
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
    check(&changed(35, &i64::MAX.to_be_bytes()), Err(E::Timestamp));
    let no_sequence = E::InvalidRecord("an idempotent batch needs a sequence number and an epoch");
    check(&changed(43, &5i64.to_be_bytes()), Err(no_sequence));
}

#[test]
fn limits_of_the_topic() {
    let check = |limits: ProduceLimits, expected: Result<(), ProduceBatchError>| {
        assert_eq!(validate_produced(&batch(), &limits).map(|_| ()), expected);
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
        Err(ProduceBatchError::KeyMissing { record: 1 }),
    );
    check(
        ProduceLimits {
            timestamp_before_max_ms: 10,
            ..limits()
        },
        Err(ProduceBatchError::Timestamp),
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
        validate_produced(&batch, &old),
        Err(ProduceBatchError::UnsupportedCompression)
    );
    validate_produced(&batch, &limits()).expect("new enough");
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
        let max = last_of_max_timestamp(&batch)
            .expect("readable")
            .expect("found");
        assert_eq!((max.timestamp, max.offset), (300, Offset(1)));
        assert_eq!(values(&batch).expect("readable").len(), 4);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), keys_required: bool) {
        if bytes.len() > 16 {
            bytes[16] = 2;
        }
        let _ = validate_produced(&bytes, &ProduceLimits { keys_required, ..limits() });
        let _ = first_at_or_after(&bytes, 0);
        let _ = values(&bytes);
    }

    #[test]
    fn a_flipped_bit_under_the_crc_is_found(bit in 0usize..8, at in CRC_FROM..70usize) {
        let mut batch = batch();
        batch[at] ^= 1 << bit;
        prop_assert_eq!(verify_crc(&batch), Err(BatchError::Crc));
    }
}
