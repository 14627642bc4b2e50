//! What of the input is rejected, by kind, and how often that happened on a shard.
//!
//! Names are stable: metrics carry them. Never decides what is rejected.

use std::cell::Cell;

/// A kind of rejected input; each ends its connection, or keeps it from beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// A frame above `socket.request.max.bytes`; also what HTTP and TLS look like.
    FrameTooLarge,
    /// A frame too small for a header, or bytes that are not what its header promises.
    Malformed,
    /// An API key that is not offered, or a version of it.
    UnknownApi,
    /// A request with acks=0 that failed: nothing but the end of the connection can tell.
    Unanswerable,
    /// The rest of a request did not come in time.
    SlowRequest,
    /// The peer did not read what was sent to it.
    SlowReader,
    /// Above `max.connections` or `max.connections.per.ip`.
    TooManyConnections,
    /// Nothing came for `connections.max.idle.ms`.
    Idle,
}

impl Rejected {
    pub const ALL: [Self; 8] = [
        Self::FrameTooLarge,
        Self::Malformed,
        Self::UnknownApi,
        Self::Unanswerable,
        Self::SlowRequest,
        Self::SlowReader,
        Self::TooManyConnections,
        Self::Idle,
    ];

    /// In snake case, for metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FrameTooLarge => "frame_too_large",
            Self::Malformed => "malformed",
            Self::UnknownApi => "unknown_api",
            Self::Unanswerable => "unanswerable",
            Self::SlowRequest => "slow_request",
            Self::SlowReader => "slow_reader",
            Self::TooManyConnections => "too_many_connections",
            Self::Idle => "idle",
        }
    }
}

/// How often each kind was rejected.
#[derive(Debug, Default)]
pub struct Rejections([Cell<u64>; Rejected::ALL.len()]);

impl Rejections {
    pub fn add(&self, kind: Rejected) {
        let count = &self.0[kind as usize];
        count.set(count.get() + 1);
    }

    #[must_use]
    pub fn count(&self, kind: Rejected) -> u64 {
        self.0[kind as usize].get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_place_and_a_name_of_its_own() {
        let counts = Rejections::default();
        for (at, kind) in Rejected::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at);
            counts.add(kind);
            assert_eq!(counts.count(kind), 1);
            let named = |other: &&Rejected| other.name() == kind.name();
            assert_eq!(Rejected::ALL.iter().filter(named).count(), 1);
        }
    }
}
