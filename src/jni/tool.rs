//! What needs no exporter: payloads and texts for the JAR as a tool, the check of one setting for the builder.

use super::boundary::{Failure, enter};
use super::frame::{Env, JByteArray, JClass, JObjectArray};
use super::java::{self, Piece};
use crate::error::Error;
use crate::face::{exporters, requests};
use crate::transport::trust;
use jni::sys::{jboolean, jlong};
use std::time::Duration;

/// A payload in another format. `request` holds the words of `Conversion::read`, NUL between them. The answer is one
/// line, a JSON object of what became of it, and then the body.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeConvert<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    request: JByteArray<'l>,
    payload: JByteArray<'l>,
) -> JByteArray<'l> {
    enter(env, &class, |env| {
        let request = java::bytes(env, &request, "request")?;
        let answer = requests::conversion(&request, &java::bytes(env, &payload, "payload")?)?;
        java::byte_array(env, &answer)
    })
}

/// The authorities of the JVM's trust store, each as DER behind its length, and how many microseconds they took to
/// read. Gives how many are trusted.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeTrust<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    authorities: JByteArray<'l>,
    micros: jlong,
) -> jlong {
    enter(env, &class, |env| {
        let took = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
        let report = trust::hand_over(&java::bytes(env, &authorities, "authorities")?, took)?;
        Ok(jlong::try_from(report.authorities).unwrap_or(jlong::MAX))
    })
}

/// Why a setting cannot be used, empty if it can. `settings` is a map with that one setting, as `nativeCreate` takes
/// it.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeCheckSetting<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    settings: JByteArray<'l>,
) -> JByteArray<'l> {
    enter(env, &class, |env| {
        let why = exporters::why_not(&java::bytes(env, &settings, "settings")?)?;
        java::byte_array(env, why.as_ref().map_or("", Error::message).as_bytes())
    })
}

/// A payload as JSON lines.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeShow<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    payload: JByteArray<'l>,
) -> JByteArray<'l> {
    enter(env, &class, |env| {
        let text = requests::lines(&java::bytes(env, &payload, "payload")?)?;
        java::byte_array(env, text.as_bytes())
    })
}

/// One text as it would leave the process; `request` holds the names of type, dialect, mode and preset, NUL between
/// them.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeObfuscate<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    request: JByteArray<'l>,
    text: JByteArray<'l>,
) -> JByteArray<'l> {
    enter(env, &class, |env| {
        let request = java::bytes(env, &request, "request")?;
        let out = requests::obfuscation(&request, &java::bytes(env, &text, "text")?)?;
        java::byte_array(env, &out)
    })
}

/// The stats of payloads, as JSON.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeStatsOf<'l>(
    env: Env<'l>,
    class: JClass<'l>,
    payloads: JObjectArray<'l>,
    now: jboolean,
    obfuscate: jboolean,
) -> JByteArray<'l> {
    enter(env, &class, |env| {
        let mut counting = crate::PayloadStats::new(now, obfuscate)?;
        for i in 0..java::objects(env, &payloads, "payloads")? {
            let bytes =
                java::with_element(env, &payloads, i, |env, payload| match java::piece(env, payload)? {
                    Piece::Array(payload) => java::bytes(env, &payload, "payload"),
                    Piece::Direct(_) => Err(Failure::Null("payload")),
                })?;
            counting.add(&bytes)?;
        }
        java::byte_array(env, counting.report().to_json().as_bytes())
    })
}
