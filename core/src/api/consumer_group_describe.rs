//! ConsumerGroupDescribe (69): what groups of KIP-848's protocol and their members are doing.

use rinka_net::wire::consumer_group_describe as wire;
use rinka_net::wire::consumer_group_describe::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
};
use rinka_net::wire::{ErrorCode, Text};

use super::Context;
use super::group_coordinator::{operations, read, text};
use crate::coordinator::group::consumer::describe::{
    DescribedGroup, DescribedMember, DescribedTopic,
};

pub(super) async fn handle(
    context: &Context,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let mut groups = Vec::with_capacity(request.group_ids.len());
    for group_id in request.group_ids {
        let id = group_id.clone();
        let described = read(context, &group_id, move |coordinator| {
            coordinator.describe_consumer_group(&id)
        });
        let described = match described.await {
            _ if group_id.is_empty() => failed(group_id, ErrorCode::INVALID_GROUP_ID, None),
            Ok(Ok(group)) => describe(group_id, &group),
            Ok(Err(message)) => failed(group_id, ErrorCode::GROUP_ID_NOT_FOUND, Some(message)),
            Err(error) => failed(group_id, error, None),
        };
        let asked = request.include_authorized_operations;
        groups.push(wire::DescribedGroup {
            authorized_operations: operations(asked, described.error_code),
            ..described
        });
    }
    ConsumerGroupDescribeResponse {
        groups,
        ..Default::default()
    }
}

fn failed(group_id: Text, error_code: ErrorCode, message: Option<String>) -> wire::DescribedGroup {
    wire::DescribedGroup {
        error_code,
        error_message: message.map(Text::from),
        group_id,
        ..Default::default()
    }
}

fn describe(group_id: Text, group: &DescribedGroup) -> wire::DescribedGroup {
    wire::DescribedGroup {
        group_id,
        group_state: Text::from(group.state.name()),
        group_epoch: group.epoch,
        assignment_epoch: group.assignment_epoch,
        assignor_name: Text::from(group.assignor),
        members: group.members.iter().map(member).collect(),
        ..Default::default()
    }
}

fn member(member: &DescribedMember) -> wire::Member {
    wire::Member {
        member_id: text(&member.member_id),
        instance_id: member.instance_id.as_ref().map(text),
        rack_id: member.rack_id.as_ref().map(text),
        member_epoch: member.member_epoch,
        client_id: text(&member.client_id),
        client_host: text(&member.client_host),
        subscribed_topic_names: member.subscribed_topic_names.iter().map(text).collect(),
        subscribed_topic_regex: member.subscribed_topic_regex.as_ref().map(text),
        assignment: assignment(&member.assignment),
        target_assignment: assignment(&member.target_assignment),
        member_type: member.member_type,
    }
}

fn assignment(topics: &[DescribedTopic]) -> wire::Assignment {
    let topics = topics.iter().map(|topic| wire::TopicPartitions {
        topic_id: topic.id.0,
        topic_name: text(&topic.name),
        partitions: topic.partitions.clone(),
    });
    wire::Assignment {
        topic_partitions: topics.collect(),
    }
}
