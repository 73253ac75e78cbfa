//! A key that a span has in `meta` and in `metrics`: what comes last on the wire counts, as with the agent, and not
//! what comes last in the other format. Encoders ask only where a number's key is known to be the key of a text in
//! some span (`StringTable::set_meta_key`) and `meta` comes behind `metrics`.

use crate::msgpack::{reader, text};
use crate::trace::Span;
use std::borrow::Cow;
use std::collections::HashMap;

/// The keys of one span's `meta`, and where their last values stand.
#[derive(Debug, Default)]
pub(super) struct MetaKeys<'b>(HashMap<Cow<'b, [u8]>, u32>);

impl<'b> MetaKeys<'b> {
    #[cold]
    pub(super) fn of(buf: &'b [u8], span: &Span) -> Self {
        let mut keys = HashMap::new();
        let mut p = span.meta.first as usize;
        // Without memory the question is not asked: both entries stay.
        if keys.try_reserve(span.meta.len as usize).is_ok() {
            for _ in 0..span.meta.len {
                let (at, len) = super::string_at(buf, p);
                keys.insert(as_text(buf, at, len), (at + len) as u32);
                p = reader::skip(buf, at + len).unwrap_or(buf.len());
            }
        }
        Self(keys)
    }

    /// Where the text stands that counts instead of the number with this key.
    pub(super) fn value_of(&self, buf: &[u8], (at, len): (usize, usize)) -> Option<usize> {
        self.0.get(&as_text(buf, at, len)).map(|at| *at as usize)
    }
}

/// A key as it goes out: two that differ only in bytes that are no text are one.
fn as_text(buf: &[u8], at: usize, len: usize) -> Cow<'_, [u8]> {
    let bytes = buf.get(at..at + len).unwrap_or(&[]);
    if std::str::from_utf8(bytes).is_ok() { Cow::Borrowed(bytes) } else { Cow::Owned(text::repaired(bytes)) }
}
