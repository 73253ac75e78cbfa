//! Texts that this library hands out, and what is done with payloads without an exporter (`data-pipeline.h`).

use super::common::{ByteSlice, CharSlice, Slice, write};
use super::error::Fault;
use super::fork;
use super::handles::{self, as_pointer};
use super::pipeline::{Failure, enter};
use crate::face::requests;

/// A text or bytes that this library made.
#[derive(Debug)]
pub struct Text {
    _opaque: (),
}

pub(super) fn hand_over_text(bytes: Vec<u8>, out: *mut *mut Text) -> Result<(), Fault> {
    let handle = handles::open(&handles::TEXTS, |place| {
        *place = bytes;
        Ok(())
    })?;
    write(out, as_pointer(handle))
}

/// The bytes of a text. They live as long as it does. Empty if it is null or was freed.
#[unsafe(no_mangle)]
pub extern "C" fn dp_text_get(text: *const Text) -> CharSlice {
    let bytes = handles::TEXTS.with(text.addr(), |bytes| Slice::of(bytes)).unwrap_or(Slice::of(&[]));
    CharSlice { ptr: bytes.ptr.cast(), len: bytes.len }
}

/// Frees a text. Null is nothing; a second time is nothing, and counted.
#[unsafe(no_mangle)]
pub extern "C" fn dp_text_free(text: *mut Text) {
    handles::TEXTS.free(text.addr(), |bytes| *bytes = Vec::new());
}

/// A payload in another format. `request` has the words `from=`, `to=` (`v0.4`, `v0.5`, `v1`), `top-level`, `drop-p0`,
/// `filter=RULE`, with a space between. The answer is one line of JSON, what became of it, and then the body.
#[unsafe(no_mangle)]
pub extern "C" fn dp_convert(
    payload: ByteSlice,
    request: CharSlice,
    answer_out: *mut *mut Text,
) -> *mut Failure {
    enter(|| {
        let _inside = fork::enter();
        let request = request.text()?.split_ascii_whitespace().collect::<Vec<_>>().join("\0");
        let answer = requests::conversion(request.as_bytes(), payload.values()?)?;
        hand_over_text(answer, answer_out)
    })
}

/// A payload as lines of JSON, a span a line.
#[unsafe(no_mangle)]
pub extern "C" fn dp_json_lines(payload: ByteSlice, answer_out: *mut *mut Text) -> *mut Failure {
    enter(|| {
        let _inside = fork::enter();
        hand_over_text(requests::lines(payload.values()?)?.into_bytes(), answer_out)
    })
}

/// A text without its literals, as it would leave the process. `kind` is a span's type (`sql`, `redis`, …), `dbms` its
/// dialect, `mode` how SQL is obfuscated; the last two may be empty.
#[unsafe(no_mangle)]
pub extern "C" fn dp_obfuscate(
    text: ByteSlice,
    kind: CharSlice,
    dbms: CharSlice,
    mode: CharSlice,
    answer_out: *mut *mut Text,
) -> *mut Failure {
    enter(|| {
        let _inside = fork::enter();
        let request = [kind.text()?, dbms.text()?, mode.text()?, ""].join("\0");
        hand_over_text(requests::obfuscation(request.as_bytes(), text.values()?)?, answer_out)
    })
}
