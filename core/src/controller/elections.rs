//! Elects leaders when an operator asks for it: the preferred replica, or any that is left (KIP-460).
//!
//! Never elects because a broker is gone, and never looks at what a replica holds.

use rinka_storage::leader_epoch::LeaderEpoch;

use super::Decision;
use super::error::ElectLeaderError;
use crate::metadata::image::MetadataImage;
use crate::metadata::records::MetadataRecord;
use crate::metadata::topic::{PartitionState, Topic};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionType {
    /// The first replica, if it is in sync.
    Preferred,
    /// Any replica that is alive, where no leader is; may lose records.
    Unclean,
}

/// One partition and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionResult {
    pub topic: String,
    pub partition: i32,
    pub outcome: Result<(), ElectLeaderError>,
}

/// One result for each partition of the request, in its order. With `None` for all: those that could have another leader, or need one.
pub fn elect_leaders(
    election: ElectionType,
    partitions: Option<&[(String, i32)]>,
    image: &MetadataImage,
) -> Decision<Vec<ElectionResult>> {
    let mut records = Vec::new();
    let mut response = Vec::new();
    match partitions {
        Some(partitions) => {
            for (topic, partition) in partitions {
                let outcome = match image.topic_named(topic) {
                    Some(found) => elect(election, found, *partition, image),
                    None => Err(ElectLeaderError::UnknownTopic(topic.clone())),
                };
                response.push(ElectionResult {
                    topic: topic.clone(),
                    partition: *partition,
                    outcome: outcome.map(|record| records.push(record)),
                });
            }
        }
        None => {
            for topic in image.topics() {
                for (partition, _) in topic.partitions.iter() {
                    let outcome = match elect(election, topic, partition, image) {
                        // There is nothing to say of nearly all of them.
                        Err(ElectLeaderError::NotNeeded) => continue,
                        outcome => outcome,
                    };
                    response.push(ElectionResult {
                        topic: topic.name.as_ref().to_owned(),
                        partition,
                        outcome: outcome.map(|record| records.push(record)),
                    });
                }
            }
        }
    }
    // A partition that is named twice would be elected twice from the same state.
    records.dedup();
    Decision { records, response }
}

fn elect(
    election: ElectionType,
    topic: &Topic,
    partition: i32,
    image: &MetadataImage,
) -> Result<MetadataRecord, ElectLeaderError> {
    let state = topic
        .partition(partition)
        .ok_or_else(|| ElectLeaderError::UnknownPartition {
            topic: topic.name.as_ref().to_owned(),
            partition,
        })?;
    let is_alive = |node: &i32| {
        let broker = image.brokers().get(node);
        broker.is_some_and(|broker| !broker.fenced)
    };
    let preferred = state.replicas.first().copied();
    let (leader, isr) = match election {
        ElectionType::Preferred if state.leader.is_some() && state.leader == preferred => {
            return Err(ElectLeaderError::NotNeeded);
        }
        ElectionType::Preferred => {
            let in_sync = preferred.filter(|node| state.isr.contains(node) && is_alive(node));
            let leader = in_sync.ok_or(ElectLeaderError::PreferredNotAvailable)?;
            (leader, state.isr.clone())
        }
        ElectionType::Unclean if state.leader.is_some() => return Err(ElectLeaderError::NotNeeded),
        ElectionType::Unclean => {
            let alive = |nodes: &[i32]| nodes.iter().copied().find(|node| is_alive(node));
            match (alive(&state.isr), alive(&state.replicas)) {
                (Some(leader), _) => (leader, state.isr.clone()),
                // What the others hold beyond this one is lost.
                (None, Some(leader)) => (leader, vec![leader]),
                (None, None) => return Err(ElectLeaderError::NoneAvailable),
            }
        }
    };
    Ok(MetadataRecord::PartitionChanged {
        id: topic.id,
        partition,
        state: PartitionState {
            leader: Some(leader),
            isr,
            leader_epoch: LeaderEpoch(state.leader_epoch.0 + 1),
            partition_epoch: state.partition_epoch + 1,
            replicas: state.replicas.clone(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::topics;
    use super::super::topics::tests::{cluster, created, with_topics};
    use super::*;

    /// Of three brokers those in `fenced` are not there.
    fn check(
        election: ElectionType,
        (replicas, isr, leader): (&[i32], &[i32], Option<i32>),
        fenced: &[i32],
        expected: Result<(i32, &[i32]), ElectLeaderError>,
    ) {
        let mut image = with_topics(&cluster(3), &["a"]);
        let id = created(&image, "a").id;
        let state = PartitionState {
            leader,
            ..PartitionState::new(replicas.to_vec(), isr.to_vec())
        };
        let mut before = vec![MetadataRecord::PartitionChanged {
            id,
            partition: 0,
            state,
        }];
        before.extend(fenced.iter().map(|&node_id| MetadataRecord::BrokerFenced {
            node_id,
            fenced: true,
        }));
        topics::replay_decided(&mut image, &before);
        let partitions = [("a".to_owned(), 0)];
        let decision = elect_leaders(election, Some(&partitions), &image);
        let all = elect_leaders(election, None, &image);
        assert_eq!(all.records, decision.records, "null means all");
        topics::replay_decided(&mut image, &decision.records);
        let after = created(&image, "a").partition(0).unwrap().clone();
        match (&decision.response[0].outcome, expected) {
            (Ok(()), Ok((leader, isr))) => {
                assert_eq!((after.leader, &after.isr[..]), (Some(leader), isr));
                assert_eq!((after.leader_epoch.0, after.partition_epoch), (1, 1));
            }
            (Err(seen), Err(expected)) => assert_eq!(*seen, expected),
            (seen, expected) => panic!("{seen:?}, not {expected:?}"),
        }
    }

    #[test]
    fn the_preferred_replica_leads_again_if_it_is_in_sync() {
        use ElectionType::Preferred;
        check(
            Preferred,
            (&[1, 2], &[1, 2], Some(1)),
            &[],
            Err(ElectLeaderError::NotNeeded),
        );
        check(
            Preferred,
            (&[1, 2], &[1, 2], Some(2)),
            &[],
            Ok((1, &[1, 2])),
        );
        let not_available = || Err(ElectLeaderError::PreferredNotAvailable);
        check(Preferred, (&[1, 2], &[2], Some(2)), &[], not_available());
        check(
            Preferred,
            (&[1, 2], &[1, 2], Some(2)),
            &[1],
            not_available(),
        );
    }

    #[test]
    fn any_replica_leads_where_none_does() {
        use ElectionType::Unclean;
        check(
            Unclean,
            (&[1, 2], &[2], Some(2)),
            &[],
            Err(ElectLeaderError::NotNeeded),
        );
        check(Unclean, (&[1, 2], &[2], None), &[], Ok((2, &[2])));
        check(Unclean, (&[1, 2], &[2], None), &[2], Ok((1, &[1])));
        check(
            Unclean,
            (&[1, 2], &[2], None),
            &[1, 2],
            Err(ElectLeaderError::NoneAvailable),
        );
    }

    #[test]
    fn what_does_not_exist_is_named() {
        let image = with_topics(&cluster(1), &["a"]);
        let partitions = [("b".to_owned(), 0), ("a".to_owned(), 7)];
        let decision = elect_leaders(ElectionType::Preferred, Some(&partitions), &image);
        let texts: Vec<String> = decision
            .response
            .iter()
            .map(|result| result.outcome.clone().unwrap_err().to_string())
            .collect();
        assert_eq!(texts, ["No such topic as b", "No such partition as a-7"]);
        assert!(decision.records.is_empty());
    }
}
