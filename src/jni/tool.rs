//! What needs no exporter: conversions for the JAR as a tool, the check of one setting for the builder.

use super::boundary::{Failure, enter};
use super::java;
use crate::error::Error;
use crate::face::{exporters, requests};
use jni::EnvUnowned;
use jni::objects::{JByteArray, JClass};

/// A payload in another format. `request` holds the words of `Conversion::read`, NUL between them. The answer is one
/// line, a JSON object of what became of it, and then the body.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeConvert<'l>(
    env: EnvUnowned<'l>,
    class: JClass<'l>,
    request: JByteArray<'l>,
    payload: JByteArray<'l>,
) -> JByteArray<'l> {
    enter(env, &class, |env| {
        if request.is_null() || payload.is_null() {
            return Err(Failure::Null("payload"));
        }
        let request = env.convert_byte_array(&request)?;
        let answer = requests::conversion(&request, &env.convert_byte_array(&payload)?)?;
        java::byte_array(env, &answer)
    })
}

/// Why a setting cannot be used, empty if it can. `settings` is a map with that one setting, as `nativeCreate` takes
/// it.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeCheckSetting<'l>(
    env: EnvUnowned<'l>,
    class: JClass<'l>,
    settings: JByteArray<'l>,
) -> JByteArray<'l> {
    enter(env, &class, |env| {
        if settings.is_null() {
            return Err(Failure::Null("settings"));
        }
        let why = exporters::why_not(&env.convert_byte_array(&settings)?)?;
        java::byte_array(env, why.as_ref().map_or("", Error::message).as_bytes())
    })
}
