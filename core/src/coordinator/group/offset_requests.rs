//! OffsetCommit, OffsetFetch and OffsetDelete.
//!
//! Never asks whether a topic exists or who may read it: only what passed such checks comes here.

use std::sync::Arc;

use rinka_storage::topic_partition::TopicPartition;

use super::Coordinator;
use super::error::GroupError;
use super::records::offset_commit::CommittedOffset;
use super::removal::Batch;
use super::request::{
    OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, OffsetToCommit, Time,
};
use super::response::{FetchedOffset, FetchedTopic, Response, TopicResult};
use super::turn::{Action, Then};
use crate::coordinator::planted::{Planted, planted};

impl<T> Coordinator<T> {
    pub fn on_offset_commit(
        &mut self,
        request: &OffsetCommitRequest<'_>,
        token: T,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let group = match self.group_for_commit(request, time, out) {
            Ok(group) => group,
            Err(error) => {
                let response = refuse_commit(request, error);
                return out.push(Action::Answer { token, response });
            }
        };
        let id = self.shared.next_append();
        let expire_timestamp_ms = request
            .retention_ms
            .map(|retention| time.wall_ms.saturating_add(retention));
        let (mut records, mut effects) = (Vec::new(), Vec::new());
        let mut results = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let name: Arc<str> = topic.name.into();
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for offset in &topic.partitions {
                let result = self.check_offset(&group, topic.name, offset);
                if result.is_ok() {
                    let value = CommittedOffset {
                        offset: offset.offset,
                        leader_epoch: offset.leader_epoch,
                        metadata: offset.metadata.into(),
                        commit_timestamp_ms: time.wall_ms,
                        expire_timestamp_ms,
                        topic_id: topic.id,
                    };
                    let offsets = &mut self.offsets;
                    let (record, effect) =
                        offsets.change(&group, &name, offset.partition, id, Some(value));
                    records.push(record);
                    effects.push(effect);
                }
                partitions.push((offset.partition, result));
            }
            results.push(TopicResult { name, partitions });
        }
        let response = Response::OffsetCommit(results);
        let (_, mut turn) = self.parts(time, out);
        if records.is_empty() {
            return turn.answer(token, response);
        }
        turn.shared.counters.offset_commits += records.len() as u64;
        let append = turn.append(records, effects, Then::Nothing);
        match planted(Planted::CommitAnsweredAtOnce) {
            true => turn.answer(token, response),
            false => turn.answer_after(Some(append), token, response),
        }
    }

    /// The group that the offsets go to. One that only commits offsets comes into being with the first of them.
    fn group_for_commit(
        &mut self,
        request: &OffsetCommitRequest<'_>,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) -> Result<Arc<str>, GroupError> {
        let unavailable = GroupError::CoordinatorNotAvailable;
        if self.shared.appends_under_way() >= self.shared.settings.bounds.appends_max {
            return Err(unavailable);
        }
        let (groups, mut turn) = self.parts(time, out);
        let Some((id, _)) = groups.get_key_value(request.group_id) else {
            if request.generation < 0 {
                return self.create_group(request.group_id, time).ok_or(unavailable);
            }
            return Err(match request.reports_unknown_group {
                true => GroupError::GroupIdNotFound,
                false => GroupError::IllegalGeneration,
            });
        };
        let id = id.clone();
        if let Some(group) = groups.get_mut(&id) {
            let (member_id, instance_id) = (request.member_id, request.instance_id);
            let says_epochs = request.reports_unknown_group;
            let generation = request.generation;
            let partitions = partitions_of(request, turn.shared.settings.offset_metadata_max);
            group.validate_offset_commit(
                member_id,
                instance_id,
                generation,
                says_epochs,
                partitions,
            )?;
            group.on_offset_commit(member_id, &mut turn);
        }
        Ok(id)
    }

    fn check_offset(
        &self,
        group: &str,
        topic: &str,
        offset: &OffsetToCommit<'_>,
    ) -> Result<(), GroupError> {
        let settings = &self.shared.settings;
        if is_too_long(offset.metadata, settings.offset_metadata_max) {
            return Err(GroupError::OffsetMetadataTooLarge);
        }
        if self.offsets.count() >= settings.bounds.offsets_max
            && !self.offsets.has_latest(group, topic, offset.partition)
        {
            return Err(GroupError::InvalidCommitOffsetSize);
        }
        Ok(())
    }

    /// One group of OffsetFetch: what is committed, and nothing that is still under way. The versions that name a member of a group
    /// of the newer protocol are checked elsewhere.
    #[must_use]
    pub fn offset_fetch(&self, request: &OffsetFetchRequest<'_>) -> Vec<FetchedTopic> {
        let Some(topics) = &request.topics else {
            return self.fetch_all(request.group_id);
        };
        let topics = topics.iter().map(|(name, partitions)| FetchedTopic {
            name: (*name).into(),
            partitions: partitions
                .iter()
                .map(|&partition| {
                    let offset = self.offsets.committed(request.group_id, name, partition);
                    fetched(partition, offset)
                })
                .collect(),
        });
        topics.collect()
    }

    fn fetch_all(&self, group_id: &str) -> Vec<FetchedTopic> {
        let mut topics: Vec<FetchedTopic> = Vec::new();
        for (topic, partition, offset) in self.offsets.all_committed(group_id) {
            let fetched = fetched(partition, Some(offset));
            match topics.last_mut().filter(|last| last.name == *topic) {
                Some(last) => last.partitions.push(fetched),
                None => topics.push(FetchedTopic {
                    name: topic.clone(),
                    partitions: vec![fetched],
                }),
            }
        }
        topics
    }

    pub fn on_offset_delete(
        &mut self,
        request: &OffsetDeleteRequest<'_>,
        token: T,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let group = self.groups.get_key_value(request.group_id);
        let group = match group {
            _ if request.group_id.is_empty() => Err(GroupError::InvalidGroupId),
            Some((id, group)) => group.validate_offset_delete().map(|()| (id.clone(), group)),
            None => Err(GroupError::GroupIdNotFound),
        };
        let (group_id, group) = match group {
            Ok(found) => found,
            Err(error) => {
                let response = Response::OffsetDelete(Err(error));
                return out.push(Action::Answer { token, response });
            }
        };
        let mut results = Vec::with_capacity(request.topics.len());
        let mut gone: Vec<(Arc<str>, i32)> = Vec::new();
        for (name, partitions) in &request.topics {
            let topic: Arc<str> = (*name).into();
            let result = match group.is_subscribed_to(name) {
                true => Err(GroupError::GroupSubscribedToTopic),
                false => Ok(()),
            };
            for &partition in partitions {
                let has = self.offsets.has_latest(&group_id, name, partition);
                if result.is_ok() && has {
                    gone.push((topic.clone(), partition));
                }
            }
            results.push(TopicResult {
                name: topic,
                partitions: partitions.iter().map(|&at| (at, result)).collect(),
            });
        }
        let response = Response::OffsetDelete(Ok(results));
        let mut batch = Batch::default();
        for (topic, partition) in gone {
            self.shared.counters.offsets_deleted += 1;
            self.note_tombstone(&mut batch, &group_id, &topic, partition);
        }
        let append = self.append_batch(&mut batch, time, out);
        let (_, mut turn) = self.parts(time, out);
        turn.answer_after(append, token, response);
    }
}

/// Of those whose offsets can be committed at all; `None` is one of an unknown topic.
fn partitions_of(
    request: &OffsetCommitRequest<'_>,
    metadata_max: usize,
) -> impl Iterator<Item = Option<TopicPartition>> {
    request.topics.iter().flat_map(move |topic| {
        let offsets = topic.partitions.iter();
        let offsets = offsets.filter(move |offset| !is_too_long(offset.metadata, metadata_max));
        offsets.map(|offset| {
            topic.id.map(|topic_id| TopicPartition {
                topic_id,
                partition: offset.partition,
            })
        })
    })
}

fn is_too_long(metadata: &str, max: usize) -> bool {
    // Bytes are never fewer than units of UTF-16, and nearly always few enough.
    metadata.len() > max && metadata.encode_utf16().count() > max
}

fn refuse_commit(request: &OffsetCommitRequest<'_>, error: GroupError) -> Response {
    let topics = request.topics.iter().map(|topic| TopicResult {
        name: topic.name.into(),
        partitions: topic
            .partitions
            .iter()
            .map(|offset| (offset.partition, Err(error)))
            .collect(),
    });
    Response::OffsetCommit(topics.collect())
}

fn fetched(partition: i32, offset: Option<&CommittedOffset>) -> FetchedOffset {
    match offset {
        Some(offset) => FetchedOffset {
            partition,
            offset: offset.offset,
            leader_epoch: offset.leader_epoch,
            metadata: offset.metadata.clone(),
        },
        None => FetchedOffset {
            partition,
            offset: -1,
            leader_epoch: -1,
            metadata: Box::default(),
        },
    }
}
