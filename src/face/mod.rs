//! What faces to other languages share, without the words of any: exporters by handle, panics that do not cross,
//! settings as bytes, tickets of futures, answers to questions as text, and the account as numbers.

#![cfg_attr(not(all(feature = "jni", feature = "capi")), allow(dead_code, unused_imports))]

pub(crate) mod by_name;
pub(crate) mod exporters;
mod handle;
mod layout;
pub(crate) mod numbers;
pub(crate) mod panic;
pub(crate) mod questions;
pub(crate) mod requests;
#[cfg(any(feature = "reserve", test))]
mod reserve;
pub(crate) mod tickets;
