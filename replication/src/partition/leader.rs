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

/// `high_watermark <= flushed end of each in-sync replica <= log_end`, and the high watermark never goes back.
#[derive(Clone, Debug)]
pub struct Leader {
    broker: BrokerId,
    epoch: LeaderEpoch,
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
        let broker = BrokerId(broker);
        Self {
            broker,
            epoch,
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

    /// A follower has caught up and the controller was asked to add it: from now on it counts.
    pub fn on_join_requested(&mut self, follower: BrokerId) {
        self.in_sync.set_joining(follower);
    }

    /// The controller committed who the replicas are and which are in sync.
    pub fn on_in_sync_set(
        &mut self,
        replicas: &[BrokerId],
        in_sync: &[BrokerId],
        out: &mut Vec<Action>,
    ) {
        assert!(
            in_sync.contains(&self.broker),
            "a leader that left the in-sync set leads no more"
        );
        self.in_sync.set_committed(replicas, in_sync);
        self.advance(out);
    }

    fn advance(&mut self, out: &mut Vec<Action>) {
        let committed = self.in_sync.smallest_flushed_end().min(self.log_end);
        if committed > self.high_watermark {
            self.high_watermark = committed;
            out.push(Action::HighWatermarkAdvanced { to: committed });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Append(i64),
        Flush,
        FollowerAck {
            follower: i32,
            share: u8,
            stale: bool,
        },
        Join(i32),
        Commit(Vec<bool>),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1i64..10).prop_map(Step::Append),
            Just(Step::Flush),
            (1i32..5, any::<u8>(), any::<bool>()).prop_map(|(follower, share, stale)| {
                Step::FollowerAck {
                    follower,
                    share,
                    stale,
                }
            }),
            (1i32..5).prop_map(Step::Join),
            proptest::collection::vec(any::<bool>(), 4).prop_map(Step::Commit),
        ]
    }

    #[test]
    fn one_replica_commits_what_it_flushes() {
        let mut leader = Leader::single_replica(1, LeaderEpoch(4), Offset(0), Offset(10));
        let mut out = Vec::new();
        leader.on_append(Offset(15), &mut out);
        assert_eq!((leader.high_watermark(), out.len()), (Offset(10), 0));
        leader.on_flushed(Offset(13), &mut out);
        assert_eq!(out, [Action::HighWatermarkAdvanced { to: Offset(13) }]);
        assert_eq!(
            leader.check_min_in_sync_replicas(-1, 2),
            Err(NotEnoughReplicas { in_sync: 1 })
        );
        assert_eq!(leader.check_min_in_sync_replicas(1, 2), Ok(()));
    }

    proptest! {
        /// HighWatermarkNeverRegresses, and it stands on every replica that is in sync or joining.
        #[test]
        fn the_high_watermark_stands_on_the_in_sync_set(steps in proptest::collection::vec(any_step(), 0..80)) {
            let mut leader = Leader::single_replica(0, LeaderEpoch(1), Offset(0), Offset(0));
            let mut counted = vec![true, false, false, false, false];
            let mut flushed = [0i64; 5];
            for step in steps {
                let before = leader.high_watermark();
                let mut out = Vec::new();
                match step {
                    Step::Append(count) => {
                        let end = leader.log_end().plus(count);
                        leader.on_append(end, &mut out);
                    }
                    Step::Flush => {
                        let end = leader.log_end();
                        leader.on_flushed(end, &mut out);
                        flushed[0] = end.0;
                    }
                    Step::FollowerAck { follower, share, stale } => {
                        let end = leader.log_end().0 * i64::from(share) / 255;
                        let epoch = if stale { LeaderEpoch(0) } else { LeaderEpoch(1) };
                        leader.on_follower_ack(BrokerId(follower), epoch, Offset(end), &mut out);
                        let known = leader.in_sync_set().flushed_end(BrokerId(follower)).is_some();
                        if known && !stale {
                            let flushed = &mut flushed[follower as usize];
                            *flushed = end.max(*flushed);
                        }
                    }
                    Step::Join(follower) => {
                        leader.on_join_requested(BrokerId(follower));
                        let known = leader.in_sync_set().flushed_end(BrokerId(follower)).is_some();
                        counted[follower as usize] |= known;
                    }
                    Step::Commit(members) => {
                        let replicas: Vec<_> = (0..5).map(BrokerId).collect();
                        let in_sync: Vec<_> =
                            replicas.iter().copied().filter(|b| b.0 == 0 || members[b.0 as usize - 1]).collect();
                        leader.on_in_sync_set(&replicas, &in_sync, &mut out);
                        counted = replicas.iter().map(|broker| in_sync.contains(broker)).collect();
                    }
                }
                let mark = leader.high_watermark();
                prop_assert!(before <= mark && mark <= leader.log_end());
                prop_assert_eq!(!out.is_empty(), before < mark);
                if before < mark {
                    for broker in 0..5 {
                        prop_assert!(!counted[broker] || flushed[broker] >= mark.0);
                    }
                }
            }
        }
    }
}
