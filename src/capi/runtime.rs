//! Runtimes: what exporters are forked and shut down by (`shared-runtime.h`). This library needs none to run; the
//! threads that it has are each exporter's own.

use super::common::{is_place, write};
use super::error::{Code, Fault, c_text, free_text, guard};
use super::exporter::Held;
use super::handles::{self, as_pointer};
use super::{fork, log};
use crate::settings::MAX_DURATION;
use parking_lot::Mutex;
use std::ffi::c_char;
use std::ptr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// What kind of error it is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)] // C has the names
pub enum SharedRuntimeErrorCode {
    /// A handle names nothing, or a pointer is null.
    InvalidArgument,
    /// The runtime was shut down.
    RuntimeUnavailable,
    /// A lock cannot be taken.
    LockFailed,
    /// An exporter could not be stopped or started again.
    WorkerError,
    /// The runtime cannot be made.
    RuntimeCreation,
    /// Not everything was sent before the time was over; the rest is dropped, and counted.
    ShutdownTimedOut,
    /// A panic inside the library, caught at its border.
    Panic,
}

/// Why a function failed. Null means success. Freed by `ddog_shared_runtime_error_free`, once.
#[repr(C)]
#[derive(Debug)]
pub struct SharedRuntimeFFIError {
    /// What kind of error it is.
    pub code: SharedRuntimeErrorCode,
    /// A sentence for a person; ends with a zero.
    pub msg: *mut c_char,
}

/// What exporters have in common.
#[derive(Debug)]
pub struct ForkSafeRuntime {
    _opaque: (),
}

/// What a handle of a runtime names.
#[derive(Debug, Default)]
pub(super) struct Runtime {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    exporters: Vec<Weak<Held>>,
    shut: bool,
}

impl Runtime {
    /// An exporter belongs to it from now on.
    pub(super) fn attach(&self, held: &Arc<Held>) -> Result<(), Fault> {
        let mut state = self.state.lock();
        if state.shut {
            return Err(Fault::new(Code::Shutdown, "the runtime was shut down"));
        }
        state.exporters.retain(|known| known.strong_count() > 0);
        state.exporters.push(Arc::downgrade(held));
        Ok(())
    }

    /// In the child of a fork: its exporters will be other ones.
    pub(super) fn forget(&self) {
        self.state.lock().exporters.clear();
    }

    /// Closes its exporters within the limit; whether all was sent.
    fn shut_down(&self, limit: Duration) -> bool {
        let exporters = {
            let mut state = self.state.lock();
            state.shut = true;
            std::mem::take(&mut state.exporters)
        };
        let end = Instant::now() + limit;
        let mut complete = true;
        for held in exporters.iter().filter_map(Weak::upgrade) {
            let left = end.saturating_duration_since(Instant::now());
            complete &= held.exporter.close_within(left).complete;
            log::deliver(&held.exporter);
        }
        complete
    }
}

fn enter(
    body: impl FnOnce() -> Result<Result<(), (SharedRuntimeErrorCode, String)>, Fault>,
) -> *mut SharedRuntimeFFIError {
    let (code, text) = match guard(body) {
        Ok(Ok(())) => return ptr::null_mut(),
        Ok(Err(error)) => error,
        Err(fault) => {
            let code = match fault.code {
                Code::Panic => SharedRuntimeErrorCode::Panic,
                Code::InvalidArgument => SharedRuntimeErrorCode::InvalidArgument,
                Code::Shutdown => SharedRuntimeErrorCode::RuntimeUnavailable,
                _ => SharedRuntimeErrorCode::WorkerError,
            };
            (code, fault.text.into_owned())
        }
    };
    Box::into_raw(Box::new(SharedRuntimeFFIError { code, msg: c_text(&text) }))
}

fn find(handle: *const ForkSafeRuntime) -> Result<Arc<Runtime>, Fault> {
    let runtime = handles::RUNTIMES.with(handle.addr(), |runtime| runtime.clone()).flatten();
    runtime.ok_or_else(|| Fault::stale("runtime"))
}

/// Frees an error, once: it is a plain struct, and nothing can tell that it was freed before. Null is nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_shared_runtime_error_free(error: *mut SharedRuntimeFFIError) {
    if error.is_null() {
        return;
    }
    // SAFETY: the headers say that only errors of this library come here, and each once; `enter` made it from a box and
    // its text by `c_text`.
    unsafe {
        let error = Box::from_raw(error);
        free_text(error.msg);
    }
}

/// Makes a runtime; `out_handle` becomes the caller's.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_shared_runtime_new(
    out_handle: *mut *const ForkSafeRuntime,
) -> *mut SharedRuntimeFFIError {
    enter(|| {
        if !is_place(out_handle) {
            return write(out_handle, ptr::null()).map(Ok);
        }
        let handle = handles::open(&handles::RUNTIMES, |runtime| {
            *runtime = Some(Arc::default());
            Ok(())
        })?;
        write(out_handle, as_pointer::<ForkSafeRuntime>(handle).cast_const()).map(Ok)
    })
}

/// Frees a runtime; its exporters go on. Null is nothing; a second time is nothing, and counted.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_shared_runtime_free(handle: *const ForkSafeRuntime) {
    handles::RUNTIMES.free(handle.addr(), |runtime| *runtime = None);
}

/// Call it before `fork`. Waits for calls that run, up to two seconds, and parks the threads of every exporter of the
/// process; what waits in queues stays there. Calls of other threads wait until one of the functions after the fork.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_shared_runtime_before_fork(
    handle: *const ForkSafeRuntime,
) -> *mut SharedRuntimeFFIError {
    enter(|| {
        find(handle)?;
        fork::before();
        Ok(Ok(()))
    })
}

/// Call it after `fork` in the parent: everything goes on.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_shared_runtime_after_fork_parent(
    handle: *const ForkSafeRuntime,
) -> *mut SharedRuntimeFFIError {
    enter(|| {
        find(handle)?;
        Ok(fork::after_in_parent().map_err(|why| (SharedRuntimeErrorCode::WorkerError, why)))
    })
}

/// Call it after `fork` in the child: every exporter begins anew, with an empty queue, connections, an account and (if
/// the caller has not set one) a runtime id of its own. Handles stay what they are. What waits in the parent is the
/// parent's, and so is a spool. A second time is nothing; in a process that has not forked everything goes on, and it
/// is an error if a fork was announced.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_shared_runtime_after_fork_child(
    handle: *const ForkSafeRuntime,
) -> *mut SharedRuntimeFFIError {
    enter(|| {
        find(handle)?;
        Ok(fork::after_in_child().map_err(|why| (SharedRuntimeErrorCode::WorkerError, why)))
    })
}

/// Closes the exporters that belong to the runtime, within so many milliseconds; 0 is no limit but ten minutes.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_shared_runtime_shutdown(
    handle: *const ForkSafeRuntime,
    timeout_ms: u64,
) -> *mut SharedRuntimeFFIError {
    enter(|| {
        let _inside = fork::enter();
        let runtime = find(handle)?;
        let limit = if timeout_ms == 0 { MAX_DURATION } else { Duration::from_millis(timeout_ms) };
        if runtime.shut_down(limit.min(MAX_DURATION)) {
            return Ok(Ok(()));
        }
        let text = "not everything was sent in time; the rest is dropped, and counted";
        Ok(Err((SharedRuntimeErrorCode::ShutdownTimedOut, text.to_owned())))
    })
}
