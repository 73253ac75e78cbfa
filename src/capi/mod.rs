//! The C boundary: thin, no logic. `include/` has its headers, which `scripts/headers.py` makes from these files:
//! `datadog/*.h` are source-compatible with the reference's interface, `data-pipeline.h` is ours.
//!
//! **What can go wrong** is an error, never a crash: a handle that is null, was freed or is none ([`slab`]), a slice
//! that cannot be, text that is not UTF-8, a panic ([`error`]). Only plain structs (errors) are freed by address, so
//! freeing one twice is the caller's to avoid.
//!
//! **Ownership** is as the reference has it: what comes out through an out pointer is the caller's to free; what a
//! function takes is gone after it, whatever it returns.
#![allow(unsafe_code)] // slices and structs of C are read here; each block says why it is sound
#![allow(unreachable_pub)] // exported symbols are for C, whatever their Rust path

mod chunks;
mod common;
mod config;
mod entries;
mod error;
mod event;
mod exporter;
mod figures;
mod fork;
mod handles;
mod lock;
mod log;
mod payloads;
mod pipeline;
mod runtime;
mod slab;
mod span;
mod value;
