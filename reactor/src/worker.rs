//! One thread for the few system calls that may take long and that the ring does not offer. Started when it is first needed.

use std::cell::RefCell;

use crate::Reactor;
use crate::foreign::foreign;

type Work = Box<dyn FnOnce() + Send>;

/// Ends with the core.
#[derive(Default)]
pub(crate) struct Worker {
    work: RefCell<Option<flume::Sender<Work>>>,
}

impl Worker {
    fn sender(&self) -> Option<flume::Sender<Work>> {
        let mut work = self.work.borrow_mut();
        if work.is_none() {
            *work = Self::start();
        }
        work.clone()
    }

    /// The thread ends when it has done what it was given.
    pub(crate) fn end(&self) {
        self.work.take();
    }

    fn start() -> Option<flume::Sender<Work>> {
        let (sender, work) = flume::unbounded::<Work>();
        let started = std::thread::Builder::new()
            .name("rinka-worker".to_owned())
            .spawn(move || work.iter().for_each(|work| work()));
        match started {
            Ok(_) => Some(sender),
            Err(error) => {
                log::warn!("no thread for slow system calls, they hold up the core: {error}");
                None
            }
        }
    }
}

/// Runs it on another thread and waits for it. One after the other; what is dropped meanwhile runs all the same.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = flume::bounded(1);
    {
        let Some(worker) = Reactor::current().worker.sender() else {
            return work();
        };
        let sent = worker.send(Box::new(move || {
            // Whoever asked may be gone.
            let _ = done.send(work());
        }));
        sent.expect("the thread ends when nobody can send");
    }
    foreign(result.recv_async())
        .await
        .expect("work does not panic")
}
