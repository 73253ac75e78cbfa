//! JSON for Datadog's intake without an agent (`/api/v2/spans`), in the strict shape: `{"traces":[{"spans":[…]}]}`,
//! nothing else beside the spans of a chunk. Links and events are fields of the span (`span_links` with ids in hex,
//! `span_events` with the typed attributes of v0.4): that is what the schema of the intake has, as Datadog's test
//! agent and Python tracer write it; as text in `meta` they would be cut at 25,000 bytes.
//!
//! What an agent would add is added here: `_dd.compute_stats` on the first span of a chunk unless stats are
//! computed on this side, `_trace_root` on spans without a parent, and what the settings say of the process where
//! spans do not. A metric that is not finite and a value of `meta_struct` that JSON cannot say are left out and
//! counted.

use super::Lost;
use super::json_span::{self, Extras, Maps};
use super::keys::Keys;
use super::out::Out;
use super::source::Source;
use crate::error::Error;
use crate::settings::Metadata;
use crate::trace::{ChunkState, Payload, Span, flag};

/// What is written into `meta` unless the span says it.
static META: Keys<4> = Keys::new([b"env", b"version", b"_dd.hostname", b"_dd.compute_stats"]);
/// The same for `metrics`.
static METRICS: Keys<1> = Keys::new([b"_trace_root"]);

/// Puts a body together from the batches of one payload, which must carry no edits.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    stats_computed: bool,
    out: Out,
    maps: Maps,
    env: Out,
    version: Out,
    hostname: Out,
    chunks: u32,
    spans: u64,
    lost: Lost,
    closed: bool,
}

impl Encoder {
    pub(super) fn new(stats_computed: bool) -> Self {
        Self { stats_computed, ..Self::default() }
    }

    #[inline(always)]
    fn span(&mut self, buf: &[u8], span: &Span, is_first: bool) {
        let (start, lost) = (self.out.len(), self.lost);
        self.maps.begin(buf, span);
        self.fields(buf, span, is_first);
        if self.maps.suspects() {
            self.maps.look(buf, span);
            self.out.truncate(start);
            self.lost = lost;
            self.fields(buf, span, is_first);
        }
    }

    #[inline(never)]
    fn fields(&mut self, buf: &[u8], span: &Span, is_first: bool) {
        let Self { out, maps, .. } = self;
        let tags = (span.meta.len + span.metrics.len) as usize * 28;
        out.room(640 + (span.end - span.at) as usize * 2 + tags.min((span.end - span.at) as usize * 8));
        out.piece(b"{\"trace_id\":\"");
        out.hex(span.trace_id);
        out.piece(b"\",\"span_id\":\"");
        out.hex(span.span_id);
        out.piece(b"\",\"parent_id\":\"");
        out.hex(span.parent_id);
        out.piece(b"\",\"name\":");
        let text = |text| Source::of(buf, text);
        out.json_text(text(span.name));
        out.piece(b",\"resource\":");
        out.json_text(text(if span.resource.len == 0 { span.name } else { span.resource }));
        out.piece(b",\"service\":");
        out.json_text(text(span.service));
        out.piece(b",\"error\":");
        out.signed(i64::from(span.error));
        out.piece(b",\"start\":");
        out.decimal(span.start.max(0) as u64);
        out.piece(b",\"duration\":");
        out.signed(span.duration);
        if span.kind.len > 0 {
            out.piece(b",\"type\":");
            out.json_text(text(span.kind));
        }
        self.lost.clamped_times += u64::from(span.start < 0);
        out.piece(b",\"meta\":{");
        let first = |json| if is_first { json } else { &[][..] };
        let stats: &[u8] = if self.stats_computed { &[] } else { b"\"1\"" };
        let (env, version) = (self.env.written(), self.version.written());
        let json = [env, version, first(self.hostname.written()), first(stats)];
        maps.meta(out, buf, span, &Extras { keys: &META, json });
        out.piece(b"},\"metrics\":{");
        let root: &[u8] = if span.parent_id == 0 { b"1" } else { &[] };
        let extras = Extras { keys: &METRICS, json: [root] };
        let (_, lost) = maps.metrics(out, buf, span, (&extras, b"_top_level"));
        self.lost.numbers += u64::from(lost);
        out.byte(b'}');
        if span.links.at | span.events.at | span.meta_struct.at != 0 {
            self.more(buf, span);
        }
        self.out.piece(b"},");
    }

    #[cold]
    fn more(&mut self, buf: &[u8], span: &Span) {
        let out = &mut self.out;
        let start = out.len();
        out.bytes(b",\"meta_struct\":{");
        let (some, lost) = self.maps.structs(out, buf, span);
        self.lost.meta_structs += u64::from(lost);
        if some {
            out.byte(b'}');
        } else {
            out.truncate(start);
        }
        json_span::lists(out, buf, span, true);
    }
}

impl super::Encoder for Encoder {
    fn begin(&mut self, metadata: &Metadata) {
        self.out.clear();
        self.out.bytes(b"{\"traces\":[");
        for (text, out) in [
            (&metadata.env, &mut self.env),
            (&metadata.version, &mut self.version),
            (&metadata.hostname, &mut self.hostname),
        ] {
            out.clear();
            if !text.is_empty() {
                out.json_text(Source::whole(text.as_bytes()));
            }
        }
        (self.chunks, self.spans, self.lost, self.closed) = (0, 0, Lost::default(), false);
    }

    fn add(&mut self, batch: &mut Payload<'_>) {
        for chunk in batch.chunks().iter().filter(|chunk| chunk.state == ChunkState::Kept) {
            self.chunks += 1;
            self.out.bytes(b"{\"spans\":[");
            let mut is_first = true;
            for span in batch.chunk_spans(chunk) {
                if span.flags & (flag::DROPPED | flag::NIL) == 0 {
                    self.spans += 1;
                    self.span(batch.bytes, span, std::mem::take(&mut is_first));
                }
            }
            self.out.drop_comma();
            self.out.bytes(b"]},");
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
            self.out.drop_comma();
            self.out.bytes(b"]}");
        }
        if self.out.failed() {
            return Err(Error::out_of_memory("the payload as JSON for the intake"));
        }
        Ok(self.out.written())
    }

    fn capacity_bytes(&self) -> usize {
        self.out.capacity_bytes() + self.maps.capacity_bytes()
    }
}
