//! What a core's tasks wait for: one io_uring for files and sockets, timers, and wakes from other threads.
//!
//! glommio runs the tasks; this crate does its waiting, with one `io_uring_enter` a turn where glommio's three rings take about
//! fifteen (ARCHITECTURE.md, "The reactor"). It knows neither what a socket says nor what a file holds.
//!
//! Everything here belongs to the thread of an executor that [`executor::spawn`] started, and panics elsewhere. A task that
//! waits for another thread's doing must do so in [`foreign`]: nothing else wakes a core that sleeps in its ring.

mod begin;
pub mod executor;
mod file;
mod foreign;
mod heartbeat;
mod operation;
mod readiness;
mod ring;
#[cfg(test)]
mod tests;
mod timer;
mod turn;
mod worker;

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

pub use file::{close, hold, open};
pub use foreign::foreign;
pub use operation::{Memory, Operation, Run};
pub use readiness::{Direction, Readiness};
pub use timer::{TimedOut, sleep, timeout};
pub use turn::{background, yield_if_needed, yield_now};
pub use worker::blocking;

use foreign::Foreigners;
use ring::Ring;
use timer::Timers;
use turn::Turns;
use worker::Worker;

/// One core's.
struct Reactor {
    ring: Ring,
    timers: RefCell<Timers>,
    turns: Turns,
    foreigners: Foreigners,
    worker: Worker,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Reactor>>> = const { RefCell::new(None) };
}

impl Reactor {
    fn new(spin: Duration, pulse: Arc<heartbeat::Pulse>) -> io::Result<Rc<Self>> {
        Ok(Rc::new(Self {
            ring: Ring::new()?,
            timers: RefCell::default(),
            turns: Turns::new(spin, pulse),
            foreigners: Foreigners::new()?,
            worker: Worker::default(),
        }))
    }

    /// To be called when the executor runs no more.
    fn end(&self) {
        self.turns.pulse().end();
        self.worker.end();
        self.ring.end();
    }

    fn current() -> Rc<Self> {
        let current = CURRENT.with_borrow(Option::clone);
        current.expect("called by a task of an executor of this crate")
    }
}

pin_project! {
    /// A task whose polls are counted: no poll between two turns means that nobody has anything to do.
    struct Counted<F> {
        reactor: Rc<Reactor>,
        #[pin]
        future: F,
    }

    impl<F> PinnedDrop for Counted<F> {
        fn drop(this: Pin<&mut Self>) {
            // A cancelled task runs once more, to be dropped, and wakes whoever waits for its end.
            this.reactor.turns.count_poll();
        }
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.reactor.turns.count_poll();
        this.future.poll(context)
    }
}

/// Starts a task on this core. Dropped, it ends; detached, it runs for as long as the executor does.
pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> glommio::Task<T> {
    let reactor = Reactor::current();
    glommio::spawn_local(Counted { reactor, future })
}
