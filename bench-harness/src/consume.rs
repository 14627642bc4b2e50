//! The consume run: reads every partition from its beginning to the high watermark it had at the start.
//!
//! Checks each batch's sum and that offsets follow one another; a wrong one fails the run.

use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use rinka_net::wire::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use rinka_net::wire::{ApiKey, Text};
use rinka_storage::record_batch::{RecordBatchHeader, verify_crc};

use crate::client::{Client, Result};
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
    /// Bytes asked for per partition and request
    #[arg(long, default_value_t = 1 << 20)]
    fetch_bytes: i32,
    #[arg(long, default_value_t = 60)]
    seconds_max: u64,
    /// The broker's process, to tell its CPU time and memory
    #[arg(long)]
    pid: Option<u32>,
}

struct Position {
    partition: i32,
    next: i64,
    end: Option<i64>,
}

pub(crate) fn run(work: &Consume) -> Result<()> {
    let topic = Client::connect(&work.bootstrap)?.topic(&work.topic)?;
    let mut brokers: Vec<String> = topic.leaders.values().cloned().collect();
    brokers.sort();
    brokers.dedup();
    let before = work.pid.and_then(cpu::usage);
    let started = Instant::now();
    let deadline = started + Duration::from_secs(work.seconds_max);
    let mut report = Report {
        requests: 0,
        records: 0,
        bytes: 0,
        took: Duration::ZERO,
        latency: None,
        broker: None,
    };
    for broker in &brokers {
        let mut client = Client::connect(broker)?;
        let mut positions: Vec<Position> = topic
            .leaders
            .iter()
            .filter(|(_, leader)| *leader == broker)
            .map(|(partition, _)| Position {
                partition: *partition,
                next: 0,
                end: None,
            })
            .collect();
        while !positions.is_empty() {
            if Instant::now() > deadline {
                return Err(format!("not at the end after {} s", work.seconds_max));
            }
            fetch(work, &mut client, &mut positions, &mut report)?;
            positions.retain(|position| position.end.is_none_or(|end| position.next < end));
            // The next request begins with another partition, so that none is always first.
            if positions.len() > 1 {
                positions.rotate_left(1);
            }
        }
    }
    report.took = started.elapsed();
    report.broker = before.zip(work.pid.and_then(cpu::usage));
    print!("{report}");
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
        position.end.get_or_insert(data.high_watermark);
        for slice in data.records.0.iter().flatten() {
            take(slice, position, report)?;
        }
    }
    Ok(())
}

fn take(records: &Bytes, position: &mut Position, report: &mut Report) -> Result<()> {
    let mut at = 0;
    while let Ok(header) = RecordBatchHeader::parse(&records[at..]) {
        let Some(batch) = records.get(at..at + header.size_in_bytes()) else {
            break;
        };
        let what = format!("partition {} offset {}", position.partition, position.next);
        verify_crc(batch).map_err(|error| format!("{what}: {error:?}"))?;
        if header.base_offset.0 != position.next {
            return Err(format!(
                "{what}: the next batch begins at {}",
                header.base_offset
            ));
        }
        position.next = header.end_offset().0;
        report.records += u64::from(header.record_count.cast_unsigned());
        report.bytes += batch.len() as u64;
        at += batch.len();
    }
    Ok(())
}
