//! The turn: everybody who can go on does, then one system call submits what they asked for and waits for the next thing.
//!
//! A task of its own, always ready: the executor never parks, and its own rings are left alone but for ten times a second.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::Reactor;
use crate::heartbeat::Pulse;
use crate::ring::Wait;
use crate::timer::Timers;

/// Tasks run this long before the kernel is asked for more to do.
const LONG: Duration = Duration::from_micros(100);

/// What is asked for later than this in a turn does not wait for its end.
const SOON: Duration = Duration::from_micros(20);

/// Of a busy core's time work in the background has one part in so many.
const BACKGROUND_PART: u32 = 11;

/// No more of its time counts: after a machine stood still for an hour it need not wait for ten.
const BACKGROUND_COUNTED: Duration = Duration::from_secs(1);

/// The kernel is never asked to wait longer: it adds the time to its clock, and what overflows is over at once.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

pub(crate) struct Turns {
    polls: Cell<u64>,
    began: Cell<Instant>,
    stopped: Cell<bool>,
    /// Before it sleeps a core looks this long whether something comes.
    spin: Duration,
    pulse: Arc<Pulse>,
    background: RefCell<VecDeque<Waker>>,
    /// Work in the background goes on then, whatever else there is to do.
    background_due: Cell<Instant>,
    /// When it was let go on.
    background_began: Cell<Option<Instant>>,
}

impl Turns {
    pub(crate) fn new(spin: Duration, pulse: Arc<Pulse>) -> Self {
        let now = Instant::now();
        Self {
            polls: Cell::new(0),
            began: Cell::new(now),
            stopped: Cell::new(false),
            spin,
            pulse,
            background: RefCell::default(),
            background_due: Cell::new(now),
            background_began: Cell::new(None),
        }
    }

    pub(crate) fn count_poll(&self) {
        self.polls.set(self.polls.get().wrapping_add(1));
    }

    pub(crate) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    pub(crate) fn stop(&self) {
        self.stopped.set(true);
    }

    fn is_long(&self) -> bool {
        self.began.get().elapsed() > LONG
    }

    /// Whether the end of the turn is near enough for what is asked for now.
    pub(crate) fn is_young(&self) -> bool {
        self.began.get().elapsed() < SOON
    }
}

impl Reactor {
    /// The task.
    pub(crate) async fn take_turns(self: Rc<Self>) {
        loop {
            let settled = self.settle().await;
            if self.turns.stopped.get() {
                return;
            }
            self.turn(settled);
        }
    }

    /// Lets all that are ready run, until nobody is (`true`) or it has taken long.
    async fn settle(&self) -> bool {
        loop {
            let polls = self.turns.polls.get();
            // Ready tasks wait in one line, with this one at its end.
            yield_now().await;
            if self.turns.polls.get() == polls {
                return true;
            }
            if self.turns.is_long() {
                return false;
            }
        }
    }

    fn turn(&self, settled: bool) {
        let mut now = Instant::now();
        self.turns.pulse.beat();
        self.account_background(now);
        let mut woke = Timers::wake(&self.timers, now);
        woke |= self.foreigners.wake();
        let waits = !self.turns.background.borrow().is_empty();
        if settled && !woke && !waits {
            self.rest(now);
            now = Instant::now();
            // What the sleep was until need not wait for another turn.
            Timers::wake(&self.timers, now);
            self.foreigners.wake();
        } else {
            if self.ring.has_work() {
                woke |= self.ring.enter(Wait::Not) > 0;
            }
            let due = now >= self.turns.background_due.get();
            if waits && (due || (settled && !woke)) {
                self.let_background_go_on(now);
            }
        }
        self.turns.began.set(now);
    }

    /// Waits for whatever comes first.
    fn rest(&self, now: Instant) {
        let until = self.timers.borrow().first();
        if self.spins(now, until) {
            self.ring.enter(Wait::Not);
            return;
        }
        if !self.foreigners.may_sleep() {
            return;
        }
        let wait = match until {
            Some(until) => match until.saturating_duration_since(Instant::now()) {
                Duration::ZERO => Wait::Not,
                time => Wait::AtMost(time.min(SLEEP_MAX)),
            },
            None => Wait::ForEver,
        };
        self.turns.pulse.rest(true);
        self.ring.enter(wait);
        self.turns.pulse.rest(false);
        self.foreigners.woke_up();
    }

    /// Looks for a while whether something comes; says whether it did.
    fn spins(&self, now: Instant, until: Option<Instant>) -> bool {
        if self.turns.spin.is_zero() {
            return false;
        }
        // What was asked for must be under way before.
        if self.ring.has_work() && self.ring.enter(Wait::Not) > 0 {
            return true;
        }
        let end = now + self.turns.spin;
        loop {
            if self.ring.has_work() || self.foreigners.is_rung() {
                return true;
            }
            let now = Instant::now();
            if now >= end || until.is_some_and(|until| now >= until) {
                return false;
            }
            std::hint::spin_loop();
        }
    }

    fn let_background_go_on(&self, now: Instant) {
        let waker = self.turns.background.borrow_mut().pop_front();
        if let Some(waker) = waker {
            self.turns.background_began.set(Some(now));
            waker.wake();
        }
    }

    /// What it took counts for when it may go on.
    fn account_background(&self, now: Instant) {
        if let Some(began) = self.turns.background_began.take() {
            let took = now.saturating_duration_since(began);
            let took = took.min(BACKGROUND_COUNTED);
            self.turns
                .background_due
                .set(now + took * (BACKGROUND_PART - 1));
        }
    }
}

/// Lets all that are ready go first.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The same when the tasks have run for long: to be called now and then by whoever has much to do.
pub async fn yield_if_needed() {
    if Reactor::current().turns.is_long() {
        yield_now().await;
    }
}

/// Waits until the core has nothing else to do, or its work in the background has had less than its part of the core's time.
/// To be called often by what nobody waits for: what it does between two calls holds up everybody.
pub async fn background() {
    let reactor = Reactor::current();
    let mut waited = false;
    poll_fn(|context| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        let waker = context.waker().clone();
        reactor.turns.background.borrow_mut().push_back(waker);
        Poll::Pending
    })
    .await;
}
