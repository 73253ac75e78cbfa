//! Making room in a full queue by giving up the traces that are worth least (`overflow` = SHED).

use super::parcel::{Completion, Parcel};
use crate::account::Counts;
use crate::msgpack::writer;
use crate::trace::{Valued, Worth, worths};
use std::collections::VecDeque;

/// What had to go.
#[derive(Default)]
pub(crate) struct Gone {
    /// Traces, counted spans and bytes.
    pub(crate) counts: Counts,
    /// Payloads of which nothing is left, and who waits for them.
    pub(crate) payloads: u64,
    pub(crate) waiting: Vec<Completion>,
}

/// Takes `bytes` and `payloads` out of the queue, as far as it has them: the least worth first, of equal worth the oldest.
/// A payload loses single traces; it goes when nothing is left, or when payloads are too many.
pub(crate) fn shed(parcels: &mut VecDeque<Parcel>, bytes: usize, payloads: usize) -> Gone {
    let mut gone = Gone::default();
    for worth in Worth::ALL {
        let mut i = 0;
        while i < parcels.len() {
            let lacks_bytes = (gone.counts.bytes as usize) < bytes;
            let lacks_payloads = (gone.payloads as usize) < payloads;
            if !lacks_bytes && !lacks_payloads {
                return gone;
            }
            let Some(parcel) = parcels.get_mut(i) else { break };
            let values = parcel.values.get_or_insert_with(|| values(&parcel.payload));
            let goes = if lacks_payloads && values.iter().all(|v| v.worth <= worth) {
                true
            } else {
                lacks_bytes && gone.take_some(parcel, worth, bytes)
            };
            match goes.then(|| parcels.remove(i)).flatten() {
                Some(mut parcel) => gone.take_all(&mut parcel),
                None => i += 1,
            }
        }
    }
    gone
}

/// A payload whose traces cannot be told apart is one thing of middling worth.
fn values(payload: &[u8]) -> Vec<Valued> {
    worths(payload)
        .unwrap_or_else(|| vec![Valued { at: 0, end: payload.len(), spans: 0, worth: Worth::Kept }])
}

impl Gone {
    fn take_all(&mut self, parcel: &mut Parcel) {
        let spans = parcel.values.iter().flatten().map(|v| u64::from(v.spans)).sum();
        self.counts = self.counts.plus(Counts { spans, ..std::mem::take(&mut parcel.declared) });
        self.payloads += 1;
        self.waiting.extend(parcel.done.take());
    }

    /// Takes traces of this worth until `bytes` are reached; whether nothing is left then.
    fn take_some(&mut self, parcel: &mut Parcel, worth: Worth, bytes: usize) -> bool {
        let values = parcel.values.take().unwrap_or_default();
        let (mut kept, mut lost) = (Vec::with_capacity(values.len()), Counts::default());
        for value in values {
            if value.worth == worth && ((self.counts.bytes + lost.bytes) as usize) < bytes {
                let size = (value.end - value.at) as u64;
                lost = lost.plus(Counts { traces: 1, spans: u64::from(value.spans), bytes: size });
            } else {
                kept.push(value);
            }
        }
        if lost != Counts::default() && !kept.is_empty() {
            let rest = kept.iter().map(|v| v.end - v.at).sum::<usize>();
            let mut payload = Vec::with_capacity(rest + 5);
            writer::array_head(&mut payload, kept.len() as u32);
            for value in &mut kept {
                let at = payload.len();
                payload.extend_from_slice(parcel.payload.get(value.at..value.end).unwrap_or(&[]));
                (value.at, value.end) = (at, payload.len());
            }
            parcel.payload = payload;
        }
        parcel.declared = parcel.declared.minus(Counts { spans: 0, ..lost });
        self.counts = self.counts.plus(lost);
        let nothing = kept.is_empty();
        parcel.values = Some(kept);
        nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::response::DroppedP0;
    use std::time::Instant;

    /// A payload of traces with these priorities, some hundred bytes each.
    fn parcel(seq: u64, priorities: &[i8]) -> Parcel {
        let mut payload = Vec::new();
        writer::array_head(&mut payload, priorities.len() as u32);
        for p in priorities {
            payload.extend_from_slice(b"\x91\x82\xa8resource\xd9\x64");
            payload.extend_from_slice(&[b'x'; 100]);
            payload.extend_from_slice(b"\xa7metrics\x81\xb5_sampling_priority_v1");
            payload.push(*p as u8);
        }
        let declared = Counts { traces: priorities.len() as u64, spans: 0, bytes: payload.len() as u64 };
        Parcel {
            payload,
            declared,
            dropped: DroppedP0::default(),
            offered: Instant::now(),
            seq,
            done: None,
            values: None,
            counted: false,
        }
    }

    #[test]
    fn the_least_worth_goes_first_and_what_is_left_is_a_payload() {
        let mut parcels: VecDeque<Parcel> =
            [parcel(0, &[1, 2, 0]), parcel(1, &[0, 0]), parcel(2, &[2, 1, -1])].into();
        let size = (parcels[0].payload.len() - 1) / 3;
        let all: u64 = parcels.iter().map(|p| p.declared.bytes).sum();
        let gone = shed(&mut parcels, 3 * size, 0);
        assert_eq!((gone.counts.traces, gone.counts.spans, gone.payloads), (3, 3, 1));
        assert_eq!(parcels.iter().map(|p| p.declared.traces).collect::<Vec<_>>(), [2, 3]);
        let gone_too = shed(&mut parcels, size + 1, 0);
        assert_eq!(
            gone_too.counts.traces, 2,
            "the last one that was sampled out and the oldest that was kept"
        );
        for p in &parcels {
            let (n, _) = crate::msgpack::reader::array_head(&p.payload, 0).unwrap();
            assert_eq!(u64::from(n), p.declared.traces);
            assert_eq!(worths(&p.payload).as_deref(), p.values.as_deref());
        }
        let left: u64 = parcels.iter().map(|p| p.declared.bytes).sum();
        assert_eq!(left + gone.counts.bytes + gone_too.counts.bytes, all);
        let last = shed(&mut parcels, usize::MAX, 0);
        assert_eq!((last.counts.traces, last.payloads, parcels.len()), (3, 2, 0));
    }

    #[test]
    fn too_many_payloads_lose_whole_ones_and_what_cannot_be_read_is_of_middling_worth() {
        let mut odd = parcel(9, &[1]);
        odd.payload.truncate(9);
        let mut parcels: VecDeque<Parcel> =
            [parcel(0, &[2]), odd, parcel(1, &[1, 0]), parcel(2, &[0])].into();
        assert_eq!(shed(&mut parcels, 0, 2).payloads, 2);
        assert_eq!(parcels.iter().map(|p| p.seq).collect::<Vec<_>>(), [0, 1]);
    }
}
