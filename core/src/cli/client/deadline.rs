//! When waiting ends.
//!
//! Made once for an operation and handed to all that it waits for.

use std::fmt;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    total: Duration,
}

impl Deadline {
    pub(crate) fn after(total: Duration) -> Self {
        Self {
            at: Instant::now() + total,
            total,
        }
    }

    /// Nothing when it has come.
    pub(crate) fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// What is left of it, as requests tell it to brokers.
    pub(crate) fn milliseconds(self) -> i32 {
        i32::try_from(self.left().as_millis()).unwrap_or(i32::MAX)
    }
}

/// How long it was in all.
impl fmt::Display for Deadline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} s", self.total.as_secs_f64())
    }
}

/// A day: a longer wait is a mistake.
const SECONDS_MAX: f64 = 86_400.0;

/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn parse_seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= SECONDS_MAX => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(format!("seconds, above 0 and up to {SECONDS_MAX}")),
    }
}
