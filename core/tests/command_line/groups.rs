//! `rinka group` and `rinka consume --group` against a scripted broker, at the newest versions and at those without tagged fields.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fake_broker::{FakeBroker, Group, Member, State, TOPIC};
use crate::run::{Running, fresh_name, rinka, rinka_with, shared};
use crate::support::eventually::eventually;

/// Partition 0 ends at 20, 1 at 1,000, 2 at 30; a classic group, one of the new protocol, one that is empty.
fn state() -> State {
    let member = |id, partitions: &[i32]| Member {
        id,
        host: "/10.0.0.7",
        partitions: partitions.to_vec(),
        bytes: None,
    };
    let groups = [
        (
            "classic-one",
            Group {
                members: vec![member("m-1", &[0, 1]), member("m-2", &[2])],
                committed: BTreeMap::from([(0, 15), (1, 100)]),
                ..Group::default()
            },
        ),
        (
            "new-one",
            Group {
                new_protocol: true,
                members: vec![member("n-1", &[0, 1, 2])],
                committed: BTreeMap::from([(0, 20)]),
            },
        ),
        (
            "empty-one",
            Group {
                committed: BTreeMap::from([(0, 12), (2, 30)]),
                ..Group::default()
            },
        ),
    ];
    State {
        ends: BTreeMap::from([(0, 20), (1, 1_000), (2, 30)]),
        groups: groups.map(|(name, group)| (name.to_owned(), group)).into(),
        ..State::default()
    }
}

/// With the newest versions, and with those of years ago.
fn check(test: impl Fn(&FakeBroker)) {
    for flexible in [true, false] {
        test(&FakeBroker::start(state(), flexible));
    }
}

#[test]
fn groups_of_both_protocols_are_listed() {
    let broker = FakeBroker::start(state(), true);
    let listed = rinka(&broker.bootstrap, &["group", "list"])
        .succeeded()
        .output;
    let lines: Vec<Vec<&str>> = listed
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[1],
        ["classic-one", "classic", "Stable", "consumer", "1"]
    );
    assert_eq!(lines[3], ["new-one", "consumer", "Stable", "consumer", "1"]);
    let listed = rinka(&broker.bootstrap, &["group", "list", "-o", "json"]);
    assert_eq!(listed.succeeded().json().len(), 3);
    // Of years ago there is neither a type nor a state, and they are listed all the same.
    let broker = FakeBroker::start(state(), false);
    let listed = rinka(&broker.bootstrap, &["group", "list", "-o", "json"]);
    assert_eq!(listed.succeeded().json().len(), 3);
}

#[test]
fn groups_are_described_with_their_members() {
    check(|broker| {
        let described = rinka(&broker.bootstrap, &["group", "describe", "classic-one"]);
        let described = described.succeeded().output;
        assert!(
            described.starts_with("classic-one  classic, Stable, assignor range"),
            "{described}"
        );
        assert!(described.contains("orders:0-1"), "{described}");
        assert!(described.ends_with("2 members\n"), "{described}");
        let both = ["group", "describe", "new-one", "empty-one", "-o", "json"];
        let both = rinka(&broker.bootstrap, &both).succeeded().json();
        assert_eq!(both[0]["kind"], "consumer");
        assert_eq!(both[0]["epoch"], 7);
        assert_eq!(both[0]["members"][0]["partitions"][2]["partition"], 2);
        assert_eq!(both[1]["state"], "Empty");
        let missing = ["group", "describe", "nobody"];
        rinka(&broker.bootstrap, &missing).failed(1, "there is no group nobody");
    });
}

#[test]
fn an_assignment_that_makes_no_sense_is_told_and_nothing_more() {
    let mut state = state();
    let group = state.groups.get_mut("classic-one").expect("there");
    // A million topics in four bytes; and a topic that moves the cursor.
    group.members[0].bytes = Some(b"\0\0\0\x0F\x42\x40");
    group.members[1].bytes = Some(b"\0\0\0\0\0\x01\0\x04\x1b[2J\0\0\0\x01\0\0\0\0");
    let broker = FakeBroker::start(state, true);
    let described = rinka(&broker.bootstrap, &["group", "describe", "classic-one"]);
    let described = described.succeeded().output;
    assert!(described.contains("(cannot be read)"), "{described}");
    assert!(
        described.contains("\\u{1b}[2J:0") && !described.contains('\x1b'),
        "{described}"
    );
}

#[test]
fn the_lag_is_sorted_and_summed_up() {
    check(|broker| {
        let lag = rinka(&broker.bootstrap, &["group", "lag", "classic-one"]).succeeded();
        let lines: Vec<Vec<&str>> = lag
            .output
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines[1],
            [
                TOPIC,
                "1",
                "100",
                "1000",
                "900",
                "m-1",
                "client",
                "/10.0.0.7"
            ]
        );
        assert_eq!(
            lines[2],
            [TOPIC, "0", "15", "20", "5", "m-1", "client", "/10.0.0.7"]
        );
        assert_eq!(
            lines[3],
            [TOPIC, "2", "-", "30", "-", "m-2", "client", "/10.0.0.7"]
        );
        assert!(
            lag.output
                .ends_with("Total lag 905 in 3 partitions of group classic-one\n")
        );
        let all = rinka(
            &broker.bootstrap,
            &["group", "lag", "--behind", "-o", "json"],
        );
        let all = all.succeeded().json();
        let lags: Vec<(&str, i64)> = all
            .iter()
            .map(|row| {
                (
                    row["group"].as_str().expect("a name"),
                    row["lag"].as_i64().expect("a lag"),
                )
            })
            .collect();
        assert_eq!(
            lags,
            [("classic-one", 900), ("empty-one", 8), ("classic-one", 5)]
        );
        rinka(&broker.bootstrap, &["group", "lag", "nobody"]).failed(1, "there is no group nobody");
    });
}

#[test]
fn a_coordinator_that_loads_is_waited_for() {
    check(|broker| {
        broker.state.lock().expect("no panic while held").loading = 2;
        rinka(&broker.bootstrap, &["group", "lag", "classic-one"]).succeeded();
        broker.state.lock().expect("no panic while held").loading = usize::MAX;
        let impatient = ["group", "lag", "classic-one", "--timeout", "0.3"];
        rinka(&broker.bootstrap, &impatient).failed(1, "COORDINATOR_LOAD_IN_PROGRESS");
    });
}

#[test]
fn a_watch_tells_the_rate_and_ends_when_interrupted() {
    let broker = FakeBroker::start(state(), true);
    let watch = ["group", "lag", "empty-one", "--watch", "0.2"];
    let mut watching = Running::start(&broker.bootstrap, &watch);
    watching.wait_for("RATE/S");
    watching.wait_for("Total lag 8 in 2 partitions of group empty-one, 0.0 records/s");
    let mut state = broker.state.lock().expect("no panic while held");
    let group = state.groups.get_mut("empty-one").expect("there");
    group.committed.insert(0, 20);
    drop(state);
    watching.wait_for("Total lag 0 in 2 partitions");
    // What a broker says for a while is no reason to look away.
    broker
        .state
        .lock()
        .expect("no panic while held")
        .groups
        .clear();
    watching.wait_for("Nothing is committed or assigned");
    assert_eq!(watching.interrupt(), 0);
}

#[test]
fn offsets_move_only_when_it_is_executed() {
    check(|broker| {
        let reset = |arguments: &[&str]| {
            let all = [&["group", "reset-offsets", "empty-one"], arguments].concat();
            rinka(&broker.bootstrap, &all)
        };
        let plan = reset(&["--all-topics", "--to", "earliest"])
            .succeeded()
            .output;
        assert!(
            plan.ends_with("Nothing was changed: --execute does it.\n"),
            "{plan}"
        );
        assert_eq!(
            broker.committed("empty-one"),
            BTreeMap::from([(0, 12), (2, 30)])
        );

        let moved = reset(&[
            "--all-topics",
            "--to",
            "earliest",
            "--execute",
            "-o",
            "json",
        ]);
        let moved = moved.succeeded().json();
        assert_eq!(moved[1]["currentOffset"], 30);
        assert_eq!(moved[1]["newOffset"], 10);
        assert_eq!(moved[1]["executed"], true);
        assert_eq!(
            broker.committed("empty-one"),
            BTreeMap::from([(0, 10), (2, 10)])
        );

        reset(&["--topic", "orders:1", "--to", "500", "--execute"]).succeeded();
        reset(&["--topic", "orders:0", "--shift", "3", "--execute"]).succeeded();
        let expected = BTreeMap::from([(0, 13), (1, 500), (2, 10)]);
        assert_eq!(broker.committed("empty-one"), expected);
        reset(&["--topic", "orders", "--to", "17ms", "--execute"]).succeeded();
        let expected = BTreeMap::from([(0, 17), (1, 17), (2, 17)]);
        assert_eq!(broker.committed("empty-one"), expected);
        // A time after the last record is the end; offsets beyond it are brought to it.
        reset(&["--topic", "orders:0", "--to", "5000ms", "--execute"]).succeeded();
        reset(&["--topic", "orders:2", "--to", "99999", "--execute"]).succeeded();
        let expected = BTreeMap::from([(0, 20), (1, 17), (2, 30)]);
        assert_eq!(broker.committed("empty-one"), expected);

        reset(&["--topic", "orders:9", "--to", "latest"]).failed(2, "has no partition 9");
        reset(&["--topic", "nothing", "--to", "latest"]).failed(1, "there is no topic nothing");
        let busy = [
            "group",
            "reset-offsets",
            "classic-one",
            "--all-topics",
            "--to",
            "latest",
            "--execute",
        ];
        rinka(&broker.bootstrap, &busy).failed(1, "stop them first");
        assert_eq!(
            broker.committed("classic-one"),
            BTreeMap::from([(0, 15), (1, 100)])
        );
    });
}

#[test]
fn groups_without_members_are_deleted() {
    check(|broker| {
        let several = ["group", "delete", "empty-one", "classic-one", "nobody"];
        let printed =
            rinka(&broker.bootstrap, &several).failed(1, "group classic-one: it has members");
        assert_eq!(printed.output, "Deleted empty-one\n");
        assert!(
            printed.remarks.contains("there is no group nobody"),
            "{printed:?}"
        );
        assert!(
            printed.remarks.contains("2 of 3 groups were not deleted"),
            "{printed:?}"
        );
        let state = broker.state.lock().expect("no panic while held");
        assert!(!state.groups.contains_key("empty-one"));
    });
}

#[test]
fn a_member_begins_where_the_group_is_and_commits_what_it_printed() {
    check(|broker| {
        let arguments = ["consume", TOPIC, "--group", "readers", "--max", "4"];
        let first = rinka(&broker.bootstrap, &arguments).succeeded();
        assert_eq!(first.output.lines().count(), 4);
        let committed = broker.committed("readers");
        let printed: i64 = committed.values().map(|offset| offset - 10).sum();
        assert_eq!(printed, 4, "{committed:?}");
        // The rest, and nothing twice: 1,020 records in all.
        let arguments = ["consume", TOPIC, "--group", "readers", "--until", "end"];
        let rest = rinka(&broker.bootstrap, &arguments).succeeded();
        let mut all: Vec<&str> = first.output.lines().chain(rest.output.lines()).collect();
        assert_eq!(all.len(), 1_020);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 1_020);
        let expected = BTreeMap::from([(0, 20), (1, 1_000), (2, 30)]);
        assert_eq!(broker.committed("readers"), expected);
        let state = broker.state.lock().expect("no panic while held");
        assert_eq!(state.left, ["member-1", "member-1"]);
    });
}

#[test]
fn a_member_rejoins_when_the_group_shares_out_anew_and_leaves_when_interrupted() {
    let broker = FakeBroker::start(state(), true);
    broker.state.lock().expect("no panic while held").rebalances = 1;
    let arguments = ["consume", TOPIC, "--group", "readers"];
    let mut running = Running::start(&broker.bootstrap, &arguments);
    running.wait_for("1:999\n");
    broker.wait_until("it joins again", |state| state.joins >= 2);
    // It goes on where it was: what comes next is what is new.
    broker
        .state
        .lock()
        .expect("no panic while held")
        .ends
        .insert(0, 22);
    running.wait_for("0:20\n0:21\n");
    assert_eq!(running.interrupt(), 0);
    assert_eq!(broker.committed("readers")[&0], 22);
    let state = broker.state.lock().expect("no panic while held");
    assert_eq!(state.left, ["member-1"]);
}

/// A topic with this many partitions, ten records in each, whose values say where they are.
fn filled_topic(bootstrap: &str, partitions: usize) -> String {
    let topic = fresh_name("consumed");
    let count = partitions.to_string();
    rinka(
        bootstrap,
        &["topic", "create", &topic, "--partitions", &count],
    )
    .succeeded();
    produce_to_all(bootstrap, &topic, partitions, 0..10);
    topic
}

fn produce_to_all(
    bootstrap: &str,
    topic: &str,
    partitions: usize,
    numbers: std::ops::Range<usize>,
) {
    for partition in 0..partitions {
        let lines = numbers
            .clone()
            .map(|number| format!("p{partition}n{number};\n"));
        let lines: String = lines.collect();
        let to = partition.to_string();
        let arguments = ["produce", topic, "--partition", &to];
        rinka_with(bootstrap, &arguments, lines.as_bytes()).succeeded();
    }
}

#[test]
fn a_member_of_either_protocol_goes_on_where_another_one_ended() {
    let bootstrap = shared();
    let topic = filled_topic(bootstrap, 3);
    let group = fresh_name("readers");
    let mut seen = Vec::new();
    for (protocol, told) in [
        (None, "epoch"),
        (Some("classic"), "generation"),
        (Some("consumer"), "epoch"),
    ] {
        let mut arguments = vec!["consume", &topic, "--group", &group, "--max", "10"];
        if let Some(protocol) = protocol {
            arguments.extend(["--group-protocol", protocol]);
        }
        let printed = rinka(bootstrap, &arguments).succeeded();
        assert!(printed.remarks.contains(told), "{printed:?}");
        seen.extend(printed.output.lines().map(str::to_owned));
    }
    assert_eq!(seen.len(), 30);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 30, "none is printed twice");
}

#[test]
fn a_member_gives_up_what_moves_commits_it_and_takes_over_what_is_left() {
    let bootstrap = shared();
    let topic = filled_topic(bootstrap, 2);
    let group = fresh_name("readers");
    let arguments = [
        "consume",
        &topic,
        "--group",
        &group,
        "--group-protocol",
        "consumer",
    ];
    let mut first = Running::start(bootstrap, &arguments);
    first.wait_for("p0n9;");
    first.wait_for("p1n9;");
    let mut second = Running::start(bootstrap, &arguments);
    let members_with_one = || {
        let described = rinka(
            bootstrap,
            &["group", "describe", &group, "--output", "json"],
        );
        let described = described.succeeded().json();
        let text = described[0].to_string();
        let members = described[0]["members"].as_array().cloned();
        let members = members.unwrap_or_default();
        assert!(members.len() <= 2, "{text}");
        members
            .iter()
            .filter(|member| {
                member["partitions"]
                    .as_array()
                    .is_some_and(|p| p.len() == 1)
            })
            .count()
    };
    // Nobody tells of a rebalance: the group is described again.
    eventually(Duration::from_secs(40), "they share", || {
        members_with_one() >= 2
    });
    produce_to_all(bootstrap, &topic, 2, 10..20);
    // Each has its own, from where the group was: nothing of the first ten comes again.
    first.wait_for("n19;");
    second.wait_for("n19;");
    let (of_first, of_second) = (first.text(), second.text());
    assert!(!of_second.contains("n9;"), "{of_second}");
    let both = format!("{of_first}{of_second}");
    for partition in 0..2 {
        for number in 0..20 {
            let record = format!("p{partition}n{number};");
            assert_eq!(both.matches(&record).count(), 1, "{record}");
        }
    }
    assert_eq!(first.interrupt(), 0);
    // It left, so the other one has all without waiting for a session to end.
    let began = std::time::Instant::now();
    produce_to_all(bootstrap, &topic, 2, 20..21);
    second.wait_for("p0n20;");
    second.wait_for("p1n20;");
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(second.interrupt(), 0);
}

#[test]
fn a_group_is_configured_and_says_where_its_values_come_from() {
    let bootstrap = shared();
    let group = fresh_name("configured");
    let config = |arguments: &[&str]| {
        let whose = ["--group", &group];
        rinka(
            bootstrap,
            &[&["config", arguments[0]], &whose[..], &arguments[1..]].concat(),
        )
    };
    let key = "consumer.heartbeat.interval.ms";
    config(&["set", &format!("{key}=7000")]).succeeded();
    config(&["set", &format!("{key}=1")]).failed(1, "group.consumer.min.heartbeat.interval.ms");
    config(&["set", "colour=red"]).failed(1, "colour");
    let described = || {
        let described = config(&["describe", "--output", "json"]).succeeded();
        let rows = described.json().into_iter();
        let of = |name: &str, row: &serde_json::Value| row[name].as_str().map(str::to_owned);
        let rows = rows.map(|row| (of("key", &row), of("value", &row), of("source", &row)));
        rows.collect::<Vec<_>>()
    };
    let text = |text: &str| Some(text.to_owned());
    let row = |value: &str, source: &str| (text(key), text(value), text(source));
    assert!(
        described().contains(&row("7000", "group")),
        "{:?}",
        described()
    );
    config(&["delete", key]).succeeded();
    assert!(
        described().contains(&row("5000", "default")),
        "{:?}",
        described()
    );
}

#[test]
fn a_member_moves_nobody_to_the_newer_protocol_unless_it_is_told_to() {
    let bootstrap = shared();
    let topic = filled_topic(bootstrap, 2);
    let group = fresh_name("readers");
    let arguments = ["consume", &topic, "--group", &group, "--group-protocol"];
    let classic = [&arguments[..], &["classic"]].concat();
    let mut first = Running::start(bootstrap, &classic);
    first.wait_for("p0n9;");
    first.wait_for("p1n9;");
    let described = || {
        let described = rinka(
            bootstrap,
            &["group", "describe", &group, "--output", "json"],
        );
        described.succeeded().json()[0].clone()
    };
    let kind = || described()["kind"].clone();
    let within = Duration::from_secs(30);
    let second = Running::start(bootstrap, &arguments[..4]);
    // Nobody tells of a change of a group: it is described again.
    eventually(within, "two members", || {
        described()["members"].as_array().map(Vec::len) == Some(2)
    });
    assert_eq!(kind(), "classic");
    assert_eq!(second.interrupt(), 0);
    // Whoever says so moves them, and the member that is there already goes on.
    let newer = [&arguments[..], &["consumer"]].concat();
    let third = Running::start(bootstrap, &newer);
    eventually(within, "it is moved", || kind() == "consumer");
    assert_eq!(third.interrupt(), 0);
    let left = std::time::Instant::now();
    produce_to_all(bootstrap, &topic, 2, 10..11);
    first.wait_for("p0n10;");
    first.wait_for("p1n10;");
    // Nobody waits for the session of a member that is not there any more, which is 45 s.
    assert!(left.elapsed() < Duration::from_secs(30));
    assert_eq!(first.interrupt(), 0);
}
