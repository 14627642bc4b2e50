//! A bell inside one shard: tasks wait for it, another rings it, all that wait wake up.
//!
//! Carries no value and crosses no thread.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

#[derive(Default)]
pub struct Signal {
    rings: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl Signal {
    /// Wakes everyone who waits.
    pub fn ring(&self) {
        self.rings.set(self.rings.get() + 1);
        for waker in self.waiting.borrow_mut().drain(..) {
            waker.wake();
        }
    }

    /// Waits for the next ring. One between the call and the first poll counts.
    pub fn wait(&self) -> impl Future<Output = ()> + '_ {
        let seen = self.rings.get();
        poll_fn(move |context| {
            if self.rings.get() != seen {
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
    }
}
