use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread::JoinHandle;

use rinka_reactor::executor::Settings;

use super::*;

/// Runs a future on an executor of its own.
pub(crate) fn executor<T: Send + 'static, F: Future<Output = T> + 'static>(
    run: impl FnOnce() -> F + Send + 'static,
) -> Running<T> {
    Running(rinka_reactor::executor::spawn(&Settings::new("test"), run).expect("a thread"))
}

pub(crate) struct Running<T>(JoinHandle<io::Result<T>>);

impl<T> Running<T> {
    pub(crate) fn join(self) -> io::Result<T> {
        self.0.join().expect("it does not panic")
    }
}

/// One task rings, another one waits for it.
#[derive(Default)]
pub(crate) struct Bell {
    rang: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.rang.set(true);
        wake(&self.waker);
    }

    pub(crate) async fn rung(&self) {
        poll_fn(|context| {
            if self.rang.get() {
                return Poll::Ready(());
            }
            sleep_on(&self.waker, context);
            Poll::Pending
        })
        .await;
    }
}

/// Does with a frame what its last byte says; otherwise answers it with itself.
#[derive(Default)]
struct Scripted {
    connection: Option<Rc<Connection>>,
    in_flight_max: usize,
    /// Frames that wait for the one that ends in `<`: it answers first, then they do, from the last to the first.
    held: Rc<RefCell<Vec<Rc<Bell>>>>,
    /// What became of work that nobody waits for any more.
    told: Option<mpsc::Sender<&'static str>>,
}

fn framed(content: &[u8]) -> Bytes {
    Bytes::from([&(content.len() as u32).to_be_bytes()[..], content].concat())
}

fn echo(frame: &Bytes) -> Reply {
    // In two parts and an empty one, so that vectored sends are cut everywhere.
    Reply::Send(vec![
        Bytes::copy_from_slice(&(frame.len() as u32).to_be_bytes()),
        Bytes::new(),
        frame.clone(),
    ])
}

impl Service for Scripted {
    fn admit(&self, begun: &[u8]) -> Result<(), (Rejected, String)> {
        if begun.starts_with(b"\xFF\xFF") {
            return Err((Rejected::UnknownApi, "not admitted".to_owned()));
        }
        Ok(())
    }

    async fn call(&self, frame: Bytes) -> Outcome {
        let queue = &self.connection.as_ref().expect("given").queue;
        assert!(
            queue.in_flight.get() < self.in_flight_max,
            "room for this one"
        );
        let reply = |reply: Reply| Outcome::Reply(Box::pin(async move { reply }));
        match frame.last().expect("a frame has eight bytes at least") {
            b'!' => Outcome::Close(Rejected::Malformed, "an exclamation mark".to_owned()),
            b'?' => reply(Reply::Close(
                Rejected::Unanswerable,
                "a question mark".to_owned(),
            )),
            b'.' => Outcome::Silent,
            b'F' => {
                self.connection.as_ref().expect("given").finish();
                reply(echo(&frame))
            }
            b'>' => {
                let bell = Rc::new(Bell::default());
                self.held.borrow_mut().push(Rc::clone(&bell));
                Outcome::Reply(Box::pin(async move {
                    bell.rung().await;
                    echo(&frame)
                }))
            }
            b'H' => {
                let bell = Rc::new(Bell::default());
                self.held.borrow_mut().push(Rc::clone(&bell));
                Outcome::Wait(Box::pin(async move {
                    bell.rung().await;
                    echo(&frame)
                }))
            }
            b'<' => {
                let held = Rc::clone(&self.held);
                rinka_reactor::spawn(async move {
                    while let Some(bell) = { held.borrow_mut().pop() } {
                        bell.ring();
                        futures_lite::future::yield_now().await;
                    }
                })
                .detach();
                reply(echo(&frame))
            }
            b'M' => {
                let Reply::Send(parts) = echo(&frame) else {
                    unreachable!("an echo is sent")
                };
                reply(Reply::SendThenMute(parts, MUTE))
            }
            b'W' => {
                // Work that outlives its connection: it ends once the connection has been cut.
                let (connection, told) = (
                    self.connection.clone().expect("given"),
                    self.told.clone().expect("given"),
                );
                Outcome::Reply(Box::pin(async move {
                    connection.cut();
                    futures_lite::future::yield_now().await;
                    told.send("done").expect("the test listens");
                    echo(&frame)
                }))
            }
            _ => reply(echo(&frame)),
        }
    }
}

/// How long a frame that ends in `M` mutes its connection.
const MUTE: Duration = Duration::from_millis(300);

/// How a connection went.
struct Told {
    ended: String,
    counters: Counters,
    told: Vec<&'static str>,
}

/// Serves one connection on an executor of its own; `client` runs on this thread.
fn serve(limits: Limits, client: impl FnOnce(TcpStream)) -> Told {
    let (socket, address) = crate::listener::bind("127.0.0.1:0").expect("a free port");
    let (listens, listening) = mpsc::channel();
    let (tell, telling) = mpsc::channel();
    let server = executor(move || async move {
        let counters = Rc::new(Counters::default());
        let ended = Rc::new(RefCell::new(None));
        let bell = Rc::new(Bell::default());
        let (counts, end, rings) = (Rc::clone(&counters), Rc::clone(&ended), Rc::clone(&bell));
        let memory = Budget::new(1 << 30);
        let budget = Rc::clone(&memory);
        let acceptor = crate::listener::accept(socket, move |stream| {
            let (limits, tell) = (Rc::new(limits.clone()), tell.clone());
            let (counts, end, rings) = (Rc::clone(&counts), Rc::clone(&end), Rc::clone(&rings));
            let budget = Rc::clone(&budget);
            rinka_reactor::spawn(async move {
                let connection = Rc::new(Connection::new(Socket::new(stream), counts, budget));
                let (watched, bounds) = (Rc::clone(&connection), Rc::clone(&limits));
                let watch = rinka_reactor::spawn(async move {
                    loop {
                        rinka_reactor::sleep(Duration::from_millis(20)).await;
                        if let Some(kind) = watched.overdue(&bounds, Instant::now()) {
                            watched.cut_for(kind);
                        }
                    }
                });
                let service = Scripted {
                    in_flight_max: limits.in_flight_max,
                    connection: Some(Rc::clone(&connection)),
                    told: Some(tell),
                    ..Scripted::default()
                };
                *end.borrow_mut() = Some(connection.serve(service, limits).await.to_string());
                watch.cancel().await;
                rings.ring();
            })
            .detach();
        })
        .expect("listening");
        listens.send(()).expect("somebody waits");
        bell.rung().await;
        acceptor.stop().await;
        let ended = ended.borrow_mut().take().expect("the bell rang");
        assert_eq!(counters.open(), 0);
        assert_eq!(memory.used(), 0, "every request's memory was given back");
        assert_eq!(counters.unsent.get(), 0);
        (ended, Rc::into_inner(counters))
    });
    listening.recv().expect("it listens");
    let stream = TcpStream::connect(address).expect("connected");
    // Only a test that fails waits that long.
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("set");
    stream
        .set_write_timeout(Some(Duration::from_secs(20)))
        .expect("set");
    client(stream);
    let (ended, counters) = server.join().expect("the server ran");
    Told {
        ended,
        counters: counters.expect("all tasks are over"),
        told: telling.try_iter().collect(),
    }
}

fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("a length");
    let mut content = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut content).expect("the content");
    content
}

fn expect_end(stream: &mut TcpStream) {
    assert_eq!(stream.read(&mut [0]).expect("the end, not a reset"), 0);
}

#[test]
fn ten_thousand_pipelined_frames_come_back_in_order() {
    const FRAMES: u64 = 10_000;
    let told = serve(Limits::default(), |mut stream| {
        let mut sender = stream.try_clone().expect("cloned");
        let writer = std::thread::spawn(move || {
            let all: Vec<u8> = (0..FRAMES)
                .flat_map(|number| framed(format!("{number:08} and some more").as_bytes()))
                .collect();
            sender.write_all(&all).expect("sent");
            sender
                .shutdown(std::net::Shutdown::Write)
                .expect("half closed");
        });
        for number in 0..FRAMES {
            assert_eq!(
                receive(&mut stream),
                format!("{number:08} and some more").as_bytes()
            );
        }
        writer.join().expect("sent");
        // A half closed connection is answered, then closed.
        expect_end(&mut stream);
    });
    assert_eq!(told.ended, Ended::Closed.to_string());
    let counters = told.counters;
    assert_eq!(
        (counters.frames.get(), counters.replies.get()),
        (FRAMES, FRAMES)
    );
    assert_eq!(counters.bytes_in.get(), counters.bytes_out.get());
    assert_eq!(counters.closed.get(), 1);
    let (reads, sends) = (counters.reads.get(), counters.sends.get());
    println!("{FRAMES} frames of 25 bytes: {reads} reads, {sends} sends");
    assert!(reads < FRAMES / 50, "many frames a read, not {reads} reads");
    assert!(
        sends < FRAMES / 20,
        "many replies a send, not {sends} sends"
    );
}

#[test]
fn replies_that_complete_backwards_leave_in_order() {
    serve(Limits::default(), |mut stream| {
        let frames: Vec<String> = (0..40)
            .map(|number| format!("{number:08}>"))
            .chain(["release <".to_owned()])
            .collect();
        let all: Vec<u8> = frames
            .iter()
            .flat_map(|frame| framed(frame.as_bytes()))
            .collect();
        stream.write_all(&all).expect("sent");
        for frame in frames {
            assert_eq!(receive(&mut stream), frame.as_bytes());
        }
    });
}

#[test]
fn no_more_requests_are_taken_than_may_be_in_flight() {
    let limits = Limits {
        in_flight_max: 4,
        ..Limits::default()
    };
    let told = serve(limits, |mut stream| {
        // Held ones fill the limit but for one; the service itself looks how many there are.
        let round = ["00000001>", "00000002>", "00000003>", "release <"];
        let all: Vec<u8> = round
            .iter()
            .cycle()
            .take(400)
            .flat_map(|frame| framed(frame.as_bytes()))
            .collect();
        stream.write_all(&all).expect("sent");
        for frame in round.iter().cycle().take(400) {
            assert_eq!(receive(&mut stream), frame.as_bytes());
        }
    });
    assert_eq!(told.counters.frames.get(), 400);
}

#[test]
fn frames_in_single_bytes_and_silent_ones() {
    serve(Limits::default(), |mut stream| {
        stream.set_nodelay(true).expect("set");
        for byte in framed(b"quiet one.")
            .iter()
            .chain(framed(b"a loud one").iter())
        {
            stream.write_all(&[*byte]).expect("sent");
        }
        assert_eq!(receive(&mut stream), b"a loud one");
    });
}

#[test]
fn large_frames_go_through() {
    let told = serve(Limits::default(), |mut stream| {
        let frame = vec![7; 24 << 20];
        for _ in 0..2 {
            let mut sender = stream.try_clone().expect("cloned");
            let sent = framed(&frame);
            let writer = std::thread::spawn(move || sender.write_all(&sent).expect("sent"));
            assert!(receive(&mut stream) == frame);
            writer.join().expect("sent");
        }
    });
    let counters = told.counters;
    println!(
        "2 frames of 24 MiB: {} reads, {} sends",
        counters.reads.get(),
        counters.sends.get()
    );
}

#[test]
fn a_refused_frame_ends_the_connection_after_the_replies_before() {
    for (refused, reason, kind) in [
        (
            &b"refused!!"[..],
            "an exclamation mark",
            Rejected::Malformed,
        ),
        (b"refused??", "a question mark", Rejected::Unanswerable),
    ] {
        let told = serve(Limits::default(), |mut stream| {
            // What follows the refused one is never read. It must not turn the end into a reset, which overtakes replies.
            let mut all = [framed(b"before it"), framed(refused)].concat();
            all.resize(600_000, 0);
            stream.write_all(&all).expect("sent");
            assert_eq!(receive(&mut stream), b"before it");
            expect_end(&mut stream);
        });
        assert_eq!(told.ended, reason);
        assert_eq!(told.counters.closed_by_service.get(), 1);
        assert_eq!(told.counters.rejected.count(kind), 1);
    }
}

#[test]
fn a_frame_that_is_not_admitted_is_not_collected() {
    let told = serve(Limits::default(), |mut stream| {
        stream.write_all(&framed(b"before it")).expect("sent");
        // Of 100 MiB that are announced, only the first bytes come.
        let begun = [&(100i32 << 20).to_be_bytes()[..], b"\xFF\xFFxx"].concat();
        stream.write_all(&begun).expect("sent");
        assert_eq!(receive(&mut stream), b"before it");
        expect_end(&mut stream);
    });
    assert_eq!(told.ended, "not admitted");
    assert_eq!(told.counters.rejected.count(Rejected::UnknownApi), 1);
}

#[test]
fn what_is_no_frame_ends_the_connection() {
    let told = serve(Limits::default(), |mut stream| {
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
        expect_end(&mut stream);
    });
    assert!(told.ended.contains("HTTP"), "{}", told.ended);
    assert_eq!(told.counters.closed_by_frame.get(), 1);
    assert_eq!(told.counters.rejected.count(Rejected::FrameTooLarge), 1);
}

#[test]
fn half_a_request_is_not_waited_for_for_ever() {
    let limits = Limits {
        request_time_max: Duration::from_millis(200),
        ..Limits::default()
    };
    let told = serve(limits, |mut stream| {
        stream
            .write_all(&framed(b"half a request")[..9])
            .expect("sent");
        expect_end(&mut stream);
    });
    assert_eq!(told.counters.closed_by_cut.get(), 1);
    assert_eq!(told.counters.rejected.count(Rejected::SlowRequest), 1);
}

#[test]
fn a_trickle_of_bytes_is_no_progress() {
    let limits = Limits {
        request_time_max: Duration::from_millis(200),
        ..Limits::default()
    };
    serve(limits, |mut stream| {
        stream
            .write_all(&(100i32 << 20).to_be_bytes())
            .expect("sent");
        stream
            .set_read_timeout(Some(Duration::from_millis(10)))
            .expect("set");
        // The pauses are the attack: one byte in each, until we are cut.
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < Duration::from_secs(20), "never cut");
            match stream.read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ => break,
            }
            if stream.write_all(&[0]).is_err() {
                break;
            }
        }
    });
}

#[test]
fn half_a_request_and_then_the_end() {
    let told = serve(Limits::default(), |mut stream| {
        stream
            .write_all(&framed(b"half a request")[..9])
            .expect("sent");
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("half closed");
        expect_end(&mut stream);
    });
    assert_eq!(told.ended, Ended::Closed.to_string());
}

/// Ends a connection with a reset instead of a FIN.
fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .expect("set");
}

#[test]
fn a_reset_ends_the_connection() {
    let told = serve(Limits::default(), |mut stream| {
        stream.write_all(&framed(b"a whole request")).expect("sent");
        assert_eq!(receive(&mut stream), b"a whole request");
        reset(stream);
    });
    assert_eq!(told.counters.closed_by_error.get(), 1, "{}", told.ended);
}

#[test]
fn a_peer_that_does_not_read_is_cut_and_holds_little() {
    let limits = Limits {
        send_time_max: Duration::from_millis(300),
        ..Limits::default()
    };
    let told = serve(limits, |mut stream| {
        let frame = framed(&[b'x'; 64 << 10]);
        // Far more than the sockets' buffers and the in-flight limits hold together: it ends with an error, not a wait.
        let sent = (0..4096).try_for_each(|_| stream.write_all(&frame));
        let error = sent.expect_err("nobody takes that much");
        assert_ne!(
            error.kind(),
            io::ErrorKind::WouldBlock,
            "the connection was cut"
        );
    });
    let counters = told.counters;
    assert_eq!(counters.closed_by_cut.get(), 1);
    assert_eq!(counters.rejected.count(Rejected::SlowReader), 1);
    let held = counters.bytes_in.get() - counters.bytes_out.get();
    println!(
        "a peer that does not read: {held} bytes held of {} read",
        counters.bytes_in.get()
    );
    // 64 requests in flight, one gathering of replies, one buffer to read into.
    assert!(
        held < 64 * (64 << 10) + (2 << 20),
        "{held} bytes are held for it"
    );
}

#[test]
fn an_idle_connection_is_closed() {
    let limits = Limits {
        idle_max: Some(Duration::from_millis(100)),
        ..Limits::default()
    };
    let told = serve(limits, |mut stream| {
        stream.write_all(&framed(b"something")).expect("sent");
        assert_eq!(receive(&mut stream), b"something");
        expect_end(&mut stream);
    });
    assert_eq!(told.counters.closed_by_cut.get(), 1);
    assert_eq!(told.counters.rejected.count(Rejected::Idle), 1);
}

#[test]
fn finishing_answers_what_is_in_flight_and_takes_nothing_more() {
    let told = serve(Limits::default(), |mut stream| {
        let frames = [
            "00000001>",
            "release <",
            "finish F",
            "too late",
            "too late too",
        ];
        let all: Vec<u8> = frames
            .iter()
            .flat_map(|frame| framed(frame.as_bytes()))
            .collect();
        stream.write_all(&all).expect("sent");
        for frame in &frames[..3] {
            assert_eq!(receive(&mut stream), frame.as_bytes());
        }
        expect_end(&mut stream);
    });
    assert_eq!(told.ended, Ended::Closed.to_string());
    assert_eq!(
        (told.counters.frames.get(), told.counters.closed.get()),
        (3, 1)
    );
}

#[test]
fn work_that_has_begun_is_not_broken_off_by_a_cut() {
    let told = serve(Limits::default(), |mut stream| {
        stream.write_all(&framed(b"long Work W")[..]).expect("sent");
        expect_end(&mut stream);
    });
    assert_eq!(told.told, ["done"]);
    assert_eq!(told.counters.bytes_out.get(), 0);
}

#[test]
fn a_muted_peer_is_answered_first_and_heard_again_when_the_pause_is_over() {
    // Neither idle nor slow: the pause is ours.
    let limits = Limits {
        idle_max: Some(MUTE / 3),
        ..Limits::default()
    };
    let told = serve(limits, |mut stream| {
        let begun = Instant::now();
        stream.write_all(&framed(b"the first M")).expect("sent");
        assert_eq!(receive(&mut stream), b"the first M");
        assert!(begun.elapsed() < MUTE, "the answer does not wait");
        stream.write_all(&framed(b"the second")).expect("sent");
        assert_eq!(receive(&mut stream), b"the second");
        assert!(begun.elapsed() >= MUTE, "what comes behind it does");
    });
    assert_eq!(told.counters.rejected.count(Rejected::Idle), 0);
}

#[test]
fn a_muted_connection_can_be_finished() {
    serve(Limits::default(), |mut stream| {
        let begun = Instant::now();
        stream
            .write_all(&[framed(b"mute it M"), framed(b"finish F")].concat())
            .expect("sent");
        assert_eq!(receive(&mut stream), b"mute it M");
        assert_eq!(receive(&mut stream), b"finish F");
        expect_end(&mut stream);
        assert!(begun.elapsed() < Duration::from_secs(10));
    });
}

#[test]
fn a_wait_is_not_idleness_and_is_answered_in_its_turn() {
    let limits = Limits {
        idle_max: Some(Duration::from_millis(100)),
        ..Limits::default()
    };
    let told = serve(limits, |mut stream| {
        stream.write_all(&framed(b"waits   H")).expect("sent");
        let patient = Some(Duration::from_millis(400));
        stream.set_read_timeout(patient).expect("set");
        let error = stream.read(&mut [0]).expect_err("nothing comes yet");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
        stream.set_read_timeout(None).expect("set");
        stream.write_all(&framed(b"release <")).expect("sent");
        assert_eq!(receive(&mut stream), b"waits   H");
        assert_eq!(receive(&mut stream), b"release <");
    });
    assert_eq!(told.counters.closed_by_cut.get(), 0);
}

#[test]
fn a_wait_ends_when_its_peer_is_gone() {
    let told = serve(Limits::default(), |mut stream| {
        stream.write_all(&framed(b"before it")).expect("sent");
        stream.write_all(&framed(b"waits   H")).expect("sent");
        assert_eq!(receive(&mut stream), b"before it");
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("half closed");
        expect_end(&mut stream);
    });
    assert_eq!(told.ended, Ended::Closed.to_string());
    assert_eq!(told.counters.frames.get(), 2);
}
