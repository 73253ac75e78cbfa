//! The only place where panics are caught, errors become exceptions and a pending exception is kept.

use super::java::{self, Argument, Exception};
use crate::error::{Error, ErrorKind};
use crate::face::panic;
use jni::objects::JClass;
use jni::{Env, EnvUnowned, errors::ErrorPolicy, jni_str};
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
    mut env: EnvUnowned<'l>,
    class: &JClass<'l>,
    body: impl FnOnce(&mut Env<'l>) -> Result<T, Failure>,
) -> T {
    env.with_env(|env| -> Result<T, jni::errors::Error> {
        let failure = match catch_unwind(AssertUnwindSafe(|| body(env))) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(failure)) => failure,
            Err(payload) => Failure::Ours(Error::new(ErrorKind::Panic, panic::message(&*payload))),
        };
        throw(env, class, failure);
        Ok(T::default())
    })
    .resolve::<Silent>()
}

/// Runs a part of loading: whether it went well. No exception is left behind.
pub(super) fn loading<'l>(
    env: &mut EnvUnowned<'l>,
    body: impl FnOnce(&mut Env<'l>) -> Result<(), Failure>,
) -> bool {
    env.with_env(|env| -> Result<bool, jni::errors::Error> {
        let result = catch_unwind(AssertUnwindSafe(|| body(env)));
        if env.exception_check() {
            env.exception_clear();
        }
        Ok(matches!(result, Ok(Ok(()))))
    })
    .resolve::<Silent>()
}

/// Throws unless an exception is already on its way; if the right one cannot be made, the JVM's own is pending or the
/// ready one is thrown: no native returns without an answer and without an exception.
#[cold]
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
    java::out_of_memory(env);
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

/// What is left for jni's own error path: nothing, since everything was handled inside.
struct Silent;

impl<T: Default> ErrorPolicy<T, jni::errors::Error> for Silent {
    type Captures<'unowned_env_local: 'native_method, 'native_method> = ();

    fn on_error<'unowned_env_local: 'native_method, 'native_method>(
        _: &mut Env<'unowned_env_local>,
        (): &mut (),
        _: jni::errors::Error,
    ) -> jni::errors::Result<T> {
        Ok(T::default())
    }

    fn on_panic<'unowned_env_local: 'native_method, 'native_method>(
        _: &mut Env<'unowned_env_local>,
        (): &mut (),
        _: Box<dyn Any + Send + 'static>,
    ) -> jni::errors::Result<T> {
        Ok(T::default())
    }
}
