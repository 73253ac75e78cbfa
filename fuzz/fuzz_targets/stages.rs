//! Any bytes through scan, all stages, every format, and the scan again. The check is in `tests/support/fuzz.rs`.
#![no_main]

#[path = "../../tests/support/mod_fuzz.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzz::stages(bytes));
