//! Item 11, and quotas of clients: DescribeClientQuotas, AlterClientQuotas, and that clients beyond them are held up.

use std::time::{Duration, Instant};

use rinka_net::wire::ErrorCode;
use rinka_net::wire::alter_client_quotas::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, EntityData, EntryData, OpData,
};
use rinka_net::wire::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use rinka_net::wire::describe_client_quotas::{
    ComponentData, DescribeClientQuotasRequest, DescribeClientQuotasResponse,
};

use super::*;

type Change<'a> = (&'a str, Option<f64>);
type Entity<'a> = [(&'a str, Option<&'a str>)];

fn alter(
    bench: &mut Bench,
    entity: &Entity<'_>,
    changes: &[Change<'_>],
    validate_only: bool,
) -> ErrorCode {
    let request = AlterClientQuotasRequest {
        entries: vec![EntryData {
            entity: entity
                .iter()
                .map(|(kind, name)| EntityData {
                    entity_type: Text::from((*kind).to_owned()),
                    entity_name: name.map(|name| Text::from(name.to_owned())),
                })
                .collect(),
            ops: changes
                .iter()
                .map(|(key, limit)| OpData {
                    key: Text::from((*key).to_owned()),
                    value: limit.unwrap_or_default(),
                    remove: limit.is_none(),
                })
                .collect(),
        }],
        validate_only,
    };
    let response: AlterClientQuotasResponse =
        bench
            .connection
            .call(ApiKey::AlterClientQuotas, 1, &request);
    response.entries[0].error_code
}

fn component(kind: &'static str, match_type: i8, name: Option<&str>) -> ComponentData {
    ComponentData {
        entity_type: Text::from(kind),
        match_type,
        r#match: name.map(|name| Text::from(name.to_owned())),
    }
}

/// The keys and limits of the entities that match.
fn describe(
    bench: &mut Bench,
    components: Vec<ComponentData>,
    strict: bool,
) -> Vec<Vec<(String, f64)>> {
    let request = DescribeClientQuotasRequest { components, strict };
    let response: DescribeClientQuotasResponse =
        bench
            .connection
            .call(ApiKey::DescribeClientQuotas, 1, &request);
    assert_eq!(response.error_code, ErrorCode::NONE);
    let entries = response.entries.expect("without an error there are some");
    let values = entries.into_iter().map(|entry| {
        let values = entry.values.into_iter();
        values
            .map(|value| (value.key.to_string(), value.value))
            .collect()
    });
    values.collect()
}

#[test]
fn quotas_are_set_described_and_removed() {
    let mut bench = Bench::new(&[]);
    let client = fresh_name("client");
    let entity = [("user", None), ("client-id", Some(&*client))];
    let quota = [("producer_byte_rate", Some(1e6))];
    let exact = || {
        vec![
            component("user", 1, None),
            component("client-id", 0, Some(&client)),
        ]
    };
    assert_eq!(alter(&mut bench, &entity, &quota, true), ErrorCode::NONE);
    assert!(
        describe(&mut bench, exact(), true).is_empty(),
        "only looked at"
    );
    assert_eq!(alter(&mut bench, &entity, &quota, false), ErrorCode::NONE);
    let wanted = vec![vec![("producer_byte_rate".to_owned(), 1e6)]];
    let seen = eventually(
        || describe(&mut bench, exact(), true),
        |seen| *seen == wanted,
    );
    assert_eq!(seen, wanted);
    let by_client = || vec![component("client-id", 0, Some(&client))];
    assert_eq!(describe(&mut bench, by_client(), false), wanted);
    assert!(describe(&mut bench, by_client(), true).is_empty());
    if bench.broker.can_be_killed() {
        bench.broker.kill9();
        bench.broker.start_again();
        bench.connection = Connection::open(bench.broker.bootstrap());
        assert_eq!(describe(&mut bench, exact(), true), wanted);
    }
    let removed = [("producer_byte_rate", None)];
    assert_eq!(alter(&mut bench, &entity, &removed, false), ErrorCode::NONE);
    let seen = eventually(|| describe(&mut bench, exact(), true), Vec::is_empty);
    assert!(seen.is_empty());
}

#[test]
fn quotas_that_make_no_sense_are_refused() {
    let mut bench = Bench::new(&[]);
    let rate = [("producer_byte_rate", Some(1.0))];
    let cases: [(&Entity<'_>, &[Change<'_>]); 6] = [
        (&[], &rate),
        (&[("planet", Some("x"))], &rate),
        (&[("client-id", Some(""))], &rate),
        (&[("client-id", Some("x"))], &[("colour", Some(1.0))]),
        (&[("ip", Some("127.0.0.1"))], &rate),
        (
            &[("client-id", Some("x"))],
            &[("producer_byte_rate", Some(1.5))],
        ),
    ];
    for (entity, changes) in cases {
        let refused = alter(&mut bench, entity, changes, false);
        assert_eq!(
            refused,
            ErrorCode::INVALID_REQUEST,
            "{entity:?} {changes:?}"
        );
    }
    let request = DescribeClientQuotasRequest {
        components: vec![component("user", 0, None)],
        strict: false,
    };
    let response: DescribeClientQuotasResponse =
        bench
            .connection
            .call(ApiKey::DescribeClientQuotas, 1, &request);
    assert_eq!(response.error_code, ErrorCode::INVALID_REQUEST);
    assert_eq!(response.entries, None);
}

/// Bytes a second. What the windows allow at once is ten seconds' worth.
const RATE: f64 = 10_000.0;

/// So long a client that took [`large`] must be held up, and a little less or more.
const PAUSE: (Duration, Duration) = (Duration::from_millis(700), Duration::from_millis(3000));

/// What must come to pass has by then.
const WITHIN: Duration = Duration::from_secs(20);

/// A batch of some more than ten seconds' worth.
fn large() -> Bytes {
    let mut builder = RecordBatchBuilder::new();
    builder.append(now(), Some(b"key"), Some(&[7; 115_000]));
    builder.build()
}

/// Sets a quota for a client of its own and connects as that client.
fn limited(bench: &mut Bench, key: &str, limit: f64) -> Connection {
    let client = fresh_name("limited");
    let entity = [("client-id", Some(&*client))];
    assert_eq!(
        alter(bench, &entity, &[(key, Some(limit))], false),
        ErrorCode::NONE
    );
    if !bench.broker.is_rinka() || !bench.broker.can_be_killed() {
        // The control answers before its quota managers know, and nothing that it answers tells when they do.
        std::thread::sleep(Duration::from_secs(1));
    }
    Connection::open_as(bench.broker.bootstrap(), &client)
}

/// It is told how long it is held up, and that before it has been.
fn assert_told(told: i32, since: Instant) {
    let waited = since.elapsed();
    let told = Duration::from_millis(u64::try_from(told).expect("not negative"));
    assert!((PAUSE.0..PAUSE.1).contains(&told), "{told:?}");
    assert!(waited < told, "answered first: {waited:?}");
}

/// Any request waits for the end of the pause.
fn assert_muted(connection: &mut Connection, since: Instant) {
    let request = ApiVersionsRequest::default();
    let _: ApiVersionsResponse = connection.call(ApiKey::ApiVersions, 2, &request);
    let waited = since.elapsed();
    assert!((PAUSE.0..PAUSE.1 * 3).contains(&waited), "{waited:?}");
}

#[test]
fn item_11_a_producer_beyond_its_quota_is_answered_at_once_and_held_up_then() {
    let mut bench = Bench::new(&[]);
    let mut connection = limited(&mut bench, "producer_byte_rate", RATE);
    let request = bench.produce_request(-1, Some(large()));
    let begun = Instant::now();
    let response: ProduceResponse = connection.call(ApiKey::Produce, 9, &request);
    assert_told(response.throttle_time_ms, begun);
    let partition = &response.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, ErrorCode::NONE, "taken all the same");
    assert_muted(&mut connection, begun);
    // Whoever has another name has no quota.
    let answer: ProduceResponse = bench.connection.call(ApiKey::Produce, 9, &request);
    assert_eq!(answer.throttle_time_ms, 0);
}

#[test]
fn item_11_a_producer_that_wants_no_answer_is_held_up_too() {
    let mut bench = Bench::new(&[]);
    let mut connection = limited(&mut bench, "producer_byte_rate", RATE);
    let request = bench.produce_request(0, Some(large()));
    let begun = Instant::now();
    connection.send(ApiKey::Produce, 9, &request);
    // Nothing says that it was taken, and what came in the same read is answered: one that is not must be held up.
    let request = ApiVersionsRequest::default();
    loop {
        let asked = Instant::now();
        let _: ApiVersionsResponse = connection.call(ApiKey::ApiVersions, 2, &request);
        let waited = asked.elapsed();
        if waited >= PAUSE.0 {
            assert!(waited < PAUSE.1 * 3, "{waited:?}");
            return;
        }
        assert!(begun.elapsed() < WITHIN, "it is not held up");
    }
}

#[test]
fn item_11_a_consumer_beyond_its_quota_is_held_up() {
    let mut bench = Bench::new(&[]);
    assert_eq!(bench.produce(large()).error_code, ErrorCode::NONE);
    let mut connection = limited(&mut bench, "consumer_byte_rate", RATE);
    let request = bench.fetch_request(0, 1 << 20);
    let begun = Instant::now();
    let response: FetchResponse = connection.call(ApiKey::Fetch, 12, &request);
    assert_told(response.throttle_time_ms, begun);
    assert_eq!(response.error_code, ErrorCode::NONE);
    assert_muted(&mut connection, begun);
}

#[test]
fn item_11_a_client_that_takes_too_much_time_is_held_up_for_a_second_at_most() {
    let mut bench = Bench::new(&[]);
    let mut connection = limited(&mut bench, "request_percentage", 0.000_001);
    let request = ApiVersionsRequest::default();
    let begun = Instant::now();
    let response: ApiVersionsResponse = connection.call(ApiKey::ApiVersions, 2, &request);
    let told = response.throttle_time_ms;
    assert!((1..=1000).contains(&told), "{told}");
    let told = Duration::from_millis(u64::try_from(told).expect("not negative"));
    let _: ApiVersionsResponse = connection.call(ApiKey::ApiVersions, 2, &request);
    assert!(begun.elapsed() >= told);
}

#[test]
fn a_default_quota_is_each_clients_own() {
    let mut bench = Bench::new(&[]);
    if !bench.broker.can_be_killed() {
        // It would hold up everybody else of a broker that is shared.
        return;
    }
    let quota = [("producer_byte_rate", Some(RATE))];
    let everyone = [("client-id", None)];
    assert_eq!(alter(&mut bench, &everyone, &quota, false), ErrorCode::NONE);
    let request = bench.produce_request(-1, Some(large()));
    for client in ["one", "other"] {
        let mut connection = Connection::open_as(bench.broker.bootstrap(), client);
        let begun = Instant::now();
        let response: ProduceResponse = connection.call(ApiKey::Produce, 9, &request);
        assert_told(response.throttle_time_ms, begun);
        // Another connection of the same client is counted with it.
        let mut again = Connection::open_as(bench.broker.bootstrap(), client);
        let response: ProduceResponse = again.call(ApiKey::Produce, 9, &request);
        assert!(response.throttle_time_ms > 3000, "{response:?}");
    }
    let removed = [("producer_byte_rate", None)];
    assert_eq!(
        alter(&mut bench, &everyone, &removed, false),
        ErrorCode::NONE
    );
}
