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

use crate::budget::{Budget, Permit};
use crate::frame::{FrameBuffer, FrameError};
use crate::rejected::{Rejected, Rejections};
use crate::socket::Socket;

/// Replies gathered for one send: more would only delay the first of them. It also bounds what a peer that does not read
/// holds: this much and one reply, since the replies behind are not even asked for.
const SEND_BYTES_MAX: usize = 1 << 20;
const SEND_PARTS_MAX: usize = 512;

/// A large request, and a large reply, may take a second more for each of these: no working network is slower, and a
/// trickle of single bytes does not keep its memory for ever.
const BYTES_PER_SECOND_MIN: usize = 16 << 10;

/// So much must move within the time for a small one again and again: what went fast at first buys no time for a stop.
const MOVE_BYTES: usize = 4 << 10;

/// An idle connection keeps its room for reading this long.
const RELEASE_AFTER: Duration = Duration::from_secs(2);

/// After we ended a connection the peer may take this long to read our last words, and send this much that nobody reads.
/// Closing at once would answer what it still sends with a reset, which overtakes those words.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 1 << 20;

/// No peer is muted for longer, whatever its quota asks for: its end would not be seen meanwhile.
const MUTE_MAX: Duration = Duration::from_secs(600);

/// What a connection may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `socket.request.max.bytes`.
    pub frame_bytes_max: usize,
    /// Requests taken and not yet answered. Kafka's clients have five in flight; a thousand would be one peer's memory.
    pub in_flight_max: usize,
    /// Bytes of those requests, and of replies that are not sent yet.
    pub in_flight_bytes_max: usize,
    /// `connections.max.idle.ms`; `None`: never.
    pub idle_max: Option<Duration>,
    /// For a request to come, from its first byte; a large one has a little more time for what has come of it.
    pub request_time_max: Duration,
    /// For a peer to take what is sent to it; for a large reply a little more for what it has taken.
    pub send_time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 100 << 20,
            in_flight_max: 64,
            in_flight_bytes_max: 16 << 20,
            idle_max: Some(Duration::from_secs(600)),
            request_time_max: Duration::from_secs(30),
            send_time_max: Duration::from_secs(30),
        }
    }
}

/// What becomes of a frame.
pub enum Outcome {
    /// A reply will come; its work has begun, and is not broken off.
    Reply(Pin<Box<dyn Future<Output = Reply>>>),
    /// A reply will come, perhaps in minutes. Nothing depends on the wait for it, which ends with the connection.
    Wait(Pin<Box<dyn Future<Output = Reply>>>),
    /// There will be none (acks=0).
    Silent,
    /// The peer does not speak our language: end the connection after the replies before.
    Close(Rejected, String),
}

/// A reply.
pub enum Reply {
    /// Bytes to send, in parts.
    Send(Vec<Bytes>),
    /// The same, and then nothing more is taken from the peer for so long (KIP-219), ten minutes at most.
    SendThenMute(Vec<Bytes>, Duration),
    /// Nothing can be said: end the connection.
    Close(Rejected, String),
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

    /// Whether a frame is worth receiving, told by its first bytes: called once at most, with four of them or more, and only
    /// for a frame that did not come in one piece.
    ///
    /// # Errors
    /// Why it is not: the connection ends after the replies before.
    fn admit(&self, _begun: &[u8]) -> Result<(), (Rejected, String)> {
        Ok(())
    }
}

/// Why a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// The peer closed it, or we are stopping.
    Closed,
    Io(io::Error),
    Frame(FrameError),
    /// The service closed it.
    Refused(Rejected, String),
}

impl Ended {
    /// The kind of input that ended it, if that was the reason.
    #[must_use]
    pub fn rejected(&self) -> Option<Rejected> {
        match self {
            Self::Closed | Self::Io(_) => None,
            Self::Frame(FrameError::TooSmall(_)) => Some(Rejected::Malformed),
            Self::Frame(FrameError::TooLarge { .. }) => Some(Rejected::FrameTooLarge),
            Self::Refused(kind, _) => Some(*kind),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => formatter.write_str("closed by the peer"),
            Self::Io(error) => error.fmt(formatter),
            Self::Frame(error) => error.fmt(formatter),
            Self::Refused(_, reason) => formatter.write_str(reason),
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
    /// Bytes of replies that are made and not yet sent.
    pub unsent: Cell<usize>,
    pub rejected: Rejections,
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
struct Queue {
    replies: RefCell<VecDeque<Pending>>,
    in_flight: Cell<usize>,
    in_flight_bytes: Cell<usize>,
    /// Of the replies that are being sent: all of them, and what the peer has taken.
    reply_bytes: Cell<usize>,
    sent_bytes: Cell<usize>,
    phase: Cell<Phase>,
    reading_ended: Cell<bool>,
    /// A frame has begun, and the reader waits for the rest of it.
    partial: Cell<bool>,
    /// What has come of it.
    partial_bytes: Cell<usize>,
    /// The reader waits for the shard's memory, or for the end of a mute, which is not the peer's fault.
    held_up: Cell<bool>,
    /// Nothing is taken from the peer before.
    muted_until: Cell<Option<Instant>>,
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
    /// How many bytes had moved of what is under way when [`Connection::overdue`] last saw [`MOVE_BYTES`] more, and when.
    last_move: Cell<Option<(usize, Instant)>>,
    /// The reader, waiting for bytes.
    receiver: RefCell<Option<Waker>>,
    /// The reader, waiting for replies to make room.
    room: RefCell<Option<Waker>>,
    /// The writer, waiting for a reply to wait for.
    writer: RefCell<Option<Waker>>,
    counters: Rc<Counters>,
    budget: Rc<Budget>,
}

struct Pending {
    reply: Pin<Box<dyn Future<Output = Reply>>>,
    /// Whether the reply may be given up when the peer is gone.
    only_waits: bool,
    permit: Permit,
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
                || self.in_flight_bytes.get() + self.reply_bytes.get()
                    >= limits.in_flight_bytes_max;
            if !full || !self.serves() {
                return Poll::Ready(());
            }
            sleep_on(&self.room, context);
            Poll::Pending
        })
        .await;
    }

    /// Waits until the shard has memory; `None`: nothing more is to be taken.
    async fn permitted<T>(&self, permit: impl Future<Output = T>) -> Option<T> {
        let mut permit = std::pin::pin!(permit);
        let permit = poll_fn(|context| {
            if !self.serves() {
                return Poll::Ready(None);
            }
            sleep_on(&self.room, context);
            let permit = permit.as_mut().poll(context).map(Some);
            self.held_up.set(permit.is_pending());
            permit
        })
        .await;
        self.held_up.set(false);
        permit
    }

    fn mute(&self, pause: Duration) {
        let until = Instant::now() + pause.min(MUTE_MAX);
        // Replies come in order, their pauses need not: the longest counts.
        let until = self.muted_until.get().map_or(until, |old| old.max(until));
        self.muted_until.set(Some(until));
    }

    /// Waits for the end of a mute, if there is one.
    async fn unmuted(&self) {
        while let Some(until) = self.muted_until.get() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.muted_until.set(None);
            } else if self.permitted(rinka_reactor::sleep(left)).await.is_none() {
                return;
            }
        }
    }

    fn push(&self, reply: Pin<Box<dyn Future<Output = Reply>>>, only_waits: bool, permit: Permit) {
        self.in_flight.set(self.in_flight.get() + 1);
        let bytes = self.in_flight_bytes.get() + permit.bytes();
        self.in_flight_bytes.set(bytes);
        self.replies.borrow_mut().push_back(Pending {
            reply,
            only_waits,
            permit,
        });
        wake(&self.writer);
    }

    /// The reply is made; the request's memory is free.
    fn done(&self, permit: Permit) {
        self.in_flight.set(self.in_flight.get() - 1);
        let bytes = self.in_flight_bytes.get() - permit.bytes();
        self.in_flight_bytes.set(bytes);
        drop(permit);
        wake(&self.room);
    }

    fn unsent(&self, bytes: usize) {
        let all = &self.counters.unsent;
        all.set(all.get() - self.reply_bytes.replace(bytes) + bytes);
        self.sent_bytes.set(0);
        if bytes == 0 {
            wake(&self.room);
        }
    }

    /// The reply, unless the peer is gone first.
    async fn unless_gone(&self, mut reply: Pin<&mut dyn Future<Output = Reply>>) -> Option<Reply> {
        poll_fn(|context| {
            if let Poll::Ready(reply) = reply.as_mut().poll(context) {
                return Poll::Ready(Some(reply));
            }
            if self.phase.get() == Phase::Cut || self.reading_ended.get() {
                return Poll::Ready(None);
            }
            sleep_on(&self.writer, context);
            Poll::Pending
        })
        .await
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
    /// A connection whose doings are counted there, and whose requests take of that memory.
    #[must_use]
    pub fn new(socket: Socket, counters: Rc<Counters>, budget: Rc<Budget>) -> Self {
        let queue = Queue {
            replies: RefCell::default(),
            in_flight: Cell::default(),
            in_flight_bytes: Cell::default(),
            reply_bytes: Cell::default(),
            sent_bytes: Cell::default(),
            phase: Cell::default(),
            reading_ended: Cell::default(),
            partial: Cell::default(),
            partial_bytes: Cell::default(),
            held_up: Cell::default(),
            muted_until: Cell::default(),
            sending: Cell::default(),
            was_cut: Cell::default(),
            holds_much: Cell::default(),
            release: Cell::default(),
            progressed: Cell::new(true),
            last_progress: Cell::default(),
            last_move: Cell::default(),
            receiver: RefCell::default(),
            room: RefCell::default(),
            writer: RefCell::default(),
            counters,
            budget,
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
        let reader = rinka_reactor::spawn(async move {
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
        self.queue.unsent(0);
        self.queue.replies.borrow_mut().clear();
        if let Some(begun) = waiting.filter(|begun| !begun.only_waits) {
            // Its work may be half done: a topic created, say, but not yet published.
            begun.reply.await;
        }
        let read = reader.await;
        let ended = match (read, written) {
            // Of two ends the one that belongs to the earlier frame is the reason.
            (_, Some(ended @ Ended::Refused(..))) | (Ended::Closed, Some(ended)) => ended,
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

    /// Cuts it for what its peer did or did not do, and counts that.
    pub fn cut_for(&self, kind: Rejected) {
        if self.queue.phase.get() != Phase::Cut {
            self.queue.counters.rejected.add(kind);
        }
        self.cut();
    }

    /// Whether the connection has waited longer than it may, and for what. Call it from time to time: how often decides
    /// how exact it is, and an idle connection gives memory back meanwhile.
    #[must_use]
    pub fn overdue(&self, limits: &Limits, now: Instant) -> Option<Rejected> {
        let queue = &self.queue;
        if queue.progressed.take() {
            queue.last_progress.set(Some(now));
            queue.last_move.set(None);
        }
        let waited = now.saturating_duration_since(queue.last_progress.get()?);
        let in_time = |time_max: Duration, bytes: usize, worth: usize| {
            let last = queue
                .last_move
                .get()
                .filter(|last| bytes < last.0 + MOVE_BYTES);
            let (_, moved) = last.unwrap_or((bytes, now));
            queue.last_move.set(last.or(Some((bytes, now))));
            now.saturating_duration_since(moved) <= time_max
                && waited <= time_max + Duration::from_secs((worth / BYTES_PER_SECOND_MIN) as u64)
        };
        if queue.sending.get() {
            let bytes = queue.sent_bytes.get();
            let in_time = in_time(limits.send_time_max, bytes, bytes);
            return (!in_time).then_some(Rejected::SlowReader);
        }
        if queue.in_flight.get() > 0 || (queue.held_up.get() && !queue.partial.get()) {
            return None;
        }
        if queue.partial.get() {
            // Where somebody waits for memory, what has come so far buys no time, and waiting is no excuse: else the halves
            // that many hold would keep it short for ever.
            let bytes = queue.partial_bytes.get();
            let worth = if queue.budget.is_short() { 0 } else { bytes };
            let in_time = in_time(limits.request_time_max, bytes, worth);
            return (!in_time).then_some(Rejected::SlowRequest);
        }
        if waited > RELEASE_AFTER && queue.holds_much.take() {
            queue.release.set(true);
            wake(&queue.receiver);
        }
        limits
            .idle_max
            .filter(|idle| waited > *idle)
            .map(|_| Rejected::Idle)
    }

    /// Waits until the peer has seen that we are done, within limits.
    async fn linger(&self) {
        self.socket.stop_sending();
        let mut unread = BytesMut::with_capacity(4 << 10);
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
        };
        let _ = rinka_reactor::timeout(LINGER, until_its_end).await;
    }

    fn count(&self, ended: &Ended) {
        let counters = &self.queue.counters;
        if let Some(kind) = ended.rejected().filter(|_| !self.queue.was_cut.get()) {
            counters.rejected.add(kind);
        }
        let count = match ended {
            _ if self.queue.was_cut.get() => &counters.closed_by_cut,
            Ended::Closed => &counters.closed,
            Ended::Io(_) => &counters.closed_by_error,
            Ended::Frame(_) => &counters.closed_by_frame,
            Ended::Refused(..) => &counters.closed_by_service,
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
    // Memory for a large frame that has begun.
    let mut reserved = None;
    let mut admitted = false;
    loop {
        while queue.serves() {
            queue.unmuted().await;
            let frame = match frames.next_frame(limits.frame_bytes_max) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return Ended::Frame(error),
            };
            queue.progressed.set(true);
            queue.has_room(limits).await;
            let permit = match reserved.take() {
                Some(permit) => Some(permit),
                None => queue.permitted(queue.budget.whole(frame.len())).await,
            };
            let Some(mut permit) = permit.filter(|_| queue.serves()) else {
                return Ended::Closed;
            };
            permit.arrived();
            add(&counters.frames, 1);
            queue.progressed.set(true);
            admitted = false;
            match service.call(frame).await {
                Outcome::Reply(reply) => queue.push(reply, false, permit),
                Outcome::Wait(reply) => queue.push(reply, true, permit),
                Outcome::Silent => {}
                Outcome::Close(kind, reason) => return Ended::Refused(kind, reason),
            }
            rinka_reactor::yield_if_needed().await;
        }
        if !admitted && frames.begun().len() >= 4 {
            if let Err((kind, reason)) = service.admit(frames.begun()) {
                return Ended::Refused(kind, reason);
            }
            admitted = true;
        }
        if let Some(bytes) = frames.to_reserve(limits.frame_bytes_max) {
            let permit = reserved.get_or_insert_with(|| queue.budget.arriving());
            if permit.bytes() < bytes {
                queue.partial.set(true);
                if queue.permitted(permit.grow(bytes)).await.is_none() {
                    return Ended::Closed;
                }
            }
            // There may be always more of a large request, as fast as it is taken.
            rinka_reactor::yield_if_needed().await;
        }
        match receive(socket, queue, frames, limits).await {
            Ok(0) => return Ended::Closed,
            Ok(received) => {
                add(&counters.reads, 1);
                add(&counters.bytes_in, received);
                // The first bytes of a request begin its time, those that follow do not prolong it.
                if !queue.partial.replace(false) {
                    queue.progressed.set(true);
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
    queue.partial_bytes.set(frames.received_bytes());
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
        let reply = match first.only_waits {
            true => queue.unless_gone(first.reply.as_mut()).await,
            false => Some(first.reply.as_mut().await),
        };
        queue.done(first.permit);
        let reply = reply?;
        if queue.phase.get() == Phase::Cut {
            return None;
        }
        let mut bytes = match take(reply, &mut parts, queue) {
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
                    queue.done(next.permit);
                    match take(reply, &mut parts, queue) {
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
        queue.unsent(bytes);
        let sent = socket
            .send(&mut parts, |bytes| {
                queue.sent_bytes.set(queue.sent_bytes.get() + bytes);
                add(&counters.sends, 1);
                add(&counters.bytes_out, bytes);
            })
            .await;
        queue.sending.set(false);
        queue.progressed.set(true);
        queue.unsent(0);
        if let Err(error) = sent {
            return Some(Ended::Io(error));
        }
        if closing.is_some() {
            return closing;
        }
        // A fast reader takes reply after reply without a wait.
        rinka_reactor::yield_if_needed().await;
    }
}

fn take(reply: Reply, parts: &mut Vec<Bytes>, queue: &Queue) -> Result<usize, Ended> {
    let reply = match reply {
        Reply::Send(reply) => reply,
        Reply::SendThenMute(reply, pause) => {
            queue.mute(pause);
            reply
        }
        Reply::Close(kind, reason) => return Err(Ended::Refused(kind, reason)),
    };
    let bytes = reply.iter().map(Bytes::len).sum();
    parts.extend(reply);
    Ok(bytes)
}

#[cfg(test)]
pub(crate) mod tests;
