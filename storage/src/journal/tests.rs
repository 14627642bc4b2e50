use std::path::Path;

use futures_lite::future::block_on;
use proptest::prelude::*;

use super::block::{
    BLOCK_BYTES_MAX, BlockBuilder, EntryHeader, EntryKind, IN_PLACE_BYTES_MIN, parse,
};
use super::replay::{Replay, ReplayedBlock};
use super::*;
use crate::disk::aligned_buffer;
use crate::disk::sim::SimDisk;
use crate::offset::Offset;
use crate::record_batch::RecordBatchBuilder;
use crate::topic_partition::{TopicId, TopicPartition};

const DIRECTORY: &str = "/journal";

fn config(generation: u64) -> JournalConfig {
    JournalConfig {
        directory: DIRECTORY.into(),
        capacity: 8 << 20,
        generation,
    }
}

fn header(partition: i32) -> EntryHeader {
    EntryHeader {
        kind: EntryKind::Append,
        topic_partition: TopicPartition {
            topic_id: TopicId(uuid::Uuid::from_u128(3)),
            partition,
        },
        segment: Offset(5),
        position: 77,
    }
}

fn batch(bytes: usize) -> Bytes {
    let mut builder = RecordBatchBuilder::new();
    builder.append(1, None, Some(&vec![9; bytes]));
    builder.build()
}

fn sealed(generation: u64, sequence: u64, batches: &[Bytes]) -> Bytes {
    let mut builder = BlockBuilder::default();
    for (partition, batch) in batches.iter().enumerate() {
        builder.push(header(partition as i32), batch, |_| {});
    }
    builder.seal(generation, sequence)
}

/// A block of one batch, of the first generation, flushed.
async fn write(journal: &mut Journal<SimDisk>, sequence: u64, bytes: usize) {
    let block = sealed(1, sequence, &[batch(bytes)]);
    let written = journal.write(block, sequence, Durability::Flushed).await;
    written.expect("written");
}

async fn replayed(disk: &SimDisk, generation: u64, first_sequence: u64) -> Vec<ReplayedBlock> {
    let mut replay = Replay::open(
        disk.clone(),
        Path::new(DIRECTORY),
        generation,
        first_sequence,
    )
    .await
    .expect("opened");
    let mut blocks = Vec::new();
    while let Some(block) = replay.next().await.expect("read") {
        blocks.push(block);
    }
    blocks
}

fn sequences(blocks: &[ReplayedBlock]) -> Vec<u64> {
    blocks.iter().map(|block| block.sequence).collect()
}

#[test]
fn blocks_come_back_in_order_across_files() {
    block_on(async {
        let disk = SimDisk::new();
        let mut journal = Journal::create(disk.clone(), config(1))
            .await
            .expect("created");
        // Blocks of 600 KiB: six to a file of 4 MiB.
        for sequence in 1..=9 {
            write(&mut journal, sequence, 600 << 10).await;
        }
        let blocks = replayed(&disk, 1, 1).await;
        assert_eq!(sequences(&blocks), (1..=9).collect::<Vec<_>>());
        let entry = &blocks[4].entries[0];
        assert_eq!(entry.header, header(0));
        assert_eq!(
            blocks[4].bytes.slice(entry.payload.clone()),
            batch(600 << 10)
        );
        // Later files alone are enough when the earlier ones are released.
        assert_eq!(sequences(&replayed(&disk, 1, 8).await), [7, 8, 9]);
        assert!(
            replayed(&disk, 2, 1).await.is_empty(),
            "another generation has nothing to replay"
        );
    });
}

#[test]
fn the_next_file_is_made_at_the_pace_of_the_one_before_and_done_when_it_is_needed() {
    block_on(async {
        let disk = SimDisk::new();
        let mut journal = Journal::create(disk.clone(), config(1))
            .await
            .expect("created");
        let path = Path::new(DIRECTORY).join(replay::file_name(1));
        let size = async || disk.size(&path).await.expect("it has its space");
        assert!(!journal.next_file().is_behind(), "nothing is needed yet");
        let whole = 4 << 20;
        for sequence in 1..=6 {
            write(&mut journal, sequence, 600 << 10).await;
            let before = size().await;
            assert_eq!(journal.next_file().is_behind(), before < whole);
            journal.next_file().make().await.expect("made");
            assert!(!journal.next_file().is_behind());
            let filled = 2 * sequence * (600 << 10);
            assert!((filled.min(whole)..=filled + (1 << 20)).contains(&size().await));
        }
        assert_eq!(size().await, whole);
        // Nobody has begun the third file when the second one is full: it is made then.
        for sequence in 7..=12 {
            write(&mut journal, sequence, 600 << 10).await;
        }
        let blocks = replayed(&disk, 1, 1).await;
        assert_eq!(sequences(&blocks), (1..=12).collect::<Vec<_>>());
    });
}

#[test]
fn a_recycled_file_is_not_read_as_new() {
    block_on(async {
        let disk = SimDisk::new();
        let mut journal = Journal::create(disk.clone(), config(1))
            .await
            .expect("created");
        for sequence in 1..=9 {
            assert!(journal.has_room(700 << 10));
            write(&mut journal, sequence, 600 << 10).await;
            journal.release(sequence);
        }
        // Both files were full; the first one is used again from its beginning.
        for sequence in 10..=13 {
            assert!(journal.has_room(700 << 10), "released files make room");
            write(&mut journal, sequence, 600 << 10).await;
            journal.release(sequence);
        }
        assert_eq!(sequences(&replayed(&disk, 1, 13).await), [13]);
        // A new start begins at the front of the first file again: what lies behind its blocks is older.
        let mut journal = Journal::create(disk.clone(), config(2))
            .await
            .expect("created");
        journal
            .write(sealed(2, 1, &[batch(600 << 10)]), 1, Durability::Flushed)
            .await
            .expect("written");
        assert_eq!(sequences(&replayed(&disk, 2, 1).await), [1]);
    });
}

#[test]
fn a_full_journal_says_so() {
    block_on(async {
        let mut journal = Journal::create(SimDisk::new(), config(1))
            .await
            .expect("created");
        let mut sequence = 0;
        while journal.has_room(700 << 10) {
            sequence += 1;
            journal
                .write(
                    sealed(1, sequence, &[batch(600 << 10)]),
                    sequence,
                    Durability::Written,
                )
                .await
                .expect("written");
        }
        assert_eq!(sequence, 12);
        assert!(journal.fullness() > 0.8);
        journal.release(7);
        assert!(
            journal.has_room(700 << 10),
            "the first file holds blocks 1 to 6 only"
        );
    });
}

#[test]
fn damage_ends_the_replay_before_it() {
    block_on(async {
        let disk = SimDisk::new();
        let mut journal = Journal::create(disk.clone(), config(1))
            .await
            .expect("created");
        for sequence in 1..=4 {
            write(&mut journal, sequence, 5000).await;
        }
        // A bit of the third block's batch: the block's own sum does not cover it, the batch's does.
        disk.flip_bit(&Path::new(DIRECTORY).join("000.journal"), 2 * 8192 + 3000);
        assert_eq!(sequences(&replayed(&disk, 1, 1).await), [1, 2]);
    });
}

proptest! {
    #[test]
    fn entries_round_trip(sizes in proptest::collection::vec(0usize..3000, 1..40), generation: u64, sequence: u64) {
        let batches: Vec<Bytes> = sizes.iter().map(|size| batch(*size)).collect();
        let block = sealed(generation, sequence, &batches);
        prop_assert_eq!(block.len() % BLOCK, 0);
        let (header, entries) = parse(&block).expect("whole");
        prop_assert_eq!((header.generation, header.sequence), (generation, sequence));
        let read: Vec<Bytes> = entries.iter().map(|entry| block.slice(entry.payload.clone())).collect();
        prop_assert_eq!(read, batches);
    }

    #[test]
    fn a_large_batch_lies_in_its_blocks_as_in_those_of_its_segment(
        placed in proptest::collection::vec((0usize..3 * IN_PLACE_BYTES_MIN, 0u32..1 << 20), 1..8),
    ) {
        let mut builder = BlockBuilder::default();
        let mut pushed = Vec::new();
        for (size, position) in placed {
            let batch = batch(size);
            prop_assert!(builder.fits(batch.len()));
            let range = builder.push(EntryHeader { position, ..header(0) }, &batch, |_| {});
            pushed.push((batch, position, range));
        }
        let block = builder.seal(1, 1);
        prop_assert!(block.len() <= BLOCK_BYTES_MAX);
        let (_, entries) = parse(&block).expect("whole");
        for ((batch, position, range), entry) in pushed.iter().zip(&entries) {
            prop_assert_eq!(&entry.payload, range);
            prop_assert_eq!(&block[range.clone()], &batch[..]);
            let aligned = range.start % BLOCK == *position as usize % BLOCK;
            prop_assert!(aligned || batch.len() < IN_PLACE_BYTES_MIN);
        }
    }

    #[test]
    fn any_bytes_are_a_block_or_not(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), whole: bool) {
        if whole && bytes.len() > 4 {
            bytes[..4].copy_from_slice(b"RKJ1");
        }
        let _ = parse(&bytes);
    }

    #[test]
    fn a_changed_header_is_noticed(at in 4usize..64 + 40 + 21, bit in 0u32..8) {
        let mut block = sealed(3, 4, &[batch(100)]).to_vec();
        block[at] ^= 1 << bit;
        prop_assert!(parse(&block).is_err());
    }
}

const _: () = assert!(BLOCK_BYTES_MAX >= 700 << 10);

/// Blocks of one batch each, written one after another; then bytes of one of them are overwritten.
async fn damaged(at: u64, bytes: &[u8]) -> (Vec<u64>, Option<replay::DamagedBlock>) {
    let disk = SimDisk::new();
    let mut journal = Journal::create(disk.clone(), config(1))
        .await
        .expect("created");
    for sequence in 1..=4 {
        write(&mut journal, sequence, 5_000).await;
    }
    let path = Path::new(DIRECTORY).join(replay::file_name(0));
    let file = disk.open(&path, OpenMode::Existing).await.expect("there");
    let block = file.read_at(at / 4096 * 4096, 4096).await.expect("read");
    let mut aligned = aligned_buffer(4096);
    aligned.extend_from_slice(&block);
    let mut block = aligned;
    let inside = (at % 4096) as usize;
    block[inside..inside + bytes.len()].copy_from_slice(bytes);
    file.write_at(block.freeze(), at / 4096 * 4096, Durability::Flushed)
        .await
        .expect("written");
    let mut replay = Replay::open(disk, Path::new(DIRECTORY), 1, 1)
        .await
        .expect("opened");
    let mut read = Vec::new();
    while let Some(block) = replay.next().await.expect("read") {
        read.push(block.sequence);
    }
    (read, replay.damaged().await.expect("read"))
}

#[test]
fn a_damaged_block_is_told_from_the_end_of_the_journal() {
    block_on(async {
        // Each takes two blocks of 4 KiB. In the header, in an entry, in the length: what follows gives it away.
        for at in [8192, 8192 + 70, 8192 + 24, 8192 + 5_000] {
            let (read, damage) = damaged(at, &[0xee; 4]).await;
            let damage = damage.expect("blocks 3 and 4 follow");
            assert_eq!(read, [1], "byte {at}");
            assert_eq!((damage.position, damage.sequence), (8192, 2), "byte {at}");
        }
        // The last one may be torn: nothing follows.
        let (read, damage) = damaged(3 * 8192 + 5_000, &[0xee; 4]).await;
        assert_eq!((read, damage), (vec![1, 2, 3], None));
        // And all is well without.
        let (read, damage) = damaged(4 * 8192, &[0; 4]).await;
        assert_eq!((read, damage), (vec![1, 2, 3, 4], None));
    });
}
