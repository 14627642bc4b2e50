//! What several runs of two brokers say: median, smallest and largest of each figure, and whether the two differ.
//!
//! Never gives a ratio where the intervals meet, or of fewer than five runs a side.

use serde::Serialize;

use crate::result::RunResult;

/// Fewer say too little of how far runs lie apart.
pub(crate) const RUNS_MIN: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Interval {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) runs: usize,
}

impl Interval {
    /// `None` of nothing, and of what is no number.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        if values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let upper = values.len() / 2;
        let lower = (values.len() - 1) / 2;
        Some(Self {
            median: f64::midpoint(values[lower], values[upper]),
            min,
            max,
            runs: values.len(),
        })
    }

    /// Touching counts: a value that both have had is no difference.
    fn overlaps(&self, other: &Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }
}

/// A figure of both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) a: Interval,
    pub(crate) b: Interval,
    /// Of the medians, a to b; none when no difference is shown.
    pub(crate) ratio: Option<f64>,
}

impl Figure {
    fn new(name: &'static str, a: Interval, b: Interval) -> Self {
        let shown = a.runs.min(b.runs) >= RUNS_MIN && !a.overlaps(&b) && b.median != 0.0;
        let ratio = shown.then(|| a.median / b.median);
        Self { name, a, b, ratio }
    }
}

type Read = fn(&RunResult) -> Option<f64>;

/// Names, and where each is in a result.
const FIGURES: &[(&str, Read)] = &[
    ("produced, MB/s", |run| {
        some(run.produced.bytes_per_second / 1e6)
    }),
    ("produced, requests/s", |run| {
        some(run.produced.requests_per_second)
    }),
    ("consumed, MB/s", |run| {
        some(run.consumed.bytes_per_second / 1e6)
    }),
    ("ack p50, ms", |run| {
        Some(run.publish.as_ref()?.p50 as f64 / 1e3)
    }),
    ("ack p99, ms", |run| {
        Some(run.publish.as_ref()?.p99 as f64 / 1e3)
    }),
    ("ack p99.9, ms", |run| {
        Some(run.publish.as_ref()?.p99_9 as f64 / 1e3)
    }),
    ("ack max, ms", |run| {
        Some(run.publish.as_ref()?.max as f64 / 1e3)
    }),
    ("end to end p50, ms", |run| {
        Some(run.end_to_end.as_ref()?.p50 as f64 / 1e3)
    }),
    ("end to end p99, ms", |run| {
        Some(run.end_to_end.as_ref()?.p99 as f64 / 1e3)
    }),
    ("end to end p99.9, ms", |run| {
        Some(run.end_to_end.as_ref()?.p99_9 as f64 / 1e3)
    }),
    ("end to end max, ms", |run| {
        Some(run.end_to_end.as_ref()?.max as f64 / 1e3)
    }),
    ("broker CPU-s per GB", |run| {
        let bytes = run.produced.bytes.max(run.consumed.bytes);
        some(cpu_seconds(run)? * 1e9 / bytes as f64)
    }),
    ("broker CPU per request, us", |run| {
        let requests = run.produced.requests.max(run.consumed.requests);
        some(cpu_seconds(run)? * 1e6 / requests as f64)
    }),
    ("broker peak memory, MiB", |run| {
        some(run.broker_use.as_ref()?.rss_peak_bytes as f64 / f64::from(1 << 20))
    }),
    ("device flushes per request", |run| {
        some(run.device.as_ref()?.flushes as f64 / run.produced.requests as f64)
    }),
];

/// What was not measured is 0 in a result.
fn some(value: f64) -> Option<f64> {
    (value.is_finite() && value > 0.0).then_some(value)
}

fn cpu_seconds(run: &RunResult) -> Option<f64> {
    let used = run.broker_use.as_ref()?;
    Some(used.user_seconds + used.system_seconds)
}

/// Every figure there can be, in the order of a table.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FIGURES.iter().map(|(name, _)| *name)
}

/// The figures that a run has.
pub(crate) fn figures_of(run: &RunResult) -> impl Iterator<Item = (&'static str, f64)> {
    let read = |(name, read): &(&'static str, Read)| Some((*name, read(run)?));
    FIGURES.iter().filter_map(read)
}

/// The figures that every one of the runs has.
pub(crate) fn figures(a: &[&RunResult], b: &[&RunResult]) -> Vec<Figure> {
    let interval = |runs: &[&RunResult], read: Read| {
        let values: Option<Vec<f64>> = runs.iter().map(|run| read(run)).collect();
        Interval::of(values?)
    };
    let figure = |(name, read): &(&'static str, Read)| {
        Some(Figure::new(name, interval(a, *read)?, interval(b, *read)?))
    };
    FIGURES.iter().filter_map(figure).collect()
}

#[cfg(test)]
mod tests {
    use crate::result::{Flow, Latency};

    use super::*;

    fn ratio(a: &[f64], b: &[f64]) -> Option<f64> {
        let interval = |values: &[f64]| Interval::of(values.to_vec()).expect("values");
        Figure::new("x", interval(a), interval(b)).ratio
    }

    #[test]
    fn a_median_is_between_the_ends() {
        let interval = Interval::of(vec![9.0, 1.0, 2.0]).expect("values");
        assert_eq!(
            (interval.min, interval.median, interval.max),
            (1.0, 2.0, 9.0)
        );
        let even = Interval::of(vec![4.0, 1.0, 2.0, 9.0]).expect("values");
        assert_eq!((even.median, even.runs), (3.0, 4));
        assert_eq!(Interval::of(vec![]), None);
        assert_eq!(Interval::of(vec![1.0, f64::NAN]), None);
    }

    #[test]
    fn a_ratio_needs_intervals_apart_and_five_runs() {
        let low = [1.0, 2.0, 3.0, 2.0, 2.0];
        let high = [5.0, 4.0, 4.0, 4.0, 9.0];
        assert_eq!(ratio(&low, &high), Some(0.5));
        assert_eq!(ratio(&high, &low), Some(2.0));
        assert_eq!(ratio(&high[..4], &low), None, "four runs");
        assert_eq!(ratio(&low, &[3.0, 4.0, 4.0, 4.0, 9.0]), None, "both had 3");
        assert_eq!(
            ratio(&low, &[1.5, 1.6, 1.7, 1.8, 1.9]),
            None,
            "one within the other"
        );
        assert_eq!(ratio(&low, &[0.0; 5]), None, "nothing to divide by");
    }

    #[test]
    fn only_what_every_run_has_is_compared() {
        let run = |rate, p99| RunResult {
            produced: Flow {
                bytes_per_second: rate,
                ..Flow::default()
            },
            publish: Some(Latency {
                p99,
                ..Latency::default()
            }),
            ..RunResult::default()
        };
        let (with, without) = (
            run(3e6, 2000),
            RunResult {
                publish: None,
                ..run(1e6, 0)
            },
        );
        let all = figures(&[&with], &[&with]);
        let names: Vec<&str> = all.iter().map(|figure| figure.name).collect();
        assert_eq!(names[0], "produced, MB/s");
        assert!(names.contains(&"ack p99, ms"), "{names:?}");
        assert_eq!(all[0].a.median, 3.0);
        let some = figures(&[&with, &without], &[&with]);
        let names: Vec<&str> = some.iter().map(|figure| figure.name).collect();
        assert_eq!(names, ["produced, MB/s"]);
    }
}
