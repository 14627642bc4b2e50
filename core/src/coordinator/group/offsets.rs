//! The committed offsets of all groups of a coordinator, and beside each the changes whose records are still under way.
//!
//! A change counts for later decisions at once, and is shown by a fetch only once it is committed. Never decides who may commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::classic::ExpiryBasis;
use super::records::EncodedRecord;
use super::records::offset_commit::{self, CommittedOffset};
use super::turn::{AppendId, Effect};
use crate::coordinator::planted::{Planted, planted};

#[derive(Debug, Default)]
pub(super) struct Offsets {
    groups: BTreeMap<Arc<str>, GroupOffsets>,
    /// Entries of all groups.
    count: usize,
}

type GroupOffsets = BTreeMap<Arc<str>, BTreeMap<i32, Entry>>;

#[derive(Debug, Default)]
struct Entry {
    committed: Option<CommittedOffset>,
    /// Oldest first; `None` removes.
    pending: Vec<(AppendId, Option<CommittedOffset>)>,
}

impl Entry {
    /// What there will be when everything is written that is under way.
    fn latest(&self) -> Option<&CommittedOffset> {
        match self.pending.last() {
            Some((_, value)) => value.as_ref(),
            None => self.committed.as_ref(),
        }
    }

    fn is_nothing(&self) -> bool {
        self.committed.is_none() && self.pending.is_empty()
    }
}

impl Offsets {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether the group has offsets, or changes of offsets under way.
    pub(super) fn has(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    pub(super) fn committed(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
    ) -> Option<&CommittedOffset> {
        let entry = self.groups.get(group)?.get(topic)?.get(&partition)?;
        match planted(Planted::PendingOffsetShown) {
            true => entry.latest(),
            false => entry.committed.as_ref(),
        }
    }

    /// All that the group has committed, by topic and partition.
    pub(super) fn all_committed(
        &self,
        group: &str,
    ) -> impl Iterator<Item = (&Arc<str>, i32, &CommittedOffset)> {
        let topics = self.groups.get(group).into_iter().flatten();
        topics.flat_map(|(topic, partitions)| {
            let offsets = partitions.iter();
            offsets.filter_map(move |(&partition, entry)| {
                Some((topic, partition, entry.committed.as_ref()?))
            })
        })
    }

    /// Whether an offset could be removed: one that is there, or will be.
    pub(super) fn has_latest(&self, group: &str, topic: &str, partition: i32) -> bool {
        let entry = self
            .groups
            .get(group)
            .and_then(|topics| topics.get(topic)?.get(&partition));
        entry.is_some_and(|entry| entry.latest().is_some())
    }

    /// Notes a change that goes out with append `id`.
    pub(super) fn change(
        &mut self,
        group: &Arc<str>,
        topic: &Arc<str>,
        partition: i32,
        id: AppendId,
        value: Option<CommittedOffset>,
    ) -> (EncodedRecord, Effect) {
        let record = offset_commit::encode(group, topic, partition, value.as_ref());
        let entry = self.entry(group, topic, partition);
        entry.pending.push((id, value));
        let effect = Effect::Offset {
            group: group.clone(),
            topic: topic.clone(),
            partition,
        };
        (record, effect)
    }

    /// The change that went out with append `id` is committed, or is none.
    pub(super) fn resolve(
        &mut self,
        group: &Arc<str>,
        topic: &Arc<str>,
        partition: i32,
        id: AppendId,
        committed: bool,
    ) {
        let entry = self.entry(group, topic, partition);
        // One request may name a partition twice: its last word counts.
        while let Some(at) = entry.pending.iter().position(|(pending, _)| *pending == id) {
            let (_, value) = entry.pending.remove(at);
            if committed {
                entry.committed = value;
            }
        }
        self.drop_if_nothing(group, topic, partition);
    }

    /// A record of the log.
    pub(super) fn load(
        &mut self,
        group: &Arc<str>,
        topic: &Arc<str>,
        partition: i32,
        value: Option<CommittedOffset>,
    ) {
        let entry = self.entry(group, topic, partition);
        if !(planted(Planted::OlderRecordWins) && entry.committed.is_some()) {
            entry.committed = value;
        }
        self.drop_if_nothing(group, topic, partition);
    }

    /// Topics and partitions of the group of which there is an offset, or will be.
    pub(super) fn latest_of(&self, group: &str) -> Vec<(Arc<str>, i32)> {
        let topics = self.groups.get(group).into_iter().flatten();
        let latest = topics.flat_map(|(topic, partitions)| {
            let entries = partitions.iter();
            entries
                .filter(|(_, entry)| entry.latest().is_some())
                .map(move |(&partition, _)| (topic.clone(), partition))
        });
        latest.collect()
    }

    /// Those whose time is over, and that nothing is under way for.
    pub(super) fn expired_of(
        &self,
        group: &str,
        expiry: &Expiry,
        is_subscribed_to: impl Fn(&str) -> bool,
    ) -> Vec<(Arc<str>, i32)> {
        let topics = self.groups.get(group).into_iter().flatten();
        let unsubscribed = topics.filter(|(topic, _)| !is_subscribed_to(topic));
        let expired = unsubscribed.flat_map(|(topic, partitions)| {
            let entries = partitions.iter();
            entries
                .filter(|(_, entry)| entry.pending.is_empty())
                .filter(|(_, entry)| {
                    entry
                        .committed
                        .as_ref()
                        .is_some_and(|at| expiry.is_over(at))
                })
                .map(move |(&partition, _)| (topic.clone(), partition))
        });
        expired.collect()
    }

    /// Partitions of a topic, of all groups, of which there is an offset, or will be.
    pub(super) fn latest_of_topic(&self, topic: &str) -> Vec<(Arc<str>, i32)> {
        let groups = self.groups.iter();
        let latest = groups.flat_map(|(group, topics)| {
            let entries = topics.get(topic).into_iter().flatten();
            entries
                .filter(|(_, entry)| entry.latest().is_some())
                .map(move |(&partition, _)| (group.clone(), partition))
        });
        latest.collect()
    }

    /// How many entries of the group there are.
    pub(super) fn count_of(&self, group: &str) -> usize {
        let topics = self.groups.get(group).into_iter().flatten();
        topics.map(|(_, partitions)| partitions.len()).sum()
    }

    fn entry(&mut self, group: &Arc<str>, topic: &Arc<str>, partition: i32) -> &mut Entry {
        let topics = self.groups.entry(group.clone()).or_default();
        let partitions = topics.entry(topic.clone()).or_default();
        partitions.entry(partition).or_insert_with(|| {
            self.count += 1;
            Entry::default()
        })
    }

    fn drop_if_nothing(&mut self, group: &Arc<str>, topic: &Arc<str>, partition: i32) {
        let Some(topics) = self.groups.get_mut(group) else {
            return;
        };
        if let Some(partitions) = topics.get_mut(topic) {
            if partitions.get(&partition).is_some_and(Entry::is_nothing) {
                partitions.remove(&partition);
                self.count -= 1;
            }
            if partitions.is_empty() {
                topics.remove(topic);
            }
        }
        if topics.is_empty() {
            self.groups.remove(group);
        }
    }
}

/// When offsets of a group are over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expiry {
    pub(super) now_ms: i64,
    pub(super) retention_ms: i64,
    pub(super) basis: ExpiryBasis,
}

impl Expiry {
    /// An expiry that an old client asked for counts alone.
    fn is_over(&self, offset: &CommittedOffset) -> bool {
        if let Some(expire) = offset.expire_timestamp_ms {
            return self.now_ms >= expire;
        }
        let since = match self.basis {
            ExpiryBasis::Since(since) => since,
            ExpiryBasis::Commit => offset.commit_timestamp_ms,
        };
        self.now_ms.saturating_sub(since) >= self.retention_ms
    }
}
