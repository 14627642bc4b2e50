//! A small blocking client for any broker of the Kafka protocol: finds brokers, leaders and coordinators, and asks again within a
//! deadline where the answer was "not now".
//!
//! Knows no command; one thread, one request at a time on each connection unless a caller sends ahead.

mod address;
mod connection;
mod coordinator;
mod deadline;
mod log_dirs;
mod metadata;
mod offsets;

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use rinka_net::wire::{ApiKey, ErrorCode, Field};

pub(crate) use address::Address;
pub(crate) use connection::{Feature, FinalizedFeature, Pending};
pub(crate) use deadline::{Deadline, parse_seconds};
pub(crate) use metadata::{Metadata, PartitionMetadata, TopicMetadata, TopicPartition, no_topic};
pub(crate) use offsets::{Mark, Patience};

use super::failure::{Failure, Result, failed};
use connection::Connection;

/// Between two tries: the first time, and at most.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_millis(500);

/// Which cluster, and how patiently.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConnectArguments {
    /// Brokers to begin with, of any one of which the others are learnt
    #[arg(
        long,
        short,
        env = "RINKA_BOOTSTRAP",
        value_name = "HOST:PORT[,...]",
        default_value = "127.0.0.1:9092",
        value_delimiter = ',',
        value_parser = Address::parse
    )]
    bootstrap: Vec<Address>,
    /// Seconds to wait for an answer, other tries included
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = parse_seconds)]
    timeout: Duration,
}

impl ConnectArguments {
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }
}

pub(crate) struct Client {
    bootstrap: Vec<Address>,
    timeout: Duration,
    /// The brokers of the last metadata, for when none of `bootstrap` is there any more.
    learned: Vec<Address>,
    connections: BTreeMap<Address, Connection>,
    /// Of the groups that this process deals with.
    coordinators: BTreeMap<String, Address>,
}

/// How one try of something ended that may have to be tried again.
pub(crate) enum Attempt<T> {
    Done(T),
    /// Not now; why.
    Again(String),
}

impl Client {
    /// Connects to the first broker of `--bootstrap` that answers. Never waits for one to come up.
    pub(crate) fn connect(arguments: &ConnectArguments) -> Result<Self> {
        let mut client = Self {
            bootstrap: arguments.bootstrap.clone(),
            timeout: arguments.timeout,
            learned: Vec::new(),
            connections: BTreeMap::new(),
            coordinators: BTreeMap::new(),
        };
        client.any(client.deadline())?;
        Ok(client)
    }

    /// For an operation that begins now.
    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout)
    }

    /// A broker that is connected or can be.
    pub(crate) fn any(&mut self, deadline: Deadline) -> Result<Address> {
        let known: Vec<Address> = self
            .bootstrap
            .iter()
            .chain(&self.learned)
            .cloned()
            .collect();
        let connected = |address: &&Address| self.connections.contains_key(*address);
        if let Some(address) = known.iter().find(connected) {
            return Ok(address.clone());
        }
        let mut reasons: Vec<String> = Vec::new();
        for address in known {
            match self.connection(&address, deadline) {
                Ok(_) => return Ok(address),
                Err(Failure::Connection(reason)) if reasons.contains(&reason) => {}
                Err(Failure::Connection(reason)) => reasons.push(reason),
                Err(other) => return Err(other),
            }
        }
        Err(Failure::Connection(reasons.join("; ")))
    }

    fn connection(&mut self, address: &Address, deadline: Deadline) -> Result<&mut Connection> {
        if !self.connections.contains_key(address) {
            let named_by_user = self.bootstrap.contains(address);
            let connection = match Connection::open(address, deadline) {
                Ok(connection) => connection,
                Err(Failure::Connection(reason)) if !named_by_user => {
                    return Err(Failure::Connection(format!(
                        "{reason} (a broker gives this address as its own: see its advertised.listeners)"
                    )));
                }
                Err(failure) => return Err(failure),
            };
            self.connections.insert(address.clone(), connection);
        }
        Ok(self
            .connections
            .get_mut(address)
            .expect("put there if it was not"))
    }

    /// Asks one broker, at the highest version that both know.
    pub(crate) fn call<R: Field>(
        &mut self,
        address: &Address,
        api: ApiKey,
        request: &impl Field,
        deadline: Deadline,
    ) -> Result<R> {
        self.call_at_most(address, api, i16::MAX, request, deadline)
    }

    /// As [`Client::call`], at no higher version than this one.
    pub(crate) fn call_at_most<R: Field>(
        &mut self,
        address: &Address,
        api: ApiKey,
        version_max: i16,
        request: &impl Field,
        deadline: Deadline,
    ) -> Result<R> {
        let pending = self.send(address, api, version_max, request, deadline)?;
        self.receive(address, &pending, deadline)
    }

    /// Sends a request ahead; its answer must be received before the connection is asked anything else.
    pub(crate) fn send(
        &mut self,
        address: &Address,
        api: ApiKey,
        version_max: i16,
        request: &impl Field,
        deadline: Deadline,
    ) -> Result<Pending> {
        let connection = self.connection(address, deadline)?;
        let version = connection.version(api, version_max)?;
        let sent = connection.send(api, version, request, deadline);
        self.dropped_if_broken(address, sent)
    }

    pub(crate) fn receive<R: Field>(
        &mut self,
        address: &Address,
        pending: &Pending,
        deadline: Deadline,
    ) -> Result<R> {
        let Some(connection) = self.connections.get_mut(address) else {
            return Err(Failure::Connection(format!("{address} hung up")));
        };
        let received = connection.receive(pending, deadline);
        self.dropped_if_broken(address, received)
    }

    /// What comes next on a connection that failed is not known: the next call makes a new one.
    fn dropped_if_broken<T>(&mut self, address: &Address, result: Result<T>) -> Result<T> {
        if result.is_err() {
            self.connections.remove(address);
        }
        result
    }

    /// Lets go of a connection that answers are still due on.
    pub(crate) fn forget(&mut self, address: &Address) {
        self.connections.remove(address);
    }

    /// Whether a broker offers an API in a version that we know.
    pub(crate) fn offers(
        &mut self,
        address: &Address,
        api: ApiKey,
        deadline: Deadline,
    ) -> Result<bool> {
        Ok(self
            .connection(address, deadline)?
            .version(api, i16::MAX)
            .is_ok())
    }

    /// What a broker said of its features when it was connected.
    pub(crate) fn features(
        &mut self,
        address: &Address,
        deadline: Deadline,
    ) -> Result<(Vec<Feature>, Vec<FinalizedFeature>)> {
        let connection = self.connection(address, deadline)?;
        Ok((connection.supported.clone(), connection.finalized.clone()))
    }

    /// Tries until it is done, fails for good, or the deadline has come. A connection that broke is another try.
    pub(crate) fn retrying<T>(
        &mut self,
        deadline: Deadline,
        mut attempt: impl FnMut(&mut Self) -> Result<Attempt<T>>,
    ) -> Result<T> {
        let mut wait = RETRY_FIRST;
        loop {
            let reason = match attempt(self) {
                Ok(Attempt::Done(done)) => return Ok(done),
                Ok(Attempt::Again(reason)) | Err(Failure::Connection(reason)) => reason,
                Err(other) => return Err(other),
            };
            if deadline.left() <= wait {
                return failed(format!("{reason}; gave up after {deadline} (--timeout)"));
            }
            std::thread::sleep(wait);
            wait = (wait * 2).min(RETRY_MAX);
        }
    }
}

/// Whether the same request may go well a moment later, perhaps at another broker.
pub(crate) fn is_passing(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::LEADER_NOT_AVAILABLE
            | ErrorCode::NOT_LEADER_OR_FOLLOWER
            | ErrorCode::REQUEST_TIMED_OUT
            | ErrorCode::BROKER_NOT_AVAILABLE
            | ErrorCode::REPLICA_NOT_AVAILABLE
            | ErrorCode::NETWORK_EXCEPTION
            | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::NOT_COORDINATOR
            | ErrorCode::NOT_ENOUGH_REPLICAS
            | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
            | ErrorCode::NOT_CONTROLLER
            | ErrorCode::KAFKA_STORAGE_ERROR
            | ErrorCode::FENCED_LEADER_EPOCH
            | ErrorCode::UNKNOWN_LEADER_EPOCH
            | ErrorCode::OFFSET_NOT_AVAILABLE
            | ErrorCode::UNSTABLE_OFFSET_COMMIT
            | ErrorCode::THROTTLING_QUOTA_EXCEEDED
            | ErrorCode::UNKNOWN_TOPIC_ID
    )
}

/// An error of a broker's in a sentence: its own words if it has some.
pub(crate) fn explain(code: ErrorCode, message: Option<&str>) -> String {
    let words = message.filter(|message| !message.is_empty());
    let words = super::output::printable(words.unwrap_or(code.message()));
    format!("{code}: {words}")
}
