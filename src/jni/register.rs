//! Registers the natives against the class that loads the library, under whatever name a shading plugin gave it.
//!
//! `System.load` is called by `….internal.NativeLibrary`; the stack of that call therefore says what our package is
//! called. If that fails nothing is lost: the JVM then finds the exported symbols by their names.

use super::boundary::Failure;
use super::frame::{Env, JObjectArray};
use super::trace_exporter as natives;
use super::{asynchronous, java, tool};
use jni::jni_str;
use jni::strings::JNIString;
use jni::sys::JNINativeMethod;
use std::ffi::c_void;

/// The loader's class, behind its package.
const LOADER: &str = ".internal.NativeLibrary";

pub(super) fn natives_of_the_loading_class(env: &mut Env<'_>) -> Result<(), Failure> {
    let Some(package) = package(env)? else { return Ok(()) };
    let name = JNIString::from(format!("{}/TraceExporter", package.replace('.', "/")));
    let class = java::find_class(env, &name)?;
    macro_rules! native {
        ($name:literal, $signature:literal, $function:path) => {
            JNINativeMethod {
                name: jni_str!($name).as_ptr().cast_mut(),
                signature: jni_str!($signature).as_ptr().cast_mut(),
                fnPtr: $function as *mut c_void,
            }
        };
    }
    let methods = [
        native!(
            "nativeVersion",
            "()Ljava/lang/String;",
            natives::Java_com_datadog_pipeline_TraceExporter_nativeVersion
        ),
        native!("nativeCreate", "([B)J", natives::Java_com_datadog_pipeline_TraceExporter_nativeCreate),
        native!(
            "nativeSend",
            "(J[BIIJJZLjava/lang/Object;J)Ljava/lang/Object;",
            natives::Java_com_datadog_pipeline_TraceExporter_nativeSend
        ),
        native!(
            "nativeSendDirect",
            "(JLjava/nio/ByteBuffer;IIJJZLjava/lang/Object;J)Ljava/lang/Object;",
            natives::Java_com_datadog_pipeline_TraceExporter_nativeSendDirect
        ),
        native!(
            "nativeSendPieces",
            "(J[Ljava/lang/Object;[IJJZLjava/lang/Object;J)Ljava/lang/Object;",
            natives::Java_com_datadog_pipeline_TraceExporter_nativeSendPieces
        ),
        native!(
            "nativeClose",
            "(JJ[Ljava/lang/Object;)[J",
            natives::Java_com_datadog_pipeline_TraceExporter_nativeClose
        ),
        native!("nativeMetrics", "(J)[J", natives::Java_com_datadog_pipeline_TraceExporter_nativeMetrics),
        native!("nativeObfuscate", "([B[B)[B", tool::Java_com_datadog_pipeline_TraceExporter_nativeObfuscate),
        native!("nativeAsk", "(JIJ)[B", natives::Java_com_datadog_pipeline_TraceExporter_nativeAsk),
        native!("nativeHasLines", "(J)Z", natives::Java_com_datadog_pipeline_TraceExporter_nativeHasLines),
        native!("nativeStats", "(J)[B", natives::Java_com_datadog_pipeline_TraceExporter_nativeStats),
        native!(
            "nativeFlushStats",
            "(JJ)Z",
            natives::Java_com_datadog_pipeline_TraceExporter_nativeFlushStats
        ),
        native!(
            "nativeStatsOf",
            "([Ljava/lang/Object;ZZ)[B",
            tool::Java_com_datadog_pipeline_TraceExporter_nativeStatsOf
        ),
        native!(
            "nativeOffer",
            "(J[BIIJJZJ)I",
            asynchronous::Java_com_datadog_pipeline_TraceExporter_nativeOffer
        ),
        native!(
            "nativeOfferDirect",
            "(JLjava/nio/ByteBuffer;IIJJZJ)I",
            asynchronous::Java_com_datadog_pipeline_TraceExporter_nativeOfferDirect
        ),
        native!(
            "nativeAwaitCompletion",
            "(J)J",
            asynchronous::Java_com_datadog_pipeline_TraceExporter_nativeAwaitCompletion
        ),
        native!(
            "nativeCompletion",
            "(JLjava/lang/Object;J)Ljava/lang/Object;",
            asynchronous::Java_com_datadog_pipeline_TraceExporter_nativeCompletion
        ),
        native!("nativeFlush", "(JJZ)[J", asynchronous::Java_com_datadog_pipeline_TraceExporter_nativeFlush),
        native!(
            "nativeReconfigure",
            "(J[B)V",
            asynchronous::Java_com_datadog_pipeline_TraceExporter_nativeReconfigure
        ),
        native!("nativeResume", "(J)V", asynchronous::Java_com_datadog_pipeline_TraceExporter_nativeResume),
        native!("nativeShow", "([B)[B", tool::Java_com_datadog_pipeline_TraceExporter_nativeShow),
        native!("nativeConvert", "([B[B)[B", tool::Java_com_datadog_pipeline_TraceExporter_nativeConvert),
        native!("nativeTrust", "([BJ)J", tool::Java_com_datadog_pipeline_TraceExporter_nativeTrust),
        native!(
            "nativeCheckSetting",
            "([B)[B",
            tool::Java_com_datadog_pipeline_TraceExporter_nativeCheckSetting
        ),
    ];
    // SAFETY: each function is an `extern "system"` static native with exactly this signature, as declared in
    // TraceExporter.java; a test calls each of them through the JVM.
    unsafe { java::register(env, &class, &methods) }
}

/// The package of the class that calls `System.load`, read from the stack of that call.
fn package(env: &mut Env<'_>) -> Result<Option<String>, Failure> {
    let thread = java::find_class(env, jni_str!("java/lang/Thread"))?;
    let current = (jni_str!("currentThread"), jni_str!("()Ljava/lang/Thread;"));
    let trace = (jni_str!("getStackTrace"), jni_str!("()[Ljava/lang/StackTraceElement;"));
    // SAFETY: both give objects, and the second an array of objects that are not null, as Java documents it.
    let frames = unsafe {
        let thread = java::call_static(env, &thread, current, &[])?;
        let frames = java::call(env, &thread, trace)?;
        JObjectArray::from_raw(env, frames.into_raw())
    };
    for i in 0..java::objects(env, &frames, "frames")?.min(64) {
        let name = java::with_element(env, &frames, i, |env, frame| {
            // SAFETY: the method gives a string, which is not null.
            let name = unsafe {
                java::call(env, frame, (jni_str!("getClassName"), jni_str!("()Ljava/lang/String;")))?
            };
            Ok(java::text(env, &name))
        })?;
        if let Some(package) = name.as_deref().and_then(|name| name.strip_suffix(LOADER)) {
            return Ok(Some(package.to_owned()));
        }
    }
    Ok(None)
}
