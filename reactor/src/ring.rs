//! The ring: entries gathered during a turn, submitted with one system call, and the slots of those that are under way.
//!
//! Completions are handed out in [`Ring::enter`] alone: the kernel does its part of the work there too, and interrupts nobody.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell, RefMut};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::task::Waker;
use std::time::Duration;

use io_uring::{IoUring, opcode, squeue, types};

use crate::operation::{Abandoned, Memory};

/// Entries gathered at most before they are submitted.
const ENTRIES: u32 = 256;

/// More completions at once wait in the kernel until they are asked for.
const COMPLETIONS: u32 = 2048;

/// Right after a restart the kernel may still hold the locked memory of the process before.
const MEMORY_RETRIES: u32 = 20;
const MEMORY_PAUSE: Duration = Duration::from_millis(50);

/// Files that [`Ring::hold`] takes.
const HELD_MAX: u32 = 8;

/// What cancels are called: nobody waits for their results.
const CANCEL: u64 = u64::MAX;

/// `IORING_ENTER_GETEVENTS`: do the work that was deferred, and hand out its completions.
const GET_EVENTS: u32 = 1;

pub(crate) struct Ring {
    /// There until the executor has ended.
    uring: RefCell<Option<IoUring>>,
    slots: RefCell<Slots>,
    held: Cell<u32>,
    /// Woken when nothing is borrowed any more; kept so that it does not grow anew each time.
    woken: RefCell<Vec<Waker>>,
}

#[derive(Default)]
struct Slots {
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// Those without a result.
    under_way: usize,
}

/// An operation between submission and the moment its result is taken.
#[derive(Default)]
struct Slot {
    result: Option<i32>,
    waker: Option<Waker>,
    memory: Memory,
    /// Nobody waits any more: the slot is free on completion.
    abandoned: bool,
    if_abandoned: Abandoned,
}

/// How long to wait for a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Not,
    AtMost(Duration),
    ForEver,
}

impl Ring {
    pub(crate) fn new() -> io::Result<Self> {
        let mut retries = 0;
        let mut deferred = true;
        let uring = loop {
            let mut builder = IoUring::builder();
            builder
                .setup_single_issuer()
                .setup_coop_taskrun()
                .setup_taskrun_flag()
                .setup_cqsize(COMPLETIONS);
            if deferred {
                builder.setup_defer_taskrun();
            }
            match builder.build(ENTRIES) {
                Ok(uring) => break uring,
                // Kernel 6.0 does not know it.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) && deferred => {
                    deferred = false;
                }
                Err(error)
                    if error.raw_os_error() == Some(libc::ENOMEM) && retries < MEMORY_RETRIES =>
                {
                    retries += 1;
                    std::thread::sleep(MEMORY_PAUSE);
                }
                Err(error) => return Err(error),
            }
        };
        Ok(Self {
            uring: RefCell::new(Some(uring)),
            slots: RefCell::default(),
            held: Cell::new(0),
            woken: RefCell::default(),
        })
    }

    pub(crate) fn hold(&self, descriptor: RawFd) -> io::Result<()> {
        let uring = self.uring();
        let held = self.held.get();
        if held == 0 {
            uring.submitter().register_files_sparse(HELD_MAX)?;
        }
        if held == HELD_MAX {
            return Err(io::Error::other(
                "more files are to be held than there is room for",
            ));
        }
        uring
            .submitter()
            .register_files_update(held, &[descriptor])?;
        self.held.set(held + 1);
        Ok(())
    }

    fn uring(&self) -> RefMut<'_, IoUring> {
        RefMut::map(self.uring.borrow_mut(), |uring| {
            uring.as_mut().expect("there are no tasks any more")
        })
    }

    /// Puts an operation into its slot and among those that are submitted next.
    pub(crate) fn submit(
        &self,
        entry: squeue::Entry,
        memory: Memory,
        if_abandoned: Abandoned,
    ) -> usize {
        let mut slots = self.slots.borrow_mut();
        slots.under_way += 1;
        let slot = Slot {
            memory,
            if_abandoned,
            ..Slot::default()
        };
        let index = match slots.free.pop() {
            Some(index) => {
                slots.slots[index] = slot;
                index
            }
            None => {
                slots.slots.push(slot);
                slots.slots.len() - 1
            }
        };
        drop(slots);
        self.push(&entry.user_data(index as u64));
        index
    }

    #[cfg(test)]
    pub(crate) fn under_way(&self) -> usize {
        let slots = self.slots.borrow();
        slots.slots.len() - slots.free.len()
    }

    fn push(&self, entry: &squeue::Entry) {
        let mut uring = self.uring();
        // SAFETY: what the entry points to is in its slot, or it points nowhere; the slot keeps it until the completion is here
        // (the buffers of Bytes, BytesMut and CString do not move when their handle does).
        while unsafe { uring.submission().push(entry) }.is_err() {
            flush(&uring);
        }
    }

    /// Submits what was gathered. Completions stay where they are.
    pub(crate) fn flush(&self) {
        flush(&self.uring());
    }

    /// The result, if it is here; else `waker` is woken when it is.
    pub(crate) fn poll(&self, index: usize, waker: &Waker) -> Option<(i32, Memory)> {
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots.slots[index];
        let Some(result) = slot.result else {
            match &mut slot.waker {
                Some(old) => old.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
            return None;
        };
        let memory = std::mem::take(&mut slot.memory);
        slots.release(index);
        Some((result, memory))
    }

    /// Nobody waits for it any more.
    pub(crate) fn abandon(&self, index: usize) {
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots.slots[index];
        let what = slot.if_abandoned;
        if let Some(result) = slot.result {
            close_opened(what, result);
            slots.release(index);
            return;
        }
        slot.abandoned = true;
        let waker = slot.waker.take();
        drop(slots);
        drop(waker);
        if what == Abandoned::IsCancelled {
            self.cancel(index);
        }
    }

    fn cancel(&self, index: usize) {
        let cancel = opcode::AsyncCancel::new(index as u64).build();
        self.push(&cancel.user_data(CANCEL));
    }

    /// Whether there is anything to enter the kernel for.
    pub(crate) fn has_work(&self) -> bool {
        let mut uring = self.uring();
        if !uring.completion().is_empty() {
            return true;
        }
        let submission = uring.submission();
        !submission.is_empty() || submission.taskrun() || submission.cq_overflow()
    }

    /// Submits what was gathered and waits for a completion; hands out all there are. Says how many.
    pub(crate) fn enter(&self, wait: Wait) -> usize {
        let mut uring = self.uring();
        let gathered = u32::try_from(uring.submission().len()).expect("the queue is small");
        let submitter = uring.submitter();
        let entered = match wait {
            // SAFETY: no argument is pointed to.
            Wait::Not => unsafe {
                submitter.enter::<libc::sigset_t>(gathered, 0, GET_EVENTS, None)
            },
            Wait::AtMost(time) => {
                let time = types::Timespec::from(time);
                submitter.submit_with_args(1, &types::SubmitArgs::new().timespec(&time))
            }
            Wait::ForEver => submitter.submit_and_wait(1),
        };
        match entered {
            Ok(_) => {}
            Err(error) if is_passing(&error) => {}
            Err(error) => panic!("the kernel does not take this core's operations: {error}"),
        }
        let mut slots = self.slots.borrow_mut();
        let mut woken = self.woken.borrow_mut();
        let mut handed_out = 0;
        for completion in uring.completion() {
            handed_out += 1;
            if completion.user_data() == CANCEL {
                continue;
            }
            let index = usize::try_from(completion.user_data()).expect("slots count from 0");
            slots.under_way -= 1;
            let slot = &mut slots.slots[index];
            if slot.abandoned {
                close_opened(slot.if_abandoned, completion.result());
                slots.release(index);
            } else {
                slot.result = Some(completion.result());
                woken.extend(slot.waker.take());
            }
        }
        drop((uring, slots));
        woken.drain(..).for_each(Waker::wake);
        handed_out
    }

    /// Waits until the kernel is done with all memory, and gives it its ring back, with the files that it holds. A task that nobody
    /// ended may have operations still: their results stay in their slots.
    pub(crate) fn end(&self) {
        if self.uring.borrow().is_none() {
            return;
        }
        // Bound apart: cancelling comes back to the slots.
        let waits = self.slots.borrow().waits();
        waits.into_iter().for_each(|index| self.cancel(index));
        while self.slots.borrow().under_way > 0 {
            self.enter(Wait::ForEver);
        }
        self.uring.borrow_mut().take();
    }
}

/// Closes what an operation opened for somebody who is gone.
fn close_opened(what: Abandoned, result: i32) {
    if what == Abandoned::IsClosed && result >= 0 {
        // SAFETY: it was just opened, and who would have had it is gone.
        drop(unsafe { OwnedFd::from_raw_fd(result) });
    }
}

fn flush(uring: &IoUring) {
    match uring.submit() {
        Ok(_) => {}
        Err(error) if is_passing(&error) => {}
        Err(error) => panic!("the kernel takes no more operations: {error}"),
    }
}

/// Errors of entering the kernel that say no more than that nothing came, or not now.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY)
    )
}

impl Slots {
    fn release(&mut self, index: usize) {
        self.slots[index] = Slot::default();
        self.free.push(index);
    }

    /// Those under way that may wait for ever.
    fn waits(&self) -> Vec<usize> {
        let waits = self.slots.iter().enumerate().filter(|(_, slot)| {
            slot.if_abandoned == Abandoned::IsCancelled && slot.result.is_none() && !slot.abandoned
        });
        waits.map(|(index, _)| index).collect()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.end();
    }
}
