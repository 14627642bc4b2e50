use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use glommio::{LocalExecutorBuilder, Placement};

use super::*;

/// Answers each frame with itself; even ones late, so that replies complete out of order.
struct Echo;

fn framed(content: &[u8]) -> Bytes {
    Bytes::from([&(content.len() as u32).to_be_bytes()[..], content].concat())
}

impl Service for Echo {
    async fn call(&self, frame: Bytes) -> Outcome {
        match frame.last() {
            Some(b'!') => Outcome::Close("an exclamation mark".to_owned()),
            Some(b'.') => Outcome::Silent,
            Some(byte) => {
                let late = byte % 2 == 0;
                Outcome::Reply(Box::pin(async move {
                    if late {
                        futures_lite::future::yield_now().await;
                    }
                    Reply::Send(vec![framed(&frame)])
                }))
            }
            None => unreachable!("a frame has eight bytes at least"),
        }
    }
}

/// Serves one connection on an executor of its own; `client` runs on this thread. Returns why the connection ended.
fn serve(limits: Limits, client: impl FnOnce(TcpStream)) -> String {
    let (socket, address) = crate::listener::bind("127.0.0.1:0").expect("a free port");
    let (listens, listening) = std::sync::mpsc::channel();
    let server = LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(64 << 10)
        .preempt_timer(Duration::from_millis(1))
        .spawn(move || async move {
            glommio::spawn_local(async {
                loop {
                    glommio::timer::sleep(Duration::from_millis(4)).await;
                }
            })
            .detach();
            let (ended, ending) = slots();
            crate::listener::accept(socket, move |stream| {
                let limits = Rc::new(limits.clone());
                let ended = Rc::clone(&ended);
                glommio::spawn_local(async move {
                    let connection = Rc::new(Connection::new(Socket::new(stream)));
                    let (watched, bounds) = (Rc::clone(&connection), Rc::clone(&limits));
                    let watch = glommio::spawn_local(async move {
                        loop {
                            glommio::timer::sleep(Duration::from_millis(20)).await;
                            if watched.overdue(&bounds, Instant::now()).is_some() {
                                watched.cut();
                            }
                        }
                    });
                    let reason = connection.serve(Echo, limits).await;
                    watch.cancel().await;
                    *ended.borrow_mut() = Some(reason.to_string());
                })
                .detach();
            })
            .expect("listening");
            listens.send(()).expect("somebody waits");
            loop {
                if let Some(reason) = ending.borrow_mut().take() {
                    return reason;
                }
                glommio::timer::sleep(Duration::from_millis(2)).await;
            }
        })
        .expect("an executor");
    listening.recv().expect("it listens");
    let stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    client(stream);
    server.join().expect("the server ran")
}

type Slot = Rc<RefCell<Option<String>>>;

fn slots() -> (Slot, Slot) {
    let slot = Slot::default();
    (Rc::clone(&slot), slot)
}

fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("a length");
    let mut content = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut content).expect("the content");
    content
}

#[test]
fn ten_thousand_pipelined_frames_come_back_in_order() {
    let ended = serve(Limits::default(), |mut stream| {
        let mut sender = stream.try_clone().expect("cloned");
        let writer = std::thread::spawn(move || {
            for number in 0..10_000u64 {
                sender.write_all(&framed(&[&number.to_be_bytes()[..], &[number as u8 | 0x80]].concat())).expect("sent");
            }
            sender.shutdown(std::net::Shutdown::Write).expect("half closed");
        });
        for number in 0..10_000u64 {
            let frame = receive(&mut stream);
            assert_eq!(frame[..8], number.to_be_bytes());
        }
        writer.join().expect("sent");
        assert_eq!(stream.read(&mut [0]).expect("the end"), 0, "a half closed connection is answered, then closed");
    });
    assert_eq!(ended, Ended::Closed.to_string());
}

#[test]
fn frames_in_single_bytes_and_silent_ones() {
    serve(Limits::default(), |mut stream| {
        for byte in framed(b"quiet one.").iter().chain(framed(b"a loud one").iter()) {
            stream.write_all(&[*byte]).expect("sent");
        }
        assert_eq!(receive(&mut stream), b"a loud one");
    });
}

#[test]
fn a_refused_frame_ends_the_connection_after_the_replies_before() {
    let ended = serve(Limits::default(), |mut stream| {
        stream.write_all(&[framed(b"before it"), framed(b"refused!!")].concat()).expect("sent");
        assert_eq!(receive(&mut stream), b"before it");
        assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
    });
    assert_eq!(ended, "an exclamation mark");
}

#[test]
fn half_a_request_is_not_waited_for_for_ever() {
    let limits = Limits { stall_max: Duration::from_millis(100), ..Limits::default() };
    serve(limits, |mut stream| {
        stream.write_all(&framed(b"half a request")[..9]).expect("sent");
        assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
    });
}

#[test]
fn a_peer_that_does_not_read_is_cut() {
    let limits = Limits { stall_max: Duration::from_millis(200), ..Limits::default() };
    serve(limits, |mut stream| {
        let frame = framed(&[b'x'; 64 << 10]);
        stream.set_write_timeout(Some(Duration::from_secs(20))).expect("set");
        // Far more than the sockets' buffers and the in-flight limits hold together: it ends with an error, not a wait.
        let sent = (0..4096).try_for_each(|_| stream.write_all(&frame));
        let error = sent.expect_err("nobody takes that much");
        assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "the connection was cut");
    });
}

#[test]
fn an_idle_connection_is_closed() {
    let limits = Limits { idle_max: Some(Duration::from_millis(100)), ..Limits::default() };
    serve(limits, |mut stream| {
        stream.write_all(&framed(b"something")).expect("sent");
        assert_eq!(receive(&mut stream), b"something");
        assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
    });
}
