//! Keeps the measuring thread on one core and everything else off it, where the machine has more than one.

/// The measuring thread goes to the last core.
pub fn to_last() {
    let cores = cores();
    if cores > 1 {
        set(cores - 1..cores);
    }
}

/// A thread that serves the measured one goes to the other cores.
pub fn to_others() {
    let cores = cores();
    if cores > 1 {
        set(0..cores - 1);
    }
}

#[cfg(target_os = "linux")]
fn cores() -> usize {
    // SAFETY: sysconf reads no memory of ours.
    let cores = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    usize::try_from(cores).unwrap_or(1)
}

#[cfg(not(target_os = "linux"))]
fn cores() -> usize {
    1
}

/// Best effort: where the system refuses (a container with fewer cores), the thread stays where it is.
#[cfg(target_os = "linux")]
fn set(cores: std::ops::Range<usize>) {
    // SAFETY: cpu_set_t is plain bits, all zero is the empty set; the call reads the set that stands on this stack.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        cores.for_each(|core| libc::CPU_SET(core, &mut set));
        libc::sched_setaffinity(0, std::mem::size_of_val(&set), &set);
    }
}

#[cfg(not(target_os = "linux"))]
fn set(_cores: std::ops::Range<usize>) {}
