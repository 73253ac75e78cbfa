//! The checks that the table names, and the reading of values that have passed them.

use super::{AgentUrl, ProxyUrl, StatsdUrl, own_headers, shown};
use crate::error::{Error, ErrorKind};
use std::time::Duration;

/// What is wrong with one setting.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) kind: ErrorKind,
    pub(super) setting: &'static str,
    /// The value as it may be shown; empty if it may not, or says nothing.
    pub(super) value: String,
    /// What it must be.
    pub(super) why: String,
}

impl Fault {
    fn new(setting: &'static str, value: impl Into<String>, why: impl Into<String>) -> Self {
        Self { kind: ErrorKind::InvalidConfiguration, setting, value: value.into(), why: why.into() }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let Fault { kind, setting, value, why } = fault;
        let is = if value.is_empty() { ":".to_owned() } else { format!(" is {value};") };
        Error::new(kind, format!("{setting}{is} {why}"))
    }
}

/// A text that is not empty.
pub(super) fn given(text: &Option<String>) -> Option<String> {
    text.as_ref().filter(|text| !text.is_empty()).cloned()
}

/// A number of bytes as this machine counts them.
pub(super) fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// How many payloads a queue of so many bytes takes: the bytes of all but the smallest are the bound that is met first.
pub(super) fn payloads(queue_bytes: u64) -> usize {
    size((queue_bytes / 512).clamp(1, 1 << 20))
}

/// The choice of this name; what is not known was refused before.
pub(super) fn choose<T: Copy + Default>(text: Option<&str>, known: &[(&str, T)]) -> T {
    let found = known.iter().find(|(name, _)| Some(*name) == text);
    found.map_or_else(T::default, |(_, value)| *value)
}

/// The name of a choice.
pub(super) fn named<T: Copy + PartialEq>(value: T, known: &[(&str, T)]) -> Option<String> {
    known.iter().find(|(_, known)| *known == value).map(|(name, _)| (*name).to_owned())
}

pub(super) fn choice(setting: &'static str, text: Option<&str>, known: &[&str]) -> Result<(), Fault> {
    match text.filter(|text| !known.contains(text)) {
        None => Ok(()),
        Some(text) => {
            let names = known.join(", ");
            Err(Fault::new(setting, format!("{text:?}"), format!("it must be one of {names}")))
        }
    }
}

pub(super) fn number(
    setting: &'static str,
    value: Option<u64>,
    least: u64,
    most: u64,
    range: &str,
) -> Result<(), Fault> {
    match value.filter(|n| !(least..=most).contains(n)) {
        None => Ok(()),
        Some(n) => Err(Fault::new(setting, n.to_string(), format!("it must be {range}"))),
    }
}

/// `least` and `most` in ms; without `least` it must be more than zero.
pub(super) fn duration(
    setting: &'static str,
    value: Option<Duration>,
    least: Option<u64>,
    most: u64,
    range: &str,
) -> Result<(), Fault> {
    let Some(value) = value else { return Ok(()) };
    let long_enough = least.map_or(!value.is_zero(), |least| value >= Duration::from_millis(least));
    if long_enough && value <= Duration::from_millis(most) {
        return Ok(());
    }
    Err(Fault::new(setting, format!("{} ms", value.as_millis()), format!("it must be {range}")))
}

pub(super) fn header_text(setting: &'static str, value: Option<&str>) -> Result<(), Fault> {
    if value.is_none_or(is_header_value) {
        return Ok(());
    }
    Err(Fault::new(setting, "", "it goes into an HTTP header and must not have control characters"))
}

/// Rules `KEY` or `KEY:VALUE`. Whether a value can be read as a regex is checked where it is used.
pub(super) fn tag_rules(setting: &'static str, rules: &[String]) -> Result<(), Fault> {
    let no_key = |rule: &&String| rule.split(':').next().is_none_or(|key| key.trim().is_empty());
    match rules.iter().find(no_key) {
        None => Ok(()),
        Some(rule) => {
            let why = format!("the rule {rule:?} has no key; it is written KEY or KEY:VALUE");
            Err(Fault::new(setting, "", why))
        }
    }
}

pub(super) fn keys(setting: &'static str, keys: &[String], most: usize) -> Result<(), Fault> {
    if keys.iter().any(String::is_empty) {
        return Err(Fault::new(setting, "", "it needs a key"));
    }
    if keys.len() > most {
        let n = keys.len();
        return Err(Fault::new(setting, "", format!("{n} were given; at most {most} are used")));
    }
    Ok(())
}

pub(super) fn limits(setting: &'static str, limits: Option<[u32; 5]>) -> Result<(), Fault> {
    let Some([whole, fields @ ..]) = limits else { return Ok(()) };
    if fields.iter().all(|limit| (1..whole).contains(limit)) && whole <= 1_000_000 {
        return Ok(());
    }
    let why = "each must be at least 1, and that of the whole key the largest, at most 1,000,000";
    Err(Fault::new(setting, format!("{whole} {fields:?}"), why))
}

pub(super) fn directory(
    setting: &'static str,
    given: Option<&(String, u64)>,
    least: u64,
    range: &str,
) -> Result<(), Fault> {
    let Some((path, bytes)) = given else { return Ok(()) };
    if path.is_empty() || path.contains('\0') {
        return Err(Fault::new(setting, format!("{path:?}"), "it must be a directory"));
    }
    if *bytes < least {
        return Err(Fault::new(setting, "", format!("the limit is {bytes} bytes; it must be {range}")));
    }
    Ok(())
}

/// `None`: nothing was set.
pub(super) fn agent_url(setting: &'static str, text: Option<&str>) -> Result<Option<AgentUrl>, Fault> {
    let read = |text| {
        AgentUrl::read(text).map_err(|why| Fault {
            kind: ErrorKind::InvalidUrl,
            setting,
            value: format!("{:?}", shown::url(text)),
            why: format!("{why}; use {}", AgentUrl::FORMS),
        })
    };
    text.map(read).transpose()
}

/// `None`: nothing was set.
pub(super) fn statsd_url(setting: &'static str, text: Option<&str>) -> Result<Option<StatsdUrl>, Fault> {
    let read = |text| {
        let why = |why| format!("{why}; use {}", StatsdUrl::FORMS);
        StatsdUrl::read(text).map_err(|e| Fault::new(setting, format!("{:?}", shown::url(text)), why(e)))
    };
    text.filter(|text| !text.is_empty()).map(read).transpose()
}

/// `None`: nothing was set.
pub(super) fn proxy_url(setting: &'static str, text: Option<&str>) -> Result<Option<ProxyUrl>, Fault> {
    let read = |text| {
        let why = |why| format!("{why}; use {}", ProxyUrl::FORMS);
        ProxyUrl::read(text).map_err(|e| Fault::new(setting, format!("{:?}", shown::url(text)), why(e)))
    };
    text.filter(|text| !text.is_empty()).map(read).transpose()
}

pub(super) fn file(setting: &'static str, path: Option<&str>) -> Result<(), Fault> {
    match path.filter(|path| path.is_empty() || path.contains('\0')) {
        None => Ok(()),
        Some(path) => Err(Fault::new(setting, format!("{path:?}"), "it must be a file")),
    }
}

pub(super) fn certificate(setting: &'static str, given: Option<&(String, String)>) -> Result<(), Fault> {
    let Some((chain, key)) = given else { return Ok(()) };
    file(setting, Some(chain))?;
    file(setting, Some(key))
}

pub(super) fn headers(setting: &'static str, headers: &[(String, String)]) -> Result<(), Fault> {
    for (name, value) in headers {
        let token = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        if !token {
            return Err(Fault::new(setting, "", format!("{name:?} is no header name")));
        }
        match own_headers::setter(name) {
            None => {}
            Some("") => {
                return Err(Fault::new(setting, "", format!("{name} is written by the exporter itself")));
            }
            Some(setter) => {
                let why = format!("{name} is written by the exporter itself, see {setter}");
                return Err(Fault::new(setting, "", why));
            }
        }
        if !is_header_value(value) {
            return Err(Fault::new(setting, "", format!("the value of {name} has control characters")));
        }
    }
    Ok(())
}

fn is_header_value(value: &str) -> bool {
    value.bytes().all(|b| b == b'\t' || (b >= 0x20 && b != 0x7f))
}

/// A random UUID (version 4), for a runtime id that nobody gave.
pub(super) fn random_uuid() -> String {
    use std::hash::{BuildHasher, Hasher};
    // std seeds each RandomState from the operating system; two of them give 128 bits.
    let word = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    let (hi, lo) = (word(), word());
    let hi = (hi & !0xf000) | 0x4000;
    let lo = (lo & !(0b11 << 62)) | (0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        hi >> 32,
        (hi >> 16) & 0xffff,
        hi & 0xffff,
        lo >> 48,
        lo & 0xffff_ffff_ffff
    )
}

/// Durations travel as whole milliseconds, rounded up.
pub(super) fn millis<S: serde::Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    let millis = |d: Duration| u64::try_from(d.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    serde::Serialize::serialize(&value.map(millis), to)
}
