//! The only place where panics are caught, errors become exceptions and a pending exception is kept.

use crate::error::{Error, ErrorKind};
use crate::face::panic;
use jni::objects::{JClass, JObject, JString, JThrowable, JValue};
use jni::{Env, EnvUnowned, errors::ErrorPolicy, jni_sig, jni_str};
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
    /// JNI failed; mostly an exception is pending then.
    Jni(jni::errors::Error),
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::Ours(e)
    }
}

impl From<jni::errors::Error> for Failure {
    fn from(e: jni::errors::Error) -> Self {
        Self::Jni(e)
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

/// Runs something whose failure must not stop the library from loading. No exception is left behind.
pub(super) fn quietly<'l>(
    mut env: EnvUnowned<'l>,
    body: impl FnOnce(&mut Env<'l>) -> jni::errors::Result<()>,
) {
    env.with_env(|env| -> Result<(), jni::errors::Error> {
        let _ = catch_unwind(AssertUnwindSafe(|| body(env)));
        if env.exception_check() {
            env.exception_clear();
        }
        Ok(())
    })
    .resolve::<Silent>();
}

/// Throws unless an exception is already on its way; if the right one cannot be made, throws the next best.
#[cold]
fn throw(env: &mut Env<'_>, class: &JClass<'_>, failure: Failure) {
    if env.exception_check() {
        return;
    }
    let thrown = match &failure {
        Failure::Ours(e) if e.kind() == ErrorKind::Closed => simple(env, Kind::IllegalState, e.message()),
        Failure::Ours(e) if e.kind() == ErrorKind::InvalidArgument => {
            simple(env, Kind::IllegalArgument, e.message())
        }
        Failure::Ours(e) => ours(env, class, e),
        Failure::Stale => simple(env, Kind::IllegalState, "the exporter is closed"),
        Failure::Null(what) => simple(env, Kind::NullPointer, what),
        Failure::Jni(e) => ours(
            env,
            class,
            &Error::new(ErrorKind::Internal, format!("JNI call failed: {e}; please report this")),
        ),
    };
    if thrown.is_err() && !env.exception_check() {
        let _ = simple(env, Kind::Runtime, "the native library failed and could not say why");
    }
}

enum Kind {
    IllegalState,
    IllegalArgument,
    NullPointer,
    Runtime,
}

fn simple(env: &mut Env<'_>, kind: Kind, message: &str) -> jni::errors::Result<()> {
    let class = match kind {
        Kind::IllegalState => jni_str!("java/lang/IllegalStateException"),
        Kind::IllegalArgument => jni_str!("java/lang/IllegalArgumentException"),
        Kind::NullPointer => jni_str!("java/lang/NullPointerException"),
        Kind::Runtime => jni_str!("java/lang/RuntimeException"),
    };
    let message = JString::from_str(env, message)?;
    let exception = env.new_object(class, jni_sig!("(Ljava/lang/String;)V"), &[JValue::Object(&message)])?;
    raise(env, exception)
}

/// A `TraceExporterException`, made by the calling class.
fn ours(env: &mut Env<'_>, class: &JClass<'_>, error: &Error) -> jni::errors::Result<()> {
    let message = JString::from_str(env, error.message())?;
    let exception = env
        .call_static_method(
            class,
            jni_str!("newException"),
            jni_sig!("(IIILjava/lang/String;)Ljava/lang/Throwable;"),
            &[
                JValue::Int(error.kind().code() as i32),
                JValue::Int(i32::from(error.status().unwrap_or(0))),
                JValue::Int(error.attempts() as i32),
                JValue::Object(&message),
            ],
        )?
        .l()?;
    raise(env, exception)
}

fn raise(env: &mut Env<'_>, exception: JObject<'_>) -> jni::errors::Result<()> {
    let exception = env.cast_local::<JThrowable>(exception)?;
    // jni reports a successful throw as the error that stands for the pending exception.
    match env.throw(exception) {
        Err(jni::errors::Error::JavaException) | Ok(()) => Ok(()),
        Err(e) => Err(e),
    }
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
