//! The queue by a clock that stands still and jumps: no test here waits for the time that it is about.

use super::queue::{Offer, Queue, QueueStatus};
use super::rules::IDLE;
use crate::account::Account;
use crate::delivery::response::SendOptions;
use crate::error::ErrorKind;
use crate::settings::{Builder, Config};
use crate::time::Clock;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

const BODY: &[u8] = b"\x91\x91\x80";
const HOUR: Duration = Duration::from_secs(3600);

fn queue(change: impl FnOnce(Builder) -> Builder) -> (Queue, Clock) {
    let config = Config::new(change(Builder::default()).into_raw()).unwrap();
    let clock = Clock::standing();
    let account = Arc::new(Account::default());
    (
        Queue::new(config.queue.clone(), account, config.input_format, clock.clone(), Arc::default())
            .unwrap(),
        clock,
    )
}

fn offer(queue: &Queue) -> Option<ErrorKind> {
    let offer = Offer { size: BODY.len(), head: BODY, options: SendOptions::default(), done: None };
    let copy = |to: &mut [u8]| {
        to.copy_from_slice(BODY);
        Ok::<(), Infallible>(())
    };
    match queue.offer(offer, &|_| false, copy) {
        Ok(offering) => offering.refused.map(|e| e.kind()),
        Err(never) => match never {},
    }
}

/// Lets the clock go on by so much, again and again, until this is done.
fn while_time_passes<T: Send>(clock: &Clock, step: Duration, run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let running = scope.spawn(run);
        while !running.is_finished() {
            std::thread::sleep(Duration::from_millis(2));
            clock.advance(step);
        }
        running.join().unwrap()
    })
}

#[test]
fn what_waits_is_as_old_as_the_clock_says_and_is_due_when_the_clock_has_jumped() {
    let (queue, clock) = queue(|b| b.batch_age(Duration::from_secs(10)));
    assert_eq!(offer(&queue), None);
    assert_eq!(queue.status().oldest, Duration::ZERO);
    clock.advance(HOUR);
    let QueueStatus { oldest, payloads, .. } = queue.status();
    assert_eq!((oldest, payloads), (HOUR, 1));
    // It is long due: nobody waits for the batch to fill.
    let batch = queue.take(|| true).unwrap();
    assert_eq!(queue.status().payloads, 1, "it is on its way");
    drop(batch);
}

#[test]
fn a_batch_waits_for_its_age_and_a_sender_ends_when_it_was_idle() {
    let (queue, clock) = queue(|b| b.batch_age(Duration::from_secs(10)));
    assert_eq!(offer(&queue), None);
    assert!(queue.claim_sender(), "this test is the sender");
    let before = clock.now();
    let batch = while_time_passes(&clock, Duration::from_secs(1), || queue.take(|| true).is_some());
    assert!(batch && clock.now() >= before + Duration::from_secs(10));

    let before = clock.now();
    let batch = while_time_passes(&clock, IDLE / 4, || queue.take(|| true).is_some());
    assert!(!batch && clock.now() >= before + IDLE);
    assert_eq!(queue.status().senders, 0);
}

#[test]
fn an_offer_waits_for_room_as_long_as_the_clock_says() {
    let (queue, clock) = queue(|b| {
        b.queue_payloads(1).overflow(crate::settings::Overflow::Block).block_wait(Duration::from_secs(60))
    });
    assert_eq!(offer(&queue), None);
    let before = clock.now();
    let refused = while_time_passes(&clock, Duration::from_secs(15), || offer(&queue));
    assert_eq!(refused, Some(ErrorKind::QueueFull));
    assert!(clock.now() >= before + Duration::from_secs(60));
}
