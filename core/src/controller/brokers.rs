//! Begins a cluster and registers its brokers.
//!
//! Never decides whether a broker is alive: who hears its heartbeats says so.

use super::Decision;
use crate::metadata::image::{FORMAT_VERSION, MetadataImage};
use crate::metadata::records::{BrokerRegistration, MetadataRecord};

/// Registers a broker that starts. In an empty log it first begins the cluster, whose id is `new_cluster_id`.
///
/// The answer is the cluster's id.
pub fn register_broker(
    registration: BrokerRegistration,
    new_cluster_id: &str,
    image: &MetadataImage,
) -> Decision<String> {
    let mut records = Vec::new();
    if image.format_version() < FORMAT_VERSION {
        records.push(MetadataRecord::FormatVersion {
            version: FORMAT_VERSION,
        });
    }
    let cluster_id = image.cluster_id().unwrap_or(new_cluster_id).to_owned();
    if image.cluster_id().is_none() {
        records.push(MetadataRecord::ClusterId {
            id: cluster_id.clone(),
        });
    }
    records.push(MetadataRecord::BrokerRegistered(registration));
    Decision {
        records,
        response: cluster_id,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::topics;
    use super::*;

    #[test]
    fn the_first_broker_begins_the_cluster_and_its_next_start_joins_it() {
        let registration = |incarnation| BrokerRegistration {
            node_id: 1,
            incarnation: Uuid::from_u128(incarnation),
            rack: None,
            endpoints: Vec::new(),
        };
        let mut image = MetadataImage::default();
        let decision = register_broker(registration(1), "first", &image);
        assert_eq!(decision.response, "first");
        assert_eq!(decision.records.len(), 3);
        topics::replay_decided(&mut image, &decision.records);
        let decision = register_broker(registration(2), "second", &image);
        assert_eq!(decision.response, "first");
        assert_eq!(
            decision.records,
            [MetadataRecord::BrokerRegistered(registration(2))]
        );
    }
}
