//! Led by coverage: any bytes as a request. The check is that of `tests/fuzz`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz/decode_request.rs"]
mod decode_request;

fuzz_target!(|bytes: &[u8]| decode_request::check(bytes));
