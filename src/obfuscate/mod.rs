//! Obfuscation: what is secret in a span's text and must not leave the process.
//!
//! [`Obfuscator`] applies an [`ObfuscationConfig`] to spans, stats resources and single texts; each kind of text has
//! its scanner in a file of its own. They are one pass over bytes and fail closed: what cannot be parsed is replaced,
//! never sent raw. The yardstick is the agent 7.85, but where it lets a literal through, the literal is hidden.

mod config;
mod credit_card;
mod http;
mod http_plain;
mod ip;
mod json;
mod lanes;
mod memcached;
mod one_text;
mod query;
mod redis;
mod redis_lines;
mod replace;
mod settings;
mod span;
pub mod sql;
mod text;
mod url_escape;

pub use config::{
    CreditCardsConfig, HttpConfig, JsonConfig, MemcachedConfig, ObfuscationConfig, PlanConfig, RedisConfig,
};
pub use credit_card::CreditCards;
pub use http::{UrlOptions, url};
pub use ip::quantize as quantize_peer_addresses;
pub use json::{Json, Transform};
pub use memcached::command as memcached_command;
pub use one_text::{Request, one_text, resource_for_stats};
pub use redis::{
    quantize as quantize_redis, raw_command as redis_raw_command, remove_all as redis_remove_all,
};
pub use replace::{Growth, MAX_GROWTH, ReplaceRule, Replacer};
pub use span::{Obfuscator, Scratch, TextKind};

/// Numbers below what is asked for, the same ones every time: for tests on texts that are put together at random.
#[cfg(test)]
fn dice() -> impl FnMut(usize) -> usize {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move |n| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % n
    }
}
