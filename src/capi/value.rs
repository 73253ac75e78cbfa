//! Structured values: a list of tokens, each before its children, becomes msgpack.

use super::common::{ByteSlice, Slice, is_place, write};
use super::entries::{recycle, room};
use super::error::{Code, Fault, TraceExporterError, enter};
use super::handles::{self, as_pointer};
use crate::msgpack::writer;
use std::ptr;

/// What a token is.
#[repr(u8)]
#[derive(Clone, Copy, Debug)]
#[allow(dead_code)] // C has the names
pub enum TracerValueKind {
    /// Nothing.
    Nil,
    /// `bool_value`, 0 or 1.
    Bool,
    /// `i64_value`.
    I64,
    /// `u64_value`.
    U64,
    /// `f64_value`.
    F64,
    /// `bytes`, in UTF-8.
    String,
    /// `bytes`.
    Binary,
    /// A list of `child_count` values, which follow.
    Array,
    /// A map of `child_count` entries, which follow: key, value, key, value.
    Map,
}

/// A value, or the head of a list or map.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TracerValueToken {
    /// A `ddog_TracerValueKind`.
    pub kind: u8,
    /// For BOOL.
    pub bool_value: u8,
    /// For ARRAY and MAP.
    pub child_count: u32,
    /// For I64.
    pub i64_value: i64,
    /// For U64.
    pub u64_value: u64,
    /// For F64.
    pub f64_value: f64,
    /// For STRING and BINARY.
    pub bytes: ByteSlice,
}

/// A structured value as msgpack.
#[derive(Debug)]
pub struct TracerEncodedValue {
    _opaque: (),
}

/// Values stand in each other up to this depth.
const DEEPEST: usize = 64;

/// Writes the value that the tokens describe to the end of `out`.
pub(super) fn encode(tokens: &[TracerValueToken], out: &mut Vec<u8>) -> Result<(), Fault> {
    let wrong = |text: &'static str| Err(Fault::new(Code::InvalidInput, text));
    // How many values each open list or map still lacks.
    let mut open = [0_u64; DEEPEST];
    let mut depth = 0_usize;
    for (i, token) in tokens.iter().enumerate() {
        if i > 0 && depth == 0 {
            return wrong("there are tokens after the value");
        }
        // The largest head has nine bytes.
        room(out, 9)?;
        let mut children = 0;
        match token.kind {
            0 => out.push(0xc0),
            1 if token.bool_value <= 1 => writer::bool(out, token.bool_value == 1),
            1 => return wrong("a boolean is neither 0 nor 1"),
            2 => writer::int(out, token.i64_value),
            3 => writer::uint(out, token.u64_value),
            4 => writer::f64(out, token.f64_value),
            kind @ (5 | 6) => {
                let bytes = token.bytes.values()?;
                if u32::try_from(bytes.len()).is_err() {
                    return wrong("a text or binary is longer than msgpack can say");
                }
                room(out, bytes.len().saturating_add(9))?;
                if kind == 6 {
                    writer::bin(out, bytes);
                } else if std::str::from_utf8(bytes).is_ok() {
                    writer::str(out, bytes);
                } else {
                    return wrong("a text is not UTF-8");
                }
            }
            7 => {
                writer::array_head(out, token.child_count);
                children = u64::from(token.child_count);
            }
            8 => {
                writer::map_head(out, token.child_count);
                children = 2 * u64::from(token.child_count);
            }
            _ => return wrong("a token has no kind"),
        }
        if let Some(left) = depth.checked_sub(1).and_then(|last| open.get_mut(last)) {
            *left -= 1;
        }
        if children > 0 {
            let Some(place) = open.get_mut(depth) else { return wrong("values stand deeper than 64") };
            *place = children;
            depth += 1;
        }
        while depth > 0 && open.get(depth - 1) == Some(&0) {
            depth -= 1;
        }
    }
    if tokens.is_empty() {
        return wrong("there is no token");
    }
    if depth > 0 {
        return wrong("tokens are missing: a list or map says that it has more");
    }
    Ok(())
}

/// Makes msgpack of tokens; `out_handle` becomes the caller's.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_encode_value(
    tokens: Slice<TracerValueToken>,
    out_handle: *mut *mut TracerEncodedValue,
) -> *mut TraceExporterError {
    enter(|| {
        if !is_place(out_handle) {
            return write(out_handle, ptr::null_mut());
        }
        let tokens = tokens.values()?;
        let handle = handles::open(&handles::VALUES, |bytes| {
            recycle(bytes);
            encode(tokens, bytes)
        })?;
        write(out_handle, as_pointer(handle))
    })
}

/// The bytes of a value. They live as long as the value. An empty slice if it is null or was freed.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_encoded_value_as_slice(value: *const TracerEncodedValue) -> ByteSlice {
    handles::VALUES.with(value.addr(), |bytes| Slice::of(bytes)).unwrap_or(Slice::of(&[]))
}

/// Frees a value. Null is nothing; a second time is nothing, and counted.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_tracer_encoded_value_free(value: *mut TracerEncodedValue) {
    handles::VALUES.free(value.addr(), recycle);
}
