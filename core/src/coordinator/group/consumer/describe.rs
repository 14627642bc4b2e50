//! ConsumerGroupDescribe (69), versions 0-1: what a group and its members are doing.
//!
//! Only tells.

use std::sync::Arc;

use rinka_storage::topic_partition::TopicId;

use super::assignment::Assignment;
use super::config::ConsumerGroupConfig;
use super::step::preferred_assignor;
use super::topics_view::TopicsView;
use super::{ConsumerGroup, GroupState};

/// A group as tools see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    pub state: GroupState,
    pub epoch: i32,
    pub assignment_epoch: i32,
    pub assignor: &'static str,
    pub members: Vec<DescribedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub rack_id: Option<Arc<str>>,
    pub member_epoch: i32,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub subscribed_topic_names: Vec<Arc<str>>,
    pub subscribed_topic_regex: Option<Arc<str>>,
    pub assignment: Vec<DescribedTopic>,
    pub target_assignment: Vec<DescribedTopic>,
    /// Since version 1: 0 for the classic protocol, 1 for the consumer protocol.
    pub member_type: i8,
}

/// Partitions of a topic that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedTopic {
    pub id: TopicId,
    pub name: Arc<str>,
    pub partitions: Vec<i32>,
}

impl ConsumerGroup {
    #[must_use]
    pub fn describe(&self, topics: &TopicsView, config: &ConsumerGroupConfig) -> DescribedGroup {
        let described = |assignment: &Assignment| {
            let known = assignment.topics().filter_map(|(id, partitions)| {
                Some(DescribedTopic {
                    id,
                    name: Arc::clone(topics.name(id)?),
                    partitions: partitions.iter().copied().collect(),
                })
            });
            known.collect()
        };
        let members = self.members.iter().map(|(id, member)| {
            let metadata = &member.metadata;
            DescribedMember {
                member_id: Arc::clone(id),
                instance_id: metadata.instance_id.clone(),
                rack_id: metadata.rack_id.clone(),
                member_epoch: member.current.epoch,
                client_id: Arc::clone(&metadata.client_id),
                client_host: Arc::clone(&metadata.client_host),
                subscribed_topic_names: metadata.subscribed_topic_names.iter().cloned().collect(),
                subscribed_topic_regex: metadata.regex().cloned(),
                assignment: described(&member.current.assigned),
                target_assignment: described(&self.target(id)),
                member_type: i8::from(!member.is_classic()),
            }
        });
        let metadata = self.members.values().map(|member| &*member.metadata);
        DescribedGroup {
            state: self.state(),
            epoch: self.metadata.epoch,
            assignment_epoch: self.target.epoch,
            assignor: preferred_assignor(metadata, &config.assignors).name(),
            members: members.collect(),
        }
    }
}
