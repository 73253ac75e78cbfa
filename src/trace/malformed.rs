//! What to do with payloads that the real agent would refuse, and how to say where they are wrong.
//!
//! The agent answers 400 for the whole payload when one value in it has the wrong type (`spec`: the agent's own
//! decoders, asked with hand-made bodies). [`OnMalformed`] decides what we do instead. Each repair is counted with its
//! place.

use super::arena::{Edit, With, push_edit};
use crate::error::{Error, ErrorKind};
use crate::msgpack::reader::{self, Bad};
use crate::msgpack::writer;
use crate::settings::OnMalformed;

/// What is wrong at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Truncated,
    /// The memory for what was read is not there: nothing is wrong with the payload.
    OutOfMemory,
    /// What should stand there.
    Expected(&'static str),
    /// The range the number should be in.
    Range(&'static str),
}

impl Fault {
    #[cold]
    pub(crate) fn new(at: usize, bad: Bad, expected: &'static str) -> Self {
        let why = match bad {
            Bad::Truncated => Why::Truncated,
            Bad::Type => Why::Expected(expected),
            Bad::Range => Why::Range(expected),
        };
        Self { at, why }
    }

    /// There is no memory for what stands at `at`.
    #[cold]
    pub(crate) fn out_of_memory(at: usize) -> Self {
        Self { at, why: Why::OutOfMemory }
    }

    /// The error for people: trace, span, key, offset, what is there and what should be.
    #[cold]
    pub(crate) fn into_error(self, buf: &[u8], place: &Place) -> Error {
        let at = place.describe(buf, self.at);
        let found = buf.get(self.at).map_or("the end of the payload", |b| reader::family(*b));
        match self.why {
            Why::Truncated => Error::new(
                ErrorKind::TruncatedPayload,
                format!("{at}: the payload ends ({} bytes) before its declared content does", buf.len()),
            ),
            Why::OutOfMemory => {
                Error::out_of_memory(&format!("the {} bytes of the payload, {at}", buf.len()))
            }
            Why::Expected(what) => {
                Error::new(ErrorKind::MalformedPayload, format!("{at}: found {found} where {what} belongs"))
            }
            Why::Range(what) => {
                Error::new(ErrorKind::MalformedPayload, format!("{at}: the number is not {what}"))
            }
        }
    }
}

/// Where the scan is: which trace, which span, where that span starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) chunk: Option<u32>,
    pub(crate) span: Option<u32>,
    pub(crate) span_at: usize,
}

impl Place {
    /// `trace 3, span 7, meta["x"], offset 4711`. The key is found by walking the span again.
    #[cold]
    pub(crate) fn describe(&self, buf: &[u8], at: usize) -> String {
        let mut s = String::new();
        if let Some(chunk) = self.chunk {
            s.push_str(&format!("trace {chunk}, "));
        }
        if let Some(span) = self.span {
            s.push_str(&format!("span {span}, "));
            let mut path = String::new();
            key_path(buf, self.span_at, at, 3, &mut path);
            if !path.is_empty() {
                s.push_str(&path);
                s.push_str(", ");
            }
        }
        s.push_str(&format!("offset {at}"));
        s
    }
}

/// Appends the keys that lead from the map at `map_at` to the value that holds `target`.
fn key_path(buf: &[u8], map_at: usize, target: usize, depth: u32, out: &mut String) {
    let Ok((n, mut p)) = reader::map_head(buf, map_at) else { return };
    for _ in 0..n {
        let key = reader::text(buf, p);
        let Ok(value_at) = reader::skip(buf, p) else { return };
        let end = reader::skip(buf, value_at).unwrap_or(usize::MAX);
        if target < end {
            if target >= value_at
                && let Ok((key, _)) = key
            {
                let text: String = String::from_utf8_lossy(key).chars().take(60).collect();
                if out.is_empty() {
                    out.push_str(&text);
                } else {
                    out.push_str(&format!("[{text:?}]"));
                }
                if depth > 1 && target > value_at {
                    key_path(buf, value_at, target, depth - 1, out);
                }
            }
            return;
        }
        p = end;
    }
}

/// What repairs were made since the exporter took the counts last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repairs {
    /// Values rewritten or entries left out.
    pub(crate) count: u64,
    /// Place and reason of the first repair of the payload, for the log line.
    pub(crate) first: Option<String>,
    /// The maps around the scan's place whose heads have changed: where each stands, and the index of its edit.
    pub(crate) heads: Vec<(usize, usize)>,
}

impl Repairs {
    /// Index of the edit of the head of the map at `map_at`, if it has one. A search through the edits instead would
    /// cost the square of their number.
    fn head(&mut self, map_at: usize) -> Option<usize> {
        // The scan works inside out: what stands behind this map's head was inside it and is done.
        while self.heads.last().is_some_and(|(at, _)| *at > map_at) {
            self.heads.pop();
        }
        self.heads.last().filter(|(at, _)| *at == map_at).map(|(_, edit)| *edit)
    }
}

/// Memory of edits that a payload may take: this many bytes for each of its own, and some besides.
const EDITS_PER_BYTE: usize = 3;
const EDITS_FREE: usize = 512 << 10;

/// Makes repairs while the scan runs, if the policy allows them.
pub(crate) struct Fixer<'f> {
    pub(crate) buf: &'f [u8],
    pub(crate) policy: OnMalformed,
    pub(crate) place: Place,
    pub(crate) edits: &'f mut Vec<Edit>,
    pub(crate) side: &'f mut Vec<u8>,
    pub(crate) repairs: &'f mut Repairs,
}

impl Fixer<'_> {
    /// Whether the fault may be repaired; counts it if so.
    #[cold]
    fn allow(&mut self, fault: Fault) -> Result<(), Fault> {
        if self.policy != OnMalformed::Repair || matches!(fault.why, Why::Truncated | Why::OutOfMemory) {
            return Err(fault);
        }
        self.repairs.count += 1;
        if self.repairs.first.is_none() {
            let error = fault.into_error(self.buf, &self.place);
            self.repairs.first = Some(error.message().to_owned());
        }
        Ok(())
    }

    /// Leaves out the entry that starts with the key at `entry_at`, in the map whose head is at `map_at`. Gives the
    /// position behind the entry.
    #[cold]
    pub(crate) fn remove_entry(
        &mut self,
        map_at: usize,
        entry_at: usize,
        fault: Fault,
    ) -> Result<usize, Fault> {
        // The entry's end comes first: what cannot be found cannot be left out, and is no repair.
        let lost =
            |bad| if bad == Bad::Truncated { Fault { at: fault.at, why: Why::Truncated } } else { fault };
        let value_at = reader::skip(self.buf, entry_at).map_err(lost)?;
        let end = reader::skip(self.buf, value_at).map_err(lost)?;
        let (n, first) = reader::map_head(self.buf, map_at).map_err(lost)?;
        self.allow(fault)?;
        let edit = self.repairs.head(map_at).and_then(|i| self.edits.get_mut(i));
        if let Some(Edit { with: With::MapHead(n), .. }) = edit {
            *n -= 1;
        } else {
            if self.repairs.heads.try_reserve(1).is_err() {
                return Err(Fault::out_of_memory(map_at));
            }
            self.repairs.heads.push((map_at, self.edits.len()));
            self.push(Edit { at: map_at as u32, end: first as u32, with: With::MapHead(n - 1) })?;
        }
        // An entry behind one that is left out too needs no edit of its own.
        let (at, end_at) = (entry_at as u32, end as u32);
        if let Some(last) = self.edits.last_mut()
            && last.end == at
            && last.at as usize > map_at
            && matches!(last.with, With::Side { len: 0, .. })
        {
            last.end = end_at;
            return Ok(end);
        }
        self.push(Edit { at, end: end_at, with: With::Side { at: 0, len: 0 } })?;
        Ok(end)
    }

    /// Adds an edit. A bad entry may be two bytes on the wire and its edit is twenty, so there is a limit, which no
    /// payload of a tracer comes near, and the list does not grow by doubling.
    fn push(&mut self, edit: Edit) -> Result<(), Fault> {
        let at = edit.at as usize;
        if self.edits.len() * size_of::<Edit>() > self.buf.len() * EDITS_PER_BYTE + EDITS_FREE {
            return Err(Fault { at, why: Why::Expected("a trace with fewer faults for its size") });
        }
        push_edit(self.edits, edit).map_err(|_| Fault::out_of_memory(at))
    }

    /// What the scan has left so far; [`Fixer::take_back`] returns to it.
    pub(crate) fn mark(&self) -> (usize, usize, u64) {
        (self.edits.len(), self.side.len(), self.repairs.count)
    }

    /// Forgets the repairs since `mark`, of something that is left out as a whole.
    #[cold]
    pub(crate) fn take_back(&mut self, mark: (usize, usize, u64)) {
        self.edits.truncate(mark.0);
        self.side.truncate(mark.1);
        self.repairs.count = mark.2;
        self.repairs.heads.retain(|(_, edit)| *edit < mark.0);
    }

    /// Puts an integer in the place of the value at `at`, which may be an integral float or a boolean. `None` if it is
    /// neither: the caller leaves the entry out.
    #[cold]
    pub(crate) fn integer(
        &mut self,
        at: usize,
        fault: Fault,
        range: std::ops::RangeInclusive<i128>,
    ) -> Result<Option<(i64, usize)>, Fault> {
        let v: i128 = match (self.buf.get(at), reader::number(self.buf, at)) {
            (Some(0xc2), _) => 0,
            (Some(0xc3), _) => 1,
            // Floats up to 2^64 are exact integers here or have a fraction; NaN and infinities fail the test.
            (Some(0xca | 0xcb), Ok((f, _))) if f.fract() == 0.0 => f as i128,
            _ => return Ok(None),
        };
        if !range.contains(&v) {
            return Ok(None);
        }
        self.allow(fault)?;
        let end = reader::skip(self.buf, at).map_err(|b| Fault::new(at, b, "a value"))?;
        let from = self.room_in_side(at)?;
        if let Ok(v) = u64::try_from(v) {
            writer::uint(self.side, v);
        } else {
            writer::int(self.side, v as i64);
        }
        self.replace(at, end, from)?;
        Ok(Some((v as i64, end)))
    }

    /// Puts a 64-bit float in the place of the 32-bit one at `at`.
    #[cold]
    pub(crate) fn widen(&mut self, at: usize, fault: Fault) -> Result<usize, Fault> {
        self.allow(fault)?;
        let (v, end) = reader::number(self.buf, at).map_err(|b| Fault::new(at, b, "a number"))?;
        let from = self.room_in_side(at)?;
        writer::f64(self.side, v);
        self.replace(at, end, from)?;
        Ok(end)
    }

    /// Room for a number in the side buffer; gives where it will stand.
    fn room_in_side(&mut self, at: usize) -> Result<usize, Fault> {
        self.side.try_reserve(16).map_err(|_| Fault::out_of_memory(at))?;
        Ok(self.side.len())
    }

    fn replace(&mut self, at: usize, end: usize, side_from: usize) -> Result<(), Fault> {
        let with = With::Side { at: side_from as u32, len: (self.side.len() - side_from) as u32 };
        self.push(Edit { at: at as u32, end: end as u32, with })
    }
}
