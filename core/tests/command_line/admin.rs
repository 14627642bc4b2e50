//! What the command line asks of a cluster as its administrator, against a scripted broker: changes of settings and partitions, disks,
//! the quorum; and leaders that move.

use std::collections::BTreeMap;

use crate::fake_broker::{FakeBroker, State, TOPIC};
use crate::run::rinka;

/// With the newest versions, and with those of years ago.
fn check(test: impl Fn(&FakeBroker)) {
    for flexible in [true, false] {
        let state = State {
            ends: BTreeMap::from([(0, 20), (1, 30)]),
            ..State::default()
        };
        test(&FakeBroker::start(state, flexible));
    }
}

#[test]
fn keys_are_set_and_deleted_and_nothing_else() {
    check(|broker| {
        let config =
            |arguments: &[&str]| rinka(&broker.bootstrap, &[&["config"], arguments].concat());
        let dry = config(&["set", "--topic", TOPIC, "a.b=1", "--dry-run"]).succeeded();
        assert_eq!(dry.output, "Would have a.b=1: topic orders\n");
        let set = config(&["set", "--topic", TOPIC, "a.b=1", "c.d=x=y"]).succeeded();
        assert_eq!(
            set.output,
            "Now has a.b=1: topic orders\nNow has c.d=x=y: topic orders\n"
        );
        config(&["set", "--broker", "1", "e.f="]).succeeded();
        config(&["delete", "--all-brokers", "g.h"]).succeeded();
        config(&["set", "--topic", TOPIC, "a.b=2", "wrong=3"]).failed(1, "no such key");
        config(&["set", "--topic", TOPIC, "a.b=2", "a.b=3"]).failed(2, "twice");
        config(&["set", "--broker", "7", "a.b=2"]).failed(1, "there is no broker 7");
        let state = broker.state.lock().expect("no panic while held");
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            state.set,
            [pair("a.b", "1"), pair("c.d", "x=y"), pair("e.f", "")]
        );
        assert_eq!(state.deleted, ["g.h"]);
    });
}

#[test]
fn partitions_are_added() {
    check(|broker| {
        let alter = |arguments: &[&str]| {
            rinka(
                &broker.bootstrap,
                &[&["topic", "alter", TOPIC], arguments].concat(),
            )
        };
        alter(&["--partitions", "9", "--dry-run"]).succeeded();
        let more = alter(&[
            "--partitions",
            "4",
            "--config",
            "a.b=1",
            "--delete-config",
            "c.d",
        ]);
        let more = more.succeeded();
        assert!(
            more.output
                .starts_with("Has 4 partitions, before 2: orders\n"),
            "{more:?}"
        );
        alter(&["--partitions", "3"]).failed(1, "would not be an increase");
        let state = broker.state.lock().expect("no panic while held");
        assert_eq!(state.ends.len(), 4);
        assert_eq!(state.set.len() + state.deleted.len(), 2);
    });
}

#[test]
fn disks_are_shown_and_topics_with_their_sizes() {
    check(|broker| {
        let disks = rinka(&broker.bootstrap, &["cluster", "log-dirs", "-o", "json"]);
        let disks = disks.succeeded().json();
        assert_eq!(disks[0]["sizeBytes"], 200);
        assert_eq!(disks[0]["partitions"], 2);
        assert!(
            disks[1]["error"]
                .as_str()
                .is_some_and(|error| error.contains("KAFKA_STORAGE_ERROR"))
        );
        let text = rinka(&broker.bootstrap, &["cluster", "log-dirs"])
            .succeeded()
            .output;
        assert!(
            text.contains("/data/one") && text.contains("200 B"),
            "{text}"
        );
        let topics = rinka(&broker.bootstrap, &["topic", "list"])
            .succeeded()
            .output;
        assert!(topics.contains("200 B"), "{topics}");
    });
}

#[test]
fn the_quorum_is_shown_with_who_is_behind() {
    check(|broker| {
        let quorum = rinka(&broker.bootstrap, &["cluster", "quorum"])
            .succeeded()
            .output;
        let lines: Vec<Vec<&str>> = quorum
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[0].join(" "), "Leader 1 in epoch 5, high watermark 95");
        assert_eq!(lines[2][..4], ["1", "leader", "100", "0"]);
        assert_eq!(lines[3][..4], ["2", "voter", "95", "5"]);
        assert_eq!(lines[4][..4], ["3", "observer", "40", "60"]);
    });
}

#[test]
fn a_leader_that_moved_is_looked_for_until_the_deadline() {
    check(|broker| {
        let consume = ["consume", TOPIC, "--until", "end", "--timeout", "30"];
        broker.state.lock().expect("no panic while held").moved = 3;
        let read = rinka(&broker.bootstrap, &consume).succeeded();
        assert_eq!(read.output.lines().count(), 10 + 20);
        broker.state.lock().expect("no panic while held").moved = usize::MAX;
        let impatient = ["consume", TOPIC, "--until", "end", "--timeout", "0.5"];
        rinka(&broker.bootstrap, &impatient).failed(1, "NOT_LEADER_OR_FOLLOWER");
    });
}

#[test]
fn a_topic_in_trouble_is_described_at_once() {
    check(|broker| {
        broker.state.lock().expect("no panic while held").leaderless = vec![1];
        let begun = std::time::Instant::now();
        let described = rinka(&broker.bootstrap, &["topic", "describe", TOPIC]).succeeded();
        assert!(begun.elapsed().as_secs() < 10, "it waits for a leader");
        let lines: Vec<Vec<&str>> = described
            .output
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[2][..2], ["0", "1"]);
        assert_eq!(lines[3][..2], ["1", "none"]);
        assert!(
            described.output.contains("a.secret=(hidden)"),
            "{described:?}"
        );
        let listed = rinka(&broker.bootstrap, &["topic", "list"])
            .succeeded()
            .output;
        assert!(listed.contains("1 without a leader"), "{listed}");
        // What needs the leader waits for it, and says so.
        let consume = ["consume", TOPIC, "--until", "end", "--timeout", "0.5"];
        rinka(&broker.bootstrap, &consume).failed(1, "LEADER_NOT_AVAILABLE");
    });
}
