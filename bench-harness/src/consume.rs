//! The consume run: reads every partition from its beginning to the high watermark it had at the start, one fetch at a time.
//!
//! Never skips a check: a wrong sum, or an offset that does not follow the one before, fails the run.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use rinka_net::wire::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use rinka_net::wire::{ApiKey, Text};
use rinka_storage::record_batch::{BatchError, RecordBatchHeader, verify_crc};

use crate::client::{Client, Mark, Result};
use crate::cpu;
use crate::report::Report;

/// The last version that names topics.
const VERSION: i16 = 12;

#[derive(Args, Clone, Debug)]
pub(crate) struct Consume {
    #[arg(long, default_value = "127.0.0.1:9092")]
    bootstrap: String,
    #[arg(long, default_value = "bench")]
    topic: String,
    /// Partitions the topic has, all of which are read; another number fails the run [default: what it has]
    #[arg(long)]
    partitions: Option<usize>,
    /// Bytes asked for per partition and request
    #[arg(long, default_value_t = 1 << 20, value_parser = clap::value_parser!(i32).range(1..))]
    fetch_bytes: i32,
    /// Not at the end after so long: the run fails
    #[arg(long, default_value_t = 60)]
    seconds_max: u64,
    /// The broker's process, to tell its CPU time and memory
    #[arg(long)]
    pid: Option<u32>,
    /// Write the result to this file as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

struct Position {
    partition: i32,
    next: i64,
    end: i64,
}

/// A connection to one broker, and what is left to read there.
struct Reading {
    client: Client,
    positions: Vec<Position>,
}

pub(crate) fn run(work: &Consume) -> Result<()> {
    let mut readings = connect(work)?;
    let mut report = Report::new("consume");
    let before = cpu::before(work.pid)?;
    let started = Instant::now();
    let deadline = started + Duration::from_secs(work.seconds_max);
    for reading in &mut readings {
        if let Err(error) = read(work, reading, deadline, &mut report) {
            report.errors.insert(error, 1);
            break;
        }
    }
    report.took = started.elapsed();
    let after = work.pid.and_then(cpu::usage);
    report.finish(work.pid, before, after, work.json.as_deref())
}

/// Makes connections and asks where partitions begin and end, before the clock starts.
fn connect(work: &Consume) -> Result<Vec<Reading>> {
    let topic = Client::connect(&work.bootstrap)?.topic(&work.topic)?;
    let has = topic.leaders.len();
    if work.partitions.is_some_and(|partitions| partitions != has) {
        return Err(format!("topic {} has {has} partitions", work.topic));
    }
    topic
        .brokers()
        .into_iter()
        .map(|broker| {
            let mut client = Client::connect(broker)?;
            let partitions: Vec<i32> = topic.led_by(broker).collect();
            let first = client.offsets(&work.topic, &partitions, Mark::Earliest)?;
            let end = client.offsets(&work.topic, &partitions, Mark::Latest)?;
            let positions: Option<Vec<Position>> = partitions
                .iter()
                .map(|partition| {
                    Some(Position {
                        partition: *partition,
                        next: *first.get(partition)?,
                        end: *end.get(partition)?,
                    })
                })
                .collect();
            let positions = positions.ok_or("a partition tells no offset")?;
            Ok(Reading { client, positions })
        })
        .collect()
}

fn read(
    work: &Consume,
    reading: &mut Reading,
    deadline: Instant,
    report: &mut Report,
) -> Result<()> {
    let Reading { client, positions } = reading;
    positions.retain(|position| position.next < position.end);
    while !positions.is_empty() {
        if Instant::now() > deadline {
            return Err(format!("not at the end after {} s", work.seconds_max));
        }
        fetch(work, client, positions, report)?;
        positions.retain(|position| position.next < position.end);
        // The next request begins with another partition, so that none is always first.
        if positions.len() > 1 {
            positions.rotate_left(1);
        }
    }
    Ok(())
}

fn fetch(
    work: &Consume,
    client: &mut Client,
    positions: &mut [Position],
    report: &mut Report,
) -> Result<()> {
    let request = FetchRequest {
        max_wait_ms: 100,
        min_bytes: 1,
        max_bytes: 50 << 20,
        topics: vec![FetchTopic {
            topic: Text::from(work.topic.clone()),
            partitions: positions
                .iter()
                .map(|position| FetchPartition {
                    partition: position.partition,
                    fetch_offset: position.next,
                    partition_max_bytes: work.fetch_bytes,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let response: FetchResponse = client.call(ApiKey::Fetch, VERSION, &request)?;
    if response.error_code.is_error() {
        return Err(format!("fetch: {}", response.error_code));
    }
    report.requests += 1;
    for data in response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions)
    {
        if data.error_code.is_error() {
            return Err(format!(
                "partition {} answered {}",
                data.partition_index, data.error_code
            ));
        }
        let position = positions
            .iter_mut()
            .find(|position| position.partition == data.partition_index)
            .ok_or("an answer for a partition that was not asked for")?;
        for slice in data.records.0.iter().flatten() {
            take(slice, position, report)?;
        }
    }
    Ok(())
}

fn take(records: &Bytes, position: &mut Position, report: &mut Report) -> Result<()> {
    let mut at = 0;
    while at < records.len() && position.next < position.end {
        let what = format!("partition {} offset {}", position.partition, position.next);
        let header = match RecordBatchHeader::parse(&records[at..]) {
            Ok(header) => header,
            // The last batch of an answer may be cut off.
            Err(BatchError::TooShort) => break,
            Err(error) => return Err(format!("{what}: {error:?}")),
        };
        let Some(batch) = records.get(at..at + header.size_in_bytes()) else {
            break;
        };
        verify_crc(batch).map_err(|error| format!("{what}: {error:?}"))?;
        if header.base_offset.0 != position.next {
            let begins = header.base_offset;
            return Err(format!("{what}: the next batch begins at {begins}"));
        }
        let count = i64::from(header.record_count);
        if count < 1 || header.end_offset().0 != position.next + count {
            return Err(format!("{what}: {count} records do not fill the offsets"));
        }
        position.next = header.end_offset().0;
        report.records += u64::from(header.record_count.cast_unsigned());
        report.bytes += batch.len() as u64;
        at += batch.len();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rinka_storage::leader_epoch::LeaderEpoch;
    use rinka_storage::offset::Offset;
    use rinka_storage::record_batch::{RecordBatchBuilder, set_base_offset_and_epoch};

    use super::*;

    fn batch(base_offset: i64, records: i64) -> Vec<u8> {
        let mut builder = RecordBatchBuilder::new();
        for _ in 0..records {
            builder.append(1, None, Some(b"value"));
        }
        let mut batch = builder.build().to_vec();
        set_base_offset_and_epoch(&mut batch, Offset(base_offset), LeaderEpoch(0));
        batch
    }

    fn taken(records: Vec<u8>) -> Result<(i64, u64)> {
        let mut report = Report::new("consume");
        let mut position = Position {
            partition: 0,
            next: 0,
            end: 5,
        };
        take(&Bytes::from(records), &mut position, &mut report)?;
        Ok((position.next, report.records))
    }

    #[test]
    fn whole_batches_in_order_are_taken() {
        assert_eq!(taken([batch(0, 2), batch(2, 3)].concat()), Ok((5, 5)));
        // Not what came after the start, and not what is cut off.
        assert_eq!(taken([batch(0, 5), batch(5, 3)].concat()), Ok((5, 5)));
        assert_eq!(
            taken([&batch(0, 2)[..], &batch(2, 3)[..70]].concat()),
            Ok((2, 2))
        );
    }

    #[test]
    fn a_gap_a_repetition_and_a_wrong_sum_are_found() {
        assert!(taken([batch(0, 2), batch(3, 2)].concat()).is_err());
        assert!(taken([batch(0, 2), batch(0, 2)].concat()).is_err());
        let mut wrong = batch(0, 2);
        *wrong.last_mut().expect("bytes") ^= 1;
        assert!(taken(wrong).is_err());
        let mut magic = batch(0, 2);
        magic[16] = 1;
        assert!(taken(magic).is_err());
    }
}
