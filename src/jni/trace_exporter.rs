//! The natives of `com.datadog.pipeline.TraceExporter`.
//!
//! **No garbage when nothing is new.** A send is handed the last answer together with its number. If the agent answered
//! the same and the counts are equal, the very same object goes back: not one byte of Java heap. If only the counts
//! differ, a small object that shares the rest with the last one.

use super::boundary::{Failure, enter};
use super::java::{self, Argument, Piece};
use super::questions;
use crate::account::{Counts, Metrics};
use crate::delivery::outbox::queue::QueueStatus;
use crate::error::{Error, ErrorKind};
use crate::exporter::{AgentResponse, DroppedP0, TraceExporter};
use crate::face::handle::Handles;
use crate::normalize::Reason;
use crate::obfuscate::{Request, one_text};
use crate::settings::{Config, RawConfig};
use jni::objects::{JByteArray, JByteBuffer, JClass, JIntArray, JLongArray, JObject, JObjectArray, JString};
use jni::sys::{jboolean, jint, jlong};
use jni::{Env, EnvUnowned, jni_str};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// What a Java exporter holds: the exporter, buffers for `byte[]` payloads, and the last answer that Java knows.
pub(super) struct Exporter {
    pub(super) exporter: TraceExporter,
    buffers: Mutex<Vec<Vec<i8>>>,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    id: i64,
    response: Option<AgentResponse>,
}

pub(super) static EXPORTERS: Handles<Exporter> = Handles::new();

/// How many payload buffers are kept for concurrent senders.
const KEPT_BUFFERS: usize = 4;
/// A buffer that grew beyond this for one unusual payload is given back.
const KEEP_BYTES: usize = 4 << 20;

type Native<'l, T> = Result<T, Failure>;

pub(super) fn exporter(handle: jlong) -> Result<Arc<Exporter>, Failure> {
    EXPORTERS.get(handle).ok_or(Failure::Stale)
}

/// The library's version, to be compared with the JAR's.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeVersion<'l>(
    env: EnvUnowned<'l>,
    class: JClass<'l>,
) -> JString<'l> {
    enter(env, &class, |env| java::string(env, &super::version::of_library()))
}

/// An exporter from the settings, one msgpack map.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeCreate<'l>(
    env: EnvUnowned<'l>,
    class: JClass<'l>,
    settings: JByteArray<'l>,
) -> jlong {
    enter(env, &class, |env| {
        if settings.is_null() {
            return Err(Failure::Null("settings"));
        }
        let raw = RawConfig::from_msgpack(&env.convert_byte_array(&settings)?)?;
        let exporter = TraceExporter::new(Config::new(raw)?)?;
        Ok(EXPORTERS.insert(Arc::new(Exporter {
            exporter,
            buffers: Mutex::default(),
            last: Mutex::default(),
        })))
    })
}

/// Sends a part of a `byte[]`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeSend<'l>(
    env: EnvUnowned<'l>,
    class: JClass<'l>,
    handle: jlong,
    payload: JByteArray<'l>,
    offset: jint,
    length: jint,
    dropped_traces: jlong,
    dropped_spans: jlong,
    last: JObject<'l>,
    last_id: jlong,
) -> JObject<'l> {
    enter(env, &class, |env| {
        if payload.is_null() {
            return Err(Failure::Null("payload"));
        }
        let e = exporter(handle)?;
        let (offset, length) = bounds(offset, length, payload.len(env)?)?;
        e.with_buffer(|buffer| {
            if buffer.len() < length {
                grow(buffer, length)?;
            }
            let bytes = buffer.get_mut(..length).unwrap_or(&mut []);
            payload.get_region(env, offset as jint, bytes)?;
            let result = e.exporter.send_with(as_bytes(bytes), dropped(dropped_traces, dropped_spans));
            e.answer(env, &class, result, last, last_id)
        })
    })
}

/// Sends a part of a direct buffer, without a copy.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeSendDirect<'l>(
    env: EnvUnowned<'l>,
    class: JClass<'l>,
    handle: jlong,
    payload: JByteBuffer<'l>,
    position: jint,
    length: jint,
    dropped_traces: jlong,
    dropped_spans: jlong,
    last: JObject<'l>,
    last_id: jlong,
) -> JObject<'l> {
    enter(env, &class, |env| {
        let e = exporter(handle)?;
        let bytes = direct(env, &payload, position, length)?;
        let result = e.exporter.send_with(bytes, dropped(dropped_traces, dropped_spans));
        e.answer(env, &class, result, last, last_id)
    })
}

/// Sends one payload that lies in pieces: direct buffers and arrays, with offset and length of each in `parts`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeSendPieces<'l>(
    env: EnvUnowned<'l>,
    class: JClass<'l>,
    handle: jlong,
    pieces: JObjectArray<'l>,
    parts: JIntArray<'l>,
    dropped_traces: jlong,
    dropped_spans: jlong,
    last: JObject<'l>,
    last_id: jlong,
) -> JObject<'l> {
    enter(env, &class, |env| {
        let e = exporter(handle)?;
        let count = pieces.len(env)?;
        let mut places = vec![0; parts.len(env)?];
        parts.get_region(env, 0, &mut places)?;
        e.with_buffer(|buffer| {
            buffer.clear();
            for i in 0..count {
                let (Some(&offset), Some(&length)) = (places.get(2 * i), places.get(2 * i + 1)) else {
                    return Err(Failure::Null("parts"));
                };
                // A frame of its own: a payload may have more pieces than a native may have local references.
                env.with_local_frame(8, |env| append(env, &pieces, i, (offset, length), buffer))?;
            }
            let result = e.exporter.send_with(as_bytes(buffer), dropped(dropped_traces, dropped_spans));
            e.answer(env, &class, result, last, last_id)
        })
    })
}

/// Closes within `millis`: the first number says whether all sends were done, the account follows. What can still be asked
/// afterwards is put into `left`, if it is not null: the last lines of the log, state, explain and stats.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeClose<'l>(
    env: EnvUnowned<'l>,
    class: JClass<'l>,
    handle: jlong,
    millis: jlong,
    left: JObjectArray<'l>,
) -> JLongArray<'l> {
    enter(env, &class, |env| {
        let e = EXPORTERS.remove(handle).ok_or(Failure::Stale)?;
        let report = e.exporter.close_within(within(millis));
        if !left.is_null() {
            let e = &e.exporter;
            let stats = e.stats().unwrap_or_default().to_json();
            let texts =
                [questions::lines(&e.take_log_lines()), questions::state(&e.state()), e.explain(), stats];
            for (i, text) in texts.iter().enumerate() {
                let text = java::byte_array(env, text.as_bytes())?;
                left.set_element(env, i, &text)?;
            }
        }
        let mut numbers = vec![i64::from(report.complete)];
        account(&report.metrics, 0, e.exporter.queue(), &mut numbers);
        java::long_array(env, &numbers)
    })
}

/// The account.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeMetrics<'l>(
    env: EnvUnowned<'l>,
    class: JClass<'l>,
    handle: jlong,
) -> JLongArray<'l> {
    enter(env, &class, |env| {
        let e = exporter(handle)?;
        let mut numbers = Vec::new();
        account(&e.exporter.metrics(), e.exporter.memory_bytes() as u64, e.exporter.queue(), &mut numbers);
        java::long_array(env, &numbers)
    })
}

/// A payload as JSON lines.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeShow<'l>(
    env: EnvUnowned<'l>,
    class: JClass<'l>,
    payload: JByteArray<'l>,
) -> JByteArray<'l> {
    enter(env, &class, |env| {
        if payload.is_null() {
            return Err(Failure::Null("payload"));
        }
        let mut text = String::new();
        crate::show::json_lines(&env.convert_byte_array(&payload)?, &mut text)?;
        java::byte_array(env, text.as_bytes())
    })
}

/// One text as it would leave the process; `request` holds the names of type, dialect, mode and preset, NUL between them.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeObfuscate<'l>(
    env: EnvUnowned<'l>,
    class: JClass<'l>,
    request: JByteArray<'l>,
    text: JByteArray<'l>,
) -> JByteArray<'l> {
    enter(env, &class, |env| {
        if request.is_null() || text.is_null() {
            return Err(Failure::Null("text"));
        }
        let names = env.convert_byte_array(&request)?;
        let mut names = names.split(|b| *b == 0).map(|name| std::str::from_utf8(name).unwrap_or(""));
        let mut next = || names.next().unwrap_or("");
        let request = Request { kind: next(), dbms: next(), mode: next(), preset: next() };
        let out = one_text(request, &env.convert_byte_array(&text)?)?;
        java::byte_array(env, &out)
    })
}

/// A limit that Java gives in milliseconds.
pub(super) fn within(millis: jlong) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// What stats have counted, with the groups of the current buckets, as JSON.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeStats<'l>(
    env: EnvUnowned<'l>,
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
    env: EnvUnowned<'l>,
    class: JClass<'l>,
    handle: jlong,
    millis: jlong,
) -> jboolean {
    enter(env, &class, |_| {
        let limit = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
        Ok(exporter(handle)?.exporter.flush_stats(limit))
    })
}

/// The stats of payloads, as JSON.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeStatsOf<'l>(
    env: EnvUnowned<'l>,
    class: JClass<'l>,
    payloads: JObjectArray<'l>,
    now: jboolean,
    obfuscate: jboolean,
) -> JByteArray<'l> {
    enter(env, &class, |env| {
        if payloads.is_null() {
            return Err(Failure::Null("payloads"));
        }
        let mut counting = crate::PayloadStats::new(now, obfuscate)?;
        for i in 0..payloads.len(env)? {
            let bytes = env.with_local_frame(8, |env| {
                let payload = payloads.get_element(env, i)?;
                match java::piece(env, payload)? {
                    Piece::Array(payload) => Ok(env.convert_byte_array(&payload)?),
                    Piece::Direct(_) => Err(Failure::Null("payload")),
                }
            })?;
            counting.add(&bytes)?;
        }
        java::byte_array(env, counting.report().to_json().as_bytes())
    })
}

impl Exporter {
    /// Lends a payload buffer. Which one does not matter; a concurrent send gets another.
    fn with_buffer<R>(&self, body: impl FnOnce(&mut Vec<i8>) -> R) -> R {
        let mut buffer = self.buffers.lock().pop().unwrap_or_default();
        let result = body(&mut buffer);
        let mut kept = self.buffers.lock();
        if kept.len() < KEPT_BUFFERS && buffer.capacity() <= KEEP_BYTES {
            kept.push(buffer);
        }
        result
    }

    /// The answer as an object: the last one, one that shares with it, or a new one.
    pub(super) fn answer<'l>(
        &self,
        env: &mut Env<'l>,
        class: &JClass<'l>,
        result: Result<AgentResponse, Error>,
        last: JObject<'l>,
        last_id: jlong,
    ) -> Native<'l, JObject<'l>> {
        let response = result?;
        let (id, shares) = {
            let mut known = self.last.lock();
            let known_to_java = !last.is_null() && last_id == known.id;
            let same = match &known.response {
                Some(old) if same_answer(old, &response) => {
                    if known_to_java && (old.traces, old.spans) == (response.traces, response.spans) {
                        return Ok(last);
                    }
                    true
                }
                _ => false,
            };
            known.id += 1;
            known.response = Some(response.clone());
            (known.id, same && known_to_java)
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
        let signature = jni_str!("(JLjava/lang/Object;I[B[BLjava/lang/String;ZJJI)Ljava/lang/Object;");
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
        ];
        // SAFETY: the signature is that of the ten arguments, and gives an object.
        unsafe { java::call_static(env, class, (jni_str!("newResponse"), signature), &arguments) }
    }
}

/// Whether all but the counts is equal. Bodies are shared while they stay the same, so pointers decide.
fn same_answer(a: &AgentResponse, b: &AgentResponse) -> bool {
    let same = |x: &Option<Arc<[u8]>>, y: &Option<Arc<[u8]>>| match (x, y) {
        (Some(x), Some(y)) => Arc::ptr_eq(x, y),
        (None, None) => true,
        _ => false,
    };
    let (x, y) = (&a.reply, &b.reply);
    x.status == y.status
        && x.attempts == y.attempts
        && x.rates_changed == y.rates_changed
        && Arc::ptr_eq(&x.body, &y.body)
        && same(&x.rates, &y.rates)
        && x.container_tags_hash == y.container_tags_hash
}

pub(super) fn dropped(traces: jlong, spans: jlong) -> DroppedP0 {
    DroppedP0 { traces: u64::try_from(traces).unwrap_or(0), spans: u64::try_from(spans).unwrap_or(0) }
}

/// Appends one piece of a payload.
fn append(
    env: &mut Env<'_>,
    pieces: &JObjectArray<'_>,
    index: usize,
    (offset, length): (jint, jint),
    buffer: &mut Vec<i8>,
) -> Result<(), Failure> {
    let piece = pieces.get_element(env, index)?;
    let start = buffer.len();
    match java::piece(env, piece)? {
        Piece::Direct(piece) => {
            let bytes = direct(env, &piece, offset, length)?;
            grow(buffer, start + bytes.len())?;
            for (to, from) in buffer.iter_mut().skip(start).zip(bytes) {
                *to = *from as i8;
            }
        }
        Piece::Array(piece) => {
            let (offset, length) = bounds(offset, length, piece.len(env)?)?;
            grow(buffer, start + length)?;
            piece.get_region(env, offset as jint, buffer.get_mut(start..).unwrap_or(&mut []))?;
        }
    }
    Ok(())
}

/// Makes room for `length` bytes. A host that is short of memory gets an error; an allocation that fails elsewhere would
/// end its process.
fn grow(buffer: &mut Vec<i8>, length: usize) -> Result<(), Failure> {
    if buffer.try_reserve(length.saturating_sub(buffer.len())).is_err() {
        let message = format!("there is no native memory for a payload of {length} bytes");
        return Err(Failure::Ours(Error::new(ErrorKind::PayloadTooLarge, message)));
    }
    buffer.resize(length, 0);
    Ok(())
}

/// Checks offset and length against what they are a part of.
pub(super) fn bounds(offset: jint, length: jint, of: usize) -> Result<(usize, usize), Failure> {
    match (usize::try_from(offset), usize::try_from(length)) {
        (Ok(o), Ok(n)) if o.checked_add(n).is_some_and(|end| end <= of) => Ok((o, n)),
        _ => Err(Failure::Ours(Error::new(
            ErrorKind::InvalidArgument,
            format!("offset {offset} and length {length} are not within the {of} bytes of the payload"),
        ))),
    }
}

/// The bytes of a direct buffer.
pub(super) fn direct<'b>(
    env: &Env<'_>,
    buffer: &'b JByteBuffer<'_>,
    position: jint,
    length: jint,
) -> Result<&'b [u8], Failure> {
    if buffer.is_null() {
        return Err(Failure::Null("payload"));
    }
    let address = env.get_direct_buffer_address(buffer)?;
    let (position, length) = bounds(position, length, env.get_direct_buffer_capacity(buffer)?)?;
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: the address is that of a direct buffer with at least `position + length` bytes (checked above), which lives
    // as long as `buffer`, a reference that the caller holds until the native returns. The contract of `send` says that
    // nobody writes to the payload meanwhile.
    Ok(unsafe { std::slice::from_raw_parts(address.add(position), length) })
}

/// Java's signed bytes as ours.
fn as_bytes(bytes: &[i8]) -> &[u8] {
    // SAFETY: i8 and u8 have the same size, alignment and valid values.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}

/// Ours as Java's signed bytes.
pub(super) fn as_bytes_mut(bytes: &mut [u8]) -> &mut [i8] {
    // SAFETY: i8 and u8 have the same size, alignment and valid values, and the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len()) }
}

/// The account in the order that `Metrics.java` reads: payloads; received, sent, filtered, sampled out, queued as traces,
/// spans, bytes; possibly duplicated, repaired, requests, body bytes, lost in conversion, native bytes, possibly
/// arrived; what is spooled, as traces, spans, bytes; of the queue payloads, bytes, age of the oldest in ms, refused, evicted and
/// senders; then the dropped ones, reason by reason; then the changes of normalization, reason by reason.
fn account(m: &Metrics, memory: u64, queue: QueueStatus, out: &mut Vec<i64>) {
    let counts =
        |out: &mut Vec<i64>, c: Counts| out.extend([c.traces as i64, c.spans as i64, c.bytes as i64]);
    out.push(m.payloads as i64);
    for c in [m.received, m.sent, m.filtered, m.sampled_out, m.queued] {
        counts(out, c);
    }
    out.extend(
        [
            m.possibly_duplicated,
            m.repaired,
            m.requests,
            m.body_bytes,
            m.lost_in_conversion,
            memory,
            m.possibly_arrived,
        ]
        .map(|v| v as i64),
    );
    counts(out, m.spooled);
    let age = u64::try_from(queue.oldest.as_millis()).unwrap_or(u64::MAX);
    out.extend(
        [queue.payloads, queue.bytes, age, queue.refused, queue.evicted, queue.senders].map(|v| v as i64),
    );
    for c in m.dropped {
        counts(out, c);
    }
    out.extend(Reason::ALL.map(|reason| m.normalized.get(reason) as i64));
}
