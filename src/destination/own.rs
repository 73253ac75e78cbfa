//! A destination and a format that the rest of the crate does not know: JSON lines into a vector. Whatever they need is
//! here; no file of `pipeline`, `delivery` or `trace` has to know them.

use super::{Asked, Destination, Limit, Offer, Reply, Request};
use crate::account::{DropReason, Later, Verdict};
use crate::delivery::target::{Grounds, Target};
use crate::error::{Error, ErrorKind};
use crate::exporter::TraceExporter;
use crate::format::{Encoder, Encoding, Lost};
use crate::pipeline::Compiled;
use crate::settings::{Builder, Config, FilterRules, Metadata};
use crate::time::Clock;
use crate::trace::{ChunkState, Payload};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One line a span: its resource.
#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    chunks: u32,
    spans: u64,
}

impl Encoder for Lines {
    fn begin(&mut self, _: &Metadata) {
        self.text.clear();
        (self.chunks, self.spans) = (0, 0);
    }

    fn add(&mut self, batch: &mut Payload<'_>) {
        for chunk in batch.chunks().iter().filter(|chunk| chunk.state() == ChunkState::Kept) {
            self.chunks += 1;
            for span in batch.chunk_spans(chunk) {
                self.spans += 1;
                let resource = String::from_utf8_lossy(batch.resource(span)).into_owned();
                self.text.extend_from_slice(format!("{{\"resource\":{resource:?}}}\n").as_bytes());
            }
        }
    }

    fn counts(&self) -> (u32, u64) {
        (self.chunks, self.spans)
    }

    fn lost(&self) -> Lost {
        Lost::default()
    }

    fn finish(&mut self, _: &[u8], _: &Metadata) -> Result<&[u8], Error> {
        Ok(&self.text)
    }

    fn capacity_bytes(&self) -> usize {
        self.text.capacity()
    }
}

/// Takes so many lines at once, and answers as it is told first.
#[derive(Debug)]
struct Sink {
    address: Arc<str>,
    offer: Mutex<Arc<Offer>>,
    answers: Mutex<Vec<Verdict<Reply>>>,
    lines: Mutex<Vec<String>>,
    most: usize,
}

impl Sink {
    fn new(most: usize, answers: Vec<Verdict<Reply>>) -> Arc<Self> {
        let offer = Offer {
            format: Encoding::new("JSON lines", Lines::default),
            endpoint: "nowhere",
            has_fallback: false,
            why: "it is the only one".to_owned(),
            max_bytes: 1 << 20,
            limit: Limit::Default,
            filters: FilterRules::default(),
            stats: None,
            statsd_port: None,
            state: None,
            defaults: Default::default(),
        };
        Arc::new(Self {
            address: Arc::from("a vector"),
            offer: Mutex::new(Arc::new(offer)),
            answers: Mutex::new(answers),
            lines: Mutex::default(),
            most,
        })
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().clone()
    }
}

impl Destination for Sink {
    fn address(&self) -> &Arc<str> {
        &self.address
    }

    fn offer(&self) -> Arc<Offer> {
        Arc::clone(&self.offer.lock())
    }

    fn largest(&self, _: usize, _: Instant) -> usize {
        usize::MAX
    }

    fn send(&self, request: &Request<'_>) -> Verdict<Reply> {
        if let Some(answer) = self.answers.lock().pop() {
            return answer;
        }
        let text = std::str::from_utf8(request.body).unwrap();
        if text.lines().count() > self.most {
            let error = Error::new(ErrorKind::PayloadTooLarge, "too many lines").with_attempts(1);
            return Verdict::TooLarge(error);
        }
        self.lines.lock().extend(text.lines().map(str::to_owned));
        Verdict::Sent(Reply::without_words(200, 1, Arc::from(&[][..])))
    }

    fn format_refused(&self, _: &Offer) {}

    fn send_stats(&self, _: &[u8], _: Option<u32>, _: Duration) -> Verdict<()> {
        Verdict::Lost(Error::new(ErrorKind::HttpStatus, "no stats here"))
    }

    fn ask(&self, _: Duration) -> Asked {
        Asked::Nothing(Error::new(ErrorKind::HttpStatus, "it says nothing"))
    }

    fn pause(&self, time: Duration) -> bool {
        std::thread::sleep(time);
        true
    }

    fn close(&self) {}

    fn reopen(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn exporter(builder: Builder, sink: &Arc<Sink>) -> TraceExporter {
    let sink: Arc<dyn Destination> = sink.clone();
    let config = Arc::new(Config::new(builder.into_raw()).unwrap());
    TraceExporter::toward(config, Arc::default(), sink, Vec::new()).unwrap()
}

/// Traces of one span each, with these resources.
fn payload(resources: &[&str]) -> Vec<u8> {
    let mut out = vec![0x90 | resources.len() as u8];
    for resource in resources {
        out.extend_from_slice(b"\x91\x81\xa8resource");
        out.push(0xa0 | resource.len() as u8);
        out.extend_from_slice(resource.as_bytes());
    }
    out
}

fn lines(resources: &[&str]) -> Vec<String> {
    resources.iter().map(|resource| format!("{{\"resource\":{resource:?}}}")).collect()
}

#[test]
fn any_format_goes_to_any_destination() {
    let sink = Sink::new(99, Vec::new());
    let e = exporter(TraceExporter::builder().ignore_resource("^health$"), &sink);
    let response = e.send(&payload(&["a", "health", "b"])).unwrap();
    assert_eq!((response.traces, response.left_out.filtered.traces), (2, 1));
    assert_eq!(sink.lines(), lines(&["a", "b"]));
    assert!(e.explain().contains("\"chosen\":\"JSON lines\""), "{}", e.explain());
    assert!(e.await_agent(Duration::from_secs(30)).unwrap().is_none());
    let m = e.close().metrics;
    assert_eq!((m.received, m.sent.traces, m.requests), (m.accounted_for(), 2, 1));
}

#[test]
fn what_is_too_large_is_split_and_what_is_refused_is_lost() {
    let refused = Error::new(ErrorKind::HttpStatus, "not you").with_attempts(1);
    let sink = Sink::new(2, vec![Verdict::Lost(refused)]);
    let e = exporter(TraceExporter::builder(), &sink);
    assert_eq!(e.send(&payload(&["x"])).unwrap_err().message(), "not you");
    let response = e.send(&payload(&["a", "b", "c", "d", "e"])).unwrap();
    assert_eq!((response.traces, sink.lines()), (5, lines(&["a", "b", "c", "d", "e"])));
    let m = e.close().metrics;
    assert_eq!((m.received, m.sent.traces), (m.accounted_for(), 5));
    assert_eq!(m.dropped_for(DropReason::Refused).traces, 1);
}

#[test]
fn a_destination_can_be_replaced_while_sends_run() {
    let (old, new) = (Sink::new(99, Vec::new()), Sink::new(99, Vec::new()));
    let e = Arc::new(exporter(TraceExporter::builder(), &old));
    let senders: Vec<_> = (0..2)
        .map(|_| {
            let e = Arc::clone(&e);
            std::thread::spawn(move || (0..200).for_each(|_| drop(e.send(&payload(&["a"])).unwrap())))
        })
        .collect();
    let destination: Arc<dyn Destination> = new.clone();
    let metadata = Arc::new(Metadata::default());
    let compiled = Compiled::default();
    let grounds =
        Grounds { config: &e.config(), metadata: &metadata, compiled: &compiled, concentrator: None };
    let target = Target::new(destination, grounds, &Clock::default());
    let targets = &e.dispatcher.targets;
    let was = targets.replace(&targets.first(), Arc::clone(&target)).unwrap();
    assert!(targets.replace(&was, target).is_none(), "it is not there any more");
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    e.send(&payload(&["b"])).unwrap();
    assert_eq!(new.lines().last(), lines(&["b"]).last());
    assert_eq!(old.lines().len() + new.lines().len(), 401);
    assert_eq!(e.metrics().sent.traces, 401);
}

#[test]
fn what_may_arrive_later_stays_queued_until_it_has() {
    let later = || {
        let error = Error::new(ErrorKind::ConnectionRefused, "away").with_attempts(1);
        Verdict::Later(Later::whole(error.with_possibly_arrived(true)))
    };
    let sink = Sink::new(99, vec![later()]);
    let dir = std::env::temp_dir().join(format!("dp-own-{}", std::process::id()));
    let builder = TraceExporter::builder().spool(dir.to_str().unwrap(), 8 << 20);
    let e = exporter(builder.batch_age(Duration::from_millis(1)), &sink);
    e.offer(&payload(&["a"])).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while e.metrics().sent.traces == 0 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(2));
    }
    let m = e.close().metrics;
    assert_eq!((sink.lines(), m.received), (lines(&["a"]), m.accounted_for()));
    assert_eq!((m.requests, m.sent.traces, m.sent.spans, m.received.spans), (2, 1, 1, 1));
    let _ = std::fs::remove_dir_all(dir);
}
