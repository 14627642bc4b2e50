//! Gives out blocks of producer ids.
//!
//! Never gives out an id twice: a block whose broker went away is lost, and there are enough.

use std::ops::Range;

use super::Decision;
use super::error::ProducerIdsExhausted;
use crate::metadata::image::MetadataImage;
use crate::metadata::records::MetadataRecord;

/// As many as Kafka gives out at a time: one record for a thousand producers.
pub const BLOCK_LENGTH: i64 = 1000;

/// The next block, for the one that asks alone.
pub fn allocate_producer_ids(
    image: &MetadataImage,
) -> Decision<Result<Range<i64>, ProducerIdsExhausted>> {
    let first = image.next_producer_id();
    match first.checked_add(BLOCK_LENGTH) {
        Some(next) => Decision {
            records: vec![MetadataRecord::ProducerIdsAllocated { next }],
            response: Ok(first..next),
        },
        None => Decision {
            records: Vec::new(),
            response: Err(ProducerIdsExhausted),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::topics;
    use super::*;

    #[test]
    fn blocks_follow_one_another_until_there_are_no_more() {
        let mut image = MetadataImage::default();
        for expected in [0..1000, 1000..2000] {
            let decision = allocate_producer_ids(&image);
            topics::replay_decided(&mut image, &decision.records);
            assert_eq!(decision.response, Ok(expected));
        }
        let next = i64::MAX - 999;
        topics::replay_decided(&mut image, &[MetadataRecord::ProducerIdsAllocated { next }]);
        let decision = allocate_producer_ids(&image);
        assert_eq!(decision.response, Err(ProducerIdsExhausted));
        assert!(decision.records.is_empty());
    }
}
