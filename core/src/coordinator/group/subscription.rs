//! Which topics a member of a consumer group subscribes to: the beginning of the consumer protocol's metadata, which every version of
//! it shares with version 0.
//!
//! The bytes are the clients' own affair and may be anything: what cannot be read is no subscription, never an error.

use super::records::field_bytes::RecordReader;

/// The topics, or `None` when the metadata is not a subscription.
pub(super) fn topics(metadata: &[u8]) -> Option<Vec<String>> {
    let mut reader = RecordReader::new(metadata, "subscription");
    let version = reader.i16().ok()?;
    if version < 0 {
        return None;
    }
    // A topic takes at least the two bytes of its length.
    let count = reader.count(false, 2).ok()?;
    let topics = (0..count).map(|_| reader.text().ok()).collect();
    let user_data_length = reader.i32().ok()?;
    let user_data_length = usize::try_from(user_data_length.max(0)).ok()?;
    reader.skip(user_data_length).ok()?;
    topics
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_version_begins_as_version_0() {
        let version_0 = b"\x00\x00\x00\x00\x00\x02\x00\x01a\x00\x02bc\xFF\xFF\xFF\xFF";
        let expected = Some(vec!["a".to_owned(), "bc".to_owned()]);
        assert_eq!(topics(version_0), expected);
        // Version 1 goes on with the partitions that the member owns.
        let version_1 =
            b"\x00\x01\x00\x00\x00\x02\x00\x01a\x00\x02bc\x00\x00\x00\x01x\x00\x00\x00\x00";
        assert_eq!(topics(version_1), expected);
    }

    #[test]
    fn what_is_no_subscription_has_no_topics() {
        for bytes in [
            &b""[..],
            b"\x00",
            b"\x00\x00\x7F\xFF\xFF\xFF",
            b"\x00\x00\x00\x00\x00\x01\x00\x05a",
            b"\xFF\xFF\x00\x00\x00\x00\xFF\xFF\xFF\xFF",
            // No user data at all.
            b"\x00\x00\x00\x00\x00\x00",
        ] {
            assert_eq!(topics(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = topics(&bytes);
        }
    }
}
