//! A member of a consumer group: what it asked for, and how far it has come towards what it is to have.
//!
//! Holds the two values that its records hold (keys 5 and 8); the steps it takes are in `reconciliation`.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::assignment::Assignment;
use super::assignment_epochs::AssignmentEpochs;

/// The epoch of a member that joins.
pub const JOIN_EPOCH: i32 = 0;

/// The epoch of a member that leaves.
pub const LEAVE_EPOCH: i32 = -1;

/// The epoch of a static member that leaves and will be back.
pub const LEAVE_STATIC_EPOCH: i32 = -2;

/// A member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    pub metadata: Arc<MemberMetadata>,
    pub current: CurrentAssignment,
}

/// What a member said of itself: the value of key 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberMetadata {
    pub instance_id: Option<Arc<str>>,
    pub rack_id: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub subscribed_topic_names: BTreeSet<Arc<str>>,
    /// Empty means the same as none.
    pub subscribed_topic_regex: Option<Arc<str>>,
    /// Milliseconds that the member may take to revoke partitions. -1: not known.
    pub rebalance_timeout_ms: i32,
    pub server_assignor: Option<Arc<str>>,
    /// Of members that speak the classic protocol.
    pub classic: Option<ClassicMember>,
}

/// What is known of a member that speaks the classic protocol inside a consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMember {
    /// Milliseconds.
    pub session_timeout_ms: i32,
    /// In the order in which the member prefers them.
    pub protocols: Vec<ClassicProtocol>,
}

/// A protocol (an assignor of the clients) that a member supports, and its subscription in that protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicProtocol {
    pub name: Arc<str>,
    pub metadata: Bytes,
}

/// How far a member has come: the value of key 8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentAssignment {
    pub epoch: i32,
    /// The epoch before this one: a member that never heard of the newer one comes with it.
    pub previous_epoch: i32,
    pub state: MemberState,
    /// What the member has, or is told to have with the next response.
    pub assigned: Assignment,
    /// What it has been told to give up, and still may have.
    pub pending_revocation: Assignment,
    /// Since when it has each of both.
    pub epochs: AssignmentEpochs,
}

/// Where a member stands on its way to its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberState {
    /// It has what it is to have at its epoch.
    #[default]
    Stable,
    /// It must give up partitions before it may go to the next epoch.
    UnrevokedPartitions,
    /// It is at the newest epoch and waits for partitions that others still have.
    UnreleasedPartitions,
    /// Written by a later release.
    Unknown,
}

impl MemberState {
    /// As Kafka's records have it.
    #[must_use]
    pub fn number(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::UnrevokedPartitions => 1,
            Self::UnreleasedPartitions => 2,
            Self::Unknown => 127,
        }
    }

    #[must_use]
    pub fn from_number(number: i8) -> Self {
        match number {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            _ => Self::Unknown,
        }
    }
}

impl Default for MemberMetadata {
    fn default() -> Self {
        Self {
            instance_id: None,
            rack_id: None,
            client_id: "".into(),
            client_host: "".into(),
            subscribed_topic_names: BTreeSet::new(),
            subscribed_topic_regex: None,
            rebalance_timeout_ms: -1,
            server_assignor: None,
            classic: None,
        }
    }
}

impl Default for CurrentAssignment {
    fn default() -> Self {
        Self {
            epoch: 0,
            previous_epoch: -1,
            state: MemberState::Stable,
            assigned: Assignment::default(),
            pending_revocation: Assignment::default(),
            epochs: AssignmentEpochs::default(),
        }
    }
}

impl Member {
    /// What it says of itself, in bytes, roughly. Partitions do not count: the topics bound those.
    #[must_use]
    pub fn bytes(&self) -> usize {
        const OVERHEAD_BYTES: usize = 128;
        const NAME_OVERHEAD_BYTES: usize = 64;
        let metadata = &*self.metadata;
        let optional = [
            &metadata.instance_id,
            &metadata.rack_id,
            &metadata.subscribed_topic_regex,
            &metadata.server_assignor,
        ];
        let optional = optional.into_iter().flatten().map(|text| text.len());
        let names = metadata.subscribed_topic_names.iter();
        let names = names.map(|name| NAME_OVERHEAD_BYTES + name.len());
        let classic = metadata.classic.iter();
        let protocols = classic.flat_map(|classic| &classic.protocols);
        let protocols = protocols
            .map(|protocol| NAME_OVERHEAD_BYTES + protocol.name.len() + protocol.metadata.len());
        OVERHEAD_BYTES
            + metadata.client_id.len()
            + metadata.client_host.len()
            + optional.chain(names).chain(protocols).sum::<usize>()
    }

    #[must_use]
    pub fn is_classic(&self) -> bool {
        self.metadata.classic.is_some()
    }

    /// Whether it has all that the target of that epoch gives it.
    #[must_use]
    pub fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.current.state == MemberState::Stable && self.current.epoch == target_epoch
    }
}

impl MemberMetadata {
    /// The expression it subscribes to, if any.
    #[must_use]
    pub fn regex(&self) -> Option<&Arc<str>> {
        self.subscribed_topic_regex
            .as_ref()
            .filter(|regex| !regex.is_empty())
    }

    /// With what a request says of the member. Most heartbeats say nothing: then it is the very same value.
    pub(super) fn updated(self: &Arc<Self>, update: MetadataUpdate<'_>) -> Arc<Self> {
        let names = update.subscribed_topic_names;
        let names: Option<BTreeSet<Arc<str>>> = names.map(|names| names.iter().cloned().collect());
        let differs = |new: Option<&Arc<str>>, old: &Option<Arc<str>>| {
            new.is_some_and(|new| Some(new) != old.as_ref())
        };
        let timeout_ms = update.rebalance_timeout_ms;
        let changed = differs(update.instance_id, &self.instance_id)
            || differs(update.rack_id, &self.rack_id)
            || differs(update.subscribed_topic_regex, &self.subscribed_topic_regex)
            || differs(update.server_assignor, &self.server_assignor)
            || *update.client_id != self.client_id
            || *update.client_host != self.client_host
            || names
                .as_ref()
                .is_some_and(|names| *names != self.subscribed_topic_names)
            || timeout_ms.is_some_and(|timeout_ms| timeout_ms != self.rebalance_timeout_ms)
            || update.classic != self.classic;
        if !changed {
            return Arc::clone(self);
        }
        let or = |new: Option<&Arc<str>>, old: &Option<Arc<str>>| new.or(old.as_ref()).cloned();
        Arc::new(Self {
            instance_id: or(update.instance_id, &self.instance_id),
            rack_id: or(update.rack_id, &self.rack_id),
            client_id: Arc::clone(update.client_id),
            client_host: Arc::clone(update.client_host),
            subscribed_topic_names: names.unwrap_or_else(|| self.subscribed_topic_names.clone()),
            subscribed_topic_regex: or(update.subscribed_topic_regex, &self.subscribed_topic_regex),
            rebalance_timeout_ms: timeout_ms.unwrap_or(self.rebalance_timeout_ms),
            server_assignor: or(update.server_assignor, &self.server_assignor),
            classic: update.classic,
        })
    }
}

/// What a request says of a member. `None`: nothing, except for `classic`.
pub(super) struct MetadataUpdate<'a> {
    pub(super) instance_id: Option<&'a Arc<str>>,
    pub(super) rack_id: Option<&'a Arc<str>>,
    pub(super) client_id: &'a Arc<str>,
    pub(super) client_host: &'a Arc<str>,
    pub(super) subscribed_topic_names: Option<&'a [Arc<str>]>,
    pub(super) subscribed_topic_regex: Option<&'a Arc<str>>,
    pub(super) rebalance_timeout_ms: Option<i32>,
    pub(super) server_assignor: Option<&'a Arc<str>>,
    pub(super) classic: Option<ClassicMember>,
}

impl CurrentAssignment {
    /// At another epoch, of which the present one becomes the previous. At the same epoch the previous one stays: a member that
    /// missed several responses in a row is still known by it.
    pub(super) fn at_epoch(&self, epoch: i32) -> Self {
        let previous_epoch = if epoch == self.epoch {
            self.previous_epoch
        } else {
            self.epoch
        };
        Self {
            epoch,
            previous_epoch,
            ..self.clone()
        }
    }

    /// With all that it has as if it had got it at that epoch.
    pub(super) fn since(mut self, epoch: i32) -> Self {
        let held = [&self.assigned, &self.pending_revocation];
        let held = held.into_iter().flat_map(Assignment::partitions);
        self.epochs = held.map(|partition| (partition, epoch)).collect();
        self
    }

    /// With what it did not have `before` as got at that epoch. What it gave up and gets again counts as new.
    pub(super) fn following(mut self, before: &Self, epoch: i32) -> Self {
        if self.assigned == before.assigned && self.pending_revocation == before.pending_revocation
        {
            self.epochs = before.epochs.clone();
            return self;
        }
        let since = |partition| before.epochs.of(partition).unwrap_or(epoch);
        let pending = self.pending_revocation.partitions();
        let pending = pending.map(|partition| (partition, since(partition)));
        let assigned = self.assigned.partitions().map(|partition| {
            let is_new = !before.assigned.contains(partition);
            (partition, if is_new { epoch } else { since(partition) })
        });
        self.epochs = pending.chain(assigned).collect();
        self
    }
}
