//! InitProducerId (22): an id for an idempotent producer, from the block this shard was given.

use rinka_net::wire::ErrorCode;
use rinka_net::wire::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

use super::Context;
use super::errors::partition_error;
use crate::controller::producer_ids::allocate_producer_ids;
use crate::shard::ProducerIds;

pub(super) async fn handle(
    context: &Context,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let failed = |error_code| InitProducerIdResponse {
        error_code,
        producer_epoch: -1,
        ..Default::default()
    };
    let (has_id, has_epoch) = (request.producer_id != -1, request.producer_epoch != -1);
    let nameless = request
        .transactional_id
        .as_ref()
        .is_some_and(|id| id.is_empty());
    if has_id != has_epoch || nameless {
        return failed(ErrorCode::INVALID_REQUEST);
    }
    if request.transactional_id.is_some() {
        // Transactions are not offered yet; this code makes clients say so at once instead of trying again.
        return failed(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    }
    let shard = &context.shard;
    loop {
        let ids = shard.producer_ids.get();
        if ids.next < ids.end {
            shard.producer_ids.set(ProducerIds {
                next: ids.next + 1,
                ..ids
            });
            return InitProducerIdResponse {
                producer_id: ids.next,
                producer_epoch: 0,
                ..Default::default()
            };
        }
        match shard
            .change_metadata(|image, _| allocate_producer_ids(image))
            .await
        {
            // Another request may have brought a block meanwhile: ids of the older one are lost, and there are enough.
            Ok(Ok(block)) => shard.producer_ids.set(ProducerIds {
                next: block.start,
                end: block.end,
            }),
            Ok(Err(_)) => return failed(ErrorCode::UNKNOWN_SERVER_ERROR),
            Err(error) => return failed(partition_error(&error)),
        }
    }
}
