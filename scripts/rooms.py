#!/usr/bin/env python3
"""What the compiler does not check: who imports whom, circles, long files, wide lines, comments about files that are gone.

usage: scripts/rooms.py [--edges]        --edges prints what each room uses today

The rules of imports are the table "Rooms" of ARCHITECTURE.md, and nothing else: its rows stand from top to bottom, the
first column names the files of a room, the third the rooms that it may use. Words in parentheses are for people.
"nothing" is nothing, "everything below" all rows that follow. A room never uses one above it, so there is no circle.
Tests (`#[cfg(test)]`) may use everything.

scripts/lint_exceptions.txt names what is not mended yet (an entry that ends in / stands for a folder). It only gets
shorter: an entry that is not needed any more is named, so that it can go.
"""
import os
import re
import subprocess
import sys
from collections import defaultdict

LONGEST_FILE = 600
WIDEST_LINE = 120


def tracked():
    return subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.split("\n")[:-1]


class Table:
    """The rooms of ARCHITECTURE.md, from top to bottom."""

    def __init__(self, text):
        self.rooms = []         # (names, what it may use)
        self.of = {}            # module -> row
        rows = [line for line in text.splitlines() if line.startswith("| `src/")]
        for row, line in enumerate(rows):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            names = [re.sub(r"^src/|/$|\.rs$", "", name) for name in re.findall(r"`([^`]+)`", cells[0])]
            self.rooms.append((names, re.sub(r"\([^)]*\)", "", cells[2])))
            self.of.update({name: row for name in names})
        self.may = [self.allowed(row) for row in range(len(self.rooms))]

    def allowed(self, row):
        _, words = self.rooms[row]
        if "everything below" in words:
            return set(range(row + 1, len(self.rooms)))
        if words.strip().startswith("nothing"):
            return set()
        found = set()
        for word in re.split(r"[,;]", words):
            name = word.strip().strip("`")
            if name not in self.of:
                raise SystemExit(f"rooms: ARCHITECTURE.md: {name!r} in the row of {self.name(row)} is no room")
            found.add(self.of[name])
        return found

    def name(self, row):
        return "+".join(self.rooms[row][0])


def without_comments(text):
    """Blanks comments, texts and characters, lines kept."""
    pattern = r"//[^\n]*|/\*.*?\*/|b?r(#*)\".*?\"\1|b?\"(?:\\.|[^\"\\])*\"|b?'(?:\\[^\n]{1,8}?|[^'\\\n])'"
    return re.sub(pattern, lambda m: "\n" * m.group().count("\n"), text, flags=re.S)


def without_tests(text):
    """Takes out each item behind #[cfg(test)]; gives also the names of test modules that are files of their own."""
    files = []
    while True:
        found = re.search(r"#\[cfg\((?:all\()?test\b[^\]]*\]", text)
        if not found:
            return text, files
        at = found.end()
        module = re.match(r"(?:\s*#\[[^\]]*\])*\s*(?:pub(?:\([^)]*\))? )?mod (\w+);", text[at:])
        if module:
            files.append(module.group(1))
        depth, end = 0, at
        while end < len(text):
            c = text[end]
            end += 1
            if c in "{(":
                depth += 1
            elif c in "})":
                depth -= 1
                if depth == 0 and c == "}":
                    break
            elif c == ";" and depth == 0:
                break
        text = text[:found.start()] + "\n" * text[found.start():end].count("\n") + text[end:]


def first_words(tree):
    """The first words of a use tree: `a::b` or `{a::b, c}`."""
    if not tree.startswith("{"):
        return re.findall(r"^\w+", tree)
    words, depth, piece = [], 0, ""
    for c in tree[1:]:
        if c == "}" and depth == 0:
            break
        depth += (c == "{") - (c == "}")
        if c == "," and depth == 0:
            words += first_words(piece.strip())
            piece = ""
        else:
            piece += c
    return words + first_words(piece.strip())


def uses(path, text, root_names):
    """(line, module) of everything that a file takes from another place of the crate."""
    module = re.sub(r"\.rs$", "", os.path.relpath(path, "src")).split("/")
    if module[-1] == "mod":
        module.pop()
    for found in re.finditer(r"\b(crate::|(?:super::)+)(\{|\w+)", text):
        if found.group(1).startswith("super"):
            if found.group(1).count("super") < len(module):
                continue
        line = text.count("\n", 0, found.start()) + 1
        for word in first_words(text[found.start(2):]):
            yield line, root_names.get(word, word)


def imports(files, table):
    root_names = {}
    for room, names in re.findall(r"pub use (\w+)(?:::\w+)*::(\{[^}]*\}|\w+);", open("src/lib.rs").read()):
        root_names.update({name: room for name in re.findall(r"\w+", names)})
    texts, test_files = {}, set()
    for path in files:
        if path.startswith("src/") and path.endswith(".rs"):
            texts[path], tests = without_tests(without_comments(open(path, encoding="utf-8").read()))
            folder = os.path.dirname(path) if path.endswith("/mod.rs") else path[:-3]
            test_files |= {f"{folder}/{name}.rs" for name in tests}
    edges = defaultdict(list)
    for path, text in texts.items():
        if path == "src/lib.rs" or path in test_files:
            continue
        here = re.sub(r"\.rs$", "", path.split("/")[1])
        if here not in table.of:
            yield None, f"{path} is in no room of ARCHITECTURE.md's table"
            continue
        for line, module in uses(path, text, root_names):
            there = table.of.get(module)
            if there is not None and there != table.of[here]:
                edges[(table.of[here], there)].append(f"{path}:{line}")
    if "--edges" in sys.argv:
        for (here, there), places in sorted(edges.items()):
            print(f"{table.name(here):24} {table.name(there):20} {len(places):3}  {places[0]}")
    for (here, there), places in sorted(edges.items()):
        if there < here or there not in table.may[here]:
            why = "which stands above it" if there < here else "which its row does not name"
            key = f"import {table.name(here)} {table.name(there)}"
            yield key, f"{table.name(here)} uses {table.name(there)}, {why}: {', '.join(places[:4])}"
    yield from circles(edges, table)


def circles(edges, table):
    """Rooms that reach each other."""
    reach = {row: {there for here, there in edges if here == row} for row in range(len(table.rooms))}
    for _ in reach:
        for row in reach:
            reach[row] |= {far for there in reach[row] for far in reach[there]}
    rings = {frozenset(o for o in reach if o in reach[r] and r in reach[o]) for r in reach if r in reach[r]}
    for ring in sorted(rings, key=sorted):
        names = ", ".join(table.name(row) for row in sorted(ring))
        yield "circle", f"these rooms use each other in a circle: {names}"


def generated(text):
    return bool(re.search(r"@?generated\b|\bMade by `", text[:600], re.I))


def long_files(files):
    for path in files:
        if not re.match(r"src/.*\.rs$|java/src/main/.*\.java$", path):
            continue
        text = open(path, encoding="utf-8").read()
        lines = text.count("\n")
        if lines > LONGEST_FILE and not generated(text):
            yield f"long {path}", f"{path} has {lines} lines; {LONGEST_FILE} are the most"


def wide_lines(files):
    """Lines of code and comment; a line of a table or a long text literal cannot always be cut."""
    for path in files:
        if not re.search(r"\.(rs|java|gradle|sh)$", path):
            continue
        text = open(path, encoding="utf-8").read()
        wide = [n for n, line in enumerate(text.splitlines(), 1) if len(line) > WIDEST_LINE]
        if wide and not generated(text):
            yield f"wide {path}", f"{path} is wider than {WIDEST_LINE} columns in line {', '.join(map(str, wide[:8]))}"


FILE = re.compile(r"(?<![\w./:*$%{}<>-])((?:[\w.-]+/)*[\w-]+(?:\.[\w-]+)*\.(?:rs|md|py|sh|java|gradle|go|proto))\b(?!\()")


def missing_files(files):
    """Comments that send the reader to a file that is not here. Links to public sources are written as URLs."""
    names = {os.path.basename(path) for path in files}
    for path in files:
        if not re.search(r"\.(rs|java|gradle|sh|py|toml)$|^Makefile$", path) or path == "scripts/rooms.py":
            continue
        mark = r"(?:^|\s)#(?!!)\s.*" if re.search(r"\.(sh|py|toml)$|^Makefile$", path) else r"//.*|^\s*/?\*.*"
        for n, line in enumerate(open(path, encoding="utf-8").read().splitlines(), 1):
            for comment in re.findall(mark, line):
                for name in FILE.findall(comment):
                    near = os.path.join(os.path.dirname(path), name)
                    known = os.path.exists(name) or os.path.exists(near) or any(f.endswith("/" + name) for f in files)
                    if not known and not ("/" not in name and name in names):
                        yield f"gone {name}", f"{path}:{n} speaks of {name}, which is not in the repository"


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    files = [path for path in tracked() if os.path.isfile(path)]
    table = Table(open("ARCHITECTURE.md", encoding="utf-8").read())
    excepted = {}
    for line in open("scripts/lint_exceptions.txt", encoding="utf-8"):
        if line.strip() and not line.startswith("#"):
            excepted[line.strip()] = False
    bad = 0
    checks = [imports(files, table), long_files(files), wide_lines(files), missing_files(files)]
    for key, text in (found for check in checks for found in check):
        entry = next((e for e in excepted if e == key or (e.endswith("/") and key.startswith(e))), None)
        if entry:
            excepted[entry] = True
        else:
            print(f"lint: {text}   [{key}]")
            bad += 1
    for key, needed in excepted.items():
        if not needed:
            print(f"rooms: the exception {key!r} is not needed any more; take it out of scripts/lint_exceptions.txt")
    return 1 if bad else 0


sys.exit(main())
