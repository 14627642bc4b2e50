//! Led by coverage: any bytes as a produced record batch. The check is that of `tests/fuzz`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/batch_walk.rs"]
mod batch_walk;

fuzz_target!(|bytes: &[u8]| batch_walk::check(bytes));
