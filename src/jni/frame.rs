//! What a native is called with: the JVM's table for this thread, and references that are good until it returns.
//!
//! The `jni` crate has both, but its own environment brings along what attaches threads, and what looks classes and
//! exceptions up: none of it is used here, and the linker does not know that (0.12 MB). Its plain types and its texts
//! are used as they are.

use jni::sys::{JNIEnv, jobject};
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::null_mut;

/// Calls a function of the JVM's table.
macro_rules! table {
    ($env:expr, $version:ident . $function:ident ( $($argument:expr),* )) => {{
        let raw = $env.raw();
        ((**raw).$version.$function)(raw $(, $argument)*)
    }};
}
pub(super) use table;

/// The JVM as the thread of a native sees it. As an argument it is what the JVM hands over; nobody else has one, and it
/// does not leave its thread.
#[repr(transparent)]
pub struct Env<'l> {
    raw: *mut JNIEnv,
    frame: PhantomData<&'l ()>,
}

impl Env<'_> {
    /// The environment of this thread.
    ///
    /// # Safety
    ///
    /// `raw` is what the JVM says it is for this thread, and the lifetime ends before the native does.
    pub(super) unsafe fn of(raw: *mut JNIEnv) -> Self {
        Self { raw, frame: PhantomData }
    }

    pub(super) fn raw(&self) -> *mut JNIEnv {
        self.raw
    }

    /// Whether an exception is pending.
    pub(super) fn exception_check(&self) -> bool {
        // SAFETY: the table is that of this thread, and this may be asked at any time.
        unsafe { table!(self, v1_2.ExceptionCheck()) }
    }

    pub(super) fn exception_clear(&mut self) {
        // SAFETY: as above.
        unsafe { table!(self, v1_1.ExceptionClear()) }
    }
}

/// A local reference to any object, or null.
#[repr(transparent)]
pub struct JObject<'l> {
    raw: jobject,
    frame: PhantomData<&'l ()>,
}

impl<'l> JObject<'l> {
    pub(super) const fn null() -> Self {
        Self { raw: null_mut(), frame: PhantomData }
    }

    /// Takes a reference that the JVM has just made.
    ///
    /// # Safety
    ///
    /// It is null or a local reference of this frame.
    pub(super) unsafe fn from_raw(_: &Env<'l>, raw: jobject) -> Self {
        Self { raw, frame: PhantomData }
    }

    pub(super) fn as_raw(&self) -> jobject {
        self.raw
    }

    pub(super) fn into_raw(self) -> jobject {
        self.raw
    }

    pub(super) fn is_null(&self) -> bool {
        self.raw.is_null()
    }
}

/// References to objects of one kind: what the declaration in Java says, or what the JVM was asked for.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[repr(transparent)]
        pub struct $name<'l>(JObject<'l>);

        impl<'l> $name<'l> {
            /// Takes a reference to an object of this kind.
            ///
            /// # Safety
            ///
            /// It is null or a local reference of this frame, to an object of this kind.
            #[allow(dead_code)] // some kinds are only handed over
            pub(super) unsafe fn from_raw(env: &Env<'l>, raw: jobject) -> Self {
                // SAFETY: the caller answers for it.
                Self(unsafe { JObject::from_raw(env, raw) })
            }
        }

        impl Default for $name<'_> {
            fn default() -> Self {
                Self(JObject::null())
            }
        }

        impl<'l> Deref for $name<'l> {
            type Target = JObject<'l>;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    )*};
}

kinds! {
    /// `java.lang.Class`.
    JClass;
    /// `java.lang.String`.
    JString;
    /// `java.nio.ByteBuffer`.
    JByteBuffer;
    /// `byte[]`.
    JByteArray;
    /// `int[]`.
    JIntArray;
    /// `long[]`.
    JLongArray;
    /// An array of objects.
    JObjectArray;
}

impl Default for JObject<'_> {
    fn default() -> Self {
        Self::null()
    }
}
