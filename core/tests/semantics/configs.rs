//! Item 47: DescribeConfigs, AlterConfigs, IncrementalAlterConfigs and ListConfigResources of topics, brokers and groups.

use rinka_net::wire::ErrorCode;
use rinka_net::wire::alter_configs::{self, AlterConfigsRequest, AlterConfigsResponse};
use rinka_net::wire::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult,
};
use rinka_net::wire::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, AlterableConfig,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use rinka_net::wire::list_config_resources::{
    ListConfigResourcesRequest, ListConfigResourcesResponse,
};

use super::*;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// Sources of values, as DescribeConfigs numbers them.
const OF_TOPIC: i8 = 1;
const OF_BROKER: i8 = 2;
const OF_ALL_BROKERS: i8 = 3;
const DEFAULT: i8 = 5;
const OF_GROUP: i8 = 8;

fn describe(bench: &mut Bench, resource_type: i8, name: &str) -> DescribeConfigsResult {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type,
            resource_name: Text::from(name.to_owned()),
            configuration_keys: None,
        }],
        include_synonyms: true,
        include_documentation: true,
    };
    let mut response: DescribeConfigsResponse =
        bench.connection.call(ApiKey::DescribeConfigs, 4, &request);
    response.results.remove(0)
}

fn find(described: &DescribeConfigsResult, key: &str) -> DescribeConfigsResourceResult {
    assert_eq!(described.error_code, ErrorCode::NONE);
    let found = described.configs.iter().find(|config| &*config.name == key);
    found.unwrap_or_else(|| panic!("no {key}")).clone()
}

fn value(bench: &mut Bench, resource_type: i8, name: &str, key: &str) -> (String, i8) {
    let found = find(&describe(bench, resource_type, name), key);
    let value = found.value.expect("it has a value").to_string();
    (value, found.config_source)
}

fn config(key: &str, operation: i8, value: Option<&str>) -> AlterableConfig {
    AlterableConfig {
        name: Text::from(key.to_owned()),
        config_operation: operation,
        value: value.map(|value| Text::from(value.to_owned())),
    }
}

fn resource(resource_type: i8, name: &str, configs: Vec<AlterableConfig>) -> AlterConfigsResource {
    AlterConfigsResource {
        resource_type,
        resource_name: Text::from(name.to_owned()),
        configs,
    }
}

fn alter(
    bench: &mut Bench,
    resources: Vec<AlterConfigsResource>,
    validate_only: bool,
) -> Vec<AlterConfigsResourceResponse> {
    let request = IncrementalAlterConfigsRequest {
        resources,
        validate_only,
    };
    let response: IncrementalAlterConfigsResponse =
        bench
            .connection
            .call(ApiKey::IncrementalAlterConfigs, 1, &request);
    response.responses
}

fn change(
    bench: &mut Bench,
    resource_type: i8,
    name: &str,
    configs: Vec<AlterableConfig>,
) -> ErrorCode {
    let answers = alter(bench, vec![resource(resource_type, name, configs)], false);
    answers[0].error_code
}

#[test]
fn item_47_every_key_tells_its_value_source_type_and_what_it_means() {
    let mut bench = Bench::new(&[("retention.ms", "12345")]);
    let topic = bench.topic.clone();
    let described = describe(&mut bench, TOPIC, &topic);
    let retention = find(&described, "retention.ms");
    assert_eq!(retention.value.as_deref(), Some("12345"));
    assert_eq!(retention.config_source, OF_TOPIC);
    assert_eq!(retention.config_type, 5, "a long");
    assert!(!retention.read_only && !retention.is_sensitive);
    assert!(retention.documentation.is_some_and(|text| !text.is_empty()));
    let first = &retention.synonyms[0];
    assert_eq!((&*first.name, first.source), ("retention.ms", OF_TOPIC));
    let segment = find(&described, "segment.bytes");
    let of_broker = segment.synonyms.last().expect("the broker's default");
    assert_eq!(
        (&*of_broker.name, of_broker.source),
        ("log.segment.bytes", DEFAULT)
    );
    let policy = find(&described, "cleanup.policy");
    assert_eq!((policy.config_type, policy.config_source), (7, DEFAULT));

    let broker = describe(&mut bench, BROKER, "1");
    for key in [
        "num.partitions",
        "default.replication.factor",
        "delete.topic.enable",
        "message.max.bytes",
    ] {
        assert!(find(&broker, key).value.is_some(), "{key}");
    }
    assert!(find(&broker, "node.id").read_only);
    assert!(!find(&broker, "log.retention.ms").read_only);
    let secret = find(&broker, "ssl.keystore.password");
    assert!(secret.is_sensitive && secret.value.is_none());
}

#[test]
fn item_47_an_empty_list_of_keys_asks_for_all() {
    let mut bench = Bench::new(&[]);
    let name = bench.topic.clone();
    let all = describe(&mut bench, TOPIC, &name).configs.len();
    for version in [1, 4] {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: TOPIC,
                resource_name: Text::from(name.clone()),
                configuration_keys: Some(Vec::new()),
            }],
            ..Default::default()
        };
        let answer: DescribeConfigsResponse =
            bench
                .connection
                .call(ApiKey::DescribeConfigs, version, &request);
        assert_eq!(answer.results[0].configs.len(), all);
    }
}

#[test]
fn item_47_resources_that_are_not_there() {
    let mut bench = Bench::new(&[]);
    let mut error = |kind, name: &str| describe(&mut bench, kind, name).error_code;
    assert_eq!(
        error(TOPIC, "never-made"),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    assert_eq!(
        error(TOPIC, "not/a/name"),
        ErrorCode::INVALID_TOPIC_EXCEPTION
    );
    for (kind, name) in [
        (BROKER, "77"),
        (BROKER, "one"),
        (BROKER_LOGGER, "77"),
        (BROKER_LOGGER, ""),
        (CLIENT_METRICS, ""),
        (GROUP, ""),
        (99, "x"),
    ] {
        assert_eq!(
            error(kind, name),
            ErrorCode::INVALID_REQUEST,
            "{kind} {name:?}"
        );
    }
    assert_eq!(error(BROKER, ""), ErrorCode::NONE);
    assert_eq!(error(CLIENT_METRICS, "metrics-of-nobody"), ErrorCode::NONE);
    let loggers = describe(&mut bench, BROKER_LOGGER, "1");
    let root = find(&loggers, "root").value.expect("a level").to_string();
    assert!(
        ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&&*root),
        "{root}"
    );
}

#[test]
fn item_47_keys_change_one_by_one() {
    let mut bench = Bench::new(&[("retention.ms", "12345")]);
    let topic = bench.topic.clone();
    let changes = vec![
        config("retention.ms", DELETE, None),
        config("segment.ms", SET, Some("70000")),
        config("cleanup.policy", APPEND, Some("compact")),
    ];
    let looked_at = alter(
        &mut bench,
        vec![resource(TOPIC, &topic, changes.clone())],
        true,
    );
    assert_eq!(looked_at[0].error_code, ErrorCode::NONE);
    assert_eq!(
        value(&mut bench, TOPIC, &topic, "retention.ms"),
        ("12345".to_owned(), OF_TOPIC)
    );
    assert_eq!(change(&mut bench, TOPIC, &topic, changes), ErrorCode::NONE);
    let is = |key: &'static str, text: &str, source: i8, bench: &mut Bench, topic: &str| {
        let wanted = (text.to_owned(), source);
        let seen = eventually(|| value(bench, TOPIC, topic, key), |seen| *seen == wanted);
        assert_eq!(seen, wanted, "{key}");
    };
    is("retention.ms", "604800000", DEFAULT, &mut bench, &topic);
    is("segment.ms", "70000", OF_TOPIC, &mut bench, &topic);
    is(
        "cleanup.policy",
        "delete,compact",
        OF_TOPIC,
        &mut bench,
        &topic,
    );
    let less = vec![config("cleanup.policy", SUBTRACT, Some("delete"))];
    assert_eq!(change(&mut bench, TOPIC, &topic, less), ErrorCode::NONE);
    is("cleanup.policy", "compact", OF_TOPIC, &mut bench, &topic);
    // Neither deleted nor compacted; and what does not exist is easily taken back.
    let last = vec![
        config("cleanup.policy", SUBTRACT, Some("compact")),
        config("colour", DELETE, None),
    ];
    assert_eq!(change(&mut bench, TOPIC, &topic, last), ErrorCode::NONE);
    is("cleanup.policy", "", OF_TOPIC, &mut bench, &topic);
}

#[test]
fn item_47_changes_that_are_refused_change_nothing() {
    let mut bench = Bench::new(&[]);
    let topic = bench.topic.clone();
    let good = || config("segment.ms", SET, Some("70000"));
    let mut refused = |bad: Vec<AlterableConfig>| {
        let configs = [vec![good()], bad].concat();
        change(&mut bench, TOPIC, &topic, configs)
    };
    for (bad, expected) in [
        (
            vec![config("colour", SET, Some("red"))],
            ErrorCode::INVALID_CONFIG,
        ),
        (
            vec![config("retention.ms", SET, Some("-7"))],
            ErrorCode::INVALID_CONFIG,
        ),
        (
            vec![config("retention.ms", SET, Some("week"))],
            ErrorCode::INVALID_CONFIG,
        ),
        (
            vec![config("retention.ms", APPEND, Some("1"))],
            ErrorCode::INVALID_CONFIG,
        ),
        (
            vec![config("retention.ms", SET, None)],
            ErrorCode::INVALID_REQUEST,
        ),
        (vec![good()], ErrorCode::INVALID_REQUEST),
    ] {
        assert_eq!(refused(bad.clone()), expected, "{bad:?}");
    }
    let twice = || resource(TOPIC, &topic, vec![good()]);
    let answers = alter(&mut bench, vec![twice(), twice()], false);
    assert_eq!(answers.len(), 2);
    for answer in answers {
        assert_eq!(answer.error_code, ErrorCode::INVALID_REQUEST);
        assert!(answer.error_message.is_some());
    }
    let nowhere = vec![
        resource(TOPIC, "never-made", vec![good()]),
        resource(TOPIC, &topic, vec![config("retention.ms", SET, Some("7"))]),
    ];
    let answers = alter(&mut bench, nowhere, false);
    let error = |name: &str| {
        let found = answers.iter().find(|answer| &*answer.resource_name == name);
        found.expect("answered").error_code
    };
    assert_eq!(error("never-made"), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(
        error(&topic),
        ErrorCode::NONE,
        "one does not keep the other"
    );
    let segment = value(&mut bench, TOPIC, &topic, "segment.ms");
    assert_eq!(segment.1, DEFAULT);
}

#[test]
fn item_47_alter_configs_sets_these_keys_and_no_others() {
    let mut bench = Bench::new(&[("retention.ms", "12345")]);
    let topic = bench.topic.clone();
    let mut alter = |key: &'static str, text: Option<&'static str>| {
        let request = AlterConfigsRequest {
            resources: vec![alter_configs::AlterConfigsResource {
                resource_type: TOPIC,
                resource_name: Text::from(topic.clone()),
                configs: vec![alter_configs::AlterableConfig {
                    name: Text::from(key),
                    value: text.map(Text::from),
                }],
            }],
            validate_only: false,
        };
        let response: AlterConfigsResponse =
            bench.connection.call(ApiKey::AlterConfigs, 1, &request);
        response.responses[0].error_code
    };
    assert_eq!(alter("colour", Some("red")), ErrorCode::INVALID_CONFIG);
    assert_eq!(alter("segment.ms", None), ErrorCode::INVALID_REQUEST);
    assert_eq!(alter("segment.ms", Some("70000")), ErrorCode::NONE);
    let (text, source) = eventually(
        || value(&mut bench, TOPIC, &topic, "retention.ms"),
        |(_, source)| *source == DEFAULT,
    );
    assert_eq!((&*text, source), ("604800000", DEFAULT));
    let segment = value(&mut bench, TOPIC, &topic, "segment.ms");
    assert_eq!(segment, ("70000".to_owned(), OF_TOPIC));
}

#[test]
fn item_47_a_change_is_in_effect_while_the_broker_runs() {
    let mut bench = Bench::new(&[]);
    let topic = bench.topic.clone();
    let one = batch(1);
    assert_eq!(bench.produce(one.clone()).error_code, ErrorCode::NONE);
    let small = vec![config("max.message.bytes", SET, Some("10"))];
    assert_eq!(change(&mut bench, TOPIC, &topic, small), ErrorCode::NONE);
    let refused = eventually(
        || bench.produce(one.clone()).error_code,
        |error| error.is_error(),
    );
    assert_eq!(refused, ErrorCode::MESSAGE_TOO_LARGE);
    let again = vec![config("max.message.bytes", DELETE, None)];
    assert_eq!(change(&mut bench, TOPIC, &topic, again), ErrorCode::NONE);
    let taken = eventually(
        || bench.produce(one.clone()).error_code,
        |error| !error.is_error(),
    );
    assert_eq!(taken, ErrorCode::NONE);
}

/// A key that no other test depends on: the control's broker is shared.
const HARMLESS: &str = "log.segment.delete.delay.ms";

#[test]
fn item_47_a_running_broker_is_configured_by_itself_and_with_all_others() {
    let mut bench = Bench::new(&[]);
    let topic = bench.topic.clone();
    let of_topic = |bench: &mut Bench, wanted: (&str, i8)| {
        let wanted = (wanted.0.to_owned(), wanted.1);
        let seen = eventually(
            || value(bench, TOPIC, &topic, "file.delete.delay.ms"),
            |seen| *seen == wanted,
        );
        assert_eq!(seen, wanted);
    };
    let set = |text| vec![config(HARMLESS, SET, Some(text))];
    assert_eq!(
        change(&mut bench, BROKER, "", set("61000")),
        ErrorCode::NONE
    );
    of_topic(&mut bench, ("61000", OF_ALL_BROKERS));
    assert_eq!(
        change(&mut bench, BROKER, "1", set("62000")),
        ErrorCode::NONE
    );
    of_topic(&mut bench, ("62000", OF_BROKER));
    let defaults = describe(&mut bench, BROKER, "");
    assert_eq!(find(&defaults, HARMLESS).value.as_deref(), Some("61000"));
    if bench.broker.can_be_killed() {
        bench.broker.kill9();
        bench.broker.start_again();
        bench.connection = Connection::open(bench.broker.bootstrap());
        of_topic(&mut bench, ("62000", OF_BROKER));
    }
    let synonyms = find(&describe(&mut bench, BROKER, "1"), HARMLESS).synonyms;
    let sources: Vec<i8> = synonyms.iter().map(|synonym| synonym.source).collect();
    assert_eq!(sources, [OF_BROKER, OF_ALL_BROKERS, DEFAULT]);
    for name in ["1", ""] {
        let delete = vec![config(HARMLESS, DELETE, None)];
        assert_eq!(change(&mut bench, BROKER, name, delete), ErrorCode::NONE);
    }
    of_topic(&mut bench, ("60000", DEFAULT));
    // Nothing here listens to it, and tools set it all the same.
    let relogin = "sasl.kerberos.min.time.before.relogin";
    let throttle = "leader.replication.throttled.rate";
    for key in [relogin, throttle] {
        for operation in [config(key, SET, Some("58000")), config(key, DELETE, None)] {
            let answer = change(&mut bench, BROKER, "1", vec![operation]);
            assert_eq!(answer, ErrorCode::NONE, "{key}");
        }
    }
    for (name, key, text) in [
        ("1", "node.id", "2"),
        ("1", "log.dirs", "/nowhere"),
        ("77", HARMLESS, "1"),
        ("one", HARMLESS, "1"),
        ("1", HARMLESS, "soon"),
    ] {
        let refused = change(&mut bench, BROKER, name, vec![config(key, SET, Some(text))]);
        assert_eq!(refused, ErrorCode::INVALID_REQUEST, "{name} {key}={text}");
    }
}

#[test]
fn item_47_a_group_has_a_configuration_of_its_own() {
    let mut bench = Bench::new(&[]);
    let group = fresh_name("group");
    let key = "consumer.session.timeout.ms";
    let set = |text| vec![config(key, SET, Some(text))];
    assert_eq!(
        value(&mut bench, GROUP, &group, key),
        ("45000".to_owned(), DEFAULT)
    );
    assert_eq!(
        change(&mut bench, GROUP, &group, set("50000")),
        ErrorCode::NONE
    );
    let own = ("50000".to_owned(), OF_GROUP);
    let seen = eventually(
        || value(&mut bench, GROUP, &group, key),
        |seen| *seen == own,
    );
    assert_eq!(seen, own);
    let listed = listed(&mut bench, 1, &[GROUP]);
    assert!(listed.contains(&(group.clone(), GROUP)), "{listed:?}");
    let interval = "consumer.assignment.interval.ms";
    for (key, text) in [(interval, "0"), (interval, "1500")] {
        let configs = vec![config(key, SET, Some(text))];
        assert_eq!(
            change(&mut bench, GROUP, &group, configs),
            ErrorCode::NONE,
            "{key}={text}"
        );
    }
    let shown = ("1500".to_owned(), OF_GROUP);
    let seen = eventually(
        || value(&mut bench, GROUP, &group, interval),
        |seen| *seen == shown,
    );
    assert_eq!(seen, shown);
    for (key, text) in [
        (key, "1"),
        (key, "60001"),
        ("consumer.heartbeat.interval.ms", "15001"),
        (interval, "15001"),
        (interval, "-1"),
        // The code of Kafka 4.3.0 has a name for it, and its definitions do not.
        ("consumer.assignor.offload.enable", "false"),
        ("colour", "red"),
    ] {
        let configs = vec![config(key, SET, Some(text))];
        assert_eq!(
            change(&mut bench, GROUP, &group, configs),
            ErrorCode::INVALID_CONFIG
        );
    }
    assert_eq!(
        change(&mut bench, GROUP, "", set("50000")),
        ErrorCode::INVALID_REQUEST
    );
    let delete = vec![config(key, DELETE, None)];
    assert_eq!(change(&mut bench, GROUP, &group, delete), ErrorCode::NONE);
}

fn listed(bench: &mut Bench, version: i16, types: &[i8]) -> Vec<(String, i8)> {
    let request = ListConfigResourcesRequest {
        resource_types: types.to_vec(),
    };
    let response: ListConfigResourcesResponse =
        bench
            .connection
            .call(ApiKey::ListConfigResources, version, &request);
    assert_eq!(response.error_code, ErrorCode::NONE);
    let resources = response.config_resources.into_iter();
    resources
        .map(|resource| (resource.resource_name.to_string(), resource.resource_type))
        .collect()
}

#[test]
fn item_47_what_has_a_configuration_is_listed() {
    let mut bench = Bench::new(&[]);
    let topic = (bench.topic.clone(), TOPIC);
    let all = listed(&mut bench, 1, &[]);
    assert!(all.contains(&topic));
    assert!(all.contains(&("1".to_owned(), BROKER)));
    assert!(all.contains(&("1".to_owned(), BROKER_LOGGER)));
    let topics = listed(&mut bench, 1, &[TOPIC]);
    assert!(topics.contains(&topic) && topics.iter().all(|(_, kind)| *kind == TOPIC));
    assert!(!listed(&mut bench, 0, &[]).contains(&topic));
    let request = ListConfigResourcesRequest {
        resource_types: vec![99],
    };
    let refused: ListConfigResourcesResponse =
        bench
            .connection
            .call(ApiKey::ListConfigResources, 1, &request);
    assert_eq!(refused.error_code, ErrorCode::UNSUPPORTED_VERSION);
}
