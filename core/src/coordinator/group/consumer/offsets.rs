//! Whether somebody may commit or fetch offsets of a consumer group: OffsetCommit and OffsetFetch, versions 9-10, and TxnOffsetCommit.
//!
//! Looks at membership and at who has which partition since when; offsets are kept elsewhere.

use std::sync::Arc;

use rinka_storage::topic_partition::TopicPartition;

use super::ConsumerGroup;
use super::error::ConsumerGroupError;
use super::member::Member;
use super::planted::{Planted, planted};

/// The first version of OffsetCommit that can say a member's epoch.
const OFFSET_COMMIT_WITH_EPOCH: i16 = 9;

/// Who commits.
#[derive(Clone, Copy, Debug)]
pub struct Committer<'a> {
    pub member_id: &'a str,
    /// The generation, for a member of the classic protocol; -1: none.
    pub member_epoch: i32,
    /// `None`: TxnOffsetCommit.
    pub offset_commit_version: Option<i16>,
}

impl ConsumerGroup {
    /// Whether offsets of these partitions may be committed, all of them or none. A member that has not heard yet of its newest epoch
    /// commits with an older one; that counts for partitions that it has had ever since (KIP-1251). `None` among the partitions
    /// is one that nobody can have.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH (ILLEGAL_GENERATION for a member of the classic protocol), UNSUPPORTED_VERSION.
    pub fn check_commit(
        &self,
        committer: Committer<'_>,
        partitions: impl IntoIterator<Item = Option<TopicPartition>>,
    ) -> Result<(), ConsumerGroupError> {
        // Tools, and consumers that assign partitions to themselves, commit while nobody is there.
        if committer.member_epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let is_transactional = committer.offset_commit_version.is_none();
        // A transactional producer that knows of no group metadata names nobody.
        if is_transactional && committer.member_epoch == -1 && committer.member_id.is_empty() {
            return Ok(());
        }
        let member = self.known_member(committer.member_id)?;
        let is_old = committer
            .offset_commit_version
            .is_some_and(|version| version < OFFSET_COMMIT_WITH_EPOCH);
        if is_old && !member.is_classic() {
            return Err(ConsumerGroupError::OldOffsetCommit);
        }
        let received = committer.member_epoch;
        if received >= member.current.epoch {
            return check_epoch(member, received);
        }
        let held_since = |partition: Option<TopicPartition>| {
            partition.and_then(|partition| member.current.epochs.of(partition))
        };
        for partition in partitions {
            let held_since = held_since(partition);
            let is_held = held_since.is_some_and(|since| {
                received >= since || planted(Planted::AssignmentEpochsIgnored)
            });
            if !is_held {
                return Err(ConsumerGroupError::StalePartition {
                    received,
                    held_since,
                    is_classic: member.is_classic(),
                });
            }
        }
        Ok(())
    }

    /// `member_id` is `None` and `member_epoch` -1 when the request does not say who asks, which is allowed.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH (ILLEGAL_GENERATION for a member of the classic protocol).
    pub fn check_fetch(
        &self,
        member_id: Option<&str>,
        member_epoch: i32,
    ) -> Result<(), ConsumerGroupError> {
        if member_id.is_none() && member_epoch < 0 {
            return Ok(());
        }
        check_epoch(
            self.known_member(member_id.unwrap_or_default())?,
            member_epoch,
        )
    }

    pub(super) fn known_member(&self, member_id: &str) -> Result<&Member, ConsumerGroupError> {
        self.members
            .get(member_id)
            .ok_or_else(|| ConsumerGroupError::UnknownMember {
                member_id: member_id.into(),
                group_id: Arc::clone(&self.id),
            })
    }
}

fn check_epoch(member: &Member, received: i32) -> Result<(), ConsumerGroupError> {
    let known = member.current.epoch;
    if received == known {
        Ok(())
    } else if member.is_classic() {
        Err(ConsumerGroupError::IllegalGeneration { received, known })
    } else {
        Err(ConsumerGroupError::StaleEpoch { received, known })
    }
}
