//! DeleteTopics (20): the controller decides; files go in the background.

use rinka_net::wire::Text;
use rinka_net::wire::delete_topics::{
    DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse,
};
use rinka_storage::topic_partition::TopicId;

use super::Context;
use super::errors::{delete_topic_error, partition_error};
use crate::controller::topics::{DeleteTopicResult, TopicReference, delete_topics};

pub(super) async fn handle(
    context: &Context,
    version: i16,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let by_name = request
        .topic_names
        .iter()
        .map(|name| TopicReference::Name(name.to_string()));
    let by_either = request.topics.iter().map(|topic| {
        let id = (!topic.topic_id.is_nil()).then_some(TopicId(topic.topic_id));
        match (&topic.name, id) {
            (Some(name), None) => TopicReference::Name(name.to_string()),
            (None, Some(id)) => TopicReference::Id(id),
            (Some(name), Some(id)) => TopicReference::NameAndId(name.to_string(), id),
            (None, None) => TopicReference::Nothing,
        }
    });
    let topics: Vec<TopicReference> = by_name.chain(by_either).collect();
    let wanted = topics.clone();
    let decided = context
        .shard
        .change_metadata(move |image, node| delete_topics(&topics, image, &node.config))
        .await;
    let responses = match decided {
        Ok(results) => results
            .into_iter()
            .map(|deleted| result(deleted, version))
            .collect(),
        Err(error) => wanted
            .into_iter()
            .map(|topic| DeletableTopicResult {
                error_code: partition_error(&error),
                ..named(topic)
            })
            .collect(),
    };
    DeleteTopicsResponse {
        responses,
        ..Default::default()
    }
}

fn named(topic: TopicReference) -> DeletableTopicResult {
    match topic {
        TopicReference::Name(name) => DeletableTopicResult {
            name: Some(Text::from(name)),
            ..Default::default()
        },
        TopicReference::Id(id) => DeletableTopicResult {
            name: None,
            topic_id: id.0,
            ..Default::default()
        },
        TopicReference::NameAndId(name, id) => DeletableTopicResult {
            name: Some(Text::from(name)),
            topic_id: id.0,
            ..Default::default()
        },
        TopicReference::Nothing => DeletableTopicResult::default(),
    }
}

fn result(result: DeleteTopicResult, version: i16) -> DeletableTopicResult {
    match result.outcome {
        Ok((name, id)) => DeletableTopicResult {
            name: Some(Text::from(name)),
            topic_id: id.0,
            ..Default::default()
        },
        Err(error) => DeletableTopicResult {
            error_code: delete_topic_error(error, version),
            error_message: Some(Text::from(error.to_string())),
            ..named(result.topic)
        },
    }
}
