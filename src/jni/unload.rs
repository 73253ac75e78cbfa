//! A class loader that is collected takes its copy of the library along; an application that is deployed again and
//! again must not leave one behind each time.
//!
//! Threads of ours may still be in the code then, so they are waited for; if one does not end, the copy stays
//! ([`stay`]). Threads of the host may have values in thread-local storage whose destructors are ours. The library as
//! we ship it forgets those (`native/linux/shim.c`). One that was built without the shim is kept mapped by glibc, which
//! since 2.18 counts them (`__cxa_thread_atexit_impl`), until the last such thread is gone; where nobody counts, it
//! stays. musl never unmaps and macOS does not unmap what has thread-local storage. On Windows it stays.
//!
//! A copy that stays gives its pages back ([`give_back`]).

use crate::face::exporters;
use crate::threads;
use jni::sys::JavaVM;
use std::ffi::c_void;
use std::time::Duration;

/// How long threads may take to end. The JVM's thread that takes libraries away waits so long.
const LIMIT: Duration = Duration::from_millis(500);

/// Called by the JVM before it unmaps the library: exporters that nobody has closed end now, and with them their
/// threads.
#[unsafe(no_mangle)]
#[allow(non_snake_case)] // the JVM's name
pub extern "system" fn JNI_OnUnload(_vm: *mut JavaVM, _reserved: *mut c_void) {
    let ended = std::panic::catch_unwind(|| {
        exporters::close_all();
        threads::end_all(LIMIT)
    });
    if !ended.unwrap_or(false) {
        stay();
    }
    give_back();
}

/// Tells the system that code and constants of this library need not stay in memory. Whoever still comes by finds them
/// again: the system reads them from the file, which a mapping keeps even when its name is deleted.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn give_back() {
    use std::ffi::c_int;

    /// `dl_phdr_info`, as far as it is read here.
    #[repr(C)]
    struct Object {
        base: usize,
        name: *const std::ffi::c_char,
        segments: *const Segment,
        count: u16,
    }
    /// `Elf64_Phdr`.
    #[repr(C)]
    struct Segment {
        kind: u32,
        flags: u32,
        offset: u64,
        address: usize,
        physical: u64,
        file_size: u64,
        size: usize,
        align: u64,
    }
    unsafe extern "C" {
        fn dl_iterate_phdr(
            each: unsafe extern "C" fn(*const Object, usize, *mut c_void) -> c_int,
            data: *mut c_void,
        ) -> c_int;
        fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    }
    const LOAD: u32 = 1;
    const WRITABLE: u32 = 2;
    const DO_NOT_NEED: c_int = 4;
    /// The largest page that Linux has on this processor: what is not a whole one stays.
    const PAGE: usize = if cfg!(target_arch = "x86_64") { 4 << 10 } else { 64 << 10 };

    unsafe extern "C" fn each(object: *const Object, _size: usize, _data: *mut c_void) -> c_int {
        let here = JNI_OnUnload as *const c_void as usize;
        // SAFETY: the linker hands over a valid description, whose segments are `count` in a row.
        let (base, segments) = unsafe {
            ((*object).base, std::slice::from_raw_parts((*object).segments, usize::from((*object).count)))
        };
        let loaded = || segments.iter().filter(|segment| segment.kind == LOAD);
        let begin = |segment: &Segment| base.wrapping_add(segment.address);
        if !loaded().any(|segment| (begin(segment)..begin(segment) + segment.size).contains(&here)) {
            return 0;
        }
        for segment in loaded().filter(|segment| segment.flags & WRITABLE == 0) {
            let (from, to) =
                (begin(segment).next_multiple_of(PAGE), (begin(segment) + segment.size) / PAGE * PAGE);
            if from < to {
                // SAFETY: whole pages of a private mapping of a file that nothing can write to: the next access reads
                // the same bytes again.
                unsafe { madvise(from as *mut c_void, to - from, DO_NOT_NEED) };
            }
        }
        1
    }
    // SAFETY: `each` has the signature that is asked for, and needs no data.
    unsafe { dl_iterate_phdr(each, std::ptr::null_mut()) };
}

/// Where nothing stays mapped there is nothing to give back.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back() {}

/// Keeps the library mapped for ever where nobody counts who is still in it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) fn stay_if_unsafe() {
    use std::ffi::c_char;

    unsafe extern "C" {
        fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    }
    // SAFETY: the function is that of dlfcn.h, and the name ends with NUL.
    if unsafe { dlsym(std::ptr::null_mut(), c"__cxa_thread_atexit_impl".as_ptr()).is_null() } {
        stay();
    }
}

/// Keeps the library mapped for ever.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn stay() {
    use std::ffi::{c_char, c_int};

    #[repr(C)]
    struct Place {
        file: *const c_char,
        base: *mut c_void,
        symbol: *const c_char,
        address: *mut c_void,
    }
    unsafe extern "C" {
        fn dladdr(address: *const c_void, place: *mut Place) -> c_int;
        fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void;
    }
    const LAZY: c_int = 1;
    const NO_LOAD: c_int = 4;
    const NO_DELETE: c_int = 0x1000;

    let mut place = Place {
        file: std::ptr::null(),
        base: std::ptr::null_mut(),
        symbol: std::ptr::null(),
        address: std::ptr::null_mut(),
    };
    // SAFETY: the functions are those of dlfcn.h, and the address is one of this library, so that `file` is its name
    // for as long as it is loaded, which it is while this runs.
    unsafe {
        if dladdr(JNI_OnUnload as *const c_void, &raw mut place) != 0 && !place.file.is_null() {
            dlopen(place.file, LAZY | NO_LOAD | NO_DELETE);
        }
    }
}

/// Windows unmaps a library under threads that are in it.
#[cfg(windows)]
pub(super) fn stay_if_unsafe() {
    stay();
}

/// Keeps the library mapped for ever.
#[cfg(windows)]
fn stay() {
    unsafe extern "system" {
        fn GetModuleHandleExW(flags: u32, address: *const c_void, module: *mut *mut c_void) -> i32;
    }
    const PIN: u32 = 1;
    const FROM_ADDRESS: u32 = 4;

    let mut module = std::ptr::null_mut();
    // SAFETY: the function is the one of kernel32, and with FROM_ADDRESS it takes an address of the module, as this is.
    unsafe { GetModuleHandleExW(PIN | FROM_ADDRESS, JNI_OnUnload as *const c_void, &raw mut module) };
}

/// Nothing is unmapped here that is still used.
#[cfg(not(any(all(target_os = "linux", target_env = "gnu"), windows)))]
pub(super) fn stay_if_unsafe() {}

/// Nor here.
#[cfg(not(any(all(target_os = "linux", target_env = "gnu"), windows)))]
fn stay() {}
