use std::collections::BTreeSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::metadata::client_quotas::{EntityName, QuotaEntity, QuotaLimit};
use crate::metadata::delta::MetadataDelta;

fn id(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

fn state() -> PartitionState {
    PartitionState::new(vec![1], vec![1])
}

fn created(number: u128, name: &str, partitions: usize) -> MetadataRecord {
    MetadataRecord::TopicCreated {
        id: id(number),
        name: name.to_owned(),
        partitions: vec![state(); partitions],
    }
}

fn image(records: &[MetadataRecord]) -> MetadataImage {
    let mut image = MetadataImage::default();
    for record in records {
        image.replay(record).unwrap();
    }
    image
}

#[test]
fn a_topic_is_found_by_name_and_id_until_it_is_deleted() {
    let mut image = image(&[created(1, "a.b", 3), created(2, "c", 1)]);
    assert_eq!(image.topic_named("a.b").unwrap().id, id(1));
    assert_eq!(image.topic(id(2)).unwrap().name.as_ref(), "c");
    assert_eq!((image.topic_count(), image.partition_count()), (2, 4));
    assert_eq!(image.collision_with("a_b"), Some("a.b"));
    assert_eq!(image.collision_with("c"), None);

    image
        .replay(&MetadataRecord::TopicDeleted { id: id(1) })
        .unwrap();
    assert!(image.topic_named("a.b").is_none() && image.topic(id(1)).is_none());
    assert_eq!((image.topic_count(), image.partition_count()), (1, 1));
    assert_eq!(image.collision_with("a_b"), None);
    assert_eq!(image.version(), 3);
}

#[test]
fn a_record_that_does_not_follow_is_refused_and_changes_nothing() {
    let before = image(&[
        created(1, "a", 1),
        MetadataRecord::ProducerIdsAllocated { next: 1000 },
    ]);
    let refused = [
        created(2, "a", 1),
        created(1, "b", 1),
        MetadataRecord::TopicDeleted { id: id(9) },
        MetadataRecord::PartitionsAdded {
            id: id(1),
            first: 2,
            partitions: vec![],
        },
        MetadataRecord::PartitionChanged {
            id: id(1),
            partition: 1,
            state: state(),
        },
        MetadataRecord::BrokerUnregistered { node_id: 1 },
        MetadataRecord::ProducerIdsAllocated { next: 999 },
        MetadataRecord::FormatVersion {
            version: FORMAT_VERSION + 1,
        },
    ];
    for record in refused {
        let mut image = before.clone();
        image.replay(&record).unwrap_err();
        assert_eq!(image, before);
        assert_eq!(image.version(), before.version());
    }
}

#[test]
fn a_copy_shares_what_a_record_does_not_touch() {
    let records: Vec<_> = (0..100_000)
        .map(|number| created(number, &format!("topic-{number}"), 1))
        .collect();
    let older = image(&records);
    let mut newer = older.clone();
    newer
        .replay(&MetadataRecord::PartitionChanged {
            id: id(7),
            partition: 0,
            state: PartitionState::new(vec![2], vec![2]),
        })
        .unwrap();
    assert!(Arc::ptr_eq(
        older.topic(id(8)).unwrap(),
        newer.topic(id(8)).unwrap()
    ));
    assert_eq!(older.topic(id(7)).unwrap().partition(0), Some(&state()));
    let delta = MetadataDelta::between(&older, &newer);
    assert_eq!(delta.topics_changed.len(), 1);
    assert_eq!(delta.topics_changed[0].partitions_changed, [0]);
}

fn key_of_any() -> impl Strategy<Value = String> {
    "[kl]"
}

/// Records that mostly follow from one another: few topics, few partitions.
fn step() -> impl Strategy<Value = MetadataRecord> {
    let name = prop::sample::select(vec!["a", "b", "c.d", "c_e", "f"]);
    let key = prop::sample::select(vec!["retention.ms", "segment.ms"]);
    let number = || 0u128..5;
    prop_oneof![
        4 => (number(), name, 0usize..3).prop_map(|(n, name, count)| created(n, name, count)),
        1 => number().prop_map(|n| MetadataRecord::TopicDeleted { id: id(n) }),
        2 => (number(), key, prop::option::of("[0-9]")).prop_map(|(n, key, value)| {
            MetadataRecord::TopicConfigSet { id: id(n), key: key.to_owned(), value }
        }),
        2 => (number(), 0i32..4).prop_map(|(n, first)| MetadataRecord::PartitionsAdded {
            id: id(n),
            first,
            partitions: vec![state(); 2],
        }),
        2 => (number(), 0i32..4, 0i32..3).prop_map(|(n, partition, leader)| {
            MetadataRecord::PartitionChanged {
                id: id(n),
                partition,
                state: PartitionState::new(vec![leader], vec![leader]),
            }
        }),
        1 => (0i64..3).prop_map(|n| MetadataRecord::ProducerIdsAllocated { next: n * 1000 }),
        1 => (0i32..3).prop_map(|node_id| MetadataRecord::BrokerRegistered(BrokerRegistration {
            node_id,
            incarnation: Uuid::nil(),
            rack: None,
            endpoints: vec![],
        })),
        1 => (prop::option::of(0i32..2), key_of_any(), prop::option::of("[0-9]")).prop_map(
            |(node_id, key, value)| MetadataRecord::BrokerConfigSet { node_id, key, value }
        ),
        1 => ("[gh]", key_of_any(), prop::option::of("[0-9]"))
            .prop_map(|(group, key, value)| MetadataRecord::GroupConfigSet { group, key, value }),
        1 => ("[cd]", key_of_any(), prop::option::of(1u8..9)).prop_map(|(client_id, key, limit)| {
            MetadataRecord::ClientQuotaSet {
                entity: QuotaEntity {
                    client_id: Some(EntityName::Named(client_id)),
                    ..QuotaEntity::default()
                },
                key,
                limit: limit.and_then(|limit| QuotaLimit::new(limit.into())),
            }
        }),
        1 => ("[fg]", 0i16..3)
            .prop_map(|(name, level)| MetadataRecord::FeatureLevelSet { name, level }),
        1 => (0i32..3, any::<bool>()).prop_map(|(node_id, fenced)| {
            MetadataRecord::BrokerFenced { node_id, fenced }
        }),
    ]
}

proptest! {
    #[test]
    fn the_records_of_an_image_make_it_again(steps in proptest::collection::vec(step(), 0..60)) {
        let mut image = MetadataImage::default();
        for record in &steps {
            let before = image.clone();
            match image.replay(record) {
                Ok(()) => prop_assert_eq!(image.version(), before.version() + 1),
                Err(_) => prop_assert_eq!(&image, &before),
            }
        }
        let mut again = MetadataImage::default();
        for record in image.to_records() {
            again.replay(&record).unwrap();
        }
        prop_assert_eq!(again, image);
    }

    /// A shard that knows what it held and applies the delta holds what the new image says.
    #[test]
    fn the_delta_leads_from_the_older_image_to_the_newer(
        first in proptest::collection::vec(step(), 0..30),
        second in proptest::collection::vec(step(), 0..30),
    ) {
        // The id of a deleted topic never comes back.
        let mut used = BTreeSet::new();
        let mut is_new_or_no_topic = |record: &&MetadataRecord| match record {
            MetadataRecord::TopicCreated { id, .. } => used.insert(*id),
            _ => true,
        };
        let mut older = MetadataImage::default();
        for record in first.iter().filter(&mut is_new_or_no_topic) {
            let _ = older.replay(record);
        }
        let mut newer = older.clone();
        for record in second.iter().filter(&mut is_new_or_no_topic) {
            let _ = newer.replay(record);
        }
        let held = |image: &MetadataImage| -> BTreeMap<_, _> {
            let topics = image.topics();
            topics
                .flat_map(|topic| {
                    topic.partitions.iter().map(|(number, state)| ((topic.id, number), state.clone()))
                })
                .collect()
        };
        let mut shard = held(&older);
        let delta = MetadataDelta::between(&older, &newer);
        for topic in &delta.topics_deleted {
            shard.retain(|(id, _), _| *id != topic.id);
        }
        for topic in &delta.topics_created {
            for (number, state) in topic.partitions.iter() {
                prop_assert!(shard.insert((topic.id, number), state.clone()).is_none());
            }
        }
        for change in &delta.topics_changed {
            let older = older.topic(change.topic.id).unwrap();
            prop_assert_eq!(change.overrides_changed, older.overrides != change.topic.overrides);
            for number in change.partitions_added.clone() {
                let state = change.topic.partition(number).unwrap();
                prop_assert!(shard.insert((change.topic.id, number), state.clone()).is_none());
            }
            for &number in &change.partitions_changed {
                let state = change.topic.partition(number).unwrap();
                let before = shard.insert((change.topic.id, number), state.clone());
                prop_assert!(before.is_some_and(|before| before != *state));
            }
        }
        prop_assert_eq!(shard, held(&newer));
        prop_assert_eq!(delta.brokers_changed, older.brokers() != newer.brokers());
    }
}
