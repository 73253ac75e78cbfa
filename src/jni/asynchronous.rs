//! The natives of the asynchronous interface.

use super::boundary::{Failure, enter};
use super::frame::{Env, JByteArray, JByteBuffer, JClass, JLongArray, JObject};
use super::java;
use super::trace_exporter::{answer, direct, exporter, options, within};
use crate::delivery::outbox::queue::Offer;
use crate::error::{Error, ErrorKind};
use crate::exporter::SendOptions;
use crate::face::exporters::{Exporter, bounds};
use crate::face::{numbers, tickets};
use crate::settings::RawConfig;
use jni::sys::{jboolean, jint, jlong};
use std::sync::Arc;

/// Queues a part of a `byte[]`: 0 if it was taken, else the code of the reason. With a `ticket` other than 0 the answer
/// is fetched by that number; then the result is always 0. A ticket below 0 is a send whose caller waits: see
/// `send_by_ticket`.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeOffer<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    handle: jlong,
    payload: JByteArray<'l>,
    offset: jint,
    length: jint,
    dropped_traces: jlong,
    dropped_spans: jlong,
    computed_stats: jboolean,
    ticket: jlong,
) -> jint {
    enter(env, &class, |env| {
        let size = java::len(env, &payload, "payload")?;
        let e = exporter(handle)?;
        let (offset, length) = bounds(offset, length, size)?;
        let mut head = [0; 5];
        let head = head.get_mut(..length.min(5)).unwrap_or(&mut []);
        java::copy(env, &payload, offset, head)?;
        let copy = |to: &mut [u8]| java::copy(env, &payload, offset, to);
        offer(&e, head, length, options(dropped_traces, dropped_spans, computed_stats), ticket, copy)
    })
}

/// As `nativeOffer`, a part of a direct buffer.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeOfferDirect<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    handle: jlong,
    payload: JByteBuffer<'l>,
    position: jint,
    length: jint,
    dropped_traces: jlong,
    dropped_spans: jlong,
    computed_stats: jboolean,
    ticket: jlong,
) -> jint {
    enter(env, &class, |env| {
        let e = exporter(handle)?;
        let bytes = direct(env, &payload, position, length)?;
        let head = bytes.get(..5).unwrap_or(bytes);
        let copy = |to: &mut [u8]| {
            to.copy_from_slice(bytes);
            Ok(())
        };
        offer(&e, head, bytes.len(), options(dropped_traces, dropped_spans, computed_stats), ticket, copy)
    })
}

fn offer(
    e: &Arc<Exporter>,
    head: &[u8],
    size: usize,
    options: SendOptions,
    ticket: jlong,
    copy: impl FnOnce(&mut [u8]) -> Result<(), Failure>,
) -> Result<jint, Failure> {
    if ticket < 0 {
        e.exporter.send_by_ticket(size, options, tickets::completion(e, ticket), copy)?;
        return Ok(0);
    }
    let done = (ticket != 0).then(|| tickets::completion(e, ticket));
    let offer = Offer { size, head, options, done };
    match e.exporter.dispatcher.offer(offer, copy)? {
        Ok(()) => Ok(0),
        // Whoever holds a ticket hears of it by that.
        Err(_) if ticket != 0 => Ok(0),
        Err(error) => Ok(error.kind().code() as jint),
    }
}

/// The number of a send that has completed, waiting up to `millis`; 0 if none has.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeAwaitCompletion<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    millis: jlong,
) -> jlong {
    enter(env, &class, |_| Ok(tickets::wait(within(millis))))
}

/// What became of the send with this number, once; as `nativeSend` gives it.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeCompletion<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    ticket: jlong,
    last: JObject<'l>,
    last_id: jlong,
) -> JObject<'l> {
    enter(env, &class, |env: &mut Env<'l>| {
        let Some((e, result)) = tickets::take(ticket) else {
            let text = format!("there is no completed send {ticket}");
            return Err(Failure::Ours(Error::new(ErrorKind::InvalidArgument, text)));
        };
        answer(&e, env, &class, result, last, last_id)
    })
}

/// Flushes, or suspends: whether all was done; then what was sent, is pending and was left out, each as traces, spans
/// and bytes; then what was dropped, reason by reason.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeFlush<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    handle: jlong,
    millis: jlong,
    suspend: jboolean,
) -> JLongArray<'l> {
    enter(env, &class, |env| {
        let e = exporter(handle)?;
        let limit = within(millis);
        let report = if suspend { e.exporter.suspend(limit) } else { e.exporter.flush(limit) };
        java::long_array(env, &numbers::flush(&report))
    })
}

/// Puts these settings in force, one msgpack map as `nativeCreate` takes it.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeReconfigure<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    handle: jlong,
    settings: JByteArray<'l>,
) {
    enter(env, &class, |env| {
        let raw = RawConfig::from_msgpack(&java::bytes(env, &settings, "settings")?)?;
        Ok(exporter(handle)?.exporter.reconfigure_with(raw)?)
    })
}

/// Goes on after a suspension.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeResume<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    handle: jlong,
) {
    enter(env, &class, |_| Ok(exporter(handle)?.exporter.resume()?))
}
