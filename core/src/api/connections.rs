//! All connections of a shard: takes them from the listeners, ends those that are overdue, and all of them at the end.
//!
//! Knows nothing of requests.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::net::TcpStream;
use rinka_net::connection::{Connection, Ended, Limits};
use rinka_net::listener::Acceptor;
use rinka_net::socket::Socket;
use rustc_hash::FxHashMap;

use super::Context;
use super::dispatch::Dispatch;
use crate::server::ShardListener;
use crate::shard::Shard;

/// How often connections are looked over for idle and stuck ones.
const SWEEP: Duration = Duration::from_secs(1);

/// How long requests in flight may take when the broker stops. What is left of `rinka.shutdown.ms` is the disk's.
const FINISH_WITHIN: Duration = Duration::from_millis(1000);

pub(crate) struct Connections {
    open: Rc<Open>,
    acceptors: Vec<Acceptor>,
}

#[derive(Default)]
struct Open {
    connections: RefCell<FxHashMap<u64, Rc<Connection>>>,
    next: Cell<u64>,
    stopping: Cell<bool>,
}

impl Connections {
    /// Starts to accept.
    pub(crate) fn start(shard: &Rc<Shard>, listeners: Vec<ShardListener>) -> io::Result<Self> {
        let config = &shard.node.config;
        let limits = Rc::new(Limits {
            frame_bytes_max: usize::try_from(config.socket_request_bytes_max).unwrap_or(usize::MAX),
            idle_max: config.connection_idle_ms_max.map(Duration::from_millis),
            ..Limits::default()
        });
        // Each shard takes its share of `max.connections`.
        let connections_max = (config.connections_max / shard.shards()).max(1);
        let open = Rc::new(Open::default());
        let mut acceptors = Vec::with_capacity(listeners.len());
        for ShardListener { listener, socket } in listeners {
            let (open, shard, limits) = (Rc::clone(&open), Rc::clone(shard), Rc::clone(&limits));
            let acceptor = rinka_net::listener::accept(socket, move |stream| {
                if open.stopping.get() || open.connections.borrow().len() >= connections_max {
                    log::debug!(
                        "a connection was refused: there are {connections_max} on this shard (max.connections)"
                    );
                    return;
                }
                open.take(&shard, listener, stream, &limits);
            })?;
            acceptors.push(acceptor);
        }
        let sweeper = Rc::clone(&open);
        glommio::spawn_local(async move {
            while !sweeper.stopping.get() {
                glommio::timer::sleep(SWEEP).await;
                sweeper.sweep(&limits);
            }
        })
        .detach();
        Ok(Self { open, acceptors })
    }

    /// Takes no more requests, lets those in flight finish, then ends what is left.
    pub(crate) async fn stop(self) {
        self.open.stopping.set(true);
        for acceptor in self.acceptors {
            acceptor.stop().await;
        }
        for connection in self.open.connections.borrow().values() {
            connection.finish();
        }
        let deadline = Instant::now() + FINISH_WITHIN;
        while !self.open.connections.borrow().is_empty() && Instant::now() < deadline {
            glommio::timer::sleep(Duration::from_millis(1)).await;
        }
        for connection in self.open.connections.borrow().values() {
            connection.cut();
        }
    }
}

impl Open {
    fn take(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        listener: usize,
        stream: TcpStream,
        limits: &Rc<Limits>,
    ) {
        let local = stream
            .local_addr()
            .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip());
        let peer = stream.peer_addr().map_or_else(
            |_| "an unknown peer".to_owned(),
            |address| address.to_string(),
        );
        let connection = Rc::new(Connection::new(Socket::new(stream)));
        let number = self.next.replace(self.next.get() + 1);
        self.connections
            .borrow_mut()
            .insert(number, Rc::clone(&connection));
        let context = Rc::new(Context {
            shard: Rc::clone(shard),
            listener,
            local,
        });
        let (open, limits) = (Rc::clone(self), Rc::clone(limits));
        glommio::spawn_local(async move {
            match connection.serve(Dispatch { context }, limits).await {
                Ended::Closed => {}
                Ended::Io(error) => log::debug!("{peer}: {error}"),
                // Once per connection, which it ends.
                ended => log::info!("{peer}: connection closed: {ended}"),
            }
            open.connections.borrow_mut().remove(&number);
        })
        .detach();
    }

    fn sweep(&self, limits: &Limits) {
        let now = Instant::now();
        for connection in self.connections.borrow().values() {
            if let Some(reason) = connection.overdue(limits, now) {
                log::debug!("a connection is closed: {reason}");
                connection.cut();
            }
        }
    }
}
