//! A thread that knocks at every executor now and then, so that none sleeps over work.
//!
//! The executor may park with runnable tasks when its thread is descheduled at the wrong moment (defect B in
//! ARCHITECTURE.md), and then its own timers sleep too: seconds were measured beside a busy neighbour. A wake from another
//! thread always gets through. Does no work of its own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Between two knocks while an executor is busy: the longest it can sleep over work.
const BUSY: Duration = Duration::from_millis(5);

/// Idle executors are knocked at every so many rounds.
const IDLE_ROUNDS: u32 = 10;

/// The thread's side of one executor.
#[derive(Debug)]
pub(crate) struct Knocker {
    knocks: flume::Sender<()>,
    busy: Arc<AtomicBool>,
}

/// The executor's side.
#[derive(Debug)]
pub(crate) struct Door {
    knocks: flume::Receiver<()>,
    pub(crate) busy: Arc<AtomicBool>,
}

pub(crate) fn door() -> (Knocker, Door) {
    // One is enough: a knock that is still unheard needs no second one.
    let (sender, knocks) = flume::bounded(1);
    let busy = Arc::new(AtomicBool::new(true));
    let knocker = Knocker {
        knocks: sender,
        busy: Arc::clone(&busy),
    };
    (knocker, Door { knocks, busy })
}

impl Door {
    /// Hears the knocks for as long as there are any. To be woken is all there is to do.
    pub(crate) async fn answer(knocks: flume::Receiver<()>) {
        while knocks.recv_async().await.is_ok() {}
    }

    pub(crate) fn knocks(&self) -> flume::Receiver<()> {
        self.knocks.clone()
    }
}

/// Starts the thread. It ends when the last executor is gone.
///
/// # Errors
/// When no thread can be started.
pub(crate) fn start(mut knockers: Vec<Knocker>) -> io::Result<()> {
    let knock = move || {
        let mut round: u32 = 0;
        while !knockers.is_empty() {
            std::thread::sleep(BUSY);
            round = round.wrapping_add(1);
            let all = round.is_multiple_of(IDLE_ROUNDS);
            knockers.retain(|door| {
                let due = all || door.busy.load(Ordering::Relaxed);
                !due || !matches!(
                    door.knocks.try_send(()),
                    Err(flume::TrySendError::Disconnected(()))
                )
            });
        }
    };
    std::thread::Builder::new()
        .name("rinka-heartbeat".to_owned())
        .spawn(knock)
        .map(|_| ())
}
