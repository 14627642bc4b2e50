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

/// After so many that were not heard (20 s) fewer and fewer come.
const KNOCKS_MAX: u32 = 1000;

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
    /// The task ran since it was last looked at.
    heard: AtomicBool,
}

impl Pulse {
    /// To be run as a task of the executor for its whole life.
    pub(crate) async fn feel(self: Arc<Self>) {
        poll_fn(|context| {
            self.heard.store(true, Ordering::Relaxed);
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

/// An executor, as the thread sees it.
struct Patient {
    pulse: Arc<Pulse>,
    /// The turn that was seen last.
    turn: u64,
    /// Knocks that were not heard yet.
    unheard: u32,
}

impl Patient {
    /// Whether it may sleep over work.
    fn needs_a_knock(&mut self) -> bool {
        let pulse = &self.pulse;
        if pulse.heard.swap(false, Ordering::Relaxed) {
            self.unheard = 0;
        }
        let turn = pulse.turns.load(Ordering::Relaxed);
        let same = std::mem::replace(&mut self.turn, turn) == turn;
        if !same || pulse.rests.load(Ordering::Relaxed) {
            return false;
        }
        self.unheard = self.unheard.saturating_add(1);
        // A thread that hangs in a system call hears none, and each waits for it: glommio panics at 32,767 of one task.
        self.unheard <= KNOCKS_MAX || self.unheard.is_power_of_two()
    }
}

#[derive(Default)]
struct Watched {
    patients: Vec<Patient>,
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
    watched.patients.push(Patient {
        pulse,
        turn: 0,
        unheard: 0,
    });
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
        .patients
        .retain(|patient| !patient.pulse.ended.load(Ordering::Relaxed));
    for patient in &mut watched.patients {
        if patient.needs_a_knock()
            && let Some(waker) = patient.pulse.waker.get()
        {
            waker.wake_by_ref();
        }
    }
    watched.running = !watched.patients.is_empty();
    watched.running
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_neither_turns_nor_rests_hears_knocks_but_not_without_end() {
        let pulse = Arc::<Pulse>::default();
        let mut patient = Patient {
            pulse: Arc::clone(&pulse),
            turn: 0,
            unheard: 0,
        };
        pulse.beat();
        assert!(!patient.needs_a_knock(), "it turns");
        assert!((0..KNOCKS_MAX).all(|_| patient.needs_a_knock()));
        let later = (0..10_000_000).filter(|_| patient.needs_a_knock());
        assert!(later.count() < 100, "hours of knocks wait for it");
        pulse.heard.store(true, Ordering::Relaxed);
        assert!(
            patient.needs_a_knock(),
            "the next time it is knocked for at once"
        );
        pulse.rest(true);
        assert!(!patient.needs_a_knock());
    }
}
