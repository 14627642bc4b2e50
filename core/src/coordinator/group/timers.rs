//! What is to happen when: the alarms of members and groups, in the order of their time.
//!
//! Never looks at a clock. A deadline that moves later costs nothing until its alarm rings, since heartbeats move one far more
//! often than any of them passes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Whose alarm rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// A member, pending or not, may have gone silent.
    Session { group: Arc<str>, member: Arc<str> },
    /// The join phase of a group ends.
    Join { group: Arc<str> },
    /// Members had long enough to ask for their assignment.
    Sync { group: Arc<str> },
    /// A member of a consumer group may not have done in time what it had to.
    Deadline { group: Arc<str> },
    /// Offsets are looked at for expiry.
    Expiry,
}

impl Timer {
    /// `None`: it belongs to no single group.
    pub(super) fn group(&self) -> Option<&Arc<str>> {
        match self {
            Self::Session { group, .. }
            | Self::Join { group }
            | Self::Sync { group }
            | Self::Deadline { group } => Some(group),
            Self::Expiry => None,
        }
    }
}

/// One alarm's own part: kept by whom it belongs to. Whoever drops it while it is set forgets to cancel it, and it rings in vain.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    deadline: Option<Duration>,
    /// Where it lies among the timers: never later than the deadline.
    armed: Option<(Duration, u64)>,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    /// By time, then in the order they were set.
    ringing: BTreeMap<(Duration, u64), Timer>,
    count: u64,
}

impl Alarm {
    pub(super) fn is_set(&self) -> bool {
        self.deadline.is_some()
    }
}

impl Timers {
    /// From now on the alarm rings at `deadline` and not before.
    pub(super) fn set(
        &mut self,
        alarm: &mut Alarm,
        deadline: Duration,
        timer: impl FnOnce() -> Timer,
    ) {
        alarm.deadline = Some(deadline);
        match alarm.armed {
            Some((at, _)) if at <= deadline => {}
            Some(place) => {
                self.ringing.remove(&place);
                self.arm(alarm, deadline, timer());
            }
            None => self.arm(alarm, deadline, timer()),
        }
    }

    pub(super) fn cancel(&mut self, alarm: &mut Alarm) {
        alarm.deadline = None;
        if let Some(place) = alarm.armed.take() {
            self.ringing.remove(&place);
        }
    }

    /// Takes out every timer whose time has come, in order; its owner asks `is_due`. What is set meanwhile waits for the next call,
    /// so that a deadline of now cannot keep a caller for ever.
    pub(super) fn take_due(&mut self, now: Duration) -> Vec<Timer> {
        let later = self.ringing.split_off(&(now, u64::MAX));
        std::mem::replace(&mut self.ringing, later)
            .into_values()
            .collect()
    }

    /// Whether what rang was meant for now. If its deadline has moved since, it is armed again; else it is no longer set.
    pub(super) fn is_due(&mut self, alarm: &mut Alarm, now: Duration, timer: Timer) -> bool {
        match (alarm.armed, alarm.deadline) {
            // What rang was left behind by an alarm of the same name that is gone.
            (Some(place), _) if self.ringing.contains_key(&place) => false,
            (_, Some(deadline)) if deadline > now => {
                self.arm(alarm, deadline, timer);
                false
            }
            (_, deadline) => {
                *alarm = Alarm::default();
                deadline.is_some()
            }
        }
    }

    /// When `take_due` has something again: never later than the first deadline.
    pub(super) fn next(&self) -> Option<Duration> {
        self.ringing.keys().next().map(|&(at, _)| at)
    }

    fn arm(&mut self, alarm: &mut Alarm, at: Duration, timer: Timer) {
        self.count += 1;
        let place = (at, self.count);
        alarm.armed = Some(place);
        self.ringing.insert(place, timer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_deadline_that_moves_later_rings_once_in_vain_and_then_in_time() {
        let mut timers = Timers::default();
        let mut alarm = Alarm::default();
        timers.set(&mut alarm, seconds(10), || Timer::Expiry);
        timers.set(&mut alarm, seconds(15), || Timer::Expiry);
        assert_eq!(timers.take_due(seconds(9)), []);
        assert_eq!(timers.take_due(seconds(10)), [Timer::Expiry]);
        assert!(!timers.is_due(&mut alarm, seconds(10), Timer::Expiry));
        assert_eq!(timers.next(), Some(seconds(15)));
        assert_eq!(timers.take_due(seconds(15)), [Timer::Expiry]);
        assert!(timers.is_due(&mut alarm, seconds(15), Timer::Expiry));
        assert_eq!(timers.next(), None);
        assert!(!alarm.is_set());
    }

    #[test]
    fn what_was_cancelled_or_set_anew_after_it_was_taken_out_is_not_due() {
        let mut timers = Timers::default();
        let mut alarm = Alarm::default();
        timers.set(&mut alarm, seconds(10), || Timer::Expiry);
        assert_eq!(timers.take_due(seconds(10)), [Timer::Expiry]);
        timers.cancel(&mut alarm);
        assert!(!timers.is_due(&mut alarm, seconds(10), Timer::Expiry));
        timers.set(&mut alarm, seconds(20), || Timer::Expiry);
        assert!(!timers.is_due(&mut alarm, seconds(10), Timer::Expiry));
        assert_eq!(timers.take_due(seconds(20)), [Timer::Expiry]);
        timers.set(&mut alarm, seconds(30), || Timer::Expiry);
        assert!(!timers.is_due(&mut alarm, seconds(20), Timer::Expiry));
        assert_eq!(timers.next(), Some(seconds(30)));
    }

    #[test]
    fn a_deadline_that_moves_earlier_or_is_cancelled_leaves_nothing_behind() {
        let mut timers = Timers::default();
        let mut alarm = Alarm::default();
        timers.set(&mut alarm, seconds(300), || Timer::Expiry);
        timers.set(&mut alarm, seconds(10), || Timer::Expiry);
        assert_eq!(timers.ringing.len(), 1);
        assert_eq!(timers.next(), Some(seconds(10)));
        timers.cancel(&mut alarm);
        assert_eq!(timers.next(), None);
    }
}
