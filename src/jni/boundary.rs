//! The only place where panics are caught, errors become exceptions and a pending exception is kept.

use super::frame::{Env, JClass};
use super::java::{self, Argument, Exception};
use crate::error::{Error, ErrorKind};
use crate::face::panic;
use jni::jni_str;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a native does not return its value.
pub(super) enum Failure {
    /// An error of ours.
    Ours(Error),
    /// The handle names nothing: the exporter is closed.
    Stale,
    /// An argument that must not be null is.
    Null(&'static str),
    /// An exception of the JVM is pending, or it has no memory for one.
    Pending,
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::Ours(e)
    }
}

/// Runs the body of a native. Whatever goes wrong, the JVM gets one exception and a default value.
pub(super) fn enter<'l, T: Default>(
    mut env: Env<'l>,
    class: &JClass<'l>,
    body: impl FnOnce(&mut Env<'l>) -> Result<T, Failure>,
) -> T {
    let why = match catch_unwind(AssertUnwindSafe(|| body(&mut env))) {
        Ok(Ok(value)) => return value,
        Ok(Err(failure)) => Ok(failure),
        Err(panic) => Err(panic),
    };
    refuse(&mut env, class, why);
    T::default()
}

/// Puts what went wrong into an exception. Should that panic, too, the ready one is thrown: no native returns without
/// an answer and without an exception.
#[cold]
fn refuse<'l>(env: &mut Env<'l>, class: &JClass<'l>, why: Result<Failure, Box<dyn Any + Send>>) {
    let told = catch_unwind(AssertUnwindSafe(|| {
        let in_words = |payload: Box<dyn Any + Send>| {
            Failure::Ours(Error::new(ErrorKind::Panic, panic::message(&*payload)))
        };
        throw(env, class, why.unwrap_or_else(in_words));
    }));
    // Not dropped: what a panic leaves behind may panic again.
    std::mem::forget(told);
    java::out_of_memory(env);
}

/// Runs a part of loading: whether it went well. No exception is left behind.
pub(super) fn loading<'l>(env: &mut Env<'l>, body: impl FnOnce(&mut Env<'l>) -> Result<(), Failure>) -> bool {
    let result = catch_unwind(AssertUnwindSafe(|| body(env)));
    if env.exception_check() {
        env.exception_clear();
    }
    matches!(result, Ok(Ok(())))
}

/// Throws unless an exception is already on its way. If the right one cannot be made, the JVM's own is pending.
fn throw<'l>(env: &mut Env<'l>, class: &JClass<'l>, failure: Failure) {
    if env.exception_check() {
        return;
    }
    let thrown = match &failure {
        Failure::Ours(e) if e.kind() == ErrorKind::InvalidArgument => {
            java::throw(env, Exception::IllegalArgument, e.message())
        }
        Failure::Ours(e) => ours(env, class, e),
        Failure::Stale => java::throw(env, Exception::IllegalState, "the exporter is closed"),
        Failure::Null(what) => java::throw(env, Exception::NullPointer, what),
        Failure::Pending => Ok(()),
    };
    // An exception that could not be made has left the JVM's own behind.
    drop(thrown);
}

/// A `TraceExporterException`, made by the calling class.
fn ours<'l>(env: &mut Env<'l>, class: &JClass<'l>, error: &Error) -> Result<(), Failure> {
    let message = java::string(env, error.message())?;
    // SAFETY: the signature is that of the four arguments, and gives an object.
    let exception = unsafe {
        java::call_static(
            env,
            class,
            (jni_str!("newException"), jni_str!("(IIILjava/lang/String;)Ljava/lang/Throwable;")),
            &[
                Argument::Int(error.kind().code() as i32),
                Argument::Int(i32::from(error.status().unwrap_or(0))),
                Argument::Int(error.attempts() as i32),
                Argument::Object(&message),
            ],
        )?
    };
    java::raise(env, &exception)
}
