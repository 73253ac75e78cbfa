//! A global allocator that counts: how often the current thread allocated, and how many bytes of it are alive and were
//! alive at most. It proves the column `allocations` and the working memory; it is in the bench binary only.
//!
//! The counters are plain thread locals, so an opponent that allocates a lot pays about a nanosecond an allocation for
//! them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

fn grown(bytes: usize) {
    let _ = COUNT.try_with(|c| c.set(c.get() + 1));
    resized(bytes as i64);
}

fn resized(bytes: i64) {
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: every call goes to the system allocator unchanged; the counters touch no memory that it manages.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's promise on `layout` is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        resized(-(layout.size() as i64));
        // SAFETY: as above, and `ptr` came from this allocator, hence from the system's.
        unsafe { System.dealloc(ptr, layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        grown(0);
        resized(new_size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

/// Allocations (reallocations included) of this thread while `work` runs.
pub fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

/// Bytes that `work` has alive at most beyond those alive before it, on this thread.
pub fn peak_bytes(work: impl FnOnce()) -> u64 {
    let before = LIVE.with(Cell::get);
    PEAK.with(|p| p.set(before));
    work();
    (PEAK.with(Cell::get) - before).max(0) as u64
}
