//! Starts an executor on a thread of its own, with what it needs to live: its ring, its turns, and the defences against its
//! defects (ARCHITECTURE.md lists them).

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use glommio::{LocalExecutorBuilder, Placement};

use crate::begin::{self, Begin};
use crate::foreign::Foreigners;
use crate::heartbeat::{self, Pulse};
use crate::{CURRENT, Counted, Reactor};

/// The executor's own rings are visited this often: nothing of ours uses them, but a wake from another thread that went past
/// [`crate::foreign()`] is heard then.
const VISIT: Duration = Duration::from_millis(100);

/// Entries of those rings, and their registered memory.
const RING_DEPTH: usize = 16;
const IO_MEMORY: usize = 64 << 10;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Of the thread.
    pub name: String,
    /// The core that it runs on, and nowhere else. `None`: anywhere.
    pub cpu: Option<usize>,
    /// How long it looks for work, with its core to itself, before it sleeps.
    pub spin: Duration,
}

impl Settings {
    /// On any core, without spinning.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            cpu: None,
            spin: Duration::ZERO,
        }
    }
}

/// Runs a future on a thread of its own; its tasks end with it.
///
/// # Errors
/// When there is no thread; from the thread when there is no ring: `io_uring` may be forbidden, or out of locked memory.
pub fn spawn<T, F>(
    settings: &Settings,
    main: impl FnOnce() -> F + Send + 'static,
) -> io::Result<JoinHandle<io::Result<T>>>
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    begin::start(main, |begin| {
        let settings = settings.clone();
        std::thread::Builder::new()
            .name(settings.name.clone())
            .spawn(move || run(&settings, begin))
    })
}

fn run<T, F: Future<Output = T> + 'static, M: FnOnce() -> F + Send + 'static>(
    settings: &Settings,
    begin: Begin<M>,
) -> io::Result<T> {
    // Before the executor: it goes after it.
    let _end = End;
    let executor =
        LocalExecutorBuilder::new(settings.cpu.map_or(Placement::Unbound, Placement::Fixed))
            .name(&settings.name)
            .ring_depth(RING_DEPTH)
            .io_memory(IO_MEMORY)
            .preempt_timer(VISIT)
            .make()
            .map_err(|error| io::Error::other(error.to_string()))?;
    let spin = settings.spin;
    executor.run(async move {
        let Some(main) = begin.take() else {
            return Err(io::Error::other("another executor has this one's work"));
        };
        live(spin, main).await
    })
}

async fn live<T, F: Future<Output = T> + 'static>(
    spin: Duration,
    main: impl FnOnce() -> F,
) -> io::Result<T> {
    let pulse = Arc::<Pulse>::default();
    let reactor = Reactor::new(spin, Arc::clone(&pulse))?;
    heartbeat::watch(Arc::clone(&pulse))?;
    CURRENT.set(Some(Rc::clone(&reactor)));
    glommio::spawn_local(Arc::clone(&pulse).feel()).detach();
    let door = crate::spawn(Foreigners::answer_door(Rc::clone(&reactor)));
    let turns = glommio::spawn_local(Rc::clone(&reactor).take_turns());
    let result = Counted {
        reactor: Rc::clone(&reactor),
        future: main(),
    }
    .await;
    reactor.turns.stop();
    turns.await;
    door.cancel().await;
    // Others may be ready and run once more: the reactor is there until the executor is gone.
    Ok(result)
}

/// Ends the thread's reactor, also when a task panicked.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        if let Some(reactor) = CURRENT.take() {
            reactor.end();
        }
    }
}
