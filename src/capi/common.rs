//! What all headers share: slices, and the error of the functions for logging (`common.h`).
//!
//! A slice comes from C by value. What it promises is in the header: its bytes can be read until the call returns.

use super::error::{Code, Fault};
use std::ffi::c_char;
use std::ptr;

/// A view of `len` values at `ptr`; the memory is the caller's. `ptr` may be null if `len` is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Slice<T> {
    /// The first value.
    pub ptr: *const T,
    /// How many there are.
    pub len: usize,
}

/// Text in UTF-8, without a zero at its end.
pub type CharSlice = Slice<c_char>;
/// Bytes.
pub type ByteSlice = Slice<u8>;

impl<T> Slice<T> {
    /// The values, as long as the call lasts.
    #[inline]
    pub(super) fn values(&self) -> Result<&[T], Fault> {
        if self.len == 0 {
            return Ok(&[]);
        }
        if self.ptr.is_null() {
            return Err(Fault::new(Code::InvalidArgument, "a slice is null and has a length"));
        }
        if self.len > isize::MAX as usize / size_of::<T>().max(1) {
            return Err(Fault::new(Code::InvalidArgument, "a slice is longer than memory can be"));
        }
        if !self.ptr.is_aligned() {
            return Err(Fault::new(Code::InvalidArgument, "a slice is not aligned for its values"));
        }
        // SAFETY: not null, aligned and not longer than an allocation can be (checked above). The headers say that the
        // caller leaves `len` values there, readable and unchanged, until the call returns; the borrow ends with the
        // argument.
        Ok(unsafe { std::slice::from_raw_parts(self.ptr, self.len) })
    }

    /// A view of what this library keeps.
    pub(super) fn of(values: &[T]) -> Self {
        Self { ptr: if values.is_empty() { ptr::null() } else { values.as_ptr() }, len: values.len() }
    }
}

impl CharSlice {
    /// The text.
    pub(super) fn text(&self) -> Result<&str, Fault> {
        let bytes = self.bytes()?;
        if is_ascii(bytes) {
            // SAFETY: bytes below 128 are characters.
            return Ok(unsafe { std::str::from_utf8_unchecked(bytes) });
        }
        std::str::from_utf8(bytes).map_err(|why| {
            let text = format!("a text is not UTF-8 at byte {}", why.valid_up_to());
            Fault::new(Code::InvalidInput, text)
        })
    }

    /// Its bytes, whether they are text or not.
    #[inline]
    pub(super) fn bytes(&self) -> Result<&[u8], Fault> {
        let chars = self.values()?;
        // SAFETY: c_char and u8 have the same size, alignment and valid values.
        Ok(unsafe { std::slice::from_raw_parts(chars.as_ptr().cast(), chars.len()) })
    }

    /// A view of text that this library keeps.
    pub(super) fn of_text(text: &str) -> Self {
        Self::of_bytes(text.as_bytes())
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        let bytes = Slice::of(bytes);
        Self { ptr: bytes.ptr.cast(), len: bytes.len }
    }
}

/// Most texts are. Eight bytes are looked at together, and the last eight once more; the standard library's check takes
/// five times as long for texts as short as tags.
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut all = match (bytes.last_chunk::<8>(), bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(last), ..) => u64::from_ne_bytes(*last),
        (None, Some(first), Some(last)) => u64::from(u32::from_ne_bytes(*first) | u32::from_ne_bytes(*last)),
        _ => return bytes.iter().all(u8::is_ascii),
    };
    for eight in bytes.as_chunks::<8>().0 {
        all |= u64::from_ne_bytes(*eight);
    }
    all & HIGH == 0
}

/// The value behind a pointer of the caller's; none if it is null.
pub(super) fn behind<'a, T>(pointer: *const T) -> Option<&'a T> {
    if !pointer.is_aligned() {
        return None;
    }
    // SAFETY: null gives none. The headers say that what a caller points to is a whole value, unchanged until the call
    // returns; nothing keeps the borrow longer.
    unsafe { pointer.as_ref() }
}

/// Whether a result can be written.
pub(super) fn is_place<T>(out: *mut T) -> bool {
    !out.is_null() && out.is_aligned()
}

/// Writes a result to where the caller wants it.
pub(super) fn write<T>(out: *mut T, value: T) -> Result<(), Fault> {
    if !is_place(out) {
        return Err(Fault::new(
            Code::InvalidArgument,
            "there is no place for the result: the pointer is null",
        ));
    }
    // SAFETY: not null and aligned; the headers say that it points to room for one value that nobody else uses during
    // the call. What was there is not a value of ours, so it is not dropped.
    unsafe { out.write(value) };
    Ok(())
}

/// As [`write`], for results that the caller may not want.
pub(super) fn write_if_wanted<T>(out: *mut T, value: T) -> bool {
    is_place(out) && write(out, value).is_ok()
}

/// Bytes that this library owns.
#[repr(C)]
#[derive(Debug)]
pub struct Vec<T> {
    ptr: *const T,
    len: usize,
    capacity: usize,
}

/// Why a function failed. Opaque: `ddog_Error_message` reads it, `ddog_Error_drop` frees it.
#[repr(C)]
#[derive(Debug)]
pub struct Error {
    message: Vec<u8>,
}

impl Error {
    /// An error that the caller owns.
    pub(super) fn owned(text: &str) -> *mut Self {
        let bytes: Box<[u8]> = text.as_bytes().into();
        let (len, ptr) = (bytes.len(), Box::into_raw(bytes).cast::<u8>());
        Box::into_raw(Box::new(Self { message: Vec { ptr, len, capacity: len } }))
    }
}

/// The text of an error. It lives as long as the error. An empty text for null.
#[unsafe(no_mangle)]
#[allow(non_snake_case)] // the reference's name
pub extern "C" fn ddog_Error_message(error: *const Error) -> CharSlice {
    match behind(error) {
        Some(Error { message }) => CharSlice { ptr: message.ptr.cast(), len: message.len },
        None => CharSlice { ptr: ptr::null(), len: 0 },
    }
}

/// Frees an error, once. Null is nothing.
#[unsafe(no_mangle)]
#[allow(non_snake_case)] // the reference's name
pub extern "C" fn ddog_Error_drop(error: *mut Error) {
    if error.is_null() {
        return;
    }
    // SAFETY: the headers say that only errors of this library come here, and each once; `owned` made it from two
    // boxes, the text's with exactly `len` bytes.
    unsafe {
        let error = Box::from_raw(error);
        let text = ptr::slice_from_raw_parts_mut(error.message.ptr.cast_mut(), error.message.len);
        drop(Box::from_raw(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_ascii_wherever_its_one_other_byte_stands() {
        for len in 0..40 {
            let mut bytes = vec![b'a'; len];
            assert!(is_ascii(&bytes), "{len}");
            for at in 0..len {
                bytes[at] = 0x80;
                assert!(!is_ascii(&bytes), "{len} {at}");
                assert_eq!(CharSlice::of_bytes(&bytes).text().unwrap_err().code, Code::InvalidInput);
                bytes[at] = b'a';
            }
        }
        assert_eq!(CharSlice::of_text("gr\u{fc}n").text().unwrap(), "gr\u{fc}n");
    }
}
