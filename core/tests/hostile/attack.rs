//! Fifty connections attack one shard; a well-behaved client of the other shard is timed, before and meanwhile, and the broker's
//! memory is watched.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rinka_net::wire::ApiKey;
use rinka_net::wire::metadata::{MetadataRequest, MetadataResponse};

use crate::peer::{Peer, request_frame};
use crate::support::random::Random;
use crate::well_behaved::{TOPIC, WellBehaved};
use crate::{ONE_AT_A_TIME, Stage};

const CONNECTIONS: usize = 50;
/// Long enough for the deadlines below to pass: attackers are cut, and come again.
const MEASURED: Duration = Duration::from_secs(5);

/// Attackers, broker and client share two cores with whatever else runs on the machine: beside twice the quiet time, a slow
/// round trip may be that much slower. A shard that is blocked is a hundred times slower.
const ALLOWANCE: Duration = Duration::from_millis(10);

/// All of the broker, its caches included, while `rinka.request.memory` is 64 MiB for each of two shards.
const RESIDENT_MIB_MAX: u64 = 384;

struct Attack {
    name: &'static str,
    /// What a new connection begins with, and what it sends again and again.
    begins: fn(&mut Random) -> Vec<u8>,
    goes_on: fn(&mut Random) -> Vec<u8>,
    /// How often each of its connections acts. One that is closed each time must leave ports for the others.
    pace: Duration,
}

const ATTACKS: &[Attack] = &[
    Attack {
        name: "slow loris",
        begins: |_| vec![0, 0, 0x40, 0, 0, 3, 0, 9],
        goes_on: |_| vec![0],
        pace: Duration::from_millis(1),
    },
    Attack {
        name: "announcements of 100 MiB",
        begins: |_| {
            [
                &(100_i32 << 20).to_be_bytes()[..],
                &[0, 0, 0, 9],
                &[7; 70_000],
            ]
            .concat()
        },
        goes_on: |_| vec![7; 1_000],
        pace: Duration::from_millis(1),
    },
    Attack {
        name: "requests whose replies nobody reads",
        begins: |_| Vec::new(),
        goes_on: |_| request_frame(ApiKey::Metadata, 9, &all_topics()).repeat(100),
        pace: Duration::from_millis(1),
    },
    Attack {
        name: "garbage",
        begins: |_| Vec::new(),
        // A length that is taken, an API that exists, and then nothing that makes sense.
        goes_on: |random| {
            let mut frame = vec![0, 0, 0, 60, 0, random.below(4) as u8, 0, 9];
            frame.extend((0..56).map(|_| random.draw() as u8));
            frame
        },
        pace: Duration::from_millis(20),
    },
];

fn all_topics() -> MetadataRequest {
    MetadataRequest {
        topics: None,
        ..Default::default()
    }
}

#[test]
fn others_do_not_notice_an_attack() {
    let _turn = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let settings = crate::support::broker::BrokerSettings::new("core")
        .with("rinka.request.memory", "67108864")
        .with("rinka.request.time.ms", "2000")
        .with("rinka.send.time.ms", "2000");
    let stage = Stage::start(settings);
    WellBehaved::new(&stage.bootstrap).round_trip();
    let (attacked, other, partition) = two_shards(&stage.bootstrap);
    let mut client = WellBehaved::connect(&other).only(partition);
    // Files are made and caches filled by the first ones.
    client.timed();
    let quiet = measure(&mut client);
    report(format!("quiet: p50 {:?} p99 {:?}", quiet.p50, quiet.p99));
    let mut failed = Vec::new();
    for attack in ATTACKS {
        let stop = AtomicBool::new(false);
        let (attacks, times, resident) = std::thread::scope(|scope| {
            let attacker = scope.spawn(|| run(attack, &attacked, &stop));
            let times = measure(&mut client);
            let resident = stage.status_mib("VmHWM:");
            stop.store(true, Ordering::Relaxed);
            (attacker.join().expect("the attacker"), times, resident)
        });
        report(format!(
            "{}: p50 {:?} p99 {:?}, at most {resident} MiB, {attacks:?}",
            attack.name, times.p50, times.p99
        ));
        assert!(attacks.bytes > 0, "there was an attack");
        if times.p99 > 2 * quiet.p99 + ALLOWANCE {
            failed.push(format!(
                "{}: p99 {:?} of {:?}",
                attack.name, times.p99, quiet.p99
            ));
        }
        if resident > RESIDENT_MIB_MAX {
            failed.push(format!("{}: {resident} MiB", attack.name));
        }
        stage.broker().assert_running();
    }
    WellBehaved::connect(&attacked).round_trip();
    assert!(failed.is_empty(), "noticed: {}", failed.join("; "));
}

/// The addresses of two shards, and a partition that the second one owns.
fn two_shards(bootstrap: &str) -> (String, String, i32) {
    let response: MetadataResponse =
        Peer::connect(bootstrap).ask(ApiKey::Metadata, 9, &all_topics());
    let address = |at: usize| {
        let broker = &response.brokers[at];
        format!("{}:{}", &*broker.host, broker.port)
    };
    let topic = response
        .topics
        .iter()
        .find(|topic| topic.name.as_deref() == Some(TOPIC));
    let owner = response.brokers[1].node_id;
    let partition = topic
        .expect("it was created")
        .partitions
        .iter()
        .find(|partition| partition.leader_id == owner);
    let partition = partition.expect("each shard owns some").partition_index;
    (address(0), address(1), partition)
}

struct Times {
    p50: Duration,
    p99: Duration,
}

fn measure(client: &mut WellBehaved) -> Times {
    let began = Instant::now();
    let mut times = Vec::new();
    while began.elapsed() < MEASURED {
        times.push(client.timed());
    }
    times.sort_unstable();
    Times {
        p50: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
    }
}

#[derive(Debug, Default)]
struct Attacks {
    connections: usize,
    bytes: usize,
}

/// Each connection sends what it can, and never reads; one that was ended is made anew.
fn run(attack: &Attack, address: &str, stop: &AtomicBool) -> Attacks {
    let mut random = Random::new(7);
    let mut done = Attacks::default();
    let mut peers: Vec<Option<TcpStream>> = (0..CONNECTIONS).map(|_| None).collect();
    while !stop.load(Ordering::Relaxed) {
        let round = Instant::now();
        for peer in &mut peers {
            // The end can be seen without reading what comes before it, where nothing does.
            if peer
                .as_ref()
                .is_some_and(|stream| matches!(stream.peek(&mut [0]), Ok(0)))
            {
                *peer = None;
            }
            let bytes = match peer {
                Some(_) => (attack.goes_on)(&mut random),
                None => {
                    let stream = TcpStream::connect(address).expect("connected");
                    stream.set_nonblocking(true).expect("a socket option");
                    *peer = Some(stream);
                    done.connections += 1;
                    (attack.begins)(&mut random)
                }
            };
            let stream = peer.as_mut().expect("just made");
            match stream.write(&bytes) {
                Ok(sent) => done.bytes += sent,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => *peer = None,
            }
        }
        // The pace of the attack, not a wait for anything.
        std::thread::sleep(attack.pace.saturating_sub(round.elapsed()));
    }
    done
}

/// Past libtest's capture: figures are for people.
fn report(line: String) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
