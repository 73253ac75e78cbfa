//! How a figure comes about.
//!
//! A machine's speed moves by tens of percent within seconds, so no time is compared with one that was taken
//! at another moment. A case is measured in rounds; in each round the walk, our side and every opponent run
//! right after one another, each warmed by one untimed call and then timed for some ten milliseconds. Time is
//! the thread's own processor time, so that what else runs on the machine shows as little as it can (network
//! rows take the clock on the wall). What is kept of a round is ratios. The medians over the rounds are
//! reported in a form in which they can be recomputed from the rows:
//!
//! - `ours / ours of the row "walk"` of the same payload is the median of the paired ratios "our time / the
//!   walk's time";
//! - `ratio` is the median of the paired ratios "the opponent's time / our time", and `opponent` is `ratio *
//!   ours`.
//!
//! The walk's own figure is the median over all walks that were timed on that payload, beside whatever case.
//! Groups may run at different times, so `scripts/bench_join.py` restates all of them with one walk a
//! payload.

use std::collections::BTreeMap;
use std::hint::black_box;

use crate::alloc;
use crate::payloads::Payload;
use crate::results::Row;
use crate::walk::walk;

/// One thing to be measured, against any number of opponents.
pub struct Case<'a> {
    pub name: &'a str,
    /// What the row is about: `ours` and the walk are both of this payload.
    pub payload: &'a Payload,
    pub unit: &'static str,
    /// Spans, values or lines that one call works through; divides the time.
    pub items: f64,
    /// Bytes that one call works through, where a rate in MB/s says something.
    pub bytes: Option<usize>,
    pub ours: Option<Box<dyn FnMut() + 'a>>,
    /// Our side with nothing to reuse, to see how much memory it takes beside the payload.
    pub cold: Option<Box<dyn FnMut() + 'a>>,
    pub opponents: Vec<(&'static str, Box<dyn FnMut() + 'a>)>,
}

impl<'a> Case<'a> {
    /// A case whose items are the payload's spans.
    pub fn per_span(name: &'a str, payload: &'a Payload) -> Self {
        Self::per_item(name, payload, "ns/span", payload.spans as f64)
    }

    pub fn per_item(name: &'a str, payload: &'a Payload, unit: &'static str, items: f64) -> Self {
        Self { name, payload, unit, items, bytes: None, ours: None, cold: None, opponents: Vec::new() }
    }

    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// Our side. What it returns is kept from the optimiser.
    pub fn ours<R>(mut self, mut work: impl FnMut() -> R + 'a) -> Self {
        self.ours = Some(Box::new(move || {
            black_box(work());
        }));
        self
    }

    /// Our side from cold: its peak of memory, as a multiple of the payload, goes into the row.
    pub fn cold<R>(mut self, mut work: impl FnMut() -> R + 'a) -> Self {
        self.cold = Some(Box::new(move || {
            black_box(work());
        }));
        self
    }

    pub fn against<R>(mut self, name: &'static str, mut work: impl FnMut() -> R + 'a) -> Self {
        self.opponents.push((
            name,
            Box::new(move || {
                black_box(work());
            }),
        ));
        self
    }
}

/// Runs cases and collects rows; the walk's figures come at the end, since every case adds to them.
pub struct Bench {
    rounds: usize,
    /// Only rows of this name are measured, if one is given.
    only: Option<String>,
    walks: BTreeMap<String, Vec<f64>>,
    pending: Vec<Pending>,
}

struct Pending {
    row: Row,
    /// Median of ours / walk; `None` for a row in absolute time.
    times_walk: Option<f64>,
    ratio: Option<f64>,
}

impl Bench {
    pub fn new(rounds: usize, only: Option<String>) -> Self {
        Self { rounds, only, walks: BTreeMap::new(), pending: Vec::new() }
    }

    /// Measures a case beside the walk over its payload.
    pub fn run(&mut self, mut case: Case<'_>) {
        if self.only.as_ref().is_some_and(|only| only != case.name) {
            return;
        }
        let bytes = &case.payload.bytes;
        let mut walk_once = || {
            black_box(walk(black_box(bytes)));
        };
        let walk_calls = calls_in_a_slice(&mut walk_once);
        let ours_calls = case.ours.as_mut().map(|work| calls_in_a_slice(work.as_mut()));
        let opponent_calls: Vec<_> =
            case.opponents.iter_mut().map(|(_, w)| calls_in_a_slice(w.as_mut())).collect();

        let mut times_walk = Vec::new();
        let mut ratios = vec![Vec::new(); case.opponents.len()];
        let walks = self.walks.entry(case.payload.name.clone()).or_default();
        for _ in 0..self.rounds {
            let walk_ns = time(cpu_ns, &mut walk_once, walk_calls) / case.payload.spans as f64;
            walks.push(walk_ns);
            let ours = match (&mut case.ours, ours_calls) {
                (Some(work), Some(calls)) => Some(time(cpu_ns, work.as_mut(), calls) / case.items),
                _ => None,
            };
            times_walk.push(ours.unwrap_or(f64::NAN) / walk_ns);
            for (i, (_, work)) in case.opponents.iter_mut().enumerate() {
                let opponent = time(cpu_ns, work.as_mut(), opponent_calls[i]) / case.items;
                // Without a side of ours the opponent stands against the walk, to be printed only.
                ratios[i].push(opponent / ours.unwrap_or(walk_ns));
            }
        }
        let allocations = case.ours.as_mut().map(|work| alloc::allocations(work));
        let working_memory =
            case.cold.as_mut().map(|work| alloc::peak_bytes(work) as f64 / case.payload.bytes.len() as f64);
        let theirs: Vec<_> = case.opponents.iter_mut().map(|(_, work)| alloc::allocations(work)).collect();
        let ours_there = case.ours.is_some();
        let times_walk = ours_there.then(|| median(&mut times_walk));
        let opponents: Vec<_> = case
            .opponents
            .iter()
            .zip(&mut ratios)
            .map(|((name, _), r)| (Some(*name), Some(median(r))))
            .collect();
        let first = self.pending.len();
        self.push(
            &case,
            times_walk,
            allocations,
            if opponents.is_empty() { vec![(None, None)] } else { opponents },
        );
        for (i, pending) in self.pending[first..].iter_mut().enumerate() {
            pending.row.working_memory = working_memory;
            pending.row.opponent_allocations = theirs.get(i).copied();
        }
    }

    /// The row `walk` itself: our walk is already timed in every round, so only the opponents are given.
    pub fn run_walk(
        &mut self,
        payload: &Payload,
        opponents: Vec<(&'static str, fn(&[u8]) -> Option<usize>)>,
    ) {
        let mut case = Case::per_span("walk", payload).ours(|| walk(black_box(&payload.bytes)));
        for (name, other) in opponents {
            assert_eq!(
                other(&payload.bytes),
                walk(&payload.bytes),
                "{name} walks {} differently",
                payload.name
            );
            case = case.against(name, move || other(black_box(&payload.bytes)));
        }
        self.run(case);
        // The row is the yardstick itself, not "the walk beside the walk".
        for pending in self.pending.iter_mut().rev().take_while(|p| p.row.name == "walk") {
            pending.times_walk = Some(1.0);
        }
    }

    /// A figure that was found elsewhere.
    pub fn fact(&mut self, name: &str, payload: &str, unit: &'static str, value: f64) {
        if self.only.as_ref().is_some_and(|only| only != name) {
            return;
        }
        let row = Row {
            name: name.to_owned(),
            payload: payload.to_owned(),
            unit,
            ours: Some(value),
            ..Row::default()
        };
        self.pending.push(Pending { row, times_walk: None, ratio: None });
    }

    /// A case in absolute time, in microseconds a call (network rows): the median over the rounds, paired
    /// with opponents.
    pub fn run_absolute(&mut self, mut case: Case<'_>) {
        let Some(work) = case.ours.as_mut() else { return };
        let ours_calls = calls_in_a_slice(work.as_mut());
        let opponent_calls: Vec<_> =
            case.opponents.iter_mut().map(|(_, w)| calls_in_a_slice(w.as_mut())).collect();
        let mut ours = Vec::new();
        let mut ratios = vec![Vec::new(); case.opponents.len()];
        for _ in 0..self.rounds {
            let Some(work) = case.ours.as_mut() else { return };
            let now = time(wall_ns, work.as_mut(), ours_calls) / case.items;
            ours.push(now);
            for (i, (_, work)) in case.opponents.iter_mut().enumerate() {
                ratios[i].push(time(wall_ns, work.as_mut(), opponent_calls[i]) / case.items / now);
            }
        }
        let allocations = case.ours.as_mut().map(|work| alloc::allocations(work));
        let ours = median(&mut ours) / 1000.0;
        let opponents: Vec<_> = case
            .opponents
            .iter()
            .zip(&mut ratios)
            .map(|((name, _), r)| (Some(*name), Some(median(r))))
            .collect();
        let first = self.pending.len();
        self.push(
            &case,
            None,
            allocations,
            if opponents.is_empty() { vec![(None, None)] } else { opponents },
        );
        for pending in &mut self.pending[first..] {
            pending.row.ours = Some(ours);
        }
    }

    fn push(
        &mut self,
        case: &Case<'_>,
        times_walk: Option<f64>,
        allocations: Option<u64>,
        opponents: Vec<(Option<&'static str>, Option<f64>)>,
    ) {
        for (opponent_name, ratio) in opponents {
            let row = Row {
                name: case.name.to_owned(),
                payload: case.payload.name.clone(),
                unit: case.unit,
                opponent_name,
                allocations,
                bytes_an_item: case.bytes.map(|b| b as f64 / case.items),
                ..Row::default()
            };
            self.pending.push(Pending { row, times_walk, ratio });
        }
    }

    /// The rows, with the walk's medians filled in.
    pub fn rows(self) -> Vec<Row> {
        let mut walks = self.walks;
        let walks: BTreeMap<String, f64> =
            walks.iter_mut().map(|(name, times)| (name.clone(), median(times))).collect();
        self.pending
            .into_iter()
            .map(|Pending { mut row, times_walk, ratio }| {
                let walk = walks.get(&row.payload).copied();
                row.ours = row.ours.or(times_walk.zip(walk).map(|(times, walk)| times * walk));
                row.times_walk = times_walk;
                // An opponent without our side is given in its own time: ratio against the walk times the
                // walk.
                row.opponent = ratio.zip(row.ours.or(walk)).map(|(ratio, base)| ratio * base);
                row.ratio = ratio.filter(|_| row.ours.is_some());
                row
            })
            .collect()
    }
}

/// How many calls fill a slice of a round, after some 30 ms of warming up.
fn calls_in_a_slice(work: &mut dyn FnMut()) -> u32 {
    let (warm, slice) = (30e6, 10e6);
    let start = cpu_ns();
    let wall = wall_ns();
    let mut calls = 0u32;
    while cpu_ns() - start < warm && wall_ns() - wall < 4.0 * warm || calls < 2 {
        work();
        calls += 1;
    }
    let each = (wall_ns() - wall) / f64::from(calls);
    (slice / each).clamp(1.0, 1e7) as u32
}

/// Nanoseconds a call over `calls` calls, after one untimed call.
fn time(clock: fn() -> f64, work: &mut dyn FnMut(), calls: u32) -> f64 {
    work();
    let start = clock();
    for _ in 0..calls {
        work();
    }
    (clock() - start) / f64::from(calls)
}

fn wall_ns() -> f64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// Processor time of this thread: another process on the same core does not show in it.
fn cpu_ns() -> f64 {
    clock_ns(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn clock_ns(clock: libc::clockid_t) -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, which stands on this stack.
    unsafe { libc::clock_gettime(clock, &mut now) };
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}
