//! The journal's block: header, entries, padding. Only bytes in and bytes out, never a file.
//!
//! ```text
//! block  0 magic "RKJ1"  4 crc32c  8 generation  16 sequence  24 length used  28 entries  32..64 zero
//!        64 entry, entry, ..., zero bytes up to a multiple of 4096
//! entry  0 kind  1 zero  2..4 padding length  4 payload length  8 topic id (16)  24 partition  28 position in segment  32 segment base offset
//!        40 padding, then payload
//! ```
//! Integers are little-endian. The checksum covers the entries first and the header from byte 8 on last; of an appended
//! batch it covers only the 21 bytes that Kafka's own CRC does not, since replay checks that CRC as well.
//!
//! A large batch is padded so that it lies in its blocks of memory as it will in those of its segment: it goes there without a
//! copy. What the padding holds means nothing.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use crate::disk::{BLOCK, align_up, aligned_buffer};
use crate::offset::Offset;
use crate::topic_partition::{TopicId, TopicPartition};

/// The largest block. Larger batches go straight to their segment.
pub const BLOCK_BYTES_MAX: usize = 1 << 20;

/// Blocks are cut from chunks of this size, which are the fetch cache too.
const CHUNK_BYTES: usize = 2 << 20;

const MAGIC: [u8; 4] = *b"RKJ1";
const HEADER_BYTES: usize = 64;
/// Bytes of an entry before its payload.
pub const ENTRY_HEADER_BYTES: usize = 40;

/// Batches of this size and more are written to their segment from where they lie in the block. Below it a copy costs less than
/// the padding, which is half a [`BLOCK`] in the mean.
pub const IN_PLACE_BYTES_MIN: usize = 32 << 10;

/// Bytes at the front of a batch that its own CRC does not cover: offset, length, epoch, magic, and the CRC itself.
const OUTSIDE_BATCH_CRC: usize = 21;

/// The header of a batch: what a reference carries of it.
pub const BATCH_HEADER_BYTES: usize = 61;

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// The payload is a whole batch.
    Append,
    /// The payload is the header of a batch that was written straight to its segment.
    Reference,
    /// There is no payload: the log starts at the offset in the place of the segment's.
    LogStart,
}

/// Where an appended batch belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryHeader {
    pub kind: EntryKind,
    pub topic_partition: TopicPartition,
    /// Base offset of the segment that holds it or will hold it.
    pub segment: Offset,
    /// Its first byte's position in that segment, in bytes.
    pub position: u32,
}

fn checked_part(kind: EntryKind, payload: &[u8]) -> &[u8] {
    match kind {
        EntryKind::Append => &payload[..OUTSIDE_BATCH_CRC.min(payload.len())],
        EntryKind::Reference | EntryKind::LogStart => payload,
    }
}

/// What an entry takes of a block, at most.
fn room(payload: usize) -> usize {
    let padding = if payload >= IN_PLACE_BYTES_MIN {
        BLOCK
    } else {
        0
    };
    ENTRY_HEADER_BYTES + padding + payload
}

/// A block that is being filled.
pub struct BlockBuilder {
    /// The rest of the chunk: the block's bytes, then free room.
    chunk: BytesMut,
    crc: u32,
    entries: u32,
}

impl Default for BlockBuilder {
    fn default() -> Self {
        Self {
            chunk: BytesMut::new(),
            crc: 0,
            entries: 0,
        }
    }
}

impl BlockBuilder {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Bytes the block has now, padding left out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunk.len()
    }

    /// Whether a payload of this length still fits.
    #[must_use]
    pub fn fits(&self, payload: usize) -> bool {
        let grown = self.chunk.len() + room(payload);
        self.entries == 0
            || (align_up(grown) <= BLOCK_BYTES_MAX && align_up(grown) <= self.chunk.capacity())
    }

    /// Copies one payload in, lets `patch` finish it in place, and returns where it is in the block.
    ///
    /// # Panics
    /// When it does not fit, see [`BlockBuilder::fits`].
    pub fn push(
        &mut self,
        header: EntryHeader,
        payload: &[u8],
        patch: impl FnOnce(&mut [u8]),
    ) -> Range<usize> {
        if self.entries == 0 {
            self.start(payload.len());
        }
        assert!(
            self.fits(payload.len()),
            "the caller seals a full block first"
        );
        let padding = match payload.len() >= IN_PLACE_BYTES_MIN {
            true => {
                let unpadded = self.chunk.len() + ENTRY_HEADER_BYTES;
                (header.position as usize).wrapping_sub(unpadded) % BLOCK
            }
            false => 0,
        };
        let mut fixed = [0; ENTRY_HEADER_BYTES];
        fixed[0] = match header.kind {
            EntryKind::Append => 1,
            EntryKind::Reference => 2,
            EntryKind::LogStart => 3,
        };
        let below_a_block = u16::try_from(padding).expect("below a disk's block");
        fixed[2..4].copy_from_slice(&below_a_block.to_le_bytes());
        fixed[4..8].copy_from_slice(
            &u32::try_from(payload.len())
                .expect("below a block")
                .to_le_bytes(),
        );
        fixed[8..24].copy_from_slice(header.topic_partition.topic_id.0.as_bytes());
        fixed[24..28].copy_from_slice(&header.topic_partition.partition.to_le_bytes());
        fixed[28..32].copy_from_slice(&header.position.to_le_bytes());
        fixed[32..40].copy_from_slice(&header.segment.0.to_le_bytes());
        self.chunk.extend_from_slice(&fixed);
        self.chunk.resize(self.chunk.len() + padding, 0);
        let start = self.chunk.len();
        self.chunk.extend_from_slice(payload);
        let payload = &mut self.chunk[start..];
        patch(payload);
        self.crc = crc32c::crc32c_append(self.crc, &fixed);
        self.crc = crc32c::crc32c_append(self.crc, checked_part(header.kind, payload));
        self.entries += 1;
        start..self.chunk.len()
    }

    fn start(&mut self, payload: usize) {
        let wanted = align_up(HEADER_BYTES + room(payload));
        assert!(
            wanted <= BLOCK_BYTES_MAX,
            "larger batches go straight to their segment"
        );
        // A sixteenth of a chunk is worth going on with; a smaller rest would make blocks too small under load.
        if self.chunk.capacity() < wanted.max(CHUNK_BYTES / 16) {
            self.chunk = aligned_buffer(CHUNK_BYTES);
        }
        self.chunk.resize(HEADER_BYTES, 0);
        self.crc = 0;
    }

    /// Ends the block. The rest of the chunk serves the next one.
    ///
    /// # Panics
    /// When the block is empty.
    pub fn seal(&mut self, generation: u64, sequence: u64) -> Bytes {
        assert!(!self.is_empty(), "an empty block says nothing");
        let used = self.chunk.len();
        let mut header = [0; HEADER_BYTES];
        header[0..4].copy_from_slice(&MAGIC);
        header[8..16].copy_from_slice(&generation.to_le_bytes());
        header[16..24].copy_from_slice(&sequence.to_le_bytes());
        header[24..28].copy_from_slice(&u32::try_from(used).expect("below a block").to_le_bytes());
        header[28..32].copy_from_slice(&self.entries.to_le_bytes());
        let crc = crc32c::crc32c_append(self.crc, &header[8..]);
        header[4..8].copy_from_slice(&crc.to_le_bytes());
        self.chunk[..HEADER_BYTES].copy_from_slice(&header);
        self.chunk.resize(align_up(used), 0);
        self.entries = 0;
        self.crc = 0;
        let block = self.chunk.split().freeze();
        debug_assert!(self.chunk.is_empty());
        block
    }
}

/// The header of a block, if the bytes begin with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    pub generation: u64,
    pub sequence: u64,
    /// Bytes used, header included.
    pub used: usize,
    entries: u32,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

impl BlockHeader {
    /// Reads a header without checking its sum.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEADER_BYTES || bytes[0..4] != MAGIC {
            return None;
        }
        let used = u32_at(bytes, 24) as usize;
        let plausible = (HEADER_BYTES..=BLOCK_BYTES_MAX).contains(&used);
        plausible.then(|| Self {
            generation: u64_at(bytes, 8),
            sequence: u64_at(bytes, 16),
            used,
            entries: u32_at(bytes, 28),
        })
    }

    /// Bytes on disk, padding included.
    #[must_use]
    pub fn size(&self) -> usize {
        align_up(self.used)
    }
}

/// An entry as read back: its header and where its payload is in the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub header: EntryHeader,
    pub payload: Range<usize>,
}

/// The block is not whole: torn, damaged, or not a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadBlock;

/// Reads a whole block back and checks its sum. The CRC of each appended batch is the caller's to check.
///
/// # Errors
/// [`BadBlock`] for anything but what [`BlockBuilder::seal`] made.
pub fn parse(bytes: &[u8]) -> Result<(BlockHeader, Vec<Entry>), BadBlock> {
    let header = BlockHeader::parse(bytes).ok_or(BadBlock)?;
    let bytes = bytes.get(..header.used).ok_or(BadBlock)?;
    // A count is believed only as far as the bytes can hold it.
    let most = (header.used - HEADER_BYTES) / ENTRY_HEADER_BYTES;
    let count = header.entries as usize;
    if count == 0 || count > most {
        return Err(BadBlock);
    }
    let mut entries = Vec::with_capacity(count);
    let mut at = HEADER_BYTES;
    let mut crc = 0;
    for _ in 0..count {
        let fixed = bytes.get(at..at + ENTRY_HEADER_BYTES).ok_or(BadBlock)?;
        let kind = match fixed[0] {
            1 => EntryKind::Append,
            2 => EntryKind::Reference,
            3 => EntryKind::LogStart,
            _ => return Err(BadBlock),
        };
        let padding = usize::from(u16::from_le_bytes([fixed[2], fixed[3]]));
        let start = at + ENTRY_HEADER_BYTES + padding;
        let end = start
            .checked_add(u32_at(fixed, 4) as usize)
            .ok_or(BadBlock)?;
        let payload = bytes.get(start..end).ok_or(BadBlock)?;
        crc = crc32c::crc32c_append(crc, fixed);
        crc = crc32c::crc32c_append(crc, checked_part(kind, payload));
        entries.push(Entry {
            header: EntryHeader {
                kind,
                topic_partition: TopicPartition {
                    topic_id: TopicId(Uuid::from_slice(&fixed[8..24]).expect("sixteen bytes")),
                    partition: i32::from_le_bytes(fixed[24..28].try_into().expect("four bytes")),
                },
                position: u32_at(fixed, 28),
                segment: Offset(i64::from_le_bytes(
                    fixed[32..40].try_into().expect("eight bytes"),
                )),
            },
            payload: start..end,
        });
        at = end;
    }
    let crc = crc32c::crc32c_append(crc, &bytes[8..HEADER_BYTES]);
    if at != header.used || crc != u32_at(bytes, 4) {
        return Err(BadBlock);
    }
    Ok((header, entries))
}

const _: () = assert!(BLOCK_BYTES_MAX <= CHUNK_BYTES);
