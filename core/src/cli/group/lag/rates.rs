//! How fast committed offsets move, from one look to the next.
//!
//! Reads no clock; keeps one offset a partition, and only of those that the last look showed.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::cli::client::TopicPartition;

/// A group and a partition of it.
type Place = (String, TopicPartition);

#[derive(Debug, Default)]
pub(super) struct Rates {
    last: BTreeMap<Place, (i64, Instant)>,
    /// Of the look that is going on.
    current: BTreeMap<Place, (i64, Instant)>,
}

impl Rates {
    /// Records a second since the last look; nothing at the first, or when no time has passed.
    pub(super) fn on_offset(&mut self, at: Place, offset: i64, now: Instant) -> Option<f64> {
        let before = self.last.get(&at).copied();
        self.current.insert(at, (offset, now));
        let (before, then) = before?;
        let seconds = now.saturating_duration_since(then).as_secs_f64();
        (seconds > 0.0).then(|| offset.saturating_sub(before) as f64 / seconds)
    }

    /// All of a look was told: what it did not show is forgotten.
    pub(super) fn on_look_end(&mut self) {
        self.last = std::mem::take(&mut self.current);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_rate_needs_two_looks() {
        let at = |partition| {
            let topic = "t".to_owned();
            ("g".to_owned(), TopicPartition { topic, partition })
        };
        let begun = Instant::now();
        let later = begun + Duration::from_secs(4);
        let mut rates = Rates::default();
        assert_eq!(rates.on_offset(at(0), 100, begun), None);
        rates.on_look_end();
        assert_eq!(rates.on_offset(at(1), 0, later), None);
        assert_eq!(rates.on_offset(at(0), 300, later), Some(50.0));
        rates.on_look_end();
        assert_eq!(rates.on_offset(at(0), 300, later), None);
        // Somebody moved the group back.
        let last = later + Duration::from_secs(1);
        assert_eq!(rates.on_offset(at(0), 290, last), Some(-10.0));
        rates.on_look_end();
        assert_eq!(rates.on_offset(at(1), 5, last), None);
    }
}
