//! A thread that looks after every executor, so that none sleeps over work.
//!
//! The executor may park with ready tasks when its thread is descheduled at the wrong moment (defect B in ARCHITECTURE.md). A
//! wake from another thread always gets through. Does no work of its own.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

/// Between two looks: the longest that an executor can sleep over work.
const BEAT: Duration = Duration::from_millis(20);

/// What the thread and an executor share.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// Of a task that is always pending. It is woken every time, whether it ran since the last one or not: a wake that waits
    /// for the task to come back would be lost with a task that is itself slept over.
    waker: OnceLock<Waker>,
    turns: AtomicU64,
    /// In its ring, where it wakes up by itself.
    rests: AtomicBool,
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

    pub(crate) fn beat(&self) {
        // Nobody else writes it.
        let turns = self.turns.load(Ordering::Relaxed);
        self.turns.store(turns.wrapping_add(1), Ordering::Relaxed);
    }

    pub(crate) fn rest(&self, rests: bool) {
        self.rests.store(rests, Ordering::Relaxed);
    }

    /// The executor is about to end: nothing of it may be woken any more.
    pub(crate) fn end(&self) {
        // With the lock that the thread has while it wakes.
        let _watched = watched();
        self.ended.store(true, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Watched {
    /// With the turn that was seen last.
    pulses: Vec<(Arc<Pulse>, u64)>,
    running: bool,
}

fn watched() -> std::sync::MutexGuard<'static, Watched> {
    static WATCHED: OnceLock<Mutex<Watched>> = OnceLock::new();
    WATCHED
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Watches an executor until it ends. The process has one thread for all, which ends with the last of them.
///
/// # Errors
/// When no thread can be started.
pub(crate) fn watch(pulse: Arc<Pulse>) -> io::Result<()> {
    let mut watched = watched();
    watched.pulses.push((pulse, 0));
    if !watched.running {
        std::thread::Builder::new()
            .name("rinka-heartbeat".to_owned())
            .spawn(|| while look() {})?;
        watched.running = true;
    }
    Ok(())
}

/// One look at all of them; `false`: there are none left.
fn look() -> bool {
    std::thread::sleep(BEAT);
    let mut watched = watched();
    watched
        .pulses
        .retain(|(pulse, _)| !pulse.ended.load(Ordering::Relaxed));
    for (pulse, seen) in &mut watched.pulses {
        let turn = pulse.turns.load(Ordering::Relaxed);
        let same = std::mem::replace(seen, turn) == turn;
        if same
            && !pulse.rests.load(Ordering::Relaxed)
            && let Some(waker) = pulse.waker.get()
        {
            waker.wake_by_ref();
        }
    }
    watched.running = !watched.pulses.is_empty();
    watched.running
}
