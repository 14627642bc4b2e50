//! The offsets that a group has committed, and committing them.
//!
//! At versions with topics by name: a topic that was deleted still shows up under its name.

use std::collections::BTreeMap;

use rinka_net::wire::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use rinka_net::wire::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse,
};
use rinka_net::wire::{ApiKey, ErrorCode, Text};

use crate::cli::client::{Client, Deadline, TopicPartition, explain};
use crate::cli::failure::{Result, failed};
use crate::cli::output::printable;

/// The highest versions of OffsetFetch and OffsetCommit that have topics by name.
const BY_NAME: i16 = 9;

/// All that a group has committed; nothing where there is no such group.
pub(crate) fn committed(
    client: &mut Client,
    group: &str,
    deadline: Deadline,
) -> Result<Option<BTreeMap<TopicPartition, i64>>> {
    let id = Text::from(group.to_owned());
    let request = OffsetFetchRequest {
        group_id: id.clone(),
        topics: None,
        groups: vec![OffsetFetchRequestGroup {
            group_id: id,
            topics: None,
            ..Default::default()
        }],
        require_stable: false,
    };
    let error_of = |response: &OffsetFetchResponse| match response.groups.first() {
        Some(group) => group.error_code,
        None => response.error_code,
    };
    let mut response: OffsetFetchResponse = client.ask_coordinator(
        group,
        ApiKey::OffsetFetch,
        BY_NAME,
        &request,
        error_of,
        deadline,
    )?;
    match error_of(&response) {
        ErrorCode::NONE => {}
        ErrorCode::GROUP_ID_NOT_FOUND => return Ok(None),
        code => {
            return failed(format!(
                "group {}: {}",
                printable(group),
                explain(code, None)
            ));
        }
    }
    let topics = match response.groups.pop() {
        Some(group) => group.topics,
        None => response.topics,
    };
    let mut offsets = BTreeMap::new();
    for topic in topics {
        for partition in topic.partitions {
            // Below zero: none.
            if partition.committed_offset >= 0 && !partition.error_code.is_error() {
                let at = TopicPartition {
                    topic: topic.name.to_string(),
                    partition: partition.partition_index,
                };
                offsets.insert(at, partition.committed_offset);
            }
        }
    }
    Ok(Some(offsets))
}

/// Who commits: a member, or somebody from outside with generation -1 and no member id.
pub(crate) struct Committer<'a> {
    pub(crate) group: &'a str,
    pub(crate) generation: i32,
    pub(crate) member: &'a str,
}

/// Commits, and returns what was refused.
pub(crate) fn commit(
    client: &mut Client,
    committer: &Committer<'_>,
    offsets: &BTreeMap<TopicPartition, i64>,
    deadline: Deadline,
) -> Result<BTreeMap<TopicPartition, ErrorCode>> {
    let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
    // In the order of topics, so that each gets one place.
    for (at, offset) in offsets {
        if topics.last().is_none_or(|topic| *topic.name != *at.topic) {
            topics.push(OffsetCommitRequestTopic {
                name: Text::from(at.topic.clone()),
                ..Default::default()
            });
        }
        let topic = topics.last_mut().expect("one was put there");
        topic.partitions.push(OffsetCommitRequestPartition {
            partition_index: at.partition,
            committed_offset: *offset,
            committed_metadata: Some(Text::default()),
            ..Default::default()
        });
    }
    let request = OffsetCommitRequest {
        group_id: Text::from(committer.group.to_owned()),
        generation_id_or_member_epoch: committer.generation,
        member_id: Text::from(committer.member.to_owned()),
        topics,
        ..Default::default()
    };
    let passing = |response: &OffsetCommitResponse| {
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        let codes = partitions.map(|partition| partition.error_code);
        let passing = codes.filter(|code| crate::cli::client::is_passing(*code));
        passing.min_by_key(|code| code.0).unwrap_or(ErrorCode::NONE)
    };
    let response: OffsetCommitResponse = client.ask_coordinator(
        committer.group,
        ApiKey::OffsetCommit,
        BY_NAME,
        &request,
        passing,
        deadline,
    )?;
    let mut refused = BTreeMap::new();
    for topic in response.topics {
        for partition in topic.partitions {
            if partition.error_code.is_error() {
                let at = TopicPartition {
                    topic: topic.name.to_string(),
                    partition: partition.partition_index,
                };
                refused.insert(at, partition.error_code);
            }
        }
    }
    Ok(refused)
}
