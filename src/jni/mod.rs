//! The Java boundary: thin, no logic. `com.datadog.pipeline.TraceExporter` declares the natives of [`trace_exporter`],
//! [`asynchronous`] and [`tool`].
//!
//! Native threads never attach and never call Java. Natives are few and coarse, and know no class by name: results and
//! exceptions are made by two static methods of the class that calls, with signatures of `java.lang` only, so that a
//! build which relocates our classes works. For the same reason the natives are registered in [`JNI_OnLoad`] against
//! the class that loads; the exported `Java_com_datadog_pipeline_TraceExporter_*` symbols serve everybody else.
#![allow(unsafe_code)] // the one room where it is needed; each block says why it is sound
#![allow(unreachable_pub)] // exported symbols are for the JVM, whatever their Rust path

mod asynchronous;
mod boundary;
mod frame;
mod java;
mod register;
mod tool;
mod trace_exporter;
mod unload;
mod version;

use frame::Env;
use jni::sys::{JNI_ERR, JNI_OK, JNI_VERSION_1_8, JavaVM, jint};
use std::ffi::c_void;

/// Called by the JVM when it has loaded the library.
#[unsafe(no_mangle)]
#[allow(non_snake_case)] // the JVM's name
pub extern "system" fn JNI_OnLoad(vm: *mut JavaVM, _reserved: *mut c_void) -> jint {
    crate::face::panic::be_silent();
    unload::stay_if_unsafe();
    if vm.is_null() {
        return JNI_ERR;
    }
    let mut raw = std::ptr::null_mut::<c_void>();
    // SAFETY: the JVM hands over its own, valid pointer, and this thread is attached: it is running `System.load`. The
    // invocation table of a live JVM has GetEnv, and `raw` is a place for its result.
    let code = unsafe { ((**vm).v1_2.GetEnv)(vm, &raw mut raw, JNI_VERSION_1_8) };
    if code == JNI_OK && !raw.is_null() {
        // SAFETY: GetEnv said JNI_OK, so `raw` is this thread's environment, valid until this function returns.
        let mut env = unsafe { Env::of(raw.cast()) };
        if !boundary::loading(&mut env, java::look_up) {
            return JNI_ERR;
        }
        // If this fails the JVM finds the exported symbols.
        boundary::loading(&mut env, register::natives_of_the_loading_class);
    }
    JNI_VERSION_1_8
}
