//! Memcached commands: values follow the command's line, so only that line stays, and by default not even it.

use super::text;
use crate::trace::Verdict;

/// Reduces a command to its first line, or to nothing unless `keep_command`.
pub fn command(command: &[u8], keep_command: bool, out: &mut Vec<u8>) -> Verdict {
    if !keep_command {
        return if command.is_empty() { Verdict::Keep } else { Verdict::Replace };
    }
    let end = memchr::memmem::find(command, b"\r\n").unwrap_or(command.len());
    let line = text::trim(command.get(..end).unwrap_or(command));
    if line.len() == command.len() {
        return Verdict::Keep;
    }
    out.extend_from_slice(line);
    Verdict::Replace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_never_stay() {
        let mut out = Vec::new();
        assert_eq!(command(b"set a 0 0 3\r\nxyz\r\n", true, &mut out), Verdict::Replace);
        assert_eq!(out, b"set a 0 0 3");
        out.clear();
        assert_eq!(command(b"set a 0 0 3\r\nxyz\r\n", false, &mut out), Verdict::Replace);
        assert!(out.is_empty());
        assert_eq!(command(b"get a", true, &mut out), Verdict::Keep);
    }
}
