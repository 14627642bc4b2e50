//! The number of a leadership: it grows with every election of a partition, and a message of an older one is refused.

use std::fmt;

/// The leader epoch of a partition: 0 for the first leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaderEpoch(pub i32);

impl LeaderEpoch {
    pub const ZERO: Self = Self(0);
}

impl fmt::Display for LeaderEpoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
