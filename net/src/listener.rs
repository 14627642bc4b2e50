//! Listening sockets: bound before the shards start, one for each shard on the same port, and the task that accepts.
//!
//! The kernel spreads connections over the shards. The accepting task only accepts (see ARCHITECTURE.md, defect C).

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use glommio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait to be accepted, at most.
const BACKLOG: i32 = 1024;

/// The pause after a failed accept: out of descriptors is not cured by trying at once.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Binds one listening socket; others may bind the same address (`SO_REUSEPORT`). Port 0 takes any free port.
///
/// # Errors
/// Those of the resolver and of the socket calls.
pub fn bind(address: &str) -> io::Result<(OwnedFd, SocketAddr)> {
    let address =
        address.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("the host name has no address"))?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // All interfaces means those with IPv4 addresses too.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    let bound = socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("no internet address"))?;
    Ok((socket.into(), bound))
}

/// Whether somebody else listens there already: with `SO_REUSEPORT` a second broker of the same user could share our port.
#[must_use]
pub fn is_taken(address: SocketAddr) -> bool {
    // A socket without SO_REUSEPORT cannot be bound beside one that listens.
    let probe = || -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())
    };
    address.port() != 0 && matches!(probe(), Err(error) if error.kind() == io::ErrorKind::AddrInUse)
}

/// Accepts on a socket of [`bind`] for as long as the shard lives, and hands each connection to `take`.
///
/// # Errors
/// Those of `listen`.
#[allow(unsafe_code, reason = "the executor takes a listening socket over in no other way")]
pub fn accept(socket: OwnedFd, mut take: impl FnMut(TcpStream) + 'static) -> io::Result<()> {
    let socket = Socket::from(socket);
    socket.listen(BACKLOG)?;
    let descriptor = socket.into_raw_fd();
    // SAFETY: the descriptor was just given up by its owner, and the listener is its only owner from here on.
    let listener = unsafe { TcpListener::from_raw_fd(descriptor) };
    glommio::spawn_local(async move {
        loop {
            match listener.accept().await {
                Ok(stream) => {
                    // A response must not wait for the next one to fill a segment.
                    if let Err(error) = stream.set_nodelay(true) {
                        log::debug!("no TCP_NODELAY on descriptor {}: {error}", stream.as_raw_fd());
                    }
                    take(stream);
                }
                Err(error) => {
                    log::warn!("a connection could not be accepted, trying again: {error}");
                    glommio::timer::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    })
    .detach();
    Ok(())
}
