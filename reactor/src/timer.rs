//! Timers: which waits are over at what time. Reads the clock once a turn, and never sets one off early.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::Reactor;

/// Waits in the order of their ends. Two of the same moment differ by number.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    waits: BTreeMap<(Instant, u64), Waker>,
    next: u64,
}

impl Timers {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The end of the first wait.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.waits.first_key_value().map(|((end, _), _)| *end)
    }

    /// Takes one that is over.
    fn take_over(&mut self, now: Instant) -> Option<Waker> {
        let first = self.waits.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Wakes all that are over; says whether there were any.
    pub(crate) fn wake(timers: &RefCell<Self>, now: Instant) -> bool {
        let mut any = false;
        loop {
            // Waking may come back here.
            let over = timers.borrow_mut().take_over(now);
            let Some(waker) = over else { return any };
            any = true;
            waker.wake();
        }
    }
}

/// A wait's place among the timers, which it leaves with this.
struct Place {
    reactor: Rc<Reactor>,
    key: (Instant, u64),
}

impl Drop for Place {
    fn drop(&mut self) {
        self.reactor.timers.borrow_mut().waits.remove(&self.key);
    }
}

/// Waits so long, or a little longer: however short it is, all that are ready go first. A time too long to be told waits for ever.
pub async fn sleep(time: Duration) {
    let Some(end) = Instant::now().checked_add(time) else {
        return std::future::pending().await;
    };
    let reactor = Reactor::current();
    let number = reactor.timers.borrow_mut().number();
    let place = Place {
        reactor,
        key: (end, number),
    };
    let mut begun = false;
    poll_fn(|context| {
        if Instant::now() >= end {
            if begun {
                return Poll::Ready(());
            }
            // Who sleeps again and again for no time would keep the core for itself.
            begun = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        begun = true;
        let waits = &mut place.reactor.timers.borrow_mut().waits;
        waits.insert(place.key, context.waker().clone());
        Poll::Pending
    })
    .await;
}

/// The time was over first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

/// Waits for a future, but not longer than so long; then the future is dropped.
///
/// # Errors
/// [`TimedOut`].
pub async fn timeout<T>(time: Duration, future: impl Future<Output = T>) -> Result<T, TimedOut> {
    let mut future = pin!(future);
    let mut end = pin!(sleep(time));
    poll_fn(|context| {
        if let Poll::Ready(result) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(result));
        }
        end.as_mut().poll(context).map(|()| Err(TimedOut))
    })
    .await
}
