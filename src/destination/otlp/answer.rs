//! What an OTLP receiver says of a request that it took: nothing, or how much of it is rejected and why.

use serde_json::Value;
use ureq::http::HeaderMap;
use ureq::http::header::CONTENT_TYPE;

/// A partial success; all zero for a whole one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Partial {
    pub(super) rejected: u64,
    pub(super) message: String,
}

/// So much of a message is kept.
const MAX_WORDS: usize = 300;

/// Reads an answer by its content type, JSON or protobuf; without one by its first byte.
pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Partial, &'static str> {
    let content = headers.get(CONTENT_TYPE).map_or(&[][..], |value| value.as_bytes());
    let begins = |name: &[u8]| content.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name));
    if begins(b"application/json") || content.is_empty() && body.first() == Some(&b'{') {
        return json(body);
    }
    if begins(b"application/x-protobuf") || content.is_empty() {
        return protobuf(body).ok_or("it is no message in protobuf");
    }
    Err("its content type is neither JSON nor protobuf")
}

fn json(body: &[u8]) -> Result<Partial, &'static str> {
    let whole: Value = serde_json::from_slice(body).map_err(|_| "it is not JSON")?;
    let Value::Object(fields) = whole else { return Err("it is no JSON object") };
    let Some(partial) = fields.get("partialSuccess") else { return Ok(Partial::default()) };
    let rejected = match partial.get("rejectedSpans") {
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        Some(number) => number.as_u64().unwrap_or(0),
        None => 0,
    };
    let message = partial.get("errorMessage").and_then(Value::as_str).unwrap_or("");
    Ok(Partial { rejected, message: cut(message) })
}

/// `partial_success = 1 { rejected_spans = 1, error_message = 2 }`; other fields are passed over.
fn protobuf(body: &[u8]) -> Option<Partial> {
    let mut partial = Partial::default();
    fields(body, |number, value| {
        if let (1, Field::Bytes(inner)) = (number, value) {
            return fields(inner, |number, value| {
                match (number, value) {
                    (1, Field::Number(n)) => partial.rejected = u64::try_from(n as i64).unwrap_or(0),
                    (2, Field::Bytes(text)) => partial.message = cut(&String::from_utf8_lossy(text)),
                    _ => {}
                }
                Some(())
            });
        }
        Some(())
    })?;
    Some(partial)
}

enum Field<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

fn fields<'b>(mut rest: &'b [u8], mut each: impl FnMut(u64, Field<'b>) -> Option<()>) -> Option<()> {
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let mut take = |n: usize| {
            let (taken, behind) = rest.split_at_checked(n)?;
            rest = behind;
            Some(taken)
        };
        match key & 7 {
            0 => each(key >> 3, Field::Number(varint(&mut rest)?))?,
            1 => drop(take(8)?),
            2 => {
                let len = usize::try_from(varint(&mut rest)?).ok()?;
                let (taken, behind) = rest.split_at_checked(len)?;
                rest = behind;
                each(key >> 3, Field::Bytes(taken))?;
            }
            5 => drop(take(4)?),
            _ => return None,
        }
    }
    Some(())
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut v = 0u64;
    for shift in (0..70).step_by(7) {
        let (b, behind) = rest.split_first()?;
        *rest = behind;
        v |= u64::from(b & 0x7f).checked_shl(shift).unwrap_or(0);
        if b & 0x80 == 0 {
            return Some(v);
        }
    }
    None
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::http::HeaderValue;

    fn of(content: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if !content.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
        }
        headers
    }

    fn partial(rejected: u64, message: &str) -> Partial {
        Partial { rejected, message: message.to_owned() }
    }

    #[test]
    fn both_encodings_say_how_much_was_rejected() {
        let json = "application/json; charset=utf-8";
        for (content, body, want) in [
            (json, &br#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no"}}"#[..], partial(3, "no")),
            ("", br#"{"partialSuccess":{"rejectedSpans":3}}"#, partial(3, "")),
            (json, b"{}", Partial::default()),
            (json, br#"{"partialSuccess":{}}"#, Partial::default()),
            ("application/x-protobuf", b"\x0a\x06\x08\x03\x12\x02no", partial(3, "no")),
            ("application/x-protobuf", b"\x0a\x00", Partial::default()),
            ("application/x-protobuf", b"\x10\x05\x19\0\0\0\0\0\0\0\0\x25\0\0\0\0", Partial::default()),
            ("", b"\x0a\x02\x08\x7f", partial(127, "")),
        ] {
            assert_eq!(read(&of(content), body), Ok(want), "{content} {body:?}");
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error_and_no_panic() {
        for (content, body) in [
            ("application/json", &b"garbage"[..]),
            ("application/json", b"[]"),
            ("application/x-protobuf", b"garbage"),
            ("application/x-protobuf", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
            ("application/x-protobuf", b"\x0a\x05\x08"),
            ("text/plain", b"ok"),
        ] {
            assert!(read(&of(content), body).is_err(), "{content} {body:?}");
        }
        let long = format!(r#"{{"partialSuccess":{{"errorMessage":"{}"}}}}"#, "x".repeat(100_000));
        assert_eq!(read(&of("application/json"), long.as_bytes()).unwrap().message.len(), MAX_WORDS);
    }
}
