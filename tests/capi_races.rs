//! The C face from many threads at once: spans, sends, cancelled sends, forks that are announced and called off, and an
//! exporter that is freed meanwhile. `scripts/sanitize.sh thread` runs it under ThreadSanitizer.
#![allow(unsafe_code, clippy::unwrap_used)] // the functions of the headers, as C sees them

use std::ffi::c_void;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use data_pipeline as _; // brings the symbols

#[repr(C)]
#[derive(Clone, Copy)]
struct Slice {
    ptr: *const u8,
    len: usize,
}

#[repr(C)]
struct Fields {
    texts: [Slice; 4],
    ids: [u64; 4],
    times: [i64; 2],
    error: i32,
}

#[repr(C)]
#[derive(Default)]
struct Account {
    payloads: u64,
    received: [u64; 3],
    sent: [u64; 3],
    dropped: [u64; 3],
    filtered: [u64; 3],
    sampled_out: [u64; 3],
    queued: [u64; 3],
    others: [u64; 6],
    spooled: [u64; 3],
    more: [u64; 6],
}

type Handle = usize;
type Error = *mut c_void;

unsafe extern "C" {
    safe fn ddog_trace_exporter_config_new(out: &mut Handle);
    safe fn ddog_trace_exporter_config_free(config: Handle);
    safe fn ddog_trace_exporter_config_set_url(config: Handle, url: Slice) -> Error;
    safe fn ddog_trace_exporter_config_set_shared_runtime(config: Handle, runtime: Handle) -> Error;
    safe fn ddog_trace_exporter_new(out: &mut Handle, config: Handle) -> Error;
    safe fn ddog_trace_exporter_free(exporter: Handle);
    safe fn ddog_trace_exporter_send_trace_chunks(
        exporter: Handle,
        chunks: Handle,
        response: *mut Handle,
        cancel: Handle,
    ) -> Error;
    safe fn ddog_trace_exporter_cancel_token_new() -> Handle;
    safe fn ddog_trace_exporter_cancel_token_cancel(token: Handle);
    safe fn ddog_trace_exporter_cancel_token_drop(token: Handle);
    safe fn ddog_trace_exporter_error_free(error: Error);
    safe fn ddog_tracer_span_new(out: &mut Handle, fields: &Fields) -> Error;
    safe fn ddog_tracer_span_set_meta(span: Handle, key: Slice, value: Slice) -> Error;
    safe fn ddog_tracer_trace_chunks_new(capacity: usize, out: &mut Handle) -> Error;
    safe fn ddog_tracer_trace_chunks_begin_chunk(chunks: Handle, capacity: usize) -> Error;
    safe fn ddog_tracer_trace_chunks_push_span(chunks: Handle, span: Handle) -> Error;
    safe fn ddog_shared_runtime_new(out: &mut Handle) -> Error;
    safe fn ddog_shared_runtime_free(runtime: Handle);
    safe fn ddog_shared_runtime_before_fork(runtime: Handle) -> Error;
    safe fn ddog_shared_runtime_after_fork_parent(runtime: Handle) -> Error;
    safe fn dp_exporter_account(exporter: Handle, account: &mut Account) -> Error;
    safe fn dp_config_set(config: Handle, name: Slice, value: Slice) -> Error;
    safe fn dp_exporter_reconfigure(exporter: Handle, config: Handle) -> Error;
    safe fn ddog_tracer_span_free(span: Handle);
    safe fn dp_exporter_flush(exporter: Handle, millis: u64, report: *mut c_void) -> Error;
}

fn slice(text: &str) -> Slice {
    Slice { ptr: text.as_ptr(), len: text.len() }
}

fn ok(error: Error) {
    assert!(error.is_null());
}

/// An agent that takes everything; how many traces it has.
fn agent() -> (String, Arc<AtomicU64>) {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", door.local_addr().unwrap());
    let traces = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&traces);
    std::thread::spawn(move || {
        for peer in door.incoming().flatten() {
            let count = Arc::clone(&count);
            std::thread::spawn(move || serve(peer, &count));
        }
    });
    (url, traces)
}

fn serve(peer: TcpStream, traces: &AtomicU64) -> Option<()> {
    let mut from = BufReader::new(peer.try_clone().ok()?);
    let mut to = peer;
    loop {
        let (mut length, mut count, mut first) = (0, 0, true);
        loop {
            let mut line = String::new();
            if from.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() && !std::mem::take(&mut first) {
                break;
            }
            first = false;
            let number = |name: &str| line.strip_prefix(name).and_then(|n| n.trim().parse().ok());
            length = number("content-length:").unwrap_or(length);
            count = number("x-datadog-trace-count:").unwrap_or(count);
        }
        from.read_exact(&mut vec![0; length as usize]).ok()?;
        traces.fetch_add(count, Ordering::SeqCst);
        to.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").ok()?;
    }
}

fn span() -> Handle {
    let fields =
        Fields { texts: ["shop", "op", "GET /", ""].map(slice), ids: [1, 2, 3, 0], times: [1, 2], error: 0 };
    let mut span = 0;
    ok(ddog_tracer_span_new(&mut span, &fields));
    ok(ddog_tracer_span_set_meta(span, slice("key"), slice("value")));
    span
}

fn chunks() -> Handle {
    let (span, mut chunks) = (span(), 0);
    ok(ddog_tracer_trace_chunks_new(1, &mut chunks));
    ok(ddog_tracer_trace_chunks_begin_chunk(chunks, 1));
    ok(ddog_tracer_trace_chunks_push_span(chunks, span));
    chunks
}

fn config(url: &str, runtime: Handle) -> Handle {
    let mut config = 0;
    ddog_trace_exporter_config_new(&mut config);
    ok(ddog_trace_exporter_config_set_url(config, slice(url)));
    ok(ddog_trace_exporter_config_set_shared_runtime(config, runtime));
    config
}

fn exporter(url: &str, runtime: Handle) -> Handle {
    let (config, mut exporter) = (config(url, runtime), 0);
    ok(ddog_trace_exporter_new(&mut exporter, config));
    ddog_trace_exporter_config_free(config);
    exporter
}

fn how_long() -> Duration {
    static MILLIS: OnceLock<u64> = OnceLock::new();
    Duration::from_millis(*MILLIS.get_or_init(|| {
        std::env::var("TEST_SLOWNESS").ok().and_then(|n| n.parse::<u64>().ok()).unwrap_or(1) * 100 + 400
    }))
}

#[test]
fn sends_cancels_forks_and_changes_of_settings_race_and_nothing_is_lost() {
    let (url, arrived) = agent();
    let mut runtime = 0;
    ok(ddog_shared_runtime_new(&mut runtime));
    let exporter = exporter(&url, runtime);
    let (over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (over, sent) = (&over, &sent);
            scope.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    let token = ddog_trace_exporter_cancel_token_new();
                    let chunks = chunks();
                    sent.fetch_add(1, Ordering::SeqCst);
                    std::thread::scope(|scope| {
                        if thread % 2 == 0 {
                            scope.spawn(move || {
                                std::thread::yield_now();
                                ddog_trace_exporter_cancel_token_cancel(token);
                            });
                        }
                        let error =
                            ddog_trace_exporter_send_trace_chunks(exporter, chunks, null_mut(), token);
                        ddog_trace_exporter_error_free(error);
                    });
                    ddog_trace_exporter_cancel_token_drop(token);
                }
            });
        }
        let (over_for_settings, url) = (&over, &url);
        scope.spawn(move || {
            let config = config(url, runtime);
            let mut changes = 0_u64;
            while !over_for_settings.load(Ordering::SeqCst) {
                changes += 1;
                // Every other change concerns the destination, too.
                let name = if changes.is_multiple_of(2) { "env" } else { "language" };
                ok(dp_config_set(config, slice(name), slice(&changes.to_string())));
                ok(dp_exporter_reconfigure(exporter, config));
                std::thread::sleep(Duration::from_millis(1));
            }
            ddog_trace_exporter_config_free(config);
        });
        let end = Instant::now() + how_long();
        while Instant::now() < end {
            ok(ddog_shared_runtime_before_fork(runtime));
            ok(ddog_shared_runtime_after_fork_parent(runtime));
            std::thread::sleep(Duration::from_millis(5));
        }
        over.store(true, Ordering::SeqCst);
    });
    ok(dp_exporter_flush(exporter, 10_000, null_mut()));
    let mut account = Account::default();
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        ok(dp_exporter_account(exporter, &mut account));
        if account.queued[0] == 0 || Instant::now() > end {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // A token that was used before its send began drops the traces, and they are counted.
    let sent = sent.load(Ordering::SeqCst);
    assert_eq!(account.received[0], sent);
    assert_eq!(account.sent[0] + account.dropped[0], sent);
    assert_eq!(arrived.load(Ordering::SeqCst), account.sent[0]);
    assert!(account.sent[0] > 0);
    ddog_trace_exporter_free(exporter);
    ddog_shared_runtime_free(runtime);
}

#[test]
fn an_exporter_is_freed_while_others_send() {
    let (url, arrived) = agent();
    let mut runtime = 0;
    ok(ddog_shared_runtime_new(&mut runtime));
    let end = Instant::now() + how_long();
    let mut sent = 0;
    while Instant::now() < end {
        let exporter = exporter(&url, runtime);
        sent += std::thread::scope(|scope| {
            let senders: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(move || {
                        (0..20)
                            .filter(|_| {
                                let error =
                                    ddog_trace_exporter_send_trace_chunks(exporter, chunks(), null_mut(), 0);
                                ddog_trace_exporter_error_free(error);
                                error.is_null()
                            })
                            .count() as u64
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_millis(2));
            ddog_trace_exporter_free(exporter);
            senders.into_iter().map(|sender| sender.join().unwrap()).sum::<u64>()
        });
    }
    // What was answered had arrived.
    assert!(sent <= arrived.load(Ordering::SeqCst));
    ddog_shared_runtime_free(runtime);
}

#[test]
fn many_threads_use_one_handle_and_places_of_freed_ones_at_once() {
    let shared = span();
    let end = Instant::now() + how_long();
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            scope.spawn(move || {
                let mut rounds = 0_u32;
                while Instant::now() < end {
                    let own = span();
                    ok(ddog_tracer_span_set_meta(own, slice("key"), slice("another value")));
                    // Somebody frees it in between, and then it names nothing.
                    let error = ddog_tracer_span_set_meta(shared, slice("key"), slice("value"));
                    ddog_trace_exporter_error_free(error);
                    ddog_tracer_span_free(own);
                    rounds += 1;
                    if thread == 0 && rounds == 50 {
                        ddog_tracer_span_free(shared);
                    }
                }
            });
        }
    });
    let error = ddog_tracer_span_set_meta(shared, slice("key"), slice("value"));
    assert!(!error.is_null());
    ddog_trace_exporter_error_free(error);
}
