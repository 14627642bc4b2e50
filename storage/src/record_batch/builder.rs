//! Makes batches: for the broker's own logs, for tests and for load.
//!
//! Never checks what it is given; what it makes is a well-formed batch.

use bytes::Bytes;

use super::{CONTROL, CRC_FROM, HEADER_BYTES, LENGTH_OVERHEAD, TRANSACTIONAL};
use crate::compression::{self, Codec};
use crate::record;

#[derive(Clone, Debug)]
pub struct RecordBatchBuilder {
    body: Vec<u8>,
    count: i32,
    codec: Codec,
    attributes: i16,
    base_timestamp: i64,
    max_timestamp: i64,
    producer: (i64, i16, i32),
}

impl Default for RecordBatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl RecordBatchBuilder {
    #[must_use]
    pub fn new() -> Self {
        Self {
            body: Vec::new(),
            count: 0,
            codec: Codec::None,
            attributes: 0,
            base_timestamp: -1,
            max_timestamp: -1,
            producer: (-1, -1, -1),
        }
    }

    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// From an idempotent producer.
    #[must_use]
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.producer = (id, epoch, base_sequence);
        self
    }

    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.attributes |= TRANSACTIONAL;
        self
    }

    #[must_use]
    pub fn control(mut self) -> Self {
        self.attributes |= CONTROL;
        self
    }

    /// Adds a record without headers; the timestamp is in milliseconds since 1970.
    pub fn append(&mut self, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.append_with_headers(timestamp, key, value, &[]);
    }

    /// Adds a record.
    pub fn append_with_headers(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) {
        if self.count == 0 {
            self.base_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        record::encode(
            &mut self.body,
            timestamp - self.base_timestamp,
            self.count,
            key,
            value,
            headers,
        );
        self.count += 1;
    }

    /// The batch, at base offset 0.
    ///
    /// # Panics
    /// When it would be larger than 2 GiB.
    #[must_use]
    pub fn build(&self) -> Bytes {
        let body = compression::compress(self.codec, &self.body);
        let mut batch = Vec::with_capacity(HEADER_BYTES + body.len());
        let length = HEADER_BYTES - LENGTH_OVERHEAD + body.len();
        batch.extend_from_slice(&0i64.to_be_bytes());
        batch.extend_from_slice(&i32::try_from(length).expect("below 2 GiB").to_be_bytes());
        batch.extend_from_slice(&(-1i32).to_be_bytes());
        batch.push(2);
        batch.extend_from_slice(&[0; 4]);
        batch.extend_from_slice(&(self.attributes | self.codec.attributes()).to_be_bytes());
        batch.extend_from_slice(&(self.count - 1).to_be_bytes());
        batch.extend_from_slice(&self.base_timestamp.to_be_bytes());
        batch.extend_from_slice(&self.max_timestamp.to_be_bytes());
        batch.extend_from_slice(&self.producer.0.to_be_bytes());
        batch.extend_from_slice(&self.producer.1.to_be_bytes());
        batch.extend_from_slice(&self.producer.2.to_be_bytes());
        batch.extend_from_slice(&self.count.to_be_bytes());
        batch.extend_from_slice(&body);
        let crc = crc32c::crc32c(&batch[CRC_FROM..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
        Bytes::from(batch)
    }
}
