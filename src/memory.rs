//! Whether memory is short. In a library that a foreign host has loaded, small allocations for which the system has
//! nothing left are served from a reserve (`face/reserve.rs`, feature `reserve`). What is known here is how much of it
//! is taken. As long as something is, and the system still has nothing, no payload is let in ([`is_short`]): so the
//! reserve suffices for what is under way, and that ends in errors instead of the process. Nor is a thread started then
//! (`threads.rs`).

use std::sync::atomic::{AtomicUsize, Ordering};

static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// So much must be there again before payloads are let in: what one needs beside its own bytes. No block of the reserve
/// is so large, so asking for it asks the system.
pub(crate) const ENOUGH: usize = 256 << 10;

/// The reserve has given so many bytes.
#[cfg_attr(not(feature = "reserve"), allow(dead_code))]
pub(crate) fn taken(bytes: usize) {
    TAKEN.fetch_add(bytes, Ordering::Relaxed);
}

/// So many of them are back.
#[cfg_attr(not(feature = "reserve"), allow(dead_code))]
pub(crate) fn given_back(bytes: usize) {
    TAKEN.fetch_sub(bytes, Ordering::Relaxed);
}

/// Whether the system has no memory left. Costs one load where it has.
#[inline]
pub(crate) fn is_short() -> bool {
    TAKEN.load(Ordering::Relaxed) > 0 && !has(ENOUGH)
}

/// Whether the system has so many bytes.
#[cold]
pub(crate) fn has(bytes: usize) -> bool {
    let mut probe: Vec<u8> = Vec::new();
    let there = probe.try_reserve_exact(bytes).is_ok();
    // Or else the compiler takes the memory for granted.
    std::hint::black_box(probe.as_mut_ptr());
    there
}
