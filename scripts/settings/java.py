"""The Java side: the setters of `Builder`, in the form that google-java-format gives them."""

import re

from table import grouped, number, snake

PATH = "java/src/main/java/com/datadog/pipeline/Builder.java"
HEADERS_PATH = "java/src/main/java/com/datadog/pipeline/OwnHeaders.java"
TYPES = {
    "text": "String", "header-text": "String", "flag": "boolean", "count": "int", "bytes": "long", "duration": "Duration",
    "tag-rules": "String", "regex-rules": "String", "regexes": "String", "keys": "String...", "limits": "StatsLimits",
    "url": "String", "statsd-url": "String", "proxy-url": "String", "file": "Path", "json": "String",
}
# The method of BuilderBase that checks a value of this type and keeps it.
METHODS = {
    "text": "text", "header-text": "headerText", "flag": "put", "count": "number", "bytes": "number", "duration": "duration",
    "choice": "choice", "tag-rules": "rule", "regex-rules": "regexRule", "regexes": "regex", "keys": "keys",
    "limits": "limits", "file": "file", "proxy-url": "proxyUrl", "url": "agentUrl", "statsd-url": "statsdUrl", "json": "json",
}
IMPORTS = {"Path": "java.nio.file.Path", "Duration": "java.time.Duration", "Executor": "java.util.concurrent.Executor"}


def files(_sections, settings, _pairs, headers):
    names = {s.name for s in settings}
    own = [s for s in settings if "java" not in s.by_hand]
    types = {type_of(s) for s in own}
    imports = "".join(f"import {IMPORTS[t]};\n" for t in sorted(types & IMPORTS.keys(), key=IMPORTS.get))
    constants = "".join(constant(s) for s in settings if s.constant)
    methods = "\n".join(setter(s, names) for s in own)
    return {HEADERS_PATH: own_headers(headers), PATH: f"""package com.datadog.pipeline;

import com.datadog.pipeline.internal.AgentUrl;
{imports}
// Made by `python3 scripts/settings` from src/settings/table.toml. Change the table, not this file.

/**
 * Collects the settings of a {{@link TraceExporter}}. Each setter checks at once and throws {{@link
 * IllegalArgumentException}} for what cannot work, null included; regexes and JSON are checked
 * through the native library where it is there, else by {{@link #build()}}. Nothing is inferred: what
 * is not set has the default named here. Not thread-safe; {{@link #build()}} may be called several
 * times.
 */
public final class Builder extends BuilderBase {{
{constants}
  Builder() {{}}

{methods}
{variables(own)}
{shown(settings)}}}
"""}


def type_of(s):
    return s.choices or TYPES.get(s.type) or s.type.removeprefix("java:")


def constant(s):
    name = f"DEFAULT_{snake(s.name).upper()}"
    if s.type == "duration":
        return f"  /** Default of {{@link #{s.name}}}, in ms. */\n  static final long {name}_MILLIS = {number(s.default)};\n"
    return f'  /** Default of {{@link #{s.name}}}. */\n  public static final String {name} = "{s.default}";\n\n'


def marked(text, names):
    return re.sub(r"`([^`]+)`", lambda m: f"{{@link #{m[1]}}}" if m[1] in names else f"{{@code {m[1]}}}", text)


def setter(s, names):
    body = marked(s.text, names)
    if s.more:
        body += " " + marked(" ".join(s.more.split()), names)
    if not s.is_list:
        body += f" Default: {marked(s.default_in_words, names)}."
    if s.env and s.env_as != "by hand":
        body += f" {{@link #fromEnvironment()}} takes it from {{@code {s.env}}}" + (", in seconds." if s.env_as == "seconds" else ".")
    tags = []
    if s.range and s.type != "choice":
        tags = [f"@param {s.arg} {s.range}", "@throws IllegalArgumentException if it is not"]
    return (javadoc(body, tags) + f"  public Builder {s.name}({type_of(s)} {s.arg}) {{\n"
            f"    return {call(s)};\n  }}\n")


def call(s):
    if s.java_only:
        return f'own("{s.name}", {s.arg})'
    method = METHODS[s.type]
    if s.type in ("count", "bytes", "duration") and (s.range or s.type == "duration"):
        most = number(s.most) if s.most else "Long.MAX_VALUE"
        least = 1 if s.least is None else number(s.least)
        return f'{method}("{s.name}", {s.arg}, {least}, {most}, "{s.range}")'
    if s.type == "bytes":
        return f'{method}("{s.name}", {s.arg}, {number(s.least)}, Long.MAX_VALUE, "{grouped(s.least)} or more")'
    if s.type == "keys":
        return f'{method}("{s.name}", {number(s.most) if s.most else "Integer.MAX_VALUE"}, {s.arg})'
    return f'{method}("{s.name}", {s.arg})'


def javadoc(body, tags):
    """As google-java-format has it: one line if it fits, else filled to 100 columns."""
    words = body.split()
    line = f"  /** {' '.join(words)} */"
    if len(line) <= 100 and not tags:
        return line + "\n"
    out = ["  /**"] + filled(words, "   * ", "   * ")
    if tags:
        out.append("   *")
        for tag in tags:
            out += filled(tag.split(), "   * ", "   *     ")
    return "\n".join(out + ["   */"]) + "\n"


def filled(words, first, rest):
    lines, line = [], first + words[0]
    for word in words[1:]:
        if len(line) + 1 + len(word) > 100:
            lines.append(line)
            line = rest + word
        else:
            line += " " + word
    return lines + [line]


def variables(settings):
    lines = "".join(f'    from.{s.env_as}("{s.name}", "{s.env}", this::{s.name});\n'
                    for s in settings if s.env and s.env_as != "by hand")
    return f"""  /** Settings that one variable says. */
  @Override
  void takeVariables(Environment from) {{
{lines}  }}
"""


def shown(settings):
    how = {"url": "AgentUrl.shown((String) value)", "statsd-url": "AgentUrl.shown((String) value)",
           "proxy-url": "AgentUrl.shown((String) value)",
           "headers": "namesOf(value)", "destinations": "Destination.shown(value)", "json": "HIDDEN", "variables": "namesOf(value)", "duration": 'value + " ms"'}
    cases = {}
    for s in settings:
        if not s.java_only and (s.type in how or s.secret):
            cases.setdefault(how.get(s.type, "HIDDEN"), []).append(s.name)
    lines = "".join("".join(f'      case "{name}":\n' for name in names) + f"        return {text};\n"
                    for text, names in cases.items())
    return f"""  /** How a value is shown: without secrets. */
  @Override
  Object shown(String setting, Object value) {{
    switch (setting) {{
{lines}      default:
        return value;
    }}
  }}
"""


def own_headers(headers):
    lines = "".join(f'    "{name}", "{setter}",\n' for name, setter in headers.items())
    return f"""package com.datadog.pipeline;

import java.util.Locale;

// Made by `python3 scripts/settings` from src/settings/table.toml. Change the table, not this file.

/** Headers that the exporter writes itself, or that change how a request is sent. */
final class OwnHeaders {{
  /**
   * Names, each followed by the setter that is meant or nothing; a name that ends with {{@code -}}
   * stands for all that begin so.
   */
  private static final String[] NAMES = {{
{lines}  }};

  private OwnHeaders() {{}}

  /** The setter that is meant by a header of our own, empty if there is none; null for others. */
  static String setter(String header) {{
    String lower = header.toLowerCase(Locale.ROOT);
    for (int i = 0; i < NAMES.length; i += 2) {{
      String own = NAMES[i];
      if (own.endsWith("-") ? lower.startsWith(own) : lower.equals(own)) {{
        return NAMES[i + 1];
      }}
    }}
    return null;
  }}
}}
"""
