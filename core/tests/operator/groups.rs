//! Groups as an operator sees them: counts and lag on the admin port, settings of single groups that hold at once, and every group and
//! every byte told of once, whichever way requests are routed.

use std::collections::{BTreeMap, BTreeSet};

use rinka_net::wire::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
};
use rinka_net::wire::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
use rinka_net::wire::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
use rinka_net::wire::describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use rinka_net::wire::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use rinka_net::wire::list_groups::{ListGroupsRequest, ListGroupsResponse};
use rinka_net::wire::{ApiKey, ErrorCode, Text};

use crate::metrics::{get, value};
use crate::support::admin::create_topic;
use crate::support::broker::{Broker, BrokerSettings};
use crate::support::groups::{
    beating, commit_offset, find_coordinator, joining, wait_for_coordinator,
};
use crate::support::wire::Connection;
use crate::{batch, eventually, settings};

fn heartbeat(
    connection: &mut Connection,
    request: &ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    connection.call(ApiKey::ConsumerGroupHeartbeat, 1, request)
}

#[test]
fn groups_their_offsets_and_their_lag_are_told() {
    let broker = Broker::start(settings());
    create_topic(broker.bootstrap(), "orders", 3, &[]);
    let mut connection = Connection::open(broker.bootstrap());
    for partition in 0..3 {
        connection.produce("orders", partition, batch(10, b"value"));
    }
    wait_for_coordinator(&mut connection, "readers");
    for (partition, offset) in [(0, 4), (1, 10)] {
        let committed = commit_offset(&mut connection, "readers", ("orders", partition), offset);
        assert_eq!(committed, ErrorCode::NONE);
    }
    let joined = heartbeat(&mut connection, &joining("newer", "m", "orders"));
    assert_eq!(joined.error_code, ErrorCode::NONE);
    let page = get(&broker, "/metrics").1;
    let of_readers = |partition: i32| {
        let partition = format!("partition=\"{partition}\"");
        let labels = ["consumergroup=\"readers\"", "topic=\"orders\"", &*partition];
        let told = |name| value(&page, name, &labels);
        (
            told("kafka_consumergroup_current_offset"),
            told("kafka_consumergroup_lag"),
        )
    };
    assert_eq!(of_readers(0), (4.0, 6.0));
    assert_eq!(of_readers(1), (10.0, 0.0));
    let metrics = "kafka_server_group_coordinator_metrics";
    let counted = |name: &str, labels: &[&str]| value(&page, &format!("{metrics}_{name}"), labels);
    assert_eq!(counted("group_count", &["protocol=\"classic\""]), 1.0);
    assert_eq!(counted("group_count", &["protocol=\"consumer\""]), 1.0);
    assert_eq!(counted("consumer_group_count", &["state=\"stable\""]), 1.0);
    assert_eq!(counted("offset_commit_count", &[]), 2.0);
    assert_eq!(counted("consumer_group_rebalance_count", &[]), 1.0);
    assert_eq!(counted("num_partitions", &["state=\"active\""]), 50.0);
    let manager = "kafka_coordinator_group_groupmetadatamanager";
    let told = |name: &str| value(&page, &format!("{manager}_{name}"), &[]);
    assert_eq!((told("numgroups"), told("numgroupsempty")), (1.0, 1.0));
    assert_eq!(told("numoffsets"), 2.0);
    let members = ["protocol=\"consumer\""];
    assert_eq!(value(&page, "rinka_group_members", &members), 1.0);
}

fn set_group(connection: &mut Connection, group: &str, key: &str, value: &str) -> ErrorCode {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: 32,
            resource_name: Text::from(group.to_owned()),
            configs: vec![AlterableConfig {
                name: Text::from(key.to_owned()),
                config_operation: 0,
                value: Some(Text::from(value.to_owned())),
            }],
        }],
        ..Default::default()
    };
    let api = ApiKey::IncrementalAlterConfigs;
    let mut response: IncrementalAlterConfigsResponse = connection.call(api, 1, &request);
    response.responses.remove(0).error_code
}

#[test]
fn what_is_set_for_a_group_holds_for_its_next_heartbeat_and_for_no_other_group() {
    let settings = settings()
        .with("group.consumer.min.session.timeout.ms", "100")
        .with("group.consumer.min.heartbeat.interval.ms", "50");
    let mut broker = Broker::start(settings);
    create_topic(broker.bootstrap(), "orders", 2, &[]);
    let mut connection = Connection::open(broker.bootstrap());
    wait_for_coordinator(&mut connection, "quick");
    let told = heartbeat(&mut connection, &joining("quick", "m", "orders"));
    assert_eq!(told.heartbeat_interval_ms, 5_000);
    for (key, value) in [
        ("consumer.heartbeat.interval.ms", "700"),
        ("consumer.session.timeout.ms", "900"),
    ] {
        assert_eq!(
            set_group(&mut connection, "quick", key, value),
            ErrorCode::NONE
        );
    }
    let refused = set_group(
        &mut connection,
        "quick",
        "consumer.assignment.interval.ms",
        "15001",
    );
    assert_eq!(refused, ErrorCode::INVALID_CONFIG);
    let told = heartbeat(&mut connection, &beating("quick", "m", told.member_epoch));
    assert_eq!(
        (told.error_code, told.heartbeat_interval_ms),
        (ErrorCode::NONE, 700)
    );
    let other = heartbeat(&mut connection, &joining("other", "m", "orders"));
    assert_eq!(other.heartbeat_interval_ms, 5_000);
    // It is silent for longer than its own session, and the other one's member is not missed yet.
    eventually("its member is fenced", || {
        let page = get(&broker, "/metrics").1;
        value(&page, "rinka_group_members_fenced_total", &[]) >= 1.0
    });
    let gone = heartbeat(&mut connection, &beating("quick", "m", told.member_epoch));
    assert_eq!(gone.error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    let still = heartbeat(&mut connection, &beating("other", "m", other.member_epoch));
    assert_eq!(still.error_code, ErrorCode::NONE);
    // After a restart too.
    broker.kill9();
    broker.start_again();
    let mut connection = Connection::open(broker.bootstrap());
    wait_for_coordinator(&mut connection, "quick");
    let told = heartbeat(&mut connection, &joining("quick", "m", "orders"));
    assert_eq!(told.heartbeat_interval_ms, 700);
}

#[test]
fn a_group_assigns_again_when_its_assignment_interval_is_over() {
    let broker = Broker::start(settings());
    create_topic(broker.bootstrap(), "orders", 2, &[]);
    let mut connection = Connection::open(broker.bootstrap());
    wait_for_coordinator(&mut connection, "paced");
    let key = "consumer.assignment.interval.ms";
    assert_eq!(
        set_group(&mut connection, "paced", key, "1500"),
        ErrorCode::NONE
    );
    let first = heartbeat(&mut connection, &joining("paced", "a", "orders"));
    let second = heartbeat(&mut connection, &joining("paced", "b", "orders"));
    assert_eq!(second.member_epoch, first.member_epoch);
    let assignment = second.assignment.expect("a member that joins is told");
    assert!(assignment.topic_partitions.is_empty());
    eventually("the next target", || {
        let beat = beating("paced", "a", first.member_epoch);
        let told = heartbeat(&mut connection, &beat);
        // Told to give one of both up.
        told.assignment
            .is_some_and(|kept| kept.topic_partitions[0].partitions.len() == 1)
    });
}

/// The brokers as a client knows them, and a connection to each.
fn brokers(broker: &Broker) -> BTreeMap<i32, Connection> {
    let mut connection = Connection::open(broker.bootstrap());
    let request = DescribeClusterRequest {
        endpoint_type: 1,
        ..Default::default()
    };
    let cluster: DescribeClusterResponse = connection.call(ApiKey::DescribeCluster, 1, &request);
    let brokers = cluster.brokers.into_iter();
    brokers
        .map(|broker| {
            let address = format!("{}:{}", &*broker.host, broker.port);
            (broker.broker_id, Connection::open(&address))
        })
        .collect()
}

/// What an admin client does: it asks every broker and puts the answers together.
fn check_told_once(routing: &str, expected_brokers: usize) {
    let broker = Broker::start(BrokerSettings::new(routing));
    create_topic(broker.bootstrap(), "orders", 6, &[]);
    let mut brokers = brokers(&broker);
    assert_eq!(brokers.len(), expected_brokers);
    let groups: BTreeSet<String> = (0..20).map(|number| format!("group-{number}")).collect();
    let mut coordinators: BTreeMap<String, i32> = BTreeMap::new();
    for group in &groups {
        let any = brokers.values_mut().next().expect("a broker");
        let found = find_coordinator(any, group);
        assert_eq!(found.error_code, ErrorCode::NONE);
        let coordinator = brokers
            .get_mut(&found.node_id)
            .expect("a broker it told of");
        wait_for_coordinator(coordinator, group);
        let committed = commit_offset(coordinator, group, ("orders", 0), 0);
        assert_eq!(committed, ErrorCode::NONE);
        coordinators.insert(group.clone(), found.node_id);
    }
    let mut listed: BTreeMap<String, i32> = BTreeMap::new();
    let mut sizes: BTreeMap<(String, i32), i64> = BTreeMap::new();
    for (id, connection) in &mut brokers {
        let request = ListGroupsRequest::default();
        let response: ListGroupsResponse = connection.call(ApiKey::ListGroups, 5, &request);
        assert_eq!(response.error_code, ErrorCode::NONE);
        for group in response.groups {
            let twice = listed.insert(group.group_id.to_string(), *id);
            assert_eq!(twice, None, "{} is listed twice", &*group.group_id);
        }
        let request = DescribeLogDirsRequest { topics: None };
        let response: DescribeLogDirsResponse =
            connection.call(ApiKey::DescribeLogDirs, 4, &request);
        for topic in response.results.iter().flat_map(|dir| &dir.topics) {
            for partition in &topic.partitions {
                let at = (topic.name.to_string(), partition.partition_index);
                let twice = sizes.insert(at, partition.partition_size);
                assert_eq!(twice, None, "{} is told of twice", &*topic.name);
            }
        }
    }
    assert_eq!(listed, coordinators, "each by its coordinator");
    let of_topic = |name: &str| sizes.keys().filter(|(topic, _)| topic == name).count();
    assert_eq!(
        (of_topic("orders"), of_topic("__consumer_offsets")),
        (6, 50)
    );
    for (group, coordinator) in &coordinators {
        let request = DescribeGroupsRequest {
            groups: vec![Text::from(group.clone())],
            ..Default::default()
        };
        let connection = brokers.get_mut(coordinator).expect("a broker");
        let mut response: DescribeGroupsResponse =
            connection.call(ApiKey::DescribeGroups, 5, &request);
        let described = response.groups.remove(0);
        assert_eq!(described.error_code, ErrorCode::NONE);
        assert_eq!(*described.group_state, *"Empty");
    }
}

#[test]
fn with_one_broker_a_node_every_group_and_every_log_is_told_of_once() {
    check_told_once("node", 1);
}

#[test]
fn with_one_broker_a_core_every_group_and_every_log_is_told_of_once() {
    check_told_once("core", 2);
}
