//! The partitions that are consumed: where each is, where it ends, and how far its records have reached the reader.
//!
//! Asks nobody.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::client::TopicPartition;

#[derive(Debug, Default)]
pub(super) struct Assigned {
    partitions: BTreeMap<TopicPartition, Place>,
}

#[derive(Debug)]
struct Place {
    /// The offset of the next record.
    next: i64,
    /// Nothing from here on is wanted.
    end: Option<i64>,
    /// What lies before has left this process; nothing while no record has.
    shown: Option<i64>,
}

impl Place {
    fn has_ended(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }
}

impl Assigned {
    pub(super) fn add(
        &mut self,
        positions: BTreeMap<TopicPartition, i64>,
        ends: &BTreeMap<TopicPartition, i64>,
    ) {
        for (at, next) in positions {
            let place = Place {
                next,
                end: ends.get(&at).copied(),
                shown: None,
            };
            self.partitions.insert(at, place);
        }
    }

    pub(super) fn remove(&mut self, at: &TopicPartition) {
        self.partitions.remove(at);
    }

    /// Only these are left.
    pub(super) fn retain(&mut self, kept: &BTreeSet<TopicPartition>) {
        self.partitions.retain(|at, _| kept.contains(at));
    }

    pub(super) fn knows(&self, at: &TopicPartition) -> bool {
        self.partitions.contains_key(at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    pub(super) fn topics(&self) -> Vec<String> {
        let topics: BTreeSet<&String> = self.partitions.keys().map(|at| &at.topic).collect();
        topics.into_iter().cloned().collect()
    }

    pub(super) fn all_ended(&self) -> bool {
        self.partitions.values().all(Place::has_ended)
    }

    pub(super) fn has_open_ends(&self) -> bool {
        self.partitions.values().any(|place| place.end.is_none())
    }

    pub(super) fn position(&self, at: &TopicPartition) -> Option<i64> {
        self.partitions.get(at).map(|place| place.next)
    }

    pub(super) fn end(&self, at: &TopicPartition) -> Option<i64> {
        self.partitions.get(at)?.end
    }

    /// Of those that have not ended.
    pub(super) fn positions(&self) -> BTreeMap<TopicPartition, i64> {
        let open = self
            .partitions
            .iter()
            .filter(|(_, place)| !place.has_ended());
        open.map(|(at, place)| (at.clone(), place.next)).collect()
    }

    pub(super) fn set_ends(&mut self, ends: &BTreeMap<TopicPartition, i64>) {
        for (at, end) in ends {
            if let Some(place) = self.partitions.get_mut(at) {
                place.end = Some(*end);
            }
        }
    }

    /// Never backwards.
    pub(super) fn advance(&mut self, at: &TopicPartition, next: i64) {
        if let Some(place) = self.partitions.get_mut(at) {
            place.next = place.next.max(next);
        }
    }

    pub(super) fn set_position(&mut self, at: &TopicPartition, next: i64) {
        if let Some(place) = self.partitions.get_mut(at) {
            place.next = next;
        }
    }

    pub(super) fn end_here(&mut self, at: &TopicPartition) {
        if let Some(place) = self.partitions.get_mut(at) {
            place.end = Some(place.next);
        }
    }

    /// All that was printed so far has left this process.
    pub(super) fn on_flushed(&mut self) {
        for place in self.partitions.values_mut() {
            place.shown = Some(place.next);
        }
    }

    /// Where to go on after this process: behind what has been shown.
    pub(super) fn shown(&self) -> BTreeMap<TopicPartition, i64> {
        let places = self.partitions.iter();
        places
            .filter_map(|(at, place)| Some((at.clone(), place.shown?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: i32) -> TopicPartition {
        TopicPartition {
            topic: "t".to_owned(),
            partition,
        }
    }

    #[test]
    fn only_what_was_shown_is_committed_and_ends_are_kept() {
        let mut assigned = Assigned::default();
        let positions = BTreeMap::from([(at(0), 5), (at(1), 9)]);
        assigned.add(positions, &BTreeMap::from([(at(1), 9)]));
        assert_eq!(assigned.positions(), BTreeMap::from([(at(0), 5)]));
        assert!(assigned.has_open_ends() && !assigned.all_ended());
        assert!(assigned.shown().is_empty());
        assigned.advance(&at(0), 8);
        assert!(assigned.shown().is_empty());
        assigned.on_flushed();
        assert_eq!(assigned.shown(), BTreeMap::from([(at(0), 8), (at(1), 9)]));
        // A broker that sends what was there before moves nothing back.
        assigned.advance(&at(0), 3);
        assert_eq!(assigned.position(&at(0)), Some(8));
        assigned.end_here(&at(0));
        assert!(assigned.all_ended());
    }
}
