//! The aggregation key: what makes two spans fall into one group (`spec/reference-behaviour.md` 4.3).
//!
//! A key is one run of bytes, so that it is hashed and compared in one go and a group that exists is found without an
//! allocation: a head of fixed size (status codes, flags, lengths), eight texts, then the tags, each with its length
//! and in the form `key:value` in which they are reported. Additional tags come first; peer tags reach to the end.

/// Hashes keys and fields of keys. Both come from traffic, so places depend on a seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed([u64; 3]);

impl Default for Seed {
    fn default() -> Self {
        use std::hash::{BuildHasher, Hasher};
        let word = || std::collections::hash_map::RandomState::new().build_hasher().finish();
        Self([word(), word(), word()])
    }
}

impl Seed {
    /// Four lanes, each taking 16 bytes a multiplication.
    #[inline(always)]
    pub(crate) fn hash(&self, bytes: &[u8]) -> u64 {
        let [a, b, c] = self.0;
        let mut lanes = [a, b, a.rotate_left(32), b.rotate_left(32)];
        let (pairs, rest) = bytes.as_chunks::<{ 2 * BLOCK }>();
        for pair in pairs {
            let words = pair.as_chunks::<8>().0;
            let word = |i: usize| words.get(i).map_or(0, |w| u64::from_le_bytes(*w));
            for (i, lane) in lanes.iter_mut().enumerate() {
                *lane = fold(*lane ^ word(2 * i), c ^ word(2 * i + 1));
            }
        }
        let (blocks, rest) = rest.as_chunks::<BLOCK>();
        for block in blocks {
            Self::block(block, &mut lanes, c);
        }
        if !rest.is_empty() {
            let mut last = [0; BLOCK];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            Self::block(&last, &mut lanes, c);
        }
        let [d, e, f, g] = lanes;
        fold(d ^ e.rotate_left(17) ^ bytes.len() as u64, c ^ f.rotate_left(29) ^ g.rotate_left(43))
    }

    #[inline(always)]
    fn block(block: &[u8; BLOCK], lanes: &mut [u64; 4], c: u64) {
        let words = block.as_chunks::<8>().0;
        let word = |i: usize| words.get(i).map_or(0, |w| u64::from_le_bytes(*w));
        lanes[0] = fold(lanes[0] ^ word(0), c ^ word(1));
        lanes[1] = fold(lanes[1] ^ word(2), c ^ word(3));
    }
}

#[inline(always)]
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// What stands in for a value that a cardinality limit has blocked.
pub(crate) const BLOCKED: &[u8] = b"tracer_blocked_value";

/// The texts of a key, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Text {
    Service,
    Name,
    Resource,
    Type,
    SpanKind,
    HttpMethod,
    HttpEndpoint,
    ServiceSource,
}

/// How many texts there are.
pub(crate) const TEXTS: usize = 8;
/// Bytes before the first text: HTTP status (4), gRPC code (4), flags, number of additional tags, number of peer tags
/// (2), lengths.
const HEAD: usize = LENGTHS + 4 * TEXTS;
const LENGTHS: usize = 12;
/// A key is filled with zeros to a multiple of this, so that it is hashed without a rest.
const BLOCK: usize = 32;

/// Whether a span is the root of its trace. The overflow group does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Root {
    NotSet = 0,
    Yes = 1,
    No = 2,
}

/// What a key holds beside text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) http_status: u32,
    pub(crate) grpc: Option<u32>,
    pub(crate) synthetics: bool,
    pub(crate) root: Root,
    /// The resource is as it was agreed with the agent ([`super::Resources`]).
    pub(crate) agreed: bool,
}

const SYNTHETICS: u8 = 4;
const AGREED: u8 = 8;
/// There is a gRPC code; 0 is one.
const GRPC: u8 = 16;
/// One store moves this much; what is too much is overwritten by the next.
const STORE: usize = 32;

/// Writes keys one after another.
#[derive(Debug, Default)]
pub(crate) struct KeyWriter {
    buf: Vec<u8>,
    pos: usize,
    start: usize,
    lengths: [u32; TEXTS],
    additional: u8,
    tags: u32,
}

impl KeyWriter {
    pub(crate) fn clear(&mut self) {
        self.pos = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.pos
    }

    pub(crate) fn capacity_bytes(&self) -> usize {
        self.buf.capacity()
    }

    /// All that was written.
    pub(crate) fn written(&self) -> &[u8] {
        self.buf.get(..self.pos).unwrap_or(&[])
    }

    /// Begins a key.
    #[inline(always)]
    pub(crate) fn begin(&mut self) {
        self.start = self.pos;
        self.pos += HEAD;
        self.lengths = [0; TEXTS];
        self.additional = 0;
        self.tags = 0;
        if self.buf.len() < self.pos + TEXTS * STORE * 2 {
            self.grow(TEXTS * STORE * 2);
        }
    }

    /// The next texts in their order; `src[at..at + len]`.
    #[inline(always)]
    pub(crate) fn text(&mut self, which: Text, src: &[u8], at: usize, len: usize) {
        self.lengths[which as usize] = len as u32;
        self.copy(src, at, len);
    }

    /// An additional tag: `prefix` is `key:`. All of them come before the first peer tag.
    pub(crate) fn additional(&mut self, prefix: &[u8], value: &[u8]) {
        self.additional += 1;
        self.tag(prefix, value);
    }

    /// A tag that was written before: [`KeyWriter::since`] has its bytes.
    #[inline]
    pub(crate) fn known_tag(&mut self, from: &[u8], at: usize, len: usize) {
        self.tags += 1;
        self.copy(from, at, len);
    }

    /// What was written since the position `at`.
    pub(crate) fn since(&self, at: usize) -> &[u8] {
        self.buf.get(at..self.pos).unwrap_or(&[])
    }

    /// A tag: `prefix` is `key:`, or all of it.
    #[inline]
    pub(crate) fn tag(&mut self, prefix: &[u8], value: &[u8]) {
        let len = (prefix.len() + value.len()) as u32;
        self.tags += 1;
        self.copy(&len.to_le_bytes(), 0, 4);
        self.copy(prefix, 0, prefix.len());
        self.copy(value, 0, value.len());
    }

    /// Ends the key; gives its place.
    #[inline(always)]
    pub(crate) fn end(&mut self, facts: Facts) -> std::ops::Range<usize> {
        let mut head = [0; HEAD];
        head[..4].copy_from_slice(&facts.http_status.to_le_bytes());
        head[4..8].copy_from_slice(&facts.grpc.unwrap_or(0).to_le_bytes());
        head[8] = facts.root as u8
            | if facts.synthetics { SYNTHETICS } else { 0 }
            | if facts.agreed { AGREED } else { 0 }
            | if facts.grpc.is_some() { GRPC } else { 0 };
        head[9] = self.additional;
        let peers = (self.tags - u32::from(self.additional)).min(u32::from(u16::MAX)) as u16;
        head[10..12].copy_from_slice(&peers.to_le_bytes());
        for (to, len) in head[LENGTHS..].as_chunks_mut::<4>().0.iter_mut().zip(self.lengths) {
            *to = len.to_le_bytes();
        }
        if let Some(to) = self.buf.get_mut(self.start..self.start + HEAD) {
            to.copy_from_slice(&head);
        }
        if self.buf.len() < self.pos + BLOCK {
            self.grow(BLOCK);
        }
        if let Some(to) = self.buf.get_mut(self.pos..self.pos + BLOCK) {
            to.fill(0);
        }
        self.pos = self.start + (self.pos - self.start).next_multiple_of(BLOCK);
        self.start..self.pos
    }

    #[inline(always)]
    fn copy(&mut self, src: &[u8], at: usize, len: usize) {
        if len <= STORE
            && let Some(from) = src.get(at..at + STORE)
            && let Some(to) = self.buf.get_mut(self.pos..self.pos + STORE)
        {
            to.copy_from_slice(from);
            self.pos += len;
        } else if len <= 2 * STORE
            && let Some(from) = src.get(at..at + 2 * STORE)
            && let Some(to) = self.buf.get_mut(self.pos..self.pos + 2 * STORE)
        {
            to.copy_from_slice(from);
            self.pos += len;
        } else if len > 0 {
            self.copy_any(src.get(at..at + len).unwrap_or(&[]));
        }
    }

    #[inline(never)]
    fn copy_any(&mut self, from: &[u8]) {
        if self.buf.len() < self.pos + from.len() {
            self.grow(from.len());
        }
        if let Some(to) = self.buf.get_mut(self.pos..self.pos + from.len()) {
            to.copy_from_slice(from);
        }
        self.pos += from.len();
    }

    #[cold]
    fn grow(&mut self, n: usize) {
        let size = (self.pos + n).max(self.buf.len() * 2).max(8192);
        self.buf.resize(size, 0);
    }
}

/// A key, read. Bytes that are no key read as an empty one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'k>(pub(crate) &'k [u8]);

impl<'k> Key<'k> {
    fn length(self, text: usize) -> usize {
        self.word(LENGTHS + 4 * text) as usize
    }

    fn byte(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    fn word(self, at: usize) -> u32 {
        let bytes = self.0.get(at..at + 4).and_then(|b| b.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    }

    /// One of the texts.
    pub(crate) fn text(self, which: Text) -> &'k [u8] {
        let at = HEAD + (0..which as usize).map(|t| self.length(t)).sum::<usize>();
        self.0.get(at..at + self.length(which as usize)).unwrap_or(&[])
    }

    /// What it holds beside text.
    pub(crate) fn facts(self) -> Facts {
        let flags = self.byte(8);
        Facts {
            http_status: self.word(0),
            grpc: (flags & GRPC != 0).then(|| self.word(4)),
            synthetics: flags & SYNTHETICS != 0,
            agreed: flags & AGREED != 0,
            root: match flags & 3 {
                1 => Root::Yes,
                2 => Root::No,
                _ => Root::NotSet,
            },
        }
    }

    /// The bytes of all additional tags, and those of all peer tags.
    fn lists(self) -> (&'k [u8], &'k [u8]) {
        let at = HEAD + (0..TEXTS).map(|t| self.length(t)).sum::<usize>();
        let all = self.0.get(at..).unwrap_or(&[]);
        let mut tags = Tags(all);
        for _ in 0..self.byte(9) {
            tags.next();
        }
        let (additional, rest) = all.split_at(all.len() - tags.0.len());
        for _ in 0..u16::from_le_bytes([self.byte(10), self.byte(11)]) {
            if tags.next().is_none() {
                break;
            }
        }
        (additional, rest.get(..rest.len() - tags.0.len()).unwrap_or(&[]))
    }

    /// The additional tags, each `key:value`.
    pub(crate) fn additional(self) -> Tags<'k> {
        Tags(self.lists().0)
    }

    /// The peer tags, each `key:value`.
    pub(crate) fn peers(self) -> Tags<'k> {
        Tags(self.lists().1)
    }

    /// Writes the key again, with some of it blocked.
    pub(crate) fn blocked(self, what: Blocked, out: &mut KeyWriter) -> std::ops::Range<usize> {
        out.begin();
        let texts = [
            Text::Service,
            Text::Name,
            Text::Resource,
            Text::Type,
            Text::SpanKind,
            Text::HttpMethod,
            Text::HttpEndpoint,
            Text::ServiceSource,
        ];
        for text in texts {
            let gone = match text {
                Text::Resource => what.resource,
                Text::HttpEndpoint => what.http_endpoint,
                _ => false,
            };
            let value = if gone || what.all { BLOCKED } else { self.text(text) };
            out.text(text, value, 0, value.len());
        }
        if what.additional || what.all {
            out.additional(BLOCKED, b"");
        } else {
            self.additional().for_each(|tag| out.additional(b"", tag));
        }
        if what.peers || what.all {
            out.tag(BLOCKED, b"");
        } else {
            self.peers().for_each(|tag| out.tag(b"", tag));
        }
        let facts = self.facts();
        let Facts { agreed, .. } = facts;
        let nothing = Facts { http_status: 0, grpc: None, synthetics: false, root: Root::NotSet, agreed };
        out.end(if what.all { nothing } else { facts })
    }

    /// The fields with a limit of their own, as bytes to be told apart.
    pub(crate) fn limited(self) -> [&'k [u8]; 4] {
        let (additional, peers) = self.lists();
        [self.text(Text::Resource), self.text(Text::HttpEndpoint), peers, additional]
    }
}

/// Which fields of a key are replaced by [`BLOCKED`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Blocked {
    pub(crate) resource: bool,
    pub(crate) http_endpoint: bool,
    pub(crate) peers: bool,
    pub(crate) additional: bool,
    pub(crate) all: bool,
}

/// Tags of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tags<'k>(&'k [u8]);

impl<'k> Iterator for Tags<'k> {
    type Item = &'k [u8];

    fn next(&mut self) -> Option<&'k [u8]> {
        let (len, rest) = self.0.split_first_chunk::<4>()?;
        let (tag, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        self.0 = rest;
        Some(tag)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A key with these texts, which become its service and its resource, and nothing else.
    pub(crate) fn key(service: &str, resource: &str) -> Vec<u8> {
        let mut w = KeyWriter::default();
        w.begin();
        w.text(Text::Service, service.as_bytes(), 0, service.len());
        w.text(Text::Resource, resource.as_bytes(), 0, resource.len());
        let range =
            w.end(Facts { http_status: 0, grpc: None, synthetics: false, root: Root::Yes, agreed: false });
        w.written()[range].to_vec()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut w = KeyWriter::default();
        let long = vec![b'r'; 100_000];
        w.begin();
        w.text(Text::Service, b"shop", 0, 4);
        w.text(Text::Resource, &long, 0, long.len());
        w.text(Text::ServiceSource, b"xsrcx", 1, 3);
        w.additional(b"region:", b"eu");
        w.tag(b"db.name:", b"orders");
        w.tag(b"out.host:", b"db");
        let facts =
            Facts { http_status: 503, grpc: Some(u32::MAX), synthetics: true, root: Root::No, agreed: true };
        let range = w.end(facts);
        let key = Key(&w.written()[range.clone()]);
        assert_eq!(key.facts(), facts);
        assert_eq!(key.text(Text::Service), b"shop");
        assert_eq!(key.text(Text::Name), b"");
        assert_eq!(key.text(Text::Resource), &long[..]);
        assert_eq!(key.text(Text::ServiceSource), b"src");
        assert_eq!(key.additional().collect::<Vec<_>>(), [b"region:eu"]);
        assert_eq!(key.peers().collect::<Vec<_>>(), [&b"db.name:orders"[..], b"out.host:db"]);

        let mut copy = KeyWriter::default();
        let again = key.blocked(Blocked::default(), &mut copy);
        assert_eq!(&copy.written()[again], key.0);
        let over = key.blocked(Blocked { all: true, ..Blocked::default() }, &mut copy);
        let over = Key(&copy.written()[over]);
        assert_eq!((over.text(Text::Name), over.facts().root), (BLOCKED, Root::NotSet));
        assert!(over.facts().agreed, "what is claimed of a body holds for its overflow group too");
        assert_eq!(over.additional().chain(over.peers()).collect::<Vec<_>>(), [BLOCKED, BLOCKED]);
    }

    #[test]
    fn keys_that_differ_in_one_field_differ() {
        // The boundary between two texts belongs to the key.
        assert_ne!(key("ab", "c"), key("a", "bc"));
        assert_eq!(key("ab", "c"), key("ab", "c"));
    }

    #[test]
    fn bytes_that_are_no_key_read_as_an_empty_one() {
        for bytes in [&b""[..], b"abc", &[0xff; 60]] {
            let key = Key(bytes);
            assert_eq!(key.text(Text::ServiceSource), b"");
            assert!(key.peers().count() < 2 && key.additional().count() < 2);
        }
    }
}
