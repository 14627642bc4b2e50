//! Any bytes where storage reads some, for a bounded time on stable Rust: see `mutation`.

mod batch_walk;
mod journal_block;
#[path = "../../../core/tests/support/mutation.rs"]
mod mutation;
mod segment_recovery;

use rinka_storage::compression::Codec;
use rinka_storage::journal::block::{BlockBuilder, EntryHeader, EntryKind};
use rinka_storage::offset::Offset;
use rinka_storage::record_batch::RecordBatchBuilder;
use rinka_storage::topic_partition::{TopicId, TopicPartition};

const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

fn batches() -> Vec<Vec<u8>> {
    let codecs = [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ];
    let batches = codecs.map(|codec| {
        let mut batch = RecordBatchBuilder::new().codec(codec).producer(7, 0, 0);
        for number in 0..10_u8 {
            let headers: [(&str, Option<&[u8]>); 2] = [("name", Some(b"value")), ("none", None)];
            let key = [number; 3];
            batch.append_with_headers(1_700_000_000_000, Some(&key), Some(&[number; 50]), &headers);
        }
        batch.build().to_vec()
    });
    batches.into()
}

#[test]
fn batch_walk() {
    mutation::fuzz("batch_walk", FOLDER, &batches(), batch_walk::check);
}

/// A block of one entry of each kind, and one of many.
fn blocks() -> Vec<Vec<u8>> {
    let kinds = [EntryKind::Append, EntryKind::Reference, EntryKind::LogStart];
    let batches = batches();
    [1, 5]
        .map(|times| {
            let mut block = BlockBuilder::default();
            for payload in batches.iter().cycle().take(times) {
                for kind in kinds {
                    let header = EntryHeader {
                        kind,
                        topic_partition: TopicPartition {
                            topic_id: TopicId(uuid::Uuid::from_u128(7)),
                            partition: 3,
                        },
                        segment: Offset(100),
                        position: 4_096,
                    };
                    block.push(header, payload, |_| ());
                }
            }
            block.seal(1, 2).to_vec()
        })
        .into()
}

#[test]
fn journal_block() {
    mutation::fuzz("journal_block", FOLDER, &blocks(), journal_block::check);
}

#[test]
fn segment_recovery() {
    // Nothing, a change of each kind to every file, and a few at once.
    let mut good = vec![Vec::new()];
    for file in 0..24 {
        for what in 0..4 {
            good.push(vec![file, what, 0, file * 3, 4, 0xFF, 0, 7, 0x80]);
        }
    }
    good.push(good.concat());
    mutation::fuzz("segment_recovery", FOLDER, &good, segment_recovery::check);
}
