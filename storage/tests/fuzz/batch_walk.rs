//! Any bytes as a produced record batch: the checks of a produce request, then every walk over the records inside.
//!
//! Bad bytes may only be refused; a batch that passed the checks has the size that its header says.

use bytes::Bytes;
use rinka_storage::compression::Codec;
use rinka_storage::record::Records;
use rinka_storage::record_batch::{
    HEADER_BYTES, ProduceLimits, batches, first_at_or_after, first_of_max_timestamp,
    validate_produced, values,
};

/// A time within the limits of batches made in 2023, so that both sides of each timestamp check are reached.
const NOW: i64 = 1_700_000_000_000;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub(crate) fn check(bytes: &[u8]) {
    check_one(bytes);
    // Chance finds no CRC: once more with the right one, to get behind that check.
    let mut sealed = bytes.to_vec();
    if sealed.len() > HEADER_BYTES {
        let length = i32::try_from(sealed.len() - 12).expect("inputs are small");
        sealed[8..12].copy_from_slice(&length.to_be_bytes());
        sealed[16] = 2;
        let crc = crc32c::crc32c(&sealed[21..]);
        sealed[17..21].copy_from_slice(&crc.to_be_bytes());
        check_one(&sealed);
    }
}

fn check_one(bytes: &[u8]) {
    for keys_required in [false, true] {
        let limits = ProduceLimits {
            version: 9,
            batch_bytes_max: 1 << 20,
            now: NOW,
            timestamp_before_max_ms: DAY_MS,
            timestamp_after_max_ms: DAY_MS,
            log_append_time: keys_required,
            codec: keys_required.then_some((Codec::Lz4, None)),
            keys_required,
        };
        if let Ok(accepted) = validate_produced(&Bytes::copy_from_slice(bytes), &limits) {
            assert_eq!(accepted.header.size_in_bytes(), accepted.batch.len());
            assert!(accepted.batch.len() <= limits.batch_bytes_max);
        }
    }
    let _ = first_at_or_after(bytes, NOW);
    let _ = first_of_max_timestamp(bytes);
    let _ = values(bytes);
    let mut walk = batches(bytes);
    let mut walked = 0;
    for (header, batch) in walk.by_ref().flatten() {
        assert_eq!(header.size_in_bytes(), batch.len());
        assert!(header.last_offset() <= header.end_offset() || header.last_offset_delta < 0);
        walked += batch.len();
    }
    assert_eq!(walked + walk.rest().len(), bytes.len());
    // As if unpacked, and with a count that no header has checked.
    for record in Records::new(bytes, i32::MAX) {
        let Ok(record) = record else { break };
        let _ = format!("{record:?}");
    }
}
