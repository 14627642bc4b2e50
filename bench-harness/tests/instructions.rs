//! Instructions of the pure functions that every request goes through, counted by callgrind: the same on a quiet and on a busy machine.
//!
//! Never a time. A count over its bound is a change to explain; perf/README.md says what to do then.

use std::hint::black_box;
use std::process::Command;

use bytes::Bytes;
use rinka_net::wire::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
use rinka_net::wire::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use rinka_net::wire::{
    ApiKey, Field as _, Reader, Records, Text, decode_request_header, encode_request,
    encode_response,
};
use rinka_storage::journal::block::{BlockBuilder, EntryHeader, EntryKind};
use rinka_storage::offset::Offset;
use rinka_storage::record_batch::{
    ProduceLimits, RecordBatchBuilder, validate_produced, verify_crc,
};
use rinka_storage::topic_partition::{TopicId, TopicPartition};

/// What the child is told by its environment: which function, and how often.
const FUNCTION: &str = "RINKA_COUNT_FUNCTION";
const TIMES: &str = "RINKA_COUNT_TIMES";

/// Calls whose instructions are divided by their number.
const CALLS: u64 = 100;

struct Guarded {
    name: &'static str,
    /// Instructions of one call in this profile: what was counted and a tenth more.
    bound: u64,
    call: fn(&Inputs),
}

const GUARDED: &[Guarded] = &[
    Guarded {
        name: "validate a batch of 64 x 1 KiB",
        bound: 90_000,
        call: |inputs| {
            let accepted = validate_produced(&inputs.large, &LIMITS);
            black_box(accepted.is_ok());
        },
    },
    Guarded {
        name: "validate a batch of 1 x 100 B",
        bound: 1850,
        call: |inputs| {
            let accepted = validate_produced(&inputs.small, &LIMITS);
            black_box(accepted.is_ok());
        },
    },
    Guarded {
        name: "check the sum of a batch of 64 x 1 KiB",
        bound: 32_000,
        call: |inputs| {
            black_box(verify_crc(&inputs.large).is_ok());
        },
    },
    Guarded {
        name: "check the sum of a batch of 1 x 100 B",
        bound: 370,
        call: |inputs| {
            black_box(verify_crc(&inputs.small).is_ok());
        },
    },
    Guarded {
        name: "decode a produce request",
        bound: 3350,
        call: |inputs| {
            let mut reader = Reader::new(inputs.produce.clone());
            black_box(decode_request_header(&mut reader).is_ok());
            let request = ProduceRequest::read(&mut reader, ProduceRequest::version(VERSION));
            black_box(request.is_ok());
        },
    },
    Guarded {
        name: "encode a fetch response",
        bound: 4000,
        call: |inputs| {
            black_box(encode_response(ApiKey::Fetch, 12, 7, &inputs.fetched));
        },
    },
    Guarded {
        name: "encode a journal block of 16 x 1 x 100 B",
        bound: 14_100,
        call: |inputs| {
            let mut block = BlockBuilder::default();
            for _ in 0..16 {
                block.push(ENTRY, &inputs.small, |_| {});
            }
            black_box(block.seal(1, 2));
        },
    },
];

/// Of the produce request.
const VERSION: i16 = 9;

const LIMITS: ProduceLimits = ProduceLimits {
    version: VERSION,
    batch_bytes_max: 1 << 20,
    now: 1_700_000_000_000,
    timestamp_before_max_ms: i64::MAX,
    timestamp_after_max_ms: i64::MAX,
    log_append_time: false,
    keys_required: false,
    codec: None,
};

const ENTRY: EntryHeader = EntryHeader {
    kind: EntryKind::Append,
    topic_partition: TopicPartition {
        topic_id: TopicId(uuid::Uuid::nil()),
        partition: 3,
    },
    segment: Offset(0),
    position: 0,
};

struct Inputs {
    large: Bytes,
    small: Bytes,
    /// The frame without its length.
    produce: Bytes,
    fetched: FetchResponse,
}

impl Inputs {
    fn new() -> Self {
        let large = batch(64, 1024);
        let small = batch(1, 100);
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData {
                name: Text::from("guarded"),
                partition_data: vec![PartitionProduceData {
                    index: 3,
                    records: Records(Some(vec![small.clone()])),
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let client = Text::from("client");
        let produce = encode_request(ApiKey::Produce, VERSION, 7, Some(&client), &request).concat();
        let fetched = FetchResponse {
            responses: vec![FetchableTopicResponse {
                topic: Text::from("guarded"),
                partitions: vec![PartitionData {
                    partition_index: 3,
                    records: Records(Some(vec![large.clone(); 4])),
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        Self {
            large,
            small,
            produce: Bytes::from(produce).slice(4..),
            fetched,
        }
    }

    /// A function that refuses its input at once would be a cheap one.
    fn assert_good(&self) {
        assert!(validate_produced(&self.large, &LIMITS).is_ok());
        assert!(validate_produced(&self.small, &LIMITS).is_ok());
        let mut reader = Reader::new(self.produce.clone());
        assert!(decode_request_header(&mut reader).is_ok());
        assert!(ProduceRequest::read(&mut reader, ProduceRequest::version(VERSION)).is_ok());
    }
}

fn batch(records: u32, bytes: usize) -> Bytes {
    let mut builder = RecordBatchBuilder::new();
    for record in 0..records {
        builder.append(1_700_000_000_000, None, Some(&vec![record as u8; bytes]));
    }
    builder.build()
}

/// The child's part: does nothing unless it is told to.
#[test]
fn called_under_callgrind() {
    let (Ok(name), Ok(times)) = (std::env::var(FUNCTION), std::env::var(TIMES)) else {
        return;
    };
    let guarded = GUARDED.iter().find(|guarded| guarded.name == name);
    let guarded = guarded.expect("a guarded function");
    let inputs = Inputs::new();
    for _ in 0..times.parse().expect("a number") {
        (guarded.call)(black_box(&inputs));
    }
}

#[test]
fn hot_functions_stay_within_their_bounds() {
    Inputs::new().assert_good();
    if cfg!(not(debug_assertions)) {
        eprintln!("skipped: instruction counts (the bounds are of the dev profile)");
        return;
    }
    if !Command::new("valgrind")
        .arg("--version")
        .output()
        .is_ok_and(|said| said.status.success())
    {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "valgrind is not installed, and with CI=true nothing may be skipped"
        );
        eprintln!("skipped: instruction counts (no valgrind on PATH)");
        return;
    }
    let mut complaints = Vec::new();
    for guarded in GUARDED {
        // What the program does besides is in both, and goes away.
        let counted =
            (instructions(guarded.name, CALLS + 10) - instructions(guarded.name, 10)) / CALLS;
        println!("{:<44} {counted:>8} of {:>8}", guarded.name, guarded.bound);
        if counted > guarded.bound || counted == 0 {
            complaints.push(format!(
                "{}: {counted} instructions, bound {}",
                guarded.name, guarded.bound
            ));
        }
    }
    assert!(
        complaints.is_empty(),
        "{}\nperf/README.md says what to do",
        complaints.join("\n")
    );
}

fn instructions(name: &str, times: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", "called_under_callgrind", "--test-threads=1"])
        .env(FUNCTION, name)
        .env(TIMES, times.to_string())
        .output()
        .expect("valgrind");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let count = collected.and_then(|(_, count)| count.trim().parse().ok());
    count.unwrap_or_else(|| panic!("callgrind named no count: {said}"))
}
