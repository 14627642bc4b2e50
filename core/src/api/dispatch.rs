//! From a frame to the file of its API, on one screen; nothing else lives here.

use std::rc::Rc;

use bytes::Bytes;
use rinka_net::connection::{Outcome, Reply, Service};
use rinka_net::rejected::Rejected;
use rinka_net::wire::fetch::FetchRequest;
use rinka_net::wire::{
    ApiKey, DecodeError, Field, Reader, RequestHeader, Structure, Version, decode_request_header,
    encode_response,
};

use super::throttle::Throttle;
use super::{
    Context, api_versions, consumer_group_describe, consumer_group_heartbeat, create_topics,
    delete_groups, delete_records, delete_topics, describe_cluster, describe_configs,
    describe_groups, fetch, find_coordinator, heartbeat, init_producer_id, join_group, leave_group,
    list_groups, list_offsets, metadata, offset_commit, offset_delete, offset_fetch,
    offset_for_leader_epoch, produce, sync_group,
};
use super::{
    alter_client_quotas, alter_configs, alter_partition_reassignments, alter_replica_log_dirs,
    create_acls, create_partitions, delete_acls, describe_acls, describe_client_quotas,
    describe_log_dirs, describe_producers, describe_quorum, describe_topic_partitions,
    elect_leaders, incremental_alter_configs, list_config_resources, list_partition_reassignments,
    update_features,
};

/// What is known of a request before its body is read.
pub(super) struct Header {
    pub(super) request: RequestHeader,
    /// Where any client has a quota.
    pub(super) throttle: Option<Throttle>,
    /// Of the whole frame.
    pub(super) bytes: usize,
}

/// A connection's way to the APIs.
pub(super) struct Dispatch {
    pub(super) context: Rc<Context>,
}

impl Service for Dispatch {
    async fn call(&self, frame: Bytes) -> Outcome {
        self.context.shard.mark_active();
        let bytes = frame.len();
        let mut reader = Reader::new(frame);
        match self.start(&mut reader, bytes).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Close(
                Rejected::Malformed,
                format!("a request cannot be read: {error}"),
            ),
        }
    }

    fn admit(&self, begun: &[u8]) -> Result<(), (Rejected, String)> {
        let &[a, b, c, d, ..] = begun else {
            return Ok(());
        };
        offered(i16::from_be_bytes([a, b]), i16::from_be_bytes([c, d])).map(|_| ())
    }
}

/// The API and whether it has this version; of ApiVersions any is taken, to be answered with the ones there are (KIP-511).
fn offered(api_key: i16, version: i16) -> Result<(ApiKey, bool), (Rejected, String)> {
    let Some(api) = ApiKey::from_number(api_key).filter(|api| api.is_served()) else {
        let reason = format!("API key {api_key} is not offered");
        return Err((Rejected::UnknownApi, reason));
    };
    let known = api.versions().contains(version);
    if !known && api != ApiKey::ApiVersions {
        let reason = format!("{api} version {version} is not offered");
        return Err((Rejected::UnknownApi, reason));
    }
    Ok((api, known))
}

impl Dispatch {
    async fn start(&self, reader: &mut Reader, bytes: usize) -> Result<Outcome, DecodeError> {
        let request = decode_request_header(reader)?;
        let header = Header {
            throttle: Throttle::of(&self.context, &request),
            request,
            bytes,
        };
        let version = header.request.api_version;
        let (api, known) = match offered(header.request.api_key, version) {
            Ok(offered) => offered,
            Err((kind, reason)) => return Ok(Outcome::Close(kind, reason)),
        };
        if !known {
            return Ok(reply(&header, api, 0, async {
                api_versions::unsupported_version()
            }));
        }
        let read = Version {
            number: version,
            flexible: api.is_flexible(version),
        };
        let context = Rc::clone(&self.context);
        context.shard.counters.on_request(api);
        Ok(match api {
            ApiKey::Produce => produce::start(context, header, Field::read(reader, read)?).await,
            ApiKey::Fetch => {
                let mut request: FetchRequest = Field::read(reader, read)?;
                if let Some(throttle) = &header.throttle {
                    request.max_bytes = request.max_bytes.min(throttle.fetch_bytes_max());
                }
                reply(&header, api, version, async move {
                    fetch::handle(&context, version, request).await
                })
            }
            ApiKey::ListOffsets => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    list_offsets::handle(&context, version, request).await
                })
            }
            ApiKey::Metadata => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    metadata::handle(&context, version, request).await
                })
            }
            ApiKey::OffsetCommit => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    offset_commit::handle(&context, version, request).await
                })
            }
            ApiKey::OffsetFetch => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    offset_fetch::handle(&context, version, request).await
                })
            }
            ApiKey::FindCoordinator => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    find_coordinator::handle(&context, version, request).await
                })
            }
            ApiKey::JoinGroup => {
                let request = Field::read(reader, read)?;
                let client_id = header.request.client_id.clone().unwrap_or_default();
                wait(&header, api, version, async move {
                    join_group::handle(&context, version, client_id, request).await
                })
            }
            ApiKey::Heartbeat => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    heartbeat::handle(&context, request).await
                })
            }
            ApiKey::LeaveGroup => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    leave_group::handle(&context, version, request).await
                })
            }
            ApiKey::SyncGroup => {
                let request = Field::read(reader, read)?;
                wait(&header, api, version, async move {
                    sync_group::handle(&context, version, request).await
                })
            }
            ApiKey::DescribeGroups => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    describe_groups::handle(&context, version, request).await
                })
            }
            ApiKey::ListGroups => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    list_groups::handle(&context, request).await
                })
            }
            ApiKey::ApiVersions => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    api_versions::handle(&context, version, &request)
                })
            }
            ApiKey::CreateTopics => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    create_topics::handle(&context, request).await
                })
            }
            ApiKey::DeleteTopics => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    delete_topics::handle(&context, version, request).await
                })
            }
            ApiKey::DeleteRecords => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    delete_records::handle(&context, request).await
                })
            }
            ApiKey::InitProducerId => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    init_producer_id::handle(&context, request).await
                })
            }
            ApiKey::OffsetForLeaderEpoch => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    offset_for_leader_epoch::handle(&context, request).await
                })
            }
            ApiKey::DescribeAcls => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    describe_acls::handle(&request)
                })
            }
            ApiKey::CreateAcls => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    create_acls::handle(&request)
                })
            }
            ApiKey::DeleteAcls => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    delete_acls::handle(&request)
                })
            }
            ApiKey::DescribeConfigs => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    describe_configs::handle(&context, request)
                })
            }
            ApiKey::AlterConfigs => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    alter_configs::handle(&context, request).await
                })
            }
            ApiKey::AlterReplicaLogDirs => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    alter_replica_log_dirs::handle(&context, request)
                })
            }
            ApiKey::DescribeLogDirs => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    describe_log_dirs::handle(&context, request).await
                })
            }
            ApiKey::CreatePartitions => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    create_partitions::handle(&context, request).await
                })
            }
            ApiKey::ElectLeaders => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    elect_leaders::handle(&context, request).await
                })
            }
            ApiKey::IncrementalAlterConfigs => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    incremental_alter_configs::handle(&context, request).await
                })
            }
            ApiKey::AlterPartitionReassignments => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    alter_partition_reassignments::handle(&context, request).await
                })
            }
            ApiKey::ListPartitionReassignments => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    list_partition_reassignments::handle(&request)
                })
            }
            ApiKey::DescribeClientQuotas => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    describe_client_quotas::handle(&context, &request)
                })
            }
            ApiKey::AlterClientQuotas => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    alter_client_quotas::handle(&context, request).await
                })
            }
            ApiKey::DescribeQuorum => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    describe_quorum::handle(&context, request).await
                })
            }
            ApiKey::UpdateFeatures => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    update_features::handle(&context, version, request).await
                })
            }
            ApiKey::DeleteGroups => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    delete_groups::handle(&context, request).await
                })
            }
            ApiKey::OffsetDelete => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    offset_delete::handle(&context, request).await
                })
            }
            ApiKey::DescribeCluster => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    describe_cluster::handle(&context, version, &request)
                })
            }
            ApiKey::DescribeProducers => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    describe_producers::handle(&context, request).await
                })
            }
            ApiKey::ListConfigResources => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    list_config_resources::handle(&context, version, &request)
                })
            }
            ApiKey::DescribeTopicPartitions => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    describe_topic_partitions::handle(&context, request)
                })
            }
            ApiKey::ConsumerGroupHeartbeat => {
                let request = Field::read(reader, read)?;
                let client_id = header.request.client_id.clone().unwrap_or_default();
                reply(&header, api, version, async move {
                    consumer_group_heartbeat::handle(&context, version, client_id, request).await
                })
            }
            ApiKey::ConsumerGroupDescribe => {
                let request = Field::read(reader, read)?;
                reply(&header, api, version, async move {
                    consumer_group_describe::handle(&context, request).await
                })
            }
        })
    }
}

fn reply<R: Structure + 'static>(
    header: &Header,
    api: ApiKey,
    version: i16,
    work: impl Future<Output = R> + 'static,
) -> Outcome {
    let correlation_id = header.request.correlation_id;
    if let Some(throttle) = header.throttle.clone() {
        return throttle.reply(api, version, correlation_id, work);
    }
    Outcome::Reply(Box::pin(respond(correlation_id, api, version, work)))
}

/// Of work that does nothing but wait once it has begun, and that nobody needs when the client is gone.
fn wait<R: Field + 'static>(
    header: &Header,
    api: ApiKey,
    version: i16,
    work: impl Future<Output = R> + 'static,
) -> Outcome {
    let correlation_id = header.request.correlation_id;
    Outcome::Wait(Box::pin(respond(correlation_id, api, version, work)))
}

async fn respond<R: Field>(
    correlation_id: i32,
    api: ApiKey,
    version: i16,
    work: impl Future<Output = R>,
) -> Reply {
    let response = work.await;
    Reply::Send(encode_response(api, version, correlation_id, &response))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_handler_is_refused_before_its_body_is_read() {
        for &api in ApiKey::ALL {
            let offered = offered(api.number(), api.versions().max);
            assert_eq!(offered.is_ok(), api.is_served(), "{api}");
        }
    }
}
