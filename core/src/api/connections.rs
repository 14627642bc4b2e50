//! All connections of a shard: takes them from the listeners, ends those that are overdue, and all of them at the end.
//!
//! Knows nothing of requests.

use std::cell::{Cell, RefCell};
use std::collections::hash_map::Entry;
use std::io;
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rinka_net::budget::Budget;
use rinka_net::connection::{Connection, Ended, Limits};
use rinka_net::listener::Acceptor;
use rinka_net::rejected::Rejected;
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

struct Open {
    connections: RefCell<FxHashMap<u64, Rc<Connection>>>,
    /// How many of them come from each address.
    by_address: RefCell<FxHashMap<IpAddr, usize>>,
    budget: Rc<Budget>,
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
            request_time_max: Duration::from_millis(config.request_time_ms_max),
            send_time_max: Duration::from_millis(config.send_time_ms_max),
            ..Limits::default()
        });
        let open = Rc::new(Open {
            connections: RefCell::default(),
            by_address: RefCell::default(),
            budget: Budget::new(config.request_memory_bytes),
            next: Cell::default(),
            stopping: Cell::default(),
        });
        let mut acceptors = Vec::with_capacity(listeners.len());
        for ShardListener { listener, socket } in listeners {
            let (open, shard, limits) = (Rc::clone(&open), Rc::clone(shard), Rc::clone(&limits));
            let acceptor = rinka_net::listener::accept(socket, move |stream| {
                if open.stopping.get() {
                    return;
                }
                open.take(&shard, listener, stream, &limits);
            })?;
            acceptors.push(acceptor);
        }
        let sweeper = Rc::clone(&open);
        rinka_reactor::spawn(async move {
            while !sweeper.stopping.get() {
                rinka_reactor::sleep(SWEEP).await;
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
            rinka_reactor::sleep(Duration::from_millis(1)).await;
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
        let Ok(peer) = stream.peer_addr() else {
            // It is gone already.
            return;
        };
        let address = peer.ip().to_canonical();
        let counters = Rc::clone(&shard.connection_counters);
        if let Some(key) = self.is_full(shard, address) {
            log::debug!("{peer}: no more connections are taken on this shard ({key})");
            counters.rejected.add(Rejected::TooManyConnections);
            return;
        }
        let local = stream
            .local_addr()
            .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip());
        let (socket, budget) = (Socket::new(stream), Rc::clone(&self.budget));
        let connection = Rc::new(Connection::new(socket, counters, budget));
        let number = self.next.replace(self.next.get() + 1);
        self.connections
            .borrow_mut()
            .insert(number, Rc::clone(&connection));
        *self.by_address.borrow_mut().entry(address).or_default() += 1;
        let context = Rc::new(Context {
            shard: Rc::clone(shard),
            listener,
            local,
            peer: address,
        });
        let (open, limits) = (Rc::clone(self), Rc::clone(limits));
        rinka_reactor::spawn(async move {
            match connection.serve(Dispatch { context }, limits).await {
                Ended::Closed => {}
                Ended::Io(error) => log::debug!("{peer}: {error}"),
                // Once per connection, which it ends.
                ended => log::info!("{peer}: connection closed: {ended}"),
            }
            open.leave(number, address);
        })
        .detach();
    }

    /// The key whose limit is reached.
    fn is_full(&self, shard: &Shard, address: IpAddr) -> Option<&'static str> {
        // Each shard takes its share: the kernel spreads connections evenly, and shards do not count together.
        let share = |connections: usize| connections.div_ceil(shard.shards()).max(1);
        let config = shard.config();
        if self.connections.borrow().len() >= share(config.connections_max) {
            return Some("max.connections");
        }
        let of_address = self.by_address.borrow().get(&address).copied();
        let full = of_address.unwrap_or(0) >= share(config.connections_per_ip_max);
        full.then_some("max.connections.per.ip")
    }

    fn leave(&self, number: u64, address: IpAddr) {
        self.connections.borrow_mut().remove(&number);
        if let Entry::Occupied(mut count) = self.by_address.borrow_mut().entry(address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    fn sweep(&self, limits: &Limits) {
        let now = Instant::now();
        for connection in self.connections.borrow().values() {
            if let Some(kind) = connection.overdue(limits, now) {
                log::debug!("a connection is closed: {}", kind.name());
                connection.cut_for(kind);
            }
        }
    }
}
