//! Log lines for hosts whose output is collected: each line is `{"traces":[[span, span, …]]}` and a line feed, the
//! shape that Datadog's forwarder looks for. Spans of all chunks are packed into lines in their order, so chunk
//! boundaries are not kept. A span that no line has room for is left out and counted as too large; `meta_struct`
//! has no place.

use super::Lost;
use super::json_span::{self, Maps};
use super::out::Out;
use super::source::Source;
use crate::account::Counts;
use crate::error::Error;
use crate::settings::Metadata;
use crate::trace::{ChunkState, Payload, Span, flag};

const HEAD: &[u8] = b"{\"traces\":[[";
const TAIL: &[u8] = b"]]}\n";

/// Puts lines together from the batches of one payload, which must carry no edits.
#[derive(Debug)]
pub(super) struct Encoder {
    /// The longest line, its end included.
    most: usize,
    out: Out,
    maps: Maps,
    /// Where the line begins.
    line: usize,
    chunks: u32,
    spans: u64,
    lost: Lost,
    closed: bool,
}

impl Encoder {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            out: Out::default(),
            maps: Maps::default(),
            line: 0,
            chunks: 0,
            spans: 0,
            lost: Lost::default(),
            closed: false,
        }
    }

    /// Puts a span into the line, or into a new one. Gives whether any line has room for it.
    fn add_span(&mut self, buf: &[u8], span: &Span) -> bool {
        let start = self.out.len();
        let first = start == self.line + HEAD.len();
        if !first {
            self.out.byte(b',');
        }
        let at = self.out.len();
        self.maps.begin(buf, span);
        let lost = self.lost;
        self.span(buf, span);
        if self.maps.suspects() {
            self.maps.look(buf, span);
            self.out.truncate(at);
            self.lost = lost;
            self.span(buf, span);
        }
        let len = self.out.len() - at;
        if HEAD.len() + len + TAIL.len() > self.most {
            self.out.truncate(start);
            return false;
        }
        if self.out.len() - self.line + TAIL.len() > self.most {
            // The line ends before this span: its comma makes way for the end and the next head.
            let more = TAIL.len() + HEAD.len() - 1;
            self.out.widen(more);
            self.out.shift(at, len, at + more);
            self.out.patch(start, TAIL);
            self.line = start + TAIL.len();
            self.out.patch(self.line, HEAD);
        }
        true
    }

    fn span(&mut self, buf: &[u8], span: &Span) {
        let Self { out, maps, .. } = self;
        let tags = (span.meta.len + span.metrics.len) as usize * 28;
        out.room(512 + (span.end - span.at) as usize * 2 + tags.min((span.end - span.at) as usize * 8));
        out.piece(b"{\"trace_id\":\"");
        out.hex(span.trace_id);
        out.piece(b"\",\"span_id\":\"");
        out.hex(span.span_id);
        out.piece(b"\",\"parent_id\":\"");
        out.hex(span.parent_id);
        out.piece(b"\",\"service\":");
        let text = |text| Source::of(buf, text);
        out.json_text(text(span.service));
        out.piece(b",\"name\":");
        out.json_text(text(span.name));
        out.piece(b",\"resource\":");
        out.json_text(text(span.resource));
        if span.kind.len > 0 {
            out.piece(b",\"type\":");
            out.json_text(text(span.kind));
        }
        out.piece(b",\"error\":");
        out.signed(i64::from(span.error));
        out.piece(b",\"start\":");
        out.signed(span.start);
        out.piece(b",\"duration\":");
        out.signed(span.duration);
        let before = out.len();
        out.piece(b",\"meta\":{");
        if maps.meta(out, buf, span, &json_span::NONE) {
            out.byte(b'}');
        } else {
            out.truncate(before);
        }
        let before = out.len();
        out.piece(b",\"metrics\":{");
        let (some, lost) = maps.metrics(out, buf, span, (&json_span::NONE, b""));
        self.lost.numbers += u64::from(lost);
        if some {
            out.byte(b'}');
        } else {
            out.truncate(before);
        }
        json_span::lists(out, buf, span, false);
        self.lost.meta_structs += u64::from(super::holds_entries(buf, span.meta_struct.at));
        out.byte(b'}');
    }
}

impl super::Encoder for Encoder {
    fn begin(&mut self, _metadata: &Metadata) {
        self.out.clear();
        self.out.bytes(HEAD);
        self.line = 0;
        (self.chunks, self.spans, self.lost, self.closed) = (0, 0, Lost::default(), false);
    }

    fn add(&mut self, batch: &mut Payload<'_>) {
        for chunk in batch.chunks().iter().filter(|chunk| chunk.state == ChunkState::Kept) {
            let before = self.spans;
            let mut too_large = Counts::default();
            for span in batch.chunk_spans(chunk) {
                if span.flags & (flag::DROPPED | flag::NIL) != 0 {
                    continue;
                }
                if self.add_span(batch.bytes, span) {
                    self.spans += 1;
                } else {
                    too_large.spans += 1;
                    too_large.bytes += u64::from(span.end - span.at);
                }
            }
            // A chunk of which nothing is left is gone whole.
            if self.spans == before && too_large.spans > 0 {
                too_large = Counts { traces: 1, bytes: u64::from(chunk.end - chunk.at), ..too_large };
            } else {
                self.chunks += 1;
            }
            self.lost.too_large = self.lost.too_large.plus(too_large);
        }
    }

    fn counts(&self) -> (u32, u64) {
        (self.chunks, self.spans)
    }

    fn lost(&self) -> Lost {
        self.lost
    }

    fn finish(&mut self, _source: &[u8], _metadata: &Metadata) -> Result<&[u8], Error> {
        if !std::mem::replace(&mut self.closed, true) {
            if self.spans == 0 {
                self.out.clear();
            } else {
                self.out.bytes(TAIL);
            }
        }
        if self.out.failed() {
            return Err(Error::out_of_memory("the payload as log lines"));
        }
        Ok(self.out.written())
    }

    fn capacity_bytes(&self) -> usize {
        self.out.capacity_bytes() + self.maps.capacity_bytes()
    }
}
