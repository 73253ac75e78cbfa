//! What the boundary needs of the JVM: looked up once, while the library loads, and objects made without any look-up.
//!
//! A Java heap can be full at any call. Then nothing can be looked up any more, since a look-up allocates; the `jni`
//! crate does look up its exception classes when an allocation has failed, fails again, and so on until the stack is
//! used up. So whatever is asked of the JVM here is a call of the JVM's own table, with the crate's types, and the
//! `OutOfMemoryError` of the JVM stays pending: it is what the caller gets. A ready error, held since the start, is
//! thrown if even that one is missing.

use super::boundary::Failure;
use super::frame::{
    Env, JByteArray, JByteBuffer, JClass, JIntArray, JLongArray, JObject, JObjectArray, JString, table,
};
use crate::error::{Error, ErrorKind};
use crate::face::exporters::grow;
use jni::jni_str;
use jni::strings::{JNIStr, JNIString};
use jni::sys::{JNINativeMethod, jarray, jboolean, jint, jlong, jobject, jvalue};
use std::sync::OnceLock;

/// The exceptions of the JVM that natives throw.
#[derive(Clone, Copy)]
pub(super) enum Exception {
    IllegalState,
    IllegalArgument,
    NullPointer,
}

/// A global reference that is never given back, since it is needed as long as the library is loaded.
struct Held(jobject);

// SAFETY: a global reference is good on every thread, and nobody deletes this one.
unsafe impl Send for Held {}
// SAFETY: as above; it is only read.
unsafe impl Sync for Held {}

/// What was looked up.
struct Known {
    out_of_memory: Held,
    illegal_state: Held,
    illegal_argument: Held,
    null_pointer: Held,
    byte_array: Held,
    byte_buffer: Held,
}

static KNOWN: OnceLock<Known> = OnceLock::new();

/// Looks everything up. Without it no native works, so the library does not load then.
pub(super) fn look_up(env: &mut Env<'_>) -> Result<(), Failure> {
    let class = |env: &mut Env<'_>, name: &JNIStr| {
        let class = find_class(env, name)?;
        hold(env, &class)
    };
    let error = find_class(env, jni_str!("java/lang/OutOfMemoryError"))?;
    // Without a constructor, which would note the stack: that leads to the class which loads us, and to its class
    // loader.
    // SAFETY: no exception is pending, and this class can be instantiated; the reference is a new local one.
    let ready = unsafe {
        let raw = table!(env, v1_1.AllocObject(error.as_raw()));
        JObject::from_raw(env, made(env, raw)?)
    };
    let known = Known {
        out_of_memory: hold(env, &ready)?,
        illegal_state: class(env, jni_str!("java/lang/IllegalStateException"))?,
        illegal_argument: class(env, jni_str!("java/lang/IllegalArgumentException"))?,
        null_pointer: class(env, jni_str!("java/lang/NullPointerException"))?,
        byte_array: class(env, jni_str!("[B"))?,
        byte_buffer: class(env, jni_str!("java/nio/ByteBuffer"))?,
    };
    // A library that a JVM loads a second time has them already.
    let _ = KNOWN.set(known);
    Ok(())
}

fn hold(env: &mut Env<'_>, object: &JObject<'_>) -> Result<Held, Failure> {
    // SAFETY: no exception is pending, and the reference is one of this frame.
    let held = unsafe { table!(env, v1_1.NewGlobalRef(object.as_raw())) };
    Ok(Held(made(env, held)?))
}

/// A class by its name, as the class loader of whoever called sees it.
pub(super) fn find_class<'l>(env: &mut Env<'l>, name: &JNIStr) -> Result<JClass<'l>, Failure> {
    clean(env)?;
    // SAFETY: no exception is pending, and the name ends with NUL; the reference is a new local one to a class.
    unsafe {
        let class = table!(env, v1_1.FindClass(name.as_ptr()));
        Ok(JClass::from_raw(env, made(env, class)?))
    }
}

/// Registers natives of a class.
///
/// # Safety
///
/// Each function is an `extern "system"` static native of exactly this signature.
pub(super) unsafe fn register(
    env: &mut Env<'_>,
    class: &JClass<'_>,
    natives: &[JNINativeMethod],
) -> Result<(), Failure> {
    clean(env)?;
    let count = jint::try_from(natives.len()).unwrap_or(0);
    // SAFETY: no exception is pending; the list is as long as it says and is copied; the caller answers for the
    // functions.
    unsafe { table!(env, v1_1.RegisterNatives(class.as_raw(), natives.as_ptr(), count)) };
    clean(env)
}

/// How many elements an array has.
fn count_of(env: &Env<'_>, array: jarray, name: &'static str) -> Result<usize, Failure> {
    if array.is_null() {
        return Err(Failure::Null(name));
    }
    // SAFETY: the reference is one to an array, and not null.
    let count = unsafe { table!(env, v1_1.GetArrayLength(array)) };
    Ok(usize::try_from(count).unwrap_or(0))
}

/// How many bytes an array has; `name` is what the argument is called.
pub(super) fn len(env: &Env<'_>, array: &JByteArray<'_>, name: &'static str) -> Result<usize, Failure> {
    count_of(env, array.as_raw(), name)
}

/// Copies a part of an array. Java checks the bounds.
pub(super) fn copy(
    env: &Env<'_>,
    array: &JByteArray<'_>,
    offset: usize,
    to: &mut [u8],
) -> Result<(), Failure> {
    clean(env)?;
    let (offset, count) = (length(offset)?, length(to.len())?);
    // SAFETY: no exception is pending; `to` has `count` bytes, whose signs do not matter; a part that the array does
    // not have is an exception.
    unsafe { table!(env, v1_1.GetByteArrayRegion(array.as_raw(), offset, count, to.as_mut_ptr().cast())) };
    clean(env)
}

/// The bytes of an array, copied; `name` is what the argument is called. Memory that is not there is an error.
pub(super) fn bytes(env: &Env<'_>, array: &JByteArray<'_>, name: &'static str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    grow(&mut bytes, len(env, array, name)?)?;
    copy(env, array, 0, &mut bytes)?;
    Ok(bytes)
}

/// The numbers of an array.
pub(super) fn ints(env: &Env<'_>, array: &JIntArray<'_>, name: &'static str) -> Result<Vec<jint>, Failure> {
    let mut numbers = Vec::new();
    grow(&mut numbers, count_of(env, array.as_raw(), name)?)?;
    clean(env)?;
    let count = length(numbers.len())?;
    // SAFETY: no exception is pending; there is room for `count` numbers, as many as the array has.
    unsafe { table!(env, v1_1.GetIntArrayRegion(array.as_raw(), 0, count, numbers.as_mut_ptr())) };
    clean(env)?;
    Ok(numbers)
}

/// How many objects an array has.
pub(super) fn objects(env: &Env<'_>, array: &JObjectArray<'_>, name: &'static str) -> Result<usize, Failure> {
    count_of(env, array.as_raw(), name)
}

/// Does something with one object of an array. The reference is given up afterwards: an array may have more objects
/// than a native may have local references.
pub(super) fn with_element<'l, T>(
    env: &mut Env<'l>,
    array: &JObjectArray<'_>,
    index: usize,
    body: impl FnOnce(&mut Env<'l>, &JObject<'l>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    clean(env)?;
    let index = length(index)?;
    // SAFETY: no exception is pending, and an index that the array does not have is one; the reference is a new local
    // one.
    let object = unsafe {
        let raw = table!(env, v1_1.GetObjectArrayElement(array.as_raw(), index));
        clean(env)?;
        JObject::from_raw(env, raw)
    };
    let result = body(env, &object);
    // SAFETY: the reference is local to this frame, and nothing that `body` returns has it; null may be deleted;
    // deleting is one of the calls that are allowed while an exception is pending.
    unsafe { table!(env, v1_1.DeleteLocalRef(object.into_raw())) };
    result
}

/// Puts an object into an array.
pub(super) fn set_element(
    env: &mut Env<'_>,
    array: &JObjectArray<'_>,
    index: usize,
    object: &JObject<'_>,
) -> Result<(), Failure> {
    clean(env)?;
    let index = length(index)?;
    // SAFETY: no exception is pending; an index or an object that does not fit is an exception.
    unsafe { table!(env, v1_1.SetObjectArrayElement(array.as_raw(), index, object.as_raw())) };
    clean(env)
}

/// Where the bytes of a direct buffer are, and how many.
pub(super) fn direct(env: &Env<'_>, buffer: &JByteBuffer<'_>) -> Result<(*const u8, usize), Failure> {
    if buffer.is_null() {
        return Err(Failure::Null("payload"));
    }
    // SAFETY: the reference is one to a `ByteBuffer`, and not null; of one that is not direct the address is null.
    let (address, capacity) = unsafe {
        (
            table!(env, v1_4.GetDirectBufferAddress(buffer.as_raw())),
            table!(env, v1_4.GetDirectBufferCapacity(buffer.as_raw())),
        )
    };
    match usize::try_from(capacity) {
        Ok(capacity) if !address.is_null() || capacity == 0 => Ok((address.cast_const().cast(), capacity)),
        _ => Err(Failure::Ours(Error::new(ErrorKind::InvalidArgument, "the ByteBuffer is not direct"))),
    }
}

fn known() -> Result<&'static Known, Failure> {
    KNOWN.get().ok_or_else(|| {
        Failure::Ours(Error::new(ErrorKind::Internal, "a native was called before the library was loaded"))
    })
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

/// The object that a method without arguments gives. What the method throws stays pending.
///
/// # Safety
///
/// `signature` says that the method gives an object.
pub(super) unsafe fn call<'l>(
    env: &mut Env<'l>,
    object: &JObject<'_>,
    (name, signature): (&JNIStr, &JNIStr),
) -> Result<JObject<'l>, Failure> {
    clean(env)?;
    // SAFETY: no exception is pending and the object is not null; the method is one of its class, since the JVM has
    // just said so; the reference to the class is local to this native.
    unsafe {
        let class = made(env, table!(env, v1_1.GetObjectClass(object.as_raw())))?;
        let method = table!(env, v1_1.GetMethodID(class, name.as_ptr(), signature.as_ptr()));
        table!(env, v1_1.DeleteLocalRef(class));
        if env.exception_check() || method.is_null() {
            return Err(Failure::Pending);
        }
        let given = table!(env, v1_1.CallObjectMethodA(object.as_raw(), method, std::ptr::null()));
        Ok(JObject::from_raw(env, made(env, given)?))
    }
}

/// The text of a string that is not null, if it is one that UTF-8 can say as Java does: no NUL, nothing beyond 16
/// bits.
pub(super) fn text(env: &Env<'_>, string: &JObject<'_>) -> Option<String> {
    // SAFETY: the reference is one to a string; its characters are there until they are given back, and end with NUL.
    unsafe {
        let characters = table!(env, v1_1.GetStringUTFChars(string.as_raw(), std::ptr::null_mut()));
        if characters.is_null() {
            return None;
        }
        let text = std::ffi::CStr::from_ptr(characters).to_str().ok().map(str::to_owned);
        table!(env, v1_1.ReleaseStringUTFChars(string.as_raw(), characters));
        text
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
    // SAFETY: no exception is pending, the class is one of a Throwable with a constructor of one text, and the
    // message is modified UTF-8 with a NUL at its end.
    unsafe { table!(env, v1_1.ThrowNew(class.0, message.as_ptr())) };
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
        unsafe { table!(env, v1_1.Throw(known.out_of_memory.0)) };
    }
}

/// A piece of a payload, told apart without a look-up.
pub(super) enum Piece<'l> {
    Direct(JByteBuffer<'l>),
    Array(JByteArray<'l>),
}

/// Takes an object for what it is; the piece lives no longer than the object.
pub(super) fn piece<'a>(env: &Env<'a>, object: &'a JObject<'_>) -> Result<Piece<'a>, Failure> {
    if object.is_null() {
        return Err(Failure::Null("payload"));
    }
    let known = known()?;
    let raw = object.as_raw();
    // SAFETY: neither reference is null, and an object is wrapped as what the JVM says it is. The wrapper deletes
    // nothing.
    unsafe {
        if table!(env, v1_1.IsInstanceOf(raw, known.byte_buffer.0)) {
            return Ok(Piece::Direct(JByteBuffer::from_raw(env, raw)));
        }
        if table!(env, v1_1.IsInstanceOf(raw, known.byte_array.0)) {
            return Ok(Piece::Array(JByteArray::from_raw(env, raw)));
        }
    }
    let text = "a payload is a byte[] or a ByteBuffer";
    Err(Failure::Ours(Error::new(ErrorKind::InvalidArgument, text)))
}
