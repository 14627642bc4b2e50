//! Sees to it that an executor begins: one that parks before its first task ever ran sleeps for ever, since nobody has a waker of it yet
//! (defect B in ARCHITECTURE.md, at the one moment when the heartbeat cannot help). Its work is taken back and given to another one.
//!
//! Never runs any work itself, and never lets two executors have it.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

/// Far longer than a busy machine needs to run a first task.
const BEGIN_WITHIN: Duration = Duration::from_secs(1);

/// What an executor is given instead of its work.
#[derive(Debug)]
pub(crate) struct Begin<W> {
    work: Arc<Mutex<Option<W>>>,
    begun: mpsc::Sender<()>,
}

impl<W> Begin<W> {
    /// The work; to be called by the executor's first task. `None`: it is too late, another one has it.
    pub(crate) fn take(self) -> Option<W> {
        let work = take(&self.work);
        let _ = self.begun.send(());
        work
    }
}

fn take<W>(work: &Mutex<Option<W>>) -> Option<W> {
    work.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Has `start` start an executor for `work`, and another one when that does not begin.
///
/// # Errors
/// Those of `start`.
pub(crate) fn start<W, H, E>(work: W, start: impl FnMut(Begin<W>) -> Result<H, E>) -> Result<H, E> {
    start_within(BEGIN_WITHIN, work, start)
}

fn start_within<W, H, E>(
    within: Duration,
    mut work: W,
    mut start: impl FnMut(Begin<W>) -> Result<H, E>,
) -> Result<H, E> {
    loop {
        let (begun, begins) = mpsc::channel();
        let place = Arc::new(Mutex::new(Some(work)));
        let handle = start(Begin {
            work: Arc::clone(&place),
            begun,
        })?;
        if !matches!(
            begins.recv_timeout(within),
            Err(mpsc::RecvTimeoutError::Timeout)
        ) {
            return Ok(handle);
        }
        // It may have begun just now.
        let Some(taken_back) = take(&place) else {
            return Ok(handle);
        };
        log::warn!("an executor did not begin within {within:?}: another one is started");
        work = taken_back;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_is_not_begun_goes_to_another_executor_and_to_one_alone() {
        let mut asleep = Vec::new();
        let done = start_within(Duration::from_millis(1), "work", |begin| {
            if asleep.len() < 2 {
                asleep.push(begin);
                return Ok::<_, ()>(None);
            }
            Ok(begin.take())
        });
        assert_eq!(done, Ok(Some("work")));
        for late in asleep {
            assert_eq!(late.take(), None, "it woke up too late");
        }
    }

    #[test]
    fn what_has_begun_is_waited_for() {
        let mut starts = 0;
        let thread = start("work", |begin: Begin<&str>| {
            starts += 1;
            Ok::<_, ()>(std::thread::spawn(move || begin.take()))
        });
        let thread = thread.expect("a thread");
        assert_eq!(thread.join().expect("it ran"), Some("work"));
        assert_eq!(starts, 1);
    }
}
