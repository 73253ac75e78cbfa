//! Names a trace for a person: service and resource of its root, and how many spans it has.

use super::filter::root;
use super::{Arena, Interest, OnMalformed, Scanner, Span, span_range};
use crate::msgpack::reader;

/// Text of a span may be 100 KB; a message is for reading.
const MAX_TEXT: usize = 100;

/// Describes the first chunk of a v0.4 payload.
pub(crate) fn describe(payload: &[u8]) -> String {
    let unreadable = || "a trace that cannot be read".to_owned();
    let Ok(mut scanner) = Scanner::new(payload, OnMalformed::Drop) else { return unreadable() };
    // A name is not worth more memory than twice the payload: a swarm of tiny spans is only counted.
    let spans = reader::array_head(payload, scanner.position()).map_or(0, |(n, _)| n as usize);
    if spans.saturating_mul(size_of::<Span>()) > 2 * payload.len() + (1 << 20) {
        return format!("a trace of {spans} spans");
    }
    let mut arena = Arena::new();
    if scanner.fill(&mut arena, &Interest::none(), 1).is_err() {
        return unreadable();
    }
    let payload = scanner.payload(&mut arena);
    let members =
        payload.chunks().first().and_then(|chunk| payload.arena.spans.get(span_range(chunk))).unwrap_or(&[]);
    if members.is_empty() {
        return "a trace without spans".to_owned();
    }
    let root = root(members);
    let (service, resource) = (short(payload.service(root)), short(payload.resource(root)));
    format!("service {service:?}, resource {resource:?}, {} spans", members.len())
}

fn short(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text.get(..MAX_TEXT * 4).unwrap_or(text)).into_owned();
    match text.char_indices().nth(MAX_TEXT) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_root_and_survives_anything() {
        // [[{service: "s", resource: "r", span_id: 1, parent_id: 2}, {service: "web", resource: "GET /"}]]
        let mut p = vec![0x91, 0x92, 0x84];
        for text in ["service", "s", "resource", "r"] {
            p.push(0xa0 | text.len() as u8);
            p.extend_from_slice(text.as_bytes());
        }
        p.extend_from_slice(b"\xa7span_id\x01\xa9parent_id\x02\x82\xa7service\xa3web\xa8resource\xa5GET /");
        assert_eq!(describe(&p), "service \"web\", resource \"GET /\", 2 spans");
        assert_eq!(describe(&[0x91, 0x90]), "a trace without spans");
        for bad in [&b""[..], &[0x91], &[0x90], &[0x91, 0x91, 0x01]] {
            describe(bad);
        }
    }
}
