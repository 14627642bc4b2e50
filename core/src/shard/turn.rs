//! A lock between tasks of one shard, held across waits.
//!
//! Takes no atomic operation and never blocks the thread.

use std::cell::Cell;

use rinka_storage::signal::Signal;

#[derive(Default)]
pub(crate) struct Turn {
    taken: Cell<bool>,
    given_back: Signal,
}

pub(crate) struct TurnGuard<'a>(&'a Turn);

impl Turn {
    pub(crate) async fn lock(&self) -> TurnGuard<'_> {
        while self.taken.get() {
            self.given_back.wait().await;
        }
        self.taken.set(true);
        TurnGuard(self)
    }
}

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        self.0.taken.set(false);
        self.0.given_back.ring();
    }
}
