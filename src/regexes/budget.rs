//! How much a list of patterns that a peer sent may take.

use super::{BadPattern, MAX_PATTERN_BYTES, Pattern, compile, syntax, too_large};
use syntax::Stop;

/// What is left of the bounds of one list of patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many more rules are taken, those without a pattern included.
    pub rules: usize,
    /// How many more bytes compiled patterns may take.
    pub bytes: usize,
    /// How many of them one pattern may take.
    pattern: usize,
}

/// The first limit tried. Nearly every pattern fits.
const SMALLEST: usize = 4 << 10;
/// The largest one, as a part of what the whole list may take.
const PART: usize = 16;

impl Budget {
    /// So many rules, and so many bytes of compiled patterns.
    pub const fn new(rules: usize, bytes: usize) -> Self {
        Self { rules, bytes, pattern: bytes / PART }
    }

    /// No bounds but that of one pattern: for what the caller set.
    pub const fn unbounded() -> Self {
        Self { rules: usize::MAX, bytes: usize::MAX, pattern: MAX_PATTERN_BYTES }
    }

    /// Takes one rule.
    ///
    /// # Errors
    /// When there were enough.
    pub fn rule(&mut self) -> Result<(), BadPattern> {
        let enough = || BadPattern::whole("there are more rules than are taken");
        self.rules = self.rules.checked_sub(1).ok_or_else(enough)?;
        Ok(())
    }

    /// Compiles a pattern and takes what it needs. A pattern that is too large takes what it cost to find out, so
    /// that the work has the same bound as the memory.
    ///
    /// # Errors
    /// As [`Pattern::new`], and when less is left than it needs.
    pub fn compile(&mut self, pattern: &str) -> Result<Pattern, BadPattern> {
        if self.bytes == usize::MAX {
            return Pattern::new(pattern);
        }
        let read = match syntax::read(pattern, self.pattern) {
            Ok(read) => read,
            Err(stop) => {
                if matches!(stop, Stop::TooLarge) {
                    self.take(self.pattern)?;
                }
                return Err(stop.said(self.pattern));
            }
        };
        // The crate does not say how large a pattern became, only that it is within a limit. The first of growing
        // limits that suffices says it within a factor of four.
        let mut limit = SMALLEST;
        loop {
            let within = limit.min(self.pattern);
            self.take(within)?;
            if let Some(regex) = compile(&read.hir, within)? {
                return Ok(Pattern { regex, names: read.names });
            }
            if within == self.pattern {
                return Err(BadPattern::whole(too_large(within)));
            }
            limit *= 4;
        }
    }

    fn take(&mut self, bytes: usize) -> Result<(), BadPattern> {
        let took_all = || BadPattern::whole("the rules before it took all memory there is for them");
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(took_all)?;
        Ok(())
    }
}
