//! One operation that the kernel was asked for, from its submission to its result.

use std::ffi::CString;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use io_uring::squeue;

use crate::Reactor;

/// Memory that the kernel may touch until the operation is over.
#[derive(Debug, Default)]
pub enum Memory {
    #[default]
    None,
    /// It is read.
    Shared(Bytes),
    /// It is written.
    Owned(BytesMut),
    /// They are read.
    Paths([CString; 2]),
    /// Runs of memory and the list of them, all of which are read.
    Vectored(Vec<Bytes>, Vec<Run>),
}

/// Where a run of memory is: what the kernel calls an iovec.
#[derive(Debug)]
#[repr(C)]
pub struct Run {
    address: *const u8,
    length: usize,
}

impl Run {
    #[must_use]
    pub fn of(bytes: &Bytes) -> Self {
        Self {
            address: bytes.as_ptr(),
            length: bytes.len(),
        }
    }
}

const _: () = assert!(size_of::<Run>() == size_of::<libc::iovec>());

/// What becomes of an operation that nobody waits for any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Abandoned {
    /// It goes on; its memory is kept until it is over.
    #[default]
    GoesOn,
    /// It goes on too, and the descriptor that it opened is closed.
    IsClosed,
    /// It would wait for ever, perhaps: it is cancelled.
    IsCancelled,
}

/// A submitted operation. Dropped before its end, it leaves its memory with the kernel until that is done with it.
#[must_use = "dropped at once, nobody learns its result"]
pub struct Operation {
    reactor: Rc<Reactor>,
    slot: usize,
    taken: bool,
}

impl Operation {
    /// Submits it, in the order of the calls: at the end of the turn together with all others of it, or at once late in a turn.
    ///
    /// # Safety
    /// Every pointer in the entry points into `memory`, and its descriptor stays open until the result is here or, if the
    /// operation is dropped, the kernel has begun with it.
    #[allow(unsafe_code)]
    // SAFETY: the caller vouches for the entry's pointers.
    pub unsafe fn start(entry: squeue::Entry, memory: Memory) -> Self {
        Self::begin(entry, memory, Abandoned::GoesOn).soon()
    }

    /// Submitted at once late in a turn.
    pub(crate) fn soon(self) -> Self {
        let reactor = &self.reactor;
        if !reactor.turns.is_young() {
            // The disk can work on it while the other tasks run.
            reactor.ring.flush();
        }
        self
    }

    pub(crate) fn begin(entry: squeue::Entry, memory: Memory, abandoned: Abandoned) -> Self {
        let reactor = Reactor::current();
        let slot = reactor.ring.submit(entry, memory, abandoned);
        Self {
            reactor,
            slot,
            taken: false,
        }
    }

    /// The result and the memory. Polled again after that, it panics.
    ///
    /// # Errors
    /// The kernel's.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(u32, Memory)>> {
        assert!(!self.taken, "an operation has one result");
        let Some((result, memory)) = self.reactor.ring.poll(self.slot, context.waker()) else {
            return Poll::Pending;
        };
        self.taken = true;
        Poll::Ready(match u32::try_from(result) {
            Ok(count) => Ok((count, memory)),
            Err(_) => Err(io::Error::from_raw_os_error(-result)),
        })
    }

    /// The result and the memory.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn wait(mut self) -> io::Result<(u32, Memory)> {
        std::future::poll_fn(|context| self.poll(context)).await
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if !self.taken {
            self.reactor.ring.abandon(self.slot);
        }
    }
}
