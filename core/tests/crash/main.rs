//! kill -9 at random moments under load, on the real binary: after every restart each acknowledged record is there, once, in order;
//! and SIGTERM under load leaves in time and leaves nothing to replay. The account itself is kept, and tested, in `checker`.
//!
//! - `cargo test -p rinka-core --test crash -- --nocapture`
//! - `RINKA_CRASH_SEED`: the moments of the kills; printed by every run.
//! - `RINKA_CRASH_KILLS`: kills in each of the five variants, instead of 10.
//! - `RINKA_TEST_BROKER=perf/kafka/start`: the control. Apache Kafka needs some ten seconds for each start, so give it fewer kills.

mod checker;
mod hammer;
#[path = "../support/mod.rs"]
mod support;

use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use checker::Account;
use hammer::{Acked, Hammer, Load};
use support::admin::create_topic;
use support::broker::{Broker, BrokerSettings};
use support::random::Random;
use support::toolchain::skip;

/// Five variants, 50 kills.
const KILLS: usize = 10;

const LOAD: Load = Load {
    partitions: 6,
    producers: 3,
    records_per_second: 24_000,
};

const TOPIC: &str = "crash";

/// The promise of the README: SIGTERM, and it is gone.
const LEAVES_WITHIN: Duration = Duration::from_secs(2);

/// One after another: each has the machine for itself, or the times would say nothing.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn flushed_acks_survive_kills() {
    survive_kills("flushed", "node", &["2"]);
}

#[test]
fn flushed_acks_survive_kills_with_core_routing() {
    survive_kills("flushed", "core", &["2"]);
}

#[test]
fn written_acks_survive_kills() {
    survive_kills("written", "node", &["2"]);
}

#[test]
fn written_acks_survive_kills_with_core_routing() {
    survive_kills("written", "core", &["2"]);
}

#[test]
fn acks_survive_kills_and_another_number_of_shards() {
    survive_kills("flushed", "node", &["2", "1", "3"]);
}

#[test]
fn sigterm_leaves_in_time_and_nothing_to_replay() {
    leave_in_time("node");
}

#[test]
fn sigterm_leaves_in_time_and_nothing_to_replay_with_core_routing() {
    leave_in_time("core");
}

/// `shards`: what each start is given, in turn.
fn survive_kills(ack: &str, routing: &str, shards: &[&str]) {
    let program = match hammer::program() {
        Ok(program) => program,
        Err(absent) => return skip(&absent),
    };
    let _alone = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let seed = setting("RINKA_CRASH_SEED").unwrap_or_else(fresh_seed);
    let kills =
        setting("RINKA_CRASH_KILLS").map_or(KILLS, |kills| usize::try_from(kills).expect("a few"));
    say(&format!(
        "rinka.ack={ack} rinka.routing={routing} rinka.shards={}: {kills} kills, RINKA_CRASH_SEED={seed}",
        shards.join(", then ")
    ));
    let mut random = Random::new(seed);
    let mut broker = start(BrokerSettings::new(routing).with("rinka.ack", ack));
    let hammer = Hammer::start(program, broker.bootstrap(), TOPIC, LOAD);
    let mut account = Account::new(LOAD.partitions);
    let mut acked: Vec<Acked> = Vec::new();
    let mut slowest_start = Duration::ZERO;

    let mut killed = 0;
    while killed < kills {
        // The producers are at work again, and then some random while longer.
        hammer.wait_for_acks(1 + usize::try_from(random.below(2_000)).expect("small"));
        std::thread::sleep(Duration::from_millis(random.below(400)));
        broker.assert_running();
        broker.kill9();
        killed += 1;
        // Acks that came before its end; those still on their way are accounted for after the next kill.
        let new = hammer.take_acks();
        broker.set("rinka.shards", shards[killed % shards.len()]);
        while killed < kills && random.below(4) == 0 {
            // In the middle of recovery.
            broker.spawn();
            std::thread::sleep(Duration::from_millis(random.below(150)));
            broker.kill9();
            killed += 1;
        }
        slowest_start = slowest_start.max(broker.start_again());
        for (record, offset) in &new {
            account.on_acked(*record, *offset);
        }
        acked.extend(new);
        read_on(program, &broker, &mut account);
        assert_in_order(
            &account,
            &format!("after kill {killed}, RINKA_CRASH_SEED={seed}"),
        );
    }
    hammer.wait_for_acks(1);
    acked.extend(hammer.finish());
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, &format!("at the end, RINKA_CRASH_SEED={seed}"));
    say(&format!(
        "{killed} kills: {} records acknowledged, {} in the log, none lost, twice or out of order; slowest start {slowest_start:.1?}",
        account.records_acked(),
        account.records_read()
    ));
}

fn leave_in_time(routing: &str) {
    let program = match hammer::program() {
        Ok(program) => program,
        Err(absent) => return skip(&absent),
    };
    let _alone = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut broker = start(BrokerSettings::new(routing));
    let hammer = Hammer::start(program, broker.bootstrap(), TOPIC, LOAD);
    hammer.wait_for_acks(30_000);
    let ended = broker.terminate();
    let took = ended.took;
    if broker.is_rinka() {
        assert!(
            ended.status.success(),
            "SIGTERM under load ended it with {}",
            ended.status
        );
        assert!(took < LEAVES_WITHIN, "SIGTERM under load took {took:?}");
    }
    let mut acked = hammer.take_acks();
    broker.start_again();
    if broker.is_rinka() {
        let printed = broker.printed();
        let recovered = printed.iter().find(|line| line.contains("recovered "));
        assert!(
            recovered.is_some_and(|line| line.contains("replayed 0 ")),
            "after SIGTERM the next start replayed something: {recovered:?}"
        );
    }
    hammer.wait_for_acks(1_000);
    acked.extend(hammer.finish());
    let account = read_all(program, &broker, &acked);
    assert_in_order(&account, "after SIGTERM");
    say(&format!(
        "SIGTERM under load, rinka.routing={routing}: gone after {took:.1?}, {} acknowledged records all there",
        account.records_acked()
    ));
}

fn start(settings: BrokerSettings) -> Broker {
    let broker = Broker::start(settings);
    assert!(
        broker.can_be_killed(),
        "RINKA_TEST_BOOTSTRAP names a broker that this suite cannot kill; use RINKA_TEST_BROKER"
    );
    let partitions = i32::try_from(LOAD.partitions).expect("few partitions");
    create_topic(broker.bootstrap(), TOPIC, partitions, &[]);
    broker
}

/// From where the last reading ended: what is below was read before the kill, and is read again at the end.
fn read_on(program: &Path, broker: &Broker, account: &mut Account) {
    let from = account.next_offsets();
    hammer::read(
        program,
        broker.bootstrap(),
        TOPIC,
        &from,
        |partition, offset, value| {
            account.on_read(partition, offset, value);
        },
    );
}

fn read_all(program: &Path, broker: &Broker, acked: &[Acked]) -> Account {
    let mut account = Account::new(LOAD.partitions);
    for (record, offset) in acked {
        account.on_acked(*record, *offset);
    }
    read_on(program, broker, &mut account);
    account
}

fn assert_in_order(account: &Account, when: &str) {
    let problems = account.problems();
    let shown: Vec<_> = problems
        .iter()
        .take(20)
        .map(|problem| format!("{problem:?}"))
        .collect();
    assert!(
        problems.is_empty(),
        "{} problems {when}, {} records acknowledged, {} read:\n{}",
        problems.len(),
        account.records_acked(),
        account.records_read(),
        shown.join("\n")
    );
}

/// Past libtest's capture: the seed must be in every log, also in that of a run that hangs.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

fn fresh_seed() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    now.subsec_nanos().into()
}
