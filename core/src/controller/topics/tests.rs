use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::controller::brokers::register_broker;
use crate::controller::shown_brokers::tests::{one_broker, two_shards};
use crate::metadata::records::BrokerRegistration;
use crate::metadata::topic::Topic;

pub(crate) fn id(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

/// A cluster of brokers 1 to `brokers`.
pub(crate) fn cluster(brokers: i32) -> MetadataImage {
    let mut image = MetadataImage::default();
    for node_id in 1..=brokers {
        let registration = BrokerRegistration {
            node_id,
            incarnation: Uuid::nil(),
            rack: None,
            endpoints: Vec::new(),
        };
        let decision = register_broker(registration, "cluster", &image);
        replay_decided(&mut image, &decision.records);
    }
    image
}

/// The cluster with topics of one partition.
pub(crate) fn with_topics(image: &MetadataImage, names: &[&str]) -> MetadataImage {
    let mut image = image.clone();
    for (number, name) in (1000..).zip(names) {
        let decision = auto_create_topic(name, id(number), &image, &BrokerConfig::default());
        decision.response.unwrap();
        replay_decided(&mut image, &decision.records);
    }
    image
}

pub(crate) fn created<'a>(image: &'a MetadataImage, name: &str) -> &'a Arc<Topic> {
    image.topic_named(name).expect(name)
}

fn new(name: &str) -> NewTopic {
    let number = name
        .bytes()
        .fold(7, |sum, byte| sum * 31 + u128::from(byte));
    NewTopic::new(name, id(number))
}

fn manual(name: &str, assignments: &[(i32, &[i32])]) -> NewTopic {
    NewTopic {
        assignments: assignments
            .iter()
            .map(|&(partition, replicas)| Assignment {
                partition,
                replicas: replicas.to_vec(),
            })
            .collect(),
        ..new(name)
    }
}

fn with_config(name: &str, key: &str, value: Option<&str>) -> NewTopic {
    NewTopic {
        configs: vec![(key.to_owned(), value.map(str::to_owned))],
        ..new(name)
    }
}

/// Asked of a cluster of three brokers with the topics `a.b` and `c`.
fn check_refused(topic: NewTopic, expected: &str) {
    let image = with_topics(&cluster(3), &["a.b", "c"]);
    let config = BrokerConfig::default();
    let decision = create_topics(&[topic], false, &image, &config, &one_broker());
    assert!(decision.records.is_empty());
    let error = decision.response[0].outcome.clone().unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn a_topic_with_defaults_and_one_with_numbers() {
    let config = BrokerConfig::parse("num.partitions=4", &[]).unwrap();
    let mut image = cluster(3);
    let numbered = NewTopic {
        partitions: 7,
        replication_factor: 2,
        configs: vec![("retention.ms".to_owned(), Some("5".to_owned()))],
        ..new("numbered")
    };
    let decision = create_topics(
        &[new("plain"), numbered],
        false,
        &image,
        &config,
        &one_broker(),
    );
    replay_decided(&mut image, &decision.records);

    assert_eq!(created(&image, "plain").partition_count(), 4);
    let numbered = created(&image, "numbered");
    assert_eq!(numbered.partition_count(), 7);
    assert_eq!(numbered.overrides.get("retention.ms").unwrap(), "5");
    for (_, partition) in numbered.partitions.iter() {
        assert_eq!(partition.replicas.len(), 2);
        assert_eq!(partition.isr, partition.replicas);
        assert_eq!(partition.leader, Some(partition.replicas[0]));
    }
    let led_by = |node| {
        let partitions = numbered.partitions.iter();
        partitions.filter(|(_, p)| p.leader == Some(node)).count()
    };
    let mut led: Vec<_> = (1..=3).map(led_by).collect();
    led.sort_unstable();
    assert_eq!(led, [2, 2, 3], "leaders go round");

    let outcome = decision.response[1].outcome.as_ref().unwrap();
    assert_eq!((outcome.partitions, outcome.replication_factor), (7, 2));
    let shown = outcome.configs.iter().find(|c| c.name == "retention.ms");
    assert_eq!(shown.unwrap().value.as_deref(), Some("5"));
}

#[test]
fn a_manual_assignment_is_kept() {
    let mut image = cluster(3);
    let topic = manual("m", &[(1, &[3, 1]), (0, &[2, 3])]);
    let decision = create_topics(
        &[topic],
        false,
        &image,
        &BrokerConfig::default(),
        &one_broker(),
    );
    replay_decided(&mut image, &decision.records);
    let topic = created(&image, "m");
    assert_eq!(topic.partition(0).unwrap().replicas, [2, 3]);
    assert_eq!(topic.partition(1).unwrap().leader, Some(3));
}

#[test]
fn refusals_read_as_in_kafka() {
    check_refused(new("a/b"), "contains one or more characters other than");
    check_refused(new(".."), "'..' is not allowed");
    check_refused(new("c"), "Topic 'c' already exists.");
    check_refused(new("a_b"), "Topic 'a_b' collides with existing topic: a.b");
    check_refused(new("__cluster_metadata"), "is prohibited");
    let partitions = |partitions| NewTopic {
        partitions,
        ..new("x")
    };
    check_refused(partitions(0), "invalid non-positive value");
    check_refused(partitions(-2), "invalid non-positive value");
    check_refused(partitions(10_001), "Excessively large number of partitions");
    check_refused(
        partitions(i32::MAX),
        "Excessively large number of partitions",
    );
    let replicas = |replication_factor| NewTopic {
        replication_factor,
        ..new("x")
    };
    check_refused(replicas(0), "must be larger than 0, or -1");
    check_refused(
        replicas(4),
        "Unable to replicate the partition 4 time(s): The target replication factor of 4 cannot be reached because only 3 broker(s) are registered or some brokers have all their log directories cordoned.",
    );
    check_refused(manual("x", &[(0, &[])]), "empty replica list");
    check_refused(manual("x", &[(0, &[9])]), "includes broker 9, but no such");
    check_refused(manual("x", &[(0, &[1, 1])]), "the broker 1 more than once");
    check_refused(manual("x", &[(0, &[1]), (0, &[2])]), "Found multiple");
    check_refused(manual("x", &[(0, &[1]), (2, &[2])]), "consecutive 0-based");
    check_refused(manual("x", &[(-1, &[1])]), "consecutive 0-based");
    check_refused(manual("x", &[(0, &[1]), (1, &[1, 2])]), "not consistent");
    let both = NewTopic {
        partitions: 1,
        ..manual("x", &[(0, &[1])])
    };
    check_refused(both, "numPartitions was not set to -1");
    check_refused(
        with_config("x", "colour", Some("red")),
        "Unknown topic config",
    );
    check_refused(with_config("x", "retention.ms", None), "Null value");
    check_refused(NewTopic::new("x", TopicId::ZERO), "in use");
}

#[test]
fn any_shard_of_a_node_may_be_named_and_one_of_each_node() {
    let mut image = cluster(2);
    let create = |topic, image: &MetadataImage| {
        create_topics(
            &[topic],
            false,
            image,
            &BrokerConfig::default(),
            &two_shards(),
        )
    };
    let topic = manual("m", &[(0, &[10_001, 2]), (1, &[2, 1]), (2, &[2, 10_001])]);
    let decision = create(topic, &image);
    replay_decided(&mut image, &decision.records);
    let replicas = |partition| &created(&image, "m").partition(partition).unwrap().replicas;
    assert_eq!([0, 1, 2].map(replicas), [&[1, 2], &[2, 1], &[2, 1]]);
    let refusal = |replicas| {
        let decision = create(manual("x", &[(0, replicas)]), &image);
        decision.response[0].outcome.clone().unwrap_err()
    };
    let invalid = CreateTopicError::InvalidAssignment;
    assert_eq!(
        refusal(&[10_001, 1]),
        invalid(InvalidAssignment::SameNode([10_001, 1]))
    );
    assert_eq!(
        refusal(&[10_001, 10_001]),
        invalid(InvalidAssignment::DuplicateBroker(10_001))
    );
    assert_eq!(
        refusal(&[20_001]),
        invalid(InvalidAssignment::UnknownBroker(20_001))
    );
}

#[test]
fn one_topic_does_not_spoil_another_but_meets_it() {
    let image = cluster(1);
    let topics = [new("x.y"), new("x_y"), new("d"), new("ok"), new("d")];
    let decision = create_topics(
        &topics,
        false,
        &image,
        &BrokerConfig::default(),
        &one_broker(),
    );
    let outcomes: Vec<_> = decision
        .response
        .iter()
        .map(|r| (r.name.as_str(), r.outcome.is_ok()))
        .collect();
    assert_eq!(
        outcomes,
        [("x.y", true), ("x_y", false), ("d", false), ("ok", true)]
    );
    assert_eq!(
        decision.response[2].outcome,
        Err(CreateTopicError::Duplicate)
    );
    assert_eq!(decision.records.len(), 2);
}

#[test]
fn validate_only_answers_alike_and_writes_nothing() {
    let image = cluster(1);
    let config = BrokerConfig::default();
    let topics = [new("a"), new("b")];
    let real = create_topics(&topics, false, &image, &config, &one_broker());
    let validated = create_topics(&topics, true, &image, &config, &one_broker());
    assert_eq!(validated.response, real.response);
    assert!(validated.records.is_empty());
}

#[test]
fn fenced_brokers_are_used_last_and_do_not_lead() {
    let mut image = cluster(3);
    let fence = |node_id| MetadataRecord::BrokerFenced {
        node_id,
        fenced: true,
    };
    replay_decided(&mut image, &[fence(2)]);
    let config = BrokerConfig::default();
    let wide = |replication_factor| NewTopic {
        partitions: 6,
        replication_factor,
        ..new("x")
    };
    for (factor, in_sync) in [(2, 2), (3, 2)] {
        let mut after = image.clone();
        let decision = create_topics(&[wide(factor)], false, &image, &config, &one_broker());
        replay_decided(&mut after, &decision.records);
        for (_, partition) in created(&after, "x").partitions.iter() {
            assert_eq!(partition.isr.len(), in_sync);
            assert!(!partition.isr.contains(&2));
            assert_ne!(partition.leader, Some(2));
        }
    }
    replay_decided(&mut image, &[fence(1), fence(3)]);
    let decision = create_topics(&[new("x")], false, &image, &config, &one_broker());
    let error = decision.response[0].outcome.clone().unwrap_err();
    assert!(error.to_string().contains("fenced"), "{error}");
}

#[test]
fn the_brokers_own_topics_get_their_shape() {
    let image = with_topics(&cluster(1), &["__consumer_offsets", "__transaction_state"]);
    let offsets = created(&image, "__consumer_offsets");
    assert_eq!(offsets.partition_count(), 50);
    assert_eq!(offsets.replication_factor(), 1);
    assert_eq!(offsets.overrides.get("cleanup.policy").unwrap(), "compact");
    let transactions = created(&image, "__transaction_state");
    let min_insync_replicas = transactions.overrides.get("min.insync.replicas");
    assert_eq!(min_insync_replicas.unwrap(), "1");

    let config = BrokerConfig::parse("offsets.topic.replication.factor=3", &[]).unwrap();
    let decision = auto_create_topic("__consumer_offsets", id(1), &cluster(1), &config);
    decision.response.unwrap_err();
}

#[test]
fn topics_are_deleted_by_name_and_id() {
    let mut image = with_topics(&cluster(1), &["a", "b", "c"]);
    let by_name = |name: &str| TopicReference::Name(name.to_owned());
    let b = created(&image, "b").id;
    let requests = [
        by_name("a"),
        TopicReference::Id(b),
        by_name("b"),
        by_name("x"),
        TopicReference::Id(id(9)),
        by_name("c"),
        by_name("c"),
        TopicReference::Id(id(8)),
        TopicReference::Id(id(8)),
        TopicReference::NameAndId("c".to_owned(), created(&image, "c").id),
        TopicReference::Nothing,
    ];
    let config = BrokerConfig::default();
    let decision = delete_topics(&requests, &image, &config);
    let outcomes: Vec<_> = decision
        .response
        .iter()
        .map(|r| r.outcome.clone().map(|(name, _)| name))
        .collect();
    assert_eq!(
        outcomes,
        [
            Ok("a".to_owned()),
            Ok("b".to_owned()),
            Err(DeleteTopicError::NameOfGivenId),
            Err(DeleteTopicError::UnknownName),
            Err(DeleteTopicError::UnknownId),
            Err(DeleteTopicError::DuplicateName),
            Err(DeleteTopicError::DuplicateId),
            Err(DeleteTopicError::NameAndId),
            Err(DeleteTopicError::NeitherNameNorId),
        ]
    );
    replay_decided(&mut image, &decision.records);
    let left: Vec<_> = image.topics().map(|t| t.name.to_string()).collect();
    assert_eq!(left, ["c"]);

    let config = BrokerConfig::parse("delete.topic.enable=false", &[]).unwrap();
    let decision = delete_topics(&[by_name("c")], &image, &config);
    assert!(decision.records.is_empty());
    assert_eq!(
        decision.response[0].outcome,
        Err(DeleteTopicError::Disabled)
    );
}

fn arbitrary_topic() -> impl Strategy<Value = NewTopic> {
    let name = prop::sample::select(vec![
        "a",
        "b",
        "c.d",
        "c_d",
        "",
        "x y",
        "__consumer_offsets",
    ]);
    let assignment = (-1i32..4, proptest::collection::vec(0i32..5, 0..3));
    let config = (
        prop::sample::select(vec!["retention.ms", "cleanup.policy", "x"]),
        prop::option::of(prop::sample::select(vec!["1", "compact"])),
    );
    (
        (name, 0u128..6, -2i32..12_000, -2i16..6),
        proptest::collection::vec(assignment, 0..3),
        proptest::collection::vec(config, 0..2),
    )
        .prop_map(
            |((name, number, partitions, factor), assignments, configs)| {
                let is_manual = !assignments.is_empty() && number % 2 == 0;
                NewTopic {
                    name: name.to_owned(),
                    id: id(number),
                    partitions: if is_manual { -1 } else { partitions },
                    replication_factor: if is_manual { -1 } else { factor },
                    assignments: assignments
                        .into_iter()
                        .map(|(partition, replicas)| Assignment {
                            partition,
                            replicas,
                        })
                        .collect(),
                    configs: configs
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value.map(str::to_owned)))
                        .collect(),
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The records make what the response says, and nothing else.
    #[test]
    fn replaying_the_records_gives_the_decided_state(
        requests in proptest::collection::vec(proptest::collection::vec(arbitrary_topic(), 0..4), 0..4),
        brokers in 0i32..4,
    ) {
        let config = BrokerConfig::default();
        let mut image = cluster(brokers);
        for topics in requests {
            let decision = create_topics(&topics, false, &image, &config, &one_broker());
            let before = image.topic_count();
            replay_decided(&mut image, &decision.records);
            let mut count = 0;
            for result in &decision.response {
                if let Ok(outcome) = &result.outcome {
                    count += 1;
                    let topic = created(&image, &result.name);
                    prop_assert_eq!(topic.id, outcome.id);
                    prop_assert_eq!(i32::try_from(topic.partition_count()), Ok(outcome.partitions));
                    for (_, partition) in topic.partitions.iter() {
                        prop_assert_eq!(partition.replicas.len(), usize::try_from(outcome.replication_factor).unwrap());
                        prop_assert!(partition.replicas.iter().all(|node| image.brokers().contains_key(node)));
                    }
                }
            }
            prop_assert_eq!(image.topic_count(), before + count);
        }
    }
}
