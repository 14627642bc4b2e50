//! Changes what is configured for topics, brokers and groups: key by key (IncrementalAlterConfigs) or all at once (AlterConfigs).
//!
//! All the changes of one resource are taken or none; never touches what a configuration file says.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{AlterConfigsError, InvalidBrokerConfig};
use super::{Decision, topic_name};
use crate::config::broker::BrokerConfig;
use crate::config::dynamic;
use crate::config::group;
use crate::config::topic::{self, InvalidConfig, TopicOverrides};
use crate::metadata::image::{ConfigTexts, MetadataImage};
use crate::metadata::records::MetadataRecord;
use crate::metadata::topic::Topic;
use crate::node::Node;

/// Groups that may have a configuration of their own: what clients can make is bounded, and each takes memory on every shard.
pub const CONFIGURED_GROUPS_MAX: usize = 10_000;

/// What is configured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigResource {
    Topic(String),
    /// A node, or what holds for every one that has no value of its own.
    Broker(Option<i32>),
    Group(String),
}

/// What is to change of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterConfigs {
    pub resource: ConfigResource,
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

/// What became of one resource of a request.
pub type AlterConfigsOutcome = Result<(), AlterConfigsError>;

/// One outcome for each resource of the request, in its order.
pub fn alter_configs(
    requests: &[AlterConfigs],
    validate_only: bool,
    image: &MetadataImage,
    node: &Node,
) -> Decision<Vec<AlterConfigsOutcome>> {
    let mut counts: BTreeMap<&ConfigResource, usize> = BTreeMap::new();
    for request in requests {
        *counts.entry(&request.resource).or_default() += 1;
    }
    let mut altered = Altered {
        config: &node.config_at(image),
        node,
        image,
        new_groups: 0,
    };
    let mut records = Vec::new();
    let mut response = Vec::new();
    for request in requests {
        let outcome = match counts[&request.resource] {
            1 => altered.alter(request),
            _ => Err(AlterConfigsError::DuplicateResource),
        };
        response.push(outcome.map(|of_resource| records.extend(of_resource)));
    }
    if validate_only {
        records.clear();
    }
    Decision { records, response }
}

/// The state that the resources of one request are looked at against.
struct Altered<'a> {
    /// The broker's, as it is now.
    config: &'a BrokerConfig,
    node: &'a Node,
    image: &'a MetadataImage,
    new_groups: usize,
}

impl Altered<'_> {
    fn alter(&mut self, request: &AlterConfigs) -> Result<Vec<MetadataRecord>, AlterConfigsError> {
        match &request.resource {
            ConfigResource::Topic(name) => self.alter_topic(name, &request.changes),
            ConfigResource::Broker(node_id) => self.alter_broker(*node_id, &request.changes),
            ConfigResource::Group(group) => self.alter_group(group, &request.changes),
        }
    }

    fn alter_topic(
        &self,
        name: &str,
        changes: &ConfigChanges,
    ) -> Result<Vec<MetadataRecord>, AlterConfigsError> {
        check_changes(changes)?;
        if name.is_empty() {
            return Err(AlterConfigsError::NoName("Default topic resources"));
        }
        topic_name::validate(name).map_err(AlterConfigsError::InvalidTopicName)?;
        let topic = self
            .image
            .topic_named(name)
            .ok_or_else(|| AlterConfigsError::UnknownTopic(name.to_owned()))?;
        let keys = Keys {
            unknown: &|key| AlterConfigsError::Invalid(InvalidConfig::UnknownKey(key.to_owned())),
            is_list: &topic::is_list,
            current: &|key, overrides| topic::effective_text(key, overrides, self.config),
            is_forgotten: &topic::is_forgotten,
        };
        let after = keys.changed(&topic.overrides, changes)?;
        topic::validate(&after, self.config).map_err(AlterConfigsError::Invalid)?;
        Ok(topic_records(topic, &after))
    }

    fn alter_broker(
        &self,
        node_id: Option<i32>,
        changes: &ConfigChanges,
    ) -> Result<Vec<MetadataRecord>, AlterConfigsError> {
        check_changes(changes)?;
        let configs = self.image.broker_configs();
        let none = ConfigTexts::new();
        let before = match node_id {
            None => &configs.defaults,
            Some(id) => configs.of_nodes.get(&id).unwrap_or(&none),
        };
        let invalid = AlterConfigsError::InvalidBroker;
        let unknown = |key: &str| invalid(InvalidBrokerConfig::UnknownKey(key.to_owned()));
        let keys = Keys {
            unknown: &unknown,
            is_list: &dynamic::is_list,
            current: &|key, overrides| {
                let definition = dynamic::definition(key)?;
                let own = overrides.get(key).map(String::as_str);
                let text = own.or_else(|| self.config.explicit(key));
                Some(text.or(definition.default).unwrap_or_default().to_owned())
            },
            is_forgotten: &|_| false,
        };
        let after = keys.changed(before, changes)?;
        for (key, text) in changed_texts(before, &after) {
            let definition = dynamic::definition(key).ok_or_else(|| unknown(key))?;
            if !dynamic::is_dynamic(key) {
                return Err(invalid(InvalidBrokerConfig::NotDynamic(key.clone())));
            }
            definition
                .parse(text)
                .map_err(|error| invalid(InvalidBrokerConfig::Value(error)))?;
        }
        let own = configs.of_nodes.get(&self.node.id).unwrap_or(&none);
        let (defaults, own) = match node_id {
            None => (&after, own),
            Some(_) => (&configs.defaults, &after),
        };
        self.node
            .config
            .with_dynamic(defaults, own)
            .map_err(|error| invalid(InvalidBrokerConfig::Together(error.to_string())))?;
        let record = |key, value| MetadataRecord::BrokerConfigSet {
            node_id,
            key,
            value,
        };
        Ok(records(before, &after, record))
    }

    fn alter_group(
        &mut self,
        group: &str,
        changes: &ConfigChanges,
    ) -> Result<Vec<MetadataRecord>, AlterConfigsError> {
        check_changes(changes)?;
        if group.is_empty() {
            return Err(AlterConfigsError::NoName("Default group resources"));
        }
        let none = ConfigTexts::new();
        let groups = self.image.group_configs();
        let before = groups.get(group).unwrap_or(&none);
        let invalid = AlterConfigsError::InvalidGroup;
        let keys = Keys {
            unknown: &|key| invalid(group::InvalidGroupConfig::UnknownKey(key.to_owned())),
            // None of its keys is a list.
            is_list: &|_| Some(false),
            current: &|_, _| Some(String::new()),
            is_forgotten: &|_| false,
        };
        let after = keys.changed(before, changes)?;
        group::validate(&after, self.config).map_err(invalid)?;
        if !groups.contains_key(group) && !after.is_empty() {
            if groups.len() + self.new_groups >= CONFIGURED_GROUPS_MAX {
                return Err(AlterConfigsError::TooManyGroups);
            }
            self.new_groups += 1;
        }
        let record = |key, value| MetadataRecord::GroupConfigSet {
            group: group.to_owned(),
            key,
            value,
        };
        Ok(records(before, &after, record))
    }
}

/// What is known of a kind of resource's keys.
struct Keys<'a> {
    unknown: &'a dyn Fn(&str) -> AlterConfigsError,
    /// `None` for a key that does not exist.
    is_list: &'a dyn Fn(&str) -> Option<bool>,
    /// The text that holds with these overrides; `None` for a key that does not exist.
    current: &'a dyn Fn(&str, &ConfigTexts) -> Option<String>,
    is_forgotten: &'a dyn Fn(&str) -> bool,
}

impl Keys<'_> {
    fn changed(
        &self,
        before: &ConfigTexts,
        changes: &ConfigChanges,
    ) -> Result<ConfigTexts, AlterConfigsError> {
        let changes = match changes {
            ConfigChanges::Incremental(changes) => changes,
            ConfigChanges::Replace(configs) => {
                let kept = configs.iter().filter(|(key, _)| !(self.is_forgotten)(key));
                return kept
                    .map(|(key, value)| Ok((key.clone(), required(key, value.as_ref())?.clone())))
                    .collect();
            }
        };
        let mut after = before.clone();
        for (key, change) in changes {
            if (self.is_forgotten)(key) {
                continue;
            }
            let value = match change {
                // Kafka takes the removal of what is not there, a key that does not exist among it.
                ConfigChange::Delete => {
                    after.remove(key);
                    continue;
                }
                ConfigChange::Set(value) => required(key, value.as_ref())?.clone(),
                ConfigChange::Append(elements) => {
                    self.edited(key, required(key, elements.as_ref())?, true, &after)?
                }
                ConfigChange::Subtract(elements) => {
                    self.edited(key, required(key, elements.as_ref())?, false, &after)?
                }
            };
            after.insert(key.clone(), value);
        }
        Ok(after)
    }

    /// The list that holds, the resource's own or the default, with elements more or less.
    fn edited(
        &self,
        key: &str,
        elements: &str,
        append: bool,
        overrides: &ConfigTexts,
    ) -> Result<String, AlterConfigsError> {
        if (self.is_list)(key) != Some(true) {
            return Err(AlterConfigsError::NotAList {
                key: key.to_owned(),
                operation: if append { "APPEND" } else { "SUBTRACT" },
            });
        }
        let current = (self.current)(key, overrides).ok_or_else(|| (self.unknown)(key))?;
        Ok(topic::edit_list(&current, elements, append))
    }
}

fn required<'a>(key: &str, value: Option<&'a String>) -> Result<&'a String, AlterConfigsError> {
    value.ok_or_else(|| AlterConfigsError::NullValue(key.to_owned()))
}

/// What Kafka refuses before it looks at the resource: a key twice, a key without a value.
fn check_changes(changes: &ConfigChanges) -> Result<(), AlterConfigsError> {
    match changes {
        ConfigChanges::Incremental(changes) => {
            check_keys_differ(changes.iter().map(|(key, _)| key))?;
            for (key, change) in changes {
                match change {
                    ConfigChange::Delete => {}
                    ConfigChange::Set(value)
                    | ConfigChange::Append(value)
                    | ConfigChange::Subtract(value) => {
                        required(key, value.as_ref())?;
                    }
                }
            }
        }
        ConfigChanges::Replace(configs) => {
            check_keys_differ(configs.iter().map(|(key, _)| key))?;
            for (key, value) in configs {
                required(key, value.as_ref())?;
            }
        }
    }
    Ok(())
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

/// What is set anew or differently.
fn changed_texts<'a>(
    before: &'a ConfigTexts,
    after: &'a ConfigTexts,
) -> impl Iterator<Item = (&'a String, &'a String)> {
    after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(*value))
}

/// From what the resource has to what it is to have; nothing for a key that stays as it is.
fn records(
    before: &ConfigTexts,
    after: &ConfigTexts,
    record: impl Fn(String, Option<String>) -> MetadataRecord,
) -> Vec<MetadataRecord> {
    let removed = before.keys().filter(|key| !after.contains_key(*key));
    let set = changed_texts(before, after);
    removed
        .map(|key| (key, None))
        .chain(set.map(|(key, value)| (key, Some(value.clone()))))
        .map(|(key, value)| record(key.clone(), value))
        .collect()
}

fn topic_records(topic: &Topic, after: &TopicOverrides) -> Vec<MetadataRecord> {
    records(&topic.overrides, after, |key, value| {
        MetadataRecord::TopicConfigSet {
            id: topic.id,
            key,
            value,
        }
    })
}

#[cfg(test)]
mod tests;
