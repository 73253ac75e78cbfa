//! Forks. Before one, every thread of this library ends and nobody is inside it; in the parent everything goes on; in
//! the child every exporter is made anew.
//!
//! **The door.** Calls that work with an exporter or a payload go through [`enter`]. It is two atomic numbers and no
//! lock, so it has the same state in the child whatever other threads did at that moment; functions that build spans
//! need no door, for the same reason (`slab`). The lock of an exporter's handle is taken inside the door only, and so
//! is that of a runtime's by whoever does not fork.
//!
//! **The child.** What an exporter was in the parent may hold locks of threads that are not there any more. So the
//! child never touches it: it is left alone for good (some kilobytes), and the handle names another exporter with the
//! same settings. A child that forgets to say so, or calls the parent's function, is recognised by its number.

use super::error::Code;
use super::exporter::Held;
use super::handles;
use crate::time;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a fork waits for calls that run, and again for threads to end.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often is looked whether they have.
const STEP: Duration = Duration::from_micros(200);
/// Bit of [`DOOR`]: nobody comes in.
const SHUT: u64 = 1 << 63;

/// How many calls are inside, and whether more may come.
static DOOR: AtomicU64 = AtomicU64::new(0);
/// How many callers have asked for a fork and not said that it is over.
static FORKING: AtomicU32 = AtomicU32::new(0);
/// The process that the exporters belong to: the one that made the first of them, then the child that made them anew.
/// 0: there are none. In any other process they are those of a parent.
static HOME: AtomicU32 = AtomicU32::new(0);

/// A call that is inside.
#[derive(Debug)]
pub(super) struct Inside(());

/// Goes in; waits while the process is about to fork.
pub(super) fn enter() -> Inside {
    loop {
        // Who finds it shut leaves it as it is: the child of a fork counts from nobody on.
        let one_more = |inside: u64| (inside & SHUT == 0).then_some(inside + 1);
        if DOOR.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_ok() {
            return Inside(());
        }
        while DOOR.load(Ordering::Acquire) & SHUT != 0 {
            if is_child() {
                // Nobody has said so, and nobody else is here who could. What cannot be made anew is said elsewhere.
                let _ = begin_anew();
            } else {
                thread::sleep(STEP);
            }
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DOOR.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Every exporter of the process.
fn exporters() -> Vec<Arc<Held>> {
    let mut all = Vec::new();
    handles::EXPORTERS.each(|held| all.extend(held.clone()));
    all
}

/// The process will fork.
pub(super) fn before() {
    if FORKING.fetch_add(1, Ordering::AcqRel) > 0 {
        return;
    }
    DOOR.fetch_or(SHUT, Ordering::AcqRel);
    wait(|| DOOR.load(Ordering::Acquire) & !SHUT == 0);
    let end = Instant::now() + PATIENCE;
    for held in exporters() {
        held.exporter.park(end);
    }
    // It ends by itself once no exporter has an appointment.
    wait(|| !time::is_running());
}

fn wait(done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() && Instant::now() < end {
        thread::sleep(STEP);
    }
}

/// One who asked says that the fork is over; whether he was the last.
fn is_last() -> bool {
    let less = |n: u32| n.checked_sub(1);
    FORKING.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_ok_and(|before| before == 1)
}

/// Exporters are made in this process.
pub(super) fn at_home() {
    if HOME.load(Ordering::Relaxed) == 0 {
        let _ = HOME.compare_exchange(0, std::process::id(), Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// Whether the exporters are those of a parent.
fn is_child() -> bool {
    ![0, std::process::id()].contains(&HOME.load(Ordering::Acquire))
}

/// The process has forked, and this is the one that was there before.
pub(super) fn after_in_parent() -> Result<(), String> {
    if is_child() {
        return begin_anew();
    }
    if is_last() {
        for held in exporters() {
            // Fails only for an exporter that is closed.
            let _ = held.exporter.unpark();
        }
        DOOR.fetch_and(!SHUT, Ordering::AcqRel);
    }
    Ok(())
}

/// The process has forked, and this is the new one. A second time is nothing.
pub(super) fn after_in_child() -> Result<(), String> {
    if is_child() {
        return begin_anew();
    }
    if FORKING.load(Ordering::Acquire) == 0 {
        return Ok(());
    }
    after_in_parent()?;
    Err("this process is the one that wanted to fork, and no child: it goes on as before".to_owned())
}

/// Everything of the parent is left alone, and what the handles name is made anew.
fn begin_anew() -> Result<(), String> {
    if HOME.swap(std::process::id(), Ordering::AcqRel) == std::process::id() {
        return Ok(());
    }
    let result = renew();
    FORKING.store(0, Ordering::Release);
    // Whoever was inside is not there any more.
    DOOR.store(0, Ordering::Release);
    result
}

/// Makes every exporter anew.
fn renew() -> Result<(), String> {
    time::begin_again();
    let mut result = Ok(());
    let old = exporters();
    old.iter().filter_map(|held| held.runtime.as_ref()).for_each(|runtime| runtime.forget());
    handles::EXPORTERS.each(|place| {
        let Some(old) = place.take() else { return };
        // The directories are the parent's, and locked by it.
        let settled = old.settled.lock().of_child();
        match Held::new(settled, old.runtime.clone()) {
            Ok(held) => *place = Some(held),
            // One that was shut down with its runtime stays as it is.
            Err(fault) if fault.code == Code::Shutdown => {}
            Err(fault) => result = Err(fault.text.into_owned()),
        }
        mem::forget(old);
    });
    mem::forget(old);
    result
}
