//! Items 3 to 9, 12, 42, 43 and 46: versions, order, metadata, creation.

use rinka_net::wire::ErrorCode;
use rinka_net::wire::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use rinka_net::wire::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};
use rinka_net::wire::delete_topics::{DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse};
use rinka_net::wire::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};

use super::*;

#[test]
fn item_04_software_names_are_checked() {
    let mut bench = Bench::new(&[]);
    let mut ask = |name: &'static str| {
        let request = ApiVersionsRequest {
            client_software_name: Text::from(name),
            client_software_version: Text::from("1.0"),
        };
        let response: ApiVersionsResponse = bench.connection.call(ApiKey::ApiVersions, 3, &request);
        response.error_code
    };
    assert_eq!(ask("a-client"), ErrorCode::NONE);
    assert_eq!(ask("-client"), ErrorCode::INVALID_REQUEST);
    assert_eq!(ask("a client"), ErrorCode::INVALID_REQUEST);
}

#[test]
fn item_06_produce_is_offered_from_version_0() {
    let mut bench = Bench::new(&[]);
    let request = ApiVersionsRequest::default();
    let response: ApiVersionsResponse = bench.connection.call(ApiKey::ApiVersions, 2, &request);
    let produce = response
        .api_keys
        .iter()
        .find(|api| api.api_key == 0)
        .expect("offered");
    assert_eq!(produce.min_version, 0);
}

#[test]
fn item_08_answers_come_in_the_order_of_requests() {
    let mut bench = Bench::new(&[]);
    // The first waits, the others could be answered at once.
    let mut slow = bench.fetch_request(0, 1 << 20);
    (slow.min_bytes, slow.max_wait_ms) = (1, 300);
    let first = bench.connection.send(ApiKey::Fetch, 12, &slow);
    let second = bench
        .connection
        .send(ApiKey::ApiVersions, 2, &ApiVersionsRequest::default());
    let third = bench
        .connection
        .send(ApiKey::ApiVersions, 2, &ApiVersionsRequest::default());
    let fetched: FetchResponse = bench.connection.receive(ApiKey::Fetch, 12, first);
    assert_eq!(fetched.error_code, ErrorCode::NONE);
    for correlation in [second, third] {
        let _: ApiVersionsResponse = bench
            .connection
            .receive(ApiKey::ApiVersions, 2, correlation);
    }
}

fn metadata(bench: &mut Bench, version: i16, topics: Option<&[&str]>) -> MetadataResponse {
    let named = |name: &&str| MetadataRequestTopic {
        name: Some(Text::from((*name).to_owned())),
        ..Default::default()
    };
    let request = MetadataRequest {
        topics: topics.map(|topics| topics.iter().map(named).collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    bench.connection.call(ApiKey::Metadata, version, &request)
}

#[test]
fn item_09_null_is_all_topics_and_empty_is_none() {
    let mut bench = Bench::new(&[]);
    let topic = bench.topic.clone();
    let all = metadata(&mut bench, 9, None);
    assert!(
        all.topics
            .iter()
            .any(|found| found.name.as_deref() == Some(&*topic))
    );
    assert!(metadata(&mut bench, 9, Some(&[])).topics.is_empty());
}

#[test]
fn item_42_an_unknown_topic_is_told_by_topic() {
    let mut bench = Bench::new(&[]);
    let topic = bench.topic.clone();
    let answer = metadata(&mut bench, 9, Some(&[&topic, "never-made", "not/a/name"]));
    let error = |name: &str| {
        let found = answer
            .topics
            .iter()
            .find(|found| found.name.as_deref() == Some(name));
        found.expect("told of").error_code
    };
    assert_eq!(error(&topic), ErrorCode::NONE);
    assert_eq!(error("never-made"), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(error("not/a/name"), ErrorCode::INVALID_TOPIC_EXCEPTION);
    let broker = answer
        .brokers
        .iter()
        .any(|broker| broker.node_id == answer.controller_id);
    assert!(broker, "the controller is a live broker");
}

#[test]
fn item_42_a_topic_made_on_demand_is_told_of_when_it_is_asked_for_again() {
    let settings = BrokerSettings::new("node").with("auto.create.topics.enable", "true");
    let broker = Broker::start(settings);
    let mut connection = Connection::open(broker.bootstrap());
    let name = fresh_name("on-demand");
    let mut ask = |allow_auto_topic_creation| {
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                name: Some(Text::from(name.clone())),
                ..Default::default()
            }]),
            allow_auto_topic_creation,
            ..Default::default()
        };
        let answer: MetadataResponse = connection.call(ApiKey::Metadata, 9, &request);
        answer.topics[0].error_code
    };
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(ask(false), unknown);
    assert_eq!(ask(true), unknown);
    let made = eventually(|| ask(false), |answer| *answer == ErrorCode::NONE);
    assert_eq!(made, ErrorCode::NONE);
}

#[test]
fn item_42_topics_are_asked_for_by_id_from_version_12_on() {
    let mut bench = Bench::new(&[]);
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: None,
            topic_id: uuid::Uuid::from_u128(7),
        }]),
        ..Default::default()
    };
    let mut ask = |version| {
        let answer: MetadataResponse = bench.connection.call(ApiKey::Metadata, version, &request);
        answer.topics[0].error_code
    };
    assert_eq!(ask(11), ErrorCode::INVALID_REQUEST);
    assert_eq!(ask(12), ErrorCode::UNKNOWN_TOPIC_ID);
}

#[test]
fn topics_are_not_deleted_when_it_is_not_clear_which() {
    let mut bench = Bench::new(&[]);
    let topic = bench.topic.clone();
    let id = metadata(&mut bench, 12, Some(&[&topic])).topics[0].topic_id;
    let state = |name: Option<&str>, topic_id| DeleteTopicState {
        name: name.map(|name| Text::from(name.to_owned())),
        topic_id,
    };
    let nil = uuid::Uuid::nil();
    for topics in [
        vec![state(Some(&topic), id)],
        vec![state(None, nil)],
        vec![state(Some(&topic), nil), state(Some(&topic), nil)],
        vec![state(None, id), state(None, id)],
    ] {
        let request = DeleteTopicsRequest {
            topics,
            timeout_ms: 30_000,
            ..Default::default()
        };
        let answer: DeleteTopicsResponse = bench.connection.call(ApiKey::DeleteTopics, 6, &request);
        let [refused] = &answer.responses[..] else {
            panic!("one answer: {answer:?}");
        };
        assert_eq!(refused.error_code, ErrorCode::INVALID_REQUEST);
    }
    let answer = metadata(&mut bench, 12, Some(&[&topic]));
    assert_eq!(answer.topics[0].error_code, ErrorCode::NONE);
}

#[test]
fn item_43_operations_that_were_asked_for_are_told_of_what_is_not_there_too() {
    let mut bench = Bench::new(&[]);
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(Text::from("never-made")),
            ..Default::default()
        }]),
        include_topic_authorized_operations: true,
        ..Default::default()
    };
    let answer: MetadataResponse = bench.connection.call(ApiKey::Metadata, 9, &request);
    assert!(answer.topics[0].topic_authorized_operations > 0);
}

#[test]
fn item_09_topics_are_found_by_their_ids_whatever_name_stands_beside() {
    let mut bench = Bench::new(&[]);
    let topic = bench.topic.clone();
    let id = metadata(&mut bench, 12, Some(&[&topic])).topics[0].topic_id;
    let unknown = uuid::Uuid::from_u128(7);
    // Kafka's own client leaves the name empty; others send none.
    for name in [Some(Text::from("")), None] {
        let wanted = |topic_id| MetadataRequestTopic {
            topic_id,
            name: name.clone(),
        };
        let request = MetadataRequest {
            topics: Some(vec![wanted(id), wanted(unknown)]),
            ..Default::default()
        };
        let answer: MetadataResponse = bench.connection.call(ApiKey::Metadata, 12, &request);
        assert_eq!(answer.topics.len(), 2);
        let of = |id| {
            let found = answer.topics.iter().find(|found| found.topic_id == id);
            let found = found.expect("told of by its id");
            (found.error_code, found.name.as_deref())
        };
        assert_eq!(of(id), (ErrorCode::NONE, Some(&*topic)));
        assert_eq!(of(unknown), (ErrorCode::UNKNOWN_TOPIC_ID, None));
    }
}

#[test]
fn item_43_operations_that_were_not_asked_for_are_the_smallest_number() {
    let mut bench = Bench::new(&[]);
    let topic = bench.topic.clone();
    let answer = metadata(&mut bench, 9, Some(&[&topic]));
    assert_eq!(answer.topics[0].topic_authorized_operations, i32::MIN);
    assert_eq!(answer.cluster_authorized_operations, i32::MIN);
}

fn create(
    bench: &mut Bench,
    topics: Vec<CreatableTopic>,
    validate_only: bool,
) -> Vec<CreatableTopicResult> {
    let request = CreateTopicsRequest {
        topics,
        timeout_ms: 30_000,
        validate_only,
    };
    let response: CreateTopicsResponse = bench.connection.call(ApiKey::CreateTopics, 7, &request);
    response.topics
}

fn topic(name: &str, partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: Text::from(name.to_owned()),
        num_partitions: partitions,
        replication_factor,
        ..Default::default()
    }
}

#[test]
fn item_46_topics_are_created_as_asked_or_refused_with_the_reason() {
    let mut bench = Bench::new(&[]);
    let name = fresh_name("made");
    let mut with_config = topic(&name, 3, -1);
    with_config.configs = vec![CreatableTopicConfig {
        name: Text::from("retention.ms"),
        value: Some(Text::from("12345")),
    }];
    // Only looked at: it is not there afterwards.
    let looked_at = create(&mut bench, vec![with_config.clone()], true);
    assert_eq!(looked_at[0].error_code, ErrorCode::NONE);
    let made = create(&mut bench, vec![with_config.clone()], false).remove(0);
    assert_eq!(
        (
            made.error_code,
            made.num_partitions,
            made.replication_factor
        ),
        (ErrorCode::NONE, 3, 1)
    );
    assert!(!made.topic_id.is_nil());
    let configs = made.configs.expect("version 5 and later tell them");
    let retention = configs
        .iter()
        .find(|config| &*config.name == "retention.ms");
    assert_eq!(retention.expect("told").value.as_deref(), Some("12345"));
    let mut refused = |topic: CreatableTopic| create(&mut bench, vec![topic], false)[0].error_code;
    assert_eq!(refused(with_config), ErrorCode::TOPIC_ALREADY_EXISTS);
    assert_eq!(
        refused(topic(&fresh_name("x"), -3, 1)),
        ErrorCode::INVALID_PARTITIONS
    );
    assert_eq!(
        refused(topic(&fresh_name("x"), 1, 9)),
        ErrorCode::INVALID_REPLICATION_FACTOR
    );
    let mut wrong = topic(&fresh_name("x"), 1, 1);
    wrong.configs = vec![CreatableTopicConfig {
        name: Text::from("colour"),
        value: Some(Text::from("red")),
    }];
    assert_eq!(refused(wrong), ErrorCode::INVALID_CONFIG);
    let twice = topic(&fresh_name("x"), 1, 1);
    let answers = create(&mut bench, vec![twice.clone(), twice], false);
    assert!(
        answers
            .iter()
            .all(|answer| answer.error_code == ErrorCode::INVALID_REQUEST)
    );
}

#[test]
fn item_12_topic_names_are_bounded_and_do_not_collide() {
    let mut bench = Bench::new(&[]);
    let long = "x".repeat(250);
    for name in ["", ".", "..", "a/b", "a b", &*long] {
        let answer = create(&mut bench, vec![topic(name, 1, 1)], false);
        assert_eq!(
            answer[0].error_code,
            ErrorCode::INVALID_TOPIC_EXCEPTION,
            "{name:?}"
        );
    }
    let name = fresh_name("dotted");
    let created = create(&mut bench, vec![topic(&format!("{name}.a"), 1, 1)], false);
    assert_eq!(created[0].error_code, ErrorCode::NONE);
    let collides = create(&mut bench, vec![topic(&format!("{name}_a"), 1, 1)], false);
    assert_eq!(collides[0].error_code, ErrorCode::INVALID_TOPIC_EXCEPTION);
}
