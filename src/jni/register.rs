//! Registers the natives against the class that loads the library, under whatever name a shading plugin gave it.
//!
//! `System.load` is called by `….internal.NativeLibrary`; the stack of that call therefore says what our package is
//! called. If that fails nothing is lost: the JVM then finds the exported symbols by their names.

use super::trace_exporter as natives;
use super::{asynchronous, tool};
use jni::objects::{JStackTraceElement, JThrowable};
use jni::strings::JNIString;
use jni::{Env, NativeMethod, jni_sig, jni_str};
use std::ffi::c_void;

/// The loader's class, behind its package.
const LOADER: &str = ".internal.NativeLibrary";

pub(super) fn natives_of_the_loading_class(env: &mut Env<'_>) -> jni::errors::Result<()> {
    let Some(package) = package(env)? else { return Ok(()) };
    let name = JNIString::from(format!("{}/TraceExporter", package.replace('.', "/")));
    let class = env.find_class(&name)?;
    macro_rules! native {
        ($name:literal, $signature:literal, $function:path) => {
            // SAFETY: the function is an `extern "system"` static native with exactly this signature, as declared in
            // TraceExporter.java; a test calls each of them through the JVM.
            unsafe { NativeMethod::from_raw_parts(jni_str!($name), jni_str!($signature), $function as *mut c_void) }
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
    // SAFETY: see `native!`.
    unsafe { env.register_native_methods(&class, &methods) }
}

/// The package of the class that calls `System.load`, read from the stack.
fn package(env: &mut Env<'_>) -> jni::errors::Result<Option<String>> {
    let throwable = env.new_object(jni_str!("java/lang/Throwable"), jni_sig!("()V"), &[])?;
    let throwable = env.cast_local::<JThrowable>(throwable)?;
    let frames = throwable.get_stack_trace(env)?;
    for i in 0..frames.len(env)?.min(64) {
        let frame: JStackTraceElement<'_> = frames.get_element(env, i)?;
        let name = frame.get_class_name(env)?.try_to_string(env)?;
        if let Some(package) = name.strip_suffix(LOADER) {
            return Ok(Some(package.to_owned()));
        }
    }
    Ok(None)
}
