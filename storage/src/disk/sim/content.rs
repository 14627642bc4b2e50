//! The bytes of one file of the simulated disk: what a reader sees, what is durable, and the changes between the two.
//!
//! Never decides which fault happens; only what the bytes are afterwards.

use bytes::Bytes;

use super::random::Random;

/// The smallest piece that a device keeps or loses as one.
const SECTOR: usize = 512;

#[derive(Clone, Default)]
pub(super) struct Content {
    /// What a reader sees.
    pub(super) now: Vec<u8>,
    /// What the platter holds for sure.
    durable: Vec<u8>,
    /// Oldest first: what no flush has covered.
    pending: Vec<Change>,
    /// Bytes that count as used though there are fewer.
    allocated: usize,
}

#[derive(Clone)]
enum Change {
    Write { position: usize, data: Bytes },
    Truncate(usize),
}

fn put(content: &mut Vec<u8>, position: usize, data: &[u8]) {
    let end = position + data.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[position..end].copy_from_slice(data);
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { position, data } => put(content, *position, data),
        Change::Truncate(size) => content.resize(*size, 0),
    }
}

impl Content {
    pub(super) fn write(&mut self, position: usize, data: Bytes) {
        put(&mut self.now, position, &data);
        self.pending.push(Change::Write { position, data });
    }

    pub(super) fn truncate(&mut self, size: usize) {
        self.now.resize(size, 0);
        self.pending.push(Change::Truncate(size));
        self.allocated = 0;
    }

    /// Space is taken for the first `size` bytes; what there is stays.
    pub(super) fn allocate(&mut self, size: usize) {
        self.allocated = self.allocated.max(size);
    }

    pub(super) fn size_on_disk(&self) -> usize {
        self.now.len().max(self.allocated)
    }

    /// How many changes a flush that begins now covers.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The oldest `count` changes are durable.
    pub(super) fn flush(&mut self, count: usize) {
        let count = count.min(self.pending.len());
        for change in self.pending.drain(..count) {
            apply(&mut self.durable, &change);
        }
    }

    /// Only the newest write is durable (a device that honours FUA); the ones before it stay at risk.
    pub(super) fn flush_last(&mut self) {
        if self
            .pending
            .iter()
            .any(|change| matches!(change, Change::Truncate(_)))
        {
            // The size is needed to find the data: the file system makes it durable too.
            return self.flush(usize::MAX);
        }
        let Some(Change::Write { position, data }) = self.pending.pop() else {
            return;
        };
        put(&mut self.durable, position, &data);
        for older in &mut self.pending {
            let Change::Write {
                position: at,
                data: old,
            } = older
            else {
                continue;
            };
            // Where the flushed write covers an older one, that one must not bring old bytes back.
            let from = position.max(*at);
            let to = (position + data.len()).min(*at + old.len());
            if from < to {
                let mut patched = old.to_vec();
                patched[from - *at..to - *at]
                    .copy_from_slice(&data[from - position..to - position]);
                *old = Bytes::from(patched);
            }
        }
    }

    /// A flush has failed: its pages are marked clean all the same and no later flush will write them. A reader may see
    /// them until the power goes (`visible`), or no more.
    pub(super) fn drop_pending(&mut self, visible: bool) {
        self.pending.clear();
        if !visible {
            self.now.clone_from(&self.durable);
        }
    }

    /// The file is as long as if the write had happened, but its bytes went elsewhere.
    pub(super) fn grow(&mut self, end: usize) {
        if self.now.len() < end {
            self.now.resize(end, 0);
            self.durable.resize(end.max(self.durable.len()), 0);
        }
    }

    pub(super) fn flip_bit(&mut self, position: usize, bit: u32) {
        self.now[position] ^= 1 << bit;
        if let Some(byte) = self.durable.get_mut(position) {
            *byte ^= 1 << bit;
        }
    }

    /// Puts `length` bytes of it in another place too.
    pub(super) fn misplace(&mut self, from: usize, to: usize, length: usize) {
        self.now.copy_within(from..from + length, to);
        if self.durable.len() >= from.max(to) + length {
            self.durable.copy_within(from..from + length, to);
        }
    }

    /// What is found when power returns: of every pending change some pieces of `grain` bytes survive and others do not.
    /// Returns how many changes were lost whole and how many torn.
    pub(super) fn after_power_loss(&self, random: &mut Random, grain: usize) -> (Self, u64, u64) {
        assert!(grain.is_multiple_of(SECTOR), "whole sectors only");
        let mut content = self.durable.clone();
        let (mut lost, mut torn) = (0, 0);
        for change in &self.pending {
            let mode = random.below(5);
            match change {
                // In any order: that each survives on its own is every order there is.
                _ if mode == 0 => lost += 1,
                _ if mode == 1 => apply(&mut content, change),
                Change::Truncate(_) if mode == 2 => lost += 1,
                Change::Truncate(_) => apply(&mut content, change),
                Change::Write { position, data } => {
                    torn += 1;
                    let pieces = data.len().div_ceil(grain) as u64;
                    let upto = random.below(pieces);
                    for (number, piece) in data.chunks(grain).enumerate() {
                        let survives = match mode {
                            // A prefix, everything but a hole in the middle, or old and new mixed.
                            2 => (number as u64) < upto,
                            3 => number as u64 != upto,
                            _ => random.below(2) == 0,
                        };
                        if survives {
                            put(&mut content, position + number * grain, piece);
                        }
                    }
                }
            }
        }
        let found = Self {
            allocated: 0,
            now: content.clone(),
            durable: content,
            pending: Vec::new(),
        };
        (found, lost, torn)
    }
}
