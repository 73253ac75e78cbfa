//! What the boundary needs of the JVM: looked up once, while the library loads, and objects made without any look-up.
//!
//! A Java heap can be full at any call. Then nothing can be looked up any more, since a look-up allocates; the `jni`
//! crate does look up its exception classes when an allocation has failed, fails again, and so on until the stack is
//! used up. So whatever makes an object here calls the JVM's own table, and the `OutOfMemoryError` of the JVM stays
//! pending: it is what the caller gets. A ready error, held since the start, is thrown if even that one is missing.

use super::boundary::Failure;
use crate::error::{Error, ErrorKind};
use crate::face::exporters::grow;
use jni::errors::Error as JniError;
use jni::objects::{Global, JByteArray, JByteBuffer, JClass, JLongArray, JObject, JString, JThrowable};
use jni::refs::{LoaderContext, Reference};
use jni::strings::{JNIStr, JNIString};
use jni::sys::{jboolean, jint, jlong, jobject, jvalue};
use jni::{Env, jni_str};
use std::sync::OnceLock;

/// The exceptions of the JVM that natives throw.
#[derive(Clone, Copy)]
pub(super) enum Exception {
    IllegalState,
    IllegalArgument,
    NullPointer,
}

/// What was looked up.
struct Known {
    out_of_memory: Global<JThrowable<'static>>,
    illegal_state: Global<JClass<'static>>,
    illegal_argument: Global<JClass<'static>>,
    null_pointer: Global<JClass<'static>>,
    byte_array: Global<JClass<'static>>,
    byte_buffer: Global<JClass<'static>>,
}

static KNOWN: OnceLock<Known> = OnceLock::new();

/// Looks everything up. Without it no native works, so the library does not load then.
pub(super) fn look_up(env: &mut Env<'_>) -> jni::errors::Result<()> {
    let class = |env: &mut Env<'_>, name: &JNIStr| {
        let class = env.find_class(name)?;
        env.new_global_ref(class)
    };
    let error = class(env, jni_str!("java/lang/OutOfMemoryError"))?;
    // Without a constructor, which would note the stack: that leads to the class which loads us, and to its class
    // loader.
    let ready = env.alloc_object(&*error)?;
    let ready = env.cast_local::<JThrowable>(ready)?;
    let known = Known {
        out_of_memory: env.new_global_ref(ready)?,
        illegal_state: class(env, jni_str!("java/lang/IllegalStateException"))?,
        illegal_argument: class(env, jni_str!("java/lang/IllegalArgumentException"))?,
        null_pointer: class(env, jni_str!("java/lang/NullPointerException"))?,
        byte_array: class(env, jni_str!("[B"))?,
        byte_buffer: class(env, jni_str!("java/nio/ByteBuffer"))?,
    };
    // The crate asks for this one whenever a call of its own has failed; it keeps what it has found.
    jni::exceptions::JOutOfMemoryError::lookup_class(env, &LoaderContext::None)?;
    // A library that a JVM loads a second time has them already.
    let _ = KNOWN.set(known);
    Ok(())
}

/// The bytes of an array, copied; `name` is what the argument is called. Memory that is not there is an error.
pub(super) fn bytes(env: &Env<'_>, array: &JByteArray<'_>, name: &'static str) -> Result<Vec<u8>, Failure> {
    if array.is_null() {
        return Err(Failure::Null(name));
    }
    let mut bytes = Vec::new();
    grow(&mut bytes, array.len(env)?)?;
    array.get_region(env, 0, as_bytes_mut(&mut bytes))?;
    Ok(bytes)
}

/// Ours as Java's signed bytes.
pub(super) fn as_bytes_mut(bytes: &mut [u8]) -> &mut [i8] {
    // SAFETY: i8 and u8 have the same size, alignment and valid values, and the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len()) }
}

fn known() -> Result<&'static Known, Failure> {
    KNOWN.get().ok_or_else(|| {
        Failure::Ours(Error::new(ErrorKind::Internal, "a native was called before the library was loaded"))
    })
}

/// Calls a function of the JVM's table.
macro_rules! table {
    ($env:expr, $version:ident . $function:ident ( $($argument:expr),* )) => {{
        let raw = $env.get_raw();
        ((**raw).$version.$function)(raw $(, $argument)*)
    }};
}

/// What a function that makes an object has made: null is an exception of the JVM, which stays pending.
fn made(env: &Env<'_>, raw: jobject) -> Result<jobject, Failure> {
    if env.exception_check() || raw.is_null() { Err(Failure::Pending) } else { Ok(raw) }
}

/// Nothing may be asked of the JVM while an exception is pending.
fn clean(env: &Env<'_>) -> Result<(), Failure> {
    if env.exception_check() { Err(Failure::Pending) } else { Ok(()) }
}

/// A length as Java counts it.
fn length(of: usize) -> Result<jint, Failure> {
    jint::try_from(of).map_err(|_| {
        let text = format!("{of} bytes are more than a Java array holds");
        Failure::Ours(Error::new(ErrorKind::PayloadTooLarge, text))
    })
}

/// A `byte[]` with these bytes.
pub(super) fn byte_array<'l>(env: &mut Env<'l>, bytes: &[u8]) -> Result<JByteArray<'l>, Failure> {
    clean(env)?;
    let count = length(bytes.len())?;
    // SAFETY: no exception is pending; the array has `count` elements, as many as `bytes`, whose signs do not matter;
    // the reference is a new local one of this call's frame.
    unsafe {
        let array = made(env, table!(env, v1_1.NewByteArray(count)))?;
        table!(env, v1_1.SetByteArrayRegion(array, 0, count, bytes.as_ptr().cast()));
        clean(env)?;
        Ok(JByteArray::from_raw(env, array))
    }
}

/// A `long[]` with these numbers.
pub(super) fn long_array<'l>(env: &mut Env<'l>, numbers: &[i64]) -> Result<JLongArray<'l>, Failure> {
    clean(env)?;
    let count = length(numbers.len())?;
    // SAFETY: as in `byte_array`.
    unsafe {
        let array = made(env, table!(env, v1_1.NewLongArray(count)))?;
        table!(env, v1_1.SetLongArrayRegion(array, 0, count, numbers.as_ptr()));
        clean(env)?;
        Ok(JLongArray::from_raw(env, array))
    }
}

/// A string.
pub(super) fn string<'l>(env: &mut Env<'l>, text: &str) -> Result<JString<'l>, Failure> {
    clean(env)?;
    let text = JNIString::new(text);
    // SAFETY: no exception is pending, and the text is modified UTF-8 with a NUL at its end.
    unsafe {
        let string = made(env, table!(env, v1_1.NewStringUTF(text.as_ptr())))?;
        Ok(JString::from_raw(env, string))
    }
}

/// One argument of [`call_static`].
pub(super) enum Argument<'a, 'l> {
    Int(jint),
    Long(jlong),
    Bool(jboolean),
    Object(&'a JObject<'l>),
}

/// The object that a static method gives. What the method throws stays pending.
///
/// # Safety
///
/// `signature` says that the method gives an object, and `arguments` are of the types that it names.
pub(super) unsafe fn call_static<'l>(
    env: &mut Env<'l>,
    class: &JClass<'l>,
    (name, signature): (&JNIStr, &JNIStr),
    arguments: &[Argument<'_, '_>],
) -> Result<JObject<'l>, Failure> {
    clean(env)?;
    let mut raw = [jvalue { j: 0 }; 16];
    let Some(values) = raw.get_mut(..arguments.len()) else { return Err(Failure::Null("arguments")) };
    for (value, argument) in values.iter_mut().zip(arguments) {
        *value = match argument {
            Argument::Int(i) => jvalue { i: *i },
            Argument::Long(j) => jvalue { j: *j },
            Argument::Bool(z) => jvalue { z: *z },
            Argument::Object(l) => jvalue { l: l.as_raw() },
        };
    }
    // SAFETY: no exception is pending; the method is one of this class, since the JVM has just said so; the caller
    // answers for the arguments.
    unsafe {
        let method = table!(env, v1_1.GetStaticMethodID(class.as_raw(), name.as_ptr(), signature.as_ptr()));
        if env.exception_check() || method.is_null() {
            return Err(Failure::Pending);
        }
        let object = table!(env, v1_1.CallStaticObjectMethodA(class.as_raw(), method, values.as_ptr()));
        Ok(JObject::from_raw(env, made(env, object)?))
    }
}

/// Throws an exception with a message. If the JVM has no room for it, its own error is pending afterwards.
pub(super) fn throw(env: &mut Env<'_>, kind: Exception, message: &str) -> Result<(), Failure> {
    clean(env)?;
    let known = known()?;
    let class = match kind {
        Exception::IllegalState => &known.illegal_state,
        Exception::IllegalArgument => &known.illegal_argument,
        Exception::NullPointer => &known.null_pointer,
    };
    let message = JNIString::new(message);
    // SAFETY: no exception is pending, the class is one of a Throwable with a constructor of one text, and the message
    // is modified UTF-8 with a NUL at its end.
    unsafe { table!(env, v1_1.ThrowNew(class.as_raw(), message.as_ptr())) };
    Ok(())
}

/// Throws an object that is a `Throwable`, as a method that gives one says.
pub(super) fn raise(env: &mut Env<'_>, exception: &JObject<'_>) -> Result<(), Failure> {
    clean(env)?;
    // SAFETY: no exception is pending, and the JVM checks nothing that the signature of the method has not promised.
    unsafe { table!(env, v1_1.Throw(exception.as_raw())) };
    Ok(())
}

/// Throws the ready error, if nothing else is pending. For when nothing can be made any more.
pub(super) fn out_of_memory(env: &mut Env<'_>) {
    if let (false, Some(known)) = (env.exception_check(), KNOWN.get()) {
        // SAFETY: no exception is pending, and the object is a Throwable that a global reference keeps.
        unsafe { table!(env, v1_1.Throw(known.out_of_memory.as_raw())) };
    }
}

/// A piece of a payload, told apart without a look-up.
pub(super) enum Piece<'l> {
    Direct(JByteBuffer<'l>),
    Array(JByteArray<'l>),
}

/// Takes an object for what it is.
pub(super) fn piece<'l>(env: &Env<'l>, object: JObject<'l>) -> Result<Piece<'l>, Failure> {
    if object.is_null() {
        return Err(Failure::Null("payload"));
    }
    let known = known()?;
    // SAFETY: neither reference is null, and an object is wrapped as what the JVM says it is. The old wrapper is given
    // up.
    unsafe {
        if table!(env, v1_1.IsInstanceOf(object.as_raw(), known.byte_buffer.as_raw())) {
            return Ok(Piece::Direct(JByteBuffer::from_raw(env, object.into_raw())));
        }
        if table!(env, v1_1.IsInstanceOf(object.as_raw(), known.byte_array.as_raw())) {
            return Ok(Piece::Array(JByteArray::from_raw(env, object.into_raw())));
        }
    }
    let text = "a payload is a byte[] or a ByteBuffer";
    Err(Failure::Ours(Error::new(ErrorKind::InvalidArgument, text)))
}

/// Whether the crate says that the JVM has no memory, or that an exception is pending.
pub(super) fn is_pending(error: &JniError) -> bool {
    matches!(error, JniError::JavaException | JniError::JniCall(jni::errors::JniError::NoMemory))
}
