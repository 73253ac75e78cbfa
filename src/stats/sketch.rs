//! DDSketch: how durations are distributed, within 0.78 % of each value, in a form that can be merged.
//!
//! Mapping and protobuf are those of Datadog's tracers and agents (`spec/reference-behaviour.md` 4.8): bin
//! `floor(ln(v) * 64.498… + 1338.5)`, at most 2048 bins of which the lowest are merged, zeros counted by themselves.
//!
//! Most groups of a bucket see a handful of different durations, so a sketch begins as a short list of bins and becomes
//! a dense array when the list is full. An empty one owns no memory. The bin of a duration comes out of a table of bin
//! limits, made once from the formula itself, so both always agree.

use std::sync::OnceLock;

/// Relative error of a quantile.
pub const RELATIVE_ACCURACY: f64 = 0.007_751_937_984_496_124;
/// Ratio of two neighbouring bin limits.
pub const GAMMA: f64 = 1.015_625;
const INDEX_OFFSET: f64 = 1338.5;
/// More bins than this are never kept.
pub const MAX_BINS: usize = 2048;
/// Smaller values count as zero.
const LEAST: f64 = f64::MIN_POSITIVE * GAMMA;

/// So many different bins are kept as a list.
const FEW: usize = 24;
/// `Sketch::offset` of a sketch that is a list.
const LIST: i32 = i32::MIN;
/// In a list: the bin in the upper bits, biased to be positive, its count in the lower ones.
const COUNT_BITS: u32 = 44;
const BIAS: i32 = 1 << 18;

/// A sketch of non-negative values, each with the weight of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    zeros: u64,
    count: u64,
    offset: i32,
    bins: Vec<u64>,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { zeros: 0, count: 0, offset: LIST, bins: Vec::new() }
    }
}

impl Sketch {
    /// Adds a duration in ns.
    #[inline]
    pub fn add(&mut self, ns: u64) {
        self.count += 1;
        if ns == 0 {
            self.zeros += 1;
        } else {
            // The greatest two are the same as floating-point numbers; the last limit is the greatest.
            self.add_to(table().bin(ns.min(u64::MAX - 1)), 1);
        }
    }

    /// Adds any value. Negative, infinite and undefined ones are refused.
    pub fn add_value(&mut self, value: f64) -> bool {
        if !(value >= 0.0 && value.is_finite()) {
            return false;
        }
        self.count += 1;
        if value < LEAST {
            self.zeros += 1;
        } else {
            self.add_to(bin_of(value), 1);
        }
        true
    }

    /// Adds all that `other` has seen.
    pub fn merge(&mut self, other: &Sketch) {
        self.zeros += other.zeros;
        self.count += other.count;
        other.each_bin(|bin, n| self.add_to(bin, n));
    }

    /// How many values it has seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many of them were zero.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// The value below which the part `q` (0 to 1) of all values lies; 0 for an empty sketch.
    pub fn quantile(&self, q: f64) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let rank = q.clamp(0.0, 1.0) * (self.count - 1) as f64;
        let mut seen = self.zeros;
        if seen as f64 > rank {
            return 0.0;
        }
        let (first, bins) = self.contiguous();
        let mut last = first;
        for (at, n) in bins.iter().enumerate() {
            seen += n;
            if *n > 0 {
                last = first + at as i32;
            }
            if seen as f64 > rank {
                break;
            }
        }
        value_of(last)
    }

    /// The bins as index of the first and counts, without gaps.
    pub fn contiguous(&self) -> (i32, Vec<u64>) {
        if self.offset != LIST {
            return (self.offset, self.bins.clone());
        }
        let (mut low, mut high) = (i32::MAX, i32::MIN);
        self.each_bin(|bin, _| (low, high) = (low.min(bin), high.max(bin)));
        if low > high {
            return (0, Vec::new());
        }
        low = low.max(high - (MAX_BINS as i32 - 1));
        let mut bins = vec![0; (high - low) as usize + 1];
        self.each_bin(|bin, n| {
            if let Some(to) = bins.get_mut((bin - low).max(0) as usize) {
                *to += n;
            }
        });
        (low, bins)
    }

    /// Calls `f` with every bin that is not empty.
    fn each_bin(&self, mut f: impl FnMut(i32, u64)) {
        for (at, &entry) in self.bins.iter().enumerate() {
            if self.offset == LIST {
                f((entry >> COUNT_BITS) as i32 - BIAS, entry & ((1 << COUNT_BITS) - 1));
            } else if entry > 0 {
                f(self.offset + at as i32, entry);
            }
        }
    }

    /// Appends the sketch as protobuf.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // Mapping: gamma, offset; interpolation "none" is the default and left out.
        out.extend_from_slice(&[0x0a, 18, 0x09]);
        out.extend_from_slice(&GAMMA.to_le_bytes());
        out.push(0x11);
        out.extend_from_slice(&INDEX_OFFSET.to_le_bytes());
        // Positive values: packed counts, index of the first.
        let (first, bins) = self.contiguous();
        let mut offset = [0; 6];
        let zigzag = ((first << 1) ^ (first >> 31)) as u32;
        let offset_len = if zigzag == 0 {
            0
        } else {
            offset[0] = 0x18;
            1 + varint(u64::from(zigzag), &mut offset[1..])
        };
        let counts_len = bins.len() * 8;
        let mut head = [0; 5];
        let head_len = if bins.is_empty() { 0 } else { varint(counts_len as u64, &mut head) };
        let store_len = if bins.is_empty() { 0 } else { 1 + head_len + counts_len } + offset_len;
        out.push(0x12);
        let mut length = [0; 5];
        let n = varint(store_len as u64, &mut length);
        out.extend(length.iter().take(n));
        if !bins.is_empty() {
            out.push(0x12);
            out.extend(head.iter().take(head_len));
            bins.iter().for_each(|n| out.extend_from_slice(&(*n as f64).to_le_bytes()));
        }
        out.extend(offset.iter().take(offset_len));
        // Negative values: an empty store that is written all the same.
        out.extend_from_slice(&[0x1a, 0]);
        if self.zeros > 0 {
            out.push(0x21);
            out.extend_from_slice(&(self.zeros as f64).to_le_bytes());
        }
    }

    /// Bytes of memory held outside the structure itself.
    pub fn heap_bytes(&self) -> usize {
        self.bins.capacity() * 8
    }

    #[inline]
    fn add_to(&mut self, bin: i32, n: u64) {
        if self.offset != LIST {
            if let Ok(at) = usize::try_from(bin - self.offset)
                && let Some(count) = self.bins.get_mut(at)
            {
                *count += n;
                return;
            }
            return self.widen(bin, n);
        }
        let tag = (bin + BIAS) as u64;
        match self.bins.iter_mut().find(|entry| **entry >> COUNT_BITS == tag) {
            Some(entry) => *entry += n,
            None => self.add_bin(bin, n),
        }
    }

    #[cold]
    fn add_bin(&mut self, bin: i32, n: u64) {
        if self.bins.len() == FEW {
            let (offset, bins) = self.contiguous();
            (self.offset, self.bins) = (offset, bins);
            return self.add_to(bin, n);
        }
        if self.bins.len() == self.bins.capacity() {
            self.bins.reserve_exact((self.bins.len() / 2).max(2));
        }
        self.bins.push(((bin + BIAS) as u64) << COUNT_BITS | n);
    }

    /// A bin outside of the dense array.
    #[cold]
    fn widen(&mut self, bin: i32, n: u64) {
        let most = MAX_BINS as i32;
        let high = self.offset + self.bins.len() as i32 - 1;
        if bin < self.offset {
            let low = bin.max(high - (most - 1));
            self.bins.splice(0..0, std::iter::repeat_n(0, (self.offset - low) as usize));
            self.offset = low;
        } else {
            let low = self.offset.max(bin - (most - 1));
            let merged = ((low - self.offset) as usize).min(self.bins.len());
            let sum: u64 = self.bins.drain(..merged).sum();
            self.offset = low;
            self.bins.resize((bin - low) as usize + 1, 0);
            if let Some(lowest) = self.bins.first_mut() {
                *lowest += sum;
            }
        }
        if let Some(count) = self.bins.get_mut((bin - self.offset).max(0) as usize) {
            *count += n;
        }
    }
}

/// The value that stands for a bin.
pub fn value_of(bin: i32) -> f64 {
    ((f64::from(bin) - INDEX_OFFSET) / multiplier()).exp() * (1.0 + RELATIVE_ACCURACY)
}

fn multiplier() -> f64 {
    1.0 / GAMMA.ln()
}

/// The formula.
fn bin_of(value: f64) -> i32 {
    (value.ln() * multiplier() + INDEX_OFFSET).floor() as i32
}

fn varint(mut v: u64, out: &mut [u8]) -> usize {
    for (n, to) in out.iter_mut().enumerate() {
        *to = (v & 0x7f) as u8 | if v > 0x7f { 0x80 } else { 0 };
        v >>= 7;
        if v == 0 {
            return n + 1;
        }
    }
    out.len()
}

/// Bins of the values 1 to 2^64, in fixed point: 32 bits behind the point.
struct Table {
    /// For the eight bits behind the first of a value: their part of the bin number, a hair less.
    parts: [u64; 256],
    /// For a power of two: its part of the bin number.
    powers: [u64; 64],
    /// The smallest value of each bin, and one that no value reaches.
    limits: Vec<u64>,
}

/// The bin of 1.
const FIRST: i32 = 1338;
/// The bin of 2^64 and one more.
const LAST: i32 = 4202;

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(Table::new)
}

impl Table {
    #[cold]
    fn new() -> Self {
        let fixed = |v: f64| (v * 4_294_967_296.0) as u64;
        let multiplier = multiplier();
        let part = |m: usize| fixed(((1.0 + m as f64 / 256.0).ln() * multiplier - 1e-6).max(0.0));
        let power = |e: usize| fixed(e as f64 * std::f64::consts::LN_2 * multiplier + INDEX_OFFSET - 1e-6);
        Self {
            parts: std::array::from_fn(part),
            powers: std::array::from_fn(power),
            limits: (FIRST..=LAST).map(limit).collect(),
        }
    }

    /// The bin of a value above 0. A step of the eight bits is a quarter of a bin, so the first guess is right or one
    /// too small.
    #[inline]
    fn bin(&self, ns: u64) -> i32 {
        let zeros = ns.leading_zeros();
        let part = (ns << (zeros & 63)) >> 55 & 0xff;
        let power = self.powers[63 - (zeros & 63) as usize];
        let guess = ((power + self.parts[part as usize]) >> 32) as usize;
        match self.limits.get((guess + 1).wrapping_sub(FIRST as usize)) {
            Some(limit) => guess as i32 + i32::from(ns >= *limit),
            None => bin_of(ns as f64),
        }
    }
}

/// The smallest value whose bin, by the formula, is `bin` or a later one.
fn limit(bin: i32) -> u64 {
    let near = ((f64::from(bin) - INDEX_OFFSET) / multiplier()).exp();
    let (mut low, mut high) =
        ((near * (1.0 - 1e-12)) as u64, ((near * (1.0 + 1e-12)) as u64).saturating_add(2));
    low = low.saturating_sub(2);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if middle > 0 && bin_of(middle as f64) >= bin {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    fn encoded(values: &[u64]) -> Vec<u8> {
        let mut sketch = Sketch::default();
        values.iter().for_each(|v| sketch.add(*v));
        let mut out = Vec::new();
        sketch.encode(&mut out);
        out
    }

    #[test]
    fn protobuf_is_that_of_the_worked_examples() {
        const MAPPING: &str = "0a1209000000000040f03f110000000000ea9440";
        assert_eq!(hex(&encoded(&[])), format!("{MAPPING}12001a00"));
        assert_eq!(hex(&encoded(&[1_000_000_000])), format!("{MAPPING}120d1208000000000000f03f18e6291a00"));
        assert!(hex(&encoded(&[1000])).contains("18f01b"));
        assert!(hex(&encoded(&[0, 0])).ends_with("12001a00210000000000000040"));
    }

    #[test]
    fn bins_and_their_values_are_those_of_the_worked_examples() {
        for (ns, bin, value) in [
            (1u64, 1338, 0.99997),
            (500, 1739, 501.27),
            (1_000_000, 2229, 998_690.0),
            (1_000_000_000, 2675, 1_005_818_375.8),
            (60_000_000_000, 2939, 60_274_357_224.0),
        ] {
            assert_eq!(table().bin(ns), bin);
            assert!((value_of(bin) / value - 1.0).abs() < 1e-5, "{ns}");
        }
    }

    #[test]
    fn the_table_agrees_with_the_formula_everywhere() {
        let mut seed = 0x1234_5678_9abc_def1u64;
        let check = |v: u64| assert_eq!(table().bin(v), bin_of(v as f64), "{v}");
        for shift in (0..64).step_by(if cfg!(miri) { 9 } else { 1 }) {
            for around in -3i64..=3 {
                check((1u64 << shift).saturating_add_signed(around).max(1));
            }
        }
        for bin in (FIRST..4190).step_by(if cfg!(miri) { 97 } else { 1 }) {
            for around in -2i64..=2 {
                check(limit(bin).saturating_add_signed(around).max(1));
            }
        }
        for _ in 0..if cfg!(miri) { 100 } else { 300_000 } {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            check((seed >> (seed & 63)).max(1));
        }
        check(u64::MAX - 1);
    }

    #[test]
    fn a_list_a_dense_array_and_a_merge_say_the_same() {
        let values: Vec<u64> = (0..400u64).map(|i| i * i * i * 97 + i % 3).collect();
        let mut whole = Sketch::default();
        values.iter().for_each(|v| whole.add(*v));
        assert_ne!(whole.offset, LIST);
        let mut merged = Sketch::default();
        for part in values.chunks(7) {
            let mut few = Sketch::default();
            part.iter().for_each(|v| few.add(*v));
            assert_eq!(few.offset, LIST);
            merged.merge(&few);
        }
        assert_eq!(merged.contiguous(), whole.contiguous());
        assert_eq!((merged.count(), merged.zeros()), (400, 1));
        let bins: u64 = whole.contiguous().1.iter().sum();
        assert_eq!(bins + whole.zeros(), whole.count());
    }

    #[test]
    fn quantiles_are_within_the_guarantee() {
        let mut sketch = Sketch::default();
        let last = if cfg!(miri) { 300u32 } else { 10_000 };
        (1..=u64::from(last)).for_each(|v| sketch.add(v * 1000));
        for q in [0.0, 0.01, 0.5, 0.75, 0.95, 0.99, 1.0] {
            let exact = (1.0 + (q * f64::from(last - 1)).floor()) * 1000.0;
            let got = sketch.quantile(q);
            assert!((got / exact - 1.0).abs() <= RELATIVE_ACCURACY + 1e-9, "{q}: {got} {exact}");
        }
        assert_eq!(Sketch::default().quantile(0.5), 0.0);
    }

    #[test]
    fn too_many_bins_merge_at_the_low_end_in_any_order() {
        let values: Vec<f64> = (0..3000).map(|i| 1e-9 * GAMMA.powi(i)).collect();
        let mut up = Sketch::default();
        values.iter().for_each(|v| assert!(up.add_value(*v)));
        let mut down = Sketch::default();
        values.iter().rev().for_each(|v| assert!(down.add_value(*v)));
        let (low, bins) = up.contiguous();
        assert_eq!((low, &bins), (down.contiguous().0, &down.contiguous().1));
        assert_eq!(bins.len(), MAX_BINS);
        assert_eq!(bins.iter().sum::<u64>(), 3000);
        for bad in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!up.add_value(bad));
        }
    }

    #[test]
    fn an_empty_sketch_owns_nothing_and_a_small_one_little() {
        let mut sketch = Sketch::default();
        assert_eq!(sketch.heap_bytes(), 0);
        sketch.add(1);
        sketch.add(i64::MAX as u64);
        assert!(sketch.heap_bytes() <= 64);
    }
}
