//! `peer.service` and `_dd.base_service`: like a service, but what has nothing left becomes empty.

use super::{service, tag};
use crate::account::normalization::{Counts, Reason};
use crate::trace::Verdict;

/// Normalizes `peer.service`.
pub fn peer_service(text: &[u8], counts: &mut Counts, out: &mut Vec<u8>) -> Verdict {
    value(text, Reason::PeerServiceTruncate, Reason::PeerServiceInvalid, counts, out)
}

/// Normalizes `_dd.base_service`.
pub fn base_service(text: &[u8], counts: &mut Counts, out: &mut Vec<u8>) -> Verdict {
    value(text, Reason::BaseServiceTruncate, Reason::BaseServiceInvalid, counts, out)
}

fn value(text: &[u8], too_long: Reason, invalid: Reason, counts: &mut Counts, out: &mut Vec<u8>) -> Verdict {
    if text.len() <= service::MAX_BYTES && tag::is_normal(text) {
        return Verdict::Keep;
    }
    service::cut_value(text, too_long, invalid, counts, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_becomes_empty() {
        let (mut counts, mut out) = (Counts::default(), Vec::new());
        assert_eq!(peer_service(b"!!", &mut counts, &mut out), Verdict::Replace);
        assert!(out.is_empty());
        assert_eq!(counts.get(Reason::PeerServiceInvalid), 1);
        assert_eq!(base_service(b"", &mut counts, &mut out), Verdict::Keep);
        assert_eq!(base_service(&[b'A'; 101], &mut counts, &mut out), Verdict::Replace);
        assert_eq!(out, [b'a'; 100]);
        assert_eq!(counts.get(Reason::BaseServiceTruncate), 1);
    }
}
