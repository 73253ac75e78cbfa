//! Errors of the exporter's functions, and the border where panics are caught.

use crate::error::{Error, ErrorKind};
use crate::face::panic;
use std::borrow::Cow;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// What kind of error it is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)] // C has the names
pub enum TraceExporterErrorCode {
    /// The address is in use.
    AddressInUse,
    /// The connection was ended.
    ConnectionAborted,
    /// Nobody listens at the agent's address.
    ConnectionRefused,
    /// The agent closed the connection before it had answered.
    ConnectionReset,
    /// The body of the answer cannot be read.
    HttpBodyFormat,
    /// The payload, or a trace of it, is larger than the agent takes.
    HttpBodyTooLong,
    /// The agent answered 400 to 499.
    HttpClient,
    /// The answer has no body.
    HttpEmptyBody,
    /// The answer is not HTTP.
    HttpParse,
    /// The agent answered 500 or more.
    HttpServer,
    /// The agent answered another status.
    HttpUnknown,
    /// The status has no meaning here.
    HttpWrongStatus,
    /// A handle names nothing, a pointer is null, a length is impossible, or settings cannot be used.
    InvalidArgument,
    /// Data cannot be used.
    InvalidData,
    /// A text is not UTF-8, or a structured value is none.
    InvalidInput,
    /// The agent's URL cannot be used.
    InvalidUrl,
    /// Any other input or output error; also what a cancelled send gives.
    IoError,
    /// Any other error of the network.
    NetworkUnknown,
    /// The payload cannot be read.
    Serde,
    /// The exporter is closed.
    Shutdown,
    /// A time limit passed.
    TimedOut,
    /// Telemetry failed.
    Telemetry,
    /// A defect of this library, or no memory.
    Internal,
    /// A panic inside the library, caught at its border.
    Panic,
}

pub(super) use TraceExporterErrorCode as Code;

/// Why a function failed. Null means success. Freed by `ddog_trace_exporter_error_free`, once.
#[repr(C)]
#[derive(Debug)]
pub struct TraceExporterError {
    /// What kind of error it is.
    pub code: TraceExporterErrorCode,
    /// A sentence for a person; ends with a zero.
    pub msg: *mut c_char,
}

/// Frees an error, once: it is a plain struct, and nothing can tell that it was freed before. Null is nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ddog_trace_exporter_error_free(error: *mut TraceExporterError) {
    if error.is_null() {
        return;
    }
    // SAFETY: the headers say that only errors of this library come here, and each once; `owned` made it from a box
    // and its text from a CString.
    unsafe {
        let error = Box::from_raw(error);
        free_text(error.msg);
    }
}

/// What goes wrong in a function.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) text: Cow<'static, str>,
    /// Ours, if it was one.
    pub(super) error: Option<Box<Error>>,
}

impl Fault {
    #[cold]
    pub(super) fn new(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, text: text.into(), error: None }
    }

    /// A handle names nothing.
    #[cold]
    pub(super) fn stale(what: &'static str) -> Self {
        Self::new(Code::InvalidArgument, format!("the {what} is null, was freed, or is none"))
    }

    /// There is no memory.
    #[cold]
    pub(super) fn no_memory() -> Self {
        Self::from(Error::out_of_memory("what was handed over"))
    }
}

impl From<Error> for Fault {
    #[cold]
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::InvalidArgument | ErrorKind::InvalidConfiguration => Code::InvalidArgument,
            ErrorKind::InvalidUrl => Code::InvalidUrl,
            ErrorKind::MalformedPayload | ErrorKind::TruncatedPayload => Code::Serde,
            ErrorKind::PayloadTooLarge => Code::HttpBodyTooLong,
            ErrorKind::ConnectionRefused => Code::ConnectionRefused,
            ErrorKind::NameNotResolved | ErrorKind::Unreachable => Code::NetworkUnknown,
            ErrorKind::ConnectionReset => Code::ConnectionReset,
            ErrorKind::TimedOut => Code::TimedOut,
            ErrorKind::InvalidResponse => Code::HttpParse,
            ErrorKind::HttpStatus => match error.status() {
                Some(400..=499) => Code::HttpClient,
                Some(500..) => Code::HttpServer,
                _ => Code::HttpUnknown,
            },
            ErrorKind::Closed => Code::Shutdown,
            ErrorKind::Panic => Code::Panic,
            ErrorKind::SocketMissing
            | ErrorKind::SocketDenied
            | ErrorKind::SocketWrongType
            | ErrorKind::AgentDown
            | ErrorKind::Io => Code::IoError,
            _ => Code::Internal,
        };
        Self { code, text: error.to_string().into(), error: Some(Box::new(error)) }
    }
}

/// Runs the body of a function: what it gives, or why it gave nothing. Panics end here.
#[inline]
pub(super) fn guard<R>(body: impl FnOnce() -> Result<R, Fault>) -> Result<R, Fault> {
    panic::be_silent();
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(payload) => Err(Error::new(ErrorKind::Panic, panic::message(&*payload)).into()),
    }
}

/// As [`guard`], for functions that give an error or nothing.
#[inline]
pub(super) fn enter(body: impl FnOnce() -> Result<(), Fault>) -> *mut TraceExporterError {
    match guard(body) {
        Ok(()) => ptr::null_mut(),
        Err(fault) => owned(&fault),
    }
}

#[cold]
fn owned(fault: &Fault) -> *mut TraceExporterError {
    Box::into_raw(Box::new(TraceExporterError { code: fault.code, msg: c_text(&fault.text) }))
}

/// A text with a zero at its end, which the caller owns. A zero inside becomes a space.
pub(super) fn c_text(text: &str) -> *mut c_char {
    CString::new(text.replace('\0', " ")).unwrap_or_default().into_raw()
}

/// Frees what [`c_text`] made.
///
/// # Safety
/// `text` is null or comes from [`c_text`], and was not freed before.
pub(super) unsafe fn free_text(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: as this function asks for.
        drop(unsafe { CString::from_raw(text) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn a_panic_becomes_an_error_with_its_text() {
        for what in ["it broke", "with a zero \0 inside"] {
            let error = enter(|| panic!("{what}"));
            // SAFETY: `enter` has made it just now, and it is freed below.
            let (code, text) = unsafe { ((*error).code, CStr::from_ptr((*error).msg)) };
            assert_eq!(code, Code::Panic);
            assert!(text.to_str().unwrap().contains(&what.replace('\0', " ")), "{text:?}");
            ddog_trace_exporter_error_free(error);
        }
        assert!(enter(|| Ok(())).is_null());
    }
}
