//! What goes wrong before a broker is asked anything, or because it is none: messages that say what to do, and exit codes.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Instant;

use crate::run::{fresh_name, rinka, rinka_with, shared, topic};
use crate::support::broker::{Broker, BrokerSettings};

#[test]
fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let begun = Instant::now();
    for command in [
        &["topic", "list"][..],
        &["produce", "t"],
        &["consume", "t"],
        &["group", "lag"],
        &["config", "describe", "--topic", "t"],
        &["cluster", "describe"],
    ] {
        let with = format!("nothing listens at {address}: start a broker with `rinka serve`");
        rinka(&address, command).failed(1, &with);
    }
    assert!(
        begun.elapsed().as_secs() < 20,
        "nobody waits for what is not there"
    );
}

#[test]
fn the_second_broker_of_the_list_will_do() {
    let both = format!("127.0.0.1:1,{}", shared());
    rinka(&both, &["cluster", "describe"]).succeeded();
}

/// A server that answers the first bytes it gets, and hangs up.
fn server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accepted");
            let _ = stream.read(&mut [0; 1_024]);
            let _ = stream.write_all(answer);
        }
    });
    address
}

#[test]
fn what_is_no_broker_is_told_so() {
    let web = server(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    rinka(&web, &["topic", "list"]).failed(1, "does it speak the Kafka protocol");
    let mute = server(b"");
    rinka(&mute, &["topic", "list"]).failed(1, "hung up: does it speak the Kafka protocol");
    // A frame of the right length with nothing of an answer in it; one that ends within an answer; one for another request.
    let empty = server(b"\0\0\0\0");
    rinka(&empty, &["topic", "list"]).failed(1, "cannot be read");
    let cut = server(b"\0\0\0\x08\0\0\0\x01\0\0\x7F\xFF");
    rinka(&cut, &["topic", "list"]).failed(1, "cannot be read");
    let other = server(b"\0\0\0\x0C\0\0\0\x63\0\0\x01\0\0\0\0\0");
    rinka(&other, &["topic", "list"]).failed(1, "what it was not asked");
}

#[test]
fn an_answer_that_does_not_come_is_waited_for_so_long() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let begun = Instant::now();
    let printed = rinka(&address, &["topic", "list", "--timeout", "0.5"]);
    printed.failed(1, "does not answer within 0.5 s");
    assert!(begun.elapsed().as_secs() < 15);
    drop(listener);
}

#[test]
fn a_command_line_that_makes_no_sense_is_told_from_a_failure() {
    for (arguments, with) in [
        (&["topic"][..], "Usage"),
        (&["topic", "create"], "TOPIC"),
        (&["topic", "alter", "t"], "nothing to change"),
        (
            &["topic", "alter", "t", "--replication", "3"],
            "stays as the topic was created",
        ),
        (&["serve", "--set", "log.dirs"], "KEY=VALUE"),
        (&["consume", "t", "--group-protocol", "classic"], "--group"),
        (
            &["topic", "create", "t", "--config", "novalue"],
            "KEY=VALUE",
        ),
        (
            &["topic", "create", "t", "--partitions", "0"],
            "--partitions",
        ),
        (&["topic", "list", "--bootstrap", "::1"], "HOST:PORT"),
        (&["topic", "list", "--pattern", "("], "regex"),
        (&["consume"], "TOPIC"),
        (&["consume", "t", "--from", "soon"], "RFC 3339|2026-01-31"),
        (
            &["consume", "t", "--partition", "0", "--group", "g"],
            "--group",
        ),
        (
            &["produce", "t", "--json", "--key-separator", ":"],
            "--key-separator",
        ),
        (&["group", "reset-offsets", "g", "--all-topics"], "--to"),
        (&["group", "lag", "--watch", "never"], "seconds"),
        (&["completions", "tcsh"], "bash"),
    ] {
        let printed = rinka("127.0.0.1:1", arguments);
        assert_eq!(printed.code, 2, "{arguments:?}: {printed:?}");
        let said = with.split('|').any(|with| printed.remarks.contains(with));
        assert!(said, "{arguments:?}: {printed:?}");
    }
}

#[test]
fn what_is_not_there_is_said_with_what_to_do() {
    rinka(shared(), &["consume", "no-such-topic"]).failed(1, "rinka topic create no-such-topic");
    let name = topic("parts", &[]);
    rinka(shared(), &["consume", &name, "--partition", "3"]).failed(1, "has no partition 3");
    rinka(shared(), &["dump", "no-such-file.log"]).failed(1, "there is no no-such-file.log");
}

/// Whether a producer makes a topic by naming it is the broker's own setting.
#[test]
fn producing_makes_a_topic_only_where_the_broker_does() {
    let name = fresh_name("on-demand");
    let produce = |broker: &Broker| rinka_with(broker.bootstrap(), &["produce", &name], b"a\n");
    let strict = BrokerSettings::new("core");
    let generous = strict.clone().with("auto.create.topics.enable", "true");
    let broker = Broker::start(generous);
    produce(&broker).succeeded();
    let read = rinka(broker.bootstrap(), &["consume", &name, "--until", "end"]);
    assert_eq!(read.succeeded().output, "a\n");
    if broker.is_rinka() {
        let broker = Broker::start(strict);
        produce(&broker).failed(1, &format!("rinka topic create {name}"));
    }
}

#[test]
fn every_shell_gets_its_completions() {
    for (shell, with) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef rinka"),
        ("fish", "complete -c rinka"),
    ] {
        let script = rinka("127.0.0.1:1", &["completions", shell])
            .succeeded()
            .output;
        assert!(script.contains(with), "{shell}");
        assert!(script.contains("reset-offsets"), "{shell}");
    }
}

#[test]
fn help_has_examples_and_exit_codes() {
    let help = rinka("127.0.0.1:1", &["--help"]).succeeded().output;
    assert!(help.contains("Exit code: 0, 1 when something failed, 2 when"));
    let help = rinka("127.0.0.1:1", &["group", "lag", "--help"])
        .succeeded()
        .output;
    assert!(help.contains("rinka group lag readers --watch"));
    assert!(help.contains("RINKA_BOOTSTRAP"));
}

/// Nothing here is a terminal.
#[test]
fn pipes_get_no_colours() {
    topic("plain", &[]);
    let listed = rinka(shared(), &["topic", "list"]).succeeded().output;
    assert!(!listed.contains('\x1b'));
}
