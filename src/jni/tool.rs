//! What needs no exporter: conversions for the JAR as a tool, the check of a regex for the builder.

use super::boundary::{Failure, enter};
use super::java;
use crate::convert::{Conversion, convert};
use crate::regexes;
use jni::EnvUnowned;
use jni::objects::{JByteArray, JClass};

/// A payload in another format. `request` holds the words of [`Conversion::read`], NUL between them. The answer is one line,
/// a JSON object of what became of it, and then the body.
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
        let words = env.convert_byte_array(&request)?;
        let words = words.split(|b| *b == 0).map(|word| std::str::from_utf8(word).unwrap_or(""));
        let wanted = Conversion::read(words)?;
        let made = convert(&env.convert_byte_array(&payload)?, &wanted)?;
        let mut answer = made.to_json().into_bytes();
        answer.push(b'\n');
        answer.extend_from_slice(&made.body);
        java::byte_array(env, &answer)
    })
}

/// Why a regex cannot be used, empty if it can. The regex is UTF-8.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeCheckRegex<'l>(
    env: EnvUnowned<'l>,
    class: JClass<'l>,
    regex: JByteArray<'l>,
) -> JByteArray<'l> {
    enter(env, &class, |env| {
        if regex.is_null() {
            return Err(Failure::Null("regex"));
        }
        let regex = env.convert_byte_array(&regex)?;
        let why = match std::str::from_utf8(&regex) {
            Ok(regex) => regexes::check(regex).err().unwrap_or_default(),
            Err(_) => "it is not UTF-8".to_owned(),
        };
        java::byte_array(env, why.as_bytes())
    })
}
