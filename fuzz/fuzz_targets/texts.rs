//! Any text through the obfuscators of single texts. The check is in `tests/support/fuzz.rs`.
#![no_main]

#[path = "../../tests/support/mod_fuzz.rs"]
mod support;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| support::fuzz::texts(bytes));
