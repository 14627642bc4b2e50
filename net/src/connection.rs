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
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::frame::{FrameBuffer, FrameError};
use crate::socket::Socket;

/// Replies gathered for one send: more would only delay the first of them.
const SEND_BYTES_MAX: usize = 1 << 20;
const SEND_PARTS_MAX: usize = 512;

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
#[allow(async_fn_in_trait, reason = "shards are single-threaded: no future of a connection needs to be Send")]
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

/// What a shard may do to a connection from outside.
pub struct Connection {
    socket: Rc<Socket>,
    queue: Rc<Queue>,
}

#[derive(Default)]
struct Queue {
    replies: RefCell<VecDeque<Pending>>,
    in_flight: Cell<usize>,
    in_flight_bytes: Cell<usize>,
    reading_ended: Cell<bool>,
    /// The frame that is being read has begun.
    partial: Cell<bool>,
    sending: Cell<bool>,
    last_progress: Cell<Option<Instant>>,
    reader: RefCell<Option<Waker>>,
    writer: RefCell<Option<Waker>>,
}

struct Pending {
    reply: Pin<Box<dyn Future<Output = Reply>>>,
    bytes: usize,
}

fn wake(waker: &RefCell<Option<Waker>>) {
    if let Some(waker) = waker.borrow_mut().take() {
        waker.wake();
    }
}

impl Queue {
    fn touch(&self) {
        self.last_progress.set(Some(Instant::now()));
    }

    async fn room(&self, limits: &Limits) {
        poll_fn(|context| {
            let full = self.in_flight.get() >= limits.in_flight_max
                || self.in_flight_bytes.get() >= limits.in_flight_bytes_max;
            if !full || self.reading_ended.get() {
                return Poll::Ready(());
            }
            *self.reader.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn push(&self, reply: Pin<Box<dyn Future<Output = Reply>>>, bytes: usize) {
        self.in_flight.set(self.in_flight.get() + 1);
        self.in_flight_bytes.set(self.in_flight_bytes.get() + bytes);
        self.replies.borrow_mut().push_back(Pending { reply, bytes });
        wake(&self.writer);
    }

    fn done(&self, bytes: usize) {
        self.in_flight.set(self.in_flight.get() - 1);
        self.in_flight_bytes.set(self.in_flight_bytes.get() - bytes);
        wake(&self.reader);
    }

    async fn next(&self) -> Option<Pending> {
        poll_fn(|context| {
            if let Some(pending) = self.replies.borrow_mut().pop_front() {
                return Poll::Ready(Some(pending));
            }
            if self.reading_ended.get() {
                return Poll::Ready(None);
            }
            *self.writer.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Connection {
    #[must_use]
    pub fn new(socket: Socket) -> Self {
        let queue = Queue::default();
        queue.touch();
        Self { socket: Rc::new(socket), queue: Rc::new(queue) }
    }

    /// Serves the connection to its end. Run it as a task of its own.
    pub async fn serve(&self, service: impl Service, limits: Rc<Limits>) -> Ended {
        let socket = Rc::clone(&self.socket);
        let queue = Rc::clone(&self.queue);
        let reader = glommio::spawn_local(async move {
            let ended = read(&socket, &queue, &service, &limits).await;
            queue.reading_ended.set(true);
            wake(&queue.writer);
            ended
        });
        let written = write(&self.socket, &self.queue).await;
        // A reader that still waits for bytes or for room finds the end.
        self.socket.close();
        self.queue.reading_ended.set(true);
        self.queue.replies.borrow_mut().clear();
        wake(&self.queue.reader);
        let read = reader.await;
        match (read, written) {
            (Ended::Closed, Some(ended)) => ended,
            (ended, _) => ended,
        }
    }

    /// Takes no more requests; those in flight are answered, then the connection ends.
    pub fn finish(&self) {
        self.socket.stop_receiving();
    }

    /// Ends the connection now.
    pub fn cut(&self) {
        self.socket.close();
    }

    /// Whether the connection has waited longer than it may, and for what.
    #[must_use]
    pub fn overdue(&self, limits: &Limits, now: Instant) -> Option<&'static str> {
        let waited = now.saturating_duration_since(self.queue.last_progress.get()?);
        let queue = &self.queue;
        if queue.sending.get() {
            return (waited > limits.stall_max).then_some("it does not read what is sent to it");
        }
        if queue.in_flight.get() > 0 {
            return None;
        }
        if queue.partial.get() {
            return (waited > limits.stall_max).then_some("the rest of a request does not come");
        }
        limits.idle_max.filter(|idle| waited > *idle).map(|_| "it was idle (connections.max.idle.ms)")
    }
}

async fn read(socket: &Socket, queue: &Queue, service: &impl Service, limits: &Limits) -> Ended {
    let mut frames = FrameBuffer::default();
    loop {
        loop {
            let frame = match frames.next_frame(limits.frame_bytes_max) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return Ended::Frame(error),
            };
            queue.room(limits).await;
            if queue.reading_ended.get() {
                return Ended::Closed;
            }
            let bytes = frame.len();
            match service.call(frame).await {
                Outcome::Reply(reply) => queue.push(reply, bytes),
                Outcome::Silent => {}
                Outcome::Close(reason) => return Ended::Refused(reason),
            }
            glommio::yield_if_needed().await;
        }
        queue.partial.set(frames.is_partial());
        frames.make_room(limits.frame_bytes_max);
        let buffer = frames.buffer();
        let room = buffer.capacity() - buffer.len();
        match socket.receive(buffer).await {
            Ok(0) => return Ended::Closed,
            Ok(received) => {
                frames.received(received, room);
                // A trickle of single bytes must not keep a half request alive for ever.
                if !queue.partial.get() || received >= 512 {
                    queue.touch();
                }
            }
            Err(error) => return Ended::Io(error),
        }
    }
}

/// Sends replies until reading has ended and all are sent. `Some`: something else ended the connection.
async fn write(socket: &Socket, queue: &Queue) -> Option<Ended> {
    let mut parts: Vec<Bytes> = Vec::new();
    let mut waiting: Option<Pending> = None;
    loop {
        let mut first = match waiting.take() {
            Some(pending) => pending,
            None => queue.next().await?,
        };
        let reply = first.reply.as_mut().await;
        queue.done(first.bytes);
        let mut bytes = match take(reply, &mut parts) {
            Ok(bytes) => bytes,
            Err(ended) => return Some(ended),
        };
        // Whatever is ready behind it goes with the same call.
        let mut closing = None;
        while bytes < SEND_BYTES_MAX && parts.len() < SEND_PARTS_MAX {
            let Some(mut next) = queue.replies.borrow_mut().pop_front() else { break };
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
                }
                None => {
                    waiting = Some(next);
                    break;
                }
            }
        }
        queue.sending.set(true);
        queue.touch();
        let sent = socket.send(&mut parts, |_| queue.touch()).await;
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
mod tests;
