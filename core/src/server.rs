//! The process: checks the machine, recovers the data directory, starts the shards, waits for the end.
//!
//! Runs once. Never touches a request.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rinka_reactor::executor::{self, Settings};
use rinka_storage::data_dir::{DataDirectory, DataDirectoryError};
use rinka_storage::log::LogCheckpoint;
use rinka_storage::recovery::Replayed;
use rinka_storage::topic_partition::TopicId;

use crate::admin::{self, Admin};
use crate::config::broker::{BrokerConfig, Routing};
use crate::machine::{self, MachineError};
use crate::metadata::image::MetadataImage;
use crate::metrics::ProcessReport;
use crate::node::{Advertised, Endpoint, Node, topic_config};
use crate::shard::mailbox::{Inbox, Mailbox, mailbox};
use crate::shard::run::{self, ShardSetup};
use crate::shard::shard_map::ShardMap;

/// How long a shard may take to come up.
const START_WITHIN: Duration = Duration::from_secs(60);

/// With this many descriptors nobody need be told that they are counted.
const DESCRIPTORS_ENOUGH: u64 = 4096;

const BIND_WITHIN: Duration = Duration::from_secs(3);
const BIND_RETRY: Duration = Duration::from_millis(10);

/// Why the broker does not run (any more).
#[derive(Debug)]
pub enum ServeError {
    Machine(MachineError),
    Data(DataDirectoryError),
    Recovery(String),
    Bind { address: String, error: io::Error },
    Shard(String),
    Signals(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(error) => error.fmt(formatter),
            Self::Data(error) => error.fmt(formatter),
            Self::Recovery(error) => write!(
                formatter,
                "the data directory could not be recovered: {error}"
            ),
            Self::Bind { address, error } if error.kind() == io::ErrorKind::AddrInUse => write!(
                formatter,
                "{address} is in use by another program; stop it, or choose another address with --set listeners=PLAINTEXT://HOST:PORT"
            ),
            Self::Bind { address, error } => {
                write!(formatter, "cannot listen on {address}: {error}")
            }
            Self::Shard(error) => formatter.write_str(error),
            Self::Signals(error) => write!(formatter, "cannot wait for signals: {error}"),
        }
    }
}

/// One listener of one shard: which of the configured ones it is, and its socket.
#[derive(Debug)]
pub(crate) struct ShardListener {
    pub(crate) listener: usize,
    pub(crate) socket: OwnedFd,
}

/// Runs the broker until a signal or a failure ends it.
///
/// # Errors
/// [`ServeError`], each with what to do about it.
pub fn serve(mut config: BrokerConfig) -> Result<(), ServeError> {
    let started = Instant::now();
    for warning in startup_warnings(&config) {
        log::warn!("{warning}");
    }
    machine::check().map_err(ServeError::Machine)?;
    let cpus = machine::usable_cpus();
    let shards = config.shards.unwrap_or(cpus.len()).max(1);
    let descriptors = machine::raise_descriptor_limit();
    let room = machine::room_within(descriptors, shards).map_err(ServeError::Machine)?;
    if room.connections < config.connections_max && descriptors < DESCRIPTORS_ENOUGH {
        log::warn!(
            "the limit of open files ({descriptors}) leaves room for {} connections; more are refused",
            room.connections
        );
    }
    config.set_connections_room(room.connections);
    let new_cluster_id = TopicId(uuid::Uuid::new_v4()).to_string();
    let directory = DataDirectory::open(&config.data_dir, config.node_id, &new_cluster_id)
        .map_err(ServeError::Data)?;
    let sockets = bind(&config, shards)?;
    let admin = bind_admin(&config)?;
    let node = Arc::new(Node {
        id: config.node_id,
        cluster_id: directory.cluster_id().to_owned(),
        shards,
        unsynced_files_max: room.unsynced_files,
        advertised: sockets.advertised,
        config,
    });
    // Signals are caught from here on: one during recovery ends it cleanly too, after recovery.
    let mut signals = signal_hook::iterator::Signals::new([
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGINT,
    ])
    .map_err(ServeError::Signals)?;

    let recovered = recover(&node, &directory)?;
    let data_directory = directory.path().to_owned();
    let running = start_shards(
        &node,
        &directory,
        &cpus,
        sockets.listeners,
        recovered.image,
        recovered.logs,
        recovered.generation,
    )?;
    let admin_address = match admin {
        None => None,
        Some((listener, address)) => {
            let summary = &recovered.summary;
            let admin = Admin {
                mailboxes: running.mailboxes.clone().into(),
                started,
                process: ProcessReport {
                    version: env!("CARGO_PKG_VERSION"),
                    recovery: summary.took,
                    recovered_partitions: summary.partitions as u64,
                    replayed_blocks: summary.replayed.blocks,
                    damaged_journals: summary.replayed.damaged_journals,
                    replayed_bytes: summary.replayed.bytes,
                    ..ProcessReport::default()
                },
            };
            admin::serve(listener, admin).map_err(|error| {
                ServeError::Shard(format!("the admin port could not be served: {error}"))
            })?;
            Some(address)
        }
    };
    announce(
        &node,
        &sockets.bound,
        admin_address,
        &data_directory,
        &recovered.summary,
        started.elapsed(),
    );

    // Whichever comes first: a signal, or the end of a shard.
    let (ended, ending) = flume::bounded(shards + 1);
    let signalled = ended.clone();
    std::thread::Builder::new()
        .name("rinka-signals".to_owned())
        .spawn(move || {
            for _ in signals.forever() {
                let _ = signalled.send(End::Signal);
            }
        })
        .map_err(ServeError::Signals)?;
    for (number, thread) in running.threads.into_iter().enumerate() {
        let ended = ended.clone();
        std::thread::spawn(move || {
            let result = match thread.join() {
                Ok(Ok(result)) => result,
                Ok(Err(error)) => Err(format!("it has no executor: {error}")),
                Err(_) => Err("it panicked".to_owned()),
            };
            let _ = ended.send(End::Shard(number, result));
        });
    }
    let first = ending.recv().expect("the senders outlive the wait");
    if let End::Shard(number, result) = first {
        // A broker with a dead shard must not go on answering for the others.
        let reason = result
            .err()
            .unwrap_or_else(|| "it stopped by itself".to_owned());
        return Err(ServeError::Shard(format!(
            "shard {number} is dead, so the broker ends: {reason}"
        )));
    }
    log::info!("stopping: no new connections, finishing what is in flight");
    let deadline = Instant::now() + Duration::from_millis(node.config.shutdown_ms);
    for mailbox in &running.mailboxes {
        run::stop(mailbox);
    }
    let mut left = shards;
    while left > 0 {
        match ending.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(End::Shard(number, Err(error))) => {
                return Err(ServeError::Shard(format!(
                    "shard {number} did not stop cleanly: {error}"
                )));
            }
            Ok(End::Shard(_, Ok(()))) => left -= 1,
            Ok(End::Signal) => {
                return Err(ServeError::Shard(
                    "a second signal: not waiting any longer".to_owned(),
                ));
            }
            Err(_) => {
                return Err(ServeError::Shard(format!(
                    "{left} shards were still busy after {} ms (rinka.shutdown.ms); the next start replays their journals",
                    node.config.shutdown_ms
                )));
            }
        }
    }
    log::info!("stopped; the next start has nothing to replay");
    drop(directory);
    Ok(())
}

enum End {
    Signal,
    Shard(usize, Result<(), String>),
}

fn startup_warnings(config: &BrokerConfig) -> Vec<String> {
    let mut warnings = config.warnings.clone();
    if !config.unknown.is_empty() {
        warnings.push(format!(
            "unknown configuration keys, ignored: {}",
            config.unknown.join(", ")
        ));
    }
    if !config.without_effect.is_empty() {
        let keys: Vec<_> = config
            .without_effect
            .iter()
            .map(|(key, why)| format!("{key} ({why})"))
            .collect();
        warnings.push(format!(
            "configuration keys without effect here: {}",
            keys.join(", ")
        ));
    }
    warnings
}

struct Sockets {
    /// One list a shard.
    listeners: Vec<Vec<ShardListener>>,
    advertised: Vec<Advertised>,
    /// What to print.
    bound: Vec<String>,
}

fn bind(config: &BrokerConfig, shards: usize) -> Result<Sockets, ServeError> {
    let mut sockets = Sockets {
        listeners: (0..shards).map(|_| Vec::new()).collect(),
        advertised: Vec::new(),
        bound: Vec::new(),
    };
    for (number, listener) in config.listeners.iter().enumerate() {
        let host = listener.host.as_deref().unwrap_or("[::]");
        let bind_one = |port: u16| {
            let address = format!("{}:{port}", host);
            bind_patiently(&address).map_err(|error| ServeError::Bind { address, error })
        };
        let mut port = listener.port;
        for shard in 0..shards {
            let (socket, bound) = bind_one(port)?;
            port = bound.port();
            sockets.listeners[shard].push(ShardListener {
                listener: number,
                socket,
            });
        }
        sockets.bound.push(format!("{host}:{port}"));
        let advertised_host = listener.advertised_host.clone();
        let mut of_shards = Vec::new();
        if config.routing == Routing::Core {
            for shard in 0..shards {
                // A port of 0 is for tests: every one is then whatever is free.
                let wanted = match listener.port {
                    0 => 0,
                    _ => {
                        config.core_port_base
                            + u16::try_from(number * shards + shard).unwrap_or(u16::MAX)
                    }
                };
                let (socket, bound) = bind_one(wanted)?;
                sockets.listeners[shard].push(ShardListener {
                    listener: number,
                    socket,
                });
                of_shards.push(Endpoint {
                    host: advertised_host.clone(),
                    port: bound.port(),
                });
            }
        }
        let advertised_port = listener.advertised_port.unwrap_or(port);
        sockets.advertised.push(Advertised {
            node: Endpoint {
                host: advertised_host,
                port: advertised_port,
            },
            shards: of_shards,
        });
    }
    Ok(sockets)
}

/// The admin port: only one that somebody asked for must be had.
fn bind_admin(
    config: &BrokerConfig,
) -> Result<Option<(std::net::TcpListener, SocketAddr)>, ServeError> {
    let Some(address) = &config.admin_listener else {
        return Ok(None);
    };
    match admin::bind(address) {
        Ok(bound) => Ok(Some(bound)),
        Err(error) if config.explicit("rinka.admin.listener").is_none() => {
            log::warn!(
                "no metrics: cannot listen on {address}: {error}; choose another with rinka.admin.listener"
            );
            Ok(None)
        }
        Err(error) => Err(ServeError::Bind {
            address: address.clone(),
            error,
        }),
    }
}

/// The kernel closes the sockets of a killed process on its own time: a port that is in use gets a moment to become free.
fn bind_patiently(address: &str) -> io::Result<(OwnedFd, SocketAddr)> {
    let deadline = Instant::now() + BIND_WITHIN;
    loop {
        match rinka_net::listener::bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                std::thread::sleep(BIND_RETRY);
            }
            other => return other,
        }
    }
}

struct RecoveredNode {
    image: Arc<MetadataImage>,
    logs: Vec<LogCheckpoint>,
    generation: u64,
    summary: Summary,
}

struct Summary {
    partitions: usize,
    replayed: Replayed,
    took: Duration,
}

/// Recovery runs on an executor of its own, before any shard: whichever shards wrote the journals, they are read here.
fn recover(node: &Arc<Node>, directory: &DataDirectory) -> Result<RecoveredNode, ServeError> {
    let started = Instant::now();
    let (node, root) = (Arc::clone(node), directory.path().to_owned());
    let lock = clone_lock(directory)?;
    let thread = executor::spawn(&Settings::new("rinka-recovery"), move || async move {
        run::recover(&node, &root, &lock).await
    });
    let thread = thread.map_err(|error| ServeError::Recovery(error.to_string()))?;
    let recovered = thread
        .join()
        .map_err(|_| ServeError::Recovery("recovery ended by a panic".to_owned()))?
        .map_err(|error| ServeError::Recovery(error.to_string()))?;
    let (image, recovered, replayed) = recovered.map_err(ServeError::Recovery)?;
    Ok(RecoveredNode {
        summary: Summary {
            partitions: recovered.logs.len(),
            replayed,
            took: started.elapsed(),
        },
        image: Arc::new(image),
        logs: recovered.logs,
        generation: recovered.generation,
    })
}

struct Running {
    threads: Vec<std::thread::JoinHandle<io::Result<Result<(), String>>>>,
    mailboxes: Vec<Mailbox>,
}

fn clone_lock(directory: &DataDirectory) -> Result<File, ServeError> {
    let cloned = directory.lock().try_clone();
    cloned.map_err(|error| {
        ServeError::Shard(format!(
            "the data directory's lock cannot be shared: {error}"
        ))
    })
}

fn start_shards(
    node: &Arc<Node>,
    directory: &DataDirectory,
    cpus: &[usize],
    listeners: Vec<Vec<ShardListener>>,
    image: Arc<MetadataImage>,
    logs: Vec<LogCheckpoint>,
    generation: u64,
) -> Result<Running, ServeError> {
    let map = ShardMap::new(node.shards);
    let of_shards = map.by_owner(logs, |log| log.topic_partition);
    let (mailboxes, inboxes): (Vec<Mailbox>, Vec<Inbox>) =
        (0..node.shards).map(|_| mailbox()).unzip();
    let (ready, readiness) = flume::bounded(node.shards);
    let spin = Duration::from_micros(node.config.spin_us);
    let mut threads = Vec::with_capacity(node.shards);
    for (number, ((inbox, listeners), logs)) in inboxes
        .into_iter()
        .zip(listeners)
        .zip(of_shards)
        .enumerate()
    {
        let setup = ShardSetup {
            number,
            node: Arc::clone(node),
            image: Arc::clone(&image),
            logs,
            generation,
            listeners,
            mailboxes: mailboxes.clone(),
            inbox,
            ready: ready.clone(),
            lock: clone_lock(directory)?,
        };
        let settings = Settings {
            name: format!("rinka-shard-{number}"),
            cpu: Some(cpus[number % cpus.len()]),
            spin,
        };
        let thread = executor::spawn(&settings, move || run::run(setup));
        let thread = thread.map_err(|error| {
            ServeError::Shard(format!("shard {number} could not be started: {error}"))
        })?;
        threads.push(thread);
    }
    for _ in 0..node.shards {
        match readiness.recv_timeout(START_WITHIN) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(ServeError::Shard(error)),
            Err(_) => return Err(ServeError::Shard("a shard did not come up".to_owned())),
        }
    }
    Ok(Running { threads, mailboxes })
}

/// What a person who just started it wants to know, and what a program may wait for.
fn announce(
    node: &Node,
    bound: &[String],
    admin: Option<SocketAddr>,
    data: &Path,
    summary: &Summary,
    took: Duration,
) {
    let shards = match node.shards {
        1 => "1 shard".to_owned(),
        shards => format!("{shards} shards"),
    };
    let mut out = io::stdout().lock();
    // Whoever reads standard output may be gone; the broker runs all the same.
    let _ = writeln!(
        out,
        "rinka {} (node {}, cluster {})",
        env!("CARGO_PKG_VERSION"),
        node.id,
        node.cluster_id
    );
    for address in bound {
        let _ = writeln!(out, "  listening on {address}");
    }
    if let Some(address) = admin {
        let _ = writeln!(out, "  metrics and health on http://{address}/metrics");
    }
    if node.config.routing == Routing::Core {
        for advertised in &node.advertised {
            let ports: Vec<String> = advertised
                .shards
                .iter()
                .map(|endpoint| endpoint.port.to_string())
                .collect();
            let _ = writeln!(
                out,
                "  core routing: shards listen on ports {}",
                ports.join(", ")
            );
        }
    }
    let data = data.canonicalize().unwrap_or_else(|_| data.to_owned());
    let _ = writeln!(out, "  data in {}", data.display());
    let _ = writeln!(
        out,
        "  recovered {} partitions, replayed {} journal blocks in {} ms",
        summary.partitions,
        summary.replayed.blocks,
        summary.took.as_millis()
    );
    let ack = match topic_config(&Default::default(), &node.config).ack {
        crate::config::topic::Ack::Flushed => "flushed to the disk: survives power loss",
        crate::config::topic::Ack::Written => {
            "handed to the disk without a flush: survives kill -9, not power loss"
        }
    };
    let _ = writeln!(out, "  {shards}, an ack means: {ack}");
    let first = bound.first().map_or("127.0.0.1:9092", String::as_str);
    // "All interfaces" is nothing a client can be pointed at.
    let first = first
        .replace("[::]", "127.0.0.1")
        .replace("0.0.0.0", "127.0.0.1");
    let _ = writeln!(
        out,
        "  ready in {} ms; try: echo hello | rinka produce greetings --bootstrap {first}; rinka consume greetings --bootstrap {first}",
        took.as_millis()
    );
    let _ = out.flush();
}
