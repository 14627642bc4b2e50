//! The topics as a group sees them: an image of the metadata, and a number that changes whenever topics or partitions do.
//!
//! Reads the image only. Hashes are those that Kafka 4.1 and later write, so that either broker finds what the other left
//! unchanged (KIP-1101).

use std::sync::Arc;

use rinka_storage::topic_partition::TopicId;
use twox_hash::XxHash3_64;

use crate::metadata::image::MetadataImage;
use crate::metadata::topic::Topic;

/// The version of the layout that is hashed.
const HASH_LAYOUT: u8 = 0;

/// The topics at one moment.
#[derive(Clone, Debug, Default)]
pub struct TopicsView {
    image: MetadataImage,
    version: u64,
}

impl TopicsView {
    /// `version` is another one whenever a topic was created or deleted or got partitions, or a rack changed; the image's own does.
    #[must_use]
    pub fn new(image: MetadataImage, version: u64) -> Self {
        Self { image, version }
    }

    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// In no particular order.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.image.topics().map(|topic| &topic.name)
    }

    #[must_use]
    pub fn id(&self, name: &str) -> Option<TopicId> {
        self.image.topic_named(name).map(|topic| topic.id)
    }

    #[must_use]
    pub fn name(&self, id: TopicId) -> Option<&Arc<str>> {
        self.image.topic(id).map(|topic| &topic.name)
    }

    #[must_use]
    pub fn partition_count(&self, id: TopicId) -> Option<i32> {
        let topic = self.image.topic(id)?;
        Some(i32::try_from(topic.partition_count()).unwrap_or(i32::MAX))
    }

    /// One number for all that an assignment depends on: 0 without topics. Names of topics that do not exist count for nothing.
    #[must_use]
    pub fn hash<'a>(&self, names: impl IntoIterator<Item = &'a Arc<str>>) -> u64 {
        // Names of topics are ASCII, so that their order here is Java's too.
        let mut topics: Vec<&Arc<Topic>> = names
            .into_iter()
            .filter_map(|name| self.image.topic_named(name))
            .collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        topics.dedup_by(|a, b| a.id == b.id);
        group_hash(topics.into_iter().map(|topic| {
            let racks = topic.partitions.iter().map(|(_, partition)| {
                let brokers = partition.replicas.iter();
                brokers
                    .filter_map(|id| self.image.brokers().get(id))
                    .filter_map(|broker| broker.registration.rack.as_deref())
                    .collect()
            });
            topic_hash(topic.id, &topic.name, topic.partition_count(), racks)
        }))
    }
}

fn group_hash(topic_hashes: impl Iterator<Item = u64>) -> u64 {
    let bytes: Vec<u8> = topic_hashes.flat_map(u64::to_le_bytes).collect();
    if bytes.is_empty() {
        0
    } else {
        XxHash3_64::oneshot(&bytes)
    }
}

/// Integers are little-endian; a text is its UTF-16 units and then how many they are.
fn topic_hash<'a>(
    id: TopicId,
    name: &str,
    partition_count: usize,
    racks: impl Iterator<Item = Vec<&'a str>>,
) -> u64 {
    let (most, least) = id.0.as_u64_pair();
    let mut bytes = vec![HASH_LAYOUT];
    bytes.extend_from_slice(&most.to_le_bytes());
    bytes.extend_from_slice(&least.to_le_bytes());
    put_text(&mut bytes, name);
    put_count(&mut bytes, partition_count);
    for (partition, mut racks) in racks.enumerate() {
        put_count(&mut bytes, partition);
        racks.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
        for rack in racks {
            // Once more in front of the text, which has its own behind it.
            put_count(&mut bytes, rack.encode_utf16().count());
            put_text(&mut bytes, rack);
        }
    }
    XxHash3_64::oneshot(&bytes)
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let before = bytes.len();
    bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    let units = (bytes.len() - before) / 2;
    put_count(bytes, units);
}

fn put_count(bytes: &mut Vec<u8>, count: usize) {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    bytes.extend_from_slice(&count.to_le_bytes());
}

#[cfg(test)]
pub(super) mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::metadata::records::MetadataRecord;
    use crate::metadata::topic::PartitionState;

    /// A view of topics with ids 1, 2, 3 ... and as many partitions as said.
    pub(in super::super) fn view(topics: &[(&str, usize)]) -> TopicsView {
        let mut image = MetadataImage::default();
        for (id, (name, partitions)) in (1..).zip(topics) {
            create(&mut image, id, name, *partitions);
        }
        let version = image.version();
        TopicsView::new(image, version)
    }

    pub(in super::super) fn create(image: &mut MetadataImage, id: u128, name: &str, count: usize) {
        let record = MetadataRecord::TopicCreated {
            id: TopicId(Uuid::from_u128(id)),
            name: name.to_owned(),
            partitions: vec![PartitionState::new(vec![1], vec![1]); count],
        };
        image.replay(&record).expect("a new topic");
    }

    fn check_topic(id: u128, name: &str, racks: &[&[&str]], expected: i64) {
        let partitions = racks.iter().map(|racks| racks.to_vec());
        let hash = topic_hash(TopicId(Uuid::from_u128(id)), name, racks.len(), partitions);
        assert_eq!(hash.cast_signed(), expected);
    }

    #[test]
    fn topics_have_kafkas_hashes() {
        // What Kafka 4.3's Utils.computeTopicHash gives for them.
        const ID: u128 = 0x0123_4567_89AB_CDEF_FEDC_BA98_7654_3210;
        let racks: [&[&str]; 2] = [&["rack1", "rack0"], &["rack2", "rack1"]];
        check_topic(ID, "foo", &racks, 4_231_092_367_357_902_416);
        let id = 0x1111_1111_1111_1111_2222_2222_2222_2222;
        check_topic(id, "bar", &[&[]], 8_733_119_781_167_439_863);
        check_topic(0, "empty", &[], 728_769_691_835_767_132);
        check_topic(ID, "foo", &[&["r", "r"]], 2_883_780_561_648_472_600);
        let utf16 = ["\u{E000}", "\u{1F600}"];
        check_topic(ID, "foo", &[&utf16], 4_767_223_826_197_171_634);
    }

    #[test]
    fn groups_have_kafkas_hashes() {
        let check = |hashes: &[i64], expected: i64| {
            let hashes = hashes.iter().map(|hash| hash.cast_unsigned());
            assert_eq!(group_hash(hashes).cast_signed(), expected);
        };
        let (foo, bar) = (4_231_092_367_357_902_416, 8_733_119_781_167_439_863);
        check(&[], 0);
        check(&[foo], -3_651_539_661_068_893_492);
        check(&[bar, foo], -556_879_919_459_959_918);
        check(&[123, 456], 1_482_712_172_080_382_793);
    }

    #[test]
    fn the_hash_follows_what_an_assignment_depends_on() {
        let names: Vec<Arc<str>> = ["b", "a", "gone", "a"].map(Arc::from).to_vec();
        let hash = |topics: &[(&str, usize)]| view(topics).hash(&names);
        let before = hash(&[("a", 1), ("b", 2)]);
        assert_eq!(hash(&[("a", 1), ("b", 2), ("other", 9)]), before);
        assert_ne!(hash(&[("a", 2), ("b", 2)]), before);
        assert_ne!(hash(&[("a", 1)]), before);
        // Another topic of the same name: its id is another.
        assert_ne!(hash(&[("b", 2), ("a", 1)]), before);
        assert_eq!(hash(&[("other", 1)]), 0);
    }
}
