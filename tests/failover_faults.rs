//! The fault matrix of two destinations (`make faults`): either is killed and started again under load, or both; the
//! second is an agent, an OTLP endpoint or Datadog's intake. Peers are processes, killed without a word.
//!
//! For every row: nothing is lost, each trace arrives, and no more of them twice than count as `possibly_duplicated`;
//! the account is closed, and what each destination is said to have taken adds up to what was sent and arrived there.

#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(unix)]

#[path = "support/agent_process.rs"]
mod agent_process;
#[path = "support/msgpack.rs"]
mod msgpack;
mod support;

use agent_process::{Agent, Arrived, address};
use data_pipeline::{Compression, Destination, OtlpEncoding, TraceExporter};
use msgpack::*;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::Listen;

/// Who is gone, in tenths of a second: when who is killed and started.
#[derive(Clone, Copy, Debug)]
struct Plan {
    name: &'static str,
    /// Whether each is there at the beginning.
    up: [bool; 2],
    /// When, which one, and whether it is started.
    steps: &'static [(u64, usize, bool)],
    end: u64,
}

/// A send has 6 s, a destination that is not the last hope 3 of them; of what is queued the first has 6 s. So the first
/// is away for longer than that, and both together for less than what is left.
const BUDGET: Duration = Duration::from_secs(6);
const PLANS: [Plan; 3] = [
    Plan { name: "the first", up: [true, true], steps: &[(10, 0, false), (95, 0, true)], end: 120 },
    // Only the second is there, so that it is the one in use.
    Plan {
        name: "the second",
        up: [false, true],
        steps: &[(85, 1, false), (95, 1, true), (110, 0, true)],
        end: 135,
    },
    Plan {
        name: "both",
        up: [true, true],
        steps: &[(10, 0, false), (10, 1, false), (25, 1, true), (95, 0, true)],
        end: 120,
    },
];

/// What the second destination is.
#[derive(Clone, Copy, Debug)]
enum Second {
    Agent,
    Otlp,
    Intake,
}

impl Second {
    fn at(self, url: &str) -> Destination {
        match self {
            Self::Agent => Destination::agent(url).into(),
            Self::Otlp => Destination::otlp(url).encoding(OtlpEncoding::Json).into(),
            Self::Intake => {
                let key = "0123456789abcdef0123456789abcdef";
                Destination::intake("datadoghq.com", key).url(url).compression(Compression::None).into()
            }
        }
    }
}

struct Row {
    case: String,
    sent: u64,
    taken: Vec<u64>,
    twice: u64,
    possibly: u64,
    longest_ms: u128,
}

/// A payload of one trace of one span, with an id of its own.
fn payload(ids: &AtomicU64) -> Vec<u8> {
    let id = ids.fetch_add(1, Ordering::Relaxed);
    array([array([span_with("trace_id", u64_(id))])])
}

fn taken(e: &TraceExporter) -> Vec<u64> {
    let all: Value = serde_json::from_str(&e.explain()).unwrap();
    let all = all["destinations"].as_array().unwrap().clone();
    all.iter().map(|one| one["taken"]["traces"].as_u64().unwrap()).collect()
}

fn play(plan: Plan, second: Second, queued: bool) -> Row {
    let case =
        format!("{} killed, agent and {second:?}, {}", plan.name, if queued { "queue" } else { "sends" });
    let [(first_at, first_url), (second_at, second_url)] = [address(Listen::Tcp), address(Listen::Tcp)];
    let at = [first_at, second_at];
    let mut up: Vec<Option<Agent>> =
        at.iter().zip(plan.up).map(|(at, is_up)| is_up.then(|| Agent::start(at))).collect();
    let e = TraceExporter::builder()
        .destinations(Destination::agent(first_url), [second.at(&second_url)])
        .send_budget(BUDGET)
        .async_budget(Duration::from_secs(60))
        .batch_bytes(0)
        .service("shop")
        .build()
        .unwrap();
    let ids = AtomicU64::new(1_000_000);
    let longest = Mutex::new(Duration::ZERO);
    let started = Instant::now();
    let end = Duration::from_millis(plan.end * 100);
    let mut arrived = [Arrived::default(), Arrived::default()];
    std::thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                while started.elapsed() < end {
                    let began = Instant::now();
                    if queued {
                        e.offer(&payload(&ids)).unwrap();
                    } else {
                        e.send(&payload(&ids)).unwrap_or_else(|error| panic!("{case}: {error}"));
                    }
                    let mut longest = longest.lock().unwrap();
                    *longest = longest.max(began.elapsed());
                    drop(longest);
                    std::thread::sleep(Duration::from_millis(10));
                }
            });
        }
        for (when, which, starts) in plan.steps {
            std::thread::sleep(Duration::from_millis(when * 100).saturating_sub(started.elapsed()));
            if *starts {
                up[*which] = Some(Agent::start(&at[*which]));
            } else {
                let gone = up[*which].take().unwrap().kill();
                arrived[*which].ids.extend(gone.ids);
            }
        }
    });
    if queued {
        let report = e.flush(Duration::from_secs(60));
        assert!(report.complete, "{case}: {report:?}");
    }
    let taken = taken(&e);
    let m = e.close().metrics;
    for (agent, arrived) in up.into_iter().zip(&mut arrived) {
        arrived.ids.extend(agent.map(Agent::kill).unwrap_or_default().ids);
    }

    let all = ids.into_inner() - 1_000_000;
    assert_eq!((m.received, m.dropped_total().traces), (m.accounted_for(), 0), "{case}: {m:#?}");
    assert_eq!((m.sent.traces, m.received.traces), (all, all), "{case}");
    assert_eq!(taken.iter().sum::<u64>(), all, "{case}: the account says where each went");
    let mut times = HashMap::<u64, u64>::new();
    for id in arrived.iter().flat_map(|arrived| &arrived.ids) {
        *times.entry(*id).or_default() += 1;
    }
    assert_eq!(times.len() as u64, all, "{case}: each trace has arrived");
    let twice: u64 = times.values().map(|n| n - 1).sum();
    assert!(twice <= m.possibly_duplicated, "{case}: {twice} twice, {} possibly", m.possibly_duplicated);
    for (arrived, taken) in arrived.iter().zip(&taken) {
        assert!(arrived.ids.len() as u64 >= *taken, "{case}: {} arrived, {taken} taken", arrived.ids.len());
    }
    // One that comes at the end is perhaps not found before it.
    assert!(taken[1] > 0 && (taken[0] > 0 || !plan.up[0]), "{case}: each had its turn: {taken:?}");
    Row {
        case,
        sent: all,
        taken,
        twice,
        possibly: m.possibly_duplicated,
        longest_ms: longest.into_inner().unwrap().as_millis(),
    }
}

#[test]
fn nothing_is_lost_while_either_of_two_destinations_is_killed_and_started_again() {
    let mut jobs = Vec::new();
    for plan in PLANS {
        for second in [Second::Agent, Second::Otlp, Second::Intake] {
            jobs.extend([(plan, second, false), (plan, second, true)]);
        }
    }
    let (jobs, rows) = (Mutex::new(jobs), Mutex::new(Vec::new()));
    std::thread::scope(|s| {
        for _ in 0..6 {
            s.spawn(|| {
                loop {
                    let Some((plan, second, queued)) = jobs.lock().unwrap().pop() else { return };
                    let row = play(plan, second, queued);
                    rows.lock().unwrap().push(row);
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort_by(|a, b| a.case.cmp(&b.case));
    println!(
        "{:<48} {:>6} {:>8} {:>8} {:>6} {:>8} {:>8}",
        "case", "sent", "to 1st", "to 2nd", "twice", "possibly", "ms"
    );
    for r in &rows {
        println!(
            "{:<48} {:>6} {:>8} {:>8} {:>6} {:>8} {:>8}",
            r.case, r.sent, r.taken[0], r.taken[1], r.twice, r.possibly, r.longest_ms
        );
    }
    println!("{} cases, nothing lost, nothing twice that is not known", rows.len());
}
