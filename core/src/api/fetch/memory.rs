//! The memory of a shard for records on their way to consumers: who comes late gets less at once, and waits when all is taken.
//!
//! Counts bytes, never holds any. What is made and not yet sent is counted by the connections; here is what is being read. Each
//! fetch may have a quarter of what is left: readers that do not read need ever more connections to take the next piece, and are
//! cut by `rinka.send.time.ms` meanwhile.

use std::cell::Cell;

/// Of what is left, what one fetch may have.
const SHARE: usize = 4;

/// The bytes of records that the connections of a shard may hold together, on their way out.
#[derive(Debug)]
pub(crate) struct ReplyMemory {
    bytes_max: usize,
    reading: Cell<usize>,
}

/// What one fetch may read, until it is dropped.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    memory: &'a ReplyMemory,
    pub(super) bytes: usize,
}

impl ReplyMemory {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            reading: Cell::new(0),
        }
    }

    /// Room for a fetch of so many bytes, or for less; `None`: there is none. `unsent` is what waits to be sent.
    pub(super) fn claim(&self, wanted: usize, unsent: usize) -> Option<Claim<'_>> {
        let left = self.bytes_max.saturating_sub(self.reading.get() + unsent);
        // A fetch that wants nothing still gets the first batch it meets.
        if left == 0 {
            return None;
        }
        let bytes = wanted.min(left.div_ceil(SHARE));
        self.reading.set(self.reading.get() + bytes);
        Some(Claim {
            memory: self,
            bytes,
        })
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let reading = &self.memory.reading;
        reading.set(reading.get() - self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gets_a_quarter_of_what_is_left_and_gives_it_back() {
        let memory = ReplyMemory::new(1_000);
        let first = memory.claim(5_000, 0).expect("room");
        let second = memory.claim(5_000, 0).expect("room");
        assert_eq!((first.bytes, second.bytes), (250, 188));
        let small = memory.claim(10, 0).expect("room");
        assert_eq!(small.bytes, 10);
        drop((first, second, small));
        assert_eq!(memory.claim(5_000, 0).expect("room").bytes, 250);
    }

    #[test]
    fn what_is_unsent_counts_and_nothing_is_left_when_it_is_all() {
        let memory = ReplyMemory::new(1_000);
        assert_eq!(memory.claim(5_000, 600).expect("room").bytes, 100);
        assert!(memory.claim(1, 1_000).is_none());
        assert!(
            memory.claim(1, usize::MAX / 2).is_none(),
            "a first batch may go beyond"
        );
        assert!(memory.claim(1, 999).is_some());
    }

    #[test]
    fn any_number_of_claims_stays_within_the_memory() {
        let memory = ReplyMemory::new(1 << 20);
        let claims: Vec<_> = std::iter::from_fn(|| memory.claim(usize::MAX, 0)).collect();
        let all: usize = claims.iter().map(|claim| claim.bytes).sum();
        assert_eq!(all, 1 << 20, "all of it and no more");
        assert!(claims.len() > 40, "many readers have a part");
    }
}
