//! The lists of a [`Spliced`] span: attributes of span links and span events. Most spans have none.
//!
//! A value of an event is a map, `{type: 0..4, string_value | bool_value | int_value | double_value | array_value:
//! …}`; the type says which of them counts. Arrays hold such maps; the format knows no arrays in arrays, so one level
//! is looked at.

use super::access::{Scalar, ScalarVerdict, Verdict};
use super::changes::Entry;
use super::spliced::{Spliced, ValueRule};
use crate::msgpack::{reader, writer};

/// A rule for one value of an event's attribute.
pub(super) type ScalarRule<'r> = dyn FnMut(&[u8], Scalar<'_>, &mut Vec<u8>) -> ScalarVerdict + 'r;

/// A value of an event's attribute.
enum Typed<'b> {
    One(Scalar<'b>),
    /// First element, number of elements.
    Array(usize, u32),
}

impl Spliced<'_, '_> {
    /// Asks `rule` about every attribute of every link.
    #[cold]
    pub(super) fn links(&mut self, scratch: &mut Vec<u8>, rule: &mut ValueRule<'_>) {
        let at = self.span.links.at;
        self.attributes(at, &mut |span, attribute| match span.ask(attribute, scratch, rule) {
            Verdict::Keep => 0,
            Verdict::Replace => {
                span.changes.replace_text(attribute, scratch);
                0
            }
            Verdict::Remove => {
                span.changes.leave_out(attribute);
                1
            }
        });
    }

    /// Asks `rule` about every attribute of every event, about arrays element by element.
    #[cold]
    pub(super) fn events(&mut self, scratch: &mut Vec<u8>, rule: &mut ScalarRule<'_>) {
        let at = self.span.events.at;
        self.attributes(at, &mut |span, entry| {
            let (buf, value_at) = span.changes.read(entry.value);
            match typed(buf, value_at) {
                Some(Typed::One(_)) => span.scalar(entry.key, entry, scratch, rule),
                // An array is never replaced as a whole, so this one stands in the input.
                Some(Typed::Array(first, n)) => {
                    let mut walk = span.changes.walk(first, n);
                    while let Some(element) = span.changes.next_element(&mut walk) {
                        span.scalar(entry.key, &element, scratch, rule);
                    }
                }
                None => {}
            }
            0
        });
    }

    /// Asks `rule` about one value, which is a value of an attribute or an element of its array.
    fn scalar(&mut self, key: u32, entry: &Entry, scratch: &mut Vec<u8>, rule: &mut ScalarRule<'_>) {
        scratch.clear();
        let (buf, at) = self.changes.read(entry.value);
        let Some(Typed::One(scalar)) = typed(buf, at) else { return };
        let Some(key) = self.changes.text(key) else { return };
        let verdict = rule(key, scalar, scratch);
        let side_at = self.changes.side.len();
        let side = &mut *self.changes.side;
        let mut head = |kind: u8, name: &[u8]| {
            side.extend_from_slice(b"\x82\xa4type");
            side.push(kind);
            writer::str(side, name);
        };
        match verdict {
            ScalarVerdict::Keep => return,
            ScalarVerdict::Text => {
                head(0, b"string_value");
                writer::str(side, scratch);
            }
            ScalarVerdict::Bool(v) => {
                head(1, b"bool_value");
                writer::bool(side, v);
            }
            ScalarVerdict::Int(v) => {
                head(2, b"int_value");
                writer::int(side, v);
            }
            ScalarVerdict::Double(v) => {
                head(3, b"double_value");
                writer::f64(side, v);
            }
        }
        self.changes.replace(entry, side_at);
    }

    /// Gives `each` the attributes of every element of the list at `at`; it says how many entries it left out.
    fn attributes(&mut self, at: u32, each: &mut dyn FnMut(&mut Self, &Entry) -> i32) {
        let bytes = self.changes.bytes;
        let Ok((n, first)) = reader::array_head(bytes, at as usize) else { return };
        self.changes.begin();
        let mut elements = self.changes.walk(first, n);
        while let Some(element) = self.changes.next_element(&mut elements) {
            let Ok((n, first)) = reader::map_head(bytes, element.value_at as usize) else { continue };
            let mut fields = self.changes.walk(first, n);
            while let Some(field) = self.changes.next(&mut fields) {
                if self.changes.text(field.key) != Some(b"attributes") {
                    continue;
                }
                let Ok((n, first)) = reader::map_head(bytes, field.value_at as usize) else { continue };
                let mut entries = self.changes.walk(first, n);
                let mut left_out = 0;
                while let Some(entry) = self.changes.next(&mut entries) {
                    left_out += each(self, &entry);
                }
                self.changes.count_in_pass(field.value_at, -left_out);
            }
        }
    }
}

fn typed(buf: &[u8], at: usize) -> Option<Typed<'_>> {
    let (n, mut p) = reader::map_head(buf, at).ok()?;
    let (mut kind, mut values) = (0, [None; 5]);
    for _ in 0..n {
        let (key, value_at) = reader::text(buf, p).ok()?;
        p = reader::skip(buf, value_at).ok()?;
        let known: [&[u8]; 5] =
            [b"string_value", b"bool_value", b"int_value", b"double_value", b"array_value"];
        if key == b"type" {
            kind = reader::int(buf, value_at).map_or(0, |(kind, _)| kind);
        } else if let Some(i) = known.iter().position(|k| *k == key) {
            values[i] = Some(value_at);
        }
    }
    let value_at = values.get(usize::try_from(kind).ok()?).copied()?;
    Some(Typed::One(match (kind, value_at) {
        (0, at) => Scalar::Text(at.and_then(|at| reader::text(buf, at).ok()).map_or(&[], |(text, _)| text)),
        (1, at) => Scalar::Bool(at.is_some_and(|at| buf.get(at) == Some(&0xc3))),
        (2, at) => Scalar::Int(at.and_then(|at| reader::int(buf, at).ok()).map_or(0, |(n, _)| n)),
        (3, at) => Scalar::Double(at.and_then(|at| reader::number(buf, at).ok()).map_or(0.0, |(n, _)| n)),
        (_, at) => return array(buf, at?),
    }))
}

/// `{values: […]}`.
fn array(buf: &[u8], at: usize) -> Option<Typed<'_>> {
    let (n, mut p) = reader::map_head(buf, at).ok()?;
    let mut found = None;
    for _ in 0..n {
        let (key, value_at) = reader::text(buf, p).ok()?;
        if key == b"values" {
            found = reader::array_head(buf, value_at).ok();
        }
        p = reader::skip(buf, value_at).ok()?;
    }
    found.map(|(n, first)| Typed::Array(first, n))
}
