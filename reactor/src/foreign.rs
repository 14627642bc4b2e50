//! Wakes from other threads: they ring, and a core that sleeps in its ring hears it.
//!
//! A core that is awake is told without a system call.
#![allow(unsafe_code, reason = "eventfd(2), read(2) and write(2)")]

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::Reactor;
use crate::readiness::{Direction, Readiness};
use crate::timer::sleep;

/// The pause after a wait for the event that failed: the kernel had no memory.
const DOOR_RETRY: Duration = Duration::from_millis(100);

/// What other threads reach of a core.
#[derive(Debug)]
struct Doorbell {
    event: OwnedFd,
    /// The core is about to sleep, or sleeps, and wants the event to be written.
    asleep: AtomicBool,
    /// There is something in the list.
    rung: AtomicBool,
    /// The numbers of the waits that are to be polled.
    woken: Mutex<Vec<u64>>,
}

impl Doorbell {
    fn ring(&self, number: u64) {
        self.list().push(number);
        self.rung.store(true, Ordering::SeqCst);
        // Either this sees the sleeper, or the sleeper sees the bell: it looks after it said that it sleeps.
        if self.asleep.swap(false, Ordering::SeqCst) {
            let one = 1u64.to_ne_bytes();
            // SAFETY: eight bytes are read, which is what an eventfd takes.
            let written =
                unsafe { libc::write(self.event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
            // Full only after 2^64 - 2 writes that nobody read: then it is readable too.
            debug_assert!(
                written == 8 || io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock
            );
        }
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The waker of one wait, for whoever may be on another thread.
struct Ringer {
    doorbell: Arc<Doorbell>,
    number: u64,
}

impl Wake for Ringer {
    fn wake(self: Arc<Self>) {
        self.doorbell.ring(self.number);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.doorbell.ring(self.number);
    }
}

/// The core's side.
pub(crate) struct Foreigners {
    doorbell: Arc<Doorbell>,
    waits: RefCell<FxHashMap<u64, Waker>>,
    next: Cell<u64>,
    /// Swapped with the list, so that neither grows anew each time.
    taken: RefCell<Vec<u64>>,
}

impl Foreigners {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the descriptor is owned by nobody else.
        let event = unsafe {
            let descriptor = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
            if descriptor < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(descriptor)
        };
        Ok(Self {
            doorbell: Arc::new(Doorbell {
                event,
                asleep: AtomicBool::new(false),
                rung: AtomicBool::new(false),
                woken: Mutex::default(),
            }),
            waits: RefCell::default(),
            next: Cell::new(0),
            taken: RefCell::default(),
        })
    }

    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.waits.borrow().len()
    }

    pub(crate) fn is_rung(&self) -> bool {
        self.doorbell.rung.load(Ordering::SeqCst)
    }

    /// To be called before a sleep. `false`: it rang meanwhile, do not sleep.
    pub(crate) fn may_sleep(&self) -> bool {
        self.doorbell.asleep.store(true, Ordering::SeqCst);
        let rung = self.is_rung();
        if rung {
            self.woke_up();
        }
        !rung
    }

    /// To be called after a sleep.
    pub(crate) fn woke_up(&self) {
        self.doorbell.asleep.store(false, Ordering::SeqCst);
    }

    /// Wakes those that were rung for; says whether it rang.
    pub(crate) fn wake(&self) -> bool {
        if !self.is_rung() {
            return false;
        }
        let mut taken = self.taken.borrow_mut();
        // Before the list is read: who rings after that rings again.
        self.doorbell.rung.store(false, Ordering::SeqCst);
        std::mem::swap(&mut *taken, &mut *self.doorbell.list());
        for number in taken.drain(..) {
            let waker = self.waits.borrow_mut().remove(&number);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        true
    }

    /// A task for the core's whole life: the event must be read, or it stays readable.
    pub(crate) async fn answer_door(reactor: Rc<Reactor>) {
        let event = reactor.foreigners.doorbell.event.as_raw_fd();
        let mut readiness = Readiness::new(event, Direction::Read);
        loop {
            if let Err(error) = readiness.ready().await {
                // A core that stayed deaf would sleep over everything.
                log::error!("waiting for other threads failed, trying again: {error}");
                sleep(DOOR_RETRY).await;
                continue;
            }
            let mut count = [0u8; 8];
            // SAFETY: eight bytes are written, which is what an eventfd gives.
            unsafe { libc::read(event, count.as_mut_ptr().cast(), count.len()) };
        }
    }
}

/// A wait's place among those that other threads may end.
struct Place {
    reactor: Rc<Reactor>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let foreigners = &self.reactor.foreigners;
        foreigners.waits.borrow_mut().remove(&self.number);
    }
}

/// Waits for what another thread does: whoever wakes the future may be anywhere.
pub async fn foreign<T>(future: impl Future<Output = T>) -> T {
    let reactor = Reactor::current();
    let foreigners = &reactor.foreigners;
    let number = foreigners.next.replace(foreigners.next.get() + 1);
    let waker = Waker::from(Arc::new(Ringer {
        doorbell: Arc::clone(&foreigners.doorbell),
        number,
    }));
    let place = Place {
        reactor: Rc::clone(&reactor),
        number,
    };
    let mut future = pin!(future);
    poll_fn(|context| {
        let waits = &place.reactor.foreigners.waits;
        waits.borrow_mut().insert(number, context.waker().clone());
        future.as_mut().poll(&mut Context::from_waker(&waker))
    })
    .await
}
