//! Lists configuration as DescribeConfigs shows it: every key, its value, where it comes from, and what it would be otherwise.
//!
//! Shows only; never tells the value of a sensitive key.

use super::broker::BrokerConfig;
use super::broker_keys::{self, DEFINITIONS};
use super::definition::{ConfigType, Definition};
use super::dynamic::{is_dynamic, is_shown_when_set};
use super::group::{self, GroupOverrides};
use super::topic::{TopicOverrides, effective};
use super::topic_keys::{KEYS, Synonym, TopicKey};

/// One key of a topic or broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    pub name: &'static str,
    /// `None`: unset, or sensitive.
    pub value: Option<String>,
    pub source: ConfigSource,
    /// Where the value comes from and what it hides, the one that counts first.
    pub synonyms: Vec<ConfigSynonym>,
    pub config_type: ConfigType,
    pub is_read_only: bool,
    pub is_sensitive: bool,
    pub documentation: &'static str,
}

impl ConfigEntry {
    /// What version 0 of DescribeConfigs calls `is_default`.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.source == ConfigSource::Default
    }
}

/// A key that gives, or would give, an entry its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    pub name: &'static str,
    pub value: Option<String>,
    pub source: ConfigSource,
}

/// Where a value was set; the numbers are those of DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigSource {
    DynamicTopic = 1,
    DynamicBroker = 2,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
    DynamicBrokerLogger = 6,
    ClientMetrics = 7,
    Group = 8,
}

/// Every topic key for a topic with `overrides`.
#[must_use]
pub fn describe_topic(overrides: &TopicOverrides, broker: &BrokerConfig) -> Vec<ConfigEntry> {
    KEYS.iter()
        .map(|topic_key| topic_entry(topic_key, overrides, broker))
        .collect()
}

/// What was set for all brokers while they ran, and nothing else.
#[must_use]
pub fn describe_broker_defaults(broker: &BrokerConfig) -> Vec<ConfigEntry> {
    let is_default = |source| source == ConfigSource::DynamicDefaultBroker;
    let mut entries = Vec::new();
    for mut entry in describe_broker(broker) {
        entry.synonyms.retain(|synonym| is_default(synonym.source));
        if let Some(set) = entry.synonyms.first() {
            entry.value.clone_from(&set.value);
            entry.source = set.source;
            entries.push(entry);
        }
    }
    entries
}

/// Every key of a group with `overrides`.
#[must_use]
pub fn describe_group(overrides: &GroupOverrides, broker: &BrokerConfig) -> Vec<ConfigEntry> {
    let entry = |group_key: &group::GroupKey| {
        let definition = &group_key.definition;
        let own = overrides.get(definition.key).map(|value| ConfigSynonym {
            name: definition.key,
            value: Some(value.clone()),
            source: ConfigSource::Group,
        });
        let of_broker = broker_keys::definition(group_key.default);
        let of_broker = of_broker.into_iter();
        let of_broker = of_broker.flat_map(|definition| layers_of(definition, broker));
        let synonyms: Vec<_> = own.into_iter().chain(of_broker).collect();
        let first = synonyms.first();
        ConfigEntry {
            name: definition.key,
            value: first.and_then(|synonym| synonym.value.clone()),
            source: first.map_or(ConfigSource::Default, |synonym| synonym.source),
            config_type: definition.config_type,
            is_read_only: false,
            is_sensitive: false,
            documentation: definition.documentation,
            synonyms,
        }
    };
    group::KEYS.iter().map(entry).collect()
}

/// Every broker key.
#[must_use]
pub fn describe_broker(broker: &BrokerConfig) -> Vec<ConfigEntry> {
    let is_shown = |definition: &&Definition| {
        !is_shown_when_set(definition.key) || broker.explicit(definition.key).is_some()
    };
    DEFINITIONS
        .iter()
        .filter(is_shown)
        .map(|definition| {
            let synonyms = broker_synonyms(family(definition.key), definition.key, broker);
            let first = synonyms.first();
            ConfigEntry {
                name: definition.key,
                value: first.and_then(|synonym| synonym.value.clone()),
                source: first.map_or(ConfigSource::Default, |synonym| synonym.source),
                config_type: definition.config_type,
                is_read_only: !is_dynamic(definition.key),
                is_sensitive: definition.is_sensitive(),
                documentation: definition.documentation,
                synonyms,
            }
        })
        .collect()
}

fn topic_entry(
    topic_key: &TopicKey,
    overrides: &TopicOverrides,
    broker: &BrokerConfig,
) -> ConfigEntry {
    let definition = &topic_key.definition;
    let own = overrides.get(definition.key).map(|value| ConfigSynonym {
        name: definition.key,
        value: Some(value.clone()),
        source: ConfigSource::DynamicTopic,
    });
    let of_broker = topic_key.synonyms.first().into_iter();
    let of_broker =
        of_broker.flat_map(|first| broker_synonyms(keys_of(topic_key.synonyms), first.key, broker));
    let synonyms: Vec<_> = own.into_iter().chain(of_broker).collect();
    ConfigEntry {
        name: definition.key,
        value: Some(effective(topic_key, overrides, broker)),
        source: synonyms
            .first()
            .map_or(ConfigSource::Default, |synonym| synonym.source),
        config_type: definition.config_type,
        is_read_only: false,
        is_sensitive: definition.is_sensitive(),
        documentation: definition.documentation,
        synonyms,
    }
}

/// The keys that can stand for this one and it for them, the one that counts most first: it alone for most.
fn family(key: &'static str) -> Vec<&'static str> {
    let has_it = |topic_key: &&TopicKey| topic_key.synonyms.iter().any(|known| known.key == key);
    let found = KEYS.iter().find(has_it);
    found.map_or_else(|| vec![key], |found| keys_of(found.synonyms))
}

fn keys_of(synonyms: &[Synonym]) -> Vec<&'static str> {
    synonyms.iter().map(|synonym| synonym.key).collect()
}

/// What gives the broker's `key` its value, of all the keys of its `family`: first what was set, whichever key it was set by; then the
/// defaults. As in Kafka (`ConfigHelper`) nothing is told that comes before the first word about `key` itself. So what
/// `log.retention.hours` says is told where `log.retention.ms` is set as well, and alone it is no synonym of a topic's `retention.ms`.
fn broker_synonyms(
    family: Vec<&'static str>,
    key: &str,
    broker: &BrokerConfig,
) -> Vec<ConfigSynonym> {
    let (mut set, defaults): (Vec<_>, Vec<_>) = family
        .into_iter()
        .filter_map(broker_keys::definition)
        .flat_map(|definition| layers_of(definition, broker))
        .partition(|synonym| synonym.source != ConfigSource::Default);
    // Stable: of one source the key that counts most stays first.
    set.sort_by_key(|synonym| synonym.source as i8);
    let all = set.into_iter().chain(defaults);
    all.skip_while(|synonym| synonym.name != key).collect()
}

/// What was set while the broker ran, what the file or the command line says, then the default.
fn layers_of(definition: &'static Definition, broker: &BrokerConfig) -> Vec<ConfigSynonym> {
    let shown = |text: &str| (!definition.is_sensitive()).then(|| text.to_owned());
    let set = broker
        .layers(definition.key)
        .map(|(source, text)| ConfigSynonym {
            name: definition.key,
            value: shown(text.trim()),
            source,
        });
    // The node's number is shown whichever key gave it: tools ask for broker.id and for node.id.
    let from_other_key = match definition.key {
        "broker.id" | "node.id" => Some(ConfigSynonym {
            name: definition.key,
            value: Some(broker.node_id.to_string()),
            source: ConfigSource::StaticBroker,
        }),
        _ => None,
    };
    let default = definition.default.map(|text| ConfigSynonym {
        name: definition.key,
        value: shown(text),
        source: ConfigSource::Default,
    });
    match from_other_key {
        Some(number) => [number].into_iter().chain(default).collect(),
        None => set.chain(default).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(entries: &[ConfigEntry], name: &str) -> ConfigEntry {
        let found = entries.iter().find(|entry| entry.name == name);
        found.unwrap_or_else(|| panic!("no {name}")).clone()
    }

    fn check(entry: &ConfigEntry, value: &str, synonyms: &[(&str, &str, ConfigSource)]) {
        assert_eq!(entry.value.as_deref(), Some(value));
        let seen: Vec<_> = entry
            .synonyms
            .iter()
            .map(|s| (s.name, s.value.as_deref().unwrap_or("hidden"), s.source))
            .collect();
        assert_eq!(seen, synonyms);
        let first = synonyms.first();
        assert_eq!(
            entry.source,
            first.map_or(ConfigSource::Default, |(_, _, source)| *source)
        );
    }

    #[test]
    fn a_topic_shows_where_each_value_comes_from() {
        use ConfigSource::*;
        let broker = BrokerConfig::parse("log.retention.hours=2", &[]).unwrap();
        let overrides = [("segment.bytes", "1048576")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        let entries = describe_topic(&overrides, &broker);
        check(
            &entry(&entries, "segment.bytes"),
            "1048576",
            &[
                ("segment.bytes", "1048576", DynamicTopic),
                ("log.segment.bytes", "1073741824", Default),
            ],
        );
        // As Kafka 4.3.0 tells it: the value counts, and that it was set by hours is not told.
        check(&entry(&entries, "retention.ms"), "7200000", &[]);
        check(
            &entry(&entries, "retention.bytes"),
            "-1",
            &[("log.retention.bytes", "-1", Default)],
        );
        check(
            &entry(&entries, "leader.replication.throttled.replicas"),
            "",
            &[],
        );
        check(&entry(&entries, "segment.ms"), "604800000", &[]);
        check(
            &entry(&entries, "cleanup.policy"),
            "delete",
            &[("log.cleanup.policy", "delete", Default)],
        );
        assert!(entries.iter().all(|entry| !entry.is_read_only));
    }

    #[test]
    fn a_broker_shows_what_tools_look_for_and_hides_secrets() {
        let broker =
            BrokerConfig::parse("broker.id=4\nssl.keystore.password=hunter2", &[]).unwrap();
        let entries = describe_broker(&broker);
        assert_eq!(entry(&entries, "node.id").value.as_deref(), Some("4"));
        assert_eq!(entry(&entries, "broker.id").value.as_deref(), Some("4"));
        for (name, value) in [
            ("default.replication.factor", "1"),
            ("delete.topic.enable", "true"),
            ("inter.broker.protocol.version", "4.0-IV3"),
        ] {
            assert_eq!(entry(&entries, name).value.as_deref(), Some(value));
        }
        let password = entry(&entries, "ssl.keystore.password");
        assert!(password.is_sensitive && password.value.is_none());
        assert_eq!(password.config_type as i8, 9);
        assert!(
            !format!("{entries:?}").contains("hunter2"),
            "hidden everywhere"
        );
    }

    #[test]
    fn what_was_set_while_the_broker_ran_comes_first() {
        use ConfigSource::*;
        let texts = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|&(key, value)| (key.to_owned(), value.to_owned()))
                .collect()
        };
        let broker = BrokerConfig::parse("log.retention.hours=2\nlog.retention.ms=3", &[]).unwrap();
        let broker = broker
            .with_dynamic(
                &texts(&[("log.retention.ms", "5"), ("log.segment.bytes", "2000000")]),
                &texts(&[("log.retention.ms", "7"), ("node.id", "8")]),
            )
            .unwrap();
        assert_eq!(broker.node_id, 1, "not a key that can be set so");
        let of_topic = describe_topic(&TopicOverrides::new(), &broker);
        let layers = [
            ("log.retention.ms", "7", DynamicBroker),
            ("log.retention.ms", "5", DynamicDefaultBroker),
            ("log.retention.ms", "3", StaticBroker),
        ];
        let hours = [
            ("log.retention.hours", "2", StaticBroker),
            ("log.retention.hours", "168", Default),
        ];
        check(
            &entry(&of_topic, "retention.ms"),
            "7",
            &[&layers[..], &hours].concat(),
        );
        let of_broker = entry(&describe_broker(&broker), "log.retention.ms");
        check(&of_broker, "7", &[&layers[..], &hours].concat());
        check(
            &entry(&describe_broker(&broker), "log.retention.hours"),
            "2",
            &hours,
        );
        assert!(!of_broker.is_read_only);
        let defaults = describe_broker_defaults(&broker);
        assert_eq!(defaults.len(), 2);
        check(
            &entry(&defaults, "log.retention.ms"),
            "5",
            &[("log.retention.ms", "5", DynamicDefaultBroker)],
        );
        // Taken back: as before.
        let again = broker.with_dynamic(&texts(&[]), &texts(&[])).unwrap();
        assert_eq!(again.explicit("log.retention.ms"), Some("3"));
    }

    #[test]
    fn a_group_shows_its_own_values_over_the_brokers() {
        let overrides = [("consumer.session.timeout.ms", "50000")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        let entries = describe_group(&overrides, &BrokerConfig::default());
        check(
            &entry(&entries, "consumer.session.timeout.ms"),
            "50000",
            &[
                ("consumer.session.timeout.ms", "50000", ConfigSource::Group),
                (
                    "group.consumer.session.timeout.ms",
                    "45000",
                    ConfigSource::Default,
                ),
            ],
        );
    }
}
