"""The Rust side: `RawConfig`, `Config` with its checks and rows, the setters of `Builder`."""

import re
import subprocess
import textwrap

from table import number, snake

HEAD = "// Made by `python3 scripts/settings` from src/settings/table.toml. Change the table, not this file.\n\n"
RAW_TYPES = {
    "flag": "Option<bool>", "count": "Option<u32>", "bytes": "Option<u64>", "duration": "Option<Duration>",
    "tag-rules": "Vec<String>", "regex-rules": "Vec<String>", "regexes": "Vec<String>", "keys": "Vec<String>",
    "headers": "Vec<(String, String)>", "variables": "Vec<(String, String)>", "limits": "Option<[u32; 5]>",
    "directory": "Option<(String, u64)>", "certificate": "Option<(String, String)>", "destinations": "Vec<Destination>",
}
# What `Slot` calls these types.
SLOTS = {
    "Option<bool>": "Flag", "Option<u32>": "Count", "Option<u64>": "Bytes", "Option<Duration>": "Duration",
    "Option<String>": "Text", "Vec<String>": "Texts", "Vec<(String, String)>": "Pairs", "Option<[u32; 5]>": "Limits",
    "Option<(String, u64)>": "Directory", "Option<(String, String)>": "Certificate", "Vec<Destination>": "Destinations",
}
# Of these `Config` keeps the text that was given, in `raw`: a room above makes something of it.
RAW_ONLY = {"json", "variables"}
# What groups of settings are called, and what they are for. FilterRules is written by hand.
GROUPS = {
    "metadata": ("Metadata", "Who sends: goes into headers, stats payloads and converted payloads. Empty means not given."),
    "queue": ("QueueSettings", "Settings of the asynchronous interface."),
    "stats": ("StatsSettings", "How stats are computed."),
    "telemetry": ("TelemetrySettings", "How instrumentation telemetry is sent."),
    "filters": ("FilterRules", None),
}
# The setting without which there is no such group.
OPTIONAL_GROUPS = {"stats": "computeStats", "telemetry": "telemetry"}


def files(_sections, settings, pairs, headers):
    own = [s for s in settings if not s.java_only]
    names = {s.name for s in settings}
    return {
        "src/settings/raw.rs": formatted(raw(own, pairs)),
        "src/settings/config.rs": formatted(config(own)),
        "src/settings/setters.rs": formatted(setters(own, names)),
        "src/settings/own_headers.rs": formatted(own_headers(headers)),
    }


def formatted(text):
    run = subprocess.run(["rustfmt", "--edition", "2024", "--config", "max_width=110,use_small_heuristics=Max"],
                         input=text, capture_output=True, text=True, check=True)
    return run.stdout


def comment(text, indent="    "):
    lines = textwrap.wrap(" ".join(text.split()), 112 - len(indent), break_long_words=False, break_on_hyphens=False)
    return "".join(f"{indent}/// {line}\n" for line in lines)


def raw(settings, pairs):
    fields = "".join(
        comment(s.text) + ('    #[serde(serialize_with = "super::check::millis")]\n' if s.type == "duration" else "")
        + f"    pub {s.snake}: {RAW_TYPES.get(s.type, 'Option<String>')},\n" for s in settings)
    checks = "".join(f"        {line}\n" for s in settings if (line := check(s)))
    by_name = {s.name: s for s in settings}
    rules = "".join(f"            ({made(by_name[p.setting], p.is_)} && {other(p, by_name)}, "
                    f"\"{p.setting}\", \"{sentence(p, by_name)}\"),\n" for p in pairs)
    slots = "".join(f'            "{s.name}" => Slot::{SLOTS[RAW_TYPES.get(s.type, "Option<String>")]}(&mut self.{s.snake}),\n'
                    for s in settings)
    names = "".join(f'        "{s.name}",\n' for s in settings)
    return f"""//! What callers hand in, unchecked.
{HEAD}
use super::Overflow;
use super::check::{{self, Fault}};
use super::slot::Slot;
use super::{{AgentUrl, Destination, InputFormat, OnMalformed, OutputChoice, Peer}};
use serde::Serialize;
use std::time::Duration;

/// What a caller hands in: every field optional, nothing checked. On the way from other languages it is one msgpack map with
/// the names that settings have there, and times are milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RawConfig {{
{fields}
    /// Settings that were taken from the environment, each with where it comes from.
    pub origins: Vec<(String, String)>,
    /// What was left out of the environment, and why; shown by `explain()` and said once by log line.
    pub skipped: Vec<(String, String)>,
}}

impl RawConfig {{
    /// Checks each setting by itself.
    pub(super) fn check(&self) -> Result<(), Fault> {{
{checks}        Ok(())
    }}

    /// Pairs of settings without effect: whether it is there, the setting, the sentence.
    pub(super) fn pairs(&self) -> [(bool, &'static str, &'static str); {len(pairs)}] {{
        [
{rules}        ]
    }}

    /// What there is, as [`slot`](Self::slot) knows it; where a value comes from is no setting.
    pub(super) const NAMES: [&'static str; {len(settings)}] = [
{names}    ];

    /// The place of a setting by its name.
    pub(super) fn slot(&mut self, name: &str) -> Option<Slot<'_>> {{
        Some(match name {{
{slots}            "origins" => Slot::Pairs(&mut self.origins),
            "skipped" => Slot::Pairs(&mut self.skipped),
            _ => return None,
        }})
    }}
}}
"""


def check(s):
    name, given = f'"{s.name}"', f"self.{s.snake}"
    words = f'"{s.range}"'
    most = number(s.most) if s.most else "u64::MAX"
    match s.type:
        case "header-text":
            return f"check::header_text({name}, {given}.as_deref())?;"
        case "count":
            return f"check::number({name}, {given}.map(u64::from), {number(s.least)}, {most}, {words})?;"
        case "bytes":
            return f"check::number({name}, {given}, {number(s.least)}, {most}, {words})?;" if s.range else None
        case "duration":
            least = "None" if s.least is None else f"Some({number(s.least)})"
            return f"check::duration({name}, {given}, {least}, {most}, {words})?;"
        case "choice":
            return f"check::choice({name}, {given}.as_deref(), &{choices(s)})?;"
        case "tag-rules" | "regex-rules":
            return f"check::tag_rules({name}, &{given})?;"
        case "keys":
            return f"check::keys({name}, &{given}, {number(s.most) if s.most else 'usize::MAX'})?;"
        case "headers":
            return f"check::headers({name}, &{given})?;"
        case "limits":
            return f"check::limits({name}, {given})?;"
        case "directory":
            return f"check::directory({name}, {given}.as_ref(), {number(s.least)}, {words})?;"
        case "url":
            return f"check::agent_url({name}, {given}.as_deref())?;"
        case "destinations":
            return "Peer::all(self, &AgentUrl::default())?;"
        case "statsd-url":
            return f"check::statsd_url({name}, {given}.as_deref())?;"
        case "proxy-url":
            return f"check::proxy_url({name}, {given}.as_deref())?;"
        case "file":
            return f"check::file({name}, {given}.as_deref())?;"
        case "certificate":
            return f"check::certificate({name}, {given}.as_ref())?;"


def choices(s):
    known = "OutputChoice" if s.name == "outputFormat" else s.choices
    return f"{known}::ALL.map(|(name, _)| name)"


def made(s, value=None):
    """Whether it was set; a flag, unless it was switched off that is off anyway."""
    given = f"self.{s.snake}"
    if value:
        return f'{given}.as_deref() == Some("{value}")'
    if s.type == "flag" and s.default != "true":
        return f"{given} == Some(true)"
    return f"!{given}.is_empty()" if s.is_list or s.type == "variables" else f"{given}.is_some()"


def other(p, by_name):
    name, _, value = (p.with_ or p.without).partition("=")
    s = by_name[name]
    given = f"self.{s.snake}"
    there = bool(p.with_)
    equal = "==" if there else "!="
    if not value:
        return made(s) if there else f"{given}.is_none()"
    if value == s.default:
        if s.type == "flag":
            return f"{given} {'!=' if there else '=='} Some({'true' if value == 'false' else 'false'})"
        return f'{given}.as_deref().{"is_none_or" if there else "is_some_and"}(|v| v {equal} "{value}")'
    if s.type == "choice":
        return f'{given}.as_deref() {equal} Some("{value}")'
    return f"{given} {equal} Some({value})"


def sentence(p, _by_name):
    name, _, value = (p.with_ or p.without).partition("=")
    subject = f"{p.setting}({p.is_})" if p.is_ else p.setting
    object_ = f"{name}({value})" if value else name
    why = f": {p.why}" if p.why else ""
    return f"{subject} has no effect {'with' if p.with_ else 'without'} {object_}{why}"


def config(settings):
    kept = [s for s in settings if s.type not in RAW_ONLY]
    groups = list(dict.fromkeys(s.group for s in kept if s.group))
    flat = [s for s in kept if not s.group]
    members = "".join(comment(s.text) + f"    pub {s.path}: {config_type(s)},\n" for s in flat)
    members += "".join(
        f"    /// {group_doc(g)}\n    pub {g}: {f'Option<{GROUPS[g][0]}>' if g in OPTIONAL_GROUPS else GROUPS[g][0]},\n"
        for g in groups)
    structs = "".join(struct(g, [s for s in kept if s.group == g]) for g in groups if GROUPS[g][1])
    values = "".join(f"            {s.path}: {value(s)},\n" for s in flat)
    for g in groups:
        inner = ", ".join(member(s.path.split(".")[1], value(s)) for s in kept if s.group == g)
        made_ = f"{GROUPS[g][0]} {{ {inner} }}"
        if g in OPTIONAL_GROUPS:
            first = next(s.path.split(".")[1] for s in kept if s.name == OPTIONAL_GROUPS[g])
            made_ = f"match raw.{snake(OPTIONAL_GROUPS[g])} {{ None => None, Some({first}) => Some({made_}) }}"
        values += f"            {g}: {made_},\n"
    rows = "".join(f'        rows.add("{s.name}", {was_set(s)}, {row(s)});\n' for s in settings)
    return f"""//! Checked settings, and how they are shown.
{HEAD}
use super::check::{{self, choose, given, size}};
use super::{{AgentUrl, FilterRules, InputFormat, OnMalformed, OutputFormat, Overflow, Peer, ProxyUrl, RawConfig, StatsLimits, StatsdUrl, shown}};
use crate::error::Error;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// Checked settings. Made by [`Config::new`], never changed afterwards.
#[derive(Clone, Debug)]
pub struct Config {{
{members}    /// What the caller handed in.
    pub raw: RawConfig,
}}

{structs}
impl Config {{
    /// Checks `raw` and fills in the defaults. Texts that a room above makes something of (regexes, JSON) are checked there,
    /// when the exporter is built.
    ///
    /// # Errors
    /// `INVALID_URL` or `INVALID_CONFIGURATION`; the message names the setting or the variable it comes from, and its range.
    pub fn new(mut raw: RawConfig) -> Result<Self, Error> {{
        raw.check()?;
        raw.settle()?;
        Ok(Self {{
{values}            raw,
        }})
    }}

    /// Every setting with its name, whether it was set, and its value as `explain()` shows it: without secrets.
    pub fn rows(&self) -> Vec<(&'static str, bool, Value)> {{
        let mut rows = shown::Rows::with_capacity({len(settings)});
{rows}        rows.all()
    }}
}}
"""


def member(name, given):
    return name if name == given else f"{name}: {given}"


def group_doc(g):
    return GROUPS[g][1] or "Which traces are kept and which are left out."


def struct(g, members):
    name, doc = GROUPS[g]
    fields = "".join(comment(s.text) + f"    pub {s.path.split('.')[1]}: {config_type(s)},\n" for s in members)
    derives = "Clone, Debug, Default, PartialEq, Eq" if g == "metadata" else "Clone, Debug, PartialEq, Eq"
    return f"/// {doc}\n#[derive({derives})]\npub struct {name} {{\n{fields}}}\n\n"


def config_type(s):
    optional = s.default is None and s.default_rust is None
    match s.type:
        case "text" | "header-text":
            return "String"
        case "flag":
            return "Option<bool>" if optional else "bool"
        case "count" | "bytes":
            return "Option<usize>" if optional else "usize"
        case "duration":
            return "Option<Duration>" if optional and s.name not in OPTIONAL_GROUPS.values() else "Duration"
        case "choice":
            return s.choices
        case "limits":
            return "StatsLimits"
        case "directory":
            return "Option<(PathBuf, u64)>"
        case "url":
            return "AgentUrl"
        case "destinations":
            return "Vec<Peer>"
        case "statsd-url":
            return "Option<StatsdUrl>"
        case "proxy-url":
            return "Option<ProxyUrl>"
        case "file":
            return "Option<String>"
    return RAW_TYPES[s.type]


def value(s):
    given = f"raw.{s.snake}"
    default = s.default_rust
    match s.type:
        case "text" | "header-text":
            return f"given(&{given}).unwrap_or_else({default})" if default else f"given(&{given}).unwrap_or_default()"
        case "flag":
            default = default or s.default
            return f"{given}.unwrap_or({default})" if default else given
        case "count":
            if default:
                return f"{given}.map_or({default}, |n| n as usize)"
            return f"{given}.unwrap_or({number(s.default)}) as usize" if s.default else f"{given}.map(|n| n as usize)"
        case "bytes":
            return f"size({given}.unwrap_or({number(s.default)}))" if s.default else f"{given}.map(size)"
        case "duration":
            if s.name in OPTIONAL_GROUPS.values():
                return s.path.split(".")[1]
            return f"{given}.unwrap_or(Duration::from_millis({number(s.default)}))" if s.default else given
        case "choice":
            return f"choose({given}.as_deref(), &{s.choices}::ALL)"
        case "limits":
            return f"{given}.map_or_else(StatsLimits::default, StatsLimits::from)"
        case "directory":
            return f"{given}.clone().map(|(path, bytes)| (PathBuf::from(path), bytes))"
        case "url":
            return f'check::agent_url("{s.name}", {given}.as_deref())?.unwrap_or_default()'
        case "statsd-url":
            return f'check::statsd_url("{s.name}", {given}.as_deref())?'
        case "proxy-url":
            return f'check::proxy_url("{s.name}", {given}.as_deref())?'
        case "destinations":
            return 'Peer::all(&raw, &check::agent_url("url", raw.url.as_deref())?.unwrap_or_default())?'
    return f"{given}.clone()"


def was_set(s):
    return f"!self.raw.{s.snake}.is_empty()" if RAW_TYPES.get(s.type, "").startswith("Vec") else f"self.raw.{s.snake}.is_some()"


def row(s):
    if s.shown:
        return f"shown::value(&{s.shown})"
    group, _, member = s.path.partition(".")
    path = f"self.{s.path}"
    if group in OPTIONAL_GROUPS:
        path = f"self.{group}.as_ref().map(|it| it.{member})"
        if s.type == "flag":
            path = f"self.{group}.as_ref().is_some_and(|it| it.{member})"
        elif s.is_list:
            path = f"self.raw.{s.snake}"
        elif s.type in ("text", "header-text"):
            path = f"self.{group}.as_ref().map(|it| it.{member}.as_str())"
    match s.type:
        case "text" | "header-text" if s.secret:
            return f"shown::secret(&{path})"
        case "duration":
            optional = config_type(s).startswith("Option") or group in OPTIONAL_GROUPS
            return f"shown::millis({path if optional else f'Some({path})'})"
        case "choice":
            return f'shown::value(&self.raw.{s.snake}.as_deref().unwrap_or("{s.default}"))'
        case "headers":
            return f"shown::headers(&self.raw.{s.snake})"
        case "variables":
            return f"shown::variables(&self.raw.{s.snake})"
        case "json":
            return f"shown::obfuscation(self.raw.{s.snake}.as_deref())"
        case "limits":
            return f"shown::value(&{path}.map(StatsLimits::values))"
        case "directory":
            return f"shown::directory(self.raw.{s.snake}.as_ref())"
        case "destinations":
            return f"shown::peers(&{path})"
        case "url":
            return f"shown::value(&{path}.to_string())"
        case "statsd-url" | "proxy-url":
            return f"shown::value(&{path}.as_ref().map(ToString::to_string))"
        case "certificate":
            return f"shown::certificate(self.raw.{s.snake}.as_ref())"
    return f"shown::value(&{path})"


SETTER_TYPES = {"flag": "bool", "count": "u32", "bytes": "u64", "duration": "Duration"}


def setters(settings, names):
    methods = "".join(setter(s, names) for s in settings if "rust" not in s.by_hand)
    variables = "".join(
        f'    ("{s.name}", "{s.env}", Form::{s.env_as.title()}),\n' for s in settings if s.env and s.env_as != "by hand")
    return f"""//! The setters of the fluent builder.
{HEAD}
use super::check::named;
use super::environment::Form;
use super::{{Builder, InputFormat, OnMalformed, Overflow}};
use std::time::Duration;

/// Settings that one variable says: the setting, the variable, how it is read.
pub(super) const VARIABLES: &[(&str, &str, Form)] = &[
{variables}];

impl Builder {{
{methods}}}
"""


def linked(text, names):
    return re.sub(r"`(\w+)`", lambda m: f"[`{snake(m[1])}`](Self::{snake(m[1])})" if m[1] in names else m[0], text)


def setter(s, names):
    doc = f"{s.text} {s.more} "
    doc += f"{s.range[0].upper()}{s.range[1:]}. " if s.range and s.type != "choice" else ""
    doc += f"Default: {s.default_in_words}." if not s.is_list else ""
    types = {"choice": s.choices}
    type_ = types.get(s.type) or SETTER_TYPES.get(s.type, "impl Into<String>")
    if s.is_list:
        body = f"self.raw.{s.snake}.push(value.into());"
    elif s.type == "choice":
        body = f"self.raw.{s.snake} = named(value, &{s.choices}::ALL);"
    elif s.type in SETTER_TYPES:
        body = f"self.raw.{s.snake} = Some(value);"
    else:
        body = f"self.raw.{s.snake} = Some(value.into());"
    return f"""{comment(linked(doc, names))}    #[must_use]
    pub fn {s.snake}(mut self, value: {type_}) -> Self {{
        {body}
        self.made("{s.name}")
    }}

"""


def own_headers(headers):
    lines = "".join(f'    ("{name}", "{setter}"),\n' for name, setter in headers.items())
    return f"""//! Headers that the exporter writes itself, or that change how a request is sent.
{HEAD}
/// Names, with the setter that is meant if there is one. A name that ends with `-` stands for all that begin so.
const NAMES: [(&str, &str); {len(headers)}] = [
{lines}];

/// The setter that is meant by a header of our own, empty if there is none; `None` for others.
pub(super) fn setter(header: &str) -> Option<&'static str> {{
    let lower = header.to_ascii_lowercase();
    let own = NAMES.iter().find(|(own, _)| own.ends_with('-') && lower.starts_with(own) || lower == *own);
    own.map(|(_, setter)| *setter)
}}
"""
