//! Kafka Connect, standalone and distributed, with its file connectors: lines go from a file through a topic into a file.
//!
//! What Connect promises, and what is checked: after clean ends each line arrives once, in order. After kill -9 of the worker that
//! runs a task each line arrives at least once, and a line is read or written again only if its offset had not been committed, by the
//! source to the offsets topic or by the sink to its group, when the worker was killed. So when the broker is killed.

mod copied_file;
mod rest;

use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use copied_file::{Arrived, CopiedFile, arrived};
use rinka_net::wire::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use rinka_net::wire::{ApiKey, Text};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Bench;
use crate::jvm::{Jvm, Program};
use crate::support::admin::create_topic;
use crate::support::ports;
use crate::support::toolchain::{self, Absent};
use crate::support::wire::Connection;

/// What has not come to pass in this time never will. A killed worker and its consumer are missed after six seconds.
const WITHIN: Duration = Duration::from_secs(60);

/// How often is looked where nobody tells.
const POLL: Duration = Duration::from_millis(20);

/// Lines before a worker is started, and again wherever it is looked whether all are copied.
const LINES: usize = 1_000;

/// What a connector does. Its name begins with the topic's, since a sink's group is named after it.
const SOURCE: &str = "source";
const SINK: &str = "sink";

#[test]
fn connect_standalone_copies_each_line_once() {
    if let Err(absent) = standalone(Copying::new("node")) {
        toolchain::skip(&absent);
    }
}

#[test]
fn connect_distributed_loses_no_line_when_workers_are_killed() {
    if let Err(absent) = distributed(Copying::new("node")) {
        toolchain::skip(&absent);
    }
}

/// Every core is a broker to Connect: its group, its topics and its connectors' are with different ones.
#[test]
fn connect_distributed_loses_no_line_when_cores_are_brokers() {
    let copying = Copying::new("core");
    if !copying.bench.broker.is_rinka() {
        eprintln!("core routing is Rinka's own: nothing to run against the control");
        return;
    }
    if let Err(absent) = distributed(copying) {
        toolchain::skip(&absent);
    }
}

#[test]
fn connect_distributed_loses_no_line_when_the_broker_is_killed() {
    if let Err(absent) = distributed_on_a_killed_broker(Copying::new("node")) {
        toolchain::skip(&absent);
    }
}

fn standalone(mut copying: Copying) -> Result<(), Absent> {
    let offsets = copying.folder.path().join("offsets");
    let settings = format!("offset.storage.file.filename={}\n", offsets.display());
    let connectors = [SOURCE, SINK].map(|name| copying.write_connector(name));
    let connectors = connectors.each_ref().map(String::as_str);
    copying.file.append(LINES);
    let port = ports::free_block();
    let mut worker = copying.start("ConnectStandalone", port, &settings, &connectors)?;
    wait("the file is copied", || copying.file.is_copied_exactly());
    copying.file.append(LINES);
    wait("what was appended is copied", || {
        copying.file.is_copied_exactly()
    });
    worker.jvm.terminate();
    worker.jvm.wait_for_its_end(WITHIN);

    // Both go on where they ended: the source by its file of offsets, the sink by its group's.
    copying.file.append(LINES);
    let _worker = copying.start("ConnectStandalone", port, &settings, &connectors)?;
    wait("what was appended meanwhile is copied", || {
        copying.file.is_copied_exactly()
    });
    Ok(())
}

fn distributed(mut copying: Copying) -> Result<(), Absent> {
    let settings = copying.distributed_settings();
    let block = ports::free_block();
    let mut workers = Vec::new();
    for port in [block, block + 1] {
        workers.push(copying.start("ConnectDistributed", port, &settings, &[])?);
    }
    for worker in &workers {
        worker.wait_until_ready();
    }
    copying.file.append(LINES);
    copying.create_connectors(block);
    for kind in ["configs", "offsets", "status"] {
        let topic = format!("{}-{kind}", copying.bench.name);
        let describe = ["--describe", "--topic", &topic];
        let compacted = ["cleanup.policy=compact", "ReplicationFactor: 1"];
        copying.bench.check("TopicCommand", &describe, &compacted);
    }

    for (kills, victim) in [(1, SOURCE), (2, SINK)] {
        let mut at = [0; 2];
        wait("each worker runs a task", || {
            let tasks = copying.running_on(&workers);
            let [Some(source), Some(sink)] = tasks else {
                return false;
            };
            at = [source, sink];
            source != sink
        });
        let victim = if victim == SOURCE { at[0] } else { at[1] };
        let before = copying.come_to_rest(workers[1 - victim].port);
        let settled = copying.file.lines();
        copying.file.append_while(|sink| {
            wait_for_more(sink, settled);
            workers[victim].jvm.kill9();
        });
        let survivor = 1 - victim;
        wait("the other worker has both tasks", || {
            copying.running_on(&workers[survivor..=survivor]) == [Some(0); 2]
        });
        wait("every line has arrived", || copying.has_arrived());
        let after = arrived(&copying.file.sink);
        after.assert_settled(&before);
        assert!(after.torn <= kills, "{} torn lines", after.torn);
        let port = workers[victim].port;
        workers[victim] = copying.start("ConnectDistributed", port, &settings, &[])?;
    }
    Ok(())
}

/// One worker, whose broker is killed under it: nothing that the source was acknowledged is lost.
fn distributed_on_a_killed_broker(mut copying: Copying) -> Result<(), Absent> {
    if !copying.bench.broker.can_be_killed() {
        return Ok(());
    }
    let settings = copying.distributed_settings();
    let port = ports::free_block();
    let worker = copying.start("ConnectDistributed", port, &settings, &[])?;
    worker.wait_until_ready();
    copying.file.append(LINES);
    copying.create_connectors(port);
    for _ in 0..2 {
        let before = copying.come_to_rest(port);
        let settled = copying.file.lines();
        let broker = &mut copying.bench.broker;
        copying.file.append_while(|sink| {
            wait_for_more(sink, settled);
            broker.kill9();
            broker.start_again();
        });
        let after = copying.come_to_rest(port);
        after.assert_settled(&before);
        assert_eq!(after.torn, 0, "the worker lived on");
    }
    Ok(())
}

/// Waits until lines beyond those have arrived, while more are appended.
fn wait_for_more(sink: &Path, settled: usize) {
    wait("lines arrive under load", || {
        arrived(sink).copies.len() > settled + LINES
    });
}

/// Which of the workers runs the one task of a connector, if that task runs.
fn running_on(workers: &[Worker], connector: &str) -> Option<usize> {
    let path = format!("/connectors/{connector}/status");
    // A worker that was killed does not answer.
    let answers = workers
        .iter()
        .map(|worker| rest::call(worker.port, "GET", &path, ""));
    let (_, status) = answers
        .filter_map(Result::ok)
        .find(|(status, _)| *status == 200)?;
    let task = &status["tasks"][0];
    assert_ne!(task["state"], "FAILED", "{status}");
    let runs = task["state"] == "RUNNING";
    let on = |worker: &Worker| task["worker_id"] == format!("127.0.0.1:{}", worker.port);
    workers.iter().position(on).filter(|_| runs)
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + WITHIN;
    while !done() {
        assert!(Instant::now() < deadline, "never came to pass: {what}");
        // Workers answer questions, and tell nothing by themselves.
        thread::sleep(POLL);
    }
}

struct Worker {
    jvm: Jvm,
    port: u16,
}

impl Worker {
    fn wait_until_ready(&self) {
        wait("the worker is ready", || {
            rest::call(self.port, "GET", "/", "").is_ok_and(|(status, _)| status == 200)
        });
    }
}

/// A broker, a topic of one partition, and the file that is copied through it.
struct Copying {
    bench: Bench,
    folder: TempDir,
    file: CopiedFile,
}

impl Copying {
    fn new(routing: &str) -> Self {
        let bench = Bench::routed(routing);
        create_topic(bench.broker.bootstrap(), &bench.name, 1, &[]);
        let folder = tempfile::tempdir().expect("a temporary directory");
        let file = CopiedFile::new(folder.path());
        Self {
            bench,
            folder,
            file,
        }
    }

    fn start(
        &self,
        class: &str,
        port: u16,
        settings: &str,
        more: &[&str],
    ) -> Result<Worker, Absent> {
        let bootstrap = self.bench.broker.bootstrap();
        let properties = format!(
            "bootstrap.servers={bootstrap}
listeners=http://127.0.0.1:{port}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
plugin.discovery=service_load
offset.flush.interval.ms=500
consumer.session.timeout.ms=6000
consumer.heartbeat.interval.ms=1000
{settings}"
        );
        let path = self.write(&format!("worker-{port}.properties"), &properties);
        let class = format!("org.apache.kafka.connect.cli.{class}");
        let arguments = [&[&*path], more].concat();
        let name = format!("the worker at {port}");
        let program = Program {
            suite: "Kafka Connect",
            name: &name,
            heap: "256m",
            class: &class,
            input: "",
        };
        let jvm = Jvm::start(&program, &arguments, None)?;
        Ok(Worker { jvm, port })
    }

    /// Whoever is missed has its tasks taken over at once; a default of Connect's gives it five minutes to come back.
    fn distributed_settings(&self) -> String {
        let name = &self.bench.name;
        format!(
            "group.id={name}-workers
config.storage.topic={name}-configs
config.storage.replication.factor=1
offset.storage.topic={name}-offsets
offset.storage.replication.factor=1
offset.storage.partitions=4
status.storage.topic={name}-status
status.storage.replication.factor=1
status.storage.partitions=2
session.timeout.ms=6000
heartbeat.interval.ms=1000
scheduled.rebalance.max.delay.ms=0
"
        )
    }

    fn connector_name(&self, name: &str) -> String {
        format!("{}-{name}", self.bench.name)
    }

    /// Which of the workers run the tasks of the source and of the sink.
    fn running_on(&self, workers: &[Worker]) -> [Option<usize>; 2] {
        [SOURCE, SINK].map(|name| running_on(workers, &self.connector_name(name)))
    }

    fn connector(&self, name: &str) -> Value {
        let (class, topic, file) = match name {
            SOURCE => ("FileStreamSourceConnector", "topic", &self.file.source),
            _ => ("FileStreamSinkConnector", "topics", &self.file.sink),
        };
        json!({
            "connector.class": format!("org.apache.kafka.connect.file.{class}"),
            "tasks.max": "1",
            topic: self.bench.name,
            "file": file,
        })
    }

    fn create_connectors(&self, port: u16) {
        for name in [SOURCE, SINK] {
            let config = self.connector(name).to_string();
            let path = format!("/connectors/{}/config", self.connector_name(name));
            wait("a connector is created", || {
                let answer = rest::call(port, "PUT", &path, &config);
                let (status, body) = answer.expect("the worker answers");
                // 409: the group has not come to rest.
                assert!(matches!(status, 201 | 409), "{status}: {body}");
                status == 201
            });
        }
    }

    /// As a properties file; says where.
    fn write_connector(&self, name: &str) -> String {
        let mut text = format!("name={}\n", self.connector_name(name));
        for (key, value) in self.connector(name).as_object().expect("an object") {
            text += &format!("{key}={}\n", value.as_str().expect("a text"));
        }
        self.write(&format!("{name}.properties"), &text)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    }

    /// Waits until everything has arrived, and both connectors have committed that.
    fn come_to_rest(&self, port: u16) -> Arrived {
        wait("every line has arrived", || self.has_arrived());
        let bytes = self.file.bytes();
        wait("the source has committed all it read", || {
            committed(port, &self.connector_name(SOURCE), "position")
                .is_ok_and(|position| position == Some(bytes))
        });
        wait("the sink has committed all it wrote", || {
            let end = self.end_of_topic();
            committed(port, &self.connector_name(SINK), "kafka_offset")
                .is_ok_and(|offset| offset == Some(end))
        });
        arrived(&self.file.sink)
    }

    fn has_arrived(&self) -> bool {
        let copies = arrived(&self.file.sink).copies;
        copies.len() == self.file.lines() && !copies.contains(&0)
    }

    fn end_of_topic(&self) -> usize {
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ListOffsetsTopic {
                name: Text::from(self.bench.name.clone()),
                partitions: vec![ListOffsetsPartition {
                    timestamp: -1,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        let mut connection = Connection::open(self.bench.broker.bootstrap());
        let response: ListOffsetsResponse = connection.call(ApiKey::ListOffsets, 5, &request);
        let offset = response.topics[0].partitions[0].offset;
        usize::try_from(offset).expect("an offset")
    }
}

/// Where a connector goes on, as the worker at that port says; `None` while it has committed nothing.
fn committed(port: u16, connector: &str, key: &str) -> io::Result<Option<usize>> {
    let path = format!("/connectors/{connector}/offsets");
    let (_, body) = rest::call(port, "GET", &path, "")?;
    let offset = body["offsets"][0]["offset"][key].as_u64();
    Ok(offset.map(|offset| usize::try_from(offset).expect("a short file")))
}
