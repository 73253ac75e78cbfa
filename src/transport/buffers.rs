//! The buffers that ureq reads and writes through. The output buffer holds the head of a request; of the body it only
//! gives room to count in. The input buffer starts small and grows only for a long head.

use super::call::Call;
use ureq::unversioned::transport::Buffers;

/// Smallest output buffer: a head with generous metadata.
const MIN_OUTPUT: usize = 4 * 1024;
/// Largest one that a body is worth: ureq counts it in steps of this. An idle exporter holds it.
const STEP: usize = 64 * 1024;
/// Largest one that a head gets; no header may be longer.
const MAX_OUTPUT: usize = 256 * 1024;
/// First size of the input buffer: an ordinary answer in one read.
const FIRST_INPUT: usize = 4 * 1024;
/// ureq refuses a head of more than 64 KiB; more room than that is never needed.
const MAX_INPUT: usize = 128 * 1024;

/// Output and input of one connection.
#[derive(Debug, Default)]
pub(crate) struct WireBuffers {
    output: Vec<u8>,
    input: Vec<u8>,
    start: usize,
    end: usize,
    progress: bool,
}

impl WireBuffers {
    /// What ureq has put into the output.
    pub(crate) fn written(&self, amount: usize) -> &[u8] {
        self.output.get(..amount).unwrap_or(&self.output)
    }

    fn room(&mut self) -> &mut [u8] {
        let Call { head_size, body_size, .. } = Call::current();
        let wanted = head_size.max((head_size + body_size).min(STEP)).clamp(MIN_OUTPUT, MAX_OUTPUT);
        if self.output.len() < wanted {
            // Smaller steps do, where there is no memory for large ones.
            let more = wanted - self.output.len();
            let size = if self.output.try_reserve_exact(more).is_ok() { wanted } else { MIN_OUTPUT };
            self.output.resize(size.max(self.output.len()), 0);
        }
        &mut self.output
    }
}

impl Buffers for WireBuffers {
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
    use std::time::{Duration, Instant};

    #[test]
    fn the_output_is_as_large_as_the_request_within_bounds() {
        let mut last = 0;
        for (head, body, room) in [
            (0, 0, MIN_OUTPUT),
            (500, 8_500, 9_000),
            (100, 0, 9_000),
            (500, 1 << 30, STEP),
            (100_000, 0, 100_000),
            (1 << 20, 1, MAX_OUTPUT),
        ] {
            let limit = Duration::from_secs(1);
            let call = Call::new(Instant::now() + limit, limit, "sendTimeout", limit, (head, body));
            call.run(|| {
                let mut b = WireBuffers::default();
                b.output.resize(last, 0);
                assert_eq!(b.output().len(), room);
                b.output()[..4].copy_from_slice(b"head");
                assert_eq!(b.written(4), b"head");
                last = room;
            });
        }
    }

    #[test]
    fn input_that_was_not_used_up_stays_and_the_buffer_ends_growing() {
        let mut b = WireBuffers::default();
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
