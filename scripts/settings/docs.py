"""The page of settings."""

import re

from rust import sentence

INTRO = """# Settings

Made by `python3 scripts/settings` from [the table](../src/settings/table.toml). Change the table, not this page.

The names are setters of `Builder` in Java; Rust has them in snake case (`sendBudget` is `send_budget`). Durations are
`Duration`. Each setter of Java checks at once: what cannot work is an `IllegalArgumentException` that names the setting; regexes
and JSON are checked through the native library, or by `build()` where there is none. In Rust `build()` checks. With defaults a
well-formed v0.4 payload leaves as the same bytes, unless it holds span events and the agent's `/info` is known and lacks
`span_events`: such an agent reads them as JSON in `meta`, so they become that.

User, path and query of URLs, values of headers, session tokens and replace rules are never shown: not by `toString`, `explain()`,
errors or log lines. (The path of a Unix socket is an address and is shown.)
"""

ENVIRONMENT = """## The environment

`TraceExporter.builder().fromEnvironment()` (Rust: `from_environment()`) takes what no setter has set from variables; nothing else
reads them, and a variable that is empty counts as absent. Setters have the last word, whether they are called before or after.

- `url`: `DD_TRACE_AGENT_URL`; else `DD_AGENT_HOST` and `DD_TRACE_AGENT_PORT`, one of which may be missing (`tcp://host:port`, as
  Kubernetes sets the latter for a service called `dd-trace-agent`, says both); else the socket `/var/run/datadog/apm.socket` if it
  is there.
- `destination`: `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, with `…_PROTOCOL` (`http/protobuf`,
  `http/json`), `…_HEADERS`, `…_COMPRESSION`, `…_TIMEOUT` (`sendTimeout`), `…_CERTIFICATE` (`caFile`), `…_CLIENT_CERTIFICATE` and
  `…_CLIENT_KEY`; those of traces come first. They count where none of the variables above names an agent, or where
  `OTEL_TRACES_EXPORTER` is `otlp`; where it is something else, they do not. `agentFromEnvironment` (Java) never takes them: the
  exporter for OpenTelemetry, which may run beside OpenTelemetry's own, reads the environment by it.
- Settings with a variable in the tables above are taken from it as it stands there; `DD_TRACE_AGENT_TIMEOUT` is in seconds.
- `computeStats` with buckets of 10 s, if `DD_TRACE_STATS_COMPUTATION_ENABLED` is `true` or `1`.
- `obfuscationEnvironment`: these variables say how to obfuscate but do not switch it on.

A value that its setter refuses is an error that names the variable and shows what was set. `fromEnvironment(BadValues.SKIP)` (Rust:
`from_environment_with(BadValues::Skip)`) leaves such values out, with a log line. `takenFromEnvironment()` and `explain()` say what
was taken; `skipped` of `explain()` says what was left out and why.
"""


def files(sections, settings, pairs, _headers):
    page = INTRO
    for section in sections:
        page += f"\n## {section}\n\n| setting | values | default | variable | |\n|---|---|---|---|---|\n"
        page += "".join(row(s) for s in settings if s.section == section)
    page += "\n" + ENVIRONMENT + "\n## What has no effect together\n\n"
    page += "Such a pair is refused by `build()`. A setting that the environment made gives way instead, and `explain()` says so.\n\n"
    page += "".join(f"- {code(sentence(p, None))}\n" for p in pairs)
    return {"docs/settings.md": page}


FORMS = {
    "text": "text", "header-text": "text", "flag": "true, false", "tag-rules": "`KEY`, `KEY:VALUE`",
    "regex-rules": "`KEY`, `KEY:REGEX`", "regexes": "regex", "keys": "keys", "headers": "name, value", "variables": "map",
    "file": "file", "certificate": "two files", "proxy-url": "URL",
    "limits": "`StatsLimits`", "destinations": "`Destination`", "url": "URL", "statsd-url": "URL", "json": "JSON", "java:boolean": "true, false",
}


def row(s):
    values = s.range or FORMS.get(s.type) or f"`{s.type.removeprefix('java:')}`"
    if s.type == "bytes" and not s.range:
        values = "bytes"
    if s.type == "directory":
        values = f"directory, {values}"
    if s.type == "keys" and s.most:
        values += f", at most {s.most}"
    default = "none" if s.is_list and not s.default_text else s.default_in_words
    if s.type in ("url", "text") and s.default:
        default = f"`{default}`"
    env = ", ".join(f"`{v}`" for v in s.env.split(", ")) if s.env else ""
    text = s.text + (" (Java)" if s.java_only else "")
    return f"| `{s.name}` | {values} | {default} | {env} | {text} |\n".replace("|  |", "| |")


def code(text):
    """Names of settings, and calls of them, as code."""
    head, colon, why = text.partition(": ")
    head = re.sub(r"\b([a-z]+[A-Z]\w*(?:\(\w+\))?|discovery\(\w+\)|overflow\(\w+\))", r"`\1`", head)
    return head + colon + why
