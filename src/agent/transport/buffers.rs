//! The buffers that ureq reads and writes through. The output buffer can hold the request's head back, so that the body
//! is laid down right behind it and both leave in one write; the input buffer starts small and grows only for a long head.

use super::call::Call;
use ureq::unversioned::transport::Buffers;

/// Largest piece handed to the kernel at once. Above some 100 KiB a larger piece gains nothing and leaves the cache.
const MAX_OUTPUT: usize = 256 * 1024;
/// Smallest output buffer: a head with generous metadata.
const MIN_OUTPUT: usize = 4 * 1024;
/// First size of the input buffer: an ordinary answer in one read.
const FIRST_INPUT: usize = 4 * 1024;
/// ureq refuses a head of more than 64 KiB; more room than that is never needed.
const MAX_INPUT: usize = 128 * 1024;

/// Output and input of one connection.
#[derive(Debug, Default)]
pub(super) struct HoldingBuffers {
    output: Vec<u8>,
    held: usize,
    input: Vec<u8>,
    start: usize,
    end: usize,
    progress: bool,
}

impl HoldingBuffers {
    /// Keeps the first `amount` bytes of the output in front of what is written next.
    pub(super) fn hold(&mut self, amount: usize) {
        self.held += amount;
    }

    /// Whether so much is held that the rest of the buffer is not worth waiting for.
    pub(super) fn is_crowded(&self) -> bool {
        self.held > self.output.len() / 2
    }

    /// What was held and `amount` bytes behind it; nothing is held afterwards.
    pub(super) fn take(&mut self, amount: usize) -> &[u8] {
        let end = (self.held + amount).min(self.output.len());
        self.held = 0;
        &self.output[..end]
    }

    fn grow_output(&mut self) {
        let wanted = Call::current().size_hint.clamp(MIN_OUTPUT, MAX_OUTPUT).max(self.held + MIN_OUTPUT);
        if self.output.len() < wanted {
            self.output.resize(wanted, 0);
        }
    }
}

impl Buffers for HoldingBuffers {
    fn output(&mut self) -> &mut [u8] {
        self.grow_output();
        &mut self.output[self.held..]
    }

    fn input(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.input.len() && self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.input.len() && self.end < MAX_INPUT {
            self.input.resize((self.end * 2).max(FIRST_INPUT), 0);
        }
        &mut self.input[self.end..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.end = (self.end + amount).min(self.input.len());
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.start = (self.start + amount).min(self.end);
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.grow_output();
        // The first is scratch for chunked requests, which are never made.
        (&mut self.input[self.end..], &mut self.output[self.held..])
    }

    fn can_use_input(&self) -> bool {
        self.start < self.end && self.progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_head_and_the_body_behind_it_leave_as_one_piece() {
        let mut b = HoldingBuffers::default();
        b.output()[..4].copy_from_slice(b"head");
        b.hold(4);
        b.output()[..4].copy_from_slice(b"body");
        assert_eq!(b.take(4), b"headbody");
        assert!(b.take(0).is_empty());
    }

    #[test]
    fn there_is_always_room_behind_a_held_head() {
        let mut b = HoldingBuffers::default();
        let all = b.output().len();
        b.hold(all);
        assert!(b.is_crowded() && !b.output().is_empty());
    }

    #[test]
    fn input_that_was_not_used_up_stays_and_the_buffer_ends_growing() {
        let mut b = HoldingBuffers::default();
        b.input_append_buf()[..3].copy_from_slice(b"abc");
        b.input_appended(3);
        b.input_consume(1);
        assert_eq!(b.input(), b"bc");
        assert!(b.can_use_input());
        b.input_consume(0);
        assert!(!b.can_use_input());
        for _ in 0..100 {
            let n = b.input_append_buf().len();
            b.input_appended(n);
        }
        assert!(b.input().len() <= 2 * MAX_INPUT);
        assert!(b.input_append_buf().is_empty());
    }
}
