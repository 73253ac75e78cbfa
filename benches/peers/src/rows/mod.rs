//! The rows, one file a group of the rules.

pub mod beyond;
pub mod bindings;
pub mod dialogue;
pub mod flat;
pub mod obfuscation;
pub mod real;
pub mod send;
pub mod stats;
pub mod tls;
pub mod walk;
pub mod wire;
