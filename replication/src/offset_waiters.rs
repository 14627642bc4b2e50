//! The one shape of waiting: "answer when the mark reaches this offset, or at the deadline".
//!
//! Holds tokens and gives them back; never knows what they are for, and is told the time.

use std::collections::VecDeque;
use std::time::Duration;

use rinka_storage::offset::Offset;

/// Who waits for a mark. `T` is what the caller needs to answer; times are since some fixed moment.
#[derive(Debug)]
pub struct OffsetWaiters<T> {
    /// In order of the offset, then of arrival. Nearly always a new one belongs at the back.
    waiters: VecDeque<Waiter<T>>,
    /// No deadline is earlier; the one it stood for may have been answered since. Ticks come far more often than deadlines,
    /// and looking through a thousand waiters at each would show.
    earliest: Duration,
}

#[derive(Debug)]
struct Waiter<T> {
    offset: Offset,
    deadline: Duration,
    token: T,
}

impl<T> Default for OffsetWaiters<T> {
    fn default() -> Self {
        Self {
            waiters: VecDeque::new(),
            earliest: Duration::MAX,
        }
    }
}

impl<T> OffsetWaiters<T> {
    /// Waits until the mark is `offset` or above, at most until `deadline`.
    pub fn wait(&mut self, offset: Offset, deadline: Duration, token: T) {
        let waiter = Waiter {
            offset,
            deadline,
            token,
        };
        self.earliest = self.earliest.min(deadline);
        match self.waiters.back() {
            Some(last) if last.offset > offset => {
                let at = self.waiters.partition_point(|other| other.offset <= offset);
                self.waiters.insert(at, waiter);
            }
            _ => self.waiters.push_back(waiter),
        }
    }

    /// The mark is `mark` now: gives back whoever waited for it, in order.
    pub fn on_mark(&mut self, mark: Offset, out: &mut Vec<T>) {
        while self
            .waiters
            .front()
            .is_some_and(|waiter| waiter.offset <= mark)
        {
            out.extend(self.waiters.pop_front().map(|waiter| waiter.token));
        }
        self.shrink();
    }

    /// It is `now`: gives back whoever's time is over.
    pub fn on_deadline(&mut self, now: Duration, out: &mut Vec<T>) {
        if now < self.earliest {
            return;
        }
        self.earliest = Duration::MAX;
        // Once around: whoever stays goes to the back, behind all that stayed before.
        for _ in 0..self.waiters.len() {
            let Some(waiter) = self.waiters.pop_front() else {
                break;
            };
            if waiter.deadline <= now {
                out.push(waiter.token);
            } else {
                self.earliest = self.earliest.min(waiter.deadline);
                self.waiters.push_back(waiter);
            }
        }
        self.shrink();
    }

    /// Forgets those who have been answered otherwise: a fetch of many partitions waits at each of them, and one wakes it.
    pub fn cancel(&mut self, mut is_answered: impl FnMut(&T) -> bool) {
        self.waiters.retain(|waiter| !is_answered(&waiter.token));
        self.shrink();
    }

    /// Gives everyone back, in order: nothing they wait for will come.
    pub fn drain(&mut self, out: &mut Vec<T>) {
        out.extend(self.waiters.drain(..).map(|waiter| waiter.token));
        self.shrink();
    }

    /// When the next one's time is over.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.waiters.iter().map(|waiter| waiter.deadline).min()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Many partitions were busy once: an idle one gives its memory back, a busy one keeps room for a few.
    fn shrink(&mut self) {
        const KEPT: usize = 16;
        if self.waiters.is_empty() {
            self.earliest = Duration::MAX;
        }
        if self.waiters.is_empty() && self.waiters.capacity() > KEPT {
            self.waiters = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Wait { offset: i64, deadline: u64 },
        Mark(i64),
        Time(u64),
        Cancel { every: usize },
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0i64..50, 0u64..100).prop_map(|(offset, deadline)| Step::Wait { offset, deadline }),
            (0i64..50).prop_map(Step::Mark),
            (0u64..100).prop_map(Step::Time),
            (2usize..5).prop_map(|every| Step::Cancel { every }),
        ]
    }

    proptest! {
        /// Against a list that is searched from end to end.
        #[test]
        fn everyone_is_answered_once_and_in_time(steps in proptest::collection::vec(any_step(), 0..100)) {
            let mut waiters = OffsetWaiters::default();
            let mut model: Vec<(i64, u64, usize)> = Vec::new();
            for (token, step) in steps.into_iter().enumerate() {
                let mut out = Vec::new();
                let mut expected = Vec::new();
                match step {
                    Step::Wait { offset, deadline } => {
                        waiters.wait(Offset(offset), Duration::from_secs(deadline), token);
                        model.push((offset, deadline, token));
                        model.sort_by_key(|waiter| (waiter.0, waiter.2));
                    }
                    Step::Mark(mark) => {
                        waiters.on_mark(Offset(mark), &mut out);
                        expected.extend(model.extract_if(.., |waiter| waiter.0 <= mark).map(|waiter| waiter.2));
                    }
                    Step::Time(now) => {
                        waiters.on_deadline(Duration::from_secs(now), &mut out);
                        expected.extend(model.extract_if(.., |waiter| waiter.1 <= now).map(|waiter| waiter.2));
                    }
                    Step::Cancel { every } => {
                        waiters.cancel(|token| token % every == 0);
                        model.retain(|waiter| waiter.2 % every != 0);
                    }
                }
                prop_assert_eq!(out, expected);
                prop_assert_eq!(waiters.len(), model.len());
                let next = model.iter().map(|waiter| Duration::from_secs(waiter.1)).min();
                prop_assert_eq!(waiters.next_deadline(), next);
            }
            let mut out = Vec::new();
            waiters.drain(&mut out);
            prop_assert_eq!(out.len(), model.len());
            prop_assert!(waiters.is_empty());
        }
    }
}
