//! How long something took, counted in fixed steps: cheap enough for every journal block.
//!
//! Measures nothing itself: it is told.

use std::cell::Cell;
use std::time::Duration;

/// Upper bounds in microseconds, 1-2-5 from 20 us to 10 s; what took longer is in one more.
const BOUNDS: [u64; 18] = [
    20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000,
];

/// Counts on one shard.
#[derive(Default)]
pub struct LatencyHistogram {
    counts: [Cell<u64>; BOUNDS.len() + 1],
    micros: Cell<u64>,
}

/// The counts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatencySnapshot {
    counts: Vec<u64>,
    micros: u64,
}

impl LatencyHistogram {
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = &self.counts[BOUNDS.partition_point(|bound| *bound < micros)];
        bucket.set(bucket.get() + 1);
        self.micros.set(self.micros.get().saturating_add(micros));
    }

    #[must_use]
    pub fn snapshot(&self) -> LatencySnapshot {
        LatencySnapshot {
            counts: self.counts.iter().map(Cell::get).collect(),
            micros: self.micros.get(),
        }
    }
}

impl LatencySnapshot {
    /// Each bucket's upper bound (the last has none) and what fell into it alone.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS
            .iter()
            .map(|micros| Some(Duration::from_micros(*micros)));
        let counts = self.counts.iter().copied().chain(std::iter::repeat(0));
        bounds.chain([None]).zip(counts)
    }

    /// All of it together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_upper_and_included() {
        let histogram = LatencyHistogram::default();
        for micros in [0, 20, 21, 10_000_000, 10_000_001] {
            histogram.record(Duration::from_micros(micros));
        }
        let snapshot = histogram.snapshot();
        let filled: Vec<_> = snapshot.buckets().filter(|(_, count)| *count > 0).collect();
        let bound = |micros| Some(Duration::from_micros(micros));
        assert_eq!(
            filled,
            [
                (bound(20), 2),
                (bound(50), 1),
                (bound(10_000_000), 1),
                (None, 1)
            ]
        );
        assert_eq!(snapshot.sum(), Duration::from_micros(20_000_042));
        assert_eq!(LatencySnapshot::default().buckets().count(), 19);
    }
}
