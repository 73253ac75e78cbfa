//! What only the JAR as a tool asks for.

use super::boundary::{Failure, enter};
use super::java;
use crate::convert::{Conversion, convert};
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
