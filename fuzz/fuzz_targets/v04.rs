//! Any bytes through the scan: it agrees with a strict reader, and what it repairs is in order. The check is
//! in `tests/support/fuzz.rs`.
#![no_main]

#[path = "../../tests/support/mod_fuzz.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzz::v04(bytes));
