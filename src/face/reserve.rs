//! A reserve for small allocations: when the system has no memory left, they are served from a region of this library.
//!
//! An allocation that fails ends a Rust process, unless whoever asks for it can take the answer. What grows with a
//! payload can; the HTTP client's lists of headers, the text of an error, a name of a thread cannot. They are few and
//! small, so 512 KiB of address space, never touched as long as all is well, are enough for what is under way, and
//! [`memory::is_short`] keeps new payloads out.
//!
//! **What it costs.** A call and a comparison for each allocation, of which the hot path has none. Inlined it would
//! cost 80 KB of code. The region is a part of the loaded library that takes no place in its file.
//!
//! **Blocks.** The region is cut into blocks of five sizes, a bit each; so what stays for long holds no more than its
//! own block, and nothing has to be merged.

#![allow(unsafe_code)] // an allocator is made of raw memory; each block says why it is sound

use crate::memory;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the region begins is a multiple of this; nothing of ours asks for more.
const ALIGN: usize = 4096;
/// Blocks of one size.
#[derive(Clone, Copy)]
struct Row {
    size: usize,
    number: usize,
    /// Where the first one stands. It is a multiple of the size, since larger ones stand before.
    begin: usize,
    /// The word of its bit. Bits of each size begin with a word of their own.
    word: usize,
}

const fn after(row: Row, size: usize, number: usize) -> Row {
    let (begin, word) = (row.begin + row.size * row.number, row.word + row.number.div_ceil(64));
    Row { size, number, begin, word }
}

const ROWS: [Row; 5] = {
    let first = Row { size: 16 << 10, number: 8, begin: 0, word: 0 };
    let second = after(first, 8 << 10, 16);
    let third = after(second, 2 << 10, 64);
    let fourth = after(third, 512, 128);
    [first, second, third, fourth, after(fourth, 128, 512)]
};
const END: Row = after(ROWS[4], 1, 0);
const TOTAL: usize = END.begin;
const WORDS: usize = END.word;

#[repr(C, align(4096))]
struct Region {
    bytes: UnsafeCell<[u8; TOTAL]>,
    /// A bit for each block that is taken.
    bits: [AtomicU64; WORDS],
}

// SAFETY: the bytes are reached through blocks alone, and a block belongs to whoever has set its bit.
unsafe impl Sync for Region {}

impl Region {
    const fn new() -> Self {
        Self { bytes: UnsafeCell::new([0; TOTAL]), bits: [const { AtomicU64::new(0) }; WORDS] }
    }

    fn start(&self) -> *mut u8 {
        self.bytes.get().cast()
    }

    /// Whether memory is from here.
    #[inline(always)]
    fn holds(&self, at: *mut u8) -> bool {
        at.addr().wrapping_sub(self.start().addr()) < TOTAL
    }

    /// The smallest free block for this; null if there is none.
    #[cold]
    fn take(&self, layout: Layout) -> *mut u8 {
        let least = layout.size().max(layout.align());
        let fits = |row: &&Row| row.size >= least && layout.align() <= ALIGN;
        let found = ROWS.iter().rev().filter(fits).find_map(|row| Some((row, self.set_a_bit(row)?)));
        let Some((row, n)) = found else { return null_mut() };
        memory::taken(row.size);
        // SAFETY: the block lies within the region.
        unsafe { self.start().add(row.begin + n * row.size) }
    }

    /// Takes one of these blocks; which.
    fn set_a_bit(&self, row: &Row) -> Option<usize> {
        let number = row.number;
        let words = self.bits.get(row.word..row.word + number.div_ceil(64))?;
        words.iter().enumerate().find_map(|(n, word)| {
            let mut known = word.load(Ordering::Relaxed);
            loop {
                let bit = known.trailing_ones() as usize;
                if bit == 64 || n * 64 + bit >= number {
                    return None;
                }
                // Whoever had the block before has written to it before.
                match word.compare_exchange_weak(
                    known,
                    known | 1 << bit,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => return Some(n * 64 + bit),
                    Err(now) => known = now,
                }
            }
        })
    }

    /// How much fits where this stands.
    #[cold]
    fn size_at(&self, block: *mut u8) -> usize {
        self.place_of(block).0.size
    }

    /// The block that this is, by row and number.
    fn place_of(&self, block: *mut u8) -> (&'static Row, usize) {
        const LAST: &Row = &ROWS[4];
        let at = block.addr() - self.start().addr();
        let row = ROWS.iter().rfind(|row| row.begin <= at).unwrap_or(LAST);
        (row, (at - row.begin) / row.size)
    }

    #[cold]
    fn free(&self, block: *mut u8) {
        let (row, n) = self.place_of(block);
        if let Some(word) = self.bits.get(row.word + n / 64) {
            word.fetch_and(!(1 << (n % 64)), Ordering::Release);
        }
        memory::given_back(row.size);
    }
}

static REGION: Region = Region::new();

/// The system's allocator, and the reserve behind it.
pub(crate) struct Reserve;

#[cfg(feature = "reserve")]
#[global_allocator]
static ALLOCATOR: Reserve = Reserve;

// SAFETY: memory is the system's, or a block of the region, which is as large as was asked for, begins at a multiple of
// its size, and belongs to nobody else until it is given back. Each goes back to where it came from.
unsafe impl GlobalAlloc for Reserve {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the rules of this very function.
        let memory = unsafe { System.alloc(layout) };
        if memory.is_null() { REGION.take(layout) } else { memory }
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the rules of this very function.
        let memory = unsafe { System.alloc_zeroed(layout) };
        if memory.is_null() { zeroed(layout) } else { memory }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if REGION.holds(memory) {
            REGION.free(memory);
        } else {
            // SAFETY: what is not of the region came from the system, with this layout.
            unsafe { System.dealloc(memory, layout) }
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !REGION.holds(memory) {
            // SAFETY: as for `dealloc`, and the caller keeps the rules of this very function.
            let more = unsafe { System.realloc(memory, layout, size) };
            if !more.is_null() {
                return more;
            }
        }
        // SAFETY: the caller keeps the rules of this very function.
        unsafe { moved(self, memory, layout, size) }
    }
}

#[cold]
fn zeroed(layout: Layout) -> *mut u8 {
    let memory = REGION.take(layout);
    if !memory.is_null() {
        // SAFETY: the block is at least so large, and nobody else's.
        unsafe { memory.write_bytes(0, layout.size()) };
    }
    memory
}

/// Makes memory larger or smaller that the system cannot change, or that is of the region.
///
/// # Safety
/// As for `GlobalAlloc::realloc`.
#[cold]
unsafe fn moved(allocator: &Reserve, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
    if REGION.holds(memory) && size <= REGION.size_at(memory) {
        return memory;
    }
    let Ok(wanted) = Layout::from_size_align(size, layout.align()) else { return null_mut() };
    // SAFETY: the caller promises that `size` is not 0.
    let other = unsafe { allocator.alloc(wanted) };
    if !other.is_null() {
        // SAFETY: both are at least so large, they are not the same memory, and the old one is given back once, with
        // the layout that it was asked for with.
        unsafe {
            other.copy_from_nonoverlapping(memory, layout.size().min(size));
            allocator.dealloc(memory, layout);
        }
    }
    other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn blocks_are_apart_aligned_and_come_back() {
        static HERE: Region = Region::new();
        for round in 0..2 {
            let mut taken: Vec<(usize, usize)> = Vec::new();
            for (size, align) in [(1, 1), (128, 8), (129, 64), (512, 512), (4096, 4096), (9000, 8), (24, 8)] {
                let at = HERE.take(layout(size, align));
                assert!(!at.is_null() && HERE.holds(at) && at.addr().is_multiple_of(align), "{size} {align}");
                assert!(HERE.size_at(at) >= size);
                taken.push((at.addr(), size));
            }
            for (i, (at, size)) in taken.iter().enumerate() {
                let apart = |(other, len): &(usize, usize)| other + len <= *at || at + size <= *other;
                assert!(taken.iter().enumerate().all(|(j, other)| i == j || apart(other)), "{round}");
            }
            for (at, _) in &taken {
                HERE.free(HERE.start().with_addr(*at));
            }
            assert!(HERE.bits.iter().all(|word| word.load(Ordering::Relaxed) == 0), "{round}");
        }
        assert!(HERE.take(layout((16 << 10) + 1, 1)).is_null() && HERE.take(layout(1, 8192)).is_null());
        assert!(!HERE.holds(null_mut()) && !HERE.holds(HERE.start().wrapping_add(TOTAL)));
    }

    #[test]
    fn small_ones_take_larger_blocks_until_all_are_taken() {
        static HERE: Region = Region::new();
        let all: usize = ROWS.iter().map(|row| row.number).sum();
        let taken: Vec<_> = (0..all).map(|_| HERE.take(layout(8, 8))).collect();
        assert!(taken.iter().all(|at| !at.is_null()));
        assert!(HERE.take(layout(8, 8)).is_null());
        HERE.free(taken[700]);
        assert_eq!(HERE.take(layout(8, 8)), taken[700]);
        taken.into_iter().for_each(|at| HERE.free(at));
    }

    #[test]
    fn threads_never_have_the_same_block() {
        static HERE: Region = Region::new();
        std::thread::scope(|scope| {
            for thread in 1..5u8 {
                scope.spawn(move || {
                    for _ in 0..if cfg!(miri) { 20 } else { 5000 } {
                        let at = HERE.take(layout(600, 8));
                        assert!(!at.is_null());
                        // SAFETY: the block has 2 KB and belongs to this thread.
                        unsafe { at.write_bytes(thread, 600) };
                        std::thread::yield_now();
                        // SAFETY: as above.
                        let bytes = unsafe { std::slice::from_raw_parts(at, 600) };
                        assert!(bytes.iter().all(|b| *b == thread));
                        HERE.free(at);
                    }
                });
            }
        });
    }

    #[test]
    fn what_is_of_the_reserve_grows_within_its_block_and_moves_out_of_it() {
        let at = REGION.take(layout(100, 8));
        // SAFETY: the block is as large as 128 bytes, and this test's alone; each call has the layout that the memory
        // was asked for with.
        unsafe {
            at.write_bytes(7, 100);
            let same = Reserve.realloc(at, layout(100, 8), 128);
            assert_eq!(same, at);
            let moved = Reserve.realloc(same, layout(128, 8), 4000);
            assert!(!REGION.holds(moved));
            assert!(std::slice::from_raw_parts(moved, 100).iter().all(|b| *b == 7));
            Reserve.dealloc(moved, layout(4000, 8));
        }
    }
}
