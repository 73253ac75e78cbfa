//! A sort that is small: std's is 12 KB of code for each type, which pays only where much is sorted often.

/// Sorts in place, whatever the order before in n log n steps. Equal ones change their order.
pub(crate) fn heap_sort<T>(items: &mut [T], less: impl Fn(&T, &T) -> bool) {
    let mut end = items.len();
    let mut start = end / 2;
    while end > 1 {
        if start > 0 {
            start -= 1;
        } else {
            end -= 1;
            items.swap(0, end);
        }
        // The one at `start` goes down to where no child is larger.
        let mut at = start;
        loop {
            let mut child = 2 * at + 1;
            if child >= end {
                break;
            }
            let is_less = |a: usize, b: usize| match (items.get(a), items.get(b)) {
                (Some(a), Some(b)) => less(a, b),
                _ => false,
            };
            child += usize::from(child + 1 < end && is_less(child, child + 1));
            if !is_less(at, child) {
                break;
            }
            items.swap(at, child);
            at = child;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::heap_sort;

    #[test]
    fn what_is_sorted_is_in_order() {
        let mut state = 1u64;
        for len in 0..if cfg!(miri) { 30 } else { 200usize } {
            let mut items: Vec<u64> = (0..len)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 33) % (len as u64 / 2 + 1)
                })
                .collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            heap_sort(&mut items, |a, b| a < b);
            assert_eq!(items, expected);
        }
    }
}
