//! How one shard asks another to do something: a closure that runs there, and its answer.
//!
//! Two bounded lanes a shard, one for writes and one for the rest, so that back-pressure on appends never holds up reads.
//! Work of one sender arrives in the order it was sent.

use std::rc::Rc;

use super::Shard;

/// Work waiting for a shard, at most, in one lane: a full lane holds up the connections that send to it.
const LANE_WORK_MAX: usize = 1024;

type Work = Box<dyn FnOnce(&Rc<Shard>) + Send>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Appends: taken only while the store has room.
    Write,
    /// Everything else.
    Read,
}

/// The sending ends of a shard's lanes.
#[derive(Clone)]
pub(crate) struct Mailbox {
    write: flume::Sender<Work>,
    read: flume::Sender<Work>,
}

/// The receiving ends.
pub(crate) struct Inbox {
    write: flume::Receiver<Work>,
    read: flume::Receiver<Work>,
}

pub(crate) fn mailbox() -> (Mailbox, Inbox) {
    let (write_sender, write) = flume::bounded(LANE_WORK_MAX);
    let (read_sender, read) = flume::bounded(LANE_WORK_MAX);
    (
        Mailbox {
            write: write_sender,
            read: read_sender,
        },
        Inbox { write, read },
    )
}

/// The other shard is gone: the process is ending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone;

/// An answer on its way.
pub(crate) struct Answer<T>(flume::Receiver<T>);

impl<T> Answer<T> {
    /// On a shard.
    pub(crate) async fn wait(self) -> Result<T, Gone> {
        rinka_reactor::foreign(self.wait_outside()).await
    }

    /// On any other thread.
    pub(crate) async fn wait_outside(self) -> Result<T, Gone> {
        self.0.recv_async().await.map_err(|_| Gone)
    }
}

impl Mailbox {
    /// Sends work from a shard. When this returns it has its place in the lane; `start` runs there in that order, and the future
    /// it returns runs beside others.
    pub(crate) async fn send<T, F>(
        &self,
        lane: Lane,
        start: impl FnOnce(&Rc<Shard>) -> F + Send + 'static,
    ) -> Result<Answer<T>, Gone>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let (work, answer) = asked(start);
        match self.lane(lane).try_send(work) {
            Ok(()) => {}
            Err(flume::TrySendError::Full(work)) => {
                let sent = rinka_reactor::foreign(self.lane(lane).send_async(work)).await;
                sent.map_err(|_| Gone)?;
            }
            Err(flume::TrySendError::Disconnected(_)) => return Err(Gone),
        }
        Ok(answer)
    }

    /// The same from any other thread.
    pub(crate) async fn send_outside<T, F>(
        &self,
        lane: Lane,
        start: impl FnOnce(&Rc<Shard>) -> F + Send + 'static,
    ) -> Result<Answer<T>, Gone>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let (work, answer) = asked(start);
        let sent = self.lane(lane).send_async(work).await;
        sent.map_err(|_| Gone)?;
        Ok(answer)
    }

    fn lane(&self, lane: Lane) -> &flume::Sender<Work> {
        match lane {
            Lane::Write => &self.write,
            Lane::Read => &self.read,
        }
    }
}

/// Work that starts a task and sends its result back.
fn asked<T, F>(start: impl FnOnce(&Rc<Shard>) -> F + Send + 'static) -> (Work, Answer<T>)
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    let (answer, answered) = flume::bounded(1);
    let work: Work = Box::new(move |shard| {
        let work = start(shard);
        rinka_reactor::spawn(async move {
            // Whoever asked may be gone.
            let _ = answer.send(work.await);
        })
        .detach();
    });
    (work, Answer(answered))
}

impl Mailbox {
    /// Work from outside the shards, without an answer. Waits for room: the lanes are never full for long.
    pub(crate) fn post(&self, work: impl FnOnce(&Rc<Shard>) + Send + 'static) {
        // A shard that is gone needs no telling.
        let _ = self.read.send(Box::new(work));
    }
}

impl Inbox {
    /// Starts the tasks that take work from the lanes.
    pub(crate) fn serve(self, shard: &Rc<Shard>) {
        let Self { write, read } = self;
        let owner = Rc::clone(shard);
        rinka_reactor::spawn(async move {
            while let Ok(work) = next(&read).await {
                work(&owner);
                rinka_reactor::yield_if_needed().await;
            }
        })
        .detach();
        let owner = Rc::clone(shard);
        rinka_reactor::spawn(async move {
            while let Ok(work) = next(&write).await {
                owner.store.admit().await;
                work(&owner);
                rinka_reactor::yield_if_needed().await;
            }
        })
        .detach();
    }
}

/// The next work of a lane; without a look at other threads where it is here already.
async fn next(lane: &flume::Receiver<Work>) -> Result<Work, flume::RecvError> {
    match lane.try_recv() {
        Ok(work) => Ok(work),
        Err(_) => rinka_reactor::foreign(lane.recv_async()).await,
    }
}
