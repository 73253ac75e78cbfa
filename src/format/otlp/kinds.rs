//! The kinds of spans: OTLP has numbers, the tracer a tag or, as long as there is none, the span's type.

const UNSPECIFIED: u8 = 0;
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const PRODUCER: u8 = 4;
const CONSUMER: u8 = 5;

/// The kind that the tag `span.kind` names.
pub(super) fn kind_of_tag(tag: &[u8]) -> u8 {
    // Letters alone become others by this bit, so that a word with it is the name in either case.
    const CASE: u64 = 0x2020_2020_2020_2020;
    const fn word(name: &[u8]) -> u64 {
        let (mut word, mut i) = (0, 0);
        while i < name.len() {
            word |= (name[i] as u64) << (8 * i);
            i += 1;
        }
        word | CASE
    }
    const SERVER_NAME: u64 = word(b"server");
    const CLIENT_NAME: u64 = word(b"client");
    const INTERNAL_NAME: u64 = word(b"internal");
    const PRODUCER_NAME: u64 = word(b"producer");
    const CONSUMER_NAME: u64 = word(b"consumer");
    let (len, word) = match *tag {
        [a, b, c, d, e, f] => (6, u64::from_le_bytes([a, b, c, d, e, f, 0, 0])),
        [a, b, c, d, e, f, g, h] => (8, u64::from_le_bytes([a, b, c, d, e, f, g, h])),
        _ => return UNSPECIFIED,
    };
    match (len, word | CASE) {
        (6, SERVER_NAME) => SERVER,
        (6, CLIENT_NAME) => CLIENT,
        (8, INTERNAL_NAME) => INTERNAL,
        (8, PRODUCER_NAME) => PRODUCER,
        (8, CONSUMER_NAME) => CONSUMER,
        _ => UNSPECIFIED,
    }
}

/// The kind that a type stands for, where no tag says it.
pub(super) fn kind_of_type(kind: &[u8]) -> u8 {
    let is = |name: &[u8]| kind.eq_ignore_ascii_case(name);
    match kind_of_tag(kind) {
        UNSPECIFIED if is(b"web") || is(b"http") => SERVER,
        UNSPECIFIED => INTERNAL,
        kind => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_from_the_tag_else_from_the_type() {
        for (tag, kind) in [
            ("SERVER", 2),
            ("Client", 3),
            ("internal", 1),
            ("web", 0),
            ("", 0),
            ("server  ", 0),
            ("CONSUMER", 5),
        ] {
            assert_eq!(kind_of_tag(tag.as_bytes()), kind, "{tag}");
        }
        for (name, kind) in [("web", 2), ("HTTP", 2), ("sql", 1), ("", 1), ("consumer", 5), ("internal", 1)] {
            assert_eq!(kind_of_type(name.as_bytes()), kind, "{name}");
        }
    }
}
