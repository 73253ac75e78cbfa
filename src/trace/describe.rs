//! Names a trace for a person: service and resource of its root, and how many spans it has.

use super::filter::root;
use super::{Arena, Interest, OnMalformed, Scanner, Span, span_range};
use crate::msgpack::reader;

/// Text of a span may be 100 KB; a message is for reading.
const MAX_TEXT: usize = 100;

/// Describes one chunk of a v0.4 payload, with its size.
pub(crate) fn describe_chunk(chunk: &[u8]) -> String {
    let mut payload = Vec::new();
    if payload.try_reserve_exact(1 + chunk.len()).is_err() {
        return format!("a trace of {} bytes", chunk.len());
    }
    payload.push(0x91);
    payload.extend_from_slice(chunk);
    format!("{}, {} bytes", describe(&payload), chunk.len())
}

/// Describes the first chunk of a v0.4 payload.
pub(crate) fn describe(payload: &[u8]) -> String {
    let unreadable = || match names_of_first(payload) {
        Some((spans, service, resource)) => {
            format!("service {:?}, resource {:?}, {spans} spans", short(service), short(resource))
        }
        None => "a trace that cannot be read".to_owned(),
    };
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
        return if spans == 0 { "a trace without spans".to_owned() } else { unreadable() };
    }
    let root = root(members);
    let (service, resource) = (short(payload.service(root)), short(payload.resource(root)));
    format!("service {service:?}, resource {resource:?}, {} spans", members.len())
}

/// How many spans the first chunk says it has, service and resource of the first one, as far as it can be read.
fn names_of_first(payload: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (_, chunk) = reader::array_head(payload, 0).ok()?;
    let (spans, span) = reader::array_head(payload, chunk).ok()?;
    let (entries, mut at) = reader::map_head(payload, span).ok()?;
    let (mut service, mut resource) = (None, None);
    for _ in 0..entries {
        let Ok((key, value)) = reader::text(payload, at) else { break };
        let found = match key {
            b"service" => Some(&mut service),
            b"resource" => Some(&mut resource),
            _ => None,
        };
        if let (Some(found), Ok((text, _))) = (found, reader::text(payload, value)) {
            *found = Some(text);
        }
        let Ok(end) = reader::skip(payload, value) else { break };
        at = end;
    }
    (service.is_some() || resource.is_some())
        .then(|| (spans, service.unwrap_or(b""), resource.unwrap_or(b"")))
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
        assert!(describe_chunk(&p[1..]).ends_with(&format!("2 spans, {} bytes", p.len() - 1)));
        for bad in [&b""[..], &[0x91], &[0x90], &[0x91, 0x91, 0x01]] {
            describe(bad);
        }
    }

    #[test]
    fn a_trace_that_is_malformed_is_named_all_the_same() {
        for rest in [&b"\xa5error\xa3bad"[..], b"\xa4meta\xff", b"\xa4me", b""] {
            let mut p = b"\x91\x91\x83\xa7service\xa3web\xa8resource\xa5GET /".to_vec();
            p.extend_from_slice(rest);
            assert_eq!(describe(&p), "service \"web\", resource \"GET /\", 1 spans");
        }
        assert_eq!(describe(b"\x91\x91\x81\xa7service"), "a trace that cannot be read");
    }
}
