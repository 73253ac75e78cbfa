//! What Java asks besides sending, in one native: answers are bytes that `TraceExporter.java` takes apart.
//!
//! | number | question | answer |
//! |---|---|---|
//! | 0 | `/info`, asked for now | the agent's, see below |
//! | 1 | `/info` as it is known | the agent's, or null |
//! | 2 | wait for the agent | the agent's, or null if it has no `/info` |
//! | 3 | explain | JSON |
//! | 4 | state | JSON |
//! | -1 | what a panic becomes: a test asks it | an exception |
//! | 5 | log lines | one line each: milliseconds, severity and text, with tabs between |
//!
//! The agent's: two lines, its hash of the container's tags (may be empty) and of its state; then the body as it came.

use super::boundary::{Failure, enter};
use super::java;
use super::trace_exporter::{exporter, within};
use crate::delivery::presence::AgentState;
use crate::destination::agent::Info;
use crate::error::{Error, ErrorKind};
use crate::health::LogLine;
use jni::EnvUnowned;
use jni::objects::{JByteArray, JClass};
use jni::sys::{jboolean, jint, jlong};
use serde_json::json;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// See the table above.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeAsk<'l>(
    env: EnvUnowned<'l>,
    class: JClass<'l>,
    handle: jlong,
    question: jint,
    millis: jlong,
) -> JByteArray<'l> {
    enter(env, &class, |env| {
        let e = exporter(handle)?;
        let e = &e.exporter;
        let answer = match question {
            0 => Some(agents(&e.fetch_info(within(millis))?)),
            1 => e.agent_info().as_ref().map(agents),
            2 => e.await_agent(within(millis))?.as_ref().map(agents),
            3 => Some(e.explain()),
            4 => Some(state(&e.state())),
            5 => Some(lines(&e.take_log_lines())),
            -1 => panic!("asked for by question {question}"),
            _ => {
                let text = format!("there is no question {question}");
                return Err(Failure::Ours(Error::new(ErrorKind::InvalidArgument, text)));
            }
        };
        match answer {
            Some(text) => java::byte_array(env, text.as_bytes()),
            None => Ok(JByteArray::default()),
        }
    })
}

/// Whether question 5 has an answer. Asked after every send of an exporter that has a listener.
#[unsafe(no_mangle)]
pub extern "system" fn Java_com_datadog_pipeline_TraceExporter_nativeHasLines<'l>(
    env: EnvUnowned<'l>,
    class: JClass<'l>,
    handle: jlong,
) -> jboolean {
    enter(env, &class, |_| Ok(jboolean::from(exporter(handle)?.exporter.has_log_lines())))
}

fn agents(info: &Info) -> String {
    let tags = info.container_tags_hash.as_deref().unwrap_or("");
    [tags, "\n", &*info.state_hash, "\n", &*info.raw].concat()
}

pub(super) fn state(state: &AgentState) -> String {
    let error = state.last_error.as_ref().map(|(at, e)| {
        json!({ "at": millis(*at), "code": e.kind().code(), "status": e.status(), "message": e.message() })
    });
    json!({
        "condition": state.condition.name(),
        "last_success": state.last_success.map(millis),
        "last_error": error,
    })
    .to_string()
}

/// The lines of the log, each without a line break of its own.
pub(super) fn lines(lines: &[LogLine]) -> String {
    let mut out = String::new();
    for line in lines {
        let text = line.text.replace(['\n', '\r'], " ");
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{}\t{}\t{text}", millis(line.at), line.severity.name());
    }
    out
}

fn millis(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
