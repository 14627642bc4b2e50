//! A thread that wakes every executor now and then, so that none sleeps over work.
//!
//! The executor may park with runnable tasks when its thread is descheduled at the wrong moment (defect B in
//! ARCHITECTURE.md), and then its own timers sleep too: seconds were measured beside a busy neighbour. A wake from another
//! thread always gets through. Does no work of its own.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::time::Duration;

/// Between two wakes while an executor is busy: the longest it can sleep over work.
const BUSY: Duration = Duration::from_millis(5);

/// Idle executors are woken every so many rounds.
const IDLE_ROUNDS: u32 = 10;

/// What the thread and an executor share.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// Of a task that is always pending. It is woken every round, whether it ran since the last one or not: a wake that waits
    /// for the task to come back would be lost with a task that is itself slept over.
    waker: OnceLock<Waker>,
    idle: AtomicBool,
    ended: AtomicBool,
}

impl Pulse {
    /// To be run as a task of the executor for its whole life.
    pub(crate) async fn feel(self: Arc<Self>) {
        poll_fn(|context| {
            self.waker.get_or_init(|| context.waker().clone());
            Poll::<()>::Pending
        })
        .await;
    }

    /// The executor is about to end: nothing of it may be woken any more.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// The executor tells whether it has anything to do.
    pub(crate) fn set_idle(&self, idle: bool) {
        self.idle.store(idle, Ordering::Relaxed);
    }
}

/// Starts the thread. It ends when the last executor is gone.
///
/// # Errors
/// When no thread can be started.
pub(crate) fn start(pulses: &[Arc<Pulse>]) -> io::Result<()> {
    let mut pulses = pulses.to_vec();
    let beat = move || {
        let mut round: u32 = 0;
        while !pulses.is_empty() {
            std::thread::sleep(BUSY);
            round = round.wrapping_add(1);
            pulses.retain(|pulse| !pulse.ended.load(Ordering::Acquire));
            for pulse in &pulses {
                let due = round.is_multiple_of(IDLE_ROUNDS) || !pulse.idle.load(Ordering::Relaxed);
                if let Some(waker) = pulse.waker.get().filter(|_| due) {
                    waker.wake_by_ref();
                }
            }
        }
    };
    std::thread::Builder::new()
        .name("rinka-heartbeat".to_owned())
        .spawn(beat)
        .map(|_| ())
}
