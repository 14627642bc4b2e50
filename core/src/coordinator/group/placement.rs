//! Which partition of `__consumer_offsets` a group's records belong to; the leader of that partition coordinates the group.
//!
//! Kafka's own function, so that a tool which computes it looks in the right place.

/// The partition of `group_id` among `partitions` of `__consumer_offsets` (`offsets.topic.num.partitions`, 50 by default).
///
/// # Panics
/// When there are no partitions: the topic that has none does not exist.
#[must_use]
pub fn partition_of(group_id: &str, partitions: i32) -> i32 {
    assert!(partitions > 0, "a topic has at least one partition");
    // `Utils.abs`: Java's least number has no positive counterpart, and counts as 0.
    java_string_hash(group_id).checked_abs().unwrap_or(0) % partitions
}

/// `String.hashCode` of Java: over the units of UTF-16, each sum times 31.
fn java_string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_java() {
        for (text, hash) in [
            ("", 0),
            ("a", 97),
            ("hello", 99_162_322),
            // The text everybody knows for its hash: Java's least number.
            ("polygenelubricants", i32::MIN),
            // One character, two units of UTF-16: 0xD83D * 31 + 0xDE00.
            ("\u{1F600}", 0xD83D * 31 + 0xDE00),
        ] {
            assert_eq!(java_string_hash(text), hash, "{text}");
        }
    }

    #[test]
    fn a_group_belongs_where_kafka_puts_it() {
        for (group_id, partitions, partition) in [
            ("", 50, 0),
            ("test", 50, 48),
            ("hello", 50, 22),
            ("connect-cluster", 50, 13),
            // -1906497762
            ("my-group", 50, 12),
            ("polygenelubricants", 50, 0),
            ("\u{E4}pfel", 50, 41),
            ("hello", 1, 0),
        ] {
            assert_eq!(partition_of(group_id, partitions), partition, "{group_id}");
        }
    }
}
