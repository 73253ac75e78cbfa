//! The handles of the C face: an opaque pointer is an index, a generation and a kind, never an address. A handle that
//! was freed, made up or meant for something else names nothing, so using it is an error and not a crash.
//!
//! No processor takes a handle for an address: the bits of its kind, the highest four, are neither all 0 nor all 1. So
//! nobody who collects garbage and finds one (Go does, where a C pointer lies in its memory) takes it for his own.
//!
//! Values stay in their slot when a handle is freed and are used again with the memory that they have, so spans cost
//! no allocation once enough of them exist. A slot has a lock of its own; which slots are free stands in a list
//! without a lock, and slots never move, so a process may fork at any moment. For the same reason nobody waits for a
//! page that another thread makes, who would not be there in the child: each makes one, and the first is taken.

use super::lock::Lock;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::{ptr, slice};

/// Page `n` has `FIRST << n` slots.
const PAGES: usize = 20;
const FIRST: u32 = 64;
/// Bits of a handle, from the highest: kind 4, generation 28, index 32.
const KIND_AT: u32 = 60;
const GENERATIONS: u32 = (1 << 28) - 1;

const _: () = assert!(usize::BITS == 64, "handles have 64 bits");

/// How often something was freed that was not there, in the whole process.
static FREED_IN_VAIN: AtomicU64 = AtomicU64::new(0);

/// The values of one kind that C holds by handle.
pub(crate) struct Slab<T> {
    kind: usize,
    /// The first slot of each page, null until it is made; then it stays.
    pages: [AtomicPtr<Slot<T>>; PAGES],
    /// What the pages are.
    _owns: PhantomData<Box<[Slot<T>]>>,
    /// Slots that were ever used.
    made: AtomicU32,
    /// The first free slot: its index and one, below a number that every change counts up.
    free: AtomicU64,
}

struct Slot<T> {
    /// The next free slot, its index and one.
    next: AtomicU32,
    state: Lock<State<T>>,
}

#[derive(Default)]
struct State<T> {
    generation: u32,
    live: bool,
    value: T,
}

impl<T: Default> Slab<T> {
    /// `kind` is different for each table: 1 to 14.
    pub(crate) const fn new(kind: u8) -> Self {
        assert!(kind > 0 && kind < 15);
        Self {
            kind: kind as usize,
            pages: [const { AtomicPtr::new(ptr::null_mut()) }; PAGES],
            _owns: PhantomData,
            made: AtomicU32::new(0),
            free: AtomicU64::new(0),
        }
    }

    /// Names a value that `fill` has made of an old one. None: there is no room or no memory for one more.
    pub(crate) fn open<E>(&self, fill: impl FnOnce(&mut T) -> Result<(), E>) -> Option<Result<usize, E>> {
        let index = self.take_free().or_else(|| self.make())?;
        let slot = self.slot(index)?;
        let mut state = slot.state.lock();
        state.generation = if state.generation >= GENERATIONS { 1 } else { state.generation + 1 };
        let filled = fill(&mut state.value);
        state.live = filled.is_ok();
        let generation = state.generation as usize;
        drop(state);
        if filled.is_err() {
            self.give_free(index, slot);
        }
        Some(filled.map(|()| self.kind << KIND_AT | generation << 32 | index as usize))
    }

    /// Works with the value. None: the handle names nothing.
    #[inline]
    pub(crate) fn with<R>(&self, handle: usize, body: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut state = self.named(handle)?.1.state.lock();
        is_of(&state, handle).then(|| body(&mut state.value))
    }

    /// Works with the value a last time: the handle names nothing any more, even while `body` runs. What `body` leaves
    /// is used for another one.
    #[inline]
    pub(crate) fn close<R>(&self, handle: usize, body: impl FnOnce(&mut T) -> R) -> Option<R> {
        let (index, slot) = self.named(handle)?;
        let mut state = slot.state.lock();
        if !is_of(&state, handle) {
            return None;
        }
        state.live = false;
        let result = body(&mut state.value);
        drop(state);
        self.give_free(index, slot);
        Some(result)
    }

    /// As [`close`](Self::close), for functions that free: nothing is nothing, and what is not there is counted.
    pub(crate) fn free(&self, handle: usize, body: impl FnOnce(&mut T)) {
        if handle != 0 && self.close(handle, body).is_none() {
            FREED_IN_VAIN.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Works with every value that is there.
    pub(crate) fn each(&self, mut body: impl FnMut(&mut T)) {
        for slot in (0..PAGES).filter_map(|page| self.page(page)).flatten() {
            let mut state = slot.state.lock();
            if state.live {
                body(&mut state.value);
            }
        }
    }

    #[inline]
    fn named(&self, handle: usize) -> Option<(u32, &Slot<T>)> {
        let index = handle as u32;
        if handle >> KIND_AT != self.kind {
            return None;
        }
        self.slot(index).map(|slot| (index, slot))
    }

    #[inline]
    fn slot(&self, index: u32) -> Option<&Slot<T>> {
        let (page, at) = place(index);
        self.page(page)?.get(at)
    }

    #[inline]
    fn page(&self, page: usize) -> Option<&[Slot<T>]> {
        let first = self.pages.get(page)?.load(Ordering::Acquire);
        // SAFETY: what is not null begins a page, which `make` has put there whole before this load saw it, and which
        // is freed with `self` only.
        (!first.is_null()).then(|| unsafe { slice::from_raw_parts(first, slots(page)) })
    }

    fn make(&self) -> Option<u32> {
        let index = self.made.fetch_add(1, Ordering::Relaxed);
        let (page, _) = place(index);
        let Some(place_of) = self.pages.get(page).filter(|_| index < u32::MAX) else {
            self.made.fetch_sub(1, Ordering::Relaxed);
            return None;
        };
        if place_of.load(Ordering::Acquire).is_null() {
            let slot = |_| Slot { next: AtomicU32::new(0), state: Lock::default() };
            let mine: Box<[Slot<T>]> = (0..slots(page)).map(slot).collect();
            let mine = Box::into_raw(mine).cast::<Slot<T>>();
            if place_of.compare_exchange(ptr::null_mut(), mine, Ordering::AcqRel, Ordering::Acquire).is_err()
            {
                // SAFETY: it was made above, and nobody else has seen it.
                unsafe { free_page(mine, page) };
            }
        }
        Some(index)
    }

    fn take_free(&self) -> Option<u32> {
        let mut head = self.free.load(Ordering::Acquire);
        loop {
            let index = (head as u32).checked_sub(1)?;
            let next = self.slot(index)?.next.load(Ordering::Relaxed);
            let other = counted_up(head) | u64::from(next);
            match self.free.compare_exchange_weak(head, other, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(index),
                Err(now) => head = now,
            }
        }
    }

    fn give_free(&self, index: u32, slot: &Slot<T>) {
        let mut head = self.free.load(Ordering::Acquire);
        loop {
            slot.next.store(head as u32, Ordering::Relaxed);
            let other = counted_up(head) | u64::from(index + 1);
            match self.free.compare_exchange_weak(head, other, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }
}

impl<T> Drop for Slab<T> {
    fn drop(&mut self) {
        for (page, first) in self.pages.iter_mut().enumerate() {
            if !first.get_mut().is_null() {
                // SAFETY: it is a page that `make` has put there, and whoever had one of its slots had borrowed `self`.
                unsafe { free_page(*first.get_mut(), page) };
            }
        }
    }
}

/// How many slots this page has.
const fn slots(page: usize) -> usize {
    (FIRST as usize) << page
}

/// Frees a page that was not put into its place, or is not needed any more.
///
/// # Safety
/// `first` comes from a box of the slots of this page, and nobody uses them.
unsafe fn free_page<T>(first: *mut Slot<T>, page: usize) {
    // SAFETY: as this function asks for.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(first, slots(page))) });
}

/// How often something was freed that was not there.
pub(crate) fn freed_in_vain() -> u64 {
    FREED_IN_VAIN.load(Ordering::Relaxed)
}

/// The number of changes and one, above an index.
fn counted_up(head: u64) -> u64 {
    (head >> 32).wrapping_add(1) << 32
}

#[inline]
fn is_of<T>(state: &State<T>, handle: usize) -> bool {
    state.live && state.generation == (handle >> 32) as u32 & GENERATIONS
}

/// Page and place of a slot.
#[inline]
fn place(index: u32) -> (usize, usize) {
    let page = (index / FIRST + 1).ilog2();
    (page as usize, (index - FIRST * ((1 << page) - 1)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(slab: &Slab<u32>, value: u32) -> usize {
        slab.open(|v| {
            *v = value;
            Ok::<(), ()>(())
        })
        .unwrap()
        .unwrap()
    }

    #[test]
    fn a_stale_forged_or_foreign_handle_names_nothing() {
        let (slab, other) = (Slab::<u32>::new(1), Slab::<u32>::new(2));
        let (a, b, foreign) = (open(&slab, 10), open(&slab, 11), open(&other, 12));
        assert_eq!(slab.with(a, |v| *v), Some(10));
        assert_eq!(slab.close(a, |v| *v), Some(10));
        assert!(slab.with(a, |v| *v).is_none() && slab.close(a, |v| *v).is_none());
        let again = open(&slab, 13);
        assert!(again != a && again as u32 == a as u32, "the place is used again, the name is not");
        for forged in [0, 1, usize::MAX, foreign, a, again + 1, b + (1 << 32)] {
            assert!(slab.with(forged, |v| *v).is_none(), "{forged:x}");
        }
        assert_eq!(slab.with(b, |v| *v), Some(11));
        let before = freed_in_vain();
        slab.free(0, |_| {});
        slab.free(a, |_| {});
        assert!(freed_in_vain() > before);
        assert_eq!(slab.open(|_| Err(7)), Some(Err(7)));
    }

    #[test]
    fn places_are_used_again_and_never_twice_at_once() {
        let slab = Slab::<u32>::new(3);
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let slab = &slab;
                scope.spawn(move || {
                    for round in 0..if cfg!(miri) { 3 } else { 200 } {
                        let mine: Vec<_> =
                            (0..50).map(|i| open(slab, (thread << 16) | (round + i))).collect();
                        for (i, handle) in (0..).zip(&mine) {
                            assert_eq!(slab.close(*handle, |v| *v), Some((thread << 16) | (round + i)));
                        }
                    }
                });
            }
        });
        assert!(slab.made.load(Ordering::Relaxed) <= 200);
        let mut live = 0;
        slab.each(|_| live += 1);
        assert_eq!(live, 0);
    }
}
