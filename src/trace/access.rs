//! How the rules of `normalize` and `obfuscate` read and change a span without knowing how it is stored.
//!
//! A rule is a function from bytes to a [`Verdict`]; where it replaces, the new text is appended to a scratch buffer,
//! so that text which is fine as it is costs neither a copy nor an allocation. The rules for whole spans work on
//! anything that is [`SpanAccess`]: the arena splices the changes in, [`SpanFields`](super::SpanFields) owns its text.

/// What a rule says about one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The text is fine; nothing was appended to the scratch buffer.
    Keep,
    /// The text becomes what was appended to the scratch buffer, which may be nothing (empty text).
    Replace,
    /// The tag is taken out of its map.
    Remove,
}

/// What a rule says about one number of `metrics`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub enum NumberVerdict {
    /// The number stays.
    Keep,
    /// Another number takes its place.
    Set(f64),
    /// The entry leaves `metrics`; what was appended to the scratch buffer becomes its text in `meta`.
    Text,
}

/// A text field of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `service`
    Service,
    /// `name`, the operation
    Name,
    /// `resource`
    Resource,
    /// `type`
    Type,
}

/// A tag of `meta` that a rule asks for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // each name is the key it stands for, see `key`
pub enum Tag {
    PeerService,
    BaseService,
    Env,
    HttpStatusCode,
    TraceIdHigh,
    Origin,
    DecisionMaker,
    DbType,
    SqlQuery,
    DbStatement,
    DbQueryText,
    RedisRawCommand,
    ValkeyRawCommand,
    MemcachedCommand,
    HttpUrl,
    MongoQuery,
    ElasticBody,
    OpenSearchBody,
}

impl Tag {
    /// Every tag, in the order of their numbers.
    pub const ALL: [Tag; 18] = [
        Tag::PeerService,
        Tag::BaseService,
        Tag::Env,
        Tag::HttpStatusCode,
        Tag::TraceIdHigh,
        Tag::Origin,
        Tag::DecisionMaker,
        Tag::DbType,
        Tag::SqlQuery,
        Tag::DbStatement,
        Tag::DbQueryText,
        Tag::RedisRawCommand,
        Tag::ValkeyRawCommand,
        Tag::MemcachedCommand,
        Tag::HttpUrl,
        Tag::MongoQuery,
        Tag::ElasticBody,
        Tag::OpenSearchBody,
    ];

    /// The key in `meta`.
    pub const fn key(self) -> &'static [u8] {
        match self {
            Tag::PeerService => b"peer.service",
            Tag::BaseService => b"_dd.base_service",
            Tag::Env => b"env",
            Tag::HttpStatusCode => b"http.status_code",
            Tag::TraceIdHigh => b"_dd.p.tid",
            Tag::Origin => b"_dd.origin",
            Tag::DecisionMaker => b"_dd.p.dm",
            Tag::DbType => b"db.type",
            Tag::SqlQuery => b"sql.query",
            Tag::DbStatement => b"db.statement",
            Tag::DbQueryText => b"db.query.text",
            Tag::RedisRawCommand => b"redis.raw_command",
            Tag::ValkeyRawCommand => b"valkey.raw_command",
            Tag::MemcachedCommand => b"memcached.command",
            Tag::HttpUrl => b"http.url",
            Tag::MongoQuery => b"mongodb.query",
            Tag::ElasticBody => b"elasticsearch.body",
            Tag::OpenSearchBody => b"opensearch.body",
        }
    }
}

/// Which map of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entries {
    /// `meta`, text by key
    Meta,
    /// `metrics`, numbers by key
    Metrics,
}

/// A value of an attribute of a span event, arrays left to the caller: rules see element by element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Text, as bytes.
    Text(&'a [u8]),
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
}

/// What a rule says about one value of a span event's attribute.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub enum ScalarVerdict {
    /// The value stays.
    Keep,
    /// It becomes text: what was appended to the scratch buffer.
    Text,
    /// It becomes an integer.
    Int(i64),
    /// It becomes a floating-point number.
    Double(f64),
    /// It becomes a truth value.
    Bool(bool),
}

/// Reads and changes one span. Text is bytes: it is not always UTF-8.
pub trait SpanAccess {
    /// Lower 64 bits of the trace id.
    fn trace_id(&self) -> u64;
    /// Span id.
    fn span_id(&self) -> u64;
    /// Parent's span id, 0 for none.
    fn parent_id(&self) -> u64;
    /// Sets the parent's span id.
    fn set_parent_id(&mut self, id: u64);
    /// Start in ns since 1970.
    fn start_ns(&self) -> i64;
    /// Sets the start.
    fn set_start_ns(&mut self, start_ns: i64);
    /// Duration in ns.
    fn duration_ns(&self) -> i64;
    /// Sets the duration.
    fn set_duration_ns(&mut self, duration_ns: i64);
    /// The number `_sampling_priority_v1` of `metrics`.
    fn sampling_priority(&self) -> Option<f64>;

    /// A text field.
    fn field(&self, field: Field) -> &[u8];
    /// Sets a text field.
    fn set_field(&mut self, field: Field, text: &[u8]);

    /// A tag of `meta`; with one key twice the last counts.
    fn tag(&self, tag: Tag) -> Option<&[u8]>;
    /// Sets a tag of `meta` that is there.
    fn set_tag(&mut self, tag: Tag, text: &[u8]);
    /// Takes a tag out of `meta`.
    fn remove_tag(&mut self, tag: Tag);

    /// Whether a key of `meta` or `metrics` or a value of `meta` may be longer than these limits. A no is certain.
    fn may_be_long(&self, key_limit: usize, value_limit: usize) -> bool;

    /// Whether a tag may hold a card number. A no is certain.
    fn may_hold_card(&self) -> bool {
        true
    }

    /// Asks `rule` (key, value, scratch) about every tag of `meta`.
    fn each_tag<F: FnMut(&[u8], &[u8], &mut Vec<u8>) -> Verdict>(&mut self, scratch: &mut Vec<u8>, rule: F);
    /// Asks `rule` (key, number, scratch) about every entry of `metrics`.
    fn each_metric<F: FnMut(&[u8], f64, &mut Vec<u8>) -> NumberVerdict>(
        &mut self,
        scratch: &mut Vec<u8>,
        rule: F,
    );
    /// Asks `rule` (key, scratch) about every key of a map. A new key that another entry has takes that one's place.
    fn each_key<F: FnMut(&[u8], &mut Vec<u8>) -> Verdict>(
        &mut self,
        of: Entries,
        scratch: &mut Vec<u8>,
        rule: F,
    );
    /// Asks `rule` (key, value, scratch) about every attribute of every span link.
    fn each_link_attribute<F: FnMut(&[u8], &[u8], &mut Vec<u8>) -> Verdict>(
        &mut self,
        scratch: &mut Vec<u8>,
        rule: F,
    );
    /// Asks `rule` (key, value, scratch) about every attribute of every span event; about each element of an array.
    fn each_event_attribute<F: FnMut(&[u8], Scalar<'_>, &mut Vec<u8>) -> ScalarVerdict>(
        &mut self,
        scratch: &mut Vec<u8>,
        rule: F,
    );
}
