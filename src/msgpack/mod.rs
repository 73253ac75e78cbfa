//! The only place that knows msgpack bytes. Imports nothing of ours.

pub mod reader;
pub mod text;
pub mod writer;
