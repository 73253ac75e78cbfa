//! The mark by which a loader knows the library before it maps it: a note (ELF) or a section of its own (PE, Mach-O)
//! that holds `data_pipeline_version:` and the version. `LibraryFile.java` reads it.

use std::ptr::addr_of;

const TEXT: &[u8] = concat!("data_pipeline_version:", env!("CARGO_PKG_VERSION")).as_bytes();
/// The text and a NUL, filled up to a whole number of words.
const SIZE: usize = (TEXT.len() / 4 + 1) * 4;

/// The form of an ELF note; elsewhere its words before the text are of no matter.
#[repr(C)]
struct Mark {
    name_size: u32,
    text_size: u32,
    kind: u32,
    name: [u8; 16],
    text: [u8; SIZE],
}

#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__TEXT,__dp_version"))]
#[cfg_attr(windows, unsafe(link_section = ".dpver"))]
#[cfg_attr(not(any(windows, target_vendor = "apple")), unsafe(link_section = ".note.data-pipeline"))]
#[used]
static MARK: Mark =
    Mark { name_size: 14, text_size: SIZE as u32, kind: 1, name: *b"data-pipeline\0\0\0", text: padded() };

const fn padded() -> [u8; SIZE] {
    let mut out = [0; SIZE];
    let mut i = 0;
    while i < TEXT.len() {
        out[i] = TEXT[i];
        i += 1;
    }
    out
}

/// The library's version, as the mark has it: reading it keeps the linker from leaving it out.
pub(super) fn of_library() -> String {
    // SAFETY: the address is that of a static; a volatile read only keeps the compiler from knowing the value.
    let text = unsafe { addr_of!(MARK.text).read_volatile() };
    let text = text.split(|b| *b == 0).next().unwrap_or(&[]);
    let version = text.split(|b| *b == b':').nth(1).unwrap_or(&[]);
    String::from_utf8_lossy(version).into_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_mark_holds_the_version() {
        assert_eq!(super::of_library(), env!("CARGO_PKG_VERSION"));
    }
}
