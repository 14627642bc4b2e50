//! When compaction takes its next step: not in front of a commit, and in no more of the time than what gets dirty asks for.
//!
//! Nobody waits for compaction, and everybody waits for commits: what it asks of the disk lies in the same queue as their flush, and its
//! own flushes are the file system's too. On a shard without commits it goes on without a pause. Reads no clock and starts nothing;
//! [`crate::store::Store::let_compact`] does.
//!
//! ```text
//! share 1/10   step ####------------------------------------   the pause: nine times what the step took
//! a commit          [ waits, is written, is flushed ]
//! next step                                          ####      once it is over, or after 50 ms of commits without a gap
//! ```

use std::time::Duration;

/// Of the time compaction is at work, at least, while there is something to do: enough for some 20 MB/s of what is read.
const SHARE_MIN: f64 = 0.1;

/// So long a step waits for a moment without a commit, at the least share; at twice the share half as long. Then it goes beside one:
/// a disk that never rests must be compacted too.
const HELD_MAX: Duration = Duration::from_millis(50);

/// When more is dirty than at the last run, the share grows by as much and by a quarter beyond: just as much would keep the growth.
const BEYOND: f64 = 1.25;

/// It at most doubles from one run to the next: what one run finds may be a burst.
const GROWTH_MAX: f64 = 2.0;

/// While nothing more gets dirty than is cleaned the share goes down by a tenth with each run, and at most by half.
const DECAY: f64 = 0.9;
const SHRINK_MAX: f64 = 0.5;

/// No more of a step's time counts: after a machine stood still for an hour it need not wait for ten.
const COUNTED_MAX: Duration = Duration::from_secs(1);

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Some ten microseconds of the processor.
    Compute,
    /// An operation of the disk. So many bytes were read and written since the last one.
    Disk { bytes: u64 },
}

/// Whether an operation of the disk may begin. Moments are measured from wherever the caller's clock begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Now; who is told so begins.
    Go,
    /// Not before this moment.
    At(Duration),
    /// When no commit waits or is under way any more; ask again then, or at this moment.
    AfterCommit { at_latest: Duration },
}

/// The pace of one shard's compaction, from run to run.
#[derive(Clone, Debug)]
pub struct Pacing {
    /// `log.cleaner.io.max.bytes.per.second`, the shard's part of it.
    bytes_per_second_max: Option<f64>,
    /// Of the time compaction may be at work, above 0 and at most 1.
    share: f64,
    /// What was dirty when the last run began.
    dirty_bytes: u64,
    /// No operation begins before: what the last steps took asks for as long a pause,
    due: Duration,
    /// and so does the rate.
    rate_due: Duration,
    /// The step that is under way began then.
    began: Option<Duration>,
    /// An operation could begin since then but for commits.
    held: Option<Duration>,
}

impl Pacing {
    #[must_use]
    pub fn new(bytes_per_second_max: Option<f64>) -> Self {
        Self {
            bytes_per_second_max,
            share: SHARE_MIN,
            dirty_bytes: 0,
            due: Duration::ZERO,
            rate_due: Duration::ZERO,
            began: None,
            held: None,
        }
    }

    /// A run begins, with so many dirty bytes in all logs that are worth one. More than at the last: compaction falls behind, and gets a
    /// larger share.
    pub fn on_run(&mut self, dirty_bytes: u64) {
        let before = std::mem::replace(&mut self.dirty_bytes, dirty_bytes);
        if before == 0 {
            return;
        }
        let growth = dirty_bytes as f64 / before as f64;
        let factor = match growth > 1.0 {
            true => (growth * BEYOND).min(GROWTH_MAX),
            false => growth.max(SHRINK_MAX) * DECAY,
        };
        self.share = (self.share * factor).clamp(SHARE_MIN, 1.0);
    }

    /// The step that was under way is over; it read and wrote so many bytes. `beside_commits`: there was a commit a moment ago; when
    /// there was none, nobody is held up, and there is no pause.
    pub fn on_step_end(&mut self, now: Duration, bytes: u64, beside_commits: bool) {
        let Some(began) = self.began.take() else {
            return;
        };
        let took = now.saturating_sub(began).min(COUNTED_MAX);
        if beside_commits {
            self.due = self.due.max(now) + took.mul_f64(1.0 / self.share - 1.0);
        }
        if let Some(rate) = self.bytes_per_second_max {
            let takes = Duration::try_from_secs_f64(bytes as f64 / rate).unwrap_or(Duration::MAX);
            self.rate_due = self.rate_due.max(began).saturating_add(takes);
        }
    }

    /// A step of the processor alone begins.
    pub fn on_compute(&mut self, now: Duration) {
        self.began = Some(now);
    }

    /// An operation of the disk wants to begin; `committing`: a commit waits or is under way.
    pub fn next(&mut self, now: Duration, committing: bool) -> Turn {
        let due = self.due.max(self.rate_due);
        if now < due {
            return Turn::At(due);
        }
        let at_latest = *self.held.get_or_insert(now) + HELD_MAX.mul_f64(SHARE_MIN / self.share);
        if committing && now < at_latest {
            return Turn::AfterCommit { at_latest };
        }
        self.held = None;
        self.began = Some(now);
        Turn::Go
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn us(count: u64) -> Duration {
        Duration::from_micros(count)
    }

    #[test]
    fn a_step_waits_for_the_commit_and_for_nine_times_its_own_time() {
        let mut pacing = Pacing::new(None);
        let at_latest = HELD_MAX;
        let held = Turn::AfterCommit { at_latest };
        assert_eq!(pacing.next(us(0), true), held);
        assert_eq!(pacing.next(us(300), true), held);
        assert_eq!(pacing.next(us(400), false), Turn::Go);
        pacing.on_step_end(us(500), 1, true);
        assert_eq!(pacing.next(us(500), false), Turn::At(us(1400)));
        assert_eq!(pacing.next(us(1400), false), Turn::Go);
        // There was no commit for a while.
        pacing.on_step_end(us(1500), 1, false);
        assert_eq!(pacing.next(us(1500), false), Turn::Go);
    }

    #[test]
    fn commits_without_a_gap_hold_it_up_for_a_while_only() {
        let mut pacing = Pacing::new(None);
        assert!(matches!(pacing.next(us(7), true), Turn::AfterCommit { .. }));
        assert_eq!(pacing.next(HELD_MAX + us(7), true), Turn::Go);
        // The next one waits anew.
        pacing.on_step_end(HELD_MAX + us(7), 0, true);
        let next = pacing.next(HELD_MAX + us(7), true);
        assert!(matches!(next, Turn::AfterCommit { .. }), "{next:?}");
    }

    #[test]
    fn the_share_follows_what_is_dirty() {
        let mut pacing = Pacing::new(None);
        let mut shares = Vec::new();
        for dirty in [100, 100, 150, 3000, 9000, 90_000, 90_000, 10, 10, 10] {
            pacing.on_run(dirty);
            shares.push((pacing.share * 1000.0 + 1e-6) as u32);
        }
        let expected = [100, 100, 187, 375, 750, 1000, 900, 405, 364, 328];
        assert_eq!(shares, expected);
    }

    /// What one step finds: how long it takes, and whether a commit is under way at each moment that it asks.
    fn steps() -> impl Strategy<Value = Vec<(u64, Vec<bool>, u64)>> {
        let asks = proptest::collection::vec(any::<bool>(), 0..8);
        proptest::collection::vec((0u64..5000, asks, 0u64..1_000_000), 1..60)
    }

    proptest! {
        /// Nothing of the disk's begins beside a commit unless it was held up for as long as it may be, it is at work in no more of the
        /// time than its share, reads and writes no faster than the rate, and always gets to go in the end.
        #[test]
        fn no_step_is_in_front_of_a_commit_or_beyond_the_share(
            steps in steps(),
            runs in proptest::collection::vec(1u64..1_000_000, 0..6),
            rate in proptest::option::of(1_000_000.0..1e9f64),
        ) {
            let mut pacing = Pacing::new(rate);
            for dirty in runs {
                pacing.on_run(dirty);
                prop_assert!((SHARE_MIN..=1.0).contains(&pacing.share));
            }
            let held_max = HELD_MAX.mul_f64(SHARE_MIN / pacing.share);
            let (mut now, mut worked, mut moved) = (Duration::ZERO, Duration::ZERO, 0);
            for (took, asks, bytes) in steps {
                let mut asks = asks.into_iter();
                let mut held_since = None;
                // At most eight times with an answer of its own, then in a gap.
                for asked in 0.. {
                    prop_assert!(asked < 20, "it never gets to go");
                    let committing = asks.next().unwrap_or(false);
                    match pacing.next(now, committing) {
                        Turn::Go => {
                            let held = held_since.map(|since| now - since);
                            prop_assert!(!committing || held.is_some_and(|held| held >= held_max));
                            break;
                        }
                        Turn::At(at) => {
                            prop_assert!(at > now);
                            now = at;
                        }
                        Turn::AfterCommit { at_latest } => {
                            prop_assert!(committing && at_latest > now);
                            held_since.get_or_insert(now);
                            // A commit takes a quarter of that, or it is the moment.
                            now = (now + held_max / 4).min(at_latest);
                        }
                    }
                }
                // What came before has had its pause.
                prop_assert!(worked.as_secs_f64() <= pacing.share * now.as_secs_f64() + 1e-6);
                if let Some(rate) = rate {
                    prop_assert!(moved as f64 <= rate * now.as_secs_f64() + 1.0);
                }
                now += us(took);
                worked += us(took);
                moved += bytes;
                pacing.on_step_end(now, bytes, true);
            }
        }

        /// However much gets dirty, up to four fifths of what compaction can do at its best, it catches up.
        #[test]
        fn it_keeps_up_with_what_gets_dirty(load in 0.01..0.8f64, burst in 1.0..1e9f64) {
            // At just the least share a burst neither grows, which would raise the share, nor goes within these runs.
            prop_assume!(!(0.95 * SHARE_MIN..=SHARE_MIN).contains(&load));
            let mut pacing = Pacing::new(None);
            let mut dirty = burst;
            for _ in 0..400 {
                pacing.on_run(dirty as u64);
                // At its best it cleans what gets dirty in one unit of time in `load` of them.
                dirty = (dirty * load / pacing.share).max(1.0);
            }
            prop_assert!(dirty < (burst / 100.0).max(1000.0), "{} bytes of {}", dirty, burst);
        }
    }
}
