//! Led by coverage: any damage to the files of a data directory. The check is that of `tests/fuzz`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/segment_recovery.rs"]
mod segment_recovery;

fuzz_target!(|bytes: &[u8]| segment_recovery::check(bytes));
