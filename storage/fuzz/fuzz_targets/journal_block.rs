//! Led by coverage: any bytes as a block of the journal. The check is that of `tests/fuzz`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/journal_block.rs"]
mod journal_block;

fuzz_target!(|bytes: &[u8]| journal_block::check(bytes));
