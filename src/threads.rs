//! The threads that we start. In a JVM the library can be taken away, with the class loader that it belongs to; by then
//! they must have ended to the last instruction ([`end_all`]). So the library for Java keeps hold of each until it has.

use crate::memory;
use std::io;

/// Starts a thread, unless there is so little memory that it might not come to its first line: glibc ends the process
/// if it has none to note what a thread's end must free.
///
/// # Errors
/// What the system says; `OutOfMemory`.
pub(crate) fn start(name: &str, stack: usize, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    if !memory::has(stack + memory::ENOUGH) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(stack).spawn(body)?;
    #[cfg(feature = "jni")]
    held::hold(thread);
    #[cfg(not(feature = "jni"))]
    drop(thread);
    Ok(())
}

#[cfg(feature = "jni")]
pub(crate) use held::end_all;

#[cfg(feature = "jni")]
mod held {
    use parking_lot::Mutex;
    use std::thread::JoinHandle;
    use std::time::{Duration, Instant};

    static HELD: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

    /// Keeps hold of this one, and lets go of those that have ended.
    pub(super) fn hold(thread: JoinHandle<()>) {
        let mut held = HELD.lock();
        let_go(&mut held);
        held.push(thread);
    }

    /// What is finished has only its way out left, which takes no time that counts.
    fn let_go(held: &mut Vec<JoinHandle<()>>) {
        for thread in held.extract_if(.., |thread| thread.is_finished()) {
            // A panic was dealt with where it happened.
            let _ = thread.join();
        }
    }

    /// Waits until all have ended, at most so long. False: some have not.
    pub(crate) fn end_all(limit: Duration) -> bool {
        let end = Instant::now() + limit;
        loop {
            let mut held = HELD.lock();
            let_go(&mut held);
            if held.is_empty() {
                return true;
            }
            drop(held);
            if Instant::now() >= end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
