//! What the suite fills a broker with: every codec, headers, nulls, producers with ids, stamped batches, one larger than the journal
//! takes, several segments. Decided by nothing but this file, so that every run has the same bytes but for times and ids.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rinka_storage::compression::Codec;
use rinka_storage::record_batch::RecordBatchBuilder;

use crate::support::admin::create_topic;
use crate::support::broker::Broker;
use crate::support::random::Random;
use crate::support::wire::Connection;

/// The topics and how many partitions each has.
pub(crate) const TOPICS: &[(&str, i32)] = &[("codecs", 2), ("stamped", 1), ("rolled", 1)];

const CODECS: [Codec; 5] = [
    Codec::None,
    Codec::Gzip,
    Codec::Snappy,
    Codec::Lz4,
    Codec::Zstd,
];

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_millis()).expect("for a while yet")
}

pub(crate) fn create_topics(broker: &Broker) {
    let dense = ("index.interval.bytes", "600");
    let stamped = ("message.timestamp.type", "LogAppendTime");
    let short = ("segment.bytes", "1048576");
    for (name, partitions) in TOPICS {
        let configs: &[(&str, &str)] = match *name {
            "stamped" => &[dense, stamped],
            "rolled" => &[short],
            _ => &[dense],
        };
        create_topic(broker.bootstrap(), name, *partitions, configs);
    }
}

/// Appends to every topic.
pub(crate) fn fill(broker: &Broker) {
    let mut connection = Connection::open(broker.bootstrap());
    let mut random = Random::new(7);
    let start = now();
    for round in 0..40 {
        for (number, codec) in CODECS.into_iter().enumerate() {
            let partition = i32::try_from(number % 2).expect("0 or 1");
            // Times that go back and forth: the largest so far is not always the last.
            let time = start - i64::try_from(random.below(100_000)).expect("small");
            let batch = mixed(codec, time, &mut random);
            connection.produce("codecs", partition, batch);
        }
        let mut builder = RecordBatchBuilder::new();
        builder.append(start, Some(b"key"), Some(&vec![b'x'; 50 + round]));
        connection.produce("stamped", 0, builder.build());
    }
    idempotent(&mut connection, start);
    // Past the journal, straight to the segment.
    let mut builder = RecordBatchBuilder::new();
    builder.append(start, None, Some(&noise(300 << 10, &mut random)));
    connection.produce("codecs", 0, builder.build());
    for _ in 0..30 {
        let mut builder = RecordBatchBuilder::new();
        for _ in 0..10 {
            builder.append(now(), None, Some(&noise(8 << 10, &mut random)));
        }
        connection.produce("rolled", 0, builder.build());
    }
}

fn mixed(codec: Codec, time: i64, random: &mut Random) -> Bytes {
    let mut builder = RecordBatchBuilder::new().codec(codec);
    builder.append(
        time,
        Some(b"k\xC3\xA4se"),
        Some("wert \u{1F980}".as_bytes()),
    );
    builder.append(time + 3, None, None);
    let headers: &[(&str, Option<&[u8]>)] = &[("a", Some(b"1")), ("b", None), ("a", Some(b""))];
    builder.append_with_headers(time + 1, Some(b""), Some(b"with headers"), headers);
    for number in 0..random.below(20) {
        let value = format!("{number} {}", "again ".repeat(number as usize));
        builder.append(time + 2, None, Some(value.as_bytes()));
    }
    builder.build()
}

/// Two producers, one of which sends a batch twice.
fn idempotent(connection: &mut Connection, time: i64) {
    let producers = [connection.producer_id(), connection.producer_id()];
    for round in 0..12 {
        for id in producers {
            let mut builder = RecordBatchBuilder::new().producer(id, 0, round * 2);
            builder.append(time, None, Some(b"first"));
            builder.append(time, None, Some(b"second"));
            let first = connection.produce("codecs", 1, builder.build());
            if round == 5 {
                assert_eq!(connection.produce("codecs", 1, builder.build()), first);
            }
        }
    }
}

/// Bytes that no codec makes shorter, without a line's end.
fn noise(length: usize, random: &mut Random) -> Vec<u8> {
    let letter = |_| b'!' + u8::try_from(random.below(90)).expect("small");
    (0..length).map(letter).collect()
}
