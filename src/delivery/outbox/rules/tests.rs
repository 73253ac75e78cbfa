use super::*;
use crate::account::Counts;
use crate::delivery::outbox::spool::{Meta, Record};
use crate::delivery::outbox::store::{Left, Store, Taken};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn settings() -> QueueSettings {
    QueueSettings {
        bytes: 1000,
        payloads: 10,
        senders: 2,
        batch_bytes: 300,
        batch_age: ms(200),
        budget: ms(60_000),
        overflow: Overflow::DropNewest,
        block_wait: ms(0),
        spool: None,
    }
}

/// A queue and its time.
struct Play {
    rules: Rules,
    settings: QueueSettings,
    now: Instant,
    evicted: Vec<Parcel>,
}

impl Play {
    fn new(change: impl FnOnce(&mut QueueSettings)) -> Self {
        let mut settings = settings();
        change(&mut settings);
        Self { rules: Rules::default(), settings, now: Instant::now(), evicted: Vec::new() }
    }

    fn offer(&mut self, size: usize) -> Admission {
        let admission = self.rules.admit(&self.settings, size, true, &mut self.evicted);
        if let Admission::Room(mut buffer) = admission {
            let room = buffer.capacity().max(size);
            buffer.clear();
            buffer.reserve_exact(size);
            buffer.resize(size, 0x90);
            let counts = Counts { traces: 1, spans: 0, bytes: size as u64 };
            let record = Record { payload: buffer, meta: Meta { counts, ..Meta::default() } };
            let parcel = Parcel::new(record, self.now, self.rules.number(), None);
            self.rules.push(&self.settings, parcel, room);
            return Admission::Room(Vec::new());
        }
        admission
    }

    fn takes(&mut self, size: usize) -> bool {
        matches!(self.offer(size), Admission::Room(_))
    }

    fn next(&mut self) -> Next {
        self.rules.next(&self.settings, self.now, self.now)
    }

    fn take(&mut self) -> (Vec<Parcel>, u64, usize) {
        let limits = self.rules.limits(&self.settings, true, self.now);
        let Ok(Taken::Parcels(mut parcels)) = self.rules.line.take(&limits) else { return (vec![], 0, 0) };
        let (first, room) = self.rules.set_out(Origin::Memory, &mut parcels);
        (parcels, first, room)
    }
}

#[test]
fn a_batch_is_due_by_age_by_size_and_when_somebody_hurries() {
    let mut play = Play::new(|_| {});
    let start = play.now;
    assert!(play.takes(100));
    assert_eq!(play.next(), Next::Wait(start + ms(200)));
    play.now += ms(200);
    assert_eq!(play.next(), Next::Take(Origin::Memory));
    play.now = start;
    assert!(play.takes(200));
    assert_eq!(play.next(), Next::Take(Origin::Memory));
    assert_eq!(play.take().0.len(), 2);
    assert!(play.takes(10));
    let mark = play.rules.hurry();
    assert_eq!(play.next(), Next::Take(Origin::Memory));
    assert!(!play.rules.is_settled(mark));
}

#[test]
fn the_bound_counts_what_waits_what_is_on_its_way_and_kept_buffers() {
    let mut play = Play::new(|s| (s.bytes, s.batch_bytes) = (1 << 20, 1 << 20));
    play.rules.senders = 1;
    assert!(play.takes(600 << 10) && play.takes(400 << 10));
    assert!(matches!(play.offer(100 << 10), Admission::Full));
    assert!(matches!(play.offer(2 << 20), Admission::TooLarge));
    let (parcels, first, room) = play.take();
    assert!(!play.takes(100 << 10), "on its way it is still ours");
    let count = parcels.len();
    play.rules.came_back(Origin::Memory, first, count, room);
    for parcel in parcels {
        play.rules.keep_buffer(parcel.record.payload, &play.settings);
    }
    assert_eq!(play.rules.memory_bytes(), 1000 << 10, "both are kept");
    let mut taken = 0;
    while play.takes(50 << 10) {
        taken += 1;
        assert!(play.rules.memory_bytes() <= 1 << 20);
    }
    assert_eq!(taken, 10, "as many as payloads are allowed");
}

#[test]
fn each_policy_makes_room_as_it_says() {
    for (overflow, fits) in [
        (Overflow::DropNewest, false),
        (Overflow::DropOldest, true),
        (Overflow::Block, false),
        (Overflow::Shed, true),
    ] {
        let mut play = Play::new(|s| s.overflow = overflow);
        assert!((0..10).all(|_| play.takes(10)));
        let admission = play.offer(10);
        assert_eq!(matches!(admission, Admission::Room(_)), fits, "{overflow:?}");
        assert_eq!(matches!(admission, Admission::Wait), overflow == Overflow::Block);
        assert_eq!(play.rules.payloads(), 10);
        assert_eq!(play.evicted.len(), usize::from(overflow == Overflow::DropOldest));
        play.rules.disk.there = true;
        assert!(matches!(play.offer(10), Admission::Disk), "disk before loss");
    }
}

#[test]
fn disk_and_memory_take_turns_and_who_closes_leaves_the_disk() {
    let mut play = Play::new(|s| s.batch_bytes = 1);
    (play.rules.disk.there, play.rules.disk.holds) = (true, true);
    let mut turns = Vec::new();
    for _ in 0..4 {
        assert!(play.takes(10));
        turns.push(play.next());
        match turns.last() {
            Some(Next::Take(Origin::Memory)) => drop(play.take()),
            _ => play.rules.disk.busy = false,
        }
    }
    let (m, d) = (Next::Take(Origin::Memory), Next::Take(Origin::Disk));
    assert_eq!(turns, [m, d, m, d]);
    play.rules.mode = Mode::Closing;
    while play.next() == m {
        assert!(!play.take().0.is_empty());
    }
    assert_eq!(play.next(), Next::End);
    assert!(!play.rules.waits_for_peer());
}

#[test]
fn what_failed_rests_longer_each_time_and_until_the_peer_wants_it() {
    let mut play = Play::new(|_| {});
    (play.rules.disk.there, play.rules.disk.holds) = (true, true);
    let start = play.now;
    for (n, pause) in [50, 100, 200, 400, 800, 1600, 2000, 2000].into_iter().enumerate() {
        play.rules.tried(Some(None), play.now);
        assert_eq!(play.next(), Next::Wait(play.now + ms(pause)), "{n}");
        play.now += ms(pause);
    }
    play.rules.tried(Some(Some(start + ms(3_600_000))), play.now);
    assert_eq!(play.next(), Next::Wait(start + ms(3_600_000)));
    // What is offered meanwhile waits, too, as long as it may; then it goes to disk.
    assert!(play.takes(400));
    assert_eq!(play.next(), Next::Wait(play.now + ms(60_000)));
    play.now += ms(60_000);
    assert!(play.takes(10));
    assert_eq!(play.next(), Next::Take(Origin::Memory));
    assert_eq!(play.take().0.len(), 1, "the younger one stays");
    play.now = start + ms(3_600_000);
    assert_eq!(play.next(), Next::Take(Origin::Disk));
    play.rules.disk.busy = false;
    play.rules.tried(None, play.now);
    assert_eq!(play.next(), Next::Take(Origin::Memory));
}

#[test]
fn what_waits_over_a_snapshot_is_as_young_as_what_is_new() {
    let mut play = Play::new(|_| {});
    play.rules.mode = Mode::Suspended;
    assert!(play.takes(10));
    assert_eq!((play.next(), play.rules.keep(Origin::Memory)), (Next::End, Keep::Here));
    play.now += ms(3_600_000);
    assert!(play.rules.resume(play.now) && !play.rules.resume(play.now));
    assert_eq!(play.rules.line.first().map(|p| p.offered), Some(play.now));
    play.rules.mode = Mode::Closing;
    assert!(!play.rules.resume(play.now));
    assert_eq!(play.rules.mode, Mode::Closing, "who closes stays closed");
}

#[test]
fn a_mark_is_reached_when_everything_before_it_is_settled() {
    let mut play = Play::new(|s| s.batch_bytes = 1);
    assert!(play.takes(10) && play.takes(10));
    let mark = play.rules.hurry();
    assert!(play.takes(10));
    let (mut parcels, first, room) = play.take();
    assert_eq!(parcels.len(), 1);
    let (_, second, second_room) = play.take();
    play.rules.came_back(Origin::Memory, second, 1, second_room);
    assert!(!play.rules.is_settled(mark), "the first one is on its way");
    play.rules.line.settle(parcels.drain(..).map(Left::Again).collect());
    play.rules.came_back(Origin::Memory, first, 1, room);
    assert!(!play.rules.is_settled(mark), "it is back");
    let (_, first, room) = play.take();
    play.rules.came_back(Origin::Memory, first, 1, room);
    assert!(play.rules.is_settled(mark) && !play.rules.is_settled(u64::MAX));
}

#[test]
fn senders_start_when_something_is_due_and_end_when_idle() {
    let mut play = Play::new(|_| {});
    assert!(!play.rules.claim_sender(&play.settings));
    assert!(play.takes(10));
    assert!(play.rules.wanted(&play.settings, true, play.now).start);
    assert!(play.rules.claim_sender(&play.settings) && play.rules.claim_sender(&play.settings));
    assert!(!play.rules.claim_sender(&play.settings), "two are enough");
    play.take();
    let idle = play.now;
    assert_eq!(play.next(), Next::Wait(idle + IDLE));
    assert_eq!(play.rules.next(&play.settings, idle + IDLE, idle), Next::End);
}

#[test]
fn nothing_goes_before_its_pace_allows_but_what_has_waited_too_long() {
    let mut play = Play::new(|s| s.budget = ms(1000));
    let start = play.now;
    assert!(play.takes(10) && play.takes(100));
    play.rules.paced = Some(start + ms(400));
    let _ = play.rules.hurry();
    assert_eq!(play.next(), Next::Wait(start + ms(400)), "not even who hurries");
    play.rules.mode = Mode::Closing;
    assert_eq!(play.next(), Next::Wait(start + ms(400)), "nor who closes");
    play.rules.mode = Mode::Open;
    (play.rules.disk.there, play.rules.disk.holds, play.rules.disk.turn) = (true, true, true);
    assert_eq!(play.next(), Next::Wait(start + ms(400)), "nor the disk");
    play.now += ms(400);
    assert_eq!(play.next(), Next::Take(Origin::Disk));
    (play.rules.disk.busy, play.rules.disk.holds) = (false, false);
    assert_eq!(play.next(), Next::Take(Origin::Memory));
    // Long in debt: whoever waits for an answer gets one in time.
    play.rules.paced = Some(start + ms(60_000));
    assert_eq!(play.next(), Next::Wait(start + ms(1000)));
    play.now = start + ms(900);
    assert!(play.takes(20));
    play.now = start + ms(1000);
    assert_eq!(play.next(), Next::Take(Origin::Memory));
    assert_eq!(play.take().0.len(), 2, "the later one has time left");
    assert_eq!(play.next(), Next::Wait(start + ms(1900)));
    play.rules.mode = Mode::Suspended;
    assert_eq!(play.next(), Next::End);
}
