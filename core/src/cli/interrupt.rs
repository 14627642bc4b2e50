//! Ctrl-C and SIGTERM as a question that a loop asks: has somebody asked us to end?
//!
//! The second one ends the process at once, for when the first is not listened to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::failure::{Result, failed};

/// As a shell has it for a program that SIGINT ended.
const ENDED_BY_INTERRUPT: i32 = 130;

#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// From now on the signals are asked for here.
    pub(crate) fn watch() -> Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag down and raises it, the second finds it raised.
            let registered =
                flag::register_conditional_shutdown(signal, ENDED_BY_INTERRUPT, Arc::clone(&asked))
                    .and_then(|_| flag::register(signal, Arc::clone(&asked)));
            if let Err(error) = registered {
                return failed(format!("cannot wait for signals: {error}"));
            }
        }
        Ok(Self { asked })
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}
