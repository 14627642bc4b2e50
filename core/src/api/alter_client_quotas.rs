//! AlterClientQuotas (49): sets and removes quotas, in effect when it answers. The controller decides.

use rinka_net::wire::alter_client_quotas::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, EntityData, EntryData, EntryResult,
};
use rinka_net::wire::{ErrorCode, Text};

use super::Context;
use super::errors::{alter_quota_error, partition_error};
use crate::controller::quotas::{AlterQuota, alter_quotas};

pub(super) async fn handle(
    context: &Context,
    request: AlterClientQuotasRequest,
) -> AlterClientQuotasResponse {
    let entities: Vec<Vec<EntityData>> = request
        .entries
        .iter()
        .map(|entry| entry.entity.clone())
        .collect();
    let changes: Vec<AlterQuota> = request.entries.into_iter().map(change).collect();
    let validate_only = request.validate_only;
    let decided = context
        .shard
        .change_metadata(move |image, _| alter_quotas(&changes, validate_only, image))
        .await;
    let outcomes: Vec<(ErrorCode, Option<Text>)> = match decided {
        Ok(outcomes) => outcomes
            .into_iter()
            .map(|outcome| match outcome {
                Ok(()) => (ErrorCode::NONE, None),
                Err(error) => (
                    alter_quota_error(&error),
                    Some(Text::from(error.to_string())),
                ),
            })
            .collect(),
        Err(error) => vec![(partition_error(&error), None); entities.len()],
    };
    let results = entities.into_iter().zip(outcomes);
    AlterClientQuotasResponse {
        entries: results
            .map(|(entity, (error_code, error_message))| EntryResult {
                error_code,
                error_message,
                entity,
            })
            .collect(),
        ..Default::default()
    }
}

fn change(entry: EntryData) -> AlterQuota {
    let entity = entry.entity.into_iter().map(|part| {
        let name = part.entity_name.map(|name| name.to_string());
        (part.entity_type.to_string(), name)
    });
    let changes = entry.ops.into_iter().map(|change| {
        let limit = (!change.remove).then_some(change.value);
        (change.key.to_string(), limit)
    });
    AlterQuota {
        entity: entity.collect(),
        changes: changes.collect(),
    }
}
