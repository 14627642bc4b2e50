//! What every shard knows of the node it is part of: configuration, identity, addresses.
//!
//! Fixed at start-up and shared read-only by all shards. Never holds state that changes.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::config::broker::{BrokerConfig, Routing};
use crate::config::topic::{Ack, TopicConfig, TopicOverrides};
use crate::controller::shown_brokers::ShownBrokers;
use crate::metadata::image::{ConfigTexts, MetadataImage};

/// The distance between the broker ids of two shards of a node under `rinka.routing=core`: shard 0 keeps `node.id`.
pub const SHARD_BROKER_ID_STEP: i32 = 10_000;

/// An address that Metadata tells clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `None`: the address by which the client itself came in.
    pub host: Option<String>,
    pub port: u16,
}

/// The addresses of one listener.
#[derive(Clone, Debug)]
pub struct Advertised {
    /// The port all shards share.
    pub node: Endpoint,
    /// One a shard, under core routing.
    pub shards: Vec<Endpoint>,
}

/// A broker as Metadata and DescribeCluster show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    pub id: i32,
    pub host: String,
    pub port: u16,
}

#[derive(Debug)]
pub struct Node {
    pub id: i32,
    pub config: BrokerConfig,
    pub cluster_id: String,
    pub shards: usize,
    /// Segment files of each shard that may stay open until they are synced.
    pub unsynced_files_max: usize,
    /// One a listener, in the order of the configuration.
    pub advertised: Vec<Advertised>,
}

impl Node {
    /// The id of the broker that leads what `shard` owns.
    #[must_use]
    pub fn broker_id(&self, shard: usize) -> i32 {
        match self.config.routing {
            Routing::Node => self.id,
            Routing::Core => {
                self.id + SHARD_BROKER_ID_STEP * i32::try_from(shard).expect("few shards")
            }
        }
    }

    /// Its shards as brokers that clients name in requests.
    #[must_use]
    pub fn shown_brokers(&self) -> ShownBrokers {
        let shards = 0..self.shards;
        ShownBrokers::new(self.id, shards.map(|shard| self.broker_id(shard)).collect())
    }

    /// The brokers as a client sees them that came in by `listener` at `local`.
    #[must_use]
    pub fn brokers(&self, listener: usize, local: IpAddr) -> Vec<BrokerAddress> {
        let advertised = &self.advertised[listener];
        let broker = |shard: usize, endpoint: &Endpoint| BrokerAddress {
            id: self.broker_id(shard),
            host: endpoint
                .host
                .clone()
                .unwrap_or_else(|| local.to_canonical().to_string()),
            port: endpoint.port,
        };
        match self.config.routing {
            Routing::Node => vec![broker(0, &advertised.node)],
            Routing::Core => advertised
                .shards
                .iter()
                .enumerate()
                .map(|(shard, at)| broker(shard, at))
                .collect(),
        }
    }

    /// The configuration that holds with what was set while the broker ran, as of an image.
    #[must_use]
    pub fn config_at(&self, image: &MetadataImage) -> Cow<'_, BrokerConfig> {
        let configs = image.broker_configs();
        if configs.is_empty() {
            return Cow::Borrowed(&self.config);
        }
        let none = ConfigTexts::new();
        let own = configs.of_nodes.get(&self.id).unwrap_or(&none);
        match self.config.with_dynamic(&configs.defaults, own) {
            Ok(config) => Cow::Owned(config),
            Err(error) => {
                log::warn!(
                    "what was set while the broker ran does not go with its configuration file, and is passed over: {error}"
                );
                Cow::Borrowed(&self.config)
            }
        }
    }
}

/// How the metadata log is kept: always flushed, whatever topics are by default.
#[must_use]
pub fn metadata_log_config(config: &BrokerConfig) -> TopicConfig {
    TopicConfig {
        ack: Ack::Flushed,
        ..topic_config(&TopicOverrides::new(), config)
    }
}

/// A topic's effective configuration.
///
/// # Panics
/// Never: a topic's overrides were checked when they were set, the broker's defaults at start-up or when they were set.
#[must_use]
pub fn topic_config(overrides: &TopicOverrides, config: &BrokerConfig) -> TopicConfig {
    TopicConfig::effective(overrides, config).expect("checked when it was set")
}
