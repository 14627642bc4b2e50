//! One connection: a task that reads frames and starts their work, and one that sends the replies in the order of the frames.
//!
//! Knows nothing of what a frame says. Many frames a read, many replies a send, and every queue has a bound: a peer that
//! sends too much is not read, one that does not read is cut.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use glommio::GlommioError;

use crate::frame::{FrameBuffer, FrameError};
use crate::socket::Socket;

/// Replies gathered for one send: more would only delay the first of them. It also bounds what a peer that does not read
/// holds: this much and one reply, since the replies behind are not even asked for.
const SEND_BYTES_MAX: usize = 1 << 20;
const SEND_PARTS_MAX: usize = 512;

/// Of the rest of a large request this much must come within `stall_max` again and again: a trickle of single bytes does
/// not keep its memory for ever.
const PROGRESS_BYTES: usize = 4 << 10;

/// An idle connection keeps its room for reading this long.
const RELEASE_AFTER: Duration = Duration::from_secs(2);

/// After we ended a connection the peer may take this long to read our last words, and send this much that nobody reads.
/// Closing at once would answer what it still sends with a reset, which overtakes those words.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 1 << 20;

/// What a connection may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `socket.request.max.bytes`.
    pub frame_bytes_max: usize,
    /// Requests taken and not yet answered. Kafka's clients have five in flight; a thousand would be one peer's memory.
    pub in_flight_max: usize,
    /// Bytes of those requests.
    pub in_flight_bytes_max: usize,
    /// `connections.max.idle.ms`; `None`: never.
    pub idle_max: Option<Duration>,
    /// For the rest of a request that has begun, and for a peer to take some of what is sent to it.
    pub stall_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 100 << 20,
            in_flight_max: 64,
            in_flight_bytes_max: 16 << 20,
            idle_max: Some(Duration::from_secs(600)),
            stall_max: Duration::from_secs(30),
        }
    }
}

/// What becomes of a frame.
pub enum Outcome {
    /// A reply will come; its work has begun.
    Reply(Pin<Box<dyn Future<Output = Reply>>>),
    /// There will be none (acks=0).
    Silent,
    /// The peer does not speak our language: end the connection after the replies before.
    Close(String),
}

/// A reply.
pub enum Reply {
    /// Bytes to send, in parts.
    Send(Vec<Bytes>),
    /// Nothing can be said: end the connection.
    Close(String),
}

/// What a connection's frames mean.
#[allow(
    async_fn_in_trait,
    reason = "shards are single-threaded: no future of a connection needs to be Send"
)]
pub trait Service: 'static {
    /// Called for each frame in the order of arrival. It must begin the work before it returns, which keeps the order of
    /// appends; the longer it takes, the longer the peer waits to be read again.
    async fn call(&self, frame: Bytes) -> Outcome;
}

/// Why a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// The peer closed it, or we are stopping.
    Closed,
    Io(io::Error),
    Frame(FrameError),
    /// The service closed it.
    Refused(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => formatter.write_str("closed by the peer"),
            Self::Io(error) => error.fmt(formatter),
            Self::Frame(error) => error.fmt(formatter),
            Self::Refused(reason) => formatter.write_str(reason),
        }
    }
}

/// Counts what the connections of a shard do; the shard shares one among all of them.
#[derive(Debug, Default)]
pub struct Counters {
    pub opened: Cell<u64>,
    /// By the peer, or because we stop.
    pub closed: Cell<u64>,
    /// The peer broke it off, or the network did.
    pub closed_by_error: Cell<u64>,
    /// It sent something that is no frame.
    pub closed_by_frame: Cell<u64>,
    /// The service closed it.
    pub closed_by_service: Cell<u64>,
    /// We cut it: idle, stuck, or too slow to end.
    pub closed_by_cut: Cell<u64>,
    pub reads: Cell<u64>,
    pub bytes_in: Cell<u64>,
    pub frames: Cell<u64>,
    pub replies: Cell<u64>,
    pub sends: Cell<u64>,
    pub bytes_out: Cell<u64>,
}

impl Counters {
    /// Connections that are open now.
    #[must_use]
    pub fn open(&self) -> u64 {
        let closed = [
            &self.closed,
            &self.closed_by_error,
            &self.closed_by_frame,
            &self.closed_by_service,
            &self.closed_by_cut,
        ];
        self.opened.get() - closed.iter().map(|count| count.get()).sum::<u64>()
    }
}

fn add(count: &Cell<u64>, more: usize) {
    count.set(count.get() + more as u64);
}

/// What a shard may do to a connection from outside.
pub struct Connection {
    socket: Rc<Socket>,
    queue: Rc<Queue>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Serving,
    /// No more requests are taken; the replies in flight are sent.
    Finishing,
    /// The socket is closed; work that has begun runs to its end, for nobody.
    Cut,
}

/// What the two tasks of a connection share. Each sleeps on wakers of its own, so that a reply wakes nobody but the writer.
#[derive(Default)]
struct Queue {
    replies: RefCell<VecDeque<Pending>>,
    in_flight: Cell<usize>,
    in_flight_bytes: Cell<usize>,
    phase: Cell<Phase>,
    reading_ended: Cell<bool>,
    /// A frame has begun, and the reader waits for the rest of it.
    partial: Cell<bool>,
    sending: Cell<bool>,
    /// From outside, not by an error.
    was_cut: Cell<bool>,
    /// The reader holds memory that an idle connection does not need, and is asked to let go of it.
    holds_much: Cell<bool>,
    release: Cell<bool>,
    /// Something came or went since [`Connection::overdue`] looked; and when it looked last and saw that. Reading the clock
    /// for each request would cost more than it tells.
    progressed: Cell<bool>,
    last_progress: Cell<Option<Instant>>,
    /// The reader, waiting for bytes.
    receiver: RefCell<Option<Waker>>,
    /// The reader, waiting for replies to make room.
    room: RefCell<Option<Waker>>,
    /// The writer, waiting for a reply to wait for.
    writer: RefCell<Option<Waker>>,
    counters: Rc<Counters>,
}

struct Pending {
    reply: Pin<Box<dyn Future<Output = Reply>>>,
    bytes: usize,
}

fn wake(waker: &RefCell<Option<Waker>>) {
    // Taken out first: waking may come back here.
    let waker = waker.borrow_mut().take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn sleep_on(slot: &RefCell<Option<Waker>>, context: &Context<'_>) {
    let mut slot = slot.borrow_mut();
    if !slot
        .as_ref()
        .is_some_and(|waker| waker.will_wake(context.waker()))
    {
        *slot = Some(context.waker().clone());
    }
}

impl Queue {
    fn enter(&self, phase: Phase) {
        if self.phase.get() != Phase::Cut {
            self.phase.set(phase);
        }
        wake(&self.receiver);
        wake(&self.room);
        wake(&self.writer);
    }

    /// Takes frames, as far as anyone knows.
    fn serves(&self) -> bool {
        self.phase.get() == Phase::Serving && !self.reading_ended.get()
    }

    async fn has_room(&self, limits: &Limits) {
        poll_fn(|context| {
            let full = self.in_flight.get() >= limits.in_flight_max
                || self.in_flight_bytes.get() >= limits.in_flight_bytes_max;
            if !full || !self.serves() {
                return Poll::Ready(());
            }
            sleep_on(&self.room, context);
            Poll::Pending
        })
        .await;
    }

    fn push(&self, reply: Pin<Box<dyn Future<Output = Reply>>>, bytes: usize) {
        self.in_flight.set(self.in_flight.get() + 1);
        self.in_flight_bytes.set(self.in_flight_bytes.get() + bytes);
        self.replies
            .borrow_mut()
            .push_back(Pending { reply, bytes });
        wake(&self.writer);
    }

    fn done(&self, bytes: usize) {
        self.in_flight.set(self.in_flight.get() - 1);
        self.in_flight_bytes.set(self.in_flight_bytes.get() - bytes);
        wake(&self.room);
    }

    async fn next(&self) -> Option<Pending> {
        poll_fn(|context| {
            if self.phase.get() == Phase::Cut {
                return Poll::Ready(None);
            }
            if let Some(pending) = self.replies.borrow_mut().pop_front() {
                return Poll::Ready(Some(pending));
            }
            if self.reading_ended.get() {
                return Poll::Ready(None);
            }
            sleep_on(&self.writer, context);
            Poll::Pending
        })
        .await
    }
}

impl Connection {
    #[must_use]
    pub fn new(socket: Socket) -> Self {
        Self::counted(socket, Rc::default())
    }

    /// A connection whose doings are counted there.
    #[must_use]
    pub fn counted(socket: Socket, counters: Rc<Counters>) -> Self {
        let queue = Queue {
            counters,
            progressed: Cell::new(true),
            ..Queue::default()
        };
        Self {
            socket: Rc::new(socket),
            queue: Rc::new(queue),
        }
    }

    /// Serves the connection to its end. Run it as a task of its own, and never drop it half way.
    pub async fn serve(&self, service: impl Service, limits: Rc<Limits>) -> Ended {
        add(&self.queue.counters.opened, 1);
        let socket = Rc::clone(&self.socket);
        let queue = Rc::clone(&self.queue);
        let reader = glommio::spawn_local(async move {
            let mut frames = FrameBuffer::default();
            let ended = read(&socket, &queue, &mut frames, &service, &limits).await;
            queue.partial.set(false);
            queue.reading_ended.set(true);
            if matches!(ended, Ended::Io(_)) {
                // Nobody is left who could read a reply.
                queue.enter(Phase::Cut);
            }
            wake(&queue.writer);
            ended
        });
        let mut waiting = None;
        let written = write(&self.socket, &self.queue, &mut waiting).await;
        let failed = matches!(written, Some(Ended::Io(_)));
        self.queue
            .enter(if failed { Phase::Cut } else { Phase::Finishing });
        self.queue.replies.borrow_mut().clear();
        if let Some(begun) = waiting {
            // Its work may be half done: a topic created, say, but not yet published.
            begun.reply.await;
        }
        let read = reader.await;
        let ended = match (read, written) {
            // Of two ends the one that belongs to the earlier frame is the reason.
            (_, Some(ended @ Ended::Refused(_))) | (Ended::Closed, Some(ended)) => ended,
            (ended, _) => ended,
        };
        self.linger().await;
        self.socket.close();
        self.count(&ended);
        ended
    }

    /// Takes no more requests; those in flight are answered, then the connection ends.
    pub fn finish(&self) {
        self.queue.enter(Phase::Finishing);
    }

    /// Ends the connection now. Work in flight is not answered, but what has begun is not broken off.
    pub fn cut(&self) {
        self.queue.was_cut.set(true);
        self.queue.enter(Phase::Cut);
        self.socket.close();
    }

    /// Whether the connection has waited longer than it may, and for what. Call it from time to time: how often decides
    /// how exact it is, and an idle connection gives memory back meanwhile.
    #[must_use]
    pub fn overdue(&self, limits: &Limits, now: Instant) -> Option<&'static str> {
        let queue = &self.queue;
        if queue.progressed.take() {
            queue.last_progress.set(Some(now));
        }
        let waited = now.saturating_duration_since(queue.last_progress.get()?);
        if queue.sending.get() {
            return (waited > limits.stall_max).then_some("it does not read what is sent to it");
        }
        if queue.in_flight.get() > 0 {
            return None;
        }
        if queue.partial.get() {
            return (waited > limits.stall_max).then_some("the rest of a request does not come");
        }
        if waited > RELEASE_AFTER && queue.holds_much.take() {
            queue.release.set(true);
            wake(&queue.receiver);
        }
        limits
            .idle_max
            .filter(|idle| waited > *idle)
            .map(|_| "it was idle (connections.max.idle.ms)")
    }

    /// Waits until the peer has seen that we are done, within limits.
    async fn linger(&self) {
        self.socket.stop_sending();
        let mut unread = BytesMut::with_capacity(PROGRESS_BYTES);
        let mut bytes = 0;
        let until_its_end = async {
            while bytes < LINGER_BYTES_MAX {
                unread.clear();
                let received = poll_fn(|context| {
                    if self.queue.phase.get() == Phase::Cut {
                        return Poll::Ready(Ok(0));
                    }
                    sleep_on(&self.queue.receiver, context);
                    self.socket.poll_receive(context, &mut unread)
                });
                match received.await {
                    Ok(0) | Err(_) => break,
                    Ok(received) => bytes += received,
                }
            }
            Ok::<_, GlommioError<()>>(())
        };
        // Dropping a receive is safe, unlike an accept: what it might lose nobody wants.
        let _ = glommio::timer::timeout(LINGER, until_its_end).await;
    }

    fn count(&self, ended: &Ended) {
        let counters = &self.queue.counters;
        let count = match ended {
            _ if self.queue.was_cut.get() => &counters.closed_by_cut,
            Ended::Closed => &counters.closed,
            Ended::Io(_) => &counters.closed_by_error,
            Ended::Frame(_) => &counters.closed_by_frame,
            Ended::Refused(_) => &counters.closed_by_service,
        };
        add(count, 1);
    }
}

async fn read(
    socket: &Socket,
    queue: &Queue,
    frames: &mut FrameBuffer,
    service: &impl Service,
    limits: &Limits,
) -> Ended {
    let counters = &queue.counters;
    // What came of a request since that last counted as progress.
    let mut trickled = 0;
    loop {
        while queue.serves() {
            let frame = match frames.next_frame(limits.frame_bytes_max) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return Ended::Frame(error),
            };
            queue.has_room(limits).await;
            if !queue.serves() {
                return Ended::Closed;
            }
            add(&counters.frames, 1);
            queue.progressed.set(true);
            trickled = 0;
            let bytes = frame.len();
            match service.call(frame).await {
                Outcome::Reply(reply) => queue.push(reply, bytes),
                Outcome::Silent => {}
                Outcome::Close(reason) => return Ended::Refused(reason),
            }
            glommio::yield_if_needed().await;
        }
        match receive(socket, queue, frames, limits).await {
            Ok(0) => return Ended::Closed,
            Ok(received) => {
                add(&counters.reads, 1);
                add(&counters.bytes_in, received);
                trickled += received;
                if !queue.partial.replace(false) || trickled >= PROGRESS_BYTES {
                    queue.progressed.set(true);
                    trickled = 0;
                }
            }
            Err(error) => return Ended::Io(error),
        }
    }
}

/// Receives into the frame buffer; 0 at the end of the stream, or when nothing more is to be taken from it.
async fn receive(
    socket: &Socket,
    queue: &Queue,
    frames: &mut FrameBuffer,
    limits: &Limits,
) -> io::Result<usize> {
    frames.make_room(limits.frame_bytes_max);
    queue.partial.set(frames.is_partial());
    queue.holds_much.set(frames.holds_much());
    let (received, room) = poll_fn(|context| {
        if !queue.serves() {
            return Poll::Ready((Ok(0), 0));
        }
        if queue.release.take() {
            frames.release();
        }
        sleep_on(&queue.receiver, context);
        let buffer = frames.buffer();
        let room = buffer.capacity() - buffer.len();
        socket
            .poll_receive(context, buffer)
            .map(|received| (received, room))
    })
    .await;
    let received = received?;
    frames.received(received, room);
    Ok(received)
}

/// Sends replies until reading has ended and all are sent. `Some`: something else ended the connection. Leaves the reply
/// whose work has begun, if any, in `waiting`.
async fn write(socket: &Socket, queue: &Queue, waiting: &mut Option<Pending>) -> Option<Ended> {
    let counters = &queue.counters;
    let mut parts: Vec<Bytes> = Vec::new();
    loop {
        let mut first = match waiting.take() {
            Some(pending) => pending,
            None => queue.next().await?,
        };
        let reply = first.reply.as_mut().await;
        queue.done(first.bytes);
        if queue.phase.get() == Phase::Cut {
            return None;
        }
        let mut bytes = match take(reply, &mut parts) {
            Ok(bytes) => bytes,
            Err(ended) => return Some(ended),
        };
        let mut replies = 1;
        // Whatever is ready behind it goes with the same call.
        let mut closing = None;
        while bytes < SEND_BYTES_MAX && parts.len() < SEND_PARTS_MAX {
            let Some(mut next) = queue.replies.borrow_mut().pop_front() else {
                break;
            };
            match futures_lite::future::poll_once(next.reply.as_mut()).await {
                Some(reply) => {
                    queue.done(next.bytes);
                    match take(reply, &mut parts) {
                        Ok(more) => bytes += more,
                        Err(ended) => {
                            closing = Some(ended);
                            break;
                        }
                    }
                    replies += 1;
                }
                None => {
                    *waiting = Some(next);
                    break;
                }
            }
        }
        add(&counters.replies, replies);
        queue.progressed.set(true);
        queue.sending.set(true);
        let sent = socket
            .send(&mut parts, |bytes| {
                queue.progressed.set(true);
                add(&counters.sends, 1);
                add(&counters.bytes_out, bytes);
            })
            .await;
        queue.sending.set(false);
        if let Err(error) = sent {
            return Some(Ended::Io(error));
        }
        if closing.is_some() {
            return closing;
        }
    }
}

fn take(reply: Reply, parts: &mut Vec<Bytes>) -> Result<usize, Ended> {
    match reply {
        Reply::Send(reply) => {
            let bytes = reply.iter().map(Bytes::len).sum();
            parts.extend(reply);
            Ok(bytes)
        }
        Reply::Close(reason) => Err(Ended::Refused(reason)),
    }
}

#[cfg(test)]
pub(crate) mod tests;
