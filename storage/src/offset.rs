//! The position of a record in a partition's log. Never a position in a file.

use std::fmt;

/// The offset of a record: 0 is the first record ever appended to the partition.
///
/// A range of records is written `[base, end)`: a log that holds offsets 0, 1 and 2 has log end offset 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

impl Offset {
    pub const ZERO: Self = Self(0);

    /// The offset `count` records further on.
    #[must_use]
    pub fn plus(self, count: i64) -> Self {
        Self(self.0 + count)
    }

    /// How many offsets lie in `[base, self)`.
    #[must_use]
    pub fn since(self, base: Self) -> i64 {
        self.0 - base.0
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
