//! The leader of a partition: owns the epoch, the log's offsets, the in-sync set and the high watermark.
//!
//! Says what is committed; never touches the log itself, and takes nothing from a replica that speaks in another epoch.

use rinka_storage::leader_epoch::LeaderEpoch;
use rinka_storage::offset::Offset;

use super::in_sync_set::{BrokerId, InSyncSet};

/// What the shell has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Everything below `to` is committed: answer those who wait for it.
    HighWatermarkAdvanced { to: Offset },
}

/// Fewer replicas are in sync than `min.insync.replicas` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotEnoughReplicas {
    pub in_sync: usize,
}

/// Counts the changes of a partition's replicas and in-sync set: the controller takes one that names the current number only,
/// and the leader takes them in this order only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionEpoch(pub i32);

/// `log_start <= high_watermark <= log_end`; the high watermark never goes back, and moves on only to what every in-sync
/// replica has flushed. (It may be ahead of one for a while: of a replica that lost its disk, until the controller drops it.)
#[derive(Clone, Debug)]
pub struct Leader {
    broker: BrokerId,
    epoch: LeaderEpoch,
    /// The log's end when this leader's epoch began.
    epoch_start: Offset,
    partition_epoch: PartitionEpoch,
    log_start: Offset,
    log_end: Offset,
    in_sync: InSyncSet,
    high_watermark: Offset,
}

impl Leader {
    /// The leader of a partition with one replica, this broker, all of whose log up to `log_end` is flushed.
    #[must_use]
    pub fn single_replica(
        broker: i32,
        epoch: LeaderEpoch,
        log_start: Offset,
        log_end: Offset,
    ) -> Self {
        assert!(
            log_start <= log_end,
            "a log starts before its end: {log_start}..{log_end}"
        );
        let broker = BrokerId(broker);
        Self {
            broker,
            epoch,
            epoch_start: log_end,
            partition_epoch: PartitionEpoch::default(),
            log_start,
            log_end,
            in_sync: InSyncSet::single(broker, log_end),
            high_watermark: log_end,
        }
    }

    #[must_use]
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    #[must_use]
    pub fn log_end(&self) -> Offset {
        self.log_end
    }

    #[must_use]
    pub fn log_start(&self) -> Offset {
        self.log_start
    }

    /// What this broker has flushed.
    #[must_use]
    pub fn flushed_end(&self) -> Offset {
        self.in_sync
            .flushed_end(self.broker)
            .expect("the leader is a replica")
    }

    #[must_use]
    pub fn in_sync_set(&self) -> &InSyncSet {
        &self.in_sync
    }

    /// Whether a produce request may be taken: with acks=all, at least `min` replicas must be in sync before the append.
    ///
    /// # Errors
    /// [`NotEnoughReplicas`].
    pub fn check_min_in_sync_replicas(
        &self,
        acks: i16,
        min: usize,
    ) -> Result<(), NotEnoughReplicas> {
        let in_sync = self.in_sync.in_sync();
        if acks == -1 && in_sync < min {
            Err(NotEnoughReplicas { in_sync })
        } else {
            Ok(())
        }
    }

    /// The log was appended up to `end`.
    pub fn on_append(&mut self, end: Offset, out: &mut Vec<Action>) {
        assert!(
            end >= self.log_end,
            "a leader's log only grows: {} then {end}",
            self.log_end
        );
        self.log_end = end;
        self.advance(out);
    }

    /// This broker's log is durable, as its topic asks, up to `end`.
    pub fn on_flushed(&mut self, end: Offset, out: &mut Vec<Action>) {
        assert!(
            end <= self.log_end,
            "nothing is flushed that was not appended: {end} of {}",
            self.log_end
        );
        self.in_sync.on_flushed(self.broker, end);
        self.advance(out);
    }

    /// A follower says that it has flushed everything up to `end`. Words of another epoch are not heard.
    pub fn on_follower_ack(
        &mut self,
        follower: BrokerId,
        epoch: LeaderEpoch,
        end: Offset,
        out: &mut Vec<Action>,
    ) {
        // A follower of this epoch has validated its log against ours: it cannot have more than we do.
        if epoch == self.epoch && end <= self.log_end {
            self.in_sync.on_flushed(follower, end);
            self.advance(out);
        }
    }

    /// A follower of this epoch, its log validated against ours and cut where they differ, starts to follow from `end`,
    /// below which it has flushed everything.
    ///
    /// What it said before counts no more: with its disk replaced it may know less than it once acknowledged.
    pub fn on_follower_attached(
        &mut self,
        follower: BrokerId,
        epoch: LeaderEpoch,
        end: Offset,
        out: &mut Vec<Action>,
    ) {
        if epoch == self.epoch && end <= self.log_end && follower != self.broker {
            self.in_sync.on_attached(follower, end);
            self.advance(out);
        }
    }

    /// Whether the controller may be asked to add the follower: it has all that is committed, and all that was there when
    /// this epoch began. The second is for a leader that does not know yet how far its predecessor's high watermark was.
    #[must_use]
    pub fn may_join(&self, follower: BrokerId) -> bool {
        let needed = self.high_watermark.max(self.epoch_start);
        !self.in_sync.contains(follower)
            && self
                .in_sync
                .flushed_end(follower)
                .is_some_and(|end| end >= needed)
    }

    /// A follower has caught up and the controller was asked to add it: from now on it counts.
    pub fn on_join_requested(&mut self, follower: BrokerId) {
        assert!(self.may_join(follower), "{follower:?} has not caught up");
        self.in_sync.set_joining(follower);
    }

    /// The controller committed who the replicas are and which are in sync. News older than what is known are not heard.
    pub fn on_in_sync_set(
        &mut self,
        partition_epoch: PartitionEpoch,
        replicas: &[BrokerId],
        in_sync: &[BrokerId],
        out: &mut Vec<Action>,
    ) {
        if partition_epoch <= self.partition_epoch {
            return;
        }
        assert!(
            replicas.contains(&self.broker) && in_sync.contains(&self.broker),
            "a leader that left the in-sync set leads no more"
        );
        self.partition_epoch = partition_epoch;
        self.in_sync.set_committed(replicas, in_sync);
        self.advance(out);
    }

    /// This broker was elected once more. Followers have to validate their logs again before their words count: one may
    /// have followed somebody else in between. Who was joining goes on counting until the next committed set says otherwise.
    ///
    /// Whoever waits for an offset of the older epoch is the shell's to answer.
    pub fn on_new_epoch(&mut self, epoch: LeaderEpoch) {
        assert!(
            epoch > self.epoch,
            "epochs grow: {} then {epoch}",
            self.epoch
        );
        self.epoch = epoch;
        self.epoch_start = self.log_end;
        self.in_sync.forget_flushed(self.broker);
    }

    /// What lies below `to` was deleted, by retention or on request.
    pub fn on_log_start(&mut self, to: Offset) {
        assert!(
            to <= self.high_watermark,
            "only what is committed is deleted: {to} of {}",
            self.high_watermark
        );
        self.log_start = to.max(self.log_start);
    }

    fn advance(&mut self, out: &mut Vec<Action>) {
        let committed = self.in_sync.smallest_flushed_end().min(self.log_end);
        if committed > self.high_watermark {
            self.high_watermark = committed;
            out.push(Action::HighWatermarkAdvanced { to: committed });
        }
        assert!(
            self.log_start <= self.high_watermark && self.high_watermark <= self.log_end,
            "{} <= {} <= {}",
            self.log_start,
            self.high_watermark,
            self.log_end
        );
    }
}

#[cfg(test)]
mod tests;
