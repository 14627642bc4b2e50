//! A record of Rinka's metadata log by its name and fields.
//!
//! Never knows more than the record says: ids are not turned into names.

use crate::metadata::client_quotas::EntityName;
use crate::metadata::records::{MetadataRecord, RecordError};
use crate::metadata::topic::PartitionState;

use super::line::Value;

pub(super) fn decoded(bytes: &[u8]) -> Result<Value<'static>, RecordError> {
    let (name, data) = fields(MetadataRecord::decode(bytes)?);
    Ok(Value::Object(vec![
        ("type", name.into()),
        ("data", Value::Object(data)),
    ]))
}

fn fields(record: MetadataRecord) -> (&'static str, Vec<(&'static str, Value<'static>)>) {
    use MetadataRecord as R;
    match record {
        R::FormatVersion { version } => (
            "FormatVersion",
            vec![("version", i64::from(version).into())],
        ),
        R::ClusterId { id } => ("ClusterId", vec![("id", id.into())]),
        R::BrokerRegistered(broker) => {
            let endpoint = |endpoint: &crate::metadata::records::BrokerEndpoint| {
                Value::Object(vec![
                    ("listener", endpoint.listener.as_str().into()),
                    ("host", optional(endpoint.host.clone())),
                    ("port", i64::from(endpoint.port).into()),
                ])
            };
            let data = vec![
                ("nodeId", broker.node_id.into()),
                ("incarnation", broker.incarnation.to_string().into()),
                ("rack", optional(broker.rack.clone())),
                (
                    "endpoints",
                    Value::List(broker.endpoints.iter().map(endpoint).collect()),
                ),
            ];
            ("BrokerRegistered", data)
        }
        R::BrokerFenced { node_id, fenced } => (
            "BrokerFenced",
            vec![("nodeId", node_id.into()), ("fenced", fenced.into())],
        ),
        R::BrokerUnregistered { node_id } => {
            ("BrokerUnregistered", vec![("nodeId", node_id.into())])
        }
        R::TopicCreated {
            id,
            name,
            partitions,
        } => (
            "TopicCreated",
            vec![
                ("id", id.to_string().into()),
                ("name", name.into()),
                (
                    "partitions",
                    Value::List(partitions.iter().map(partition).collect()),
                ),
            ],
        ),
        R::TopicDeleted { id } => ("TopicDeleted", vec![("id", id.to_string().into())]),
        R::TopicConfigSet { id, key, value } => (
            "TopicConfigSet",
            vec![
                ("id", id.to_string().into()),
                ("key", key.into()),
                ("value", optional(value)),
            ],
        ),
        R::PartitionsAdded {
            id,
            first,
            partitions,
        } => (
            "PartitionsAdded",
            vec![
                ("id", id.to_string().into()),
                ("first", first.into()),
                (
                    "partitions",
                    Value::List(partitions.iter().map(partition).collect()),
                ),
            ],
        ),
        R::PartitionChanged {
            id,
            partition: number,
            state,
        } => (
            "PartitionChanged",
            vec![
                ("id", id.to_string().into()),
                ("partition", number.into()),
                ("state", partition(&state)),
            ],
        ),
        R::ProducerIdsAllocated { next } => ("ProducerIdsAllocated", vec![("next", next.into())]),
        R::BrokerConfigSet {
            node_id,
            key,
            value,
        } => (
            "BrokerConfigSet",
            vec![
                ("nodeId", node_id.map_or(Value::Null, |id| id.into())),
                ("key", key.into()),
                ("value", optional(value)),
            ],
        ),
        R::GroupConfigSet { group, key, value } => (
            "GroupConfigSet",
            vec![
                ("group", group.into()),
                ("key", key.into()),
                ("value", optional(value)),
            ],
        ),
        R::ClientQuotaSet { entity, key, limit } => (
            "ClientQuotaSet",
            vec![
                ("user", entity_name(entity.user)),
                ("clientId", entity_name(entity.client_id)),
                ("ip", entity_name(entity.ip)),
                ("key", key.into()),
                // As a text: the limit need not be whole.
                (
                    "limit",
                    optional(limit.map(|limit| limit.get().to_string())),
                ),
            ],
        ),
        R::FeatureLevelSet { name, level } => (
            "FeatureLevelSet",
            vec![("name", name.into()), ("level", i64::from(level).into())],
        ),
    }
}

fn optional(text: Option<String>) -> Value<'static> {
    text.map_or(Value::Null, Value::Text)
}

/// Null: no such part; empty: the default, since no name is empty.
fn entity_name(name: Option<EntityName>) -> Value<'static> {
    optional(name.map(|name| match name {
        EntityName::Default => String::new(),
        EntityName::Named(name) => name,
    }))
}

fn partition(state: &PartitionState) -> Value<'static> {
    let nodes = |nodes: &[i32]| Value::List(nodes.iter().map(|&node| node.into()).collect());
    Value::Object(vec![
        ("replicas", nodes(&state.replicas)),
        ("isr", nodes(&state.isr)),
        (
            "leader",
            state.leader.map_or(Value::Null, |leader| leader.into()),
        ),
        ("leaderEpoch", state.leader_epoch.0.into()),
        ("partitionEpoch", state.partition_epoch.into()),
    ])
}
