//! The metadata as of one position of its log: an image that is cheap to clone, so that every shard holds one of its own.
//!
//! Changes only by [`MetadataImage::replay`], and copies only what a record touches; never decides and never looks at a clock.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rinka_storage::topic_partition::{TopicId, TopicPartition};

use super::client_quotas::ClientQuotas;
use super::records::{BrokerRegistration, MetadataRecord};
use super::shared_map::SharedMap;
use super::topic::{PartitionState, Partitions, Topic};

/// The newest format this release writes and reads.
pub const FORMAT_VERSION: u16 = 2;

/// Everything the cluster agrees on.
#[derive(Clone, Debug, Default)]
pub struct MetadataImage {
    version: u64,
    format_version: u16,
    cluster_id: Option<Arc<str>>,
    brokers: Arc<BTreeMap<i32, Broker>>,
    topics: SharedMap<TopicId, Arc<Topic>>,
    ids: SharedMap<Arc<str>, TopicId>,
    /// Names with `.` and `_` made equal: two topics that differ only there cannot both be, since metrics tell them apart no more.
    collisions: SharedMap<String, Arc<str>>,
    partition_count: usize,
    next_producer_id: i64,
    broker_configs: Arc<BrokerConfigs>,
    group_configs: Arc<BTreeMap<String, ConfigTexts>>,
    client_quotas: Arc<ClientQuotas>,
    feature_levels: Arc<BTreeMap<String, i16>>,
}

/// Values as they were set, by key.
pub type ConfigTexts = BTreeMap<String, String>;

/// What was set for brokers while they ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerConfigs {
    /// For every broker that has no value of its own.
    pub defaults: ConfigTexts,
    pub of_nodes: BTreeMap<i32, ConfigTexts>,
}

impl BrokerConfigs {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.defaults.is_empty() && self.of_nodes.is_empty()
    }
}

/// A registered broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    pub registration: BrokerRegistration,
    pub fenced: bool,
}

/// The record does not follow from those before it: the log is not one this image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayError {
    NewerFormat { version: u16 },
    UnknownTopic(TopicId),
    TopicExists(String),
    UnknownPartition(TopicPartition),
    PartitionGap { id: TopicId, first: i32 },
    UnknownBroker(i32),
    ProducerIdsRegress { next: i64 },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewerFormat { version } => write!(
                formatter,
                "the metadata log has format {version}, and this release reads up to {FORMAT_VERSION}: use the newer release that wrote it"
            ),
            Self::UnknownTopic(id) => write!(formatter, "a record changes unknown topic {id}"),
            Self::TopicExists(name) => {
                write!(formatter, "a record creates topic {name}, which exists")
            }
            Self::UnknownPartition(partition) => {
                write!(formatter, "a record changes unknown partition {partition}")
            }
            Self::PartitionGap { id, first } => write!(
                formatter,
                "a record adds partitions from {first} on, which is not the next one of topic {id}"
            ),
            Self::UnknownBroker(node_id) => {
                write!(formatter, "a record changes unknown broker {node_id}")
            }
            Self::ProducerIdsRegress { next } => {
                write!(
                    formatter,
                    "a record gives out producer ids again, from {next} on"
                )
            }
        }
    }
}

impl std::error::Error for ReplayError {}

impl MetadataImage {
    /// How many records made this image.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// 0 before the first record.
    #[must_use]
    pub fn format_version(&self) -> u16 {
        self.format_version
    }

    #[must_use]
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    #[must_use]
    pub fn brokers(&self) -> &BTreeMap<i32, Broker> {
        &self.brokers
    }

    #[must_use]
    pub fn topic(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.topics.get(&id)
    }

    #[must_use]
    pub fn topic_named(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(self.ids.get(name)?)
    }

    #[must_use]
    pub fn partition(&self, partition: TopicPartition) -> Option<&PartitionState> {
        self.topic(partition.topic_id)?
            .partition(partition.partition)
    }

    /// All topics, in no particular order.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    #[must_use]
    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    #[must_use]
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    #[must_use]
    pub fn broker_configs(&self) -> &Arc<BrokerConfigs> {
        &self.broker_configs
    }

    /// What was set for each group, by group.
    #[must_use]
    pub fn group_configs(&self) -> &Arc<BTreeMap<String, ConfigTexts>> {
        &self.group_configs
    }

    #[must_use]
    pub fn client_quotas(&self) -> &Arc<ClientQuotas> {
        &self.client_quotas
    }

    /// The levels of features that differ from what a new cluster has.
    #[must_use]
    pub fn feature_levels(&self) -> &BTreeMap<String, i16> {
        &self.feature_levels
    }

    /// The topic of which the name is `name` once `.` and `_` are taken for the same.
    #[must_use]
    pub fn collision_with(&self, name: &str) -> Option<&str> {
        let colliding = self
            .collisions
            .get(&with_dots_and_underscores_equal(name)?)?;
        Some(colliding)
    }

    /// Applies the next record of the log. After an error the image is as before.
    pub fn replay(&mut self, record: &MetadataRecord) -> Result<(), ReplayError> {
        match record {
            MetadataRecord::FormatVersion { version } if *version > FORMAT_VERSION => {
                return Err(ReplayError::NewerFormat { version: *version });
            }
            MetadataRecord::FormatVersion { version } => self.format_version = *version,
            MetadataRecord::ClusterId { id } => self.cluster_id = Some(id.as_str().into()),
            MetadataRecord::BrokerRegistered(registration) => {
                let broker = Broker {
                    registration: registration.clone(),
                    fenced: false,
                };
                Arc::make_mut(&mut self.brokers).insert(registration.node_id, broker);
            }
            MetadataRecord::BrokerFenced { node_id, fenced } => {
                let broker = Arc::make_mut(&mut self.brokers).get_mut(node_id);
                broker.ok_or(ReplayError::UnknownBroker(*node_id))?.fenced = *fenced;
            }
            MetadataRecord::BrokerUnregistered { node_id } => {
                let removed = Arc::make_mut(&mut self.brokers).remove(node_id);
                removed.ok_or(ReplayError::UnknownBroker(*node_id))?;
            }
            MetadataRecord::TopicCreated {
                id,
                name,
                partitions,
            } => self.create_topic(*id, name, partitions)?,
            MetadataRecord::TopicDeleted { id } => self.delete_topic(*id)?,
            MetadataRecord::TopicConfigSet { id, key, value } => {
                let overrides = Arc::make_mut(&mut self.topic_mut(*id)?.overrides);
                match value {
                    Some(value) => overrides.insert(key.clone(), value.clone()),
                    None => overrides.remove(key),
                };
            }
            MetadataRecord::PartitionsAdded {
                id,
                first,
                partitions,
            } => self.add_partitions(*id, *first, partitions)?,
            MetadataRecord::PartitionChanged {
                id,
                partition,
                state,
            } => {
                let changed = self.topic_mut(*id)?.partitions.get_mut(*partition);
                let changed = changed.ok_or(ReplayError::UnknownPartition(TopicPartition {
                    topic_id: *id,
                    partition: *partition,
                }))?;
                *changed = state.clone();
            }
            MetadataRecord::ProducerIdsAllocated { next } if *next < self.next_producer_id => {
                return Err(ReplayError::ProducerIdsRegress { next: *next });
            }
            MetadataRecord::ProducerIdsAllocated { next } => self.next_producer_id = *next,
            MetadataRecord::BrokerConfigSet {
                node_id,
                key,
                value,
            } => {
                let configs = Arc::make_mut(&mut self.broker_configs);
                match node_id {
                    None => set_text(&mut configs.defaults, key, value.as_deref()),
                    Some(id) => set_text_of(&mut configs.of_nodes, *id, key, value.as_deref()),
                }
            }
            MetadataRecord::GroupConfigSet { group, key, value } => set_text_of(
                Arc::make_mut(&mut self.group_configs),
                group.clone(),
                key,
                value.as_deref(),
            ),
            MetadataRecord::ClientQuotaSet { entity, key, limit } => {
                Arc::make_mut(&mut self.client_quotas).set(entity, key, *limit);
            }
            MetadataRecord::FeatureLevelSet { name, level } => {
                Arc::make_mut(&mut self.feature_levels).insert(name.clone(), *level);
            }
        }
        self.version += 1;
        Ok(())
    }

    /// Records that make this image, but for its version: a log can begin with them.
    #[must_use]
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        let mut records = Vec::new();
        if self.format_version > 0 {
            records.push(MetadataRecord::FormatVersion {
                version: self.format_version,
            });
        }
        records.extend(
            self.cluster_id()
                .map(|id| MetadataRecord::ClusterId { id: id.to_owned() }),
        );
        for (&node_id, broker) in self.brokers.iter() {
            records.push(MetadataRecord::BrokerRegistered(
                broker.registration.clone(),
            ));
            if broker.fenced {
                records.push(MetadataRecord::BrokerFenced {
                    node_id,
                    fenced: true,
                });
            }
        }
        for topic in self.topics() {
            records.push(MetadataRecord::TopicCreated {
                id: topic.id,
                name: topic.name.as_ref().to_owned(),
                partitions: topic.partitions.iter().map(|(_, p)| p.clone()).collect(),
            });
            records.extend(topic.overrides.iter().map(|(key, value)| {
                MetadataRecord::TopicConfigSet {
                    id: topic.id,
                    key: key.clone(),
                    value: Some(value.clone()),
                }
            }));
        }
        if self.next_producer_id > 0 {
            records.push(MetadataRecord::ProducerIdsAllocated {
                next: self.next_producer_id,
            });
        }
        records.extend(self.config_records());
        records
    }

    fn config_records(&self) -> impl Iterator<Item = MetadataRecord> {
        let of_broker = |node_id: Option<i32>| {
            move |(key, value): (&String, &String)| MetadataRecord::BrokerConfigSet {
                node_id,
                key: key.clone(),
                value: Some(value.clone()),
            }
        };
        let configs = &self.broker_configs;
        let defaults = configs.defaults.iter().map(of_broker(None));
        let of_nodes = configs.of_nodes.iter();
        let of_nodes = of_nodes.flat_map(move |(&id, texts)| texts.iter().map(of_broker(Some(id))));
        let of_groups = self.group_configs.iter().flat_map(|(group, texts)| {
            texts
                .iter()
                .map(|(key, value)| MetadataRecord::GroupConfigSet {
                    group: group.clone(),
                    key: key.clone(),
                    value: Some(value.clone()),
                })
        });
        let quotas = self.client_quotas.iter().flat_map(|(entity, limits)| {
            limits
                .iter()
                .map(|(key, limit)| MetadataRecord::ClientQuotaSet {
                    entity: entity.clone(),
                    key: key.clone(),
                    limit: Some(*limit),
                })
        });
        let levels = self.feature_levels.iter();
        let levels = levels.map(|(name, &level)| MetadataRecord::FeatureLevelSet {
            name: name.clone(),
            level,
        });
        defaults
            .chain(of_nodes)
            .chain(of_groups)
            .chain(quotas)
            .chain(levels)
    }

    pub(super) fn changed_topics<'a>(
        &'a self,
        older: &'a Self,
    ) -> impl Iterator<Item = (Option<&'a Arc<Topic>>, Option<&'a Arc<Topic>>)> {
        self.topics
            .changed_buckets(&older.topics)
            .flat_map(|(new, old)| {
                let in_new = new.iter().map(|(id, topic)| (Some(topic), old.get(id)));
                let only_in_old = old
                    .iter()
                    .filter(|(id, _)| !new.contains_key(id))
                    .map(|(_, topic)| (None, Some(topic)));
                in_new.chain(only_in_old)
            })
    }

    fn create_topic(
        &mut self,
        id: TopicId,
        name: &str,
        partitions: &[PartitionState],
    ) -> Result<(), ReplayError> {
        if self.ids.get(name).is_some() || self.topics.get(&id).is_some() {
            return Err(ReplayError::TopicExists(name.to_owned()));
        }
        let name: Arc<str> = name.into();
        let topic = Topic {
            id,
            name: Arc::clone(&name),
            partitions: partitions.iter().cloned().collect::<Partitions>(),
            overrides: Arc::default(),
        };
        self.partition_count += partitions.len();
        self.topics.insert(id, Arc::new(topic));
        if let Some(collision) = with_dots_and_underscores_equal(&name) {
            self.collisions.insert(collision, Arc::clone(&name));
        }
        self.ids.insert(name, id);
        Ok(())
    }

    fn delete_topic(&mut self, id: TopicId) -> Result<(), ReplayError> {
        let topic = self.topics.remove(&id);
        let topic = topic.ok_or(ReplayError::UnknownTopic(id))?;
        self.partition_count -= topic.partition_count();
        self.ids.remove(&topic.name);
        if let Some(collision) = with_dots_and_underscores_equal(&topic.name) {
            self.collisions.remove(&collision);
        }
        Ok(())
    }

    fn add_partitions(
        &mut self,
        id: TopicId,
        first: i32,
        partitions: &[PartitionState],
    ) -> Result<(), ReplayError> {
        let topic = self.topic_mut(id)?;
        if usize::try_from(first) != Ok(topic.partition_count()) {
            return Err(ReplayError::PartitionGap { id, first });
        }
        for state in partitions {
            topic.partitions.push(state.clone());
        }
        self.partition_count += partitions.len();
        Ok(())
    }

    fn topic_mut(&mut self, id: TopicId) -> Result<&mut Topic, ReplayError> {
        let topic = self.topics.get_mut(&id);
        topic
            .map(Arc::make_mut)
            .ok_or(ReplayError::UnknownTopic(id))
    }
}

/// Equal if all that the log decides is equal; how many records it took is not compared.
impl PartialEq for MetadataImage {
    fn eq(&self, other: &Self) -> bool {
        let topics_equal = || {
            self.topics()
                .all(|topic| other.topic(topic.id).is_some_and(|t| t == topic))
        };
        self.format_version == other.format_version
            && self.cluster_id == other.cluster_id
            && self.brokers == other.brokers
            && self.next_producer_id == other.next_producer_id
            && self.broker_configs == other.broker_configs
            && self.group_configs == other.group_configs
            && self.client_quotas == other.client_quotas
            && self.feature_levels == other.feature_levels
            && self.partition_count == other.partition_count
            && self.topics.len() == other.topics.len()
            && topics_equal()
    }
}

fn set_text(texts: &mut ConfigTexts, key: &str, value: Option<&str>) {
    match value {
        Some(value) => texts.insert(key.to_owned(), value.to_owned()),
        None => texts.remove(key),
    };
}

/// Whoever has no value left has no entry.
fn set_text_of<K: Ord + Clone>(
    all: &mut BTreeMap<K, ConfigTexts>,
    of: K,
    key: &str,
    value: Option<&str>,
) {
    if value.is_none() && !all.contains_key(&of) {
        return;
    }
    let texts = all.entry(of.clone()).or_default();
    set_text(texts, key, value);
    if texts.is_empty() {
        all.remove(&of);
    }
}

/// `None` for a name without either, which can collide with nothing but itself.
fn with_dots_and_underscores_equal(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

#[cfg(test)]
mod tests;
