//! Kafka's console producer, a JVM of its own that reads lines, and its console consumer.

use std::time::Duration;

use crate::Bench;
use crate::jvm::{Jvm, Program};
use crate::support::admin::create_topic;
use crate::support::toolchain::{self, Absent};

const WITHIN: Duration = Duration::from_secs(60);

#[test]
fn the_console_consumer_prints_what_the_console_producer_reads() {
    if let Err(absent) = pass_lines_on() {
        toolchain::skip(&absent);
    }
}

fn pass_lines_on() -> Result<(), Absent> {
    let bench = Bench::new();
    let topic = &*bench.name;
    create_topic(bench.broker.bootstrap(), topic, 1, &[]);
    let program = Program {
        suite: "Kafka's console producer",
        name: "the console producer",
        heap: "128m",
        class: "org.apache.kafka.tools.ConsoleProducer",
        input: "a:one\nb:two\na:three\n",
    };
    let server = ["--bootstrap-server", bench.broker.bootstrap()];
    let arguments = ["--topic", topic, "--reader-property", "parse.key=true"];
    let keys = ["--reader-property", "key.separator=:"];
    let arguments = [&server[..], &arguments, &keys].concat();
    let mut producer = Jvm::start(&program, &arguments, None)?;
    assert!(producer.wait_for_its_end(WITHIN).success());
    let consume = ["--topic", topic, "--from-beginning", "--max-messages", "3"];
    let show = ["--timeout-ms", "30000", "--formatter-property"];
    let consume = [&consume[..], &show, &["print.key=true"]].concat();
    let all = ["a\tone\nb\ttwo\na\tthree\n"];
    bench.check("consumer.ConsoleConsumer", &consume, &all);
    Ok(())
}
