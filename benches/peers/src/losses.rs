//! What a restart of the agent costs: `losses ours|ours-spool DIR|libdd URL SECONDS` says `go`, offers 2,000 spans a
//! second (traces of ten) for so long, gives its queue a minute to empty, and prints how many spans it has offered. How
//! many have arrived is for the agent to say (`scripts/losses.py`), by the marks `mark-TRACE-SPAN` in the spans.
//! Everybody has default settings, and the interface that does not wait for the agent.

use data_pipeline::TraceExporter;
use libdd_capabilities_impl::NativeCapabilities;
use libdd_data_pipeline::trace_buffer::{DefaultExport, TraceBuffer, TraceBufferConfig};
use libdd_data_pipeline::trace_exporter::{
    TraceExporter as Reference, TraceExporterInputFormat, TraceExporterOutputFormat,
};
use libdd_shared_runtime::{ForkSafeRuntime, SharedRuntime};
use libdd_trace_utils::span::v04::SpanBytes;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SPANS: u64 = 10;
const EVERY: Duration = Duration::from_millis(5);
const GRACE: Duration = Duration::from_secs(60);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let traces = match words[..] {
        ["ours", url, seconds] => ours(url, seconds, None),
        ["ours-spool", dir, url, seconds] => ours(url, seconds, Some(dir)),
        ["libdd", url, seconds] => libdd(url, seconds),
        _ => panic!("usage: losses ours|ours-spool DIR|libdd URL SECONDS"),
    };
    println!("{}", traces * SPANS);
}

/// Calls for every trace when its time has come; how many there were.
fn load(seconds: &str, mut offer: impl FnMut(u64)) -> u64 {
    let time = Duration::from_secs(seconds.parse().expect("SECONDS"));
    println!("go");
    let (started, mut traces) = (Instant::now(), 0);
    while started.elapsed() < time {
        traces += 1;
        offer(traces);
        let next = EVERY * traces as u32;
        std::thread::sleep(next.saturating_sub(started.elapsed()));
    }
    traces
}

fn mark(trace: u64, span: u64) -> String {
    format!("mark-{trace:06}-{span:02}")
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i64)
}

fn ours(url: &str, seconds: &str, spool: Option<&str>) -> u64 {
    let mut builder = TraceExporter::builder().url(url);
    if let Some(dir) = spool {
        builder = builder.spool(dir, 256 << 20);
    }
    let exporter = builder.build().expect("our exporter");
    let traces = load(seconds, |trace| {
        let _ = exporter.offer(&payload(trace));
    });
    let end = Instant::now() + GRACE;
    while !exporter.flush(Duration::from_secs(1)).complete && Instant::now() < end {}
    exporter.close();
    traces
}

fn payload(trace: u64) -> Vec<u8> {
    let mut out = vec![0x91, 0x90 | SPANS as u8];
    for span in 1..=SPANS {
        out.extend_from_slice(b"\x88\xa7service\xa4shop\xa4name\xa3web\xa8resource\xb4GET /cart/{cart}/all");
        for (key, value) in [("trace_id", trace), ("span_id", trace * SPANS + span)] {
            out.push(0xa0 | key.len() as u8);
            out.extend_from_slice(key.as_bytes());
            out.push(0xcf);
            out.extend_from_slice(&value.to_be_bytes());
        }
        for (key, value) in [("start", now()), ("duration", 1_000_000)] {
            out.push(0xa0 | key.len() as u8);
            out.extend_from_slice(key.as_bytes());
            out.push(0xd3);
            out.extend_from_slice(&value.to_be_bytes());
        }
        out.extend_from_slice(b"\xa4meta\x81\xa4mark\xae");
        out.extend_from_slice(mark(trace, span).as_bytes());
    }
    out
}

fn libdd(url: &str, seconds: &str) -> u64 {
    let runtime = Arc::new(ForkSafeRuntime::new().expect("its runtime"));
    let mut builder = Reference::<NativeCapabilities, ForkSafeRuntime>::builder();
    builder
        .set_url(url)
        .set_service("shop")
        .set_language("rust")
        .set_input_format(TraceExporterInputFormat::V04)
        .set_output_format(TraceExporterOutputFormat::V04)
        .set_shared_runtime(Arc::clone(&runtime));
    let exporter = builder.build::<NativeCapabilities>().expect("its exporter");
    let export = Box::new(DefaultExport::new(exporter, None));
    let (buffer, worker) = TraceBuffer::new(TraceBufferConfig::new(), Box::new(|_| {}), export);
    let _worker = runtime.spawn_worker(worker, true).expect("its worker");
    let traces = load(seconds, |trace| {
        let _ = buffer.send_chunk((1..=SPANS).map(|span| its_span(trace, span)).collect());
    });
    let _ = buffer.flush_and_close(Some(GRACE));
    let _ = runtime.shutdown(Some(GRACE));
    traces
}

fn its_span(trace: u64, span: u64) -> SpanBytes {
    SpanBytes {
        service: "shop".to_owned().into(),
        name: "web".to_owned().into(),
        resource: "GET /cart/{cart}/all".to_owned().into(),
        trace_id: trace.into(),
        span_id: trace * SPANS + span,
        start: now(),
        duration: 1_000_000,
        meta: vec![("mark".to_owned().into(), mark(trace, span).into())].into(),
        ..Default::default()
    }
}
