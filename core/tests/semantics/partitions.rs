//! What operators ask of partitions: CreatePartitions, DescribeTopicPartitions, DescribeLogDirs, AlterReplicaLogDirs, ElectLeaders,
//! AlterPartitionReassignments, ListPartitionReassignments and DescribeProducers.

use rinka_net::wire::ErrorCode;
use rinka_net::wire::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignableTopic,
};
use rinka_net::wire::alter_replica_log_dirs::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};
use rinka_net::wire::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsResponse,
    CreatePartitionsTopic,
};
use rinka_net::wire::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsRequest, DescribeLogDirsResponse,
};
use rinka_net::wire::describe_producers::{
    self, DescribeProducersRequest, DescribeProducersResponse,
};
use rinka_net::wire::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicRequest,
};
use rinka_net::wire::elect_leaders::{ElectLeadersRequest, ElectLeadersResponse, TopicPartitions};
use rinka_net::wire::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::*;

fn more(topic: &str, count: i32, assignments: Option<&[&[i32]]>) -> CreatePartitionsTopic {
    let assignment = |brokers: &&[i32]| CreatePartitionsAssignment {
        broker_ids: brokers.to_vec(),
    };
    CreatePartitionsTopic {
        name: Text::from(topic.to_owned()),
        count,
        assignments: assignments.map(|all| all.iter().map(assignment).collect()),
    }
}

fn create(
    bench: &mut Bench,
    topics: Vec<CreatePartitionsTopic>,
    validate_only: bool,
) -> Vec<ErrorCode> {
    let request = CreatePartitionsRequest {
        topics,
        timeout_ms: 30_000,
        validate_only,
    };
    let response: CreatePartitionsResponse =
        bench.connection.call(ApiKey::CreatePartitions, 3, &request);
    let results = response.results.iter();
    results.map(|result| result.error_code).collect()
}

fn page(
    bench: &mut Bench,
    topics: &[&str],
    limit: i32,
    cursor: Option<Cursor>,
) -> DescribeTopicPartitionsResponse {
    let request = DescribeTopicPartitionsRequest {
        topics: topics
            .iter()
            .map(|topic| TopicRequest {
                name: Text::from((*topic).to_owned()),
            })
            .collect(),
        response_partition_limit: limit,
        cursor,
    };
    bench
        .connection
        .call(ApiKey::DescribeTopicPartitions, 0, &request)
}

fn partition_count(bench: &mut Bench) -> usize {
    let topic = bench.topic.clone();
    page(bench, &[&topic], 2000, None).topics[0]
        .partitions
        .len()
}

#[test]
fn partitions_are_added_or_refused_with_the_reason() {
    let mut bench = Bench::new(&[]);
    let topic = bench.topic.clone();
    assert_eq!(
        create(&mut bench, vec![more(&topic, 3, None)], true),
        [ErrorCode::NONE]
    );
    assert_eq!(partition_count(&mut bench), 1, "only looked at");
    assert_eq!(
        create(&mut bench, vec![more(&topic, 3, None)], false),
        [ErrorCode::NONE]
    );
    assert_eq!(
        create(&mut bench, vec![more(&topic, 4, Some(&[&[1]]))], false),
        [ErrorCode::NONE]
    );
    let count = eventually(|| partition_count(&mut bench), |count| *count == 4);
    assert_eq!(count, 4);
    let mut refused = |request: CreatePartitionsTopic| create(&mut bench, vec![request], false)[0];
    assert_eq!(
        refused(more(&topic, 4, None)),
        ErrorCode::INVALID_PARTITIONS
    );
    assert_eq!(
        refused(more(&topic, 2, None)),
        ErrorCode::INVALID_PARTITIONS
    );
    assert_eq!(
        refused(more(&topic, -1, None)),
        ErrorCode::INVALID_PARTITIONS
    );
    assert_eq!(
        refused(more("never-made", 4, None)),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    let wrong: [&[&[i32]]; 3] = [&[&[1]], &[&[1], &[77]], &[&[1], &[]]];
    for assignments in wrong {
        assert_eq!(
            refused(more(&topic, 6, Some(assignments))),
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            "{assignments:?}"
        );
    }
    let twice = create(
        &mut bench,
        vec![more(&topic, 5, None), more(&topic, 6, None)],
        false,
    );
    assert_eq!(twice, [ErrorCode::INVALID_REQUEST]);
    // What was added takes records.
    let request = |bench: &Bench| {
        let mut request = bench.produce_request(-1, Some(batch(1)));
        request.topic_data[0].partition_data[0].index = 3;
        request
    };
    let error = eventually(
        || {
            let request = request(&bench);
            let response: ProduceResponse = bench.connection.call(ApiKey::Produce, 9, &request);
            response.responses[0].partition_responses[0].error_code
        },
        |error| !error.is_error(),
    );
    assert_eq!(error, ErrorCode::NONE);
}

#[test]
fn partitions_are_described_page_by_page() {
    let mut bench = Bench::new(&[]);
    let second = format!("{}-b", bench.topic);
    create_topic(bench.broker.bootstrap(), &second, 3, &[]);
    let topic = bench.topic.clone();
    let names = [&*second, &*topic, "never-made"];
    let first = eventually(
        || page(&mut bench, &names, 2, None),
        |page| page.topics.len() > 2 && page.topics[2].partitions.len() == 1,
    );
    // By name: the one that is not there takes no room.
    let seen: Vec<_> = first
        .topics
        .iter()
        .map(|topic| (topic.error_code, topic.partitions.len()))
        .collect();
    assert_eq!(
        seen,
        [
            (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, 0),
            (ErrorCode::NONE, 1),
            (ErrorCode::NONE, 1),
        ]
    );
    let partition = &first.topics[1].partitions[0];
    assert_eq!(partition.replica_nodes, [partition.leader_id]);
    assert_eq!(partition.isr_nodes, [partition.leader_id]);
    assert_eq!(partition.eligible_leader_replicas, Some(vec![]));
    let cursor = first.next_cursor.expect("there is more");
    assert_eq!((&*cursor.topic_name, cursor.partition_index), (&*second, 1));
    let rest = page(&mut bench, &names, 2, Some(cursor));
    let numbers: Vec<i32> = rest.topics[0]
        .partitions
        .iter()
        .map(|partition| partition.partition_index)
        .collect();
    assert_eq!((rest.topics.len(), &numbers[..]), (1, &[1, 2][..]));
    assert_eq!(rest.next_cursor, None);
}

fn log_dirs(bench: &mut Bench, topics: Option<Vec<(&str, Vec<i32>)>>) -> DescribeLogDirsResponse {
    let request = DescribeLogDirsRequest {
        topics: topics.map(|topics| {
            topics
                .into_iter()
                .map(|(topic, partitions)| DescribableLogDirTopic {
                    topic: Text::from(topic.to_owned()),
                    partitions,
                })
                .collect()
        }),
    };
    bench.connection.call(ApiKey::DescribeLogDirs, 4, &request)
}

#[test]
fn the_size_of_each_partition_and_of_the_disk_is_told() {
    let mut bench = Bench::new(&[]);
    let topic = bench.topic.clone();
    let records = batch(10);
    assert_eq!(bench.produce(records.clone()).error_code, ErrorCode::NONE);
    let asked = log_dirs(
        &mut bench,
        Some(vec![(&topic, vec![0, 9]), ("never-made", vec![0])]),
    );
    assert_eq!(asked.error_code, ErrorCode::NONE);
    let directory = &asked.results[0];
    assert_eq!(directory.error_code, ErrorCode::NONE);
    assert!(
        directory.log_dir.starts_with('/'),
        "{}",
        &*directory.log_dir
    );
    assert!(directory.total_bytes >= directory.usable_bytes && directory.usable_bytes > 0);
    assert_eq!(directory.topics.len(), 1, "what is not there is left out");
    let partitions = &directory.topics[0].partitions;
    assert_eq!(partitions.len(), 1);
    let partition = &partitions[0];
    assert_eq!(partition.partition_size, records.len() as i64);
    assert_eq!((partition.offset_lag, partition.is_future_key), (0, false));
    let all = log_dirs(&mut bench, None);
    let found = all.results[0].topics.iter();
    assert!(found.clone().any(|found| *found.name == *topic));
    let none = log_dirs(&mut bench, Some(Vec::new()));
    assert!(none.results.iter().all(|result| result.topics.is_empty()));
}

fn elect(bench: &mut Bench, partitions: Option<Vec<(&str, Vec<i32>)>>) -> ElectLeadersResponse {
    let request = ElectLeadersRequest {
        election_type: 0,
        topic_partitions: partitions.map(|topics| {
            topics
                .into_iter()
                .map(|(topic, partitions)| TopicPartitions {
                    topic: Text::from(topic.to_owned()),
                    partitions,
                })
                .collect()
        }),
        timeout_ms: 30_000,
    };
    bench.connection.call(ApiKey::ElectLeaders, 2, &request)
}

#[test]
fn an_election_of_another_type_is_refused_by_partition() {
    let mut bench = Bench::new(&[]);
    let request = ElectLeadersRequest {
        election_type: 7,
        topic_partitions: Some(vec![TopicPartitions {
            topic: Text::from(bench.topic.clone()),
            partitions: vec![0],
        }]),
        timeout_ms: 30_000,
    };
    let answer: ElectLeadersResponse = bench.connection.call(ApiKey::ElectLeaders, 2, &request);
    assert_eq!(answer.error_code, ErrorCode::INVALID_REQUEST);
    let result = &answer.replica_election_results[0].partition_result[0];
    assert_eq!(result.error_code, ErrorCode::INVALID_REQUEST);
}

#[test]
fn a_page_cannot_begin_behind_all_that_is_asked_for() {
    let mut bench = Bench::new(&[]);
    let topic = bench.topic.clone();
    for (topic_name, partition_index) in [("zzz", 0), (topic.as_str(), -1)] {
        let cursor = Cursor {
            topic_name: Text::from(topic_name.to_owned()),
            partition_index,
        };
        let page = page(&mut bench, &[&topic], 10, Some(cursor));
        assert_eq!(page.topics[0].error_code, ErrorCode::INVALID_REQUEST);
        assert!(page.topics[0].partitions.is_empty());
    }
}

#[test]
fn a_leader_that_leads_needs_no_election() {
    let mut bench = Bench::new(&[]);
    let topic = bench.topic.clone();
    let wanted = vec![(&*topic, vec![0, 9]), ("never-made", vec![0])];
    let answer = elect(&mut bench, Some(wanted));
    assert_eq!(answer.error_code, ErrorCode::NONE);
    let error = |name: &str, index: i32| {
        let topics = answer.replica_election_results.iter();
        let of_topic = topics.filter(|found| &*found.topic == name);
        let mut partitions = of_topic.flat_map(|found| &found.partition_result);
        let found = partitions.find(|found| found.partition_id == index);
        found.expect("answered").error_code
    };
    assert_eq!(error(&topic, 0), ErrorCode::ELECTION_NOT_NEEDED);
    assert_eq!(error(&topic, 9), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(
        error("never-made", 0),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    // Of all, those that need none are not told.
    let all = elect(&mut bench, None);
    assert_eq!(all.error_code, ErrorCode::NONE);
    let mut told = all.replica_election_results.iter();
    assert!(told.all(|topic| topic.partition_result.is_empty()));
}

fn alter(
    bench: &mut Bench,
    topic: &str,
    partition_index: i32,
    replicas: Option<&[i32]>,
) -> ErrorCode {
    let request = AlterPartitionReassignmentsRequest {
        timeout_ms: 30_000,
        topics: vec![ReassignableTopic {
            name: Text::from(topic.to_owned()),
            partitions: vec![ReassignablePartition {
                partition_index,
                replicas: replicas.map(<[i32]>::to_vec),
            }],
        }],
        ..Default::default()
    };
    let response: AlterPartitionReassignmentsResponse =
        bench
            .connection
            .call(ApiKey::AlterPartitionReassignments, 1, &request);
    assert_eq!(response.error_code, ErrorCode::NONE);
    response.responses[0].partitions[0].error_code
}

#[test]
fn a_partition_stays_on_its_broker_and_on_no_other() {
    let mut bench = Bench::new(&[]);
    let topic = bench.topic.clone();
    let page = page(&mut bench, &[&topic], 1, None);
    let here = page.topics[0].partitions[0].leader_id;
    for (partition, replicas, expected) in [
        (0, Some(&[here][..]), ErrorCode::NONE),
        (0, None, ErrorCode::NO_REASSIGNMENT_IN_PROGRESS),
        (0, Some(&[]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (
            0,
            Some(&[here, here]),
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
        ),
        (0, Some(&[4_711]), ErrorCode::INVALID_REPLICA_ASSIGNMENT),
        (9, Some(&[here]), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    ] {
        let answer = alter(&mut bench, &topic, partition, replicas);
        assert_eq!(answer, expected, "{partition} {replicas:?}");
    }
    let answer = alter(&mut bench, "never-made", 0, Some(&[here]));
    assert_eq!(answer, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[test]
fn a_replica_is_put_into_the_directory_that_it_is_in() {
    let mut bench = Bench::new(&[]);
    let topic = bench.topic.clone();
    let here = log_dirs(&mut bench, None).results[0].log_dir.clone();
    let mut put = |path: &Text, topic: &str, partition: i32| {
        let request = AlterReplicaLogDirsRequest {
            dirs: vec![AlterReplicaLogDir {
                path: path.clone(),
                topics: vec![AlterReplicaLogDirTopic {
                    name: Text::from(topic.to_owned()),
                    partitions: vec![partition],
                }],
            }],
        };
        let response: AlterReplicaLogDirsResponse =
            bench
                .connection
                .call(ApiKey::AlterReplicaLogDirs, 2, &request);
        response.results[0].partitions[0].error_code
    };
    assert_eq!(put(&here, &topic, 0), ErrorCode::NONE);
    let elsewhere = Text::from("/nowhere");
    assert_eq!(put(&elsewhere, &topic, 0), ErrorCode::LOG_DIR_NOT_FOUND);
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(put(&here, &topic, 9), unknown);
    assert_eq!(put(&here, "never-made", 0), unknown);
}

#[test]
fn nothing_moves_between_brokers() {
    let mut bench = Bench::new(&[]);
    let request = ListPartitionReassignmentsRequest {
        timeout_ms: 30_000,
        topics: None,
    };
    let response: ListPartitionReassignmentsResponse =
        bench
            .connection
            .call(ApiKey::ListPartitionReassignments, 0, &request);
    assert_eq!(response.error_code, ErrorCode::NONE);
    assert!(response.topics.is_empty());
}

#[test]
fn a_partition_tells_which_producers_it_remembers() {
    let mut bench = Bench::new(&[]);
    let topic = bench.topic.clone();
    let producer_id = bench.connection.producer_id();
    let mut builder = RecordBatchBuilder::new().producer(producer_id, 0, 0);
    let written = now();
    for _ in 0..3 {
        builder.append(written, Some(b"key"), Some(b"value"));
    }
    assert_eq!(bench.produce(builder.build()).error_code, ErrorCode::NONE);
    let request = DescribeProducersRequest {
        topics: vec![describe_producers::TopicRequest {
            name: Text::from(topic),
            partition_indexes: vec![0, 9],
        }],
    };
    let response: DescribeProducersResponse =
        bench
            .connection
            .call(ApiKey::DescribeProducers, 0, &request);
    let partitions = &response.topics[0].partitions;
    assert_eq!(partitions[0].error_code, ErrorCode::NONE);
    assert_eq!(
        partitions[1].error_code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    let [producer] = &partitions[0].active_producers[..] else {
        panic!("{partitions:?}");
    };
    assert_eq!(producer.producer_id, producer_id);
    assert_eq!((producer.producer_epoch, producer.last_sequence), (0, 2));
    assert_eq!(producer.last_timestamp, written);
    assert_eq!(producer.current_txn_start_offset, -1);
}

#[test]
fn under_core_routing_the_brokers_that_are_shown_can_be_named() {
    let broker = Broker::start(BrokerSettings::new("core"));
    if !broker.is_rinka() {
        eprintln!("core routing is Rinka's own: nothing to run against the control");
        return;
    }
    let topic = fresh_name("semantics");
    create_topic(broker.bootstrap(), &topic, 2, &[]);
    let connection = Connection::open(broker.bootstrap());
    let mut bench = Bench {
        broker,
        connection,
        topic: topic.clone(),
    };
    let refused = ErrorCode::INVALID_REPLICA_ASSIGNMENT;
    let mut add = |count, replicas: &[i32]| {
        let assignments: &[&[i32]] = &[replicas];
        create(
            &mut bench,
            vec![more(&topic, count, Some(assignments))],
            false,
        )[0]
    };
    assert_eq!(add(3, &[10_001]), ErrorCode::NONE);
    assert_eq!(add(4, &[1]), ErrorCode::NONE);
    assert_eq!(add(5, &[20_001]), refused);
    // Of what is there, the one that is shown has it.
    let shown = page(&mut bench, &[&topic], 10, None);
    let shown = shown.topics[0].partitions.iter();
    let shown: Vec<_> = shown
        .map(|p| (p.partition_index, p.replica_nodes.clone()))
        .collect();
    assert_eq!(shown.len(), 4);
    for (partition, replicas) in shown {
        let other = if replicas == [1] { 10_001 } else { 1 };
        assert_ne!(replicas, [other]);
        let answer = alter(&mut bench, &topic, partition, Some(&replicas));
        assert_eq!(answer, ErrorCode::NONE, "{partition} {replicas:?}");
        let answer = alter(&mut bench, &topic, partition, Some(&[other]));
        assert_eq!(answer, refused, "{partition} {other}");
    }
}
