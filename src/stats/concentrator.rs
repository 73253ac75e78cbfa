//! Counts spans into groups of time buckets and gives the buckets out when they are due
//! (`spec/reference-behaviour.md` 4.2, 4.7, without the defects of 8.2).
//!
//! A span belongs to the bucket in which it ended. One that ended before the oldest bucket that is still open goes
//! there; one that ends in the future goes to the current bucket, as with an agent from 7.85 on. What was given out and
//! could not be delivered comes back, is merged by bucket and given out again. So much of that is kept as two buckets
//! have groups at most, and so much of what nobody takes while the agent is away: beyond it the oldest is lost and
//! counted.

use super::bucket::{Bounds, Bucket, Collapsed, Group, Sample, StatsLimits};
use super::key::Seed;
use super::pending::Pending;
use super::table::{self, Row};
use super::{otlp_metrics, payload};
use crate::settings::Metadata;
use parking_lot::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// More buckets are never open at once: spans of further times go to the nearest.
const MAX_BUCKETS: usize = 4096;
/// A payload of stats holds no more groups.
pub const MAX_GROUPS_PER_PAYLOAD: usize = 4000;

/// Which bucket a span belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// Buckets of the present; what ended elsewhere is clamped.
    #[default]
    Wall,
    /// Every span keeps the bucket in which it ended, and buckets wait for a forced flush: for old payloads.
    Replay,
}

impl Clock {
    /// As the setting `statsReplay` says.
    pub fn of(replay: bool) -> Self {
        if replay { Self::Replay } else { Self::Wall }
    }
}

/// The groups of all open buckets.
#[derive(Debug)]
pub struct Concentrator {
    size: u64,
    clock: Clock,
    seed: Seed,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Beginning of the oldest bucket that still takes spans.
    oldest: u64,
    /// In the order of their times.
    buckets: Vec<Bucket>,
    /// What could not be delivered, in the order of their times.
    kept: Vec<Bucket>,
    bounds: Bounds,
    told: Collapsed,
    sequence: u64,
    counted: u64,
    sent: u64,
    lost: u64,
    /// Spans lost because too much was kept, as long as nobody was told; and when that was done last, in ns.
    displaced: u64,
    displaced_told: u64,
}

/// What the concentrator has counted: `counted = sent + lost + waiting`, in spans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatsReport {
    /// Spans counted.
    pub counted: u64,
    /// Spans whose stats the agent has taken.
    pub sent: u64,
    /// Spans whose stats were lost: refused, too old to be kept, or perhaps arrived.
    pub lost: u64,
    /// Spans whose stats are not sent yet.
    pub waiting: u64,
    /// Spans that lost a part of their key to a limit.
    pub collapsed: Collapsed,
    /// The groups of the open buckets, for people.
    pub rows: Vec<Row>,
}

impl StatsReport {
    /// The report as one JSON object.
    pub fn to_json(&self) -> String {
        serde_json::json!({
            "counted": self.counted,
            "sent": self.sent,
            "lost": self.lost,
            "waiting": self.waiting,
            "collapsed_spans": self.collapsed.total(),
            "rows": self.rows,
        })
        .to_string()
    }
}

/// Groups of one bucket, on their way.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) start: u64,
    /// The resources of its groups are as it was agreed with the agent.
    pub(crate) agreed: bool,
    pub(crate) groups: Vec<Group>,
}

impl Concentrator {
    /// A concentrator whose buckets last `size`.
    pub fn new(size: Duration, limits: StatsLimits, clock: Clock) -> Self {
        let seed = Seed::default();
        let size = u64::try_from(size.as_nanos()).unwrap_or(u64::MAX).max(1);
        let oldest = if clock == Clock::Wall { align(now_ns(), size) } else { 0 };
        Self {
            size,
            clock,
            seed,
            inner: Mutex::new(Inner {
                oldest,
                buckets: Vec::new(),
                kept: Vec::new(),
                bounds: Bounds::new(limits, seed),
                told: Collapsed::default(),
                sequence: 0,
                counted: 0,
                sent: 0,
                lost: 0,
                displaced: 0,
                displaced_told: 0,
            }),
        }
    }

    /// Hashes keys; the rules that fill a [`Pending`] must use this one.
    pub(crate) fn seed(&self) -> Seed {
        self.seed
    }

    /// Which bucket spans belong to.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// How long a bucket lasts, in ns.
    pub(crate) fn bucket_ns(&self) -> u64 {
        self.size
    }

    /// Counts what was recorded.
    pub fn commit(&self, pending: &mut Pending) {
        if !pending.is_empty() {
            self.commit_at(pending, now_ns());
        }
        pending.counted();
    }

    pub(crate) fn commit_at(&self, pending: &Pending, now: u64) {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let newest = match self.clock {
            Clock::Wall => {
                inner.keep_due(now, self.size);
                align(now, self.size).max(inner.oldest)
            }
            Clock::Replay => u64::MAX,
        };
        // Spans of one payload nearly always end in one bucket: its index and the ends that belong there.
        let (mut at, mut from, mut to) = (0, 1, 0);
        for (record, key) in pending.records() {
            if record.end < from || record.end >= to {
                let start = align(record.end, self.size).clamp(inner.oldest, newest);
                at = inner.bucket(start);
                let found = inner.buckets.get(at).map_or(start, |b| b.start);
                (from, to) = if found == align(record.end, self.size) {
                    (found, found.saturating_add(self.size))
                } else {
                    (1, 0)
                };
            }
            let Some(bucket) = inner.buckets.get_mut(at) else { continue };
            let sample =
                Sample { duration: record.duration, error: record.error, top_level: record.top_level };
            bucket.add(record.hash, key, sample, &mut inner.bounds);
            inner.counted += 1;
        }
    }

    /// Takes out what is due: buckets that are two buckets old (with `force` all of them), and what was kept.
    pub(crate) fn take_due(&self, force: bool) -> Vec<Part> {
        self.take_due_at(now_ns(), force)
    }

    pub(crate) fn take_due_at(&self, now: u64, force: bool) -> Vec<Part> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let current = align(now, self.size);
        if self.clock == Clock::Wall {
            inner.oldest = if force { current } else { current.saturating_sub(self.size) };
        }
        let mut due = std::mem::take(&mut inner.kept);
        let edge = now.saturating_sub(self.size.saturating_mul(2));
        for bucket in std::mem::take(&mut inner.buckets) {
            // A bucket ahead of the clock is one from before the clock was set back.
            let open = self.clock == Clock::Replay
                || bucket.start > edge && bucket.start <= current.saturating_add(self.size);
            if open && !force {
                inner.buckets.push(bucket);
            } else {
                put(&mut due, bucket, &mut inner.bounds);
            }
        }
        split(due)
    }

    /// Takes out what is due, as bodies of `POST /v0.6/stats`; it counts as sent.
    pub fn flush(&self, force: bool, metadata: &Metadata) -> Vec<Vec<u8>> {
        let mut parts = self.take_due(force);
        let mut bodies = Vec::new();
        while !parts.is_empty() {
            let payload = next_payload(&mut parts);
            self.delivered(&payload);
            let mut body = Vec::new();
            payload::encode(&payload, self.size, metadata, self.next_sequence(), &mut body);
            bodies.push(body);
        }
        bodies
    }

    /// Takes out what is due, as the JSON of an OTLP metrics request; it counts as sent. `None`: nothing is due.
    pub fn flush_otlp(&self, force: bool, metadata: &Metadata, tracer_tags: &[String]) -> Option<String> {
        let parts = self.take_due(force);
        if parts.is_empty() {
            return None;
        }
        self.delivered(&parts);
        Some(otlp_metrics::encode(&parts, self.size, metadata, tracer_tags).to_string())
    }

    /// The number of the next payload.
    pub(crate) fn next_sequence(&self) -> u64 {
        let mut inner = self.inner.lock();
        inner.sequence += 1;
        inner.sequence - 1
    }

    /// The agent has taken these.
    pub(crate) fn delivered(&self, parts: &[Part]) {
        self.inner.lock().sent += hits(parts);
    }

    /// These will not be sent. Gives how many spans they stand for.
    pub(crate) fn lose(&self, parts: &[Part]) -> u64 {
        let lost = hits(parts);
        self.inner.lock().lost += lost;
        lost
    }

    /// These could not be delivered and are kept. Spans are lost if too much is kept already: those of the oldest
    /// buckets ([`Self::displaced_news`]).
    pub(crate) fn give_back(&self, parts: Vec<Part>) {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        for part in parts {
            let mut bucket = Bucket::new(part.start);
            part.groups.into_iter().for_each(|g| bucket.merge(g, &mut inner.bounds));
            put(&mut inner.kept, bucket, &mut inner.bounds);
        }
        inner.bound_kept();
    }

    /// How many spans were lost because too much was kept, since this was last told. At most one answer in five minutes
    /// is not 0: while an agent is away it happens with every bucket.
    pub(crate) fn displaced_news(&self) -> u64 {
        self.displaced_news_at(now_ns())
    }

    fn displaced_news_at(&self, now: u64) -> u64 {
        const PAUSE_NS: u64 = 300_000_000_000;
        let mut inner = self.inner.lock();
        if inner.displaced == 0 || now.abs_diff(inner.displaced_told) < PAUSE_NS {
            return 0;
        }
        inner.displaced_told = now;
        std::mem::take(&mut inner.displaced)
    }

    /// Whether nothing waits to be sent.
    pub(crate) fn is_empty(&self) -> bool {
        let inner = self.inner.lock();
        inner.buckets.is_empty() && inner.kept.is_empty()
    }

    /// What was collapsed since this was last asked.
    pub(crate) fn collapsed_news(&self) -> Collapsed {
        let mut inner = self.inner.lock();
        let (now, mut news) = (inner.bounds.collapsed, inner.bounds.collapsed);
        news.whole_key -= inner.told.whole_key;
        for (new, told) in news.fields.iter_mut().zip(inner.told.fields) {
            *new -= told;
        }
        inner.told = now;
        news
    }

    /// How it stands, with the groups of the open buckets.
    pub fn report(&self) -> StatsReport {
        let inner = self.inner.lock();
        StatsReport {
            counted: inner.counted,
            sent: inner.sent,
            lost: inner.lost,
            waiting: inner.counted - inner.sent - inner.lost,
            collapsed: inner.bounds.collapsed,
            rows: table::rows(inner.buckets.iter().chain(&inner.kept).flat_map(|b| &b.groups)),
        }
    }

    /// Bytes of memory held.
    pub fn memory_bytes(&self) -> usize {
        let inner = self.inner.lock();
        inner.buckets.iter().chain(&inner.kept).map(Bucket::bytes).sum()
    }
}

impl Inner {
    /// Moves buckets that are due, and that nobody has taken, to what is kept. The agent is away, or slow.
    fn keep_due(&mut self, now: u64, size: u64) {
        let edge = now.saturating_sub(size.saturating_mul(2));
        let due = self.buckets.partition_point(|bucket| bucket.start <= edge);
        if due == 0 {
            return;
        }
        self.oldest = self.oldest.max(align(now, size).saturating_sub(size));
        for bucket in self.buckets.drain(..due) {
            put(&mut self.kept, bucket, &mut self.bounds);
        }
        self.bound_kept();
    }

    /// Loses the oldest of what is kept until the rest has no more groups than two full buckets.
    fn bound_kept(&mut self) {
        let most = 2 * self.bounds.limits.whole_key as usize;
        let mut groups: usize = self.kept.iter().map(|b| b.groups.len()).sum();
        let mut over = 0;
        for bucket in &self.kept {
            if groups <= most || over + 1 == self.kept.len() {
                break;
            }
            groups -= bucket.groups.len();
            over += 1;
        }
        let lost: u64 = self.kept.drain(..over).map(|bucket| bucket.hits()).sum();
        self.lost += lost;
        self.displaced += lost;
    }

    /// The index of the bucket that starts at `start`, or of the nearest if there are too many.
    fn bucket(&mut self, start: u64) -> usize {
        match self.buckets.binary_search_by_key(&start, |b| b.start) {
            Ok(at) => at,
            Err(at) if self.buckets.len() >= MAX_BUCKETS => at.min(MAX_BUCKETS - 1),
            Err(at) => {
                self.buckets.insert(at, Bucket::new(start));
                at
            }
        }
    }
}

/// Puts a bucket among others, merging it with the one of the same time.
fn put(buckets: &mut Vec<Bucket>, bucket: Bucket, bounds: &mut Bounds) {
    match buckets.binary_search_by_key(&bucket.start, |b| b.start) {
        Ok(at) => {
            if let Some(known) = buckets.get_mut(at) {
                bucket.groups.into_iter().for_each(|g| known.merge(g, bounds));
            }
        }
        Err(at) => buckets.insert(at, bucket),
    }
}

/// Cuts buckets so that no part has more groups than a payload may have, and what is claimed of one group holds for
/// all.
fn split(buckets: Vec<Bucket>) -> Vec<Part> {
    let mut parts = Vec::new();
    for Bucket { start, groups, .. } in buckets {
        let (done, raw): (Vec<_>, Vec<_>) = groups.into_iter().partition(|g| g.key().facts().agreed);
        for (agreed, mut rest) in [(false, raw), (true, done)] {
            while rest.len() > MAX_GROUPS_PER_PAYLOAD {
                let tail = rest.split_off(MAX_GROUPS_PER_PAYLOAD);
                parts.push(Part { start, agreed, groups: rest });
                rest = tail;
            }
            if !rest.is_empty() {
                parts.push(Part { start, agreed, groups: rest });
            }
        }
    }
    parts.sort_by_key(|part| part.agreed);
    parts
}

/// Takes parts for one payload off the end of the list: all of them agreed, or none.
pub(crate) fn next_payload(parts: &mut Vec<Part>) -> Vec<Part> {
    let mut taken: Vec<Part> = Vec::new();
    let mut groups = 0;
    while let Some(part) = parts.pop() {
        groups += part.groups.len();
        let differs = taken.first().is_some_and(|first| first.agreed != part.agreed);
        if differs || groups > MAX_GROUPS_PER_PAYLOAD && !taken.is_empty() {
            parts.push(part);
            break;
        }
        taken.push(part);
    }
    taken.reverse();
    taken
}

fn hits(parts: &[Part]) -> u64 {
    parts.iter().flat_map(|p| &p.groups).map(Group::hits).sum()
}

fn align(t: u64, size: u64) -> u64 {
    t - t % size
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::observe::{Rules, STATS_SLOTS};
    use super::*;
    use crate::msgpack::writer as w;
    use crate::trace::{Arena, Interest, OnMalformed, Payload, TOP_LEVEL_SLOTS, TopLevel, Verdict};

    const SIZE: u64 = 10_000_000_000;
    const BEGIN: u64 = 1_790_000_000_000_000_000;

    /// Counts one span for each resource, all of which ended at `now`.
    fn count(concentrator: &Concentrator, resources: std::ops::Range<u32>, now: u64) {
        let mut bytes = Vec::new();
        w::array_head(&mut bytes, 1);
        w::array_head(&mut bytes, resources.len() as u32);
        for resource in resources {
            w::map_head(&mut bytes, 3);
            for (key, value) in
                [("service", "shop".to_owned()), ("resource", format!("GET /orders/{resource}"))]
            {
                w::str(&mut bytes, key.as_bytes());
                w::str(&mut bytes, value.as_bytes());
            }
            w::str(&mut bytes, b"start");
            w::int(&mut bytes, now as i64);
        }
        let mut interest = Interest::none().slots(STATS_SLOTS).slots(TOP_LEVEL_SLOTS);
        let none = std::iter::empty();
        let rules = Rules::new(concentrator, &[], none, &[], |_, _| Verdict::Keep, &mut interest);
        let (mut arena, mut pending) = (Arena::new(), Pending::default());
        let mut payload = Payload::scan(&bytes, &mut arena, &interest, OnMalformed::Fail).unwrap();
        TopLevel { mark: false }.apply(&mut payload);
        pending.begin();
        rules.observe(&payload, &mut pending, None);
        concentrator.commit_at(&pending, now);
    }

    fn concentrator() -> Concentrator {
        let mut limits = StatsLimits::default();
        (limits.whole_key, limits.resource) = (1000, 900);
        Concentrator::new(Duration::from_nanos(SIZE), limits, Clock::Wall)
    }

    fn is_true(concentrator: &Concentrator) -> StatsReport {
        let report = concentrator.report();
        let groups: u64 = report.rows.iter().map(|row| row.hits).sum();
        assert_eq!(report.waiting, groups, "what waits is what is there");
        report
    }

    #[test]
    fn an_hour_without_an_agent_costs_no_more_than_a_few_minutes() {
        let concentrator = concentrator();
        concentrator.inner.lock().oldest = BEGIN;
        let mut after_minutes = 0;
        for turn in 0..360u64 {
            // Every bucket has resources of its own.
            let first = turn as u32 * 1000;
            count(&concentrator, first..first + 250, BEGIN + turn * SIZE);
            if turn == 30 {
                after_minutes = concentrator.memory_bytes();
            }
        }
        let report = is_true(&concentrator);
        assert_eq!(report.counted, 360 * 250);
        // Eight buckets are kept, two are not due.
        assert_eq!((report.waiting, report.lost), (10 * 250, 350 * 250));
        let bytes = concentrator.memory_bytes();
        assert!(
            bytes < after_minutes * 5 / 4,
            "{bytes} bytes after an hour, {after_minutes} after five minutes"
        );
        // One line in five minutes tells of it.
        let now = BEGIN + 360 * SIZE;
        assert_eq!(concentrator.displaced_news_at(now), 350 * 250);
        let first = 360_000;
        count(&concentrator, first..first + 250, now);
        assert_eq!(concentrator.displaced_news_at(now + SIZE), 0);
        assert_eq!(concentrator.displaced_news_at(now + 300_000_000_000), 250);
        // When the agent is back it gets what is kept.
        let parts = concentrator.take_due_at(now + 3 * SIZE, false);
        assert_eq!((parts.len(), hits(&parts)), (10, 10 * 250));
        concentrator.delivered(&parts);
        assert_eq!(is_true(&concentrator).waiting, 0);
    }

    #[test]
    fn what_cannot_be_delivered_is_bounded_like_what_nobody_takes() {
        let concentrator = concentrator();
        concentrator.inner.lock().oldest = BEGIN;
        for turn in 0..60u64 {
            let now = BEGIN + turn * SIZE;
            let first = turn as u32 * 1000;
            count(&concentrator, first..first + 250, now);
            concentrator.give_back(concentrator.take_due_at(now, false));
            assert!(is_true(&concentrator).waiting <= 10 * 250);
        }
        let report = is_true(&concentrator);
        assert_eq!((report.counted, report.lost), (60 * 250, 50 * 250));
        // The same groups again and again are merged by bucket and take no more.
        let bytes = concentrator.memory_bytes();
        for _ in 0..10 {
            concentrator.give_back(concentrator.take_due_at(BEGIN + 59 * SIZE, false));
        }
        assert_eq!(is_true(&concentrator), report);
        assert!(concentrator.memory_bytes() <= bytes * 5 / 4);
    }

    #[test]
    fn a_span_that_ended_before_the_oldest_open_bucket_goes_there() {
        let concentrator = concentrator();
        concentrator.inner.lock().oldest = BEGIN;
        count(&concentrator, 0..1, BEGIN);
        count(&concentrator, 1..2, BEGIN + 3 * SIZE);
        // It would belong to the bucket that is kept by now.
        count(&concentrator, 2..3, BEGIN + 3 * SIZE);
        let starts =
            |buckets: &[Bucket]| buckets.iter().map(|b| (b.start - BEGIN) / SIZE).collect::<Vec<_>>();
        let inner = concentrator.inner.lock();
        assert_eq!((starts(&inner.kept), starts(&inner.buckets)), (vec![0], vec![3]));
        assert_eq!(inner.oldest, BEGIN + 2 * SIZE);
    }
}
