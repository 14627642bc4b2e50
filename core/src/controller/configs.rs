//! Changes what is configured for topics: key by key (IncrementalAlterConfigs) or all at once (AlterConfigs).
//!
//! All the changes of one topic are taken or none; never touches the configuration of a broker.

use std::collections::{BTreeMap, BTreeSet};

use super::Decision;
use super::error::AlterConfigsError;
use crate::config::broker::BrokerConfig;
use crate::config::topic::{self, InvalidConfig, TopicOverrides};
use crate::metadata::image::MetadataImage;
use crate::metadata::records::MetadataRecord;
use crate::metadata::topic::Topic;

/// What is to change of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterTopicConfigs {
    pub topic: String,
    pub changes: ConfigChanges,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigChanges {
    Incremental(Vec<(String, ConfigChange)>),
    /// These and no others.
    Replace(Vec<(String, Option<String>)>),
}

/// What is to become of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigChange {
    Set(Option<String>),
    /// Back to the default.
    Delete,
    /// Elements for the end of a list, separated by commas.
    Append(Option<String>),
    /// Elements to be taken out of a list.
    Subtract(Option<String>),
}

/// What became of one topic of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterConfigsResult {
    pub topic: String,
    pub outcome: Result<(), AlterConfigsError>,
}

/// One result for each name of the request, in its order.
pub fn alter_topic_configs(
    requests: &[AlterTopicConfigs],
    validate_only: bool,
    image: &MetadataImage,
    config: &BrokerConfig,
) -> Decision<Vec<AlterConfigsResult>> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for request in requests {
        *counts.entry(&request.topic).or_default() += 1;
    }
    let mut records = Vec::new();
    let mut response = Vec::new();
    for request in requests {
        let outcome = match counts.remove(request.topic.as_str()) {
            None => continue,
            Some(2..) => Err(AlterConfigsError::DuplicateTopic),
            Some(_) => alter(request, image, config),
        };
        response.push(AlterConfigsResult {
            topic: request.topic.clone(),
            outcome: outcome.map(|of_topic| records.extend(of_topic)),
        });
    }
    if validate_only {
        records.clear();
    }
    Decision { records, response }
}

fn alter(
    request: &AlterTopicConfigs,
    image: &MetadataImage,
    config: &BrokerConfig,
) -> Result<Vec<MetadataRecord>, AlterConfigsError> {
    let topic = image
        .topic_named(&request.topic)
        .ok_or_else(|| AlterConfigsError::UnknownTopic(request.topic.clone()))?;
    let after = match &request.changes {
        ConfigChanges::Incremental(changes) => changed(&topic.overrides, changes, config)?,
        ConfigChanges::Replace(configs) => replaced(configs)?,
    };
    topic::validate(&after, config).map_err(AlterConfigsError::Invalid)?;
    Ok(records(topic, &after))
}

fn changed(
    overrides: &TopicOverrides,
    changes: &[(String, ConfigChange)],
    config: &BrokerConfig,
) -> Result<TopicOverrides, AlterConfigsError> {
    check_keys_differ(changes.iter().map(|(key, _)| key))?;
    let mut after = overrides.clone();
    for (key, change) in changes {
        if topic::is_forgotten(key) {
            continue;
        }
        let value = match change {
            ConfigChange::Delete => {
                if topic::is_list(key).is_none() && !after.contains_key(key) {
                    return Err(AlterConfigsError::Invalid(InvalidConfig::UnknownKey(
                        key.clone(),
                    )));
                }
                after.remove(key);
                continue;
            }
            ConfigChange::Set(value) => required(key, value.as_ref())?.clone(),
            ConfigChange::Append(elements) => {
                edited(key, required(key, elements.as_ref())?, true, &after, config)?
            }
            ConfigChange::Subtract(elements) => edited(
                key,
                required(key, elements.as_ref())?,
                false,
                &after,
                config,
            )?,
        };
        after.insert(key.clone(), value);
    }
    Ok(after)
}

fn replaced(configs: &[(String, Option<String>)]) -> Result<TopicOverrides, AlterConfigsError> {
    check_keys_differ(configs.iter().map(|(key, _)| key))?;
    configs
        .iter()
        .filter(|(key, _)| !topic::is_forgotten(key))
        .map(|(key, value)| Ok((key.clone(), required(key, value.as_ref())?.clone())))
        .collect()
}

/// The list that holds for the topic, its own or the broker's, with elements more or less.
fn edited(
    key: &str,
    elements: &str,
    append: bool,
    overrides: &TopicOverrides,
    config: &BrokerConfig,
) -> Result<String, AlterConfigsError> {
    let current = topic::effective_text(key, overrides, config)
        .ok_or_else(|| AlterConfigsError::Invalid(InvalidConfig::UnknownKey(key.to_owned())))?;
    if topic::is_list(key) != Some(true) {
        return Err(AlterConfigsError::NotAList {
            key: key.to_owned(),
        });
    }
    Ok(topic::edit_list(&current, elements, append))
}

fn required<'a>(key: &str, value: Option<&'a String>) -> Result<&'a String, AlterConfigsError> {
    value.ok_or_else(|| AlterConfigsError::Invalid(InvalidConfig::NullValue(key.to_owned())))
}

fn check_keys_differ<'a>(
    mut keys: impl Iterator<Item = &'a String>,
) -> Result<(), AlterConfigsError> {
    let mut seen = BTreeSet::new();
    match keys.find(|key| !seen.insert(*key)) {
        Some(key) => Err(AlterConfigsError::DuplicateKey(key.clone())),
        None => Ok(()),
    }
}

/// From what the topic has to what it is to have; nothing for a key that stays as it is.
fn records(topic: &Topic, after: &TopicOverrides) -> Vec<MetadataRecord> {
    let before = topic.overrides.as_ref();
    let removed = before.keys().filter(|key| !after.contains_key(*key));
    let set = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(*value));
    removed
        .map(|key| (key, None))
        .chain(set.map(|(key, value)| (key, Some(value.clone()))))
        .map(|(key, value)| MetadataRecord::TopicConfigSet {
            id: topic.id,
            key: key.clone(),
            value,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::topics;
    use super::super::topics::tests::{cluster, created, with_topics};
    use super::*;

    fn overrides(pairs: &[(&str, &str)]) -> TopicOverrides {
        pairs
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    fn set(value: &str) -> ConfigChange {
        ConfigChange::Set(Some(value.to_owned()))
    }

    fn decide(
        changes: ConfigChanges,
        before: &TopicOverrides,
    ) -> (MetadataImage, AlterConfigsResult) {
        let mut image = with_topics(&cluster(1), &["a"]);
        let topic = created(&image, "a").clone();
        topics::replay_decided(&mut image, &records(&topic, before));
        let request = AlterTopicConfigs {
            topic: "a".to_owned(),
            changes,
        };
        let mut decision = alter_topic_configs(&[request], false, &image, &BrokerConfig::default());
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
        let (image, result) = decide(ConfigChanges::Incremental(changes), &overrides(before));
        let topic = created(&image, "a");
        match (expected, result.outcome) {
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
            Err("Null value"),
        );
        check(
            &[],
            &[("retention.ms", set("1")), ("retention.ms", set("2"))],
            Err("duplicate config keys: retention.ms"),
        );
        check(
            &[("cleanup.policy", "delete")],
            &[(
                "cleanup.policy",
                ConfigChange::Subtract(Some("delete".to_owned())),
            )],
            Err("must be one of: compact, delete"),
        );
    }

    #[test]
    fn all_at_once() {
        let configs = vec![("segment.ms".to_owned(), Some("2".to_owned()))];
        let (image, result) = decide(
            ConfigChanges::Replace(configs),
            &overrides(&[("retention.ms", "1")]),
        );
        assert_eq!(result.outcome, Ok(()));
        let topic = created(&image, "a");
        assert_eq!(*topic.overrides, overrides(&[("segment.ms", "2")]));
    }

    #[test]
    fn topics_that_are_not_there_or_twice() {
        let image = with_topics(&cluster(1), &["a"]);
        let request = |topic: &str| AlterTopicConfigs {
            topic: topic.to_owned(),
            changes: ConfigChanges::Replace(Vec::new()),
        };
        let requests = [request("a"), request("b"), request("a")];
        let decision = alter_topic_configs(&requests, false, &image, &BrokerConfig::default());
        let outcomes: Vec<_> = decision.response.into_iter().map(|r| r.outcome).collect();
        assert_eq!(
            outcomes,
            [
                Err(AlterConfigsError::DuplicateTopic),
                Err(AlterConfigsError::UnknownTopic("b".to_owned())),
            ]
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
}
