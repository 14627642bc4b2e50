//! Reports as Prometheus text, format 0.0.4. Names that Kafka has are spelled as its JMX beans come out of the usual exporter;
//! ours begin with `rinka_`.
//!
//! Only text out; every name is written once, with its help and type before it.

mod groups;

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use rinka_storage::latency_histogram::LatencySnapshot;

use super::groups::LogEnds;
use super::{ProcessReport, ShardReport, TopicReport};

struct Page {
    text: String,
}

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A name with one sample for each set of labels.
    fn family<V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        samples: impl IntoIterator<Item = (String, V)>,
    ) {
        self.head(name, kind, help);
        for (labels, value) in samples {
            let _ = writeln!(self.text, "{name}{labels} {value}");
        }
    }

    fn one<V: Display>(&mut self, name: &str, kind: &str, help: &str, value: V) {
        self.family(name, kind, help, [(String::new(), value)]);
    }

    fn of_topics(
        &mut self,
        topics: &BTreeMap<&str, TopicReport>,
        name: &str,
        kind: &str,
        help: &str,
        value: impl Fn(&TopicReport) -> u64,
    ) {
        let sample =
            |(topic, report): (&&str, &TopicReport)| (label("topic", topic), value(report));
        self.family(name, kind, help, topics.iter().map(sample));
    }

    fn of_shards<V: Display>(
        &mut self,
        shards: &[ShardReport],
        name: &str,
        kind: &str,
        help: &str,
        value: impl Fn(&ShardReport) -> V,
    ) {
        let sample = |(number, report): (usize, &ShardReport)| {
            (label("shard", &number.to_string()), value(report))
        };
        self.family(name, kind, help, shards.iter().enumerate().map(sample));
    }

    fn histograms<'a>(
        &mut self,
        name: &str,
        help: &str,
        of_shards: impl Iterator<Item = &'a LatencySnapshot>,
    ) {
        self.head(name, "histogram", help);
        for (shard, snapshot) in of_shards.enumerate() {
            let mut seen = 0;
            for (bound, count) in snapshot.buckets() {
                seen += count;
                let le = match bound {
                    Some(bound) => bound.as_secs_f64().to_string(),
                    None => "+Inf".to_owned(),
                };
                let _ = writeln!(
                    self.text,
                    "{name}_bucket{{shard=\"{shard}\",le=\"{le}\"}} {seen}"
                );
            }
            let sum = snapshot.sum().as_secs_f64();
            let _ = writeln!(self.text, "{name}_sum{{shard=\"{shard}\"}} {sum}");
            let _ = writeln!(self.text, "{name}_count{{shard=\"{shard}\"}} {seen}");
        }
    }
}

/// A value is escaped as the format has it, though topic names need none of that.
fn label(name: &str, value: &str) -> String {
    labels(&[(name, value)])
}

fn labels(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| {
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    });
    let pairs: Vec<String> = pairs.collect();
    format!("{{{}}}", pairs.join(","))
}

fn sum<'a, K: Ord + Clone + 'a>(
    shards: &'a [ShardReport],
    counts: impl Fn(&'a ShardReport) -> &'a BTreeMap<K, u64>,
) -> BTreeMap<K, u64> {
    let mut all = BTreeMap::new();
    for (name, count) in shards.iter().flat_map(counts) {
        *all.entry(name.clone()).or_insert(0) += count;
    }
    all
}

/// The page of `/metrics`.
pub(crate) fn render(process: &ProcessReport, shards: &[ShardReport], ends: &LogEnds) -> String {
    let mut page = Page {
        text: String::with_capacity(16 << 10),
    };
    render_process(&mut page, process);
    render_topics(&mut page, shards);
    render_requests(&mut page, shards);
    render_storage(&mut page, shards);
    render_cleaner(&mut page, shards);
    groups::render(&mut page, shards, ends);
    page.text
}

fn render_process(page: &mut Page, process: &ProcessReport) {
    let version = label("version", process.version);
    page.family(
        "rinka_build_info",
        "gauge",
        "The release that runs.",
        [(version, 1)],
    );
    page.one(
        "rinka_uptime_seconds",
        "gauge",
        "Time since the start.",
        process.uptime.as_secs_f64(),
    );
    page.one(
        "rinka_recovery_seconds",
        "gauge",
        "How long recovery took at the start.",
        process.recovery.as_secs_f64(),
    );
    page.one(
        "rinka_recovery_partitions",
        "gauge",
        "Logs that recovery found.",
        process.recovered_partitions,
    );
    page.one(
        "rinka_recovery_blocks",
        "gauge",
        "Journal blocks that recovery replayed.",
        process.replayed_blocks,
    );
    page.one(
        "rinka_recovery_damaged_journals",
        "gauge",
        "Journals that recovery could not read to their end; the log names file and position.",
        process.damaged_journals,
    );
    page.one(
        "rinka_recovery_bytes",
        "gauge",
        "Bytes of batches that recovery brought to segments.",
        process.replayed_bytes,
    );
    page.one(
        "process_resident_memory_bytes",
        "gauge",
        "Memory in use.",
        process.resident_bytes,
    );
    page.one(
        "process_cpu_seconds_total",
        "counter",
        "CPU time, user and system.",
        process.cpu.as_secs_f64(),
    );
    page.one(
        "process_open_fds",
        "gauge",
        "Open descriptors.",
        process.open_descriptors,
    );
}

fn render_topics(page: &mut Page, shards: &[ShardReport]) {
    let mut topics: BTreeMap<&str, TopicReport> = BTreeMap::new();
    for (name, report) in shards.iter().flat_map(|shard| &shard.topics) {
        topics.entry(name).or_default().add(report);
    }
    let partitions: u64 = topics.values().map(|topic| topic.partitions).sum();
    page.one(
        "kafka_server_replicamanager_partitioncount",
        "gauge",
        "Partitions on this node.",
        partitions,
    );
    page.one(
        "kafka_server_replicamanager_leadercount",
        "gauge",
        "Partitions this node leads.",
        partitions,
    );
    let offline: u64 = shards.iter().map(|shard| shard.offline_partitions).sum();
    page.one(
        "kafka_server_replicamanager_offlinereplicacount",
        "gauge",
        "Partitions whose disk failed: they take and give nothing until a restart.",
        offline,
    );
    let brokertopic = "kafka_server_brokertopicmetrics";
    let mut of_topics = |name: &str, help: &str, value: fn(&TopicReport) -> u64| {
        page.of_topics(
            &topics,
            &format!("{brokertopic}_{name}_total"),
            "counter",
            help,
            value,
        );
    };
    of_topics("messagesin", "Records appended.", |topic| topic.messages_in);
    of_topics("bytesin", "Bytes of batches appended.", |topic| {
        topic.bytes_in
    });
    of_topics(
        "bytesout",
        "Bytes of batches given to consumers.",
        |topic| topic.bytes_out,
    );
    of_topics(
        "totalproducerequests",
        "Partitions of produce requests.",
        |topic| topic.produces,
    );
    of_topics(
        "failedproducerequests",
        "Partitions of produce requests that were refused.",
        |topic| topic.failed_produces,
    );
    of_topics(
        "totalfetchrequests",
        "Reads of partitions for fetch requests.",
        |topic| topic.fetches,
    );
    of_topics(
        "failedfetchrequests",
        "Reads of partitions that failed.",
        |topic| topic.failed_fetches,
    );
    page.of_topics(
        &topics,
        "kafka_log_log_size",
        "gauge",
        "Bytes in the logs of the topic.",
        |topic| topic.log_bytes,
    );
    page.head("rinka_acknowledgements_total", "counter", "Produce requests acknowledged, by what the ack stood on: flushed survives power loss, written survives the end of the process.");
    for (topic, report) in &topics {
        let topic = label("topic", topic);
        let topic = topic.trim_end_matches('}');
        for (class, count) in [
            ("flushed", report.acknowledged_flushed),
            ("written", report.acknowledged_written),
        ] {
            let _ = writeln!(
                page.text,
                "rinka_acknowledgements_total{topic},class=\"{class}\"}} {count}"
            );
        }
    }
}

fn render_requests(page: &mut Page, shards: &[ShardReport]) {
    let labelled = |name: &'static str, counts: BTreeMap<String, u64>| {
        counts
            .into_iter()
            .map(move |(value, count)| (label(name, &value), count))
    };
    let owned = |counts: BTreeMap<&'static str, u64>| {
        counts
            .into_iter()
            .map(|(name, count)| (name.to_owned(), count))
            .collect()
    };
    let requests = owned(sum(shards, |shard| &shard.requests));
    page.family(
        "kafka_network_requestmetrics_requests_total",
        "counter",
        "Requests, by API.",
        labelled("request", requests),
    );
    let refused = sum(shards, |shard| &shard.refused);
    page.family(
        "rinka_refused_batches_total",
        "counter",
        "Partitions of produce requests that were refused, by error.",
        labelled("error", refused),
    );
    let rejected = owned(sum(shards, |shard| &shard.rejected));
    page.family(
        "rinka_rejected_input_total",
        "counter",
        "Connections that were closed for what came or did not come, by kind.",
        labelled("kind", rejected),
    );
    page.of_shards(
        shards,
        "rinka_connections",
        "gauge",
        "Open connections.",
        |shard| shard.connections,
    );
    page.of_shards(
        shards,
        "rinka_connections_opened_total",
        "counter",
        "Connections taken.",
        |shard| shard.connections_opened,
    );
    page.of_shards(
        shards,
        "rinka_network_bytes_in_total",
        "counter",
        "Bytes received.",
        |shard| shard.network_bytes_in,
    );
    page.of_shards(
        shards,
        "rinka_network_bytes_out_total",
        "counter",
        "Bytes sent.",
        |shard| shard.network_bytes_out,
    );
    let sessions: u64 = shards.iter().map(|shard| shard.fetch_sessions).sum();
    page.one(
        "kafka_server_fetchsessioncache_numincrementalfetchsessions",
        "gauge",
        "Fetch sessions.",
        sessions,
    );
    let partitions: u64 = shards
        .iter()
        .map(|shard| shard.fetch_session_partitions)
        .sum();
    page.one(
        "kafka_server_fetchsessioncache_numincrementalfetchpartitionscached",
        "gauge",
        "Partitions of all fetch sessions.",
        partitions,
    );
}

fn render_storage(page: &mut Page, shards: &[ShardReport]) {
    page.histograms("rinka_flush_seconds", "Time from the submission of a journal block to its completion, flush included where asked.", shards.iter().map(|shard| &shard.flush));
    page.of_shards(
        shards,
        "rinka_journal_blocks_total",
        "counter",
        "Journal blocks written.",
        |shard| shard.journal_blocks,
    );
    page.of_shards(
        shards,
        "rinka_journal_bytes_total",
        "counter",
        "Bytes of journal blocks written.",
        |shard| shard.journal_bytes,
    );
    page.of_shards(
        shards,
        "rinka_journal_fullness_ratio",
        "gauge",
        "How much of the journal a restart would replay, 0 to 1.",
        |shard| shard.journal_fullness,
    );
    page.of_shards(
        shards,
        "rinka_unsent_bytes",
        "gauge",
        "Bytes of replies that clients have yet to take.",
        |shard| shard.unsent_bytes,
    );
    page.of_shards(
        shards,
        "rinka_uncommitted_bytes",
        "gauge",
        "Bytes taken and not in the journal yet.",
        |shard| shard.uncommitted_bytes,
    );
    page.of_shards(
        shards,
        "rinka_unwritten_bytes",
        "gauge",
        "Bytes in the journal that no segment holds yet.",
        |shard| shard.unwritten_bytes,
    );
    page.of_shards(
        shards,
        "rinka_cached_bytes",
        "gauge",
        "Bytes of recent batches in memory.",
        |shard| shard.cached_bytes,
    );
    page.of_shards(
        shards,
        "rinka_open_segments",
        "gauge",
        "Open segment files.",
        |shard| shard.open_files,
    );
    page.of_shards(
        shards,
        "rinka_doomed_files",
        "gauge",
        "Segments and directories that wait for file.delete.delay.ms.",
        |shard| shard.doomed_files,
    );
    page.of_shards(
        shards,
        "rinka_stalls_total",
        "counter",
        "Times a shard came back to its ticker 100 ms late or more.",
        |shard| shard.stalls,
    );
    page.of_shards(
        shards,
        "rinka_disk_full",
        "gauge",
        "1 while records are refused because the disk is full.",
        |shard| u8::from(shard.full),
    );
    page.of_shards(
        shards,
        "rinka_storage_failed",
        "gauge",
        "1 when the shard's disk failed and it takes nothing until a restart.",
        |shard| u8::from(shard.failure.is_some()),
    );
}

/// Kafka has a bean for the node; we have one sample a shard, since each has a cleaner of its own.
fn render_cleaner(page: &mut Page, shards: &[ShardReport]) {
    let mut gauge = |name: &str, help: &str, value: fn(&ShardReport) -> f64| {
        page.of_shards(shards, name, "gauge", help, value);
    };
    gauge(
        "kafka_log_logcleanermanager_max_dirty_percent",
        "The dirty share of the dirtiest compacted log, in percent.",
        |shard| shard.cleaner.max_dirty_ratio * 100.0,
    );
    gauge(
        "kafka_log_logcleanermanager_time_since_last_run_ms",
        "Milliseconds since compaction last looked for dirty logs.",
        |shard| shard.cleaner.since_last_run.as_millis() as f64,
    );
    gauge(
        "kafka_log_logcleanermanager_uncleanable_partitions_count",
        "Partitions that are not compacted any more, since something in them is damaged; the log says what.",
        |shard| shard.cleaner.uncleanable_partitions as f64,
    );
    gauge(
        "kafka_log_logcleaner_max_compaction_delay_secs",
        "By how much the oldest record that is not compacted is beyond max.compaction.lag.ms.",
        |shard| shard.cleaner.max_delay.as_secs_f64(),
    );
    gauge(
        "kafka_log_logcleaner_max_clean_time_secs",
        "How long the last run took.",
        |shard| shard.cleaner.last_took.as_secs_f64(),
    );
    gauge(
        "kafka_log_logcleaner_max_buffer_utilization_percent",
        "How full the key map of the last run was, in percent.",
        |shard| shard.cleaner.last_key_map_utilization * 100.0,
    );
    gauge(
        "kafka_log_logcleaner_cleaner_recopy_percent",
        "What was left of what the last run looked at, in percent.",
        |shard| shard.cleaner.last_recopied_ratio * 100.0,
    );
    let mut counter = |name: &str, help: &str, value: fn(&ShardReport) -> u64| {
        page.of_shards(shards, name, "counter", help, value);
    };
    counter(
        "rinka_compacted_logs_total",
        "Logs compacted, one counted as often as it was.",
        |shard| shard.cleaner.logs,
    );
    counter(
        "rinka_compaction_replaced_bytes_total",
        "Bytes of segments that compaction replaced.",
        |shard| shard.cleaner.bytes_before,
    );
    counter(
        "rinka_compaction_kept_bytes_total",
        "Bytes of the segments that took their place.",
        |shard| shard.cleaner.bytes_after,
    );
    counter(
        "rinka_compaction_read_bytes_total",
        "Bytes that compaction read.",
        |shard| shard.cleaner.bytes_read,
    );
    counter(
        "rinka_compaction_written_bytes_total",
        "Bytes that compaction wrote.",
        |shard| shard.cleaner.bytes_written,
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use rinka_storage::latency_histogram::LatencyHistogram;

    use super::*;

    #[test]
    fn every_name_is_told_once_and_every_line_is_a_sample() {
        let flush = LatencyHistogram::default();
        flush.record(Duration::from_micros(150));
        flush.record(Duration::from_secs(60));
        let shard = ShardReport {
            topics: BTreeMap::from([(
                "a\"b".to_owned(),
                TopicReport {
                    acknowledged_flushed: 3,
                    ..TopicReport::default()
                },
            )]),
            requests: BTreeMap::from([("Produce", 2)]),
            rejected: BTreeMap::from([("idle", 1)]),
            flush: flush.snapshot(),
            ..ShardReport::default()
        };
        let shards = [shard.clone(), shard];
        let page = render(&ProcessReport::default(), &shards, &LogEnds::new());
        let mut names = BTreeSet::new();
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                assert!(
                    names.insert(rest.split(' ').next().expect("a name")),
                    "{line}"
                );
            } else if !line.starts_with("# HELP ") {
                let (name, value) = line.rsplit_once(' ').expect("a value");
                let name = name.split('{').next().expect("a name");
                let known = ["", "_bucket", "_sum", "_count"].iter().any(|suffix| {
                    name.strip_suffix(suffix)
                        .is_some_and(|name| names.contains(name))
                });
                assert!(known && value.parse::<f64>().is_ok(), "{line}");
            }
        }
        let has = |line: &str| assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        has("rinka_acknowledgements_total{topic=\"a\\\"b\",class=\"flushed\"} 6");
        has("kafka_network_requestmetrics_requests_total{request=\"Produce\"} 4");
        has("rinka_rejected_input_total{kind=\"idle\"} 2");
        has("rinka_flush_seconds_bucket{shard=\"1\",le=\"0.0002\"} 1");
        has("rinka_flush_seconds_bucket{shard=\"1\",le=\"+Inf\"} 2");
        has("rinka_flush_seconds_count{shard=\"0\"} 2");
    }
}
