//! One step of a group towards what a member asks for: the member is written, the epoch grows, a target is made, the member moves
//! towards it (Kafka's GroupMetadataManager.consumerGroupHeartbeat).
//!
//! Collects records and deadlines, and shows the group as it will be with them; never changes the group.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rinka_storage::topic_partition::{TopicId, TopicPartition};

use super::assignment::Assignment;
use super::assignor::{Assignor, GroupSpec, MemberSpec};
use super::deadlines::{
    DeadlineChange, DeadlineKind, deadline, rebalance_timeout, session_timeout,
};
use super::error::ConsumerGroupError;
use super::member::{CurrentAssignment, LEAVE_STATIC_EPOCH, Member, MemberMetadata, MemberState};
use super::planted::{Planted, planted};
use super::reconciliation::Reconciliation;
use super::records::{ConsumerGroupRecord, GroupMetadata, TargetMetadata};
use super::regex::{self, ResolvedRegex};
use super::subscription::topic_ids;
use super::{ConsumerGroup, Context, Decision};

/// The expressions of a group and what they mean.
pub(super) type Regexes = BTreeMap<Arc<str>, ResolvedRegex>;

/// Milliseconds between two resolutions of a group's expressions, at least: each looks at every topic there is.
const REGEX_REFRESH_INTERVAL_MIN_MS: u64 = 10_000;

/// A decision in the making.
pub(super) struct Step<'a> {
    group: &'a ConsumerGroup,
    context: &'a Context<'a>,
    records: Vec<ConsumerGroupRecord>,
    deadlines: Vec<DeadlineChange>,
    regexes: Cow<'a, Regexes>,
    /// The static member whose place the request's member takes.
    replaced: Option<Arc<str>>,
}

/// The member of a request as it was before.
pub(super) struct Found {
    pub(super) id: Arc<str>,
    pub(super) member: Member,
    is_new: bool,
}

/// The member of a request once it has said what it wants.
pub(super) struct Subscribed {
    pub(super) metadata: Arc<MemberMetadata>,
    /// Whether it wants other topics than before.
    pub(super) changed: bool,
    /// The group's epoch from here on.
    group_epoch: i32,
}

/// What a member is to have, and since when.
pub(super) struct Target {
    epoch: i32,
    assignment: Assignment,
}

impl<'a> Step<'a> {
    pub(super) fn new(group: &'a ConsumerGroup, context: &'a Context<'a>) -> Self {
        Self {
            group,
            context,
            records: Vec::new(),
            deadlines: Vec::new(),
            regexes: Cow::Borrowed(&group.regexes),
            replaced: None,
        }
    }

    pub(super) fn check_room(&self, member_id: &str) -> Result<(), ConsumerGroupError> {
        let members_max = self.context.config.members_max;
        if self.group.members.len() >= members_max && !self.group.members.contains_key(member_id) {
            return Err(ConsumerGroupError::GroupFull { members_max });
        }
        Ok(())
    }

    pub(super) fn dynamic_member(
        &self,
        id: &Arc<str>,
        may_create: bool,
    ) -> Result<Found, ConsumerGroupError> {
        match self.group.members.get(id) {
            Some(member) => Ok(Found {
                id: Arc::clone(id),
                member: member.clone(),
                is_new: false,
            }),
            None if may_create => Ok(Found {
                id: Arc::clone(id),
                member: Member::default(),
                is_new: true,
            }),
            None => Err(ConsumerGroupError::UnknownMember {
                member_id: Arc::clone(id),
                group_id: Arc::clone(&self.group.id),
            }),
        }
    }

    /// The member with the instance id. One that joins takes the place of another with the same instance id, once that one has left; of
    /// members of which either speaks the classic protocol it takes it at once.
    pub(super) fn static_member(
        &mut self,
        id: &Arc<str>,
        instance_id: &Arc<str>,
        joins: bool,
        is_classic: bool,
    ) -> Result<Found, ConsumerGroupError> {
        let owner = self.group.static_members.get(instance_id);
        let Some((owner, existing)) = owner.and_then(|id| self.group.members.get_key_value(id))
        else {
            return if joins {
                self.dynamic_member(id, true)
            } else {
                Err(ConsumerGroupError::UnknownInstance(Arc::clone(instance_id)))
            };
        };
        if owner == id {
            // It is the same process that joins again, or goes on.
            return self.dynamic_member(id, false);
        }
        if !joins {
            return Err(ConsumerGroupError::FencedInstance {
                instance_id: Arc::clone(instance_id),
                owner: Arc::clone(owner),
            });
        }
        let has_left = existing.current.epoch == LEAVE_STATIC_EPOCH;
        if !is_classic && !existing.is_classic() && !has_left {
            return Err(ConsumerGroupError::UnreleasedInstance {
                instance_id: Arc::clone(instance_id),
                owner: Arc::clone(owner),
            });
        }
        Ok(self.replace(owner, existing, id))
    }

    /// Moves all that a static member has to the id it comes back with.
    fn replace(&mut self, old_id: &Arc<str>, existing: &Member, id: &Arc<str>) -> Found {
        let member = Member {
            metadata: Arc::clone(&existing.metadata),
            current: CurrentAssignment {
                epoch: 0,
                previous_epoch: 0,
                ..existing.current.clone()
            },
        };
        self.remove(old_id);
        let target = self.group.target(old_id);
        self.records.extend([
            ConsumerGroupRecord::Member(Arc::clone(id), Some(Arc::clone(&member.metadata))),
            ConsumerGroupRecord::Target(Arc::clone(id), Some(target)),
            ConsumerGroupRecord::Current(Arc::clone(id), Some(member.current.clone())),
        ]);
        self.replaced = Some(Arc::clone(old_id));
        Found {
            id: Arc::clone(id),
            member,
            is_new: false,
        }
    }

    /// In this order: the member goes last.
    pub(super) fn remove(&mut self, id: &Arc<str>) {
        self.records.extend([
            ConsumerGroupRecord::Current(Arc::clone(id), None),
            ConsumerGroupRecord::Target(Arc::clone(id), None),
            ConsumerGroupRecord::Member(Arc::clone(id), None),
        ]);
        self.cancel_deadlines(id);
    }

    /// Writes the member, resolves expressions where that is due, and bumps the group's epoch if the target must be made anew.
    pub(super) fn subscribe(
        &mut self,
        found: &Found,
        metadata: Arc<MemberMetadata>,
    ) -> Result<Subscribed, ConsumerGroupError> {
        let old = &found.member.metadata;
        if found.is_new || !Arc::ptr_eq(&metadata, old) {
            let value = Some(Arc::clone(&metadata));
            self.records
                .push(ConsumerGroupRecord::Member(Arc::clone(&found.id), value));
        }
        let names_changed = metadata.subscribed_topic_names != old.subscribed_topic_names;
        let regex_changed = metadata.regex() != old.regex();
        let regexes_bump = self.update_regexes(old.regex(), metadata.regex())?;

        let group = self.group;
        let known = group.metadata;
        let hash = if names_changed || matches!(self.regexes, Cow::Owned(_)) {
            let mut without = vec![&found.id];
            without.extend(&self.replaced);
            let topics = self.context.topics;
            group.subscription_hash_with(&without, Some(&metadata), &self.regexes, topics)
        } else if planted(Planted::TopicChangesIgnored) {
            known.hash
        } else {
            group.subscription_hash(self.context.topics)
        };
        let mut group_epoch = known.epoch;
        // A new group leaves epoch 0 whatever is subscribed to.
        if known.epoch == 0 || names_changed || regexes_bump || hash != known.hash {
            group_epoch = self.bump(hash);
        }
        Ok(Subscribed {
            metadata,
            changed: names_changed || regex_changed,
            group_epoch,
        })
    }

    pub(super) fn bump(&mut self, hash: u64) -> i32 {
        let epoch = self.group.metadata.epoch.saturating_add(1);
        self.records
            .push(ConsumerGroupRecord::Group(Some(GroupMetadata {
                epoch,
                hash,
            })));
        if self.group.has_partition_metadata {
            self.records
                .push(ConsumerGroupRecord::PartitionMetadata(None));
        }
        epoch
    }

    /// True when the group must assign anew: an expression means other topics than before, or the member changed to one whose meaning
    /// is known already. One whose meaning is not known yet bumps the epoch when it is.
    fn update_regexes(
        &mut self,
        old: Option<&Arc<str>>,
        new: Option<&Arc<str>>,
    ) -> Result<bool, ConsumerGroupError> {
        let group = self.group;
        let mut wanted: BTreeSet<&Arc<str>> = group.regex_subscribers.keys().collect();
        let mut bump = false;
        if old != new {
            if let Some(old) = old
                && group.regex_subscribers.get(old) == Some(&1)
            {
                wanted.remove(old);
                self.forget_regex(old);
            }
            if let Some(new) = new {
                if wanted.insert(new) {
                    regex::compile(new).map_err(|reason| {
                        ConsumerGroupError::InvalidRegularExpression {
                            pattern: Arc::clone(new),
                            reason,
                        }
                    })?;
                } else {
                    bump = group.regexes.contains_key(new);
                }
            } else {
                bump = true;
            }
        }
        if self.must_resolve(&wanted) {
            bump |= self.resolve(wanted);
        }
        Ok(bump)
    }

    pub(super) fn forget_regex(&mut self, pattern: &Arc<str>) {
        if self.regexes.contains_key(pattern) {
            self.regexes.to_mut().remove(pattern);
            self.records
                .push(ConsumerGroupRecord::Regex(Arc::clone(pattern), None));
        }
    }

    fn must_resolve(&self, wanted: &BTreeSet<&Arc<str>>) -> bool {
        if wanted.is_empty() {
            return false;
        }
        let known = self.group.regexes.values();
        let Some(last) = known.clone().map(|regex| regex.timestamp_ms).max() else {
            return true;
        };
        // The clock may have been set back; then it is as good as long ago.
        let elapsed = self.context.timestamp_ms.abs_diff(last);
        if elapsed <= REGEX_REFRESH_INTERVAL_MIN_MS {
            return false;
        }
        let interval = self.context.config.regex_refresh_interval_ms;
        let version = self.context.topics.version();
        elapsed > u64::try_from(interval).unwrap_or(0)
            || wanted
                .iter()
                .any(|regex| !self.regexes.contains_key(*regex))
            || (known.clone().any(|regex| regex.version != version)
                && !planted(Planted::TopicChangesIgnored))
    }

    /// All at once, so that they bump the epoch once. Says whether any means other topics than before.
    fn resolve(&mut self, wanted: BTreeSet<&Arc<str>>) -> bool {
        let topics = self.context.topics;
        let mut changed = false;
        for pattern in wanted {
            let resolved = ResolvedRegex {
                topics: regex::resolve(pattern, topics),
                version: topics.version(),
                timestamp_ms: self.context.timestamp_ms,
            };
            let before = self.group.regexes.get(pattern);
            // Even one that means nothing: whoever changed to it has let go of what is now for others.
            changed |= before.is_none_or(|before| before.topics != resolved.topics);
            let pattern = Arc::clone(pattern);
            self.records.push(ConsumerGroupRecord::Regex(
                Arc::clone(&pattern),
                Some(resolved.clone()),
            ));
            self.regexes.to_mut().insert(pattern, resolved);
        }
        changed
    }

    /// What the member is to have; makes a new target for the whole group when its epoch has grown, unless the last one is too young:
    /// then whoever comes after the interval makes it (KIP-1263).
    pub(super) fn target(&mut self, found: &Found, subscribed: &Subscribed) -> Target {
        let known = self.group.target_epoch();
        if subscribed.group_epoch <= known || !self.group.may_assign(self.context) {
            return Target {
                epoch: known,
                assignment: self.known_target(&found.id).unwrap_or_default(),
            };
        }
        let epoch = subscribed.group_epoch;
        let members = self.members(&found.id, &subscribed.metadata);
        let metadata = members.map(|(_, metadata)| metadata);
        let assignor = preferred_assignor(metadata, &self.context.config.assignors);
        let targets = assignor.assign(&self.group_spec(&found.id, &subscribed.metadata));
        let mut own = Assignment::default();
        for (member_id, target) in targets {
            if member_id == found.id {
                own = target.clone();
            }
            if self.known_target(&member_id).as_ref() != Some(&target) {
                self.records
                    .push(ConsumerGroupRecord::Target(member_id, Some(target)));
            }
        }
        self.records
            .push(ConsumerGroupRecord::TargetEpoch(Some(TargetMetadata {
                epoch,
                timestamp_ms: self.context.timestamp_ms,
            })));
        Target {
            epoch,
            assignment: own,
        }
    }

    /// As the records so far have it; a member that takes another's place has that one's.
    fn known_target(&self, member_id: &Arc<str>) -> Option<Assignment> {
        let targets = &self.group.targets;
        let replaced = || targets.get(self.replaced.as_ref()?);
        let known = targets.get(member_id);
        known
            .or_else(|| {
                let is_known = self.group.members.contains_key(member_id);
                replaced().filter(|_| !is_known)
            })
            .cloned()
    }

    /// Everybody with what they say of themselves, the member of the request with what it says now; whom it replaces is gone.
    fn members<'b>(
        &'b self,
        id: &'b Arc<str>,
        metadata: &'b MemberMetadata,
    ) -> impl Iterator<Item = (&'b Arc<str>, &'b MemberMetadata)> {
        let replaced = self.replaced.as_ref();
        let others = self.group.members.iter();
        others
            .filter(move |(other, _)| *other != id && Some(*other) != replaced)
            .map(|(other, member)| (other, &*member.metadata))
            .chain([(id, metadata)])
    }

    fn group_spec(&self, id: &Arc<str>, metadata: &MemberMetadata) -> GroupSpec {
        let topics = self.context.topics;
        let mut spec = GroupSpec::default();
        // Most members of a group subscribe alike.
        let mut known: BTreeMap<_, Arc<BTreeSet<TopicId>>> = BTreeMap::new();
        for (member_id, metadata) in self.members(id, metadata) {
            let subscription = (&metadata.subscribed_topic_names, metadata.regex());
            let subscribed = known
                .entry(subscription)
                .or_insert_with(|| Arc::new(topic_ids(metadata, &self.regexes, topics)));
            let member = MemberSpec {
                instance_id: metadata.instance_id.clone(),
                subscribed: Arc::clone(subscribed),
                assigned: self.known_target(member_id).unwrap_or_default(),
            };
            spec.members.insert(Arc::clone(member_id), member);
        }
        for id in known.values().flat_map(|topics| topics.iter()) {
            if let Some(count) = topics.partition_count(*id) {
                spec.partition_counts.insert(*id, count);
            }
        }
        spec
    }

    /// Moves the member one step towards its target.
    pub(super) fn reconcile(
        &mut self,
        found: &Found,
        subscribed: &Subscribed,
        target: &Target,
        owned: Option<&Assignment>,
    ) -> Result<Member, ConsumerGroupError> {
        let mut member = Member {
            metadata: Arc::clone(&subscribed.metadata),
            current: found.member.current.clone(),
        };
        if !subscribed.changed && member.is_reconciled_to(target.epoch) {
            return Ok(member);
        }
        let is_owned_by_another = |partition: TopicPartition| {
            let owner = self.group.owners.get(&partition);
            owner.is_some_and(|owner| *owner != found.id && Some(owner) != self.replaced.as_ref())
        };
        let topics = topic_ids(&subscribed.metadata, &self.regexes, self.context.topics);
        let next = Reconciliation {
            current: &found.member.current,
            target_epoch: target.epoch,
            target: &target.assignment,
            subscription_changed: subscribed.changed,
            subscribed: &topics,
            owned,
            is_owned_by_another: &is_owned_by_another,
        }
        .step()
        .map_err(|_| ConsumerGroupError::UnknownMemberState)?;
        if next == member.current && !found.is_new {
            return Ok(member);
        }
        self.records.push(ConsumerGroupRecord::Current(
            Arc::clone(&found.id),
            Some(next.clone()),
        ));
        member.current = next;
        // Members of the classic protocol give up before they join; other deadlines watch over them.
        if !member.is_classic() {
            if member.current.state == MemberState::UnrevokedPartitions {
                let at = self.context.now + rebalance_timeout(&member);
                let deadline = deadline(&found.id, &member, DeadlineKind::Rebalance);
                self.deadlines.push(DeadlineChange::Set(deadline, at));
            } else {
                self.cancel_deadline(&found.id, DeadlineKind::Rebalance);
            }
        }
        Ok(member)
    }

    pub(super) fn renew_session(&mut self, id: &Arc<str>, member: &Member) {
        let at = self.context.now + session_timeout(member, self.context.config);
        let deadline = deadline(id, member, DeadlineKind::Session);
        self.deadlines.push(DeadlineChange::Set(deadline, at));
    }

    pub(super) fn cancel_deadline(&mut self, id: &Arc<str>, kind: DeadlineKind) {
        self.deadlines
            .push(DeadlineChange::Cancel(Arc::clone(id), kind));
    }

    pub(super) fn cancel_deadlines(&mut self, id: &Arc<str>) {
        self.deadlines
            .push(DeadlineChange::CancelAll(Arc::clone(id)));
    }

    pub(super) fn change_deadline(&mut self, change: DeadlineChange) {
        self.deadlines.push(change);
    }

    pub(super) fn record(&mut self, record: ConsumerGroupRecord) {
        self.records.push(record);
    }

    pub(super) fn regexes(&self) -> &Regexes {
        &self.regexes
    }

    pub(super) fn replaced(&self) -> Option<&Arc<str>> {
        self.replaced.as_ref()
    }

    pub(super) fn decide<R>(self, response: R) -> Decision<R> {
        Decision {
            records: self.records,
            response,
            deadlines: self.deadlines,
            downgrade: None,
        }
    }
}

/// The one that most members ask for; of those that are even, the first in the configuration. What is not configured any more has no
/// vote.
pub(super) fn preferred_assignor<'m>(
    members: impl Iterator<Item = &'m MemberMetadata>,
    configured: &[Assignor],
) -> Assignor {
    let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
    for name in members.filter_map(|member| member.server_assignor.as_deref()) {
        *votes.entry(name).or_default() += 1;
    }
    let votes_of = |assignor: &Assignor| votes.get(assignor.name()).copied().unwrap_or(0);
    let mut preferred = configured.first().copied().unwrap_or(Assignor::Uniform);
    for assignor in configured {
        if votes_of(assignor) > votes_of(&preferred) {
            preferred = *assignor;
        }
    }
    preferred
}
