//! Obfuscation
pub mod credit_card;
pub mod http;
pub mod ip;
pub mod json;
pub mod memcached;
pub mod redis;
mod text;
mod url_escape;
