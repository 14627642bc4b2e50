//! Any bytes as a block of the journal, as recovery reads it after a crash.
//!
//! Bad bytes may only be refused; the entries of a good block lie within it.

use rinka_storage::journal::block::{BlockHeader, parse};

pub(crate) fn check(bytes: &[u8]) {
    if let Some(header) = BlockHeader::parse(bytes) {
        let _ = header.size();
    }
    if let Ok((header, entries)) = parse(bytes) {
        assert!(
            !entries.is_empty(),
            "a block without entries is never written"
        );
        for entry in entries {
            assert!(entry.payload.start <= entry.payload.end);
            assert!(entry.payload.end <= header.used && header.used <= bytes.len());
        }
    }
}
