//! Real, unmodified clients against the real broker: each writes and reads back the text of this repository and generated records
//! with every codec, administrates, meets the errors a user meets; and each reads what all the others wrote. Never tests a client.
//!
//! - `cargo test -p rinka-core --test clients`: everything, for both routings. `... franz_go`: one client; `... core::`: one routing;
//!   `... groups`: groups of members alone.
//! - A client whose toolchain is absent is skipped by name; with `CI=true` that is a failure.
//! - `RINKA_CLIENT_MB` [256]: how many MB of generated records are written, over all clients and both routings.
//! - `RINKA_CLIENT_SEED`: the seed of the generated records; printed when a check fails.
//! - `RINKA_TEST_BOOTSTRAP=host:port`: against a broker that runs already and does not create topics by itself, such as
//!   `perf/kafka/start --data DIR --port PORT --set auto.create.topics.enable=false`: the control. Then only `node::`.

mod client;
mod corpus;
mod driver;
mod franz_go;
mod generated;
mod group;
mod java;
mod kafkajs;
mod kcat;
mod python;
mod record;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::time::Instant;

use client::{Answers, Client, Codec, Topic};
use corpus::CorpusRead;
use generated::{Expected, Generator, MEAN_RECORD_BYTES};
use support::admin::create_topic;
use support::broker::{Broker, BrokerSettings};
use support::toolchain::{Absent, skip};

const PARTITIONS: i32 = 6;

/// The clients that write, for the split of the size.
const WRITERS: usize = 7;

/// How to come by each client.
type Make = fn() -> Result<Box<dyn Client>, Absent>;

const CLIENTS: [Make; WRITERS] = [
    || Ok(Box::new(kcat::client()?)),
    || Ok(Box::new(python::librdkafka()?)),
    || Ok(Box::new(python::aiokafka()?)),
    || Ok(Box::new(java::java_3_9()?)),
    || Ok(Box::new(java::java_4()?)),
    || Ok(Box::new(franz_go::client()?)),
    || Ok(Box::new(kafkajs::client()?)),
];

macro_rules! for_each_routing {
    ($($routing:ident = $name:literal),*) => {$(
        mod $routing {
            use super::CLIENTS;

            #[test]
            fn kcat() {
                super::one_client($name, CLIENTS[0]);
            }

            #[test]
            fn kcat_lists_and_queries() {
                crate::kcat::metadata::lists_and_queries($name);
            }

            #[test]
            fn librdkafka() {
                super::one_client($name, CLIENTS[1]);
            }

            #[test]
            fn aiokafka() {
                super::one_client($name, CLIENTS[2]);
            }

            #[test]
            fn java_3_9() {
                super::one_client($name, CLIENTS[3]);
            }

            #[test]
            fn java_4() {
                super::one_client($name, CLIENTS[4]);
            }

            #[test]
            fn franz_go() {
                super::one_client($name, CLIENTS[5]);
            }

            #[test]
            fn kafkajs() {
                super::one_client($name, CLIENTS[6]);
            }

            mod groups {
                use crate::{franz_go, group, java, kafkajs, kcat, python};

                #[test]
                fn kcat() {
                    kcat::group::goes_on_without_a_killed_member($name);
                }

                #[test]
                fn librdkafka() {
                    group::share($name, "classic", python::librdkafka);
                }

                #[test]
                fn librdkafka_with_the_consumer_protocol() {
                    group::share($name, "consumer", python::librdkafka);
                }

                #[test]
                fn aiokafka() {
                    group::share($name, "classic", python::aiokafka);
                }

                #[test]
                fn java_3_9() {
                    group::share($name, "classic", java::java_3_9);
                }

                #[test]
                fn java_4() {
                    group::share($name, "classic", java::java_4);
                }

                #[test]
                fn java_4_with_the_consumer_protocol() {
                    group::share($name, "consumer", java::java_4);
                }

                #[test]
                fn franz_go() {
                    group::share($name, "classic", franz_go::client);
                }

                #[test]
                fn franz_go_with_the_consumer_protocol() {
                    group::share($name, "consumer", franz_go::client);
                }

                #[test]
                fn kafkajs() {
                    group::share($name, "classic", kafkajs::client);
                }

                #[test]
                fn classic_groups_survive_kills() {
                    group::survive_kills($name, "classic", franz_go::client);
                }

                #[test]
                fn consumer_groups_survive_kills() {
                    group::survive_kills($name, "consumer", franz_go::client);
                }
            }

            #[test]
            fn each_reads_what_the_others_wrote() {
                super::each_reads_what_the_others_wrote($name);
            }
        }
    )*};
}

for_each_routing!(node = "node", core = "core");

/// The folder of a driver's sources.
fn sources(client: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(client)
}

/// One client by itself: administration, errors, the corpus, generated records with every codec.
fn one_client(routing: &str, make: Make) {
    let client = match make() {
        Ok(client) => client,
        Err(absent) => return skip(&absent),
    };
    let Some(broker) = start(routing) else { return };
    let run = Run {
        broker: &broker,
        routing,
        client: client.as_ref(),
    };
    run.timed("admin", || run.admin());
    run.timed("errors", || run.errors());
    run.timed("corpus", || run.corpus());
    run.timed("generated", || run.generated());
}

/// Every client that is here reads the topic of every client that is here, the codecs one after another in the same partitions.
fn each_reads_what_the_others_wrote(routing: &str) {
    let mut clients = Vec::new();
    for make in CLIENTS {
        match make() {
            Ok(client) => clients.push(client),
            Err(absent) => skip(&absent),
        }
    }
    let Some(broker) = start(routing) else { return };
    for writer in &clients {
        let written = Run {
            broker: &broker,
            routing,
            client: writer.as_ref(),
        };
        let topic = written.name("crossed");
        let (generator, count, from, to) = written.write_generated(&topic);
        for reader in &clients {
            let reading = Run {
                client: reader.as_ref(),
                ..written
            };
            let what = format!("{} by {}", writer.name(), reader.name());
            reading.timed(&what, || {
                reading.read_generated(&topic, generator, count, (from, to));
            });
        }
    }
}

/// `None` where the routing cannot be chosen, because the broker runs already.
fn start(routing: &str) -> Option<Broker> {
    let broker = Broker::start(BrokerSettings::new(routing));
    if routing == "core" && !broker.is_rinka() {
        eprintln!("core routing is Rinka's own: nothing to run against the control");
        return None;
    }
    Some(broker)
}

/// One client at one broker.
#[derive(Clone, Copy)]
struct Run<'a> {
    broker: &'a Broker,
    routing: &'a str,
    client: &'a dyn Client,
}

impl Run<'_> {
    fn admin(&self) {
        let name = self.name("admin");
        let Some(answers) = self.client.admin(&self.topic(&name)) else {
            return;
        };
        let brokers = if self.routing == "core" { "2" } else { "1" };
        self.check_answers(
            &answers,
            &[
                ("brokers", &[brokers]),
                ("describe_cluster_brokers", &[brokers]),
                ("cluster_id", &["true", "True"]),
                ("controller", &["true"]),
                ("created", &["true"]),
                ("created_partitions", &["3"]),
                ("created_max_message_bytes", &["123456"]),
                ("same_topic_id", &["true"]),
                ("listed", &["true"]),
                ("partitions", &["3"]),
                ("max_message_bytes", &["123456"]),
                ("max_message_bytes_source", &["DYNAMIC_TOPIC_CONFIG"]),
                ("broker_configs", &["true"]),
                (
                    "create_again",
                    &[
                        "TOPIC_ALREADY_EXISTS",
                        "TopicAlreadyExistsError",
                        "TopicExistsException",
                        "false",
                    ],
                ),
                // Ten records were written to partition 1, at 1, 1001, 2001, ... ms.
                ("earliest", &["0"]),
                ("latest", &["10"]),
                ("max_timestamp", &["9"]),
                ("at_time", &["5"]),
                ("epoch_end_offset", &["10"]),
                ("delete_again", UNKNOWN_TOPIC),
                ("describe_deleted", UNKNOWN_TOPIC),
            ],
        );
        for needed in [
            "brokers",
            "partitions",
            "create_again",
            "latest",
            "delete_again",
        ] {
            assert!(
                answers.contains_key(needed),
                "{needed} was not answered: {answers:?}"
            );
        }
    }

    fn errors(&self) {
        let name = self.name("errors");
        create_topic(
            self.broker.bootstrap(),
            &name,
            2,
            &[("max.message.bytes", "100000")],
        );
        let answers = self.client.errors(&self.topic(&name));
        for (name, expected) in self.client.expected_errors() {
            let answer = answers.get(*name).map(String::as_str);
            assert_eq!(answer, Some(*expected), "{name}");
        }
        assert_eq!(
            answers.len(),
            self.client.expected_errors().len(),
            "{answers:?}"
        );
    }

    fn corpus(&self) {
        let name = self.name("corpus");
        let topic = self.topic(&name);
        self.create(&name);
        let mut records = corpus::corpus().iter().cloned();
        let acks = self.client.write(&topic, Codec::Lz4, &mut records);
        let mut read = CorpusRead::default();
        self.client
            .read(&topic, &mut |record| read.on_record(record));
        read.check(acks.as_deref());
    }

    fn generated(&self) {
        let name = self.name("generated");
        let (generator, count, from, to) = self.write_generated(&name);
        self.read_generated(&name, generator, count, (from, to));
    }

    /// Writes with every codec, one after another; returns what was written, records in a partition, and between which times.
    fn write_generated(&self, name: &str) -> (Generator, i64, i64, i64) {
        let topic = self.topic(name);
        self.create(name);
        let generator = Generator {
            seed: seed(),
            shape: self.client.shape(),
        };
        // Each client writes twice for each routing: by itself, and for the others to read.
        let megabytes: usize = setting("RINKA_CLIENT_MB", 256);
        let bytes = (megabytes << 20) / WRITERS / 2 / 2;
        let count = bytes / MEAN_RECORD_BYTES / usize::try_from(PARTITIONS).expect("few") / 5 + 1;
        let count = i64::try_from(count).expect("a count");
        let from = kcat::wall_clock();
        for (number, codec) in (0_i64..).zip(Codec::ALL) {
            let indexes = number * count..(number + 1) * count;
            let mut records = generator.records(PARTITIONS, indexes.clone());
            let acks = self.client.write(&topic, codec, &mut records);
            let Some(acks) = acks else { continue };
            let expected =
                indexes.flat_map(|index| (0..PARTITIONS).map(move |partition| (partition, index)));
            let acknowledged = acks.iter().map(|ack| (ack.partition, ack.offset));
            assert!(
                acknowledged.eq(expected),
                "{} with {codec}: the acks are not one for each record, in order",
                self.client.name()
            );
        }
        (generator, count * 5, from, kcat::wall_clock())
    }

    fn read_generated(&self, name: &str, generator: Generator, count: i64, wrote: (i64, i64)) {
        let mut expected = Expected::new(generator, PARTITIONS, count);
        expected.wall_clock = Some(wrote);
        self.client
            .read(&self.topic(name), &mut |record| expected.on_record(record));
        expected.finish();
    }

    /// A topic that keeps its records, whatever their timestamps.
    fn create(&self, name: &str) {
        create_topic(
            self.broker.bootstrap(),
            name,
            PARTITIONS,
            &[("retention.ms", "-1")],
        );
    }

    fn check_answers(&self, answers: &Answers, expected: &[(&str, &[&str])]) {
        for (name, answer) in answers {
            let Some((_, allowed)) = expected.iter().find(|(expected, _)| expected == name) else {
                panic!("{}: nobody expected {name}={answer}", self.client.name());
            };
            assert!(
                allowed.contains(&answer.as_str()),
                "{}: {name} is {answer}, and should be {allowed:?}",
                self.client.name()
            );
        }
    }

    /// Unlike any other of this run and of earlier ones, as the control keeps its topics.
    fn name(&self, kind: &str) -> String {
        let client = self.client.name().replace(' ', "-");
        format!(
            "{kind}-{client}-{}-{}",
            std::process::id(),
            kcat::wall_clock()
        )
    }

    fn topic<'a>(&'a self, name: &'a str) -> Topic<'a> {
        Topic {
            bootstrap: self.broker.bootstrap(),
            name,
        }
    }

    /// Shown with `--nocapture` and when the test fails.
    fn timed(&self, what: &str, action: impl FnOnce()) {
        println!(
            "{}, {}: {what} (RINKA_CLIENT_SEED={})",
            self.routing,
            self.client.name(),
            seed()
        );
        let started = Instant::now();
        action();
        println!(
            "{}, {}: {what}: {:.1?}",
            self.routing,
            self.client.name(),
            started.elapsed()
        );
    }
}

const UNKNOWN_TOPIC: &[&str] = &[
    "UNKNOWN_TOPIC_OR_PARTITION",
    "UNKNOWN_TOPIC_OR_PART",
    "UnknownTopicOrPartitionError",
    "UnknownTopicOrPartitionException",
];

fn seed() -> u64 {
    setting("RINKA_CLIENT_SEED", 1)
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
        Err(_) => default,
    }
}
