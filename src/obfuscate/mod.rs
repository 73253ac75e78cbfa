//! Hides what is secret in spans the way the agent would: literals of statements, arguments of commands, parts of URLs.

pub mod sql;
