//! Spans built in native memory: msgpack as it goes. A span is a few buffers that outlive it, so a span costs no
//! allocation once enough of them exist.

use super::common::{ByteSlice, CharSlice, Slice, behind, is_place, write};
use super::entries::{self, Entries, recycle, room};
use super::error::{Code, Fault, TraceExporterError, enter};
use super::event::TracerSpanEvent;
use super::handles::{self, as_pointer};
use super::value::{self, TracerValueToken};
use crate::msgpack::writer;
use std::ptr;

/// A span that is being built.
#[derive(Debug)]
pub struct TracerSpan {
    _opaque: (),
}

/// What every span has.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TracerSpanFields {
    /// The service.
    pub service: CharSlice,
    /// The name of the operation.
    pub name: CharSlice,
    /// The resource.
    pub resource: CharSlice,
    /// The type, `web` for instance; may be empty.
    pub span_type: CharSlice,
    /// The lower half of the trace's id.
    pub trace_id_low: u64,
    /// The upper half; becomes `_dd.p.tid` if it is not 0.
    pub trace_id_high: u64,
    /// The id.
    pub span_id: u64,
    /// The parent's id, 0 for a root.
    pub parent_id: u64,
    /// Nanoseconds since 1970.
    pub start: i64,
    /// Nanoseconds.
    pub duration: i64,
    /// 1 for an error.
    pub error: i32,
}

/// An attribute of a link.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TracerSpanLinkAttribute {
    /// Its key.
    pub key: CharSlice,
    /// Its value.
    pub value: CharSlice,
}

/// A link to another span.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TracerSpanLink {
    /// The lower half of the trace's id.
    pub trace_id_low: u64,
    /// The upper half.
    pub trace_id_high: u64,
    /// The other span's id.
    pub span_id: u64,
    /// What is said of the link.
    pub attributes: Slice<TracerSpanLinkAttribute>,
    /// The W3C trace state; may be empty.
    pub tracestate: CharSlice,
    /// The W3C flags, with bit 31 set if they are there.
    pub flags: u32,
}

/// What a span has so far, as msgpack.
#[derive(Debug, Default)]
pub(super) struct Span {
    /// Entries that every span has.
    fields: Vec<u8>,
    field_count: u32,
    meta: Entries,
    metrics: Entries,
    meta_struct: Entries,
    /// The list of links, whole.
    links: Vec<u8>,
    events: Vec<u8>,
    event_count: u32,
}

impl Span {
    /// Starts again.
    fn begin(&mut self, fields: &TracerSpanFields) -> Result<(), Fault> {
        self.clear();
        let texts = [
            (&b"service"[..], &fields.service),
            (b"name", &fields.name),
            (b"resource", &fields.resource),
            (b"type", &fields.span_type),
        ];
        // Lengths are believed only where they are possible.
        let mut size = 160_usize;
        for (_, text) in &texts {
            size = size.saturating_add(text.bytes()?.len());
        }
        room(&mut self.fields, size)?;
        let out = &mut self.fields;
        self.field_count = 9;
        for (key, text) in texts {
            writer::str(out, key);
            entries::put_text(out, text)?;
        }
        for (key, id) in [
            (&b"trace_id"[..], fields.trace_id_low),
            (b"span_id", fields.span_id),
            (b"parent_id", fields.parent_id),
        ] {
            writer::str(out, key);
            writer::uint(out, id);
        }
        for (key, time) in [(&b"start"[..], fields.start), (b"duration", fields.duration)] {
            writer::str(out, key);
            writer::int(out, time);
        }
        if fields.error != 0 {
            self.field_count += 1;
            writer::str(out, b"error");
            writer::int(out, i64::from(fields.error));
        }
        if fields.trace_id_high != 0 {
            let tid = hex(fields.trace_id_high);
            self.meta.put(b"_dd.p.tid", 21, |out| writer::str(out, &tid))?;
        }
        Ok(())
    }

    /// Empties it, and keeps its memory.
    pub(super) fn clear(&mut self) {
        recycle(&mut self.fields);
        self.meta.clear();
        self.metrics.clear();
        self.meta_struct.clear();
        recycle(&mut self.links);
        recycle(&mut self.events);
        (self.field_count, self.event_count) = (0, 0);
    }

    /// Writes it to the end of a chunk.
    pub(super) fn write_to(&self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let lists = [&self.fields, &self.links, &self.events];
        let maps = [&self.meta, &self.metrics, &self.meta_struct];
        let size = lists.iter().map(|list| list.len()).chain(maps.iter().map(|map| map.bytes().len()));
        room(out, size.fold(96, usize::saturating_add))?;
        let some = |map: &&&Entries| map.count() > 0;
        let count = maps.iter().filter(some).count()
            + usize::from(!self.links.is_empty())
            + usize::from(self.event_count > 0);
        writer::map_head(out, self.field_count + count as u32);
        out.extend_from_slice(&self.fields);
        self.meta.write_to(b"meta", out);
        self.metrics.write_to(b"metrics", out);
        self.meta_struct.write_to(b"meta_struct", out);
        if !self.links.is_empty() {
            writer::str(out, b"span_links");
            out.extend_from_slice(&self.links);
        }
        if self.event_count > 0 {
            writer::str(out, b"span_events");
            writer::array_head(out, self.event_count);
            out.extend_from_slice(&self.events);
        }
        Ok(())
    }
}

fn hex(number: u64) -> [u8; 16] {
    let mut text = [0; 16];
    for (i, digit) in text.iter_mut().enumerate() {
        let nibble = (number >> (60 - 4 * i) & 15) as u8;
        *digit = if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
    }
    text
}

fn links(list: &[TracerSpanLink]) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    if list.is_empty() {
        return Ok(out);
    }
    let count = u32::try_from(list.len()).map_err(|_| Fault::new(Code::InvalidArgument, "too many links"))?;
    room(&mut out, 5)?;
    writer::array_head(&mut out, count);
    for link in list {
        let (state, attributes) = (link.tracestate.text()?, link.attributes.values()?);
        room(&mut out, state.len().saturating_add(110))?;
        let head_at = out.len();
        let mut fields = 3;
        out.push(0);
        for (key, id) in [
            (&b"trace_id"[..], link.trace_id_low),
            (b"trace_id_high", link.trace_id_high),
            (b"span_id", link.span_id),
        ] {
            writer::str(&mut out, key);
            writer::uint(&mut out, id);
        }
        if !attributes.is_empty() {
            let mut entries = Entries::default();
            for TracerSpanLinkAttribute { key, value } in attributes {
                put_text(&mut entries, key, value)?;
            }
            room(&mut out, entries.bytes().len().saturating_add(16))?;
            entries.write_to(b"attributes", &mut out);
            fields += 1;
        }
        if !state.is_empty() {
            writer::str(&mut out, b"tracestate");
            writer::str(&mut out, state.as_bytes());
            fields += 1;
        }
        if link.flags != 0 {
            writer::str(&mut out, b"flags");
            writer::uint(&mut out, u64::from(link.flags));
            fields += 1;
        }
        if let Some(head) = out.get_mut(head_at) {
            *head = 0x80 | fields;
        }
    }
    Ok(out)
}

#[inline]
fn put_text(entries: &mut Entries, key: &CharSlice, value: &CharSlice) -> Result<(), Fault> {
    let size = value.bytes()?.len().saturating_add(5);
    entries.put_checked(key, size, |out| entries::put_text(out, value))
}

/// Works with a span.
#[inline]
fn with(
    handle: *mut TracerSpan,
    body: impl FnOnce(&mut Span) -> Result<(), Fault>,
) -> *mut TraceExporterError {
    enter(|| handles::SPANS.with(handle.addr(), body).unwrap_or_else(|| Err(Fault::stale("span"))))
}

/// Begins a span; `out_handle` becomes the caller's. Everything is copied.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_new(
    out_handle: *mut *mut TracerSpan,
    fields: *const TracerSpanFields,
) -> *mut TraceExporterError {
    enter(|| {
        if !is_place(out_handle) {
            return write(out_handle, ptr::null_mut());
        }
        let fields = behind(fields).ok_or_else(|| Fault::stale("struct of fields"))?;
        let handle = handles::open(&handles::SPANS, |span| span.begin(fields))?;
        write(out_handle, as_pointer(handle))
    })
}

/// Frees a span that was not pushed. Null is nothing; a second time is nothing, and counted.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_free(handle: *mut TracerSpan) {
    handles::SPANS.free(handle.addr(), Span::clear);
}

/// Sets a tag. A key that is there gets the new value.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_set_meta(
    handle: *mut TracerSpan,
    key: CharSlice,
    value: CharSlice,
) -> *mut TraceExporterError {
    with(handle, |span| put_text(&mut span.meta, &key, &value))
}

/// Sets a number. A key that is there gets the new value.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_set_metric(
    handle: *mut TracerSpan,
    key: CharSlice,
    value: f64,
) -> *mut TraceExporterError {
    with(handle, |span| {
        span.metrics.put_checked(&key, 9, |out| {
            writer::f64(out, value);
            Ok(())
        })
    })
}

/// Sets a structured value that is msgpack already. It is not looked into.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_set_meta_struct_blob(
    handle: *mut TracerSpan,
    key: CharSlice,
    value: ByteSlice,
) -> *mut TraceExporterError {
    with(handle, |span| {
        let (key, value) = (key.text()?, value.values()?);
        if u32::try_from(value.len()).is_err() {
            return Err(Fault::new(Code::InvalidInput, "the value is longer than msgpack can say"));
        }
        let size = value.len().saturating_add(5);
        span.meta_struct.put(key.as_bytes(), size, |out| writer::bin(out, value))
    })
}

/// Sets a structured value that tokens describe.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_set_meta_struct(
    handle: *mut TracerSpan,
    key: CharSlice,
    tokens: Slice<TracerValueToken>,
) -> *mut TraceExporterError {
    with(handle, |span| {
        let (key, mut bytes) = (key.text()?, Vec::new());
        value::encode(tokens.values()?, &mut bytes)?;
        let size = bytes.len().saturating_add(5);
        span.meta_struct.put(key.as_bytes(), size, |out| writer::bin(out, &bytes))
    })
}

/// Sets the links, in place of those that are there. After an error those stay.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_set_links(
    handle: *mut TracerSpan,
    links: Slice<TracerSpanLink>,
) -> *mut TraceExporterError {
    with(handle, |span| {
        span.links = self::links(links.values()?)?;
        Ok(())
    })
}

/// Adds an event. The event belongs to the span then, and is gone after an error, too.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_add_event(
    span: *mut TracerSpan,
    event: *mut TracerSpanEvent,
) -> *mut TraceExporterError {
    enter(|| {
        let mut bytes = Vec::new();
        let taken = handles::EVENTS.close(event.addr(), |event| {
            let written = event.write_to(&mut bytes);
            event.clear();
            written
        });
        taken.unwrap_or_else(|| Err(Fault::stale("event")))?;
        let add = |span: &mut Span| {
            room(&mut span.events, bytes.len())?;
            span.events.extend_from_slice(&bytes);
            span.event_count += 1;
            Ok(())
        };
        handles::SPANS.with(span.addr(), add).unwrap_or_else(|| Err(Fault::stale("span")))
    })
}
