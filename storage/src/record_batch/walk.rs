//! Walks over the batches that lie one behind the other in a range of bytes: what a read from a segment brings.
//!
//! Reads headers alone and never checks a CRC; a batch that ends behind the range is left for the next read.

use super::{BatchError, HEADER_BYTES, RecordBatchHeader};

/// Batches in the order of their bytes. See [`batches`].
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    bytes: &'a [u8],
    /// Met what is no batch: where the next one begins is unknown.
    lost: bool,
}

/// The whole batches at the beginning of `bytes`, each with its bytes.
///
/// Ends in front of a batch that is not all there, and behind the error when something is no batch at all, such as the
/// zeros behind a segment's last batch.
#[must_use]
pub fn batches(bytes: &[u8]) -> Batches<'_> {
    Batches { bytes, lost: false }
}

impl<'a> Batches<'a> {
    /// What the walk has not passed: at its end the beginning of a batch, what is no batch, or nothing.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<(RecordBatchHeader, &'a [u8]), BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.lost || self.bytes.len() < HEADER_BYTES {
            return None;
        }
        let header = match RecordBatchHeader::parse(self.bytes) {
            Ok(header) => header,
            Err(error) => {
                self.lost = true;
                return Some(Err(error));
            }
        };
        let (batch, rest) = self.bytes.split_at_checked(header.size_in_bytes())?;
        self.bytes = rest;
        Some(Ok((header, batch)))
    }
}
