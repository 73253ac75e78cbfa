//! Any bytes, repaired and converted to v0.5: readable, and the same spans. The check is in `tests/support/fuzz.rs`.
#![no_main]

#[path = "../../tests/support/mod_fuzz.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzz::v05(bytes));
