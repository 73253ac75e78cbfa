//! Our side, put together by the public API as the exporter does it: everything that one payload leaves behind is kept
//! for the next.

use data_pipeline::config::Metadata;
use data_pipeline::format::{v04, v05, v1};
use data_pipeline::trace::{
    Arena, FilterRules, Filters, Interest, OnMalformed, P0_SLOTS, Payload, TOP_LEVEL_SLOTS, TopLevel, drop_p0,
};

/// What an exporter keeps between payloads.
#[derive(Default)]
pub struct Engine {
    arena: Arena,
    interest: Interest,
    v04: v04::Encoder,
    v05: v05::Encoder,
    v1: v1::Encoder,
    metadata: Metadata,
    filters: Filters,
}

impl Engine {
    /// Scan, checks, pass through: the output is the input.
    pub fn forward() -> Self {
        Self::default()
    }

    /// One rule that requires a tag (all chunks have it) and one that rejects one (none has it), top level, p0 drop.
    pub fn stages() -> Self {
        let rules = FilterRules {
            require: vec!["env:production".to_owned()],
            reject: vec!["http.route:/internal/probe".to_owned()],
            ..FilterRules::default()
        };
        let (filters, bad) = Filters::new(&rules);
        assert!(bad.is_empty(), "{bad:?}");
        Self { interest: Interest::none().slots(TOP_LEVEL_SLOTS).slots(P0_SLOTS), filters, ..Self::default() }
    }

    pub fn to_v05() -> Self {
        Self::default()
    }

    pub fn to_v1() -> Self {
        Self { interest: Interest::none().slots(v1::V1_SLOTS), ..Self::default() }
    }

    pub fn run_forward<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let payload = scan(bytes, &mut self.arena, &self.interest);
        std::hint::black_box(payload.spans().len());
        bytes
    }

    pub fn run_stages(&mut self, bytes: &[u8]) -> &[u8] {
        let mut payload = scan(bytes, &mut self.arena, &self.interest);
        self.filters.apply(&mut payload);
        TopLevel { mark: true }.apply(&mut payload);
        drop_p0(&mut payload);
        self.v04.begin();
        self.v04.add(&mut payload);
        self.v04.finish()
    }

    pub fn run_to_v05(&mut self, bytes: &[u8]) -> &[u8] {
        let payload = scan(bytes, &mut self.arena, &self.interest);
        self.v05.begin();
        self.v05.add(&payload);
        self.v05.finish()
    }

    pub fn run_to_v1(&mut self, bytes: &[u8]) -> &[u8] {
        let payload = scan(bytes, &mut self.arena, &self.interest);
        self.v1.begin();
        self.v1.add(&payload);
        self.v1.finish(bytes, &self.metadata)
    }
}

fn scan<'a>(bytes: &'a [u8], arena: &'a mut Arena, interest: &Interest) -> Payload<'a> {
    Payload::scan(bytes, arena, interest, OnMalformed::Repair).expect("the payload is well formed")
}
