//! Rows 5 and 52-54: peers that are slow, and peers that are many. The broker's deadlines are short here, so that they can be
//! waited for.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rinka_net::wire::ApiKey;
use rinka_net::wire::metadata::MetadataRequest;

use crate::fetch::{everything, large_topic, record_bytes};
use crate::peer::{AT_ONCE, Peer, request_frame};
use crate::support::broker::BrokerSettings;
use crate::{Row, Stage, row};

/// For half a request, and for a reply that is not read.
const TIME: Duration = Duration::from_millis(1_500);
const IDLE: Duration = Duration::from_secs(4);
/// The broker looks once a second; and the machine is busy.
const LATE: Duration = Duration::from_secs(6);
const PER_ADDRESS: usize = 100;
/// Of each of two shards.
const REPLY_MIB: u64 = 32;

pub(crate) fn settings() -> BrokerSettings {
    crate::settings()
        .with("rinka.request.time.ms", &TIME.as_millis().to_string())
        .with("rinka.send.time.ms", &TIME.as_millis().to_string())
        .with("connections.max.idle.ms", &IDLE.as_millis().to_string())
        .with("rinka.request.memory", "4194304")
        .with("rinka.reply.memory", &(REPLY_MIB << 20).to_string())
        .with("max.connections.per.ip", &PER_ADDRESS.to_string())
}

pub(crate) const ROWS: &[Row] = &[
    row(5, "half a request, one byte now and then", |stage| {
        let before = stage.resident_mib();
        // Small and large, silent and trickling: none outlives the time for a request, and none is given what it announces.
        let mut peers: Vec<Peer> = [10_000, 100 << 20, 50 << 20]
            .into_iter()
            .cycle()
            .take(40)
            .map(|length: i32| {
                let mut peer = stage.connect();
                peer.send(&length.to_be_bytes());
                peer.send(&[0, 3, 0, 9]);
                peer
            })
            .collect();
        let began = Instant::now();
        let grown = stage.resident_mib().saturating_sub(before);
        assert!(grown < 64, "{grown} MiB for promises");
        for peer in &mut peers {
            peer.0
                .set_read_timeout(Some(Duration::from_millis(5)))
                .expect("a socket option");
        }
        while !peers.is_empty() {
            assert!(
                began.elapsed() < TIME + LATE,
                "{} are still open",
                peers.len()
            );
            peers.retain_mut(|peer| match peer.0.read(&mut [0; 8]) {
                // A write to one that is gone says so with the next read.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let _ = peer.0.write(&[0]);
                    true
                }
                Ok(0) | Err(_) => false,
                Ok(_) => panic!("nothing was asked"),
            });
        }
        assert!(
            began.elapsed() >= TIME - Duration::from_millis(200),
            "cut before its time"
        );
    }),
    row(
        5,
        "halves of large requests, more than there is memory for",
        |stage| {
            const PEERS: usize = 40;
            let began = Instant::now();
            let mut peers = Vec::new();
            let memory = stage.peak_mib(|| {
                let half = [
                    &(50_i32 << 20).to_be_bytes()[..],
                    &[0, 0, 0, 9],
                    &[7; 3 << 20],
                ]
                .concat();
                for _ in 0..PEERS {
                    let peer = stage.connect();
                    peer.0.set_nonblocking(true).expect("a socket option");
                    peers.push((peer, 0));
                }
                while !peers.is_empty() {
                    assert!(
                        began.elapsed() < TIME + LATE,
                        "{} are still open",
                        peers.len()
                    );
                    peers.retain_mut(|(peer, sent)| match peer.0.write(&half[*sent..]) {
                        Ok(more) => {
                            // The rest comes in trickles.
                            *sent = (*sent + more).min(half.len() - 1);
                            true
                        }
                        Err(error) => error.kind() == ErrorKind::WouldBlock,
                    });
                    // The pace of the trickle.
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            // Half of 4 MiB on each of two shards, one request beyond it on each, and what each peer may have without asking.
            memory.assert_grew_less_than(40);
            large_topic(&stage.bootstrap, "after-halves", 1);
        },
    ),
    row(
        52,
        "more connections than one address may have; a storm of them",
        |stage| {
            let mut open: Vec<TcpStream> = (0..3 * PER_ADDRESS)
                .map(|_| {
                    TcpStream::connect(&stage.bootstrap).expect("connected, if only to be closed")
                })
                .collect();
            let request = request_frame(ApiKey::Metadata, 9, &MetadataRequest::default());
            open.retain_mut(|stream| {
                stream
                    .set_read_timeout(Some(AT_ONCE))
                    .expect("a socket option");
                stream.write_all(&request).is_ok() && stream.read_exact(&mut [0; 4]).is_ok()
            });
            // A shard has its share, and the kernel does not deal quite evenly.
            assert!(open.len() <= PER_ADDRESS, "{} were served", open.len());
            assert!(
                open.len() >= PER_ADDRESS / 2 - 10,
                "only {} were served",
                open.len()
            );
            drop(open);
            // All are free again; and then nobody notices two thousand that come and go.
            for _ in 0..2_000 {
                drop(TcpStream::connect(&stage.bootstrap).expect("connected"));
            }
            // Until the last of them are seen to be gone, one more may be refused.
            let deadline = Instant::now() + AT_ONCE;
            let mut served = 0;
            while served < 20 {
                let mut stream = TcpStream::connect(&stage.bootstrap).expect("connected");
                stream
                    .set_read_timeout(Some(AT_ONCE))
                    .expect("a socket option");
                let answered =
                    stream.write_all(&request).is_ok() && stream.read_exact(&mut [0; 4]).is_ok();
                served = if answered { served + 1 } else { 0 };
                assert!(Instant::now() < deadline, "nobody is served any more");
            }
        },
    ),
    row(52, "a connection that is idle", |stage| {
        let began = Instant::now();
        let mut peer = stage.connect();
        peer.expect_close(IDLE + LATE);
        let waited = began.elapsed();
        assert!(
            waited >= IDLE - Duration::from_millis(200),
            "closed after {waited:?}"
        );
    }),
    row(53, "ten thousand requests, and no reply is read", |stage| {
        let before = stage.resident_mib();
        let mut peer = stage.connect();
        peer.0
            .set_write_timeout(Some(TIME + LATE))
            .expect("a socket option");
        // All topics, a hundred times over: replies are larger than requests.
        let request = request_frame(ApiKey::DescribeConfigs, 4, &describe_configs());
        // Cut while we still write, or afterwards.
        let resident = match peer.0.write_all(&request.repeat(10_000)) {
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::WouldBlock, "not cut");
                stage.resident_mib()
            }
            Ok(()) => ends_unread(stage, &mut peer),
        };
        assert!(
            resident < before + 64,
            "{before} MiB grew to {resident} MiB"
        );
    }),
    row(54, "a fetch of 50 MiB, and a window of zero", |stage| {
        large_topic(&stage.bootstrap, "large", 60);
        let before = stage.resident_mib();
        let began = Instant::now();
        let mut peers: Vec<Peer> = (0..4).map(|_| stage.connect()).collect();
        for peer in &mut peers {
            peer.send_request(ApiKey::Fetch, 11, &everything("large", 60));
        }
        let resident = peers.iter_mut().map(|peer| ends_unread(stage, peer)).max();
        assert!(
            began.elapsed() >= TIME - Duration::from_millis(200),
            "cut before its time"
        );
        let resident = resident.expect("some peers");
        assert!(
            resident < before + 2 * REPLY_MIB + 60,
            "{before} MiB grew to {resident} MiB"
        );
    }),
    row(
        54,
        "sixty of them: more than there is memory for replies",
        |stage| {
            large_topic(&stage.bootstrap, "larger", 60);
            let memory = stage.peak_mib(|| {
                let mut peers: Vec<Peer> = (0..60).map(|_| stage.connect()).collect();
                for peer in &mut peers {
                    peer.send_request(ApiKey::Fetch, 11, &everything("larger", 60));
                }
                // Whoever reads goes on, as soon as the first of those who do not are cut.
                let mut reader = stage.connect();
                let began = Instant::now();
                let mut taken = 0;
                while taken == 0 {
                    assert!(
                        began.elapsed() < 2 * (TIME + LATE),
                        "nothing is left for others"
                    );
                    taken = record_bytes(&reader.ask(ApiKey::Fetch, 11, &everything("larger", 60)));
                }
                for peer in &mut peers {
                    ends_unread(stage, peer);
                }
            });
            // What the kernel's sockets hold is not the broker's; a first batch may go beyond, on each connection.
            memory.assert_grew_less_than(2 * REPLY_MIB + 60);
        },
    ),
];

fn describe_configs() -> rinka_net::wire::describe_configs::DescribeConfigsRequest {
    use rinka_net::wire::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
    DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: 2,
            resource_name: crate::well_behaved::TOPIC.into(),
            ..Default::default()
        }],
        include_synonyms: true,
        include_documentation: true,
    }
}

/// The broker cuts the connection although nothing is read from it: what we send then is answered with a reset. Returns the
/// most memory that the broker had meanwhile, in MiB.
fn ends_unread(stage: &Stage, peer: &mut Peer) -> u64 {
    let deadline = Instant::now() + TIME + LATE;
    let mut resident = 0;
    // A byte of the next request, which is never whole.
    while peer.0.write(&[0]).is_ok() {
        assert!(Instant::now() < deadline, "still open");
        resident = resident.max(stage.resident_mib());
        // The pace of the trickle.
        std::thread::sleep(Duration::from_millis(20));
    }
    resident
}
