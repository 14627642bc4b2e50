//! DescribeTopicPartitions (75): partitions of topics page by page, in the order of the topics' names.

use std::collections::BTreeSet;
use std::sync::Arc;

use rinka_net::wire::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic, TopicRequest,
};
use rinka_net::wire::{ErrorCode, Text};
use uuid::Uuid;

use super::Context;
use super::metadata::{TOPIC_OPERATIONS, broker_of};
use crate::controller::topic_name;
use crate::metadata::image::MetadataImage;
use crate::metadata::topic::Topic;

/// `max.request.partition.size.limit` of Kafka: a page has no more, whatever the client asks for.
const PARTITIONS_MAX: i32 = 2000;

pub(super) fn handle(
    context: &Context,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    if let Some(cursor) = &request.cursor
        && !follows(cursor, &request.topics)
    {
        return refused(request.topics);
    }
    let image = Arc::clone(&context.shard.image.borrow());
    let page = page(&request, &image);
    let topics = page.parts.into_iter().map(|part| {
        let Some(topic) = part.topic else {
            return unknown(part.name);
        };
        DescribeTopicPartitionsResponseTopic {
            error_code: ErrorCode::NONE,
            name: Some(Text::from(part.name.to_owned())),
            topic_id: topic.id.0,
            is_internal: topic_name::is_internal(part.name),
            partitions: part
                .partitions
                .filter_map(|index| describe(context, topic, index))
                .collect(),
            topic_authorized_operations: TOPIC_OPERATIONS,
        }
    });
    DescribeTopicPartitionsResponse {
        topics: topics.collect(),
        next_cursor: page.next,
        ..Default::default()
    }
}

/// Whether a page of these topics can begin there: nothing that was asked for lies before it alone.
fn follows(cursor: &Cursor, topics: &[TopicRequest]) -> bool {
    let is_left = |topic: &TopicRequest| topic.name.as_str() >= cursor.topic_name.as_str();
    cursor.partition_index >= 0 && (topics.is_empty() || topics.iter().any(is_left))
}

fn refused(topics: Vec<TopicRequest>) -> DescribeTopicPartitionsResponse {
    let failed = |topic: TopicRequest| DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::INVALID_REQUEST,
        name: Some(topic.name),
        ..Default::default()
    };
    DescribeTopicPartitionsResponse {
        topics: topics.into_iter().map(failed).collect(),
        ..Default::default()
    }
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        error_code: match topic_name::validate(name) {
            Ok(()) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Err(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
        },
        name: Some(Text::from(name.to_owned())),
        topic_id: Uuid::nil(),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..Default::default()
    }
}

fn describe(
    context: &Context,
    topic: &Topic,
    index: i32,
) -> Option<DescribeTopicPartitionsResponsePartition> {
    let state = topic.partition(index)?;
    let broker = |id: &i32| broker_of(&context.shard, topic, index, *id);
    Some(DescribeTopicPartitionsResponsePartition {
        error_code: match state.leader {
            Some(_) => ErrorCode::NONE,
            None => ErrorCode::LEADER_NOT_AVAILABLE,
        },
        partition_index: index,
        leader_id: state.leader.as_ref().map_or(-1, broker),
        leader_epoch: state.leader_epoch.0,
        replica_nodes: state.replicas.iter().map(broker).collect(),
        isr_nodes: state.isr.iter().map(broker).collect(),
        // Whoever is not in sync may not lead.
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        offline_replicas: Vec::new(),
    })
}

/// What one response has room for.
#[derive(Debug)]
struct Page<'a> {
    parts: Vec<Part<'a>>,
    next: Option<Cursor>,
}

#[derive(Debug)]
struct Part<'a> {
    name: &'a str,
    /// `None`: there is no such topic.
    topic: Option<&'a Topic>,
    partitions: std::ops::Range<i32>,
}

fn page<'a>(request: &'a DescribeTopicPartitionsRequest, image: &'a MetadataImage) -> Page<'a> {
    let all = request.topics.is_empty();
    let mut names: BTreeSet<&str> = match all {
        true => image.topics().map(|topic| &*topic.name).collect(),
        false => request.topics.iter().map(|topic| &*topic.name).collect(),
    };
    let mut first_partition = 0;
    if let Some(cursor) = &request.cursor {
        names = names.split_off(&*cursor.topic_name);
        // The cursor's topic may be gone: then the page begins with the one behind it.
        if names.first() == Some(&&*cursor.topic_name) {
            first_partition = cursor.partition_index.max(0);
        }
    }
    let mut left = request.response_partition_limit.clamp(1, PARTITIONS_MAX);
    let mut page = Page {
        parts: Vec::new(),
        next: None,
    };
    for name in names {
        let cursor = |partition_index| Cursor {
            topic_name: Text::from(name.to_owned()),
            partition_index,
        };
        if left == 0 {
            page.next = Some(cursor(0));
            break;
        }
        let topic = image.topic_named(name).map(|topic| &**topic);
        let count = topic.map_or(0, Topic::partition_count);
        let count = i32::try_from(count).expect("the controller bounds partitions far below 2^31");
        let from = std::mem::take(&mut first_partition).min(count);
        let to = count.min(from + left);
        left -= to - from;
        page.parts.push(Part {
            name,
            topic,
            partitions: from..to,
        });
        if to < count {
            page.next = Some(cursor(to));
            break;
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use rinka_storage::topic_partition::TopicId;

    use super::*;
    use crate::metadata::records::MetadataRecord;
    use crate::metadata::topic::PartitionState;

    fn image(topics: &[(&str, usize)]) -> MetadataImage {
        let mut image = MetadataImage::default();
        for (number, (name, partitions)) in (1..).zip(topics) {
            let record = MetadataRecord::TopicCreated {
                id: TopicId(Uuid::from_u128(number)),
                name: (*name).to_owned(),
                partitions: vec![PartitionState::new(vec![1], vec![1]); *partitions],
            };
            image.replay(&record).unwrap();
        }
        image
    }

    /// The pages, each as its parts.
    fn pages(image: &MetadataImage, names: &[&str], limit: i32) -> Vec<Vec<(String, i32, i32)>> {
        let mut request = DescribeTopicPartitionsRequest {
            topics: names
                .iter()
                .map(|name| TopicRequest {
                    name: Text::from((*name).to_owned()),
                })
                .collect(),
            response_partition_limit: limit,
            cursor: None,
        };
        let mut pages = Vec::new();
        loop {
            let page = page(&request, image);
            let parts = page.parts.iter();
            pages.push(
                parts
                    .map(|part| {
                        let range = &part.partitions;
                        (part.name.to_owned(), range.start, range.end)
                    })
                    .collect(),
            );
            match page.next {
                Some(next) => request.cursor = Some(next),
                None => return pages,
            }
        }
    }

    fn part(name: &str, from: i32, to: i32) -> (String, i32, i32) {
        (name.to_owned(), from, to)
    }

    #[test]
    fn pages_follow_one_another_without_a_gap() {
        let image = image(&[("b", 3), ("a", 2), ("c", 1)]);
        assert_eq!(
            pages(&image, &[], 2),
            [
                vec![part("a", 0, 2)],
                vec![part("b", 0, 2)],
                vec![part("b", 2, 3), part("c", 0, 1)],
            ]
        );
        assert_eq!(pages(&image, &["c", "a"], 9).len(), 1);
        let least = pages(&image, &[], -7);
        assert_eq!(least.len(), 6, "a page has one partition at least");
    }

    #[test]
    fn what_is_not_there_is_told_and_takes_no_room() {
        let image = image(&[("a", 1)]);
        assert_eq!(
            pages(&image, &["a", "no", "b"], 2),
            [vec![part("a", 0, 1), part("b", 0, 0), part("no", 0, 0)]]
        );
    }

    #[test]
    fn a_page_has_an_end_whatever_is_asked_for() {
        let image = image(&[("a", 5000)]);
        let seen = pages(&image, &[], i32::MAX);
        assert_eq!(seen.len(), 3);
        assert_eq!(seen[1], [part("a", 2000, 4000)]);
    }
}
