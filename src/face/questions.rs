//! What a host asks of an exporter besides sending: answers are texts that it takes apart.
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
//! | 6 | traces as lines, where the host writes them | the lines |
//!
//! The agent's: two lines, its hash of the container's tags (may be empty) and of its state; then the body as it came.

use crate::delivery::presence::AgentState;
use crate::destination::agent::Info;
use crate::error::{Error, ErrorKind};
use crate::exporter::TraceExporter;
use crate::health::LogLine;
use crate::object::object;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The number of the last question.
pub(crate) const TRACE_LINES: i32 = 6;

/// The answer to a question of the table above; none where there is nothing to say.
pub(crate) fn answer(e: &TraceExporter, question: i32, limit: Duration) -> Result<Option<String>, Error> {
    Ok(match question {
        0 => Some(agents(&e.fetch_info(limit)?)),
        1 => e.agent_info().as_ref().map(agents),
        2 => e.await_agent(limit)?.as_ref().map(agents),
        3 => Some(e.explain()),
        4 => Some(state(&e.state())),
        5 => Some(lines(&e.take_log_lines())),
        TRACE_LINES => Some(String::from_utf8_lossy(&e.take_lines()).into_owned()),
        -1 => panic!("asked for by question {question}"),
        _ => {
            let text = format!("there is no question {question}");
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
    })
}

/// What can be asked of an exporter that is closed: the last lines of its log, its state, explain and stats, and traces
/// as lines where the host writes them.
pub(crate) fn last_answers(e: &TraceExporter) -> [String; 5] {
    let stats = e.stats().unwrap_or_default().to_json();
    let traces = String::from_utf8_lossy(&e.take_lines()).into_owned();
    [lines(&e.take_log_lines()), state(&e.state()), e.explain(), stats, traces]
}

fn agents(info: &Info) -> String {
    let tags = info.container_tags_hash.as_deref().unwrap_or("");
    [tags, "\n", &*info.state_hash, "\n", &*info.raw].concat()
}

fn state(state: &AgentState) -> String {
    let error = state.last_error.as_ref().map(|(at, e)| {
        object! { "at": millis(*at), "code": e.kind().code(), "status": e.status(), "message": e.message() }
    });
    object! {
        "condition": state.condition.name(),
        "last_success": state.last_success.map(millis),
        "last_error": error,
    }
    .to_string()
}

/// The lines of the log, each without a line break of its own.
fn lines(lines: &[LogLine]) -> String {
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
