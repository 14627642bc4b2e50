//! Generated records: any record of any partition from (seed, partition, index) alone, and the check that a log holds exactly these.
//!
//! Nulls (key, value, header value), empty keys and values, text that compresses and bytes that do not, up to three headers,
//! timestamps that rise with the index. Never reads a clock.

use std::sync::OnceLock;

use crate::client::Shape;
use crate::record::{Record, UNSET};
use crate::support::random::{Random, mix};

/// The first record's timestamp: 14 November 2023, 22:13:20 UTC.
const FIRST_TIMESTAMP: i64 = 1_700_000_000_000;

/// The mean of what [`Generator::record`] makes, close enough to plan sizes with.
pub(crate) const MEAN_RECORD_BYTES: usize = 900;

const VALUE_BYTES_MAX: usize = 2_048;

/// Values are slices of a pool. It is larger than a batch, so that a codec finds little of one value in another.
const POOL_BYTES: usize = 1 << 20;
const POOL_STRIPE_BYTES: usize = 4 << 10;

const _: () = assert!(VALUE_BYTES_MAX < POOL_BYTES);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Generator {
    pub(crate) seed: u64,
    pub(crate) shape: Shape,
}

impl Generator {
    pub(crate) fn record(&self, partition: i32, index: i64) -> Record {
        let place = mix(u64::from(partition.cast_unsigned())) ^ index.cast_unsigned();
        let mut random = Random::new(self.seed ^ mix(place));
        let full = self.shape.full;
        let key = match random.below(16) {
            0 => None,
            1 if full => Some(Vec::new()),
            _ => Some(format!("key-{}", random.below(1_000)).into_bytes()),
        };
        let value = match random.below(16) {
            0 if key.is_some() || self.shape.null_records => None,
            1 if full => Some(Vec::new()),
            _ => Some(self.value(&mut random)),
        };
        let mut headers = Vec::new();
        if full {
            for number in 0..random.below(4) {
                let null = random.below(4) == 0 && self.shape.null_headers;
                let value = (!null).then(|| format!("p{partition}-i{index}-{number}").into_bytes());
                headers.push((format!("header-{number}").into_bytes(), value));
            }
        }
        let timestamp = if full {
            FIRST_TIMESTAMP + index * 10 + i64::try_from(random.below(10)).expect("below 10")
        } else {
            UNSET
        };
        Record {
            partition,
            offset: UNSET,
            timestamp,
            key,
            value,
            headers,
        }
    }

    /// `indexes` of every partition, the partitions taking turns.
    pub(crate) fn records(
        self,
        partitions: i32,
        indexes: std::ops::Range<i64>,
    ) -> impl Iterator<Item = Record> + Send {
        indexes.flat_map(move |index| {
            (0..partitions).map(move |partition| self.record(partition, index))
        })
    }

    fn value(&self, random: &mut Random) -> Vec<u8> {
        let length = 1 + usize::try_from(random.below(VALUE_BYTES_MAX as u64)).expect("a length");
        let from = usize::try_from(random.below((POOL_BYTES - length) as u64)).expect("a place");
        let slice = &pool()[from..from + length];
        if self.shape.full {
            slice.to_vec()
        } else {
            // Letters only: no delimiter of a command line occurs in it.
            slice.iter().map(|byte| letter(*byte)).collect()
        }
    }
}

/// Checks that a topic holds exactly the generated records: each partition from offset 0 on, without a gap.
pub(crate) struct Expected {
    generator: Generator,
    per_partition: i64,
    next: Vec<i64>,
    pub(crate) bytes: usize,
    /// What a reader cannot tell, or a writer could not set, by the milliseconds between which it must lie.
    pub(crate) wall_clock: Option<(i64, i64)>,
}

impl Expected {
    pub(crate) fn new(generator: Generator, partitions: i32, per_partition: i64) -> Self {
        let partitions = usize::try_from(partitions).expect("a count");
        Self {
            generator,
            per_partition,
            next: vec![0; partitions],
            bytes: 0,
            wall_clock: None,
        }
    }

    pub(crate) fn on_record(&mut self, mut record: Record) {
        let partition = usize::try_from(record.partition).expect("a partition is not negative");
        let next = &mut self.next[partition];
        assert_eq!(
            record.offset,
            *next,
            "partition {partition}: the offset after {} must be {next}",
            *next - 1
        );
        self.bytes += record.bytes();
        let expected = self.generator.record(record.partition, *next);
        if expected.timestamp == UNSET {
            let (from, to) = self
                .wall_clock
                .expect("who writes without timestamps knows when");
            assert!(
                (from..=to).contains(&record.timestamp),
                "partition {partition}, offset {next}: timestamp {} is not between {from} and {to}",
                record.timestamp
            );
            record.timestamp = UNSET;
        }
        record.offset = UNSET;
        assert!(
            record == expected,
            "partition {partition}, offset {next} is not what was written\nread    {}\nwritten {}",
            describe(&record),
            describe(&expected)
        );
        *next += 1;
    }

    pub(crate) fn finish(&self) {
        for (partition, next) in self.next.iter().enumerate() {
            assert_eq!(
                *next, self.per_partition,
                "partition {partition} ended after {next} of {} records",
                self.per_partition
            );
        }
    }
}

fn describe(record: &Record) -> String {
    let field = |content: &Option<Vec<u8>>| match content {
        None => "null".to_owned(),
        Some(content) if content.len() > 80 => {
            format!(
                "{} bytes beginning {:?}",
                content.len(),
                String::from_utf8_lossy(&content[..40])
            )
        }
        Some(content) => format!("{:?}", String::from_utf8_lossy(content)),
    };
    let headers: Vec<_> = record
        .headers
        .iter()
        .map(|(name, value)| format!("{}={}", String::from_utf8_lossy(name), field(value)))
        .collect();
    format!(
        "timestamp {} key {} value {} headers {headers:?}",
        record.timestamp,
        field(&record.key),
        field(&record.value)
    )
}

/// Stripes of letters, which compress, and of bytes, which do not.
fn pool() -> &'static [u8] {
    static POOL: OnceLock<Vec<u8>> = OnceLock::new();
    POOL.get_or_init(|| {
        let mut random = Random::new(0x52_696E_6B61);
        let mut pool = Vec::with_capacity(POOL_BYTES);
        while pool.len() < POOL_BYTES {
            let letters = (pool.len() / POOL_STRIPE_BYTES).is_multiple_of(2);
            let drawn = random.draw().to_be_bytes();
            pool.extend(drawn.map(|byte| if letters { letter(byte) } else { byte }));
        }
        pool
    })
}

fn letter(byte: u8) -> u8 {
    b'a' + byte % 16
}
