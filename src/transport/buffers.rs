//! The buffers that ureq reads and writes through. The output buffer can hold the request's head back, so
//! that the body is laid down right behind it and both leave in one write; the input buffer starts small and
//! grows only for a long head.
//!
//! ureq copies the body into the output buffer. Some CPUs copy 14 times slower when the destination lies a
//! few bytes above the source modulo a page (measured: 176 us instead of 12 for 618 KB, from 1 to 15 bytes);
//! where that would be so, the output starts a little later.

use super::call::Call;
use ureq::unversioned::transport::Buffers;

/// Largest piece handed to the kernel at once. While the peer reads one piece the next one is copied, and what was
/// copied is still in the processor's cache when the kernel takes it: 618 KB need 225 us where one piece of all needs
/// 245, and pieces of 64 KB 500. An idle exporter holds this much.
const MAX_OUTPUT: usize = 256 * 1024;
/// Bytes in a page, or a divisor of it.
pub(in super::super) const PAGE: usize = 4096;
/// A distance (modulo a page) below this makes copying slow; 15 was measured, a cache line is safe.
const TOO_NEAR: usize = 64;
/// Room for starting later.
const SLIDE: usize = 2 * TOO_NEAR;
/// Smallest output buffer: a head with generous metadata.
const MIN_OUTPUT: usize = 4 * 1024;
/// First size of the input buffer: an ordinary answer in one read.
const FIRST_INPUT: usize = 4 * 1024;
/// ureq refuses a head of more than 64 KiB; more room than that is never needed.
const MAX_INPUT: usize = 128 * 1024;

/// Output and input of one connection.
#[derive(Debug, Default)]
pub(crate) struct HoldingBuffers {
    output: Vec<u8>,
    /// Where the output begins in `output`.
    begin: usize,
    held: usize,
    /// Where the next byte of the body lies in memory, modulo a page.
    source: usize,
    input: Vec<u8>,
    start: usize,
    end: usize,
    progress: bool,
}

impl HoldingBuffers {
    /// Keeps the first `amount` bytes of the output in front of the body, which is written next.
    pub(crate) fn hold(&mut self, amount: usize) {
        self.held += amount;
        self.source = Call::current().page_offset;
    }

    /// Whether so much is held that the rest of the buffer is not worth waiting for.
    pub(crate) fn is_crowded(&self) -> bool {
        self.held > self.output.len() / 2
    }

    /// What was held and `amount` bytes behind it; nothing is held afterwards.
    pub(crate) fn take(&mut self, amount: usize) -> &[u8] {
        let end = (self.begin + self.held + amount).min(self.output.len());
        let out = &self.output[self.begin..end];
        (self.begin, self.held) = (0, 0);
        self.source += amount;
        out
    }

    /// Room for output behind what is held.
    fn room(&mut self) -> &mut [u8] {
        let wanted =
            Call::current().size_hint.clamp(MIN_OUTPUT, MAX_OUTPUT).max(self.held + MIN_OUTPUT) + SLIDE;
        if self.output.len() < wanted {
            // The body leaves in smaller pieces where there is no memory for a large one.
            let least = self.held + MIN_OUTPUT + SLIDE;
            let more = |size: usize| size.saturating_sub(self.output.len());
            let size = if self.output.try_reserve_exact(more(wanted)).is_ok() { wanted } else { least };
            self.output.resize(size.max(self.output.len()), 0);
        }
        let target = self.output.as_ptr().addr() + self.begin + self.held;
        let distance = (target % PAGE + PAGE - self.source % PAGE) % PAGE;
        if distance > 0 && distance < TOO_NEAR && self.begin == 0 {
            self.output.copy_within(..self.held, TOO_NEAR);
            self.begin = TOO_NEAR;
        }
        &mut self.output[self.begin + self.held..]
    }
}

impl Buffers for HoldingBuffers {
    fn output(&mut self) -> &mut [u8] {
        self.room()
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
        // The first is scratch for chunked requests, which are never made.
        (&mut [], self.room())
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
    fn the_body_is_never_copied_to_just_above_its_page_offset() {
        let limit = std::time::Duration::from_secs(1);
        for offset in 0..PAGE {
            let call =
                Call::new(std::time::Instant::now() + limit, limit, "sendTimeout", limit, 10_000, offset);
            call.run(|| {
                let mut b = HoldingBuffers::default();
                b.output()[..400].fill(b'h');
                b.hold(400);
                let room = b.output();
                let distance = (room.as_ptr().addr() + PAGE - offset) % PAGE;
                assert!(distance == 0 || distance >= 16, "{offset}: {distance}");
                assert!(room.len() >= 9_600);
                room[..3].fill(b'b');
                assert!(b.take(3) == [[b'h'; 400].as_slice(), b"bbb"].concat(), "{offset}");
            });
        }
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
