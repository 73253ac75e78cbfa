//! What chunk and payload take over from their spans: values of keys that the string table marks.

use super::super::code::Code;
use crate::msgpack::reader;
use crate::trace::{Span, Text};

// Marks of the string table: what a key that is looked out for is. The texts of `span.kind` follow.
pub(super) const ENV: usize = 1;
pub(super) const VERSION: usize = 2;
pub(super) const COMPONENT: usize = 3;
pub(super) const SPAN_KIND: usize = 4;
pub(super) const TRACE_ID_HIGH: usize = 5;
pub(super) const DECISION_MAKER: usize = 6;
pub(super) const ORIGIN: usize = 7;
pub(super) const HOSTNAME: usize = 8;
pub(super) const GIT_COMMIT: usize = 9;
pub(super) const APM_MODE: usize = 10;
pub(super) const PRIORITY: usize = 11;
pub(super) const SERVER: usize = 12;
pub(super) const CONSUMER: usize = 15;
/// The keys whose value goes to the chunk or, through it, to the payload.
pub(super) const OF_CHUNKS: u32 =
    1 << TRACE_ID_HIGH | 1 << DECISION_MAKER | 1 << ORIGIN | 1 << HOSTNAME | 1 << GIT_COMMIT | 1 << APM_MODE;

/// The agent's mark for "no priority".
pub(super) const NO_PRIORITY: i32 = i8::MIN as i32;

/// The values of marked keys of the span at hand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// Whose marks are there; older values stay where they stand.
    pub(super) present: u32,
    pub(super) values: [(Text, Code); 16],
    /// Where the sampling priority stands, or 0.
    pub(super) priority_at: usize,
}

/// What the payload takes over from its spans: places of texts in the input.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Promoted {
    pub(super) env: Text,
    pub(super) version: Text,
    pub(super) hostname: Text,
    pub(super) git_commit: Text,
    pub(super) apm_mode: Text,
}

/// What a chunk takes over from its spans. Of several the last span that has it decides.
pub(super) struct Origin {
    pub(super) trace_id: u64,
    pub(super) trace_id_high: u64,
    pub(super) origin: Text,
    pub(super) mechanism: u32,
    pub(super) priority: i32,
    pub(super) root_priority: Option<i32>,
    pub(super) promoted: Promoted,
}

impl Found {
    /// The value of a marked key; of several the last one counts.
    #[inline(always)]
    pub(super) fn set(&mut self, mark: usize, at: usize, len: usize, code: Code) {
        self.present |= 1 << (mark & 15);
        self.values[mark & 15] = (Text { at: at as u32, len: len as u32 }, code);
    }

    #[inline(always)]
    pub(super) fn get(&self, mark: usize) -> Option<(Text, Code)> {
        if self.present & 1 << mark != 0 { Some(self.values[mark & 15]) } else { None }
    }
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            trace_id: 0,
            trace_id_high: 0,
            origin: Text::default(),
            mechanism: 0,
            priority: NO_PRIORITY,
            root_priority: None,
            promoted: Promoted::default(),
        }
    }
}

impl Origin {
    /// Takes over what one more span says.
    #[inline(always)]
    pub(super) fn add(&mut self, buf: &[u8], span: &Span, found: &Found) {
        self.trace_id = span.trace_id;
        if found.priority_at != 0 {
            // nil counts as 0, as with the agent.
            self.priority = reader::number(buf, found.priority_at).map_or(0.0, |(v, _)| v) as i32;
        }
        if span.parent_id == 0 && self.priority != NO_PRIORITY {
            self.root_priority = Some(self.priority);
        } else if let Some(priority) = self.root_priority {
            self.priority = priority;
        }
        if let Some((text, _)) = found.get(ENV) {
            self.promoted.env = text;
        }
        if let Some((text, _)) = found.get(VERSION) {
            self.promoted.version = text;
        }
        if found.present & OF_CHUNKS != 0 {
            self.add_rare(buf, found);
        }
    }

    #[inline(never)]
    pub(super) fn add_rare(&mut self, buf: &[u8], found: &Found) {
        let text = |mark| found.get(mark).map(|(text, _)| text);
        let bytes = |mark| text(mark).and_then(|t: Text| buf.get(t.at as usize..(t.at + t.len) as usize));
        if let Some(high) = bytes(TRACE_ID_HIGH).and_then(hex) {
            self.trace_id_high = high;
        }
        if let Some(n) = bytes(DECISION_MAKER).and_then(mechanism) {
            self.mechanism = n;
        }
        let own = &mut self.promoted;
        for (mark, to) in [
            (ORIGIN, &mut self.origin),
            (HOSTNAME, &mut own.hostname),
            (GIT_COMMIT, &mut own.git_commit),
            (APM_MODE, &mut own.apm_mode),
        ] {
            if let Some(text) = text(mark) {
                *to = text;
            }
        }
    }
}

impl Promoted {
    /// What one more chunk says. An empty text does not replace what an earlier chunk said.
    pub(super) fn update(&mut self, chunk: &Self) {
        for (to, from) in [
            (&mut self.env, chunk.env),
            (&mut self.version, chunk.version),
            (&mut self.hostname, chunk.hostname),
            (&mut self.git_commit, chunk.git_commit),
            (&mut self.apm_mode, chunk.apm_mode),
        ] {
            if from.len > 0 {
                *to = from;
            }
        }
    }
}

/// The upper half of a trace id: up to 16 hexadecimal digits.
pub(super) fn hex(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    if text.starts_with('+') { None } else { u64::from_str_radix(text, 16).ok() }
}

/// `-3` or `3` gives 3.
pub(super) fn mechanism(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.first() == Some(&b'+') { None } else { std::str::from_utf8(digits).ok()?.parse().ok() }
}
