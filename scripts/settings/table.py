"""Reads src/settings/table.toml and gives it to the generators: one object a setting, everything resolved and checked."""

import re
import tomllib
import dataclasses
from dataclasses import dataclass

TYPES = {
    "text", "header-text", "flag", "count", "bytes", "duration", "choice", "tag-rules", "regex-rules", "regexes", "keys",
    "headers", "variables", "destinations", "limits", "directory", "url", "statsd-url", "proxy-url",
    "file", "certificate", "json",
}
LISTS = {"tag-rules", "regex-rules", "regexes", "keys", "headers", "destinations"}
UNITS = {"": 1, "ms": 1, "s": 1_000, "min": 60_000, "KiB": 1 << 10, "MiB": 1 << 20}


@dataclass
class Setting:
    name: str
    type: str
    text: str
    section: str
    more: str = ""
    default: str | None = None
    default_text: str | None = None
    default_rust: str | None = None
    least: str | None = None
    most: str | None = None
    choices: str | None = None
    values: list[str] = dataclasses.field(default_factory=list)
    env: str | None = None
    env_as: str = "text"
    arg: str = "value"
    field: str | None = None
    constant: bool = False
    secret: bool = False
    shown: str | None = None
    by_hand: list[str] = dataclasses.field(default_factory=list)

    @property
    def snake(self):
        return snake(self.name)

    @property
    def java_only(self):
        return self.type.startswith("java:")

    @property
    def is_list(self):
        return self.type in LISTS

    @property
    def path(self):
        """Where `Config` has it."""
        return self.field or self.snake

    @property
    def group(self):
        return self.path.split(".")[0] if "." in self.path else None

    def number(self, text):
        return None if text is None else number(text)

    @property
    def range(self):
        """The range in words, as errors and pages have it; empty if there is none."""
        least, most = self.least, self.most
        if self.type == "duration":
            if least == "0":
                return f"0 to {most}"
            return f"{least} to {most}" if least else f"more than 0, at most {most}"
        if self.type in ("count", "bytes", "directory"):
            if most:
                return f"{grouped(least)} to {grouped(most)}"
            return f"{grouped(least)} or more" if least != "0" else ""
        if self.type == "choice":
            return ", ".join(self.values)
        return ""

    @property
    def default_in_words(self):
        if self.default_text:
            return self.default_text
        if self.default is None:
            return "none"
        return grouped(self.default)


def snake(name):
    return re.sub(r"([A-Z])", lambda m: "_" + m[1].lower(), name)


def grouped(text):
    return f"{int(text):,}" if text.isdigit() else text


def number(text):
    """`10 min` in milliseconds, `64 KiB` in bytes, `4` as it is."""
    n, _, unit = text.partition(" ")
    return int(n) * UNITS[unit]


@dataclass
class Pair:
    setting: str
    why: str = ""
    is_: str | None = None
    with_: str | None = None
    without: str | None = None


def load(path):
    """The sections, the settings in their order, the pairs, the headers of our own with the setters that are meant."""
    sections, settings = [], []
    # Sections and settings stand between one another, which TOML does not keep: their order is read from the text.
    text = path.read_text()
    raw = tomllib.loads(text)
    heads = iter(raw["section"])
    entries = iter(raw["setting"])
    for head in re.findall(r"^\[\[(section|setting)\]\]$", text, re.M):
        if head == "section":
            sections.append(next(heads)["title"])
        else:
            settings.append(Setting(section=sections[-1], **next(entries)))
    pairs = [Pair(p["setting"], p.get("why", ""), p.get("is"), p.get("with"), p.get("without")) for p in raw["pair"]]
    headers = raw["own-headers"]
    check(settings, pairs, headers)
    return sections, settings, pairs, headers


def check(settings, pairs, headers):
    names = [s.name for s in settings]
    for s in settings:
        assert names.count(s.name) == 1, f"{s.name} stands twice"
        assert s.java_only or s.type in TYPES, f"{s.name}: unknown type {s.type}"
        assert s.text.endswith((".", "`.")) , f"{s.name}: the text is a sentence"
        assert (s.type == "choice") == bool(s.choices), f"{s.name}: choices go with the type choice"
        assert s.type != "choice" or s.default in s.values, f"{s.name}: the default is one of the values"
        assert s.type not in ("count", "bytes") or s.least is not None, f"{s.name}: numbers have a least value"
        assert s.type != "duration" or s.most, f"{s.name}: durations have an end"
        for text in (s.least, s.most) + ((s.default,) if s.type in ("count", "bytes", "duration") else ()):
            if text is not None:
                number(text)
        for face in s.by_hand:
            assert face in ("java", "rust"), f"{s.name}: no face {face}"
    for p in pairs:
        assert p.setting in names, f"pair: no setting {p.setting}"
        assert bool(p.with_) != bool(p.without), f"pair of {p.setting}: either with or without"
        assert (p.with_ or p.without).split("=")[0] in names, f"pair of {p.setting}: no setting {p.with_ or p.without}"
    assert list(headers) == sorted(headers), "own-headers are sorted"
    for header, setter in headers.items():
        assert header == header.lower(), f"own-headers: {header} is not in lower case"
        assert setter == "" or setter in names, f"own-headers: no setting {setter}"
