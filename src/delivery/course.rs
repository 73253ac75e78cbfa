//! The course of the moment: which format, which filters, which size. It follows from the settings and from what the
//! agent says of itself, is put together when one of them changes, and is swapped as a whole, so that a send sees one
//! state.

use crate::destination::agent::Info;
use crate::pipeline::stats_resources::{OBFUSCATION_VERSION, Terms};
use crate::pipeline::{self, Plan, Stats};
use crate::regexes::Budget;
use crate::settings::{AGENT_FILTER_BYTES, AGENT_FILTER_RULES, Config, InputFormat, OutputFormat};
use crate::stats::Concentrator;
use crate::trace::{FilterRules, Filters};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;

/// The largest request when the agent does not say what it takes: the real one's own default.
pub(crate) const DEFAULT_MAX_BYTES: usize = 25 * 1024 * 1024;

/// How payloads go out.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) plan: Plan,
    pub(crate) format: OutputFormat,
    /// Why it is this format, for people.
    pub(crate) why: String,
    /// What the agent said.
    pub(crate) info: Option<Info>,
    /// The largest request, and whether the agent said so.
    pub(crate) max_bytes: usize,
    pub(crate) max_is_the_agents: bool,
    /// What the plan filters by.
    pub(crate) filters: Arc<CourseFilters>,
}

/// Filters ready to use: the caller's, and the agent's where they apply. To compile them takes time, so that is done
/// before a course is put together, on the thread that asked for `/info`, and no lock is held meanwhile.
#[derive(Debug, Default)]
pub(crate) struct CourseFilters {
    all: Filters,
    /// Filters of the agent that cannot be used, and why.
    pub(crate) unusable: Vec<String>,
}

impl CourseFilters {
    fn new(config: &Config, own: &Filters, info: Option<&Info>) -> Self {
        // What the agent would reject must not be counted.
        let apply = |info: &&Info| config.agent_filters || (config.stats.is_some() && info.offers_stats());
        let Some(agent) = info.filter(apply).map(agent_rules) else {
            return Self { all: own.clone(), unusable: Vec::new() };
        };
        let (theirs, unusable) =
            pipeline::filters(&agent, Budget::new(AGENT_FILTER_RULES, AGENT_FILTER_BYTES));
        Self { all: own.and(&theirs), unusable }
    }
}

impl Course {
    /// The course for these settings and this agent. `refused`: the agent answered 404 to the format wanted.
    pub(crate) fn new(
        config: &Config,
        info: Option<Info>,
        refused: bool,
        concentrator: Option<&Arc<Concentrator>>,
        filters: Arc<CourseFilters>,
    ) -> Self {
        let (format, why) = choose(config, info.as_ref(), refused);
        let capable = info.as_ref().filter(|info| info.offers_stats());
        let stats = match (&config.stats, concentrator, capable) {
            (Some(settings), Some(concentrator), Some(info)) => Some(Stats {
                settings,
                concentrator,
                peer_tags: &info.fields.peer_tags,
                kinds: &info.fields.span_kinds_stats_computed,
                terms: settings.obfuscate.then(|| terms(info)).flatten(),
            }),
            _ => None,
        };
        let plan = Plan::new(config, format, stats.as_ref(), filters.all.clone());
        let said = info.as_ref().and_then(Info::max_request_bytes).and_then(|n| usize::try_from(n).ok());
        let theirs = said.unwrap_or(DEFAULT_MAX_BYTES);
        let max_bytes = config.max_request_bytes.map_or(theirs, |ours| ours.min(theirs));
        Self { plan, format, why, max_bytes, max_is_the_agents: said == Some(max_bytes), info, filters }
    }

    /// The stages of this course, but v0.4 comes out: what is split is split as v0.4.
    /// The payload went through the stages before, so nothing is counted again.
    pub(crate) fn stages_to_v04(&self) -> Plan {
        self.plan.for_splitting()
    }

    /// Only the conversion to this course's format, for parts whose stages are done.
    pub(crate) fn conversion(&self, config: &Config) -> Plan {
        let mut plan = Plan::new(config, self.format, None, Filters::default());
        plan.input = InputFormat::V04;
        plan.rewriter = None;
        plan.drop_p0 = false;
        plan
    }
}

fn choose(config: &Config, info: Option<&Info>, refused: bool) -> (OutputFormat, String) {
    let wanted = config.output_format;
    let offered = info.map(|i| i.offers(OutputFormat::V1.path()));
    let v04 = |why: &str| (OutputFormat::V04, why.to_owned());
    match (config.output_auto, wanted) {
        (true, _) if refused => v04("`outputFormat` is AUTO; the agent lists v1 but answered 404 to it"),
        (true, _) => match offered {
            Some(true) => (OutputFormat::V1, "`outputFormat` is AUTO and the agent offers v1".to_owned()),
            Some(false) => v04("`outputFormat` is AUTO and the agent offers no v1"),
            None => v04("`outputFormat` is AUTO and what the agent offers is not known"),
        },
        (false, OutputFormat::V04) => v04("`outputFormat` is V04"),
        (false, _) if refused => v04("the agent answered 404 to the format of `outputFormat`"),
        (false, OutputFormat::V1) if offered == Some(false) => {
            v04("`outputFormat` is V1, but the agent does not offer it")
        }
        (false, OutputFormat::V1) if offered.is_none() => {
            (wanted, "`outputFormat` is V1; whether the agent offers it is not known".to_owned())
        }
        (false, _) => (wanted, "it is `outputFormat`".to_owned()),
    }
}

/// What the agent says of resources in stats. `None`: it obfuscates them itself, or in a way that is not known here.
fn terms(info: &Info) -> Option<Terms<'_>> {
    let f = &info.fields;
    (f.obfuscation_version == OBFUSCATION_VERSION).then(|| Terms {
        sql_mode: &f.config.obfuscation.sql_obfuscation_mode,
        big_resource: info.has_flag("big_resource"),
    })
}

/// The trace filters of `/info`.
pub(crate) fn agent_rules(info: &Info) -> FilterRules {
    let f = &info.fields;
    FilterRules {
        require: f.filter_tags.require.clone(),
        reject: f.filter_tags.reject.clone(),
        require_regex: f.filter_tags_regex.require.clone(),
        reject_regex: f.filter_tags_regex.reject.clone(),
        ignore_resources: f.ignore_resources.clone(),
    }
}

/// The current course of one exporter.
#[derive(Debug)]
pub(crate) struct Courses {
    current: RwLock<Arc<Course>>,
    /// Where spans are counted while stats are on.
    pub(crate) concentrator: Option<Arc<Concentrator>>,
    /// The caller's filters.
    own: Filters,
    /// The agent's state (`None`: not known then) when it answered 404 to the format wanted.
    refused_at: Mutex<Option<Option<Arc<str>>>>,
}

impl Courses {
    pub(crate) fn new(config: &Config) -> Self {
        let concentrator =
            config.stats.as_ref().map(|s| Arc::new(Concentrator::new(s.bucket, s.limits, s.clock)));
        let own = pipeline::filters(&config.filters, Budget::unbounded()).0;
        let filters = Arc::new(CourseFilters::new(config, &own, None));
        Self {
            current: RwLock::new(Arc::new(Course::new(config, None, false, concentrator.as_ref(), filters))),
            concentrator,
            own,
            refused_at: Mutex::new(None),
        }
    }

    /// The course of the moment.
    #[inline]
    pub(crate) fn current(&self) -> Arc<Course> {
        Arc::clone(&self.current.read())
    }

    /// The filters that apply with this agent. Takes its time.
    pub(crate) fn filters(&self, config: &Config, info: &Info) -> Arc<CourseFilters> {
        Arc::new(CourseFilters::new(config, &self.own, Some(info)))
    }

    /// The agent says something new of itself; `filters` are those for it. A 404 is forgotten: this may be another
    /// agent.
    pub(crate) fn informed(&self, config: &Config, info: Info, filters: Arc<CourseFilters>) -> Arc<Course> {
        let mut refused_at = self.refused_at.lock();
        if refused_at.as_ref().is_some_and(|at| at.as_ref() != Some(&info.state_hash)) {
            *refused_at = None;
        }
        self.swap(Course::new(config, Some(info), refused_at.is_some(), self.concentrator.as_ref(), filters))
    }

    /// The agent answered 404 to the format of `course`. Gives the course to take instead.
    pub(crate) fn refused(&self, config: &Config, course: &Arc<Course>) -> Arc<Course> {
        let mut refused_at = self.refused_at.lock();
        let current = self.current();
        if current.format == OutputFormat::V04 {
            // Another send has found out before.
            return current;
        }
        *refused_at = Some(course.info.as_ref().map(|i| Arc::clone(&i.state_hash)));
        let filters = Arc::clone(&current.filters);
        self.swap(Course::new(config, current.info.clone(), true, self.concentrator.as_ref(), filters))
    }

    fn swap(&self, course: Course) -> Arc<Course> {
        let course = Arc::new(course);
        *self.current.write() = Arc::clone(&course);
        course
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::agent::info::parse_for_tests as info;
    use crate::settings::RawConfig;

    fn config(format: &str) -> Config {
        Config::new(RawConfig { output_format: Some(format.to_owned()), ..RawConfig::default() }).unwrap()
    }

    fn course_of(
        config: &Config,
        info: Option<Info>,
        refused: bool,
        concentrator: Option<&Arc<Concentrator>>,
    ) -> Course {
        let filters = Arc::new(CourseFilters::new(config, &Filters::default(), info.as_ref()));
        Course::new(config, info, refused, concentrator, filters)
    }

    fn informed(courses: &Courses, config: &Config, info: Info) -> Arc<Course> {
        let filters = courses.filters(config, &info);
        courses.informed(config, info, filters)
    }

    const WITH: &str = r#"{"endpoints":["/v0.4/traces","/v1.0/traces"]}"#;
    const WITHOUT: &str = r#"{"endpoints":["/v0.4/traces"]}"#;

    #[test]
    fn the_format_follows_setting_offer_and_refusal() {
        use OutputFormat::{V1, V04, V05};
        for (setting, said, refused, format) in [
            ("V04", Some(WITH), false, V04),
            ("V05", Some(WITH), false, V05),
            ("V05", None, true, V04),
            ("V1", None, false, V1),
            ("V1", Some(WITH), false, V1),
            ("V1", Some(WITHOUT), false, V04),
            ("V1", Some(WITH), true, V04),
            ("V1", None, true, V04),
            ("AUTO", None, false, V04),
            ("AUTO", Some(WITH), false, V1),
            ("AUTO", Some(WITHOUT), false, V04),
            ("AUTO", Some(WITH), true, V04),
        ] {
            let course = course_of(&config(setting), said.map(info), refused, None);
            assert_eq!(course.format, format, "{setting} {said:?} {refused}");
            assert!(course.why.contains("outputFormat"), "{}", course.why);
        }
    }

    #[test]
    fn a_refusal_is_remembered_until_the_agent_says_otherwise() {
        let config = config("V1");
        let courses = Courses::new(&config);
        let format = |c: &Arc<Course>| c.format;
        assert_eq!(format(&courses.refused(&config, &courses.current())), OutputFormat::V04);
        assert_eq!(
            format(&informed(&courses, &config, info(WITH))),
            OutputFormat::V1,
            "it says that it has v1"
        );
        assert_eq!(format(&courses.refused(&config, &courses.current())), OutputFormat::V04, "it lied");
        assert_eq!(
            format(&informed(&courses, &config, info(WITH))),
            OutputFormat::V04,
            "and says the same again"
        );
        let other = r#"{"version":"2","endpoints":["/v1.0/traces"]}"#;
        assert_eq!(format(&informed(&courses, &config, info(other))), OutputFormat::V1);
    }

    #[test]
    fn filters_of_the_agent_are_taken_only_on_request_and_beside_ours() {
        let said = r#"{"filter_tags":{"reject":["a"]},"filter_tags_regex":{"require":["b:("]},"ignore_resources":["x"]}"#;
        for (on, empty) in [(false, true), (true, false)] {
            let config = Config::new(RawConfig { agent_filters: on, ..RawConfig::default() }).unwrap();
            let course = course_of(&config, Some(info(said)), false, None);
            assert_eq!(course.plan.filters.is_empty(), empty);
            assert_eq!(course.filters.unusable.len(), usize::from(on), "{:?}", course.filters.unusable);
        }
    }

    #[test]
    fn the_largest_request_is_the_agents_or_its_default() {
        let config = config("V04");
        assert_eq!(course_of(&config, None, false, None).max_bytes, 25 << 20);
        let course = course_of(&config, Some(info(r#"{"config":{"max_request_bytes":1000}}"#)), false, None);
        assert_eq!((course.max_bytes, course.max_is_the_agents), (1000, true));
        let ours = |n| Config::new(RawConfig { max_request_bytes: Some(n), ..RawConfig::default() }).unwrap();
        let said = || Some(info(r#"{"config":{"max_request_bytes":5000}}"#));
        for (setting, said, limit, agents) in
            [(2000, said(), 2000, false), (9000, said(), 5000, true), (2000, None, 2000, false)]
        {
            let course = course_of(&ours(setting), said, false, None);
            assert_eq!((course.max_bytes, course.max_is_the_agents), (limit, agents), "{setting}");
        }
    }
}
