//! What goes: offsets whose time is over, offsets of deleted topics, groups that are deleted or that nothing is left of.
//!
//! Never removes anything before its tombstone is committed; until then a group is dead and takes nothing new.

use std::ops::Bound;
use std::sync::Arc;

use super::error::{AppendFailure, GroupError};
use super::offsets::Expiry;
use super::records::{EncodedRecord, group_metadata};
use super::request::Time;
use super::response::Response;
use super::turn::{Action, AppendId, Effect, Then};
use super::{ClassicGroup, Coordinator, Group};

/// Tombstones that nobody waits for go out in batches of no more than this, so that each fits into Kafka's default
/// `message.max.bytes` of 1 MiB.
const BATCH_BYTES_MAX: usize = 256 << 10;

/// Offsets that are looked at for expiry before others have their turn: some milliseconds.
const OFFSETS_PER_TURN: usize = 10_000;

/// Tombstones that will go out together.
#[derive(Default)]
pub(super) struct Batch {
    records: Vec<EncodedRecord>,
    effects: Vec<Effect>,
    bytes: usize,
}

impl<T> Coordinator<T> {
    /// DeleteGroups: each group is gone with its offsets, or says why not.
    pub fn on_delete_groups(
        &mut self,
        group_ids: &[&str],
        token: T,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        // Whose session is over is no member any more, also if the next tick is yet to come.
        self.on_tick(time, out);
        let mut batch = Batch::default();
        let mut results = Vec::with_capacity(group_ids.len());
        for &group_id in group_ids {
            let group = self.groups.get_key_value(group_id);
            let result = match group {
                // It has members, or is getting one.
                Some(_) if self.holds.has(group_id) => Err(GroupError::NonEmptyGroup),
                Some((id, group)) => group.validate_delete().map(|()| id.clone()),
                None => Err(GroupError::GroupIdNotFound),
            };
            if let Ok(id) = &result {
                // All of a group in one batch, however large: it is gone, or it is as it was.
                for (topic, partition) in self.offsets.latest_of(id) {
                    self.shared.counters.offsets_deleted += 1;
                    self.note_tombstone(&mut batch, id, &topic, partition);
                }
                self.remove_group(&mut batch, id, time, out);
            }
            results.push((group_id.into(), result.map(|_| ())));
        }
        let response = Response::DeleteGroups(results);
        let append = self.append_batch(&mut batch, time, out);
        let (_, mut turn) = self.parts(time, out);
        turn.answer_after(append, token, response);
    }

    /// Topics are gone for good: what was committed for their partitions goes too, in every group.
    pub fn on_topics_deleted(&mut self, topics: &[&str], time: Time, out: &mut Vec<Action<T>>) {
        let mut batch = Batch::default();
        for &name in topics {
            let topic: Arc<str> = name.into();
            for (group, partition) in self.offsets.latest_of_topic(name) {
                self.note_tombstone(&mut batch, &group, &topic, partition);
                self.append_if_full(&mut batch, time, out);
            }
        }
        self.append_batch(&mut batch, time, out);
    }

    /// Looks for what has expired, from where it stopped the last time; it stops where it has looked at enough for one turn.
    pub(super) fn expire(&mut self, time: Time, out: &mut Vec<Action<T>>) {
        let first = match self.expiry_next.take() {
            Some(next) => Bound::Included(next),
            None => Bound::Unbounded,
        };
        let groups = self.groups.range((first, Bound::Unbounded));
        let ids = groups.take(OFFSETS_PER_TURN + 1).map(|(id, _)| id.clone());
        let ids: Vec<Arc<str>> = ids.collect();
        let mut batch = Batch::default();
        let mut looked_at = 0;
        for id in ids {
            if looked_at >= OFFSETS_PER_TURN {
                self.expiry_next = Some(id);
                break;
            }
            // A group without offsets is work too.
            looked_at += 1 + self.offsets.count_of(&id);
            self.expire_group(&mut batch, &id, time, out);
        }
        self.append_batch(&mut batch, time, out);
    }

    fn expire_group(
        &mut self,
        batch: &mut Batch,
        id: &Arc<str>,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let Some(group) = self.groups.get(id).filter(|_| !self.holds.has(id)) else {
            return;
        };
        let Some(basis) = group.expiry_basis() else {
            return;
        };
        let expiry = Expiry {
            now_ms: time.wall_ms,
            retention_ms: self.shared.settings.offsets_retention_ms,
            basis,
        };
        let is_subscribed_to = |topic: &str| group.is_subscribed_to(topic);
        let expired = self.offsets.expired_of(id, &expiry, is_subscribed_to);
        let removes = expired.len() == self.offsets.count_of(id)
            && group.is_empty()
            && !group.has_pending_members();
        self.shared.counters.offsets_expired += expired.len() as u64;
        for (topic, partition) in expired {
            self.note_tombstone(batch, id, &topic, partition);
            self.append_if_full(batch, time, out);
        }
        if removes {
            self.remove_group(batch, id, time, out);
        }
    }

    /// The group is dead from now on, and gone when the batch is committed. One that nothing was ever written of is gone at once.
    pub(super) fn remove_group(
        &mut self,
        batch: &mut Batch,
        id: &Arc<str>,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        let has_offsets = self.offsets.has(id);
        let Some(group) = self.groups.get_mut(id) else {
            return;
        };
        if !group.is_logged() && !has_offsets {
            return self.on_removed(id, Ok(()), time, out);
        }
        group.mark_dead();
        match group {
            // A group that only committed offsets has no record of its own; a tombstone too many does no harm.
            Group::Classic(_) => batch.add_record(group_metadata::encode(id, None)),
            Group::Consumer(group) => {
                for record in group.group.tombstones() {
                    batch.add_record(record.encode(id));
                }
                self.holds.begin(id.clone(), self.shared.next_append());
            }
        }
        batch
            .effects
            .push(Effect::GroupRemoved { group: id.clone() });
    }

    pub(super) fn note_tombstone(
        &mut self,
        batch: &mut Batch,
        group: &Arc<str>,
        topic: &Arc<str>,
        partition: i32,
    ) {
        let id = self.shared.next_append();
        let (record, effect) = self.offsets.change(group, topic, partition, id, None);
        batch.add(record, effect);
    }

    fn append_if_full(&mut self, batch: &mut Batch, time: Time, out: &mut Vec<Action<T>>) {
        if batch.bytes >= BATCH_BYTES_MAX {
            self.append_batch(batch, time, out);
        }
    }

    /// What is in the batch goes out; `None` if that is nothing.
    pub(super) fn append_batch(
        &mut self,
        batch: &mut Batch,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) -> Option<AppendId> {
        let Batch {
            records, effects, ..
        } = std::mem::take(batch);
        if records.is_empty() {
            return None;
        }
        let (_, mut turn) = self.parts(time, out);
        Some(turn.append(records, effects, Then::Nothing))
    }

    /// A group's tombstone is committed, or never will be.
    pub(super) fn on_removed(
        &mut self,
        id: &Arc<str>,
        result: Result<(), AppendFailure>,
        time: Time,
        out: &mut Vec<Action<T>>,
    ) {
        if result.is_err() {
            if let Some(group) = self.groups.get_mut(id) {
                group.revive();
            }
            return;
        }
        if let Some(group) = self.groups.remove(id) {
            let (_, mut turn) = self.parts(time, out);
            group.retire(GroupError::UnknownMemberId, &mut turn);
        }
        // Some of its offsets could not be removed: then it is a group that only ever committed offsets.
        if self.offsets.has(id) {
            let simple = ClassicGroup::new(id.clone(), time.wall_ms);
            self.groups
                .insert(id.clone(), Group::Classic(simple.into()));
        }
    }
}

impl Batch {
    fn add(&mut self, record: EncodedRecord, effect: Effect) {
        self.add_record(record);
        self.effects.push(effect);
    }

    fn add_record(&mut self, record: EncodedRecord) {
        // What a record takes besides its key, roughly.
        const RECORD_BYTES: usize = 16;
        self.bytes += RECORD_BYTES + record.key.len();
        self.records.push(record);
    }
}
