//! A value that one task of a shard gives and another one waits for, once.
//!
//! Stays on its shard. Allocates one small cell and takes no lock.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

struct State<T> {
    value: Option<T>,
    waker: Option<Waker>,
    promised: bool,
}

/// The side that gives. Dropped without giving, it leaves the other with `None`.
pub(crate) struct Promise<T>(Rc<RefCell<State<T>>>);

/// The side that waits.
pub(crate) struct Promised<T>(Rc<RefCell<State<T>>>);

pub(crate) fn promise<T>() -> (Promise<T>, Promised<T>) {
    let state = Rc::new(RefCell::new(State {
        value: None,
        waker: None,
        promised: true,
    }));
    (Promise(Rc::clone(&state)), Promised(state))
}

impl<T> Promise<T> {
    pub(crate) fn give(self, value: T) {
        self.0.borrow_mut().value = Some(value);
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let mut state = self.0.borrow_mut();
        state.promised = false;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

impl<T> Promised<T> {
    /// The value, or `None` when it will never come.
    pub(crate) async fn wait(self) -> Option<T> {
        poll_fn(|context| {
            let mut state = self.0.borrow_mut();
            if let Some(value) = state.value.take() {
                return Poll::Ready(Some(value));
            }
            if !state.promised {
                return Poll::Ready(None);
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}
