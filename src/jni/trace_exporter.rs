//! The natives of `com.datadog.pipeline.TraceExporter`.

use super::boundary::{Failure, enter};
use super::frame::{
    Env, JByteArray, JByteBuffer, JClass, JIntArray, JLongArray, JObject, JObjectArray, JString,
};
use super::java::{self, Argument, Piece};
use crate::error::Error;
use crate::exporter::{AgentResponse, DroppedP0, SendOptions};
use crate::face::exporters::{self, Exporter, News, bounds, grow};
use crate::face::{numbers, questions};
use jni::jni_str;
use jni::sys::{jboolean, jint, jlong};
use std::sync::Arc;
use std::time::Duration;

type Native<'l, T> = Result<T, Failure>;

pub(super) fn exporter(handle: jlong) -> Result<Arc<Exporter>, Failure> {
    exporters::find(handle).ok_or(Failure::Stale)
}

/// The library's version, to be compared with the JAR's.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeVersion<'l>(
    env: Env<'l>,
    class: JClass<'l>,
) -> JString<'l> {
    enter(env, &class, |env| java::string(env, &super::version::of_library()))
}

/// An exporter from the settings, one msgpack map.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeCreate<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    settings: JByteArray<'l>,
) -> jlong {
    enter(env, &class, |env| Ok(exporters::open(&java::bytes(env, &settings, "settings")?)?))
}

/// Sends a part of a `byte[]`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeSend<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    handle: jlong,
    payload: JByteArray<'l>,
    offset: jint,
    length: jint,
    dropped_traces: jlong,
    dropped_spans: jlong,
    computed_stats: jboolean,
    last: JObject<'l>,
    last_id: jlong,
) -> JObject<'l> {
    enter(env, &class, |env| {
        let e = exporter(handle)?;
        let (offset, length) = bounds(offset, length, java::len(env, &payload, "payload")?)?;
        e.with_buffer(|buffer| {
            if buffer.len() < length {
                grow(buffer, length)?;
            }
            let bytes = buffer.get_mut(..length).unwrap_or(&mut []);
            java::copy(env, &payload, offset, bytes)?;
            let result = e.exporter.send_with(bytes, options(dropped_traces, dropped_spans, computed_stats));
            answer(&e, env, &class, result, last, last_id)
        })
    })
}

/// Sends a part of a direct buffer, without a copy.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeSendDirect<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    handle: jlong,
    payload: JByteBuffer<'l>,
    position: jint,
    length: jint,
    dropped_traces: jlong,
    dropped_spans: jlong,
    computed_stats: jboolean,
    last: JObject<'l>,
    last_id: jlong,
) -> JObject<'l> {
    enter(env, &class, |env| {
        let e = exporter(handle)?;
        let bytes = direct(env, &payload, position, length)?;
        let result = e.exporter.send_with(bytes, options(dropped_traces, dropped_spans, computed_stats));
        answer(&e, env, &class, result, last, last_id)
    })
}

/// Sends one payload that lies in pieces: direct buffers and arrays, with offset and length of each in `parts`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeSendPieces<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    handle: jlong,
    pieces: JObjectArray<'l>,
    parts: JIntArray<'l>,
    dropped_traces: jlong,
    dropped_spans: jlong,
    computed_stats: jboolean,
    last: JObject<'l>,
    last_id: jlong,
) -> JObject<'l> {
    enter(env, &class, |env| {
        let e = exporter(handle)?;
        let count = java::objects(env, &pieces, "pieces")?;
        let places = java::ints(env, &parts, "parts")?;
        e.with_buffer(|buffer| {
            buffer.clear();
            for i in 0..count {
                let (Some(&offset), Some(&length)) = (places.get(2 * i), places.get(2 * i + 1)) else {
                    return Err(Failure::Null("parts"));
                };
                java::with_element(env, &pieces, i, |env, piece| {
                    append(env, piece, (offset, length), buffer)
                })?;
            }
            let result = e.exporter.send_with(buffer, options(dropped_traces, dropped_spans, computed_stats));
            answer(&e, env, &class, result, last, last_id)
        })
    })
}

/// Closes within `millis`: the first number says whether all sends were done, the account follows. What can still be
/// asked afterwards is put into `left`, if it is not null: the last lines of the log, state, explain, stats
/// and traces as lines where the host writes them.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeClose<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    handle: jlong,
    millis: jlong,
    left: JObjectArray<'l>,
) -> JLongArray<'l> {
    enter(env, &class, |env| {
        let e = exporters::take(handle).ok_or(Failure::Stale)?;
        let report = e.exporter.close_within(within(millis));
        if !left.is_null() {
            let texts = questions::last_answers(&e.exporter);
            for (i, text) in texts.iter().enumerate() {
                let text = java::byte_array(env, text.as_bytes())?;
                java::set_element(env, &left, i, &text)?;
            }
        }
        let mut numbers = vec![i64::from(report.complete)];
        numbers.extend(numbers::account(&report.metrics, 0, &e.exporter.queue()));
        java::long_array(env, &numbers)
    })
}

/// The account.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeMetrics<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    handle: jlong,
) -> JLongArray<'l> {
    enter(env, &class, |env| {
        let e = exporter(handle)?;
        let memory = e.exporter.memory_bytes() as u64;
        let numbers = numbers::account(&e.exporter.metrics(), memory, &e.exporter.queue());
        java::long_array(env, &numbers)
    })
}

/// A limit that Java gives in milliseconds.
pub(super) fn within(millis: jlong) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// What stats have counted, with the groups of the current buckets, as JSON.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeStats<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    handle: jlong,
) -> JByteArray<'l> {
    enter(env, &class, |env| {
        let report = exporter(handle)?.exporter.stats().unwrap_or_default();
        java::byte_array(env, report.to_json().as_bytes())
    })
}

/// Sends the stats of all buckets; whether they arrived.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeFlushStats<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    handle: jlong,
    millis: jlong,
) -> jboolean {
    enter(env, &class, |_| Ok(exporter(handle)?.exporter.flush_stats(within(millis))))
}

/// The answer as an object: the last one, one that shares with it, or a new one.
pub(super) fn answer<'l>(
    e: &Exporter,
    env: &mut Env<'l>,
    class: &JClass<'l>,
    result: Result<AgentResponse, Error>,
    last: JObject<'l>,
    last_id: jlong,
) -> Native<'l, JObject<'l>> {
    let response = result?;
    let (id, shares) = match e.news(&response, (!last.is_null()).then_some(last_id)) {
        News::None => return Ok(last),
        News::Counts(id) => (id, true),
        News::All(id) => (id, false),
    };
    let reply = &response.reply;
    let none = JObject::null();
    let (body, rates, hash) = if shares {
        (JByteArray::default(), JByteArray::default(), JString::default())
    } else {
        let rates = match &reply.rates {
            Some(rates) => java::byte_array(env, rates)?,
            None => JByteArray::default(),
        };
        let hash = match &reply.container_tags_hash {
            Some(hash) => java::string(env, hash)?,
            None => JString::default(),
        };
        (java::byte_array(env, &reply.body)?, rates, hash)
    };
    let left_out = if response.left_out == Default::default() {
        JLongArray::default()
    } else {
        java::long_array(env, &numbers::left_out(&response.left_out))?
    };
    let signature = jni_str!("(JLjava/lang/Object;I[B[BLjava/lang/String;ZJJI[J)Ljava/lang/Object;");
    let arguments = [
        Argument::Long(id),
        Argument::Object(if shares { &last } else { &none }),
        Argument::Int(i32::from(reply.status)),
        Argument::Object(&body),
        Argument::Object(&rates),
        Argument::Object(&hash),
        Argument::Bool(reply.rates_changed),
        Argument::Long(response.traces as i64),
        Argument::Long(response.spans as i64),
        Argument::Int(reply.attempts as i32),
        Argument::Object(&left_out),
    ];
    // SAFETY: the signature is that of the eleven arguments, and gives an object.
    unsafe { java::call_static(env, class, (jni_str!("newResponse"), signature), &arguments) }
}

/// What the tracer says beside a payload.
pub(super) fn options(traces: jlong, spans: jlong, computed_stats: jboolean) -> SendOptions {
    let count = |n: jlong| u64::try_from(n).unwrap_or(0);
    let dropped = DroppedP0 { traces: count(traces), spans: count(spans) };
    SendOptions { dropped, client_computed_stats: computed_stats }
}

/// Appends one piece of a payload.
fn append(
    env: &Env<'_>,
    piece: &JObject<'_>,
    (offset, length): (jint, jint),
    buffer: &mut Vec<u8>,
) -> Result<(), Failure> {
    let start = buffer.len();
    match java::piece(env, piece)? {
        Piece::Direct(piece) => {
            let bytes = direct(env, &piece, offset, length)?;
            grow(buffer, start + bytes.len())?;
            for (to, from) in buffer.iter_mut().skip(start).zip(bytes) {
                *to = *from;
            }
        }
        Piece::Array(piece) => {
            let (offset, length) = bounds(offset, length, java::len(env, &piece, "payload")?)?;
            grow(buffer, start + length)?;
            java::copy(env, &piece, offset, buffer.get_mut(start..).unwrap_or(&mut []))?;
        }
    }
    Ok(())
}

/// The bytes of a direct buffer.
pub(super) fn direct<'b>(
    env: &Env<'_>,
    buffer: &'b JByteBuffer<'_>,
    position: jint,
    length: jint,
) -> Result<&'b [u8], Failure> {
    let (address, capacity) = java::direct(env, buffer)?;
    let (position, length) = bounds(position, length, capacity)?;
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: the address is that of a direct buffer with at least `position + length` bytes (checked above), which
    // lives as long as `buffer`, a reference that the caller holds until the native returns. The contract of `send`
    // says that nobody writes to the payload meanwhile.
    Ok(unsafe { std::slice::from_raw_parts(address.add(position), length) })
}

/// The answer to a question of [`questions`].
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeAsk<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    handle: jlong,
    question: jint,
    millis: jlong,
) -> JByteArray<'l> {
    enter(env, &class, |env| {
        match questions::answer(&exporter(handle)?.exporter, question, within(millis))? {
            Some(text) => java::byte_array(env, text.as_bytes()),
            None => Ok(JByteArray::default()),
        }
    })
}

/// Whether there are log lines. Asked after every send of an exporter that has a listener.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeHasLines<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    handle: jlong,
) -> jboolean {
    enter(env, &class, |_| Ok(jboolean::from(exporter(handle)?.exporter.has_log_lines())))
}
