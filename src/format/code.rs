//! The number of a text, ready to be stored, and what encoders want to know of the text wherever it comes again.

/// In a code: the text is the key of a text in some span of the payload. A number's key that has it may stand in one
/// span twice, once for each.
pub(super) const META_KEY: u64 = 1 << 51;

/// The number of a text as msgpack bytes (lowest byte first) with their count in the highest byte, and the text's
/// [`mark_of`] in four bits below that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Code(pub(super) u64);

impl Code {
    /// The empty text is number 0 in every format.
    pub(super) const EMPTY: Code = Code(1 << 56 | META_KEY);

    pub(super) fn of(id: u32) -> Self {
        let (width, bytes) = match id {
            0..=0x7f => (1, u64::from(id)),
            0x80..=0xff => (2, 0xcc | u64::from(id) << 8),
            0x100..=0xffff => (3, 0xcd | u64::from((id as u16).swap_bytes()) << 8),
            _ => (5, 0xce | u64::from(id.swap_bytes()) << 8),
        };
        Self(width << 56 | bytes)
    }

    #[inline(always)]
    pub(super) fn width(self) -> usize {
        (self.0 >> 56) as usize
    }

    /// Whether [`StringTable::set_meta_key`] was called for the text, or may have been.
    #[inline(always)]
    pub(super) fn is_meta_key(self) -> bool {
        self.0 & META_KEY != 0
    }

    /// Whether it is the key of a text, and no more is to be known of it.
    #[inline(always)]
    pub(super) fn is_plain_meta_key(self) -> bool {
        self.0 & (META_KEY | 15 << 52) == META_KEY
    }

    /// Whether nothing is to be known of it.
    #[inline(always)]
    pub(super) fn is_plain(self) -> bool {
        self.0 & (META_KEY | 15 << 52) == 0
    }

    /// The text's [`mark`].
    #[inline(always)]
    pub(super) fn mark(self) -> usize {
        (self.0 >> 52) as usize & 15
    }
}

/// Texts that encoders look out for. Asked once a distinct text, they cost nothing where they come again: the place of
/// a text in this list, plus 1, comes with its number.
pub(super) const MARKED: [&[u8]; 15] = [
    b"env",
    b"version",
    b"component",
    b"span.kind",
    b"_dd.p.tid",
    b"_dd.p.dm",
    b"_dd.origin",
    b"_dd.hostname",
    b"_dd.git.commit.sha",
    b"_dd.apm_mode",
    b"_sampling_priority_v1",
    b"server",
    b"client",
    b"producer",
    b"consumer",
];

/// The mark of each hash of a text's first eight bytes; 0 is none.
const MARKS: [u8; 64] = {
    let mut marks = [0; 64];
    let mut i = 0;
    while i < MARKED.len() {
        let (mut first, mut k) = (0, 0);
        while k < MARKED[i].len() && k < 8 {
            first |= (MARKED[i][k] as u64) << (8 * k);
            k += 1;
        }
        assert!(marks[mark_place(first)] == 0, "two of these texts have one place: take another factor");
        marks[mark_place(first)] = i as u8 + 1;
        i += 1;
    }
    marks
};

/// Found by trying: no two of the texts have one place.
const MARK_FACTOR: u64 = 0xcd61_3e30_d8f1_6adf;

const fn mark_place(first: u64) -> usize {
    (first.wrapping_mul(MARK_FACTOR) >> 58) as usize
}

/// The place of `text` in [`MARKED`], plus 1; else 0. `first` is its first eight bytes, missing ones as zeros.
#[inline(always)]
pub(super) fn mark(first: u64, text: &[u8]) -> usize {
    let mark = usize::from(MARKS[mark_place(first)]);
    if mark != 0 && *text == *MARKED[mark - 1] { mark } else { 0 }
}
