//! A shard's memory for requests: who has no permit waits, and its socket is simply not read meanwhile.
//!
//! Counts bytes, never holds any. Large requests that are still arriving may take half of it, so that whoever sends them
//! slowly holds up other large ones at most, and never a small one.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// The bytes of requests that the connections of a shard may hold together.
#[derive(Debug)]
pub struct Budget {
    bytes_max: usize,
    used: Cell<usize>,
    /// Of `used`, what belongs to requests that are not whole yet.
    arriving: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
    /// Connections that wait to receive a large request.
    waiting_to_arrive: Cell<usize>,
}

/// Some of a budget, until it is dropped.
#[derive(Debug)]
pub struct Permit {
    budget: Rc<Budget>,
    bytes: usize,
    arriving: bool,
}

impl Budget {
    #[must_use]
    pub fn new(bytes_max: usize) -> Rc<Self> {
        Rc::new(Self {
            bytes_max,
            used: Cell::new(0),
            arriving: Cell::new(0),
            waiting: RefCell::default(),
            waiting_to_arrive: Cell::new(0),
        })
    }

    /// For a request that is there.
    pub async fn whole(self: &Rc<Self>, bytes: usize) -> Permit {
        self.permit(bytes, false).await
    }

    /// For a large request that has begun to come, all of it at once: who begins to receive can also end.
    pub async fn arriving(self: &Rc<Self>, bytes: usize) -> Permit {
        let _waits = Waits::new(&self.waiting_to_arrive);
        self.permit(bytes, true).await
    }

    /// Whether somebody waits for what slow senders hold.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.waiting_to_arrive.get() > 0
    }

    /// Bytes that permits are out for.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.get()
    }

    async fn permit(self: &Rc<Self>, bytes: usize, arriving: bool) -> Permit {
        poll_fn(|context| {
            if !self.has(bytes, arriving) {
                self.waiting.borrow_mut().push(context.waker().clone());
                return Poll::Pending;
            }
            self.used.set(self.used.get() + bytes);
            if arriving {
                self.arriving.set(self.arriving.get() + bytes);
            }
            Poll::Ready(())
        })
        .await;
        Permit {
            budget: Rc::clone(self),
            bytes,
            arriving,
        }
    }

    /// One that is larger than the whole budget goes alone.
    fn has(&self, bytes: usize, arriving: bool) -> bool {
        let whole = self.used.get() - self.arriving.get();
        if arriving {
            let taken = self.arriving.get();
            return taken == 0 || taken + bytes <= self.bytes_max / 2;
        }
        whole == 0 || whole + bytes <= self.bytes_max / 2
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

    /// The request is whole. It may take more than the half of those that are: nobody else can end its being held.
    pub fn arrived(&mut self) {
        if std::mem::take(&mut self.arriving) {
            let arriving = &self.budget.arriving;
            arriving.set(arriving.get() - self.bytes);
            self.budget.give_back();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.arrived();
        self.budget.used.set(self.budget.used.get() - self.bytes);
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

    #[test]
    fn slow_large_requests_take_half_and_small_ones_go_on() {
        let budget = Budget::new(100);
        let first = now(budget.arriving(40)).expect("room");
        assert!(now(budget.arriving(20)).is_none(), "more than half");
        assert!(!budget.is_short(), "who gave up does not wait");
        let mut waits = Box::pin(budget.arriving(20));
        assert!(now(&mut waits).is_none());
        assert!(budget.is_short());
        let small = now(budget.whole(50)).expect("the other half");
        assert!(now(budget.whole(1)).is_none(), "it is full");
        drop(small);
        assert!(now(&mut waits).is_none());
        drop(first);
        let mut large = now(&mut waits).expect("room again");
        drop(waits);
        large.arrived();
        assert_eq!((budget.used(), budget.arriving.get()), (20, 0));
        drop(large);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_is_larger_than_the_budget_goes_alone() {
        let budget = Budget::new(100);
        let large = now(budget.arriving(1000)).expect("alone");
        assert!(now(budget.arriving(1)).is_none());
        drop(large);
        assert!(now(budget.arriving(1)).is_some());
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
