//! A format that this crate does not know: one JSON line a span, into a vector. It is a value of the test's
//! own; no room of the crate has to know it.

#![allow(clippy::unwrap_used)]

#[path = "support/msgpack.rs"]
mod msgpack;

use data_pipeline::Error;
use data_pipeline::convert::{Conversion, Converted, convert, convert_to};
use data_pipeline::format::{Encoder, Encoding, Lost};
use data_pipeline::settings::{InputFormat, Metadata, OutputFormat};
use data_pipeline::trace::{ChunkState, Payload};
use msgpack::*;

#[derive(Debug, Default)]
struct JsonLines {
    lines: Vec<u8>,
    chunks: u32,
    spans: u64,
}

impl Encoder for JsonLines {
    fn begin(&mut self, metadata: &Metadata) {
        *self = Self::default();
        self.lines.extend_from_slice(format!("{{\"env\":{:?}}}\n", metadata.env).as_bytes());
    }

    fn add(&mut self, batch: &mut Payload<'_>) {
        for chunk in batch.chunks().iter().filter(|chunk| chunk.state() == ChunkState::Kept) {
            self.chunks += 1;
            for span in batch.chunk_spans(chunk).iter().filter(|span| !span.is_dropped()) {
                self.spans += 1;
                let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                let (service, name) = (text(batch.service(span)), text(batch.name(span)));
                let line =
                    format!("{{\"id\":{},\"service\":{service:?},\"name\":{name:?}}}\n", span.span_id());
                self.lines.extend_from_slice(line.as_bytes());
            }
        }
    }

    fn counts(&self) -> (u32, u64) {
        (self.chunks, self.spans)
    }

    fn lost(&self) -> Lost {
        Lost::default()
    }

    fn finish(&mut self, source: &[u8], _: &Metadata) -> Result<&[u8], Error> {
        assert!(!source.is_empty());
        Ok(&self.lines)
    }

    fn capacity_bytes(&self) -> usize {
        self.lines.capacity()
    }
}

fn json_lines(payload: &[u8], wanted: &Conversion) -> Converted {
    let metadata = Metadata { env: "prod".into(), ..Metadata::default() };
    let wanted = Conversion { from: InputFormat::Auto, ..wanted.clone() };
    convert_to(payload, &Encoding::new("JSON lines", JsonLines::default), &wanted, &metadata).unwrap()
}

fn service(name: &str, extra: Bytes) -> Bytes {
    let fields =
        [s("service"), s(name), s("name"), s("op"), s("trace_id"), vec![1], s("span_id"), vec![2]].concat();
    [vec![0x85], fields, extra].concat()
}

#[test]
fn an_own_format_goes_through_every_stage_from_every_format() {
    let health = service("a", [s("resource"), s("GET /health")].concat());
    let good = service("b", [s("resource"), s("GET /")].concat());
    // A value that no agent takes: the entry is left out, so that the changed payload has to be made first.
    let odd = service("c", [s("type"), vec![0x90]].concat());
    let chunks = [[vec![0x91], health].concat(), [vec![0x92], good, odd].concat()].concat();
    let v04 = [vec![0x92], chunks].concat();

    let mut wanted = Conversion::default();
    wanted.filters.add("ignore:/health$").unwrap();
    let lines = "{\"env\":\"prod\"}\n\
                 {\"id\":2,\"service\":\"b\",\"name\":\"op\"}\n{\"id\":2,\"service\":\"c\",\"name\":\"op\"}\n";
    let got = json_lines(&v04, &wanted);
    assert_eq!(String::from_utf8(got.body).unwrap(), lines);
    assert_eq!((got.traces, got.spans, got.outcome.filtered.traces, got.outcome.repaired), (1, 2, 1, 1));

    for to in [OutputFormat::V05, OutputFormat::V1] {
        let other = convert(&v04, &Conversion { to, ..Conversion::default() }).unwrap().body;
        let got = json_lines(&other, &wanted);
        assert_eq!(String::from_utf8(got.body).unwrap(), lines, "{to:?}");
        assert_eq!((got.traces, got.spans, got.outcome.filtered.traces), (1, 2, 1));
    }
}

#[test]
fn nothing_of_an_earlier_payload_is_left() {
    let one = [vec![0x91, 0x91], service("a", [s("error"), vec![0]].concat())].concat();
    let first = json_lines(&one, &Conversion::default());
    assert_eq!(json_lines(&one, &Conversion::default()), first);
    assert_eq!((first.traces, first.spans), (1, 1));
}
