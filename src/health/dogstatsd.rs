//! Health metrics over DogStatsD, by UDP or a Unix datagram socket. Names are those of the reference's
//! exporter (`datadog.tracer.exporter.*`), plus the latency of a send, the state of the queue, and every loss of traces
//! and spans by reason, as the account has it. Datagrams may be lost and are never waited for.
//!
//! A send appends its lines to a bounded buffer; the exporter's task thread sends what is there every ten
//! seconds, and `close` sends the rest.

use crate::account::{Counts, DropReason, Metrics};
use crate::delivery::outbox::queue::QueueStatus;
use crate::delivery::watch::{Body, Event};
use crate::error::{Error, ErrorKind};
use crate::settings::StatsdUrl;
use crate::stats::Collapsed;
use crate::transport::gate::Gate;
use crate::transport::lookup::Lookup;
use parking_lot::Mutex;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long lines wait.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);
/// The port when neither the caller nor the agent names one.
const DEFAULT_PORT: u16 = 8125;
/// Looking up the listener's name takes no longer; then these lines are lost.
const LOOKUP_LIMIT: Duration = Duration::from_secs(2);
/// More is not kept between two flushes.
const MAX_BUFFER: usize = 256 * 1024;
/// What fits into one datagram on every path (as Datadog's clients have it).
const UDP_DATAGRAM: usize = 1432;
#[cfg(unix)]
const UNIX_DATAGRAM: usize = 8192;

const PREFIX: &str = "datadog.tracer.exporter.";
const TAGS: &str = concat!("|#data_pipeline_version:", env!("CARGO_PKG_VERSION"));

/// The metrics of one exporter.
#[derive(Debug)]
pub(crate) struct Statsd {
    target: StatsdUrl,
    buffer: Mutex<String>,
    lookup: Option<(Arc<Lookup>, Gate)>,
    /// What the name stood for at the last flush.
    resolved: Mutex<Option<IpAddr>>,
    sent: AtomicU64,
    lost: AtomicU64,
    /// Payloads refused and evicted that were told of.
    told: Mutex<[u64; 2]>,
    /// Losses by reason that were told of.
    told_losses: Mutex<[Counts; DropReason::ALL.len()]>,
    /// There are losses that were not.
    owes: AtomicBool,
}

impl Statsd {
    pub(crate) fn new(target: StatsdUrl) -> Self {
        let lookup = match &target {
            StatsdUrl::Udp { host, .. } => Some((Lookup::new(host, "dogstatsd"), Gate::default())),
            StatsdUrl::Unix { .. } => None,
        };
        Self {
            target,
            lookup,
            buffer: Mutex::default(),
            resolved: Mutex::new(None),
            sent: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            told: Mutex::default(),
            told_losses: Mutex::default(),
            owes: AtomicBool::new(false),
        }
    }

    /// Something happened. Gives whether the buffer was empty, so that a flush must be arranged.
    pub(crate) fn notify(&self, event: &Event<'_>) -> bool {
        match event {
            Event::Read(counts) => {
                self.append(|b| line(b, "deserialize.traces", counts.traces, "c", format_args!("")))
            }
            Event::Unread => self.append(|b| line(b, "deserialize.errors", 1, "c", format_args!(""))),
            Event::Delivered(body) => self.append(|b| {
                body_lines(b, body);
                line(b, "transport.traces.successful", body.traces, "c", format_args!(""));
            }),
            Event::NotDelivered(body, error, reason) => self.append(|b| {
                body_lines(b, body);
                let reason = reason.name();
                let reason = format_args!(",reason:{reason}");
                line(b, "transport.traces.failed", 1, "c", format_args!(",type:{}", Type(error)));
                line(b, "transport.dropped.bytes", body.bytes, "d", reason);
                line(b, "transport.traces.dropped", body.traces, "d", reason);
            }),
            Event::Collapsed(news) => self.collapsed(news),
            Event::SenderStarted => true,
            // How much it is, the account says when its time has come.
            Event::Lost { .. } => !self.owes.swap(true, Ordering::Relaxed),
            Event::Repaired(_) | Event::Note(..) => false,
        }
    }

    /// Whether something waits to be told.
    pub(crate) fn waits(&self) -> bool {
        self.owes.load(Ordering::Relaxed) || !self.buffer.lock().is_empty()
    }

    /// What was lost since the last time, by reason. Sampling and filters are no loss.
    pub(crate) fn losses(&self, account: &Metrics) {
        self.owes.store(false, Ordering::Relaxed);
        let mut told = self.told_losses.lock();
        if *told == account.dropped {
            return;
        }
        let before = std::mem::replace(&mut *told, account.dropped);
        drop(told);
        self.append(|b| {
            for ((reason, now), before) in DropReason::ALL.iter().zip(account.dropped).zip(before) {
                let Counts { traces, spans, .. } = now.minus(before);
                for (name, n) in [("dropped.traces", traces), ("dropped.spans", spans)] {
                    if n > 0 {
                        line(b, name, n, "c", format_args!(",reason:{}", reason.name()));
                    }
                }
            }
        });
    }

    /// Spans of stats lost a part of their key to a limit.
    fn collapsed(&self, news: &Collapsed) -> bool {
        self.append(|b| {
            let mut point = |n: u64, fields: &[&str]| {
                if n > 0 {
                    let _ = write!(b, "datadog.tracer.stats.collapsed_spans:{n}|c{TAGS}");
                    fields.iter().for_each(|field| {
                        let _ = write!(b, ",collapsed_spans:{field}");
                    });
                    b.push('\n');
                }
            };
            point(news.whole_key, &["whole_key"]);
            for (bits, n) in news.fields.into_iter().enumerate() {
                let names = Collapsed::FIELDS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
                point(n, &names.map(|(_, name)| *name).collect::<Vec<_>>());
            }
        })
    }

    /// How the queue stands, if something is in it or was lost since the last time.
    pub(crate) fn queue(&self, q: &QueueStatus) {
        let now = [q.refused, q.evicted];
        let before = std::mem::replace(&mut *self.told.lock(), now);
        if q.payloads == 0 && q.senders == 0 && before == now {
            return;
        }
        self.append(|b| {
            let none = format_args!("");
            line(b, "queue.payloads", q.payloads, "g", none);
            line(b, "queue.bytes", q.bytes, "g", none);
            line(b, "queue.oldest_ms", q.oldest.as_millis() as u64, "g", none);
            for (name, (now, before)) in ["queue.refused", "queue.evicted"].iter().zip(now.iter().zip(before))
            {
                if *now > before {
                    line(b, name, now - before, "c", none);
                }
            }
        });
    }

    fn append(&self, write: impl FnOnce(&mut String)) -> bool {
        let mut buffer = self.buffer.lock();
        if buffer.len() > MAX_BUFFER {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        let was_empty = buffer.is_empty();
        write(&mut buffer);
        was_empty
    }

    /// Sends what is there. `port` is what the agent's `/info` says.
    pub(crate) fn flush(&self, port: Option<u16>) {
        self.flush_to(port, false);
    }

    fn flush_to(&self, port: Option<u16>, last: bool) {
        let text = std::mem::take(&mut *self.buffer.lock());
        if text.is_empty() {
            return;
        }
        let (send, size) = match self.open(port, last) {
            Ok(opened) => opened,
            Err(_) => {
                self.lost.fetch_add(text.lines().count() as u64, Ordering::Relaxed);
                return;
            }
        };
        for datagram in datagrams(&text, size) {
            let counter = if send(datagram.as_bytes()).is_ok() { &self.sent } else { &self.lost };
            counter.fetch_add(datagram.lines().count() as u64, Ordering::Relaxed);
        }
    }

    /// Sends what is there while the exporter closes: without looking up a name, which may take long.
    pub(crate) fn flush_last(&self, port: Option<u16>) {
        self.flush_to(port, true);
    }

    /// Address in force, lines sent, lines lost.
    pub(crate) fn status(&self, port: Option<u16>) -> (String, u64, u64) {
        let address = match &self.target {
            StatsdUrl::Udp { host, port: None } => {
                StatsdUrl::Udp { host: host.clone(), port: Some(port.unwrap_or(DEFAULT_PORT)) }.to_string()
            }
            other => other.to_string(),
        };
        (address, self.sent.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed))
    }

    fn open(&self, port: Option<u16>, last: bool) -> std::io::Result<(Datagrams, usize)> {
        match &self.target {
            StatsdUrl::Udp { host, port: own } => {
                let port = own.or(port).unwrap_or(DEFAULT_PORT);
                let address = SocketAddr::new(self.address(host, last)?, port);
                let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
                socket.set_nonblocking(true)?;
                socket.connect(address)?;
                Ok((Box::new(move |bytes| socket.send(bytes).map(drop)), UDP_DATAGRAM))
            }
            #[cfg(unix)]
            StatsdUrl::Unix { path } => {
                let socket = std::os::unix::net::UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                socket.connect(path)?;
                Ok((Box::new(move |bytes| socket.send(bytes).map(drop)), UNIX_DATAGRAM))
            }
            #[cfg(not(unix))]
            StatsdUrl::Unix { .. } => Err(std::io::ErrorKind::Unsupported.into()),
        }
    }
}

impl Statsd {
    /// What the host's name stands for. `last`: only what is known already.
    fn address(&self, host: &str, last: bool) -> std::io::Result<IpAddr> {
        if let Ok(ip) = host.parse() {
            return Ok(ip);
        }
        let known = *self.resolved.lock();
        if last {
            return known.ok_or_else(|| std::io::ErrorKind::NotFound.into());
        }
        let (lookup, gate) = self.lookup.as_ref().ok_or(std::io::ErrorKind::NotFound)?;
        let found = lookup.addresses(Instant::now() + LOOKUP_LIMIT, gate).map_err(std::io::Error::other)?;
        // A name service that is silent now has perhaps answered before.
        let ip = found.and_then(|ips| ips.first().copied()).or(known).ok_or(std::io::ErrorKind::TimedOut)?;
        *self.resolved.lock() = Some(ip);
        Ok(ip)
    }
}

type Datagrams = Box<dyn Fn(&[u8]) -> std::io::Result<()>>;

fn body_lines(buffer: &mut String, body: &Body) {
    let none = format_args!("");
    line(buffer, "transport.sent.bytes", body.bytes, "d", none);
    line(buffer, "transport.traces.sent", body.traces, "d", none);
    line(buffer, "transport.requests", body.requests, "d", none);
    line(buffer, "transport.latency", body.started.elapsed().as_millis() as u64, "d", none);
}

fn line(buffer: &mut String, name: &str, value: u64, kind: &str, more_tags: std::fmt::Arguments<'_>) {
    let _ = writeln!(buffer, "{PREFIX}{name}:{value}|{kind}{TAGS}{more_tags}");
}

/// The tag that the reference gives a failure.
struct Type<'a>(&'a Error);

impl std::fmt::Display for Type<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0.status(), self.0.kind()) {
            (Some(status), ErrorKind::HttpStatus | ErrorKind::PayloadTooLarge) => write!(f, "{status}"),
            (_, ErrorKind::TimedOut) => f.write_str("timeout"),
            (_, ErrorKind::InvalidResponse) => f.write_str("response_body"),
            (_, ErrorKind::PayloadTooLarge) => f.write_str("413"),
            (_, ErrorKind::AgentDown) => f.write_str("agent_down"),
            _ => f.write_str("network"),
        }
    }
}

/// Whole lines, as many as fit.
fn datagrams(text: &str, size: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = 0;
        while let Some(n) = rest[end..].find('\n') {
            if end > 0 && end + n > size {
                break;
            }
            end += n + 1;
        }
        let (datagram, behind) = rest.split_at(if end == 0 { rest.len() } else { end });
        rest = behind;
        Some(datagram.trim_end_matches('\n'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_packed_whole_and_none_is_lost() {
        let text: String = (0..500).map(|n| format!("metric.number.{n}:1|c\n")).collect();
        let packed: Vec<&str> = datagrams(&text, 100).collect();
        assert!(packed.len() > 50 && packed.iter().all(|d| d.len() <= 100), "{packed:?}");
        assert_eq!(packed.join("\n") + "\n", text);
        assert_eq!(datagrams(&"x".repeat(200), 100).count(), 1);
    }

    #[test]
    fn a_listener_gets_the_names_of_the_reference() {
        let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
        listener.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let statsd = Statsd::new(StatsdUrl::parse("udp://127.0.0.1").unwrap());
        assert!(statsd.notify(&Event::Read(Counts { traces: 3, spans: 9, bytes: 90 })));
        assert!(!statsd.notify(&Event::Unread));
        let started = Instant::now() - Duration::from_millis(7);
        let body = Body { traces: 3, bytes: 90, requests: 2, status: 200, started };
        statsd.notify(&Event::Delivered(body));
        let error = Error::new(ErrorKind::HttpStatus, "").with_status(503);
        statsd.notify(&Event::NotDelivered(body, &error, DropReason::Overloaded));
        statsd.flush(Some(port));
        let mut text = String::new();
        let mut buffer = [0; 2000];
        while text.lines().count() < 14 {
            let n = listener.recv(&mut buffer).unwrap();
            text += std::str::from_utf8(&buffer[..n]).unwrap();
            text.push('\n');
        }
        for expected in [
            "deserialize.traces:3|c|#data_pipeline_version:",
            "deserialize.errors:1|c",
            "transport.sent.bytes:90|d",
            "transport.traces.sent:3|d",
            "transport.requests:2|d",
            "transport.latency:",
            "transport.traces.successful:3|c",
            "transport.traces.failed:1|c",
            ",type:503",
            "transport.dropped.bytes:90|d",
            "transport.traces.dropped:3|d",
            ",reason:overloaded",
        ] {
            assert!(text.contains(expected), "{expected} in\n{text}");
        }
        assert_eq!(statsd.status(Some(port)), (format!("udp://127.0.0.1:{port}"), 14, 0));
    }

    #[test]
    fn losses_are_told_by_reason_as_they_rise() {
        let statsd = Statsd::new(StatsdUrl::parse("udp://127.0.0.1").unwrap());
        let mut account = Metrics::default();
        let told = |account: &Metrics| {
            statsd.losses(account);
            let text = std::mem::take(&mut *statsd.buffer.lock());
            text.lines().map(|l| l.replace(PREFIX, "").replace(TAGS, "")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(told(&account), "");
        let lost = Event::Lost {
            reason: DropReason::QueueFull,
            counts: Counts::default(),
            why: "",
            first: &|| None,
        };
        assert!(statsd.notify(&lost) && !statsd.notify(&lost) && statsd.waits());
        account.dropped[DropReason::QueueFull as usize] = Counts { traces: 3, spans: 0, bytes: 9 };
        account.dropped[DropReason::Refused as usize] = Counts { traces: 1, spans: 7, bytes: 9 };
        account.sampled_out = Counts { traces: 50, spans: 60, bytes: 70 };
        assert_eq!(
            told(&account),
            "dropped.traces:1|c,reason:refused dropped.spans:7|c,reason:refused \
             dropped.traces:3|c,reason:queue_full"
        );
        assert!(!statsd.waits() && statsd.notify(&lost), "the next one begins anew");
        account.dropped[DropReason::QueueFull as usize].traces += 2;
        assert_eq!(told(&account), "dropped.traces:2|c,reason:queue_full");
        assert_eq!(told(&account), "");
    }

    #[test]
    fn the_queue_is_told_of_while_something_is_in_it_and_what_it_lost_once() {
        let statsd = Statsd::new(StatsdUrl::parse("udp://127.0.0.1").unwrap());
        let told = |q: &QueueStatus| {
            statsd.queue(q);
            let text = std::mem::take(&mut *statsd.buffer.lock());
            let points = text.lines().map(|l| {
                l.strip_prefix(PREFIX).and_then(|l| l.strip_suffix(TAGS)).unwrap_or("other").to_owned()
            });
            points.collect::<Vec<_>>().join(" ")
        };
        let empty = QueueStatus::default();
        assert_eq!(told(&empty), "");
        let some = QueueStatus { payloads: 2, bytes: 70, oldest: Duration::from_millis(5), ..empty };
        assert_eq!(told(&some), "queue.payloads:2|g queue.bytes:70|g queue.oldest_ms:5|g");
        let lossy = QueueStatus { refused: 3, evicted: 1, ..some };
        let state = "queue.payloads:2|g queue.bytes:70|g queue.oldest_ms:5|g";
        assert_eq!(told(&lossy), format!("{state} queue.refused:3|c queue.evicted:1|c"));
        assert_eq!(told(&lossy), state);
        let gone = QueueStatus { refused: 4, evicted: 1, ..empty };
        let zero = "queue.payloads:0|g queue.bytes:0|g queue.oldest_ms:0|g";
        assert_eq!(told(&gone), format!("{zero} queue.refused:1|c"));
        assert_eq!(told(&gone), "");
    }

    #[test]
    fn without_a_listener_nothing_waits_and_the_loss_is_known() {
        let missing = if cfg!(unix) { "unix:///nonexistent/dsd.socket" } else { "udp://127.0.0.1:9" };
        let statsd = Statsd::new(StatsdUrl::parse(missing).unwrap());
        for _ in 0..100_000 {
            statsd.notify(&Event::Unread);
        }
        assert!(statsd.buffer.lock().len() < MAX_BUFFER + 1000);
        statsd.flush(None);
        assert!(statsd.buffer.lock().is_empty());
    }
}
