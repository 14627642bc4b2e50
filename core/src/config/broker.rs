//! The configuration of the node: Kafka's `server.properties` and `--set` overrides, over defaults with which it just starts.
//!
//! Decides what each key comes to and what start-up must tell the operator; never logs, and never touches the machine.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::broker_keys::{DEFINITIONS, PREFIXES_WITHOUT_EFFECT, definition};
use super::definition::{Effect, InvalidValue, Value, split_list};
use super::describe::ConfigSource;
use super::dynamic::is_dynamic;
use super::listener::{self, Listener, ListenerError, ListenerTexts};
use super::properties::{self, PropertiesError};
use super::topic::InvalidConfig;

/// Everything the node was told, as types that cannot be wrong.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    pub node_id: i32,
    pub rack: Option<String>,
    /// For clients; never empty.
    pub listeners: Vec<Listener>,
    pub data_dir: PathBuf,

    pub num_partitions: i32,
    pub default_replication_factor: i16,
    pub auto_create_topics_enable: bool,
    pub delete_topic_enable: bool,

    pub socket_request_bytes_max: u32,
    pub fetch_bytes_max: u32,
    pub fetch_sessions_max: usize,
    /// `None`: never.
    pub connection_idle_ms_max: Option<u64>,
    pub connections_max: usize,
    pub connections_per_ip_max: usize,
    pub request_time_ms_max: u64,
    pub send_time_ms_max: u64,
    pub request_memory_bytes: usize,
    pub reply_memory_bytes: usize,

    pub quota: QuotaConfig,
    pub retention_check_interval_ms: u64,
    pub producer_id_expiration_ms: i64,
    pub cleaner: CleanerConfig,
    pub replica_lag_time_ms_max: u64,
    pub group: GroupConfig,
    pub offsets: OffsetsConfig,
    pub transaction: TransactionConfig,

    /// `None`: one for each usable core.
    pub shards: Option<usize>,
    pub routing: Routing,
    /// With core routing, shard n listens on this port plus n.
    pub core_port_base: u16,
    pub memory_bytes: u64,
    pub journal_bytes: u64,
    pub spin_us: u64,
    pub shutdown_ms: u64,
    /// `None`: metrics are not served.
    pub admin_listener: Option<String>,

    /// Keys that no Kafka broker knows either. Start-up names them in one warning.
    pub unknown: Vec<String>,
    /// Kafka's keys that were set and that nothing listens to, and why. Start-up names them in one warning.
    pub without_effect: Vec<(String, &'static str)>,
    /// Anything else the operator should read at start-up: whole sentences.
    pub warnings: Vec<String>,

    /// Connections there is room for, whatever is configured; taken into account already.
    pub connections_room: usize,

    /// What was set, as it was written, by key: of all layers the value that counts.
    explicit: Texts,
    /// The layers, by what set them.
    fixed: Texts,
    dynamic_defaults: Texts,
    dynamic: Texts,
}

type Texts = BTreeMap<&'static str, String>;

/// How clients see the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routing {
    /// One broker per node; a request may hop between shards.
    Node,
    /// One broker per shard; no request hops.
    Core,
}

/// How compaction is driven.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanerConfig {
    pub enable: bool,
    /// The pause when nothing is dirty enough.
    pub backoff_ms: u64,
    /// Of all shards together. `None`: not set.
    pub dedupe_buffer_bytes: Option<usize>,
    /// Bytes read and written, of all shards together. `None`: as many as come.
    pub io_bytes_per_second_max: Option<f64>,
}

/// Over which time the rate of a client is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaConfig {
    pub windows: usize,
    pub window_seconds: u32,
}

/// Limits of the group coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    pub initial_rebalance_delay_ms: u64,
    pub session_timeout_ms_min: i32,
    pub session_timeout_ms_max: i32,
    pub size_max: usize,
    pub consumer_session_timeout_ms: i32,
    pub consumer_heartbeat_interval_ms: i32,
    pub consumer_assignment_interval_ms: i32,
    pub consumer_regex_refresh_interval_ms: i64,
    pub consumer_size_max: usize,
    /// Names; the first is the default.
    pub consumer_assignors: Vec<String>,
    pub consumer_migration_policy: String,
}

/// Limits of committed offsets, and the shape of `__consumer_offsets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetsConfig {
    pub metadata_bytes_max: usize,
    pub retention_ms: i64,
    pub retention_check_interval_ms: u64,
    pub topic: InternalTopicConfig,
}

/// Limits of transactions, and the shape of `__transaction_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionConfig {
    pub timeout_ms_max: i32,
    pub transactional_id_expiration_ms: i64,
    pub abort_check_interval_ms: u64,
    pub remove_check_interval_ms: u64,
    pub topic: InternalTopicConfig,
    /// `min.insync.replicas` of the topic; `None`: not set, and so no more than there are nodes.
    pub min_insync_replicas: Option<i32>,
}

/// How a topic of the broker's own is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InternalTopicConfig {
    pub partitions: i32,
    /// `None`: not set, and so 3 or as many as there are nodes.
    pub replication_factor: Option<i16>,
    pub segment_bytes: i64,
}

/// Why the node cannot start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerConfigError {
    Properties(PropertiesError),
    /// A `--set` that is not `key=value`.
    Override(String),
    Value(InvalidValue),
    Listener(ListenerError),
    Topic(InvalidConfig),
}

impl fmt::Display for BrokerConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Properties(error) => error.fmt(formatter),
            Self::Override(text) => write!(formatter, "--set {text}: must be key=value"),
            Self::Value(error) => error.fmt(formatter),
            Self::Listener(error) => error.fmt(formatter),
            Self::Topic(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for BrokerConfigError {}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self::parse("", &[]).expect("a test asserts that every default is valid")
    }
}

impl BrokerConfig {
    /// `properties` is the text of the file, `overrides` the `key=value` texts of `--set`, of which the last one wins.
    pub fn parse(properties: &str, overrides: &[String]) -> Result<Self, BrokerConfigError> {
        let mut collector = Collector::default();
        for property in properties::parse(properties).map_err(BrokerConfigError::Properties)? {
            collector.set(&property.key, &property.value)?;
        }
        for text in overrides {
            let pair = text
                .split_once('=')
                .filter(|(key, _)| !key.trim().is_empty());
            let (key, value) = pair.ok_or_else(|| BrokerConfigError::Override(text.clone()))?;
            collector.set(key.trim(), value)?;
        }
        collector.finish()
    }

    /// The text of a key that was set.
    pub(crate) fn explicit(&self, key: &str) -> Option<&str> {
        self.explicit.get(key).map(String::as_str)
    }

    /// Every text that was set for a key and by what, the one that counts first.
    pub(crate) fn layers(&self, key: &str) -> impl Iterator<Item = (ConfigSource, &str)> {
        let layers = [
            (ConfigSource::DynamicBroker, &self.dynamic),
            (ConfigSource::DynamicDefaultBroker, &self.dynamic_defaults),
            (ConfigSource::StaticBroker, &self.fixed),
        ];
        layers
            .into_iter()
            .filter_map(move |(source, texts)| Some((source, texts.get(key)?.as_str())))
    }

    /// What holds when these were set for the running broker: for all brokers, and for this one, which wins.
    ///
    /// Keys that cannot be set so, and values that do not fit their key, are passed over: a later release may have set them.
    pub fn with_dynamic(
        &self,
        defaults: &BTreeMap<String, String>,
        own: &BTreeMap<String, String>,
    ) -> Result<Self, BrokerConfigError> {
        let known = |texts: &BTreeMap<String, String>| -> Texts {
            let known = texts.iter().filter_map(|(key, text)| {
                let definition = definition(key).filter(|_| is_dynamic(key))?;
                definition.parse(text).ok()?;
                Some((definition.key, text.clone()))
            });
            known.collect()
        };
        let (dynamic_defaults, dynamic) = (known(defaults), known(own));
        let mut collector = Collector {
            explicit: self.fixed.clone(),
            unknown: self.unknown.clone(),
            without_effect: self.without_effect.clone(),
        };
        for layer in [&dynamic_defaults, &dynamic] {
            collector.explicit.extend(layer.clone());
        }
        let mut config = collector.finish()?;
        config.fixed.clone_from(&self.fixed);
        config.dynamic_defaults = dynamic_defaults;
        config.dynamic = dynamic;
        config.set_connections_room(self.connections_room);
        Ok(config)
    }

    /// There is room for so many connections and no more.
    pub fn set_connections_room(&mut self, room: usize) {
        self.connections_room = room;
        self.connections_max = self.connections_max.min(room);
    }

    /// The value of a key, set or by default, of which the table says that it is a whole number.
    pub(crate) fn number(&self, key: &str) -> i64 {
        let definition = definition(key).expect("the code asks for keys of the table");
        let text = self.explicit(key).or(definition.default);
        let value = text.map(|text| definition.parse(text));
        let value = value.expect("the key has a default");
        value
            .expect("parsed before it was kept, and a test parses every default")
            .number()
    }
}

/// Gathers what is set, key by key; each value is valid by itself once it is in.
#[derive(Default)]
struct Collector {
    explicit: Texts,
    unknown: Vec<String>,
    without_effect: Vec<(String, &'static str)>,
}

impl Collector {
    fn set(&mut self, key: &str, text: &str) -> Result<(), BrokerConfigError> {
        let Some(definition) = definition(key) else {
            let prefixed = PREFIXES_WITHOUT_EFFECT
                .iter()
                .find(|(prefix, _)| key.starts_with(prefix));
            match prefixed {
                Some((_, why)) => self.note_without_effect(key, why),
                None if self.unknown.iter().any(|known| known == key) => {}
                None => self.unknown.push(key.to_owned()),
            }
            return Ok(());
        };
        match definition.effect {
            Effect::Honoured => {
                definition.parse(text).map_err(BrokerConfigError::Value)?;
            }
            // Not parsed: a value of another Kafka version, to which nothing listens, must not keep the node from starting.
            Effect::Without(why) => self.note_without_effect(key, why),
            Effect::RefusedUnless(taken, why) => {
                if !taken.iter().any(|t| t.eq_ignore_ascii_case(text.trim())) {
                    let problem = match taken {
                        [] | [""] => format!("{why}; remove the key"),
                        _ => format!("{why}; only {} is taken", taken.join(", ")),
                    };
                    return Err(invalid(key, text, &problem));
                }
            }
        }
        // A secret that nothing uses is not worth keeping: it could only end in a log.
        let kept = match definition.is_sensitive() {
            true => "[hidden]",
            false => text,
        };
        self.explicit.insert(definition.key, kept.to_owned());
        Ok(())
    }

    fn note_without_effect(&mut self, key: &str, why: &'static str) {
        if !self.without_effect.iter().any(|(known, _)| known == key) {
            self.without_effect.push((key.to_owned(), why));
        }
    }

    fn finish(self) -> Result<BrokerConfig, BrokerConfigError> {
        let mut warnings = Vec::new();
        self.check_roles(&mut warnings)?;
        let listeners = self.listeners(&mut warnings)?;
        let core_port_base = self.core_port_base(&listeners)?;
        let config = BrokerConfig {
            node_id: self.node_id()?,
            rack: self.text("broker.rack").filter(|rack| !rack.is_empty()),
            listeners,
            data_dir: self.data_dir(&mut warnings)?,

            num_partitions: self.number("num.partitions"),
            default_replication_factor: self.number("default.replication.factor"),
            auto_create_topics_enable: self.boolean("auto.create.topics.enable"),
            delete_topic_enable: self.boolean("delete.topic.enable"),

            socket_request_bytes_max: self.number("socket.request.max.bytes"),
            fetch_bytes_max: self.number("fetch.max.bytes"),
            fetch_sessions_max: self.number("max.incremental.fetch.session.cache.slots"),
            connection_idle_ms_max: u64::try_from(self.raw_number("connections.max.idle.ms")).ok(),
            connections_max: self.number("max.connections"),
            connections_per_ip_max: self.number("max.connections.per.ip"),
            request_time_ms_max: self.number("rinka.request.time.ms"),
            send_time_ms_max: self.number("rinka.send.time.ms"),
            request_memory_bytes: self.number("rinka.request.memory"),
            reply_memory_bytes: self.number("rinka.reply.memory"),

            quota: QuotaConfig {
                windows: self.number("quota.window.num"),
                window_seconds: self.number("quota.window.size.seconds"),
            },
            retention_check_interval_ms: self.number("log.retention.check.interval.ms"),
            producer_id_expiration_ms: self.number("producer.id.expiration.ms"),
            cleaner: self.cleaner(),
            replica_lag_time_ms_max: self.number("replica.lag.time.max.ms"),
            group: self.group()?,
            offsets: self.offsets(),
            transaction: self.transaction(),

            shards: Some(self.number("rinka.shards")).filter(|&shards| shards > 0),
            routing: match self.text("rinka.routing").as_deref() {
                Some("core") => Routing::Core,
                _ => Routing::Node,
            },
            core_port_base,
            memory_bytes: self.number("rinka.memory"),
            journal_bytes: self.number("rinka.journal.bytes"),
            spin_us: self.number("rinka.spin.us"),
            shutdown_ms: self.number("rinka.shutdown.ms"),
            admin_listener: self
                .text("rinka.admin.listener")
                .filter(|address| !address.is_empty()),

            warnings,
            unknown: self.unknown,
            without_effect: self.without_effect,
            connections_room: usize::MAX,
            fixed: self.explicit.clone(),
            dynamic_defaults: Texts::new(),
            dynamic: Texts::new(),
            explicit: self.explicit,
        };
        super::topic::validate(&BTreeMap::new(), &config).map_err(BrokerConfigError::Topic)?;
        Ok(config)
    }

    fn check_roles(&self, warnings: &mut Vec<String>) -> Result<(), BrokerConfigError> {
        if let Some(text) = self.explicit.get("process.roles")
            && !self.list("process.roles").iter().any(|r| r == "broker")
        {
            return Err(invalid("process.roles", text, "Must include broker"));
        }
        let voters = self.explicit.get("controller.quorum.voters");
        let voters = voters.map_or(0, |text| split_list(text).len());
        if voters > 1 {
            warnings.push(format!(
                "controller.quorum.voters names {voters} nodes, but this build runs each node as a cluster of its own"
            ));
        }
        Ok(())
    }

    fn node_id(&self) -> Result<i32, BrokerConfigError> {
        let broker_id = self.explicit.get("broker.id");
        let Some(broker_id) = broker_id.filter(|text| text.trim() != "-1") else {
            return Ok(self.number("node.id"));
        };
        if self.explicit.contains_key("node.id")
            && self.raw_number("node.id") != self.raw_number("broker.id")
        {
            return Err(invalid(
                "broker.id",
                broker_id,
                "Must equal node.id, or be left out",
            ));
        }
        Ok(self.number("broker.id"))
    }

    fn listeners(&self, warnings: &mut Vec<String>) -> Result<Vec<Listener>, BrokerConfigError> {
        let parsed = listener::parse(&ListenerTexts {
            listeners: &self.list("listeners"),
            advertised: &self.list("advertised.listeners"),
            security_protocol_map: &split_list(
                &self
                    .text("listener.security.protocol.map")
                    .unwrap_or_default(),
            ),
            controller_names: &self.list("controller.listener.names"),
        })
        .map_err(BrokerConfigError::Listener)?;
        if !parsed.not_opened.is_empty() {
            warnings.push(format!(
                "controller listeners are not opened: {}",
                parsed.not_opened.join(", ")
            ));
        }
        Ok(parsed.client)
    }

    fn core_port_base(&self, listeners: &[Listener]) -> Result<u16, BrokerConfigError> {
        let base: u16 = self.number("rinka.core.port.base");
        if base != 0 || self.text("rinka.routing").as_deref() != Some("core") {
            return Ok(base);
        }
        match listeners[0].port.checked_add(1) {
            Some(1) => Err(invalid(
                "rinka.core.port.base",
                "0",
                "Must be set when the first listener takes any free port",
            )),
            Some(base) => Ok(base),
            None => Err(invalid(
                "rinka.core.port.base",
                "0",
                "Must be set when the first listener has the highest port",
            )),
        }
    }

    fn data_dir(&self, warnings: &mut Vec<String>) -> Result<PathBuf, BrokerConfigError> {
        let (key, directories) = match self.list("log.dirs") {
            none if none.is_empty() => ("log.dir", self.list("log.dir")),
            directories => ("log.dirs", directories),
        };
        let named = directories.split_first();
        let (first, others) = named
            .filter(|(first, _)| !first.is_empty())
            .ok_or_else(|| invalid(key, "", "Must name a directory"))?;
        if !others.is_empty() {
            warnings.push(format!(
                "only the first directory of {key} is used, {first}; not used: {}",
                others.join(", ")
            ));
        }
        Ok(PathBuf::from(first))
    }

    fn cleaner(&self) -> CleanerConfig {
        let rate = "log.cleaner.io.max.bytes.per.second";
        CleanerConfig {
            enable: self.boolean("log.cleaner.enable"),
            backoff_ms: self.number("log.cleaner.backoff.ms"),
            dedupe_buffer_bytes: self.explicit_number("log.cleaner.dedupe.buffer.size"),
            // The greatest number is how Kafka writes that there is no limit.
            io_bytes_per_second_max: self
                .value(rate)
                .map(|rate| rate.double())
                .filter(|rate| *rate < f64::MAX),
        }
    }

    fn group(&self) -> Result<GroupConfig, BrokerConfigError> {
        let group = GroupConfig {
            initial_rebalance_delay_ms: self.number("group.initial.rebalance.delay.ms"),
            session_timeout_ms_min: self.number("group.min.session.timeout.ms"),
            session_timeout_ms_max: self.number("group.max.session.timeout.ms"),
            size_max: self.number("group.max.size"),
            consumer_session_timeout_ms: self.number("group.consumer.session.timeout.ms"),
            consumer_heartbeat_interval_ms: self.number("group.consumer.heartbeat.interval.ms"),
            consumer_assignment_interval_ms: self.number("group.consumer.assignment.interval.ms"),
            consumer_regex_refresh_interval_ms: self
                .number("group.consumer.regex.refresh.interval.ms"),
            consumer_size_max: self.number("group.consumer.max.size"),
            consumer_assignors: self.list("group.consumer.assignors"),
            consumer_migration_policy: self
                .text("group.consumer.migration.policy")
                .unwrap_or_default(),
        };
        if group.consumer_session_timeout_ms <= group.consumer_heartbeat_interval_ms {
            return Err(invalid(
                "group.consumer.session.timeout.ms",
                &group.consumer_session_timeout_ms.to_string(),
                "Must exceed group.consumer.heartbeat.interval.ms",
            ));
        }
        let interval = "group.consumer.assignment.interval.ms";
        let least: i32 = self.number("group.consumer.min.assignment.interval.ms");
        let most: i32 = self.number("group.consumer.max.assignment.interval.ms");
        if !(least..=most).contains(&group.consumer_assignment_interval_ms) {
            return Err(invalid(
                interval,
                &group.consumer_assignment_interval_ms.to_string(),
                "Must lie between group.consumer.min.assignment.interval.ms and group.consumer.max.assignment.interval.ms",
            ));
        }
        if group.session_timeout_ms_min > group.session_timeout_ms_max {
            return Err(invalid(
                "group.min.session.timeout.ms",
                &group.session_timeout_ms_min.to_string(),
                "Must not exceed group.max.session.timeout.ms",
            ));
        }
        Ok(group)
    }

    fn offsets(&self) -> OffsetsConfig {
        let retention_minutes: i64 = self.number("offsets.retention.minutes");
        OffsetsConfig {
            metadata_bytes_max: self.number("offset.metadata.max.bytes"),
            retention_ms: retention_minutes * 60_000,
            retention_check_interval_ms: self.number("offsets.retention.check.interval.ms"),
            topic: InternalTopicConfig {
                partitions: self.number("offsets.topic.num.partitions"),
                replication_factor: self.explicit_number("offsets.topic.replication.factor"),
                segment_bytes: self.number("offsets.topic.segment.bytes"),
            },
        }
    }

    fn transaction(&self) -> TransactionConfig {
        let abort = "transaction.abort.timed.out.transaction.cleanup.interval.ms";
        let remove = "transaction.remove.expired.transaction.cleanup.interval.ms";
        TransactionConfig {
            timeout_ms_max: self.number("transaction.max.timeout.ms"),
            transactional_id_expiration_ms: self.number("transactional.id.expiration.ms"),
            abort_check_interval_ms: self.number(abort),
            remove_check_interval_ms: self.number(remove),
            topic: InternalTopicConfig {
                partitions: self.number("transaction.state.log.num.partitions"),
                replication_factor: self
                    .explicit_number("transaction.state.log.replication.factor"),
                segment_bytes: self.number("transaction.state.log.segment.bytes"),
            },
            min_insync_replicas: self.explicit_number("transaction.state.log.min.isr"),
        }
    }

    /// What was set, or the default; `None` when there is neither.
    fn value(&self, key: &str) -> Option<Value> {
        let definition = definition(key).expect("the code asks for keys of the table");
        let explicit = self.explicit.get(definition.key).map(String::as_str);
        let text = explicit.or(definition.default)?;
        let value = definition.parse(text);
        Some(value.expect("`set` parsed it before it came in, and a test parses every default"))
    }

    fn boolean(&self, key: &str) -> bool {
        self.value(key).expect("the key has a default").boolean()
    }

    fn raw_number(&self, key: &str) -> i64 {
        self.value(key).expect("the key has a default").number()
    }

    fn number<T: TryFrom<i64>>(&self, key: &str) -> T {
        T::try_from(self.raw_number(key))
            .unwrap_or_else(|_| panic!("the table's range of {key} exceeds the field's type"))
    }

    fn explicit_number<T: TryFrom<i64>>(&self, key: &str) -> Option<T> {
        self.explicit.contains_key(key).then(|| self.number(key))
    }

    fn text(&self, key: &str) -> Option<String> {
        self.value(key).map(Value::into_text)
    }

    fn list(&self, key: &str) -> Vec<String> {
        self.value(key).map(Value::into_list).unwrap_or_default()
    }
}

fn invalid(key: &str, value: &str, problem: &str) -> BrokerConfigError {
    BrokerConfigError::Value(InvalidValue {
        key: key.to_owned(),
        value: value.to_owned(),
        problem: problem.to_owned(),
    })
}

/// Every key a properties file may hold, as `key (default): documentation`: for the command line's help.
pub fn documentation() -> impl Iterator<Item = (&'static str, Option<&'static str>, &'static str)> {
    DEFINITIONS
        .iter()
        .filter(|definition| matches!(definition.effect, Effect::Honoured))
        .map(|definition| (definition.key, definition.default, definition.documentation))
}

#[cfg(test)]
mod tests;
