//! Listening sockets: bound before the shards start, one for each shard on the same port, and the task that accepts.
//!
//! The kernel spreads connections over the shards.

use std::cell::Cell;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use rinka_reactor::{Direction, Readiness};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

/// Connections that wait to be accepted, at most.
const BACKLOG: i32 = 1024;

/// The pause after a failed accept: out of descriptors is not cured by trying at once.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Of accepts that fail in a row one in so many is logged: one line in ten seconds.
const ACCEPT_FAILURES_LOGGED: u32 = 100;

/// A peer that vanished without a word is noticed after 60 + 6 x 10 seconds. `connections.max.idle.ms` alone would hold
/// its connection ten minutes, and for ever where it is -1.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 6;

/// Binds one listening socket; others may bind the same address (`SO_REUSEPORT`) until the first of them listens. Port 0
/// takes any free port.
///
/// # Errors
/// Those of the resolver and of the socket calls; `AddrInUse` also when another process of ours listens there already.
pub fn bind(address: &str) -> io::Result<(OwnedFd, SocketAddr)> {
    let address = address
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::other("the host name has no address"))?;
    let socket = stream_socket(address)?;
    if address.port() != 0 {
        // With SO_REUSEPORT alone, a second broker of the same user would share our port and take half of our clients.
        // A socket without it cannot be bound beside one that listens.
        stream_socket(address)?.bind(&address.into())?;
    }
    socket.set_reuse_port(true)?;
    // Accepted sockets inherit these two. A response must not wait for the next one to fill a segment.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(KEEPALIVE_AFTER)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_RETRIES),
    )?;
    socket.bind(&address.into())?;
    let bound = socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("no internet address"))?;
    Ok((socket.into(), bound))
}

fn stream_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // All interfaces means those with IPv4 addresses too.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    Ok(socket)
}

/// A socket that is accepted on. Dropped, it goes on for as long as the shard lives.
pub struct Acceptor {
    socket: Rc<Socket>,
    stopping: Rc<Cell<bool>>,
    ended: Pin<Box<dyn Future<Output = ()>>>,
}

impl Acceptor {
    /// Accepts no more: who connects from now on is refused, and the port is free when this returns.
    pub async fn stop(self) {
        self.stopping.set(true);
        // Wakes the accepting task, which alone must not keep the port.
        if let Err(error) = self.socket.shutdown(Shutdown::Both) {
            log::warn!("a listening socket stays open until the process ends: {error}");
            return;
        }
        self.ended.await;
    }
}

/// Accepts on a socket of [`bind`], and hands each connection to `take`.
///
/// # Errors
/// Those of `listen`.
pub fn accept(socket: OwnedFd, mut take: impl FnMut(TcpStream) + 'static) -> io::Result<Acceptor> {
    let socket = Rc::new(Socket::from(socket));
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = Rc::clone(&socket);
    let stopping = Rc::new(Cell::new(false));
    let stopped = Rc::clone(&stopping);
    let task = rinka_reactor::spawn(async move {
        let mut readiness = Readiness::new(listener.as_raw_fd(), Direction::Read);
        let mut failures = 0;
        while !stopped.get() {
            match accept_now(&listener) {
                Ok(stream) => {
                    failures = 0;
                    take(stream);
                    // A storm of connections is always ready with the next one.
                    rinka_reactor::yield_if_needed().await;
                    continue;
                }
                Err(_) if stopped.get() => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if readiness.ready().await.is_ok() {
                        continue;
                    }
                }
                Err(error) => {
                    if failures % ACCEPT_FAILURES_LOGGED == 0 {
                        log::warn!("a connection could not be accepted, trying again: {error}");
                    }
                    failures += 1;
                }
            }
            rinka_reactor::sleep(ACCEPT_RETRY).await;
        }
    })
    .detach();
    let ended = Box::pin(async move {
        task.await;
    });
    Ok(Acceptor {
        socket,
        stopping,
        ended,
    })
}

fn accept_now(listener: &Socket) -> io::Result<TcpStream> {
    let (socket, _) = listener.accept()?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream as Client;

    use super::*;
    use crate::connection::tests::{Bell, executor};

    #[test]
    fn connections_inherit_what_was_set_and_stopping_frees_the_port() {
        let (socket, address) = bind("127.0.0.1:0").expect("a free port");
        let (told, tells) = std::sync::mpsc::channel();
        let server = executor(move || async move {
            let bell = Rc::new(Bell::default());
            let third = Rc::clone(&bell);
            let mut accepted = 0;
            let acceptor = accept(socket, move |stream| {
                accepted += 1;
                let nodelay = stream.nodelay().expect("an option");
                told.send(Some(nodelay)).expect("the test listens");
                if accepted == 3 {
                    third.ring();
                }
            })
            .expect("listening");
            bell.rung().await;
            acceptor.stop().await;
        });
        for _ in 0..3 {
            // The socket is bound, but perhaps nobody listens yet.
            let _client = std::iter::repeat_with(|| Client::connect(address)).find_map(Result::ok);
            assert_eq!(
                tells.recv().expect("accepted"),
                Some(true),
                "TCP_NODELAY is inherited"
            );
        }
        server.join().expect("it stopped");
        let refused = Client::connect(address).expect_err("nobody listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        bind(&address.to_string()).expect("the port is free");
    }

    #[test]
    fn shards_share_a_port_but_brokers_do_not() {
        let (first, address) = bind("127.0.0.1:0").expect("a free port");
        let (_second, same) =
            bind(&address.to_string()).expect("not listening yet: another shard of ours");
        assert_eq!(address, same);
        let first = Socket::from(first);
        first.listen(1).expect("listening");
        let taken = bind(&address.to_string()).expect_err("somebody listens");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }
}
