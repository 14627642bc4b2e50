//! The range assignor of classic consumer groups: of each topic every member gets a run of partitions, as Kafka's `RangeAssignor`
//! has it without racks.
//!
//! The same members and topics give the same result, whoever decides.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::client::TopicPartition;

/// Who gets what. `members` are the topics that each is subscribed to; `topics` has the number of partitions of those that are there.
pub(super) fn assign(
    members: &BTreeMap<String, BTreeSet<String>>,
    topics: &BTreeMap<String, BTreeSet<i32>>,
) -> BTreeMap<String, BTreeSet<TopicPartition>> {
    let mut assigned: BTreeMap<String, BTreeSet<TopicPartition>> = members
        .keys()
        .map(|member| (member.clone(), BTreeSet::new()))
        .collect();
    for (topic, partitions) in topics {
        let subscribed: Vec<&String> = members
            .iter()
            .filter(|(_, topics)| topics.contains(topic))
            .map(|(member, _)| member)
            .collect();
        if subscribed.is_empty() {
            continue;
        }
        let mut left: Vec<i32> = partitions.iter().copied().collect();
        left.reverse();
        let (each, more) = (left.len() / subscribed.len(), left.len() % subscribed.len());
        for (index, member) in subscribed.into_iter().enumerate() {
            // The first ones get the rest, one each.
            let count = each + usize::from(index < more);
            let place = assigned.entry(member.clone()).or_default();
            for partition in left.split_off(left.len() - count) {
                place.insert(TopicPartition {
                    topic: topic.clone(),
                    partition,
                });
            }
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(members: &[(&str, &[&str])], topics: &[(&str, i32)], expected: &[(&str, &str)]) {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let members = members
            .iter()
            .map(|(member, topics)| (member.to_string(), owned(topics)))
            .collect();
        let topics = topics
            .iter()
            .map(|(topic, count)| (topic.to_string(), (0..*count).collect()))
            .collect();
        let assigned = assign(&members, &topics);
        let shown: Vec<(String, String)> = assigned
            .into_iter()
            .map(|(member, partitions)| {
                let partitions: Vec<String> = partitions.iter().map(ToString::to_string).collect();
                (member, partitions.join(" "))
            })
            .collect();
        let expected: Vec<(String, String)> = expected
            .iter()
            .map(|(member, partitions)| (member.to_string(), partitions.to_string()))
            .collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn members_get_runs_and_the_first_ones_the_rest() {
        check(
            &[("a", &["t", "u"]), ("b", &["t"]), ("c", &["t", "gone"])],
            &[("t", 7), ("u", 2)],
            &[
                ("a", "t-0 t-1 t-2 u-0 u-1"),
                ("b", "t-3 t-4"),
                ("c", "t-5 t-6"),
            ],
        );
        check(
            &[("a", &["t"]), ("b", &["t"])],
            &[("t", 1)],
            &[("a", "t-0"), ("b", "")],
        );
        check(&[], &[("t", 1)], &[]);
    }
}
