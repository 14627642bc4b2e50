//! A shard's memory for requests: who has no permit waits, and its socket is simply not read meanwhile.
//!
//! Counts bytes, never holds any. Large requests may take half of it, as their bytes come and until they are answered, and small
//! ones the other half, so that neither who sends slowly nor what waits for a slow disk holds up a request of the other kind. When
//! the half of the large ones is full of halves of requests, one of them goes on beyond it: they cannot wait for each other.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The bytes of requests that the connections of a shard may hold together.
#[derive(Debug)]
pub struct Budget {
    bytes_max: usize,
    /// Bytes of requests that came at once.
    small: Cell<usize>,
    /// Bytes of the others.
    large: Cell<usize>,
    /// Of `large`, what belongs to requests that are not whole yet.
    arriving: Cell<usize>,
    /// One request goes on although there is no room.
    express: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
    /// Connections that wait to receive a large request.
    waiting_to_arrive: Cell<usize>,
}

/// Some of a budget, until it is dropped.
#[derive(Debug)]
pub struct Permit {
    budget: Rc<Budget>,
    bytes: usize,
    large: bool,
    arriving: bool,
    express: bool,
}

impl Budget {
    #[must_use]
    pub fn new(bytes_max: usize) -> Rc<Self> {
        Rc::new(Self {
            bytes_max,
            small: Cell::new(0),
            large: Cell::new(0),
            arriving: Cell::new(0),
            express: Cell::new(false),
            waiting: RefCell::default(),
            waiting_to_arrive: Cell::new(0),
        })
    }

    /// For a request that is there.
    pub async fn whole(self: &Rc<Self>, bytes: usize) -> Permit {
        poll_fn(|context| {
            // One that is larger than all there is goes alone.
            let small = self.small.get();
            if small > 0 && small + bytes > self.bytes_max / 2 {
                return self.sleep(context);
            }
            self.small.set(small + bytes);
            Poll::Ready(())
        })
        .await;
        Permit {
            budget: Rc::clone(self),
            bytes,
            large: false,
            arriving: false,
            express: false,
        }
    }

    /// For a large request that begins to come: of nothing yet.
    #[must_use]
    pub fn arriving(self: &Rc<Self>) -> Permit {
        Permit {
            budget: Rc::clone(self),
            bytes: 0,
            large: true,
            arriving: true,
            express: false,
        }
    }

    /// Whether somebody waits for what slow senders hold.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.waiting_to_arrive.get() > 0
    }

    /// Bytes that permits are out for.
    #[must_use]
    pub fn used(&self) -> usize {
        self.small.get() + self.large.get()
    }

    fn sleep(&self, context: &Context<'_>) -> Poll<()> {
        self.waiting.borrow_mut().push(context.waker().clone());
        Poll::Pending
    }

    fn give_back(&self) {
        // Taken out first: waking may come back here.
        for waker in self.waiting.take() {
            waker.wake();
        }
    }
}

impl Permit {
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Waits until so many bytes of a request that is arriving are permitted.
    pub async fn grow(&mut self, bytes: usize) {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return;
        }
        let budget = &self.budget;
        let _waits = Waits::new(&budget.waiting_to_arrive);
        poll_fn(|context| {
            let has_room = budget.large.get() + more <= budget.bytes_max / 2;
            // Those that are whole make room by themselves.
            let others_end = budget.large.get() > budget.arriving.get();
            if !has_room && !self.express && (others_end || budget.express.get()) {
                return budget.sleep(context);
            }
            if !has_room {
                self.express = true;
                budget.express.set(true);
            }
            Poll::Ready(())
        })
        .await;
        budget.large.set(budget.large.get() + more);
        budget.arriving.set(budget.arriving.get() + more);
        self.bytes = bytes;
    }

    /// The request is whole, and on its way to its answer.
    pub fn arrived(&mut self) {
        if std::mem::take(&mut self.arriving) {
            let arriving = &self.budget.arriving;
            arriving.set(arriving.get() - self.bytes);
            if std::mem::take(&mut self.express) {
                self.budget.express.set(false);
            }
            self.budget.give_back();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.arrived();
        let kind = match self.large {
            true => &self.budget.large,
            false => &self.budget.small,
        };
        kind.set(kind.get() - self.bytes);
        self.budget.give_back();
    }
}

/// Counted as long as it lives, also where its future is dropped.
struct Waits<'a>(&'a Cell<usize>);

impl<'a> Waits<'a> {
    fn new(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, poll_once};

    use super::*;

    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        block_on(poll_once(std::pin::pin!(future)))
    }

    fn grown(budget: &Rc<Budget>, bytes: usize) -> Permit {
        let mut permit = budget.arriving();
        now(permit.grow(bytes)).expect("room");
        permit
    }

    #[test]
    fn slow_large_requests_take_half_and_small_ones_go_on() {
        let budget = Budget::new(100);
        let first = grown(&budget, 40);
        let express = grown(&budget, 20);
        let mut third = budget.arriving();
        assert!(now(third.grow(1)).is_none(), "one at a time beyond half");
        assert!(!budget.is_short(), "who gave up does not wait");
        let mut waits = Box::pin(third.grow(10));
        assert!(now(&mut waits).is_none());
        assert!(budget.is_short());
        let small = now(budget.whole(50)).expect("the other half");
        assert!(now(budget.whole(1)).is_none(), "it is full");
        drop(small);
        assert!(now(&mut waits).is_none());
        drop(first);
        now(&mut waits).expect("room again");
        drop(waits);
        third.arrived();
        assert_eq!((budget.used(), budget.arriving.get()), (30, 20));
        drop((third, express));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn halves_of_requests_do_not_wait_for_each_other() {
        let budget = Budget::new(100);
        let mut halves = vec![grown(&budget, 25), grown(&budget, 25)];
        let [one, other] = &mut halves[..] else {
            unreachable!("two of them")
        };
        now(one.grow(50)).expect("one goes on");
        now(one.grow(1_000)).expect("to its end");
        assert!(now(other.grow(50)).is_none());
        one.arrived();
        assert!(now(other.grow(50)).is_none(), "it is being answered");
        drop(halves.remove(0));
        now(halves[0].grow(50)).expect("then the other one");
    }

    #[test]
    fn large_requests_that_wait_for_their_answers_take_half_too() {
        let budget = Budget::new(100);
        let mut held: Vec<Permit> = (0..5).map(|_| grown(&budget, 10)).collect();
        held.iter_mut().for_each(Permit::arrived);
        let mut next = budget.arriving();
        assert!(now(next.grow(10)).is_none(), "the disk is behind");
        let small = now(budget.whole(50)).expect("the other half");
        assert_eq!(budget.used(), 100);
        held.pop();
        now(next.grow(10)).expect("one was answered");
        drop((held, next, small));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_is_larger_than_the_budget_goes_alone() {
        let budget = Budget::new(100);
        let _large = now(budget.whole(1000)).expect("alone");
        assert!(now(budget.whole(1)).is_none());
    }

    #[test]
    fn who_waits_is_woken() {
        let budget = Budget::new(10);
        let held = block_on(budget.whole(10));
        let mut waits = Box::pin(budget.whole(1));
        assert!(now(&mut waits).is_none());
        assert_eq!(budget.waiting.borrow().len(), 1);
        drop(held);
        assert!(budget.waiting.borrow().is_empty(), "woken");
        assert!(now(&mut waits).is_some());
    }
}
