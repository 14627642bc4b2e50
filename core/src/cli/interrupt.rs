//! Ctrl-C and SIGTERM as a question that a loop asks: has somebody asked us to end?
//!
//! Who asks again a moment later is not made to wait: that ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::failure::{Result, failed};

/// As a shell has it for a program that SIGINT ended.
const ENDED_BY_INTERRUPT: i32 = 130;

/// What comes within this time is the same request: `timeout` and many a script signal a process and then its whole group.
const SAME_REQUEST: Duration = Duration::from_millis(500);

#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// From now on the signals are asked for here.
    pub(crate) fn watch() -> Result<Self> {
        let mut signals = match Signals::new([SIGINT, SIGTERM]) {
            Ok(signals) => signals,
            Err(error) => return failed(format!("cannot wait for signals: {error}")),
        };
        let asked = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&asked);
        // Ends with the process.
        std::thread::spawn(move || {
            let mut first: Option<Instant> = None;
            for _ in &mut signals {
                if first.is_some_and(|first| first.elapsed() > SAME_REQUEST) {
                    std::process::exit(ENDED_BY_INTERRUPT);
                }
                first.get_or_insert_with(Instant::now);
                flag.store(true, Ordering::Relaxed);
            }
        });
        Ok(Self { asked })
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}
