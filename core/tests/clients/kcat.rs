//! kcat, Debian's package: records go through its command line and come back in a format of ours. Its driver is this file.

pub(crate) mod group;
pub(crate) mod metadata;

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::client::{Answers, Client, Codec, Shape, Topic};
use crate::driver::bounded;
use crate::record::{Ack, Record};
use crate::support::toolchain::{self, Absent};

/// What stands between key and value, and the header every generated record gets.
const KEY_DELIMITER: &str = "\t";

pub(crate) struct Kcat;

pub(crate) fn client() -> Result<Kcat, Absent> {
    toolchain::need("kcat", &["kcat"])?;
    Ok(Kcat)
}

/// Now, as a record's timestamp.
pub(crate) fn wall_clock() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(now.as_millis()).expect("a few centuries are left")
}

impl Kcat {
    fn spawn(topic: &Topic<'_>, arguments: &[&str], input: Stdio) -> Child {
        bounded("kcat")
            .args(["-b", topic.bootstrap, "-t", topic.name])
            .args(arguments)
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kcat is on PATH")
    }

    /// One run for each partition (`None`: kcat's own partitioner): `-p` is an argument of the whole run.
    fn write_partition(topic: &Topic<'_>, codec: Codec, partition: i32, records: &[Record]) {
        let codec = codec.to_string();
        let partition = partition.to_string();
        let mut arguments = vec![
            "-q",
            "-P",
            "-K",
            KEY_DELIMITER,
            "-p",
            &partition,
            "-z",
            &codec,
        ];
        arguments.extend(["-X", "enable.idempotence=true", "-X", "acks=all"]);
        // Only where the records mean null by it: in the corpus an empty line is an empty line.
        if records
            .iter()
            .any(|record| record.key.is_none() || record.value.is_none())
        {
            arguments.push("-Z");
        }
        let mut child = Self::spawn(topic, &arguments, Stdio::piped());
        let input = child.stdin.take().expect("piped");
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut input = BufWriter::new(input);
                for record in records {
                    let mut line = record.key.clone().unwrap_or_default();
                    line.extend(KEY_DELIMITER.as_bytes());
                    line.extend(record.value.as_deref().unwrap_or_default());
                    line.push(b'\n');
                    if input.write_all(&line).is_err() {
                        break;
                    }
                }
            });
            let output = child.wait_with_output().expect("not waited for");
            assert!(
                output.status.success() && output.stderr.is_empty(),
                "kcat failed to produce ({}): {}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        });
    }

    /// What kcat says when it fails, as far as it does not depend on the broker's address.
    fn failure(topic: &Topic<'_>, arguments: &[&str], input: &[u8]) -> String {
        let mut child = Self::spawn(topic, arguments, Stdio::piped());
        let mut to_child = child.stdin.take().expect("piped");
        // kcat may be gone before it has read all.
        let _ = to_child.write_all(input);
        drop(to_child);
        let output = child.wait_with_output().expect("not waited for");
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = said.rsplit(": ").next().unwrap_or_default().trim();
        format!(
            "{}: {reason}",
            if output.status.success() {
                "success"
            } else {
                "failure"
            }
        )
    }
}

impl Client for Kcat {
    fn name(&self) -> &'static str {
        "kcat"
    }

    fn shape(&self) -> Shape {
        Shape::LINES
    }

    fn write(
        &self,
        topic: &Topic<'_>,
        codec: Codec,
        records: &mut (dyn Iterator<Item = Record> + Send),
    ) -> Option<Vec<Ack>> {
        let mut records: Vec<Record> = records.collect();
        records.sort_by_key(|record| record.partition);
        for records in records.chunk_by(|left, right| left.partition == right.partition) {
            Self::write_partition(topic, codec, records[0].partition, records);
        }
        // kcat does not tell offsets; what is read shows the order.
        None
    }

    fn read(&self, topic: &Topic<'_>, on_record: &mut dyn FnMut(Record)) {
        // With -Z it prints NULL for a null and also for what is empty; the lengths tell which it is.
        let format = "%p %o %T %K %S %h\n%k%s\n";
        let arguments = [
            "-q",
            "-C",
            "-o",
            "beginning",
            "-e",
            "-u",
            "-Z",
            "-f",
            format,
        ];
        let mut child = Self::spawn(topic, &arguments, Stdio::null());
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).expect("a pipe") > 0 {
            on_record(parse_record(&line, &mut output));
            line.clear();
        }
        let ended = child.wait_with_output().expect("not waited for");
        assert!(
            ended.status.success(),
            "kcat failed to consume ({}): {}",
            ended.status,
            String::from_utf8_lossy(&ended.stderr)
        );
    }

    fn admin(&self, _topic: &Topic<'_>) -> Option<Answers> {
        None
    }

    fn errors(&self, topic: &Topic<'_>) -> Answers {
        let absent = format!("{}-absent", topic.name);
        let absent = Topic {
            name: &absent,
            ..*topic
        };
        let large = vec![b'x'; 200_000];
        // Without it kcat would wait five minutes for the topic to appear.
        let impatient = [
            "-X",
            "message.timeout.ms=8000",
            "-X",
            "topic.metadata.propagation.max.ms=1000",
        ];
        let produce = [&["-P"], &impatient[..]].concat();
        let to_absent_partition = [&["-P", "-p", "99"], &impatient[..]].concat();
        [
            (
                "unknown_topic_produce",
                Self::failure(&absent, &produce, b"x\n"),
            ),
            (
                "unknown_topic_consume",
                Self::failure(&absent, &["-C", "-e"], b""),
            ),
            ("record_too_large", Self::failure(topic, &produce, &large)),
            (
                "no_such_partition_produce",
                Self::failure(topic, &to_absent_partition, b"x\n"),
            ),
            (
                "no_such_partition_consume",
                Self::failure(topic, &["-C", "-e", "-p", "99"], b""),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    fn expected_errors(&self) -> &[(&'static str, &'static str)] {
        &[
            (
                "unknown_topic_produce",
                "failure: Unknown topic or partition",
            ),
            (
                "unknown_topic_consume",
                "failure: Unknown topic or partition",
            ),
            ("record_too_large", "failure: Message size too large"),
            ("no_such_partition_produce", "failure: Unknown partition"),
            (
                "no_such_partition_consume",
                "failure: partition 99 does not exist",
            ),
        ]
    }
}

/// `line` is `partition offset timestamp key-length value-length name=value,...`, then key and value follow.
fn parse_record(line: &[u8], output: &mut impl Read) -> Record {
    let line = std::str::from_utf8(line)
        .expect("numbers and the suite's own headers")
        .trim_end_matches('\n');
    let fields: Vec<&str> = line.splitn(6, ' ').collect();
    let number = |field: usize| -> i64 { fields[field].parse().expect("a number") };
    let mut content = |length: i64| {
        let printed = match usize::try_from(length) {
            Err(_) | Ok(0) => "NULL".len(),
            Ok(length) => length,
        };
        let mut content = vec![0; printed];
        output.read_exact(&mut content).expect("as long as it said");
        if length == 0 {
            content.clear();
        }
        (length >= 0).then_some(content)
    };
    let key = content(number(3));
    let value = content(number(4));
    let mut newline = [0];
    output
        .read_exact(&mut newline)
        .expect("the end of a record");
    let headers = fields[5]
        .split(',')
        .filter_map(|header| header.split_once('='))
        .map(|(name, value)| {
            let value = (value != "NULL").then(|| value.as_bytes().to_vec());
            (name.as_bytes().to_vec(), value)
        })
        .collect();
    Record {
        partition: i32::try_from(number(0)).expect("a partition"),
        offset: number(1),
        timestamp: number(2),
        key,
        value,
        headers,
    }
}
