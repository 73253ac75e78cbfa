//! What takes the place of a match: Go's `Expand`. `$1`, `${1}`, `$name` and `${name}` stand for groups, `$$` for a
//! dollar; the longest run of letters, digits and `_` is the name. A name that no group has is empty, and so is a
//! number with a leading zero (`$00`): it is read as a name. A dollar that begins nothing is itself.

use super::Pattern;
use regex_automata::util::captures::Captures;

/// A replacement, read for one pattern.
#[derive(Clone, Debug)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    /// The first of these groups that took part; several may have one name.
    Group(Vec<usize>),
}

impl Template {
    /// Reads a replacement for matches of `pattern`.
    pub fn new(template: &str, pattern: &Pattern) -> Self {
        let mut read = Self { pieces: Vec::new() };
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('$') {
            read.text(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                read.text("$");
                rest = after;
            } else if let Some((name, after)) = name(rest) {
                read.pieces.push(Piece::Group(groups(name, pattern)));
                rest = after;
            } else {
                read.text("$");
            }
        }
        read.text(rest);
        read
    }

    pub(super) fn has_groups(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Group(_)))
    }

    /// Writes the replacement of one match, no more than one piece beyond `room` bytes.
    pub(super) fn write(&self, text: &str, found: &Captures, room: usize, out: &mut Vec<u8>) {
        let end = out.len().saturating_add(room);
        for piece in &self.pieces {
            if out.len() > end {
                return;
            }
            match piece {
                Piece::Text(literal) => out.extend_from_slice(literal.as_bytes()),
                Piece::Group(groups) => {
                    let group = groups.iter().find_map(|i| found.get_group(*i));
                    let group = group.and_then(|group| text.get(group.range())).unwrap_or("");
                    out.extend_from_slice(group.as_bytes());
                }
            }
        }
    }

    fn text(&mut self, text: &str) {
        match self.pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(before)) => before.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }
}

/// The name at the beginning of what stands behind a dollar, and what follows it.
fn name(text: &str) -> Option<(&str, &str)> {
    let (braces, inner) = match text.strip_prefix('{') {
        Some(inner) => (true, inner),
        None => (false, text),
    };
    let end = inner.find(|c: char| !is_of_name(c)).unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    match (name.is_empty(), braces) {
        (true, _) => None,
        (false, false) => Some((name, rest)),
        (false, true) => rest.strip_prefix('}').map(|rest| (name, rest)),
    }
}

/// Groups have ASCII names; of the others it only matters that they are no end of a name.
fn is_of_name(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric() || (!c.is_ascii() && c.is_alphanumeric())
}

fn groups(name: &str, pattern: &Pattern) -> Vec<usize> {
    let is_number = name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    match name.parse::<usize>() {
        // A larger one is a name to Go, which comes to the same: no group has either.
        Ok(number) if is_number && number < 1_000_000_000 => vec![number],
        _ => {
            let named = |(i, n): (usize, &Option<String>)| (n.as_deref() == Some(name)).then_some(i);
            pattern.names.iter().enumerate().filter_map(named).collect()
        }
    }
}
