//! Rows 18-20, 46 and 47: names, numbers and floods.

use std::collections::BTreeSet;

use rinka_net::wire::create_topics::{CreatableTopic, CreateTopicsRequest, CreateTopicsResponse};
use rinka_net::wire::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use rinka_net::wire::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use rinka_net::wire::produce::ProduceResponse;
use rinka_net::wire::{ApiKey, ErrorCode, Text};
use rinka_storage::record_batch::RecordBatchBuilder;

use crate::well_behaved::{now_ms, produce_request};
use crate::{Row, Stage, row};

/// What one Metadata request may create.
const AUTO_CREATED_MAX: usize = 100;

pub(crate) const ROWS: &[Row] = &[
    row(18, "names that are none", |stage| {
        let long = "a".repeat(250);
        let names = [
            "",
            ".",
            "..",
            "../../evil",
            "/etc/evil",
            "a\0b",
            "a\nb",
            "a b",
            "\u{1}",
            "ä",
            &long,
        ];
        let expected = ErrorCode::INVALID_TOPIC_EXCEPTION;
        for name in names {
            assert_eq!(asked_for(stage, name), expected, "Metadata of {name:?}");
            assert_eq!(
                created(stage, name, 1, 1),
                expected,
                "CreateTopics of {name:?}"
            );
            let mut batch = RecordBatchBuilder::new();
            batch.append(now_ms(), None, Some(b"value"));
            let request = produce_request(name, 0, Some(batch.build()), -1);
            let response: ProduceResponse = stage.connect().ask(ApiKey::Produce, 9, &request);
            let code = response.responses[0].partition_responses[0].error_code;
            assert!(code.is_error(), "Produce to {name:?}");
        }
        // The longest name there may be.
        assert_eq!(created(stage, &long[1..], 1, 1), ErrorCode::NONE);
    }),
    row(19, "a.b where a_b exists", |stage| {
        // Kafka's answer, although names are no file names here for anything but people: tools rely on it.
        assert_eq!(created(stage, "a_b", 1, 1), ErrorCode::NONE);
        assert_eq!(
            created(stage, "a.b", 1, 1),
            ErrorCode::INVALID_TOPIC_EXCEPTION
        );
    }),
    row(
        20,
        "Metadata of a million topics that do not exist",
        |stage| {
            let topics = (0..1_000_000).map(|number| MetadataRequestTopic {
                name: Some(Text::from(format!("t{number}"))),
                ..Default::default()
            });
            let request = MetadataRequest {
                topics: Some(topics.collect()),
                ..Default::default()
            };
            let mut response = MetadataResponse::default();
            let memory =
                stage.peak_mib(|| response = stage.connect().ask(ApiKey::Metadata, 9, &request));
            memory.assert_grew_less_than(512);
            assert_eq!(response.topics.len(), 1_000_000);
            let all = MetadataRequest {
                topics: None,
                ..Default::default()
            };
            let made: MetadataResponse = stage.connect().ask(ApiKey::Metadata, 9, &all);
            let is_flood = |name: &str| {
                let number = name.strip_prefix('t');
                number.is_some_and(|number| number.parse::<u32>().is_ok())
            };
            let names = made.topics.iter().filter_map(|topic| topic.name.as_deref());
            assert_eq!(
                names.filter(|name| is_flood(name)).count(),
                AUTO_CREATED_MAX
            );
        },
    ),
    row(
        46,
        "numbers of replicas and partitions that cannot be; a topic twice",
        |stage| {
            for (partitions, replicas, expected) in [
                (1, 2, ErrorCode::INVALID_REPLICATION_FACTOR),
                (1, 0, ErrorCode::INVALID_REPLICATION_FACTOR),
                (1, -2, ErrorCode::INVALID_REPLICATION_FACTOR),
                (-3, 1, ErrorCode::INVALID_PARTITIONS),
                (0, 1, ErrorCode::INVALID_PARTITIONS),
                (10_000_000, 1, ErrorCode::POLICY_VIOLATION),
                (i32::MAX, 1, ErrorCode::POLICY_VIOLATION),
            ] {
                let code = created(stage, "numbers", partitions, replicas);
                assert_eq!(
                    code, expected,
                    "{partitions} partitions, {replicas} replicas"
                );
            }
            let twice = CreateTopicsRequest {
                topics: vec![topic("twice", 1, 1), topic("twice", 1, 1)],
                ..Default::default()
            };
            let response: CreateTopicsResponse =
                stage.connect().ask(ApiKey::CreateTopics, 5, &twice);
            let codes = response.topics.iter().map(|topic| topic.error_code);
            assert!(
                codes.eq([ErrorCode::INVALID_REQUEST]),
                "{:?}",
                response.topics
            );
        },
    ),
    row(47, "a flood of InitProducerId", |stage| {
        const REQUESTS: usize = 10_000;
        let request = InitProducerIdRequest {
            transaction_timeout_ms: i32::MAX,
            ..Default::default()
        };
        let before = stage.resident_mib();
        let frame = crate::peer::request_frame(ApiKey::InitProducerId, 4, &request);
        let mut peer = stage.connect();
        let mut writer = peer.0.try_clone().expect("a socket");
        let sender = std::thread::spawn(move || {
            std::io::Write::write_all(&mut writer, &frame.repeat(REQUESTS)).expect("sent");
        });
        let ids: BTreeSet<i64> = (0..REQUESTS)
            .map(|_| {
                let response: InitProducerIdResponse = peer.reply(ApiKey::InitProducerId, 4);
                assert_eq!(response.error_code, ErrorCode::NONE);
                response.producer_id
            })
            .collect();
        sender.join().expect("all was sent");
        assert_eq!(ids.len(), REQUESTS, "each is another one");
        let grown = stage.resident_mib().saturating_sub(before);
        assert!(
            grown < 64,
            "ids cost {grown} MiB before anything was produced"
        );
    }),
];

fn asked_for(stage: &Stage, name: &str) -> ErrorCode {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(name.to_owned().into()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let response: MetadataResponse = stage.connect().ask(ApiKey::Metadata, 9, &request);
    response.topics[0].error_code
}

fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.to_owned().into(),
        num_partitions,
        replication_factor,
        ..Default::default()
    }
}

fn created(stage: &Stage, name: &str, partitions: i32, replicas: i16) -> ErrorCode {
    let request = CreateTopicsRequest {
        topics: vec![topic(name, partitions, replicas)],
        ..Default::default()
    };
    let response: CreateTopicsResponse = stage.connect().ask(ApiKey::CreateTopics, 5, &request);
    response.topics[0].error_code
}
