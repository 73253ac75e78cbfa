//! Which stages run for one output format, and what they need to know. Put together when settings or the agent's offer
//! change, not for a payload.

use super::Compiled;
use super::completion::Completion;
use super::stats_resources::{self, Terms};
use crate::error::{Error, ErrorKind};
use crate::format::{self, Encoding};
use crate::normalize::{self, Normalizer};
use crate::obfuscate::{self, Obfuscator};
use crate::regexes::Budget;
use crate::rewrite::Rewriter;
use crate::settings::{Config, Conversion, Defaults, FilterRules, InputFormat, OnMalformed, StatsSettings};
use crate::stats::{Concentrator, Rules, STATS_SLOTS};
use crate::trace::{Filters, Interest, P0_SLOTS, Slot, TOP_LEVEL_SLOTS, TopLevel, Verdict};
use std::sync::Arc;

/// Which stages run, for one output format.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) input: InputFormat,
    pub(crate) format: Encoding,
    pub(crate) on_malformed: OnMalformed,
    pub(crate) filters: Filters,
    /// What spans get that do not say it.
    pub(super) completion: Completion,
    /// Normalization and obfuscation.
    pub(crate) rewriter: Option<Rewriter>,
    /// Whether top-level spans are looked for, and then whether they get the mark.
    pub(crate) top_level: Option<TopLevel>,
    pub(crate) drop_p0: bool,
    /// Where spans are counted. A plan for a payload that was counted before has none.
    pub(crate) stats: Option<StatsStage>,
    pub(super) interest: Interest,
}

/// The stats stage: what is read of a span, and where it is counted.
#[derive(Clone, Debug)]
pub(crate) struct StatsStage {
    pub(crate) rules: Rules,
    pub(super) concentrator: Arc<Concentrator>,
}

/// What stats follow from: the settings, and what the agent says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stats<'a> {
    pub(crate) settings: &'a StatsSettings,
    pub(crate) concentrator: &'a Arc<Concentrator>,
    /// Peer tags that the agent names.
    pub(crate) peer_tags: &'a [String],
    /// Kinds that the agent names.
    pub(crate) kinds: &'a [String],
    /// How the agent wants resources, if it leaves that to us.
    pub(crate) terms: Option<Terms<'a>>,
}

impl Stats<'_> {
    fn stage(&self, obfuscator: Option<&Obfuscator>, interest: &mut Interest) -> StatsStage {
        let peers = self.peer_tags.iter().chain(&self.settings.peer_tags).cloned();
        let additional = &self.settings.additional_metric_tags;
        let quantize = obfuscate::quantize_peer_addresses;
        let mut rules = Rules::new(self.concentrator, self.kinds, peers, additional, quantize, interest);
        if let Some(resources) = self.terms.and_then(|terms| stats_resources::resources(terms, obfuscator)) {
            rules = rules.with_resources(resources, interest);
        }
        StatsStage { rules, concentrator: Arc::clone(self.concentrator) }
    }
}

impl Plan {
    /// The stages that `config` asks for when the payload goes out as `format`. Filters are compiled elsewhere: a plan
    /// is also put together while somebody waits for it.
    pub(crate) fn new(
        config: &Config,
        compiled: &Compiled,
        format: impl Into<Encoding>,
        stats: Option<&Stats<'_>>,
        (filters, defaults): (Filters, Defaults),
    ) -> Self {
        let format = format.into();
        let input = config.input_format;
        let converts = !format.is_same_as(format::SCANNED) && !format.is_same_as(input);
        let mark =
            !config.client_computed_top_level && (config.compute_top_level || converts || stats.is_some());
        let normalizer = config
            .normalize
            .unwrap_or(defaults.prepares)
            .then(|| Normalizer::new(config.metadata.language.as_bytes()));
        let obfuscates = config.obfuscate.unwrap_or(defaults.prepares || config.raw.obfuscation.is_some());
        let obfuscator = compiled.obfuscator.clone().filter(|_| obfuscates);
        let rewriter = Rewriter::new(normalizer, obfuscator);
        let mut interest =
            if rewriter.is_some() { Rewriter::interest(Interest::none()) } else { Interest::none() };
        let stats = stats.map(|stats| stats.stage(compiled.obfuscator.as_deref(), &mut interest));
        if stats.is_some() {
            interest = interest.slots(STATS_SLOTS);
        }
        let drop_p0 = config.drop_p0.or(defaults.drops_p0).unwrap_or(stats.is_some());
        let plan = Self::with(input, format, mark, drop_p0, interest);
        let completion = Completion::new(&config.metadata);
        Self { on_malformed: config.on_malformed, filters, completion, rewriter, stats, ..plan }
    }

    /// The stages of a conversion without an exporter.
    pub(crate) fn of_conversion(wanted: &Conversion, format: &Encoding) -> Result<Self, Error> {
        let (filters, bad) = filters(&wanted.filters, Budget::unbounded());
        if let Some(why) = bad.into_iter().next() {
            return Err(Error::new(
                ErrorKind::InvalidConfiguration,
                why.replace("is left out", "cannot be used"),
            ));
        }
        let plan =
            Self::with(wanted.from, format.clone(), wanted.top_level, wanted.drop_p0, Interest::none());
        Ok(Self { on_malformed: wanted.on_malformed, filters, ..plan })
    }

    fn with(input: InputFormat, format: Encoding, mark: bool, drop_p0: bool, interest: Interest) -> Self {
        let mut slots: Vec<Slot> = Vec::new();
        if mark {
            slots.extend(TOP_LEVEL_SLOTS);
        }
        if drop_p0 {
            slots.extend(P0_SLOTS);
        }
        Self {
            input,
            format,
            on_malformed: OnMalformed::default(),
            filters: Filters::default(),
            completion: Completion::default(),
            top_level: mark.then_some(TopLevel { mark: true }),
            rewriter: None,
            drop_p0,
            stats: None,
            interest: interest.slots(&slots),
        }
    }

    /// The same stages for a payload whose spans were counted before.
    pub(crate) fn without_stats(&self) -> Self {
        Self { stats: None, ..self.clone() }
    }

    /// The same stages, but what comes out is in the form that the scan reads, whose chunks can be told apart. For a
    /// payload that was through the stages before: nothing is counted again.
    pub(crate) fn for_splitting(&self) -> Self {
        Self { format: format::scanned(), ..self.without_stats() }
    }

    /// Only the encoding, for what came out of [`Plan::for_splitting`].
    pub(crate) fn only_encoding(&self) -> Self {
        Self {
            input: format::SCANNED,
            filters: Filters::default(),
            completion: Completion::default(),
            rewriter: None,
            drop_p0: false,
            stats: None,
            ..self.clone()
        }
    }

    /// Input in whatever format as what the scan reads, without any stage: to look at.
    pub(crate) fn reading(&self) -> Self {
        Self { input: self.input, format: format::scanned(), top_level: None, ..self.only_encoding() }
    }

    /// Whether a payload is in the form that the scan reads as it comes.
    pub(crate) fn is_scannable(payload: &[u8]) -> bool {
        format::detect(payload) == format::SCANNED
    }

    /// Whether the parts of a split payload have to be encoded before they are bodies.
    pub(crate) fn encodes_parts(&self) -> bool {
        !self.format.is_same_as(format::SCANNED) || self.format.has_no_events()
    }

    /// Whether spans that say no service get one.
    pub(crate) fn gives_service(&self) -> bool {
        self.completion.gives_service()
    }

    /// Whether nothing is to be done to any well-formed payload that comes in this format, whatever its spans hold.
    pub(crate) fn passes_whatever(&self, input: InputFormat) -> bool {
        self.passes(input) && !self.gives_service() && !self.format.has_no_events()
    }

    /// Whether nothing is to be done to a well-formed payload that comes in this format, if its spans lack nothing.
    pub(crate) fn passes(&self, input: InputFormat) -> bool {
        self.format.is_same_as(input)
            && self.filters.is_empty()
            && self.rewriter.is_none()
            && self.top_level.is_none()
            && self.stats.is_none()
            && !self.drop_p0
    }
}

/// The filters of these rules, and the rules that cannot be used. `env` is compared as the agent would have written it.
pub(crate) fn filters(rules: &FilterRules, budget: Budget) -> (Filters, Vec<String>) {
    let (filters, unusable) = Filters::within(rules, budget);
    let normalized = |value: &[u8]| {
        let mut out = Vec::new();
        match normalize::tag_value(value, &mut out) {
            Verdict::Keep => value.to_vec(),
            Verdict::Replace | Verdict::Remove => out,
        }
    };
    (filters.normalizing_env(normalized), unusable)
}
