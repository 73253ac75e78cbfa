//! v0.4 for peers that do not read native span events (`span_events` of `/info`): they become the text `events` in
//! `meta`, as tracers write them for such peers. Everything else is v0.4 as it is.
//!
//! The text is made from the payload's bytes, so a batch whose events are changed is made first and scanned again.

use super::json;
use super::{Lost, v04};
use crate::error::Error;
use crate::msgpack::reader;
use crate::settings::Metadata;
use crate::trace::{Arena, ChunkState, Edit, Payload, Span, With, flag};
use std::fmt;

/// Puts a v0.4 body together in which no span has native events.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    v04: v04::Encoder,
}

impl super::Encoder for Encoder {
    fn begin(&mut self, _metadata: &Metadata) {
        self.v04.begin();
    }

    fn add(&mut self, batch: &mut Payload<'_>) {
        for i in 0..batch.chunks().len() {
            let Some(chunk) = batch.chunks().get(i).filter(|chunk| chunk.state == ChunkState::Kept) else {
                continue;
            };
            for i in crate::trace::span_range(chunk) {
                if batch.spans().get(i).is_some_and(|s| s.events.at != 0 && s.flags & flag::DROPPED == 0) {
                    move_events(batch.bytes, batch.arena, i);
                }
            }
        }
        if batch.has_failed() {
            self.v04.fail();
        } else {
            self.v04.add(batch);
        }
    }

    fn counts(&self) -> (u32, u64) {
        self.v04.counts()
    }

    fn lost(&self) -> Lost {
        Lost::default()
    }

    fn finish(&mut self, source: &[u8], metadata: &Metadata) -> Result<&[u8], Error> {
        super::Encoder::finish(&mut self.v04, source, metadata)
    }

    fn capacity_bytes(&self) -> usize {
        self.v04.capacity_bytes()
    }
}

/// Replaces the native events of the arena's span `i` by the entry `events` of `meta`.
#[cold]
fn move_events(bytes: &[u8], arena: &mut Arena, i: usize) {
    let Arena { spans, edits, side, failed, .. } = arena;
    let Some(span) = spans.get_mut(i) else { return };
    if edits.try_reserve(8).is_err() {
        *failed = true;
        return;
    }
    let Ok((n, first)) = reader::map_head(bytes, span.at as usize) else { return };
    let mut entries = n;
    for (at, end) in occurrences(bytes, n, first) {
        // A span says it once; more than a few times is void anyway, and the last of them is where the scan looked.
        if edits.try_reserve(8).is_err() {
            *failed = true;
            return;
        }
        edits.push(Edit { at, end, with: With::Side { at: 0, len: 0 } });
        entries -= 1;
    }
    let adds = events_of(bytes, span) > 0 && !super::meta_has(bytes, span, b"events");
    if adds {
        let from = side.len();
        let meta = span.meta;
        let whole = meta.at == 0;
        let mut text = Side { side, failed: false };
        text.put(if whole { b"\xa4meta\x81\xa6events\xdb" } else { b"\xa6events\xdb" });
        text.put(&[0; 4]);
        let start = text.side.len();
        let _ = json::events(bytes, span.events.at as usize, &mut text);
        if text.failed {
            *failed = true;
            return;
        }
        let len = (side.len() - start) as u32;
        if let Some(to) = side.get_mut(start - 4..start) {
            to.copy_from_slice(&len.to_be_bytes());
        }
        let with = With::Side { at: from as u32, len: (side.len() - from) as u32 };
        if whole {
            entries += 1;
            edits.push(Edit { at: first as u32, end: first as u32, with });
        } else {
            edits.push(Edit { at: meta.at, end: meta.first, with: With::MapHead(meta.len + 1) });
            edits.push(Edit { at: meta.first, end: meta.first, with });
        }
    }
    edits.push(Edit { at: span.at, end: first as u32, with: With::MapHead(entries) });
    span.flags |= flag::EDITED;
}

/// The entries `span_events` of a span: where each begins and ends.
fn occurrences(bytes: &[u8], n: u32, first: usize) -> impl Iterator<Item = (u32, u32)> {
    let mut p = first;
    (0..n)
        .map_while(move |_| {
            let (key, value) = reader::text(bytes, p).ok()?;
            let end = reader::skip(bytes, value).ok()?;
            let at = std::mem::replace(&mut p, end);
            Some((key == b"span_events", at as u32, end as u32))
        })
        .filter_map(|(found, at, end)| found.then_some((at, end)))
}

fn events_of(bytes: &[u8], span: &Span) -> u32 {
    reader::array_head(bytes, span.events.at as usize).map_or(0, |(n, _)| n)
}

/// Writes text to the side buffer, as far as there is memory.
struct Side<'s> {
    side: &'s mut Vec<u8>,
    failed: bool,
}

impl Side<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.failed |= self.side.try_reserve(bytes.len()).is_err();
        if !self.failed {
            self.side.extend_from_slice(bytes);
        }
    }
}

impl fmt::Write for Side<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}
