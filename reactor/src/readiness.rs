//! The wait until a descriptor can be read or written. Reads and writes nothing itself.

use std::io;
use std::os::fd::RawFd;
use std::task::{Context, Poll};

use io_uring::{opcode, types};

use crate::operation::{Abandoned, Memory, Operation};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// There is something to read, or the end of it.
    Read,
    /// There is room to write, or nobody reads any more.
    Write,
}

/// One direction of one descriptor, which must be open for as long as this is there; drop this first.
pub struct Readiness {
    descriptor: RawFd,
    events: u32,
    pending: Option<Operation>,
}

impl Readiness {
    #[must_use]
    pub fn new(descriptor: RawFd, direction: Direction) -> Self {
        let events = match direction {
            Direction::Read => libc::POLLIN | libc::POLLRDHUP,
            Direction::Write => libc::POLLOUT,
        };
        Self {
            descriptor,
            events: u32::from(events.cast_unsigned()),
            pending: None,
        }
    }

    /// Ready once each time the descriptor was found ready; asks the kernel anew when it is polled after that.
    ///
    /// # Errors
    /// The kernel's, out of memory for instance.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (descriptor, events) = (self.descriptor, self.events);
        let pending = self.pending.get_or_insert_with(|| {
            let entry = opcode::PollAdd::new(types::Fd(descriptor), events).build();
            Operation::begin(entry, Memory::None, Abandoned::IsCancelled)
        });
        let Poll::Ready(result) = pending.poll(context) else {
            return Poll::Pending;
        };
        self.pending = None;
        Poll::Ready(result.map(|_| ()))
    }

    /// Waits for it.
    ///
    /// # Errors
    /// Those of [`Self::poll`].
    pub async fn ready(&mut self) -> io::Result<()> {
        std::future::poll_fn(|context| self.poll(context)).await
    }
}
