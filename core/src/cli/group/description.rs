//! A group with its members, in one shape for both protocols: asked by ConsumerGroupDescribe first, and by DescribeGroups where the
//! group is a classic one or the broker an older one.
//!
//! What a member left as bytes may be unreadable: then it has no partitions here, and that is said.

use std::collections::BTreeSet;

use rinka_net::wire::consumer_group_describe::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, Member as ConsumerMember,
};
use rinka_net::wire::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroupMember,
};
use rinka_net::wire::{ApiKey, ErrorCode, Text};
use serde::Serialize;

use super::assignment;
use crate::cli::client::{Client, Deadline, TopicPartition, explain};
use crate::cli::failure::{Result, failed};
use crate::cli::output::printable;

/// The kind of groups of the older protocol.
const CLASSIC: &str = "classic";

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Description {
    pub(super) group: String,
    /// `classic` or `consumer`.
    pub(super) kind: &'static str,
    pub(super) state: String,
    pub(super) assignor: String,
    /// Of a group of KIP-848's protocol.
    pub(super) epoch: Option<i32>,
    pub(super) coordinator: String,
    pub(super) members: Vec<Member>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Member {
    pub(super) member_id: String,
    pub(super) instance_id: Option<String>,
    pub(super) client_id: String,
    pub(super) host: String,
    #[serde(serialize_with = "as_text")]
    pub(super) partitions: BTreeSet<TopicPartition>,
    /// Whether what it left could not be read.
    pub(super) unreadable: bool,
}

fn as_text<S: serde::Serializer>(
    partitions: &BTreeSet<TopicPartition>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(
        partitions
            .iter()
            .map(|at| serde_json::json!({ "topic": at.topic, "partition": at.partition })),
    )
}

impl Description {
    pub(super) fn member_of(&self, at: &TopicPartition) -> Option<&Member> {
        let mut members = self.members.iter();
        members.find(|member| member.partitions.contains(at))
    }
}

/// That a group is not there, and what to do about it.
pub(super) fn no_group(group: &str) -> String {
    let group = printable(group);
    format!("there is no group {group}: `rinka group list` shows those there are")
}

/// Whether the group is one of the classic protocol that has members: whoever joins it by the newer one changes the protocol of all.
pub(in crate::cli) fn has_classic_members(
    client: &mut Client,
    group: &str,
    deadline: Deadline,
) -> Result<bool> {
    let described = describe(client, group, deadline)?;
    Ok(described.is_some_and(|group| group.kind == CLASSIC && !group.members.is_empty()))
}

/// Nothing where there is no such group.
pub(super) fn describe(
    client: &mut Client,
    group: &str,
    deadline: Deadline,
) -> Result<Option<Description>> {
    let coordinator = client.coordinator(group, deadline)?;
    if !client.offers(&coordinator, ApiKey::ConsumerGroupDescribe, deadline)? {
        return classic(client, group, deadline);
    }
    if let Some(description) = consumer(client, group, deadline)? {
        return Ok(Some(description));
    }
    match classic(client, group, deadline)? {
        // It may have changed its protocol between the two questions.
        None => consumer(client, group, deadline),
        described => Ok(described),
    }
}

fn consumer(client: &mut Client, group: &str, deadline: Deadline) -> Result<Option<Description>> {
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![Text::from(group.to_owned())],
        ..Default::default()
    };
    let response: ConsumerGroupDescribeResponse = client.ask_coordinator(
        group,
        ApiKey::ConsumerGroupDescribe,
        i16::MAX,
        &request,
        |response: &ConsumerGroupDescribeResponse| {
            let group = response.groups.first();
            group.map_or(ErrorCode::NONE, |group| group.error_code)
        },
        deadline,
    )?;
    let coordinator = client.coordinator(group, deadline)?.to_string();
    let Some(described) = response.groups.into_iter().next() else {
        return Ok(None);
    };
    match described.error_code {
        ErrorCode::NONE => {}
        // A classic group, or a broker where the new protocol is switched off.
        ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::UNSUPPORTED_VERSION => return Ok(None),
        code => {
            let text = explain(code, described.error_message.as_deref());
            return failed(format!("group {}: {text}", printable(group)));
        }
    }
    let member = |member: ConsumerMember| Member {
        member_id: member.member_id.to_string(),
        instance_id: member.instance_id.map(|id| id.to_string()),
        client_id: member.client_id.to_string(),
        host: member.client_host.to_string(),
        partitions: member
            .assignment
            .topic_partitions
            .iter()
            .flat_map(|topic| {
                let at = |partition: &i32| TopicPartition {
                    topic: topic.topic_name.to_string(),
                    partition: *partition,
                };
                topic.partitions.iter().map(at)
            })
            .collect(),
        unreadable: false,
    };
    Ok(Some(Description {
        group: group.to_owned(),
        kind: "consumer",
        state: described.group_state.to_string(),
        assignor: described.assignor_name.to_string(),
        epoch: Some(described.group_epoch),
        coordinator,
        members: described.members.into_iter().map(member).collect(),
    }))
}

fn classic(client: &mut Client, group: &str, deadline: Deadline) -> Result<Option<Description>> {
    let request = DescribeGroupsRequest {
        groups: vec![Text::from(group.to_owned())],
        ..Default::default()
    };
    let response: DescribeGroupsResponse = client.ask_coordinator(
        group,
        ApiKey::DescribeGroups,
        i16::MAX,
        &request,
        |response: &DescribeGroupsResponse| {
            let group = response.groups.first();
            group.map_or(ErrorCode::NONE, |group| group.error_code)
        },
        deadline,
    )?;
    let coordinator = client.coordinator(group, deadline)?.to_string();
    let Some(described) = response.groups.into_iter().next() else {
        return failed(format!(
            "the coordinator says nothing of group {}",
            printable(group)
        ));
    };
    match described.error_code {
        ErrorCode::NONE if *described.group_state == *"Dead" => return Ok(None),
        ErrorCode::NONE => {}
        ErrorCode::GROUP_ID_NOT_FOUND => return Ok(None),
        code => {
            let text = explain(code, described.error_message.as_deref());
            return failed(format!("group {}: {text}", printable(group)));
        }
    }
    // Other protocols, such as that of Connect, have bytes of their own.
    let of_consumers = *described.protocol_type == *"consumer";
    let member = |member: DescribedGroupMember| {
        let partitions = if of_consumers {
            assignment::read(&member.member_assignment)
        } else {
            Ok(BTreeSet::new())
        };
        Member {
            member_id: member.member_id.to_string(),
            instance_id: member.group_instance_id.map(|id| id.to_string()),
            client_id: member.client_id.to_string(),
            host: member.client_host.to_string(),
            unreadable: partitions.is_err(),
            partitions: partitions.unwrap_or_default(),
        }
    };
    Ok(Some(Description {
        group: group.to_owned(),
        kind: CLASSIC,
        state: described.group_state.to_string(),
        assignor: described.protocol_data.to_string(),
        epoch: None,
        coordinator,
        members: described.members.into_iter().map(member).collect(),
    }))
}
