//! What an operator relies on: the admin port tells the truth, and logs are kept as short as their topics ask, through kill -9 too.
//!
//! The real binary, and a client of this repository's own codec.

mod compaction;
mod groups;
mod limits;
mod metrics;
mod retention;
#[path = "../support/mod.rs"]
mod support;
mod system_calls;

use std::time::Duration;

use bytes::Bytes;
use rinka_storage::record_batch::RecordBatchBuilder;
use support::broker::BrokerSettings;

/// What comes about in the background must have come by then.
const WITHIN: Duration = Duration::from_secs(30);

fn settings() -> BrokerSettings {
    BrokerSettings::new("node")
}

fn batch(records: usize, value: &[u8]) -> Bytes {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(now.expect("after 1970").as_millis()).expect("for a while yet");
    let mut builder = RecordBatchBuilder::new();
    for _ in 0..records {
        builder.append(now, None, Some(value));
    }
    builder.build()
}

/// Looks again and again until it is so: the admin port and the disk tell nothing by themselves.
fn eventually(what: &str, is_so: impl FnMut() -> bool) {
    support::eventually::eventually(WITHIN, what, is_so);
}
