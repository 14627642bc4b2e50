//! Rows 21-37: batches that lie, and producers that do.

use bytes::Bytes;
use rinka_net::wire::produce::{PartitionProduceResponse, ProduceResponse};
use rinka_net::wire::{ApiKey, ErrorCode, Records};
use rinka_storage::compression::{Codec, compress};
use rinka_storage::record_batch::{RecordBatchBuilder, set_max_timestamp};

use crate::peer::AT_ONCE;
use crate::support::admin::create_topic;
use crate::well_behaved::{TOPIC, now_ms, produce_request};
use crate::{Row, Stage, row};

// Where the fields of a batch are.
const LENGTH: usize = 8;
const MAGIC: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const COUNT: usize = 57;
const BODY: usize = 61;

pub(crate) const ROWS: &[Row] = &[
    row(21, "acks=7", |stage| {
        for acks in [7, -2, 2, i16::MIN] {
            let request = produce_request(TOPIC, 0, Some(good()), acks);
            let response: ProduceResponse = stage.connect().ask(ApiKey::Produce, 9, &request);
            assert_eq!(
                first(&response).error_code,
                ErrorCode::INVALID_REQUIRED_ACKS
            );
        }
    }),
    row(22, "acks=0 and an error: only the end can tell", |stage| {
        for (topic, batch) in [
            ("no-such-topic", good()),
            (TOPIC, patched(CRC, &[1, 2, 3, 4])),
        ] {
            let mut peer = stage.connect();
            let request = produce_request(topic, 0, Some(batch), 0);
            peer.send_request(ApiKey::Produce, 9, &request);
            peer.expect_close(AT_ONCE);
        }
    }),
    row(23, "no records at all", |stage| {
        refused(stage, TOPIC, 9, None, ErrorCode::INVALID_RECORD);
        let nothing = Some(Bytes::new());
        refused(stage, TOPIC, 9, nothing, ErrorCode::INVALID_RECORD);
    }),
    row(24, "magic 0, 1 and 9", |stage| {
        for (magic, expected) in [
            (0, ErrorCode::INVALID_RECORD),
            (1, ErrorCode::INVALID_RECORD),
            (9, ErrorCode::CORRUPT_MESSAGE),
        ] {
            batch(stage, patched(MAGIC, &[magic]), expected);
        }
    }),
    row(25, "two batches where one is allowed", |stage| {
        let two = Bytes::from([good(), good()].concat());
        batch(stage, two, ErrorCode::INVALID_RECORD);
    }),
    row(26, "a CRC that does not fit", |stage| {
        batch(
            stage,
            patched(CRC, &[1, 2, 3, 4]),
            ErrorCode::CORRUPT_MESSAGE,
        );
        let mut torn = good().to_vec();
        *torn.last_mut().expect("bytes") ^= 1;
        batch(stage, torn.into(), ErrorCode::CORRUPT_MESSAGE);
    }),
    row(
        27,
        "a length below the header, or beyond the request",
        |stage| {
            for (length, expected) in [
                (0_i32, ErrorCode::CORRUPT_MESSAGE),
                (48, ErrorCode::CORRUPT_MESSAGE),
                (-1, ErrorCode::CORRUPT_MESSAGE),
                (i32::MIN, ErrorCode::CORRUPT_MESSAGE),
                (1 << 20, ErrorCode::INVALID_RECORD),
                (i32::MAX, ErrorCode::INVALID_RECORD),
            ] {
                batch(stage, patched(LENGTH, &length.to_be_bytes()), expected);
            }
            for cut in [1, 11, 12, 17, 30, 60] {
                let code = answer(stage, TOPIC, 9, Some(good().slice(..cut))).error_code;
                assert_eq!(code, ErrorCode::CORRUPT_MESSAGE, "{cut} bytes of a batch");
            }
        },
    ),
    row(
        28,
        "counts and offsets of the header contradict each other",
        |stage| {
            for (at, value) in [
                (LAST_OFFSET_DELTA, 1_i32),
                (LAST_OFFSET_DELTA, -1),
                (LAST_OFFSET_DELTA, i32::MAX),
                (LAST_OFFSET_DELTA, i32::MIN),
                (COUNT, 0),
                (COUNT, -1),
                (COUNT, i32::MAX),
                (COUNT, i32::MIN),
            ] {
                batch(
                    stage,
                    forged(at, &value.to_be_bytes()),
                    ErrorCode::INVALID_RECORD,
                );
            }
        },
    ),
    row(
        29,
        "the header says 1 and the body has 1000, or the reverse",
        |stage| {
            for (count, said) in [(1_000, 1_i32), (1, 1_000), (3, 2), (2, 3)] {
                let mut lie = records(count).to_vec();
                lie[COUNT..COUNT + 4].copy_from_slice(&said.to_be_bytes());
                let delta = LAST_OFFSET_DELTA;
                lie[delta..delta + 4].copy_from_slice(&(said - 1).to_be_bytes());
                batch(stage, with_crc(lie), ErrorCode::INVALID_RECORD);
            }
            // A record's length that lies, a count of headers that lies, and lengths that never end.
            let record = good();
            for (at, value) in [
                (BODY, &[0x02][..]),
                (BODY, &[0x7E]),
                (BODY, &[0x01]),
                (BODY, &[0xFF; 10]),
                (record.len() - 1, &[0x02]),
                (record.len() - 1, &[0x01]),
                (record.len() - 1, &[0x7E]),
            ] {
                batch(stage, forged(at, value), ErrorCode::INVALID_RECORD);
            }
        },
    ),
    row(30, "zstd that unpacks to far more than it is", |stage| {
        // Ten thousand times as much as it is: one frame after another, as the format allows.
        let one = compress(Codec::Zstd, &vec![0; 64 << 20]);
        let bomb = one.repeat(900_000 / one.len());
        let bomb = packed(Codec::Zstd, &bomb);
        let memory = stage.peak_mib(|| batch(stage, bomb, ErrorCode::INVALID_RECORD));
        memory.assert_grew_less_than(256);
    }),
    row(31, "snappy that claims to be 4 GiB", |stage| {
        let claim = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0, 0];
        // The same as a chunk in the framing that Java clients use.
        let framing = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
        let chunk = [&framing[..], &7_u32.to_be_bytes(), &claim].concat();
        let endless = [&framing[..], &u32::MAX.to_be_bytes(), &claim].concat();
        let mut bodies = vec![
            (Codec::Snappy, &claim[..]),
            (Codec::Snappy, &chunk),
            (Codec::Snappy, &endless),
        ];
        for codec in [Codec::Gzip, Codec::Lz4, Codec::Zstd, Codec::Snappy] {
            bodies.push((codec, b"no such format"));
        }
        let memory = stage.peak_mib(|| {
            for (codec, body) in bodies {
                batch(stage, packed(codec, body), ErrorCode::INVALID_RECORD);
            }
        });
        memory.assert_grew_less_than(64);
    }),
    row(32, "codecs 5 to 7, and zstd before Produce 7", |stage| {
        for codec in 5..8 {
            let unknown = forged(ATTRIBUTES, &[0, codec]);
            batch(stage, unknown, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
        }
        let mut zstd = RecordBatchBuilder::new().codec(Codec::Zstd);
        zstd.append(now_ms(), None, Some(b"value"));
        let zstd = Some(zstd.build());
        let expected = ErrorCode::UNSUPPORTED_COMPRESSION_TYPE;
        refused(stage, TOPIC, 6, zstd.clone(), expected);
        refused(stage, TOPIC, 7, zstd, ErrorCode::NONE);
    }),
    row(33, "a control batch from a client", |stage| {
        let mut control = RecordBatchBuilder::new().control();
        control.append(now_ms(), Some(&[0; 4]), Some(&[0; 6]));
        batch(stage, control.build(), ErrorCode::INVALID_RECORD);
    }),
    row(
        34,
        "a producer without a sequence, with a gap, with an old epoch",
        |stage| {
            create_topic(&stage.bootstrap, "sequences", 1, &[]);
            let send = |epoch, sequence, expected| {
                let mut batch = RecordBatchBuilder::new().producer(4_242, epoch, sequence);
                batch.append(now_ms(), None, Some(b"value"));
                refused(stage, "sequences", 9, Some(batch.build()), expected);
            };
            send(5, -1, ErrorCode::INVALID_RECORD);
            send(5, 0, ErrorCode::NONE);
            send(5, 7, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
            send(4, 1, ErrorCode::INVALID_PRODUCER_EPOCH);
            send(5, 1, ErrorCode::NONE);
        },
    ),
    row(35, "a batch of a transaction that nobody began", |stage| {
        let mut batch = RecordBatchBuilder::new()
            .producer(4_243, 0, 0)
            .transactional();
        batch.append(now_ms(), None, Some(b"value"));
        let records = Some(batch.build());
        refused(stage, TOPIC, 9, records, ErrorCode::INVALID_TXN_STATE);
    }),
    row(
        36,
        "a record from the next century; one without a key where keys are needed",
        |stage| {
            let mut future = RecordBatchBuilder::new();
            future.append(now_ms() + 100 * 365 * 86_400_000, None, Some(b"value"));
            batch(stage, future.build(), ErrorCode::INVALID_TIMESTAMP);
            create_topic(
                &stage.bootstrap,
                "keyed",
                1,
                &[("cleanup.policy", "compact")],
            );
            let mut batch = RecordBatchBuilder::new();
            batch.append(now_ms(), Some(b"key"), Some(b"value"));
            batch.append(now_ms(), None, Some(b"value"));
            let partition = answer(stage, "keyed", 9, Some(batch.build()));
            assert_eq!(partition.error_code, ErrorCode::INVALID_RECORD);
            let faults: Vec<i32> = partition
                .record_errors
                .iter()
                .map(|fault| fault.batch_index)
                .collect();
            assert_eq!(faults, [1]);
        },
    ),
    row(
        37,
        "a batch above max.message.bytes; one above a segment",
        |stage| {
            let large = |bytes: usize| {
                let mut batch = RecordBatchBuilder::new();
                batch.append(now_ms(), None, Some(&vec![7; bytes]));
                Some(batch.build())
            };
            refused(
                stage,
                TOPIC,
                9,
                large(2 << 20),
                ErrorCode::MESSAGE_TOO_LARGE,
            );
            let configs = [
                ("segment.bytes", "1048576"),
                ("max.message.bytes", "4194304"),
            ];
            create_topic(&stage.bootstrap, "small-segments", 1, &configs);
            let expected = ErrorCode::RECORD_LIST_TOO_LARGE;
            refused(stage, "small-segments", 9, large(2 << 20), expected);
        },
    ),
];

fn records(count: usize) -> Bytes {
    let mut batch = RecordBatchBuilder::new();
    for _ in 0..count {
        batch.append(now_ms(), Some(b"key"), Some(b"value"));
    }
    batch.build()
}

fn good() -> Bytes {
    records(1)
}

/// A good batch with other bytes at one place; its CRC is as it was.
fn patched(at: usize, bytes: &[u8]) -> Bytes {
    let mut batch = good().to_vec();
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    batch.into()
}

/// As `patched`, with the CRC of what it is then.
fn forged(at: usize, bytes: &[u8]) -> Bytes {
    with_crc(patched(at, bytes).to_vec())
}

fn with_crc(mut batch: Vec<u8>) -> Bytes {
    set_max_timestamp(&mut batch, now_ms());
    batch.into()
}

/// A batch whose body is that, said to be compressed.
fn packed(codec: Codec, body: &[u8]) -> Bytes {
    let mut batch = good()[..BODY].to_vec();
    batch.extend(body);
    let length = i32::try_from(batch.len() - 12).expect("a small batch");
    batch[LENGTH..LENGTH + 4].copy_from_slice(&length.to_be_bytes());
    batch[ATTRIBUTES + 1] = match codec {
        Codec::None => 0,
        Codec::Gzip => 1,
        Codec::Snappy => 2,
        Codec::Lz4 => 3,
        Codec::Zstd => 4,
    };
    with_crc(batch)
}

fn first(response: &ProduceResponse) -> &PartitionProduceResponse {
    &response.responses[0].partition_responses[0]
}

fn answer(
    stage: &Stage,
    topic: &str,
    version: i16,
    records: Option<Bytes>,
) -> PartitionProduceResponse {
    let mut request = produce_request(topic, 0, None, -1);
    request.topic_data[0].partition_data[0].records = Records(records.map(|batch| vec![batch]));
    let response: ProduceResponse = stage.connect().ask(ApiKey::Produce, version, &request);
    first(&response).clone()
}

fn refused(stage: &Stage, topic: &str, version: i16, records: Option<Bytes>, expected: ErrorCode) {
    assert_eq!(answer(stage, topic, version, records).error_code, expected);
}

/// What a batch in the usual topic is answered with.
#[track_caller]
fn batch(stage: &Stage, batch: Bytes, expected: ErrorCode) {
    let start = batch[..batch.len().min(96)].to_vec();
    let code = answer(stage, TOPIC, 9, Some(batch)).error_code;
    assert_eq!(code, expected, "of the batch that begins {start:02x?}");
}
