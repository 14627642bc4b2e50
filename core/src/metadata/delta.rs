//! What differs between two images: with it a shard reconciles the partitions it holds.
//!
//! Found by comparing pointers first, so its cost follows what changed and not what there is; never changes an image.

use std::ops::Range;
use std::sync::Arc;

use super::image::MetadataImage;
use super::topic::Topic;

/// What to do to get from an older image to a newer one. A topic that was deleted and created again is in both lists, by its two ids.
#[derive(Clone, Debug, Default)]
pub struct MetadataDelta {
    pub topics_created: Vec<Arc<Topic>>,
    /// As they were.
    pub topics_deleted: Vec<Arc<Topic>>,
    pub topics_changed: Vec<TopicChange>,
    pub brokers_changed: bool,
}

/// What became of a topic that both images have.
#[derive(Clone, Debug)]
pub struct TopicChange {
    /// As it is now.
    pub topic: Arc<Topic>,
    pub partitions_added: Range<i32>,
    /// Their leader, replicas or in-sync replicas are others.
    pub partitions_changed: Vec<i32>,
    pub overrides_changed: bool,
}

impl MetadataDelta {
    #[must_use]
    pub fn between(older: &MetadataImage, newer: &MetadataImage) -> Self {
        let mut delta = Self {
            brokers_changed: older.brokers() != newer.brokers(),
            ..Self::default()
        };
        for pair in newer.changed_topics(older) {
            match pair {
                (Some(new), None) => delta.topics_created.push(Arc::clone(new)),
                (None, Some(old)) => delta.topics_deleted.push(Arc::clone(old)),
                (Some(new), Some(old)) if !Arc::ptr_eq(new, old) => {
                    delta.topics_changed.extend(TopicChange::between(old, new));
                }
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        delta
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.topics_created.is_empty()
            && self.topics_deleted.is_empty()
            && self.topics_changed.is_empty()
            && !self.brokers_changed
    }
}

impl TopicChange {
    fn between(older: &Topic, newer: &Arc<Topic>) -> Option<Self> {
        let change = Self {
            partitions_added: number(older)..number(newer),
            partitions_changed: newer.partitions.changed_since(&older.partitions),
            overrides_changed: older.overrides != newer.overrides,
            topic: Arc::clone(newer),
        };
        let changes_something = change.overrides_changed
            || !change.partitions_added.is_empty()
            || !change.partitions_changed.is_empty();
        changes_something.then_some(change)
    }
}

/// The number that the topic's next partition would have.
fn number(topic: &Topic) -> i32 {
    i32::try_from(topic.partition_count()).expect("the controller bounds partitions far below 2^31")
}
