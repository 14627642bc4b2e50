//! Kafka's own tools against the real broker: the command line's, what an operator types and what it says; its test clients; Connect.
//!
//! - `cargo test -p rinka-core --test tools`
//! - `KAFKA_JARS`: where the jars of Apache Kafka are; fetched with mvn when it is not set.
//! - `RINKA_TEST_BOOTSTRAP=host:port`: a broker that runs already, Apache Kafka as the control; or `RINKA_TEST_BROKER=perf/kafka/start`,
//!   which each test starts for itself.

mod connect;
mod console;
mod jvm;
mod session;
#[path = "../support/mod.rs"]
mod support;
mod verifiable;

use std::time::{Duration, Instant};

use rinka_storage::record_batch::RecordBatchBuilder;
use session::Printed;
use support::admin::{create_topic, produce, try_to_delete_topic};
use support::broker::{Broker, BrokerSettings};
use support::random::mix;

/// A broker and a name that no test and no earlier run has used.
struct Bench {
    broker: Broker,
    name: String,
}

impl Bench {
    fn new() -> Self {
        Self::routed("node")
    }

    fn routed(routing: &str) -> Self {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed();
        let now = now.expect("after 1970").as_nanos();
        let seed = u64::try_from(now).expect("for some centuries");
        // Groups come to rest as fast as their members speak.
        let settings = BrokerSettings::new(routing)
            .with("group.initial.rebalance.delay.ms", "0")
            .with("group.consumer.min.heartbeat.interval.ms", "200")
            .with("group.consumer.heartbeat.interval.ms", "200");
        Self {
            broker: Broker::start(settings),
            name: format!("tools-{:x}", mix(seed)),
        }
    }

    fn run(&self, tool: &str, arguments: &[&str]) -> Option<Printed> {
        let class = match tool {
            "ConfigCommand" => "kafka.admin.ConfigCommand".to_owned(),
            tool => format!("org.apache.kafka.tools.{tool}"),
        };
        let server = ["--bootstrap-server", self.broker.bootstrap()];
        session::run(&class, &[&server[..], arguments].concat())
    }

    /// Runs a tool that must succeed and print all of these. `false`: there is no Java here.
    fn check(&self, tool: &str, arguments: &[&str], expected: &[&str]) -> bool {
        let Some(printed) = self.run(tool, arguments) else {
            return false;
        };
        assert_eq!(printed.code, 0, "{tool} {arguments:?}: {}", printed.text);
        for expected in expected {
            let text = &printed.text;
            assert!(
                text.contains(expected),
                "{tool} {arguments:?} does not print {expected:?} but: {text}"
            );
        }
        true
    }

    /// Runs a tool that must fail and say why.
    fn check_refused(&self, tool: &str, arguments: &[&str], expected: &str) {
        if let Some(printed) = self.run(tool, arguments) {
            let text = &printed.text;
            assert_ne!(printed.code, 0, "{tool} {arguments:?}: {text}");
            assert!(text.contains(expected), "{tool} {arguments:?}: {text}");
        }
    }

    /// A topic with records in its first partition.
    fn filled(&self, records: usize) -> usize {
        create_topic(self.broker.bootstrap(), &self.name, 2, &[]);
        let mut builder = RecordBatchBuilder::new();
        for _ in 0..records {
            builder.append(1_000, Some(b"key"), Some(b"value"));
        }
        let batch = builder.build();
        let deadline = Instant::now() + Duration::from_secs(20);
        // Kafka answers the creation before its partition has a leader everywhere.
        while produce(self.broker.bootstrap(), &self.name, &batch).expect("an answer") != 0 {
            assert!(Instant::now() < deadline, "no leader in time");
        }
        batch.len()
    }
}

#[test]
fn topics_are_created_described_grown_and_deleted() {
    let bench = Bench::new();
    let topic = &*bench.name;
    let made = format!("Created topic {topic}.");
    let create = ["--create", "--topic", topic, "--partitions", "2"];
    let config = ["--config", "retention.ms=12345"];
    bench.check("TopicCommand", &[&create[..], &config].concat(), &[&made]);
    let describe = ["--describe", "--topic", topic];
    let shape = [
        "PartitionCount: 2",
        "ReplicationFactor: 1",
        "retention.ms=12345",
    ];
    bench.check("TopicCommand", &describe, &shape);
    let more = ["--alter", "--topic", topic, "--partitions", "4"];
    bench.check("TopicCommand", &more, &[]);
    bench.check(
        "TopicCommand",
        &describe,
        &["PartitionCount: 4", "Partition: 3"],
    );
    let fewer = ["--alter", "--topic", topic, "--partitions", "3"];
    bench.check_refused("TopicCommand", &fewer, "would not be an increase");
    bench.check("TopicCommand", &["--list"], &[topic]);
    bench.check("TopicCommand", &["--delete", "--topic", topic], &[]);
    bench.check_refused("TopicCommand", &describe, "does not exist");
}

#[test]
fn topics_and_brokers_are_configured_while_they_run() {
    let bench = Bench::new();
    bench.filled(1);
    let of_topic = ["--entity-type", "topics", "--entity-name", &bench.name];
    let alter = [
        &["--alter"],
        &of_topic[..],
        &[
            "--add-config",
            "cleanup.policy=[compact,delete],segment.ms=70000",
        ],
    ];
    bench.check(
        "ConfigCommand",
        &alter.concat(),
        &["Completed updating config"],
    );
    let describe = [&["--describe"], &of_topic[..]].concat();
    let own = [
        "cleanup.policy=compact,delete",
        "DYNAMIC_TOPIC_CONFIG:segment.ms=70000",
    ];
    bench.check("ConfigCommand", &describe, &own);
    let all = [&describe[..], &["--all"]].concat();
    bench.check(
        "ConfigCommand",
        &all,
        &["DEFAULT_CONFIG:log.segment.bytes=1073741824"],
    );
    let wrong = [&["--alter"], &of_topic[..], &["--add-config", "colour=red"]];
    bench.check_refused(
        "ConfigCommand",
        &wrong.concat(),
        "Unknown topic config name: colour",
    );

    let here = ["--entity-type", "brokers", "--entity-name", "1"];
    let everywhere = ["--entity-type", "brokers", "--entity-default"];
    let key = "log.segment.delete.delay.ms";
    for (whom, value) in [(&here[..], "61000"), (&everywhere, "62000")] {
        let set = format!("{key}={value}");
        let alter = [&["--alter"], whom, &["--add-config", &set]].concat();
        bench.check("ConfigCommand", &alter, &["Completed updating"]);
    }
    let both = [
        "DYNAMIC_BROKER_CONFIG:log.segment.delete.delay.ms=61000",
        "DYNAMIC_DEFAULT_BROKER_CONFIG:log.segment.delete.delay.ms=62000",
    ];
    let describe = [&["--describe"], &here[..]].concat();
    bench.check("ConfigCommand", &describe, &both);
    for whom in [&here[..], &everywhere] {
        let back = [&["--alter"], whom, &["--delete-config", key]].concat();
        bench.check("ConfigCommand", &back, &["Completed updating"]);
    }
    let all = [&describe[..], &["--all"]].concat();
    bench.check(
        "ConfigCommand",
        &all,
        &["log.segment.delete.delay.ms=60000", "node.id=1"],
    );
    let fixed = [&["--alter"], &here[..], &["--add-config", "node.id=2"]];
    bench.check_refused(
        "ConfigCommand",
        &fixed.concat(),
        "Cannot update these configs dynamically",
    );
    let loggers = [
        "--describe",
        "--entity-type",
        "broker-loggers",
        "--entity-name",
        "1",
    ];
    bench.check("ConfigCommand", &loggers, &["root="]);
}

#[test]
fn clients_have_quotas() {
    let bench = Bench::new();
    let client = ["--entity-type", "clients", "--entity-name", &bench.name];
    let set = "producer_byte_rate=1024,request_percentage=50";
    let alter = [&["--alter"], &client[..], &["--add-config", set]].concat();
    bench.check(
        "ConfigCommand",
        &alter,
        &["Completed updating config for client"],
    );
    let described = format!("Quota configs for client-id '{}' are ", bench.name);
    let described = [
        &*described,
        "producer_byte_rate=1024.0",
        "request_percentage=50.0",
    ];
    let describe = [&["--describe"], &client[..]].concat();
    bench.check("ConfigCommand", &describe, &described);
    let keys = "producer_byte_rate,request_percentage";
    let back = [&["--alter"], &client[..], &["--delete-config", keys]].concat();
    bench.check(
        "ConfigCommand",
        &back,
        &["Completed updating config for client"],
    );
}

#[test]
fn offsets_are_told_and_records_deleted() {
    let bench = Bench::new();
    bench.filled(3);
    let end = format!("{}:0:3", bench.name);
    let offsets = ["--topic", &bench.name];
    bench.check("GetOffsetShell", &offsets, &[&end]);
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("offsets.json");
    let upto = format!(
        r#"{{"partitions":[{{"topic":"{}","partition":0,"offset":2}}],"version":1}}"#,
        bench.name
    );
    std::fs::write(&file, upto).expect("written");
    let file = file.to_str().expect("UTF-8");
    let deleted = format!("partition: {}-0\tlow_watermark: 2", bench.name);
    bench.check(
        "DeleteRecordsCommand",
        &["--offset-json-file", file],
        &[&deleted],
    );
    let start = format!("{}:0:2", bench.name);
    let earliest = [&offsets[..], &["--time", "earliest"]].concat();
    bench.check("GetOffsetShell", &earliest, &[&start]);
}

#[test]
fn the_disk_is_described() {
    let bench = Bench::new();
    let bytes = bench.filled(10);
    let partition = format!(
        r#"{{"partition":"{}-0","size":{bytes},"offsetLag":0,"isFuture":false}}"#,
        bench.name
    );
    let asked = ["--describe", "--topic-list", &bench.name];
    bench.check("LogDirsCommand", &asked, &[&partition, r#""error":null"#]);
}

#[test]
fn the_broker_says_what_it_speaks() {
    let bench = Bench::new();
    let spoken = [
        "Produce(0): 0 to 13 [usable: 13]",
        "CreatePartitions(37): 0 to 3 [usable: 3]",
        "DescribeTopicPartitions(75): 0 [usable: 0]",
    ];
    bench.check("BrokerApiVersionsCommand", &[], &spoken);
}

#[test]
fn the_quorum_is_described() {
    let bench = Bench::new();
    let status = [
        "LeaderId:               1",
        "CurrentObservers:       []",
        "\"id\": 1",
    ];
    bench.check("MetadataQuorumCommand", &["describe", "--status"], &status);
    bench.check(
        "MetadataQuorumCommand",
        &["describe", "--replication"],
        &["Leader"],
    );
}

#[test]
fn features_are_described_and_kept_within_what_is_supported() {
    let bench = Bench::new();
    let features = ["Feature: metadata.version", "FinalizedVersionLevel: 4."];
    bench.check("FeatureCommand", &["describe"], &features);
    let upgrade = ["upgrade", "--feature", "colour=1"];
    bench.check_refused("FeatureCommand", &upgrade, "1 out of 1 operation(s) failed");
}

#[test]
fn leaders_that_lead_are_not_elected_again() {
    let bench = Bench::new();
    bench.filled(1);
    let preferred = ["--election-type", "preferred"];
    let all = [&preferred[..], &["--all-topic-partitions"]].concat();
    bench.check("LeaderElectionCommand", &all, &[]);
    let one = [
        &preferred[..],
        &["--topic", &bench.name, "--partition", "0"],
    ]
    .concat();
    let told = format!(
        "Valid replica already elected for partitions {}-0",
        bench.name
    );
    bench.check("LeaderElectionCommand", &one, &[&told]);
}

/// Columns are as wide as their widest entry.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn groups_consume_and_are_described_reset_and_deleted() {
    const GROUPS: &str = "consumer.group.ConsumerGroupCommand";
    let bench = Bench::new();
    bench.filled(30);
    let topic = &*bench.name;
    for protocol in ["classic", "consumer"] {
        let group = format!("{topic}-{protocol}");
        let property = format!("group.protocol={protocol}");
        let consume = [
            "--topic",
            topic,
            "--group",
            &group,
            "--from-beginning",
            "--max-messages",
            "30",
            "--timeout-ms",
            "30000",
            "--command-property",
            &property,
        ];
        let all = ["Processed a total of 30 messages"];
        if !bench.check("consumer.ConsoleConsumer", &consume, &all) {
            return;
        }
        bench.check(GROUPS, &["--list"], &[&group]);
        let of_group = ["--group", &*group];
        let describe = [&["--describe"], &of_group[..]].concat();
        let lag = |expected: &str| {
            if let Some(printed) = bench.run(GROUPS, &describe) {
                let text = squeezed(&printed.text);
                let expected = format!("{group} {topic} 0 {expected}");
                assert!(text.contains(&expected), "no {expected:?} in {text}");
            }
        };
        lag("30 30 0");
        let reset = [
            &["--reset-offsets", "--topic", topic, "--execute"],
            &of_group[..],
        ]
        .concat();
        bench.check(GROUPS, &[&reset[..], &["--to-offset", "7"]].concat(), &[]);
        lag("7 30 23");
        bench.check(GROUPS, &[&reset[..], &["--to-latest"]].concat(), &[]);
        lag("30 30 0");
        let delete = [&["--delete"], &of_group[..]].concat();
        bench.check(GROUPS, &delete, &["was successful"]);
        // The tool says so and ends well, whoever is asked.
        bench.check(GROUPS, &describe, &["not found"]);
    }
}

#[test]
fn access_is_not_controlled_and_kafka_says_so_too() {
    let bench = Bench::new();
    bench.check_refused("AclCommand", &["--list"], "No Authorizer is configured");
}

/// Kafka's own test of a client against a broker: what it must find is what Kafka's system tests expect of a broker of the client's own
/// version, for a cluster of one node.
#[test]
fn the_client_compatibility_test_finds_the_features_of_its_own_version() {
    let bench = Bench::new();
    create_topic(bench.broker.bootstrap(), &bench.name, 1, &[]);
    // The tool creates it; a broker that runs already may have it from an earlier run.
    let _ = try_to_delete_topic(bench.broker.bootstrap(), "newtopic");
    let features = [
        ("--topic", &*bench.name),
        ("--num-cluster-nodes", "1"),
        ("--create-topics-supported", "true"),
        ("--offsets-for-times-supported", "true"),
        ("--cluster-id-supported", "true"),
        ("--expect-record-too-large-exception", "false"),
        ("--describe-acls-supported", "true"),
        ("--describe-configs-supported", "true"),
        ("--idempotent-producer-supported", "true"),
    ];
    let arguments = features.map(|(name, value)| [name, value]).concat();
    bench.check("ClientCompatibilityTest", &arguments, &["SUCCESS."]);
}

#[test]
fn the_performance_tools_send_and_receive() {
    let bench = Bench::new();
    bench.filled(1);
    let topic = &*bench.name;
    let records = ["--topic", topic, "--num-records", "500"];
    let send = ["--record-size", "100", "--throughput", "-1"];
    bench.check(
        "ProducerPerformance",
        &[&records[..], &send].concat(),
        &["500 records sent"],
    );
    let receive = ["--timeout", "30000"];
    bench.check(
        "ConsumerPerformance",
        &[&records[..], &receive].concat(),
        &["nMsg.sec"],
    );
}
