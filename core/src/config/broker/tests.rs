use proptest::prelude::*;

use super::*;

/// What an operator of a small KRaft cluster has: the stock file with the usual changes.
const KRAFT: &str = r"
############################# Server Basics #############################
process.roles=broker,controller
node.id=3
controller.quorum.voters=3@localhost:9093
controller.quorum.election.timeout.ms=1000
############################# Socket Server Settings ####################
listeners=PLAINTEXT://:9092,INTERNAL://10.0.0.7:9094,CONTROLLER://:9093
inter.broker.listener.name=INTERNAL
advertised.listeners=PLAINTEXT://kafka.example.org:9092
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,\
    INTERNAL:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=52428800
connections.max.idle.ms=-1
max.connections=5000
############################# Log Basics #################################
log.dirs=/var/lib/kafka/a,/var/lib/kafka/b
num.partitions=6
default.replication.factor=1
auto.create.topics.enable=false
delete.topic.enable = true
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
min.insync.replicas=1
unclean.leader.election.enable=false
message.max.bytes=2097152
replica.fetch.max.bytes=2097152
############################# Log Retention ##############################
log.retention.hours=24
#log.retention.bytes=1073741824
log.segment.bytes=536870912
log.retention.check.interval.ms=60000
log.roll.hours=48
log.cleaner.enable=true
log.cleanup.policy=delete
compression.type=producer
group.initial.rebalance.delay.ms=0
broker.rack=eu-1a
metric.reporters=
confluent.support.metrics.enable=false
my.own.key=1
";

fn parse(properties: &str) -> Result<BrokerConfig, BrokerConfigError> {
    BrokerConfig::parse(properties, &[])
}

fn check_refused(properties: &str, expected: &str) {
    let error = parse(properties).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_kraft_nodes_own_file_starts_this_node() {
    let config = parse(KRAFT).unwrap();
    assert_eq!(config.node_id, 3);
    assert_eq!(config.rack.as_deref(), Some("eu-1a"));
    assert_eq!(config.data_dir, PathBuf::from("/var/lib/kafka/a"));
    let [plain, internal] = config.listeners.as_slice() else {
        panic!("{:?}", config.listeners);
    };
    assert_eq!((plain.name.as_str(), plain.port), ("PLAINTEXT", 9092));
    assert_eq!(plain.advertised_host.as_deref(), Some("kafka.example.org"));
    assert_eq!(internal.advertised_host.as_deref(), Some("10.0.0.7"));
    assert_eq!(config.num_partitions, 6);
    assert!(!config.auto_create_topics_enable);
    assert!(config.delete_topic_enable);
    assert_eq!(config.socket_request_bytes_max, 52_428_800);
    assert_eq!(config.connection_idle_ms_max, None);
    assert_eq!(config.connections_max, 5000);
    assert_eq!(config.retention_check_interval_ms, 60_000);
    assert_eq!(config.group.initial_rebalance_delay_ms, 0);
    assert_eq!(config.offsets.topic.replication_factor, Some(1));
    assert_eq!(config.transaction.min_insync_replicas, Some(1));

    assert_eq!(config.unknown, ["my.own.key"]);
    let without: Vec<_> = config
        .without_effect
        .iter()
        .map(|(k, _)| k.as_str())
        .collect();
    for key in [
        "controller.quorum.voters",
        "controller.quorum.election.timeout.ms",
        "num.io.threads",
        "share.coordinator.state.topic.replication.factor",
        "confluent.support.metrics.enable",
    ] {
        assert!(without.contains(&key), "{key} in {without:?}");
    }
    assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
    assert!(config.warnings[0].contains("CONTROLLER://:9093"));
    assert!(config.warnings[1].contains("/var/lib/kafka/b"));
}

#[test]
fn an_empty_file_starts_the_node_for_this_machine_only() {
    let config = BrokerConfig::default();
    assert_eq!(config.node_id, 1);
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.listeners[0].host.as_deref(), Some("127.0.0.1"));
    assert_eq!(config.listeners[0].port, 9092);
    assert_eq!(config.data_dir, PathBuf::from("./rinka-data"));
    assert!(config.auto_create_topics_enable);
    assert_eq!(config.shards, None);
    assert_eq!(config.routing, Routing::Node);
    assert_eq!(config.memory_bytes, 64 << 20);
    assert_eq!(config.journal_bytes, 256 << 20);
    assert_eq!(config.offsets.topic.replication_factor, None);
    assert!(config.unknown.is_empty() && config.without_effect.is_empty());
    assert!(config.warnings.is_empty());
}

#[test]
fn overrides_win_and_the_last_one_most() {
    let overrides = ["node.id=7", "rinka.shards = 2", "node.id=8"].map(str::to_owned);
    let config = BrokerConfig::parse("node.id=1\nrinka.routing=core", &overrides).unwrap();
    assert_eq!(config.node_id, 8);
    assert_eq!(config.shards, Some(2));
    assert_eq!(config.routing, Routing::Core);
    assert_eq!(config.core_port_base, 9093);
    let error = BrokerConfig::parse("", &["node.id".to_owned()]).unwrap_err();
    assert!(error.to_string().contains("key=value"));
}

#[test]
fn errors_name_key_value_and_range() {
    check_refused(
        "rinka.spin.us=2000",
        "Invalid value 2000 for configuration rinka.spin.us: Value must be no more than 1000",
    );
    check_refused("rinka.journal.bytes=1000", "at least 67108864");
    check_refused("rinka.ack=maybe", "must be one of: flushed, written");
    check_refused("num.partitions=0", "at least 1");
    check_refused("node.id=1\nbroker.id=2", "Must equal node.id");
    check_refused("process.roles=controller", "Must include broker");
    check_refused("a=1\n\\u12=3", "line 2");
    check_refused(
        "log.cleaner.min.compaction.lag.ms=5\nlog.cleaner.max.compaction.lag.ms=4",
        "min.compaction.lag.ms",
    );
    check_refused(
        "rinka.routing=core\nlisteners=PLAINTEXT://:0",
        "rinka.core.port.base",
    );
    check_refused(
        "group.min.session.timeout.ms=9\ngroup.max.session.timeout.ms=8",
        "Must not exceed",
    );
}

#[test]
fn what_would_be_less_secure_than_asked_for_does_not_start() {
    check_refused("listeners=SASL_SSL://:9092", "SASL_SSL is not built yet");
    check_refused(
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "authorization is not built yet",
    );
    check_refused(
        "security.inter.broker.protocol=SSL",
        "only PLAINTEXT is taken",
    );
    check_refused("remote.log.storage.system.enable=true", "tiered storage");
    parse("authorizer.class.name=\nsecurity.inter.broker.protocol=PLAINTEXT").unwrap();
}

#[test]
fn the_older_name_of_the_node_id() {
    assert_eq!(parse("broker.id=5").unwrap().node_id, 5);
    assert_eq!(parse("broker.id=-1\nnode.id=5").unwrap().node_id, 5);
}

proptest! {
    /// Whatever a known key is given, the answer is a configuration or an error.
    #[test]
    fn never_panics(
        settings in proptest::collection::vec((any::<prop::sample::Index>(), "[-a-zA-Z0-9:/.,*]{0,12}|-?[0-9]{1,20}"), 0..6)
    ) {
        let text: String = settings
            .iter()
            .map(|(index, value)| {
                let key = DEFINITIONS[index.index(DEFINITIONS.len())].key;
                format!("{key}={value}\n")
            })
            .collect();
        let _ = parse(&text);
    }
}
