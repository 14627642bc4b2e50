//! What each broker has on its disks (DescribeLogDirs).
//!
//! A broker that does not offer it, or cannot be reached, is left out and named.

use std::collections::BTreeMap;

use rinka_net::wire::describe_log_dirs::{
    DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeLogDirsResult,
};
use rinka_net::wire::{ApiKey, ErrorCode};

use super::{Client, Deadline, Metadata, TopicPartition, explain};
use crate::cli::failure::{Failure, Result};

#[derive(Debug, Default)]
pub(crate) struct LogDirs {
    /// Directories, by broker.
    pub(crate) brokers: BTreeMap<i32, Vec<DescribeLogDirsResult>>,
    /// Why a broker did not say.
    pub(crate) silent: BTreeMap<i32, String>,
}

impl Client {
    pub(crate) fn log_dirs(&mut self, metadata: &Metadata, deadline: Deadline) -> Result<LogDirs> {
        let mut found = LogDirs::default();
        for (id, address) in &metadata.brokers {
            let request = DescribeLogDirsRequest { topics: None };
            let offered = match self.offers(address, ApiKey::DescribeLogDirs, deadline) {
                Ok(offered) => offered,
                Err(Failure::Connection(reason)) => {
                    found.silent.insert(*id, reason);
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            if !offered {
                let reason = format!("the broker at {address} does not offer DescribeLogDirs");
                found.silent.insert(*id, reason);
                continue;
            }
            let response: Result<DescribeLogDirsResponse> =
                self.call(address, ApiKey::DescribeLogDirs, &request, deadline);
            match response {
                Ok(response) if response.error_code.is_error() => {
                    let reason = explain(response.error_code, None);
                    found.silent.insert(*id, reason);
                }
                Ok(response) => {
                    found.brokers.insert(*id, response.results);
                }
                Err(Failure::Connection(reason)) => {
                    found.silent.insert(*id, reason);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(found)
    }
}

impl LogDirs {
    /// Bytes on disk of every partition, all replicas together.
    pub(crate) fn sizes(&self) -> BTreeMap<TopicPartition, i64> {
        let mut sizes = BTreeMap::new();
        let directories = self.brokers.values().flatten();
        let good = directories.filter(|directory| directory.error_code == ErrorCode::NONE);
        for topic in good.flat_map(|directory| &directory.topics) {
            for partition in &topic.partitions {
                let at = TopicPartition {
                    topic: topic.name.to_string(),
                    partition: partition.partition_index,
                };
                let size: &mut i64 = sizes.entry(at).or_default();
                *size = size.saturating_add(partition.partition_size.max(0));
            }
        }
        sizes
    }
}
