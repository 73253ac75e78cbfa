//! Any bytes as v1 in, out in every format. The check is in `tests/support/fuzz.rs`.
#![no_main]

#[path = "../../tests/support/mod_fuzz.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzz::v1_in(bytes));
