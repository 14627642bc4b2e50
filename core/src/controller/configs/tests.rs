use proptest::prelude::*;

use super::super::topics;
use super::super::topics::tests::{cluster, created, with_topics};
use super::*;
use crate::config::topic::TopicConfig;

fn overrides(pairs: &[(&str, &str)]) -> TopicOverrides {
    pairs
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn set(value: &str) -> ConfigChange {
    ConfigChange::Set(Some(value.to_owned()))
}

fn node(properties: &str) -> Node {
    Node {
        id: 1,
        config: BrokerConfig::parse(properties, &[]).unwrap(),
        cluster_id: "cluster".to_owned(),
        shards: 1,
        unsynced_files_max: 1,
        advertised: Vec::new(),
    }
}

fn topic_named(name: &str) -> ConfigResource {
    ConfigResource::Topic(name.to_owned())
}

fn decide(changes: ConfigChanges, before: &TopicOverrides) -> (MetadataImage, AlterConfigsOutcome) {
    let mut image = with_topics(&cluster(1), &["a"]);
    let topic = created(&image, "a").clone();
    topics::replay_decided(&mut image, &topic_records(&topic, before));
    let request = AlterConfigs {
        resource: topic_named("a"),
        changes,
    };
    let mut decision = alter_configs(&[request], false, &image, &node(""));
    topics::replay_decided(&mut image, &decision.records);
    (image, decision.response.remove(0))
}

fn check(
    before: &[(&str, &str)],
    changes: &[(&str, ConfigChange)],
    expected: Result<&[(&str, &str)], &str>,
) {
    let changes = changes
        .iter()
        .map(|(key, change)| ((*key).to_owned(), change.clone()))
        .collect();
    let (image, outcome) = decide(ConfigChanges::Incremental(changes), &overrides(before));
    let topic = created(&image, "a");
    match (expected, outcome) {
        (Ok(expected), Ok(())) => assert_eq!(*topic.overrides, overrides(expected)),
        (Err(expected), Err(error)) => {
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(*topic.overrides, overrides(before));
        }
        (expected, outcome) => panic!("{outcome:?}, not {expected:?}"),
    }
}

#[test]
fn keys_change_one_by_one() {
    check(
        &[("retention.ms", "1")],
        &[
            ("segment.ms", set("2")),
            ("retention.ms", ConfigChange::Delete),
            ("message.format.version", set("2.8")),
        ],
        Ok(&[("segment.ms", "2")]),
    );
    check(
        &[],
        &[(
            "cleanup.policy",
            ConfigChange::Append(Some("compact".to_owned())),
        )],
        Ok(&[("cleanup.policy", "delete,compact")]),
    );
    check(
        &[("cleanup.policy", "delete,compact")],
        &[(
            "cleanup.policy",
            ConfigChange::Subtract(Some("delete".to_owned())),
        )],
        Ok(&[("cleanup.policy", "compact")]),
    );
    check(
        &[("cleanup.policy", "delete")],
        &[(
            "cleanup.policy",
            ConfigChange::Subtract(Some("delete".to_owned())),
        )],
        Ok(&[("cleanup.policy", "")]),
    );
    // What is not there is easily taken away.
    check(&[], &[("colour", ConfigChange::Delete)], Ok(&[]));
}

#[test]
fn one_bad_change_spoils_all() {
    check(
        &[("retention.ms", "1")],
        &[("retention.ms", set("2")), ("colour", set("red"))],
        Err("Unknown topic config name: colour"),
    );
    check(&[], &[("retention.ms", set("-7"))], Err("at least -1"));
    check(
        &[],
        &[("retention.ms", ConfigChange::Append(Some("1".to_owned())))],
        Err("its type is not LIST"),
    );
    check(
        &[],
        &[("retention.ms", ConfigChange::Set(None))],
        Err("Null value not supported"),
    );
    check(
        &[],
        &[("retention.ms", set("1")), ("retention.ms", set("2"))],
        Err("duplicate config keys: retention.ms"),
    );
    check(
        &[],
        &[("colour", ConfigChange::Append(Some("red".to_owned())))],
        Err("Can't APPEND to key colour because its type is not LIST."),
    );
}

#[test]
fn all_at_once() {
    let configs = vec![("segment.ms".to_owned(), Some("2".to_owned()))];
    let (image, outcome) = decide(
        ConfigChanges::Replace(configs),
        &overrides(&[("retention.ms", "1")]),
    );
    assert_eq!(outcome, Ok(()));
    let topic = created(&image, "a");
    assert_eq!(*topic.overrides, overrides(&[("segment.ms", "2")]));
}

#[test]
fn resources_that_are_not_there_or_twice() {
    let image = with_topics(&cluster(1), &["a"]);
    let request = |resource| AlterConfigs {
        resource,
        changes: ConfigChanges::Replace(Vec::new()),
    };
    let requests = [
        request(topic_named("a")),
        request(topic_named("b")),
        request(topic_named("a")),
        request(topic_named("")),
        request(topic_named("not/a/name")),
        request(ConfigResource::Group(String::new())),
    ];
    let decision = alter_configs(&requests, false, &image, &node(""));
    assert!(decision.records.is_empty());
    let texts: Vec<_> = decision
        .response
        .into_iter()
        .map(|outcome| outcome.unwrap_err().to_string())
        .collect();
    assert_eq!(texts[0], "Each resource must appear at most once.");
    assert_eq!(texts[1], "The topic 'b' does not exist.");
    assert_eq!(texts[2], texts[0]);
    assert_eq!(texts[3], "Default topic resources are not allowed.");
    assert!(texts[4].contains("not/a/name"), "{}", texts[4]);
    assert_eq!(texts[5], "Default group resources are not allowed.");
}

fn incremental(resource: ConfigResource, changes: &[(&str, ConfigChange)]) -> AlterConfigs {
    let changes = changes
        .iter()
        .map(|(key, change)| ((*key).to_owned(), change.clone()))
        .collect();
    AlterConfigs {
        resource,
        changes: ConfigChanges::Incremental(changes),
    }
}

fn check_refused(resource: ConfigResource, key: &str, value: &str, expected: &str) {
    let request = incremental(resource, &[(key, set(value))]);
    let decision = alter_configs(&[request], false, &cluster(1), &node(""));
    let error = decision.response[0].clone().unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    assert!(decision.records.is_empty());
}

#[test]
fn a_running_broker_is_configured_for_itself_or_with_all_others() {
    let node = node("log.retention.ms=3");
    let mut image = cluster(1);
    let mut apply = |requests: &[AlterConfigs]| {
        let decision = alter_configs(requests, false, &image, &node);
        assert!(decision.response.iter().all(Result::is_ok), "{decision:?}");
        topics::replay_decided(&mut image, &decision.records);
        let config = node.config_at(&image);
        let of_topics = TopicConfig::effective(&overrides(&[]), &config);
        of_topics.unwrap().retention_ms
    };
    let everywhere = || ConfigResource::Broker(None);
    let here = || ConfigResource::Broker(Some(1));
    let elsewhere = ConfigResource::Broker(Some(2));
    let key = "log.retention.ms";
    assert_eq!(
        apply(&[incremental(everywhere(), &[(key, set("5"))])]),
        Some(5)
    );
    assert_eq!(apply(&[incremental(here(), &[(key, set("7"))])]), Some(7));
    assert_eq!(
        apply(&[incremental(elsewhere, &[(key, set("9"))])]),
        Some(7)
    );
    let delete = || [(key, ConfigChange::Delete)];
    assert_eq!(apply(&[incremental(here(), &delete())]), Some(5));
    assert_eq!(apply(&[incremental(everywhere(), &delete())]), Some(3));
    let replace = AlterConfigs {
        resource: here(),
        changes: ConfigChanges::Replace(vec![(key.to_owned(), Some("11".to_owned()))]),
    };
    assert_eq!(apply(&[replace]), Some(11));
}

#[test]
fn what_a_running_broker_cannot_be_given() {
    let here = || ConfigResource::Broker(Some(1));
    check_refused(
        here(),
        "node.id",
        "7",
        "Cannot update these configs dynamically: [node.id]",
    );
    check_refused(
        here(),
        "colour",
        "red",
        "Unknown broker config name: colour",
    );
    check_refused(
        here(),
        "log.segment.bytes",
        "many",
        "Not a number of type INT",
    );
    // Right by itself, but not beside what the file says.
    let request = incremental(here(), &[("log.cleaner.max.compaction.lag.ms", set("1"))]);
    let node = node("log.cleaner.min.compaction.lag.ms=2");
    let decision = alter_configs(&[request], false, &cluster(1), &node);
    let error = decision.response[0].clone().unwrap_err().to_string();
    assert!(error.contains("conflict topic config"), "{error}");
}

#[test]
fn a_list_of_a_broker_is_edited() {
    let request = incremental(
        ConfigResource::Broker(None),
        &[(
            "log.cleanup.policy",
            ConfigChange::Append(Some("compact".to_owned())),
        )],
    );
    let decision = alter_configs(&[request], false, &cluster(1), &node(""));
    assert_eq!(
        decision.records,
        [MetadataRecord::BrokerConfigSet {
            node_id: None,
            key: "log.cleanup.policy".to_owned(),
            value: Some("delete,compact".to_owned()),
        }]
    );
}

#[test]
fn a_group_is_configured_before_it_exists() {
    let group = || ConfigResource::Group("g".to_owned());
    let key = "consumer.session.timeout.ms";
    let request = incremental(group(), &[(key, set("50000"))]);
    let only_looked_at =
        alter_configs(std::slice::from_ref(&request), true, &cluster(1), &node(""));
    assert!(only_looked_at.records.is_empty());
    let mut image = cluster(1);
    let decision = alter_configs(&[request], false, &image, &node(""));
    topics::replay_decided(&mut image, &decision.records);
    assert_eq!(image.group_configs()["g"][key], "50000");
    check_refused(group(), key, "1", "must be greater than or equal to");
    check_refused(
        group(),
        "colour",
        "red",
        "Unknown group config name: colour",
    );
}

proptest! {
    #[test]
    fn what_is_decided_is_valid_and_nothing_panics(
        changes in proptest::collection::vec((
            prop::sample::select(vec!["retention.ms", "cleanup.policy", "min.compaction.lag.ms", "max.compaction.lag.ms", "x"]),
            prop::sample::select(vec!["1", "5", "-1", "compact", "delete", "compact,delete", ""]),
            0u8..4,
        ), 0..6)
    ) {
        let changes = changes.into_iter().map(|(key, value, kind)| {
            let value = Some(value.to_owned());
            let change = match kind {
                0 => ConfigChange::Set(value),
                1 => ConfigChange::Delete,
                2 => ConfigChange::Append(value),
                _ => ConfigChange::Subtract(value),
            };
            (key.to_owned(), change)
        });
        let (image, _) = decide(ConfigChanges::Incremental(changes.collect()), &overrides(&[]));
        prop_assert_eq!(topic::validate(&created(&image, "a").overrides, &BrokerConfig::default()), Ok(()));
    }
}
