//! The lock of one value that C holds by handle. Whoever builds a span takes it some twenty times, and nobody else
//! wants it: taking it is one atomic exchange, giving it back a plain store, where a lock that wakes others needs
//! two exchanges. Two threads that use one handle at once wait for each other by giving way; what is done under the
//! lock is short.
//!
//! A panic with the lock held has left the value as it was then, which is good enough to free it.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};

/// A value that one thread at a time works with.
#[derive(Default)]
pub(super) struct Lock<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through a guard alone, and `taken` lets one guard be there at a time, whose store on the
// way out happens before the exchange of the next one. So threads that share the lock only send the value to each
// other.
unsafe impl<T: Send> Sync for Lock<T> {}

/// The value, as long as it is ours.
pub(super) struct Guard<'l, T> {
    lock: &'l Lock<T>,
    /// It stays with its thread: nothing says that the value may be seen by two.
    _stays: PhantomData<*mut T>,
}

/// So often it is asked for again before others get the processor.
const SPINS: u32 = 64;

impl<T> Lock<T> {
    #[inline]
    pub(super) fn lock(&self) -> Guard<'_, T> {
        if !self.take() {
            self.wait();
        }
        Guard { lock: self, _stays: PhantomData }
    }

    #[inline]
    fn take(&self) -> bool {
        self.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn wait(&self) {
        let mut tries = 0;
        while !self.take() {
            tries += 1;
            if tries < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one (see `Lock`), and it lends the value for no longer than itself.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above; the borrow of the guard is exclusive.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.taken.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_at_a_time_works_with_the_value_and_a_panic_gives_it_back() {
        const EACH: u64 = if cfg!(miri) { 50 } else { 10_000 };
        let lock = Lock::<u64>::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        let mut value = lock.lock();
                        let was = *value;
                        *value = was + 1;
                    }
                });
            }
        });
        assert_eq!(*lock.lock(), 4 * EACH);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _held = lock.lock();
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(caught.is_err());
        assert_eq!(*lock.lock(), 4 * EACH);
    }
}
