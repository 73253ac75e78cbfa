//! Events of spans. A value is a map, `{type: 0..4, string_value | bool_value | int_value | double_value |
//! array_value: {values: […]}}`, as agents read it.

use super::common::{CharSlice, Slice, is_place, write};
use super::entries::{Entries, recycle, room};
use super::error::{Code, Fault, TraceExporterError, enter};
use super::handles::{self, as_pointer};
use crate::msgpack::writer;
use std::ptr;

/// An event that is being built.
#[derive(Debug)]
pub struct TracerSpanEvent {
    _opaque: (),
}

/// What an event has so far.
#[derive(Debug, Default)]
pub(super) struct Event {
    /// Time and name, as msgpack.
    head: Vec<u8>,
    attributes: Entries,
}

impl Event {
    pub(super) fn clear(&mut self) {
        recycle(&mut self.head);
        self.attributes.clear();
    }

    /// Writes it to the end of a list.
    pub(super) fn write_to(&self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let attributes = &self.attributes;
        room(out, self.head.len().saturating_add(attributes.bytes().len()).saturating_add(20))?;
        writer::map_head(out, 2 + u32::from(attributes.count() > 0));
        out.extend_from_slice(&self.head);
        attributes.write_to(b"attributes", out);
        Ok(())
    }
}

/// A value of an event.
#[derive(Clone, Copy)]
enum Value<'a> {
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Double(f64),
}

/// More than a value of this kind takes beside its text.
const VALUE_BYTES: usize = 40;

impl Value<'_> {
    fn size(self) -> usize {
        VALUE_BYTES + if let Value::Text(text) = self { text.len() } else { 0 }
    }

    fn write(self, out: &mut Vec<u8>) {
        let mut begin = |kind: u64, name: &[u8]| {
            writer::map_head(out, 2);
            writer::str(out, b"type");
            writer::uint(out, kind);
            writer::str(out, name);
        };
        match self {
            Value::Text(text) => {
                begin(0, b"string_value");
                writer::str(out, text.as_bytes());
            }
            Value::Bool(value) => {
                begin(1, b"bool_value");
                writer::bool(out, value);
            }
            Value::Int(value) => {
                begin(2, b"int_value");
                writer::int(out, value);
            }
            Value::Double(value) => {
                begin(3, b"double_value");
                writer::f64(out, value);
            }
        }
    }
}

/// Works with an event.
fn with(
    event: *mut TracerSpanEvent,
    body: impl FnOnce(&mut Event) -> Result<(), Fault>,
) -> *mut TraceExporterError {
    enter(|| handles::EVENTS.with(event.addr(), body).unwrap_or_else(|| Err(Fault::stale("event"))))
}

fn set(event: &mut Event, key: &CharSlice, value: Value<'_>) -> Result<(), Fault> {
    event.attributes.put(key.text()?.as_bytes(), value.size(), |out| value.write(out))
}

/// Values of one kind, as the caller has them.
enum List<'a> {
    Text(&'a Slice<CharSlice>),
    /// As bytes: what C has there need not be 0 or 1.
    Bool(&'a Slice<u8>),
    Int(&'a Slice<i64>),
    Double(&'a Slice<f64>),
}

impl List<'_> {
    /// Gives `each` every value, in order.
    fn walk(&self, each: &mut dyn FnMut(Value<'_>)) -> Result<(), Fault> {
        match self {
            List::Text(list) => {
                for text in list.values()? {
                    each(Value::Text(text.text()?));
                }
            }
            List::Bool(list) => list.values()?.iter().for_each(|value| each(Value::Bool(*value != 0))),
            List::Int(list) => list.values()?.iter().for_each(|value| each(Value::Int(*value))),
            List::Double(list) => list.values()?.iter().for_each(|value| each(Value::Double(*value))),
        }
        Ok(())
    }
}

/// Sets an attribute that is a list: one function for all kinds of lists, since they are rare and it is large.
fn set_list(event: *mut TracerSpanEvent, key: &CharSlice, list: &List<'_>) -> *mut TraceExporterError {
    with(event, |event| {
        let key = key.text()?;
        // Every value is looked at before one is written, so that an error changes nothing.
        let (mut size, mut count) = (VALUE_BYTES + 16, 0_usize);
        list.walk(&mut |value| {
            size = size.saturating_add(value.size());
            count += 1;
        })?;
        let count = u32::try_from(count).map_err(|_| Fault::new(Code::InvalidArgument, "too many values"))?;
        event.attributes.put(key.as_bytes(), size, |out| {
            writer::map_head(out, 2);
            writer::str(out, b"type");
            writer::uint(out, 4);
            writer::str(out, b"array_value");
            writer::map_head(out, 1);
            writer::str(out, b"values");
            writer::array_head(out, count);
            // It went well before.
            let _ = list.walk(&mut |value| value.write(out));
        })
    })
}

/// Begins an event; `out_handle` becomes the caller's. The time is nanoseconds since 1970.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_event_new(
    out_handle: *mut *mut TracerSpanEvent,
    name: CharSlice,
    time_unix_nano: u64,
) -> *mut TraceExporterError {
    enter(|| {
        if !is_place(out_handle) {
            return write(out_handle, ptr::null_mut());
        }
        let name = name.text()?;
        let handle = handles::open(&handles::EVENTS, |event| {
            event.clear();
            room(&mut event.head, name.len().saturating_add(40))?;
            writer::str(&mut event.head, b"time_unix_nano");
            writer::uint(&mut event.head, time_unix_nano);
            writer::str(&mut event.head, b"name");
            writer::str(&mut event.head, name.as_bytes());
            Ok(())
        })?;
        write(out_handle, as_pointer(handle))
    })
}

/// Frees an event that was not added to a span. Null is nothing; a second time is nothing, and counted.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_event_free(handle: *mut TracerSpanEvent) {
    handles::EVENTS.free(handle.addr(), Event::clear);
}

/// Sets an attribute that is a text.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_event_set_string(
    event: *mut TracerSpanEvent,
    key: CharSlice,
    value: CharSlice,
) -> *mut TraceExporterError {
    with(event, |event| set(event, &key, Value::Text(value.text()?)))
}

/// Sets an attribute that is true or false.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_event_set_bool(
    event: *mut TracerSpanEvent,
    key: CharSlice,
    value: bool,
) -> *mut TraceExporterError {
    with(event, |event| set(event, &key, Value::Bool(value)))
}

/// Sets an attribute that is a whole number.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_event_set_int(
    event: *mut TracerSpanEvent,
    key: CharSlice,
    value: i64,
) -> *mut TraceExporterError {
    with(event, |event| set(event, &key, Value::Int(value)))
}

/// Sets an attribute that is a number.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_event_set_double(
    event: *mut TracerSpanEvent,
    key: CharSlice,
    value: f64,
) -> *mut TraceExporterError {
    with(event, |event| set(event, &key, Value::Double(value)))
}

/// Sets an attribute that is a list of texts.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_event_set_string_array(
    event: *mut TracerSpanEvent,
    key: CharSlice,
    values: Slice<CharSlice>,
) -> *mut TraceExporterError {
    set_list(event, &key, &List::Text(&values))
}

/// Sets an attribute that is a list of true and false.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_event_set_bool_array(
    event: *mut TracerSpanEvent,
    key: CharSlice,
    values: Slice<bool>,
) -> *mut TraceExporterError {
    set_list(event, &key, &List::Bool(&Slice { ptr: values.ptr.cast(), len: values.len }))
}

/// Sets an attribute that is a list of whole numbers.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_event_set_int_array(
    event: *mut TracerSpanEvent,
    key: CharSlice,
    values: Slice<i64>,
) -> *mut TraceExporterError {
    set_list(event, &key, &List::Int(&values))
}

/// Sets an attribute that is a list of numbers.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_span_event_set_double_array(
    event: *mut TracerSpanEvent,
    key: CharSlice,
    values: Slice<f64>,
) -> *mut TraceExporterError {
    set_list(event, &key, &List::Double(&values))
}
