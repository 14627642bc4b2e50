//! Latencies by the second they belong to, and of the whole run: one histogram for each open second, merged into the total when
//! it closes. Never averages percentiles, and never drops a sample: one that comes late still counts in the total.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use crate::report::histogram;
use crate::result::{Latency, SecondLatency};

/// So many seconds may still get samples: longer than an answer may take.
const OPEN_SECONDS_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Series {
    total: Histogram<u64>,
    closed: Vec<Option<SecondLatency>>,
    /// The seconds behind those.
    open: VecDeque<Histogram<u64>>,
}

impl Series {
    pub(crate) fn new() -> Self {
        Self {
            total: histogram(),
            closed: Vec::new(),
            open: VecDeque::new(),
        }
    }

    /// A sample of a second that counts from the end of the warm-up.
    pub(crate) fn record(&mut self, second: usize, micros: u64) {
        let Some(index) = second.checked_sub(self.closed.len()) else {
            self.total.saturating_record(micros);
            return;
        };
        while self.open.len() <= index {
            self.open.push_back(histogram());
        }
        self.open[index].saturating_record(micros);
        while self.open.len() > OPEN_SECONDS_MAX {
            self.close_one();
        }
    }

    fn close_one(&mut self) {
        if let Some(second) = self.open.pop_front() {
            self.closed.push(SecondLatency::of(&second));
            self.total.add(second).expect("the same bounds");
        }
    }

    /// The whole, `None` without a sample, and every second up to the last that has one.
    pub(crate) fn finish(mut self) -> (Option<Latency>, Vec<Option<SecondLatency>>) {
        while !self.open.is_empty() {
            self.close_one();
        }
        let whole = (!self.total.is_empty()).then(|| Latency::of(&self.total));
        (whole, self.closed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_slow_second_is_seen_in_it_and_in_the_whole() {
        let mut series = Series::new();
        for second in 0..100 {
            for _ in 0..100 {
                series.record(second, if second == 7 { 50_000 } else { 100 });
            }
        }
        // Late, for a second that is closed.
        series.record(0, 1_000_000);
        let (whole, seconds) = series.finish();
        let whole = whole.expect("samples");
        assert_eq!(whole.samples, 10_001);
        assert_eq!(whole.p50, 100);
        assert!((50_000..50_100).contains(&whole.p99_9), "{whole:?}");
        assert!((1_000_000..1_001_000).contains(&whole.max), "{whole:?}");
        assert_eq!(seconds.len(), 100);
        let slow: Vec<usize> = (0..100)
            .filter(|second| seconds[*second].is_some_and(|latency| latency.max > 1_000))
            .collect();
        assert_eq!(slow, [7]);
    }

    proptest! {
        #[test]
        fn the_whole_is_the_percentile_of_all_samples(
            samples in proptest::collection::vec((0_usize..200, 1_u64..1_000_000), 1..500),
        ) {
            let mut series = Series::new();
            let mut values = Vec::new();
            for (second, micros) in samples {
                series.record(second, micros);
                values.push(micros);
            }
            values.sort_unstable();
            let (whole, _) = series.finish();
            let whole = whole.expect("samples");
            prop_assert_eq!(whole.samples, values.len() as u64);
            for (told, quantile) in [(whole.p50, 0.5), (whole.p99, 0.99), (whole.max, 1.0)] {
                let rank = ((values.len() as f64 * quantile).ceil() as usize).max(1);
                let exact = values[rank - 1] as f64;
                prop_assert!((told as f64 - exact).abs() <= exact / 1_000.0 + 1.0, "{told} is not {exact}");
            }
        }
    }
}
