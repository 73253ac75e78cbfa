#!/usr/bin/env python3
"""Asks three programs the same generated cases and writes the table of docs/fidelity.md: the agent's own packages are the
yardstick, beside it ours and the reference's crates.

usage: fidelity.py OURS LIBDD SQL_ORACLE RULES_ORACLE SPANS_ORACLE [--seed N] [--share PERCENT] [--docs FILE] [-v]
Also asks all of them every string literal of the agent's own tests of SQL, Redis and URLs, read where Go keeps them.
A difference counts as hidden where the agent shows text as it came and ours does not; docs/fidelity.md says which.
-v prints the other differences. Exit 1 if any kind has too many of them.
"""
import argparse, base64, collections, glob, json, os, re, subprocess, sys, tempfile

here = os.path.dirname(os.path.abspath(__file__))
p = argparse.ArgumentParser()
for name in ("ours", "libdd", "sql", "rules", "spans"): p.add_argument(name)
p.add_argument("--seed", default="7"); p.add_argument("--share", type=int, default=100)
p.add_argument("--docs"); p.add_argument("-v", action="store_true")
o = p.parse_args()

SQL = {"SQL, default tokenizer": ("default", 20000), "SQL, default with options": ("options", 5000), "SQL, go-sqllexer modes": ("modes", 5000), "SQL, several through one obfuscator": ("chain", 2000)}
RULES = ["redis", "redis_quantize", "redis_remove_all", "memcached", "mongo", "es", "opensearch", "http", "creditcard", "ip", "tag", "tag_value", "service", "name", "peer_service", "truncate", "duration"]
WHOLE = ["span", "obfuscate_span", "chunk"]
# How many percent must be equal or hidden.
LEAST = collections.defaultdict(lambda: 99.9, {"SQL, go-sqllexer modes": 97.0, "literals of its redis_test": 99.8})


def out(*command): return subprocess.run(command, capture_output=True, text=True, check=True).stdout
def share(n): return str(max(1, n * o.share // 100))


def module(name):
    env = dict(os.environ, GOFLAGS="-mod=mod")
    return subprocess.run(["go", "list", "-m", "-f", "{{.Dir}}", name], cwd=os.path.join(here, "go"), env=env, capture_output=True, text=True, check=True).stdout.strip()


def literals(folder, test):
    """Every string literal of a Go test file."""
    text = open(os.path.join(folder, test), encoding="utf-8").read()
    found = re.findall(r'"((?:[^"\\\n]|\\.)*)"|`([^`]*)`', text)
    for quoted, raw in found:
        try: yield raw or json.loads('"' + quoted.replace("\\x", "\\u00").replace("\\'", "'") + '"')
        except ValueError: pass


def ask(program, lines):
    with tempfile.TemporaryFile("w+") as f:
        f.write("".join(lines)); f.seek(0)
        text = subprocess.run([program], stdin=f, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    answers = [json.loads(l) for l in text.decode("utf-8", "replace").split("\n") if l.strip()]
    assert len(answers) == len(lines), (program, len(answers), len(lines))
    return answers


def plain(v):
    """Fields that are empty or zero count as absent."""
    if isinstance(v, dict): return {k: plain(x) for k, x in v.items() if x not in (None, "", 0, {}, [])}
    if isinstance(v, list): return [plain(x) for x in v]
    return "ERROR" if isinstance(v, str) and v.startswith("ERROR") else v


def told(a): return {k: plain(v) for k, v in a.items() if k in ("output", "output_b64", "value", "outputs")} or "refused"
def text(a): return base64.b64decode(a["output_b64"]) if "output_b64" in a else a.get("output", "").encode() if isinstance(a.get("output", ""), str) else b""


def hidden(case, ours, agent):
    """Whether the agent shows what came in where ours shows `?`: a URL with a user whom net/url does not read, a scalar behind
    a document, and what follows in a statement once go-sqllexer has stopped reading it (a `$`, a quote without an end)."""
    kind = case["kind"]
    if kind in ("span", "obfuscate_span"):
        a, b = (x.get("output") or {} for x in (ours, agent))
        keys = {k for k in {**a.get("meta", {}), **b.get("meta", {})} if a.get("meta", {}).get(k) != b.get("meta", {}).get(k)}
        rest = {k: v for k, v in a.items() if k != "meta"} == {k: v for k, v in b.items() if k != "meta"}
        return rest and keys == {"http.url"} and hidden({"kind": "http", "input": case["input"]["meta"]["http.url"]}, {"output": a["meta"]["http.url"]}, {"output": b["meta"]["http.url"]})
    if kind not in ("http", "mongo", "es", "opensearch", "sql"): return False
    given = base64.b64decode(case["input_b64"]) if "input_b64" in case else case.get("input", "").encode()
    a, b = text(ours), text(agent)
    if kind == "http": return b"@" in given and (a == b"?" and b == given or a.count(b"@") < b.count(b"@"))
    same = len(os.path.commonprefix([a, b]))
    if kind == "sql":
        # From some place on the agent's answer is the statement as it came, to its end, and ours has more hidden there.
        tail = next((b[at:] for at in range(max(0, same - 20), len(b)) if given.rstrip().rstrip(b";").endswith(b[at:].rstrip().rstrip(b";"))), b"")
        return "obfuscation_mode" in case.get("config", {}) and len(tail) >= min(6, len(b) - same) and a[max(0, same - 1):].count(b"?") > b[max(0, same - 1):].count(b"?")
    return any(a[max(0, i):].startswith(b'"?"') for i in range(same - 2, same + 1)) and re.search(rb"[}\]]\s*$", a[:same].rstrip(b'"')) is not None


# A `$` before something that no server takes for a tag, and what stands before the next `$`.
NO_TAG = re.compile(rb"\$[^$]*[^A-Za-z0-9_$\x80-\xff][^$]*\$")
# Dialects whose double quotes hold text.
TEXT_IN_QUOTES = {"mysql", "mariadb", "bigquery", "spark", "hive"}


def refused(case, ours, agent):
    """Whether the agent writes a statement that we hide as a whole, because its dollars may pair otherwise than it thinks."""
    if case["kind"] != "sql" or not NO_TAG.search(json.dumps(case, ensure_ascii=False).encode()): return False
    if "chain" in case:
        pairs = list(zip(ours.get("outputs", []), agent.get("outputs", [])))
        return all(a == b or a == "ERROR: Non-parsable SQL query" for a, b in pairs)
    return "error" in ours and "output" in agent


def quoted(case, ours, agent):
    """Whether ours hides text in double quotes that the agent takes for a name."""
    dialect = case.get("config", {}).get("dbms", "")
    return case["kind"] == "sql" and dialect in TEXT_IN_QUOTES and '"' in case.get("input", "") and text(ours).count(b"?") > text(agent).count(b"?")


rows, bad = [], 0


def compare(name, lines, oracle):
    global bad
    if not lines: return
    agent, ours, libdd = ask(oracle, lines), ask(o.ours, lines), ask(o.libdd, lines)
    equal = hides = theirs = asked = 0
    for line, a, u, l in zip(lines, agent, ours, libdd):
        case = json.loads(line)
        if told(a) == told(u): equal += 1
        elif hidden(case, u, a) or refused(case, u, a) or quoted(case, u, a): hides += 1
        elif o.v: print(f"{name}: {line.strip()}\n  agent {a}\n  ours  {u}")
        if l.get("error") != "they have no such kind":
            asked += 1; theirs += told(a) == told(l)
    n = len(lines); good = 100 * (equal + hides) / n; bad += good < LEAST[name]
    row = [name, n, f"{100 * equal / n:.2f} %", f"{hides}", f"{n - equal - hides}", f"{100 * theirs / asked:.2f} %" if asked else "-"]
    rows.append(row); print(" | ".join(map(str, row)), flush=True)


obfuscate = module("github.com/DataDog/datadog-agent/pkg/obfuscate")
for name, (kind, n) in SQL.items():
    compare(name, out(sys.executable, f"{here}/sql_cases.py", kind, share(n), o.seed, f"{obfuscate}/sql_test.go").splitlines(True), o.sql)
by_kind = collections.defaultdict(list)
for line in out(sys.executable, f"{here}/rule_cases.py", o.seed, share(5000)).splitlines(True): by_kind[json.loads(line)["kind"]].append(line)
for kind in RULES: compare(kind, by_kind[kind], o.rules)
for line in out(sys.executable, f"{here}/rule_cases.py", o.seed, share(5000), *WHOLE).splitlines(True): by_kind[json.loads(line)["kind"]].append(line)
for kind in WHOLE: compare(kind, by_kind[kind], o.spans)
for name, test, kinds, oracle in (("literals of the agent's sql_test", "sql_test.go", ["sql"], o.sql), ("literals of its redis_test", "redis_test.go", ["redis", "redis_quantize", "redis_remove_all"], o.rules), ("literals of its http_test", "http_test.go", ["http"], o.rules), ("literals of its credit_cards_test", "credit_cards_test.go", ["creditcard"], o.rules)):
    compare(name, [json.dumps({"kind": k, "input": t}) + "\n" for t in literals(obfuscate, test) for k in kinds], oracle)

if o.docs:
    with open(o.docs, encoding="utf-8") as f: doc = f.read()
    table = "| kind | cases | equal to the agent | hidden by us only | other differences | libdatadog equal |\n|---|---|---|---|---|---|\n" + "".join("| " + " | ".join(map(str, r)) + " |\n" for r in rows)
    start, end = "<!-- table -->\n", "<!-- end -->\n"
    doc = doc[:doc.index(start) + len(start)] + table + doc[doc.index(end):]
    with open(o.docs, "w", encoding="utf-8") as f: f.write(doc)
print(f"{sum(r[1] for r in rows)} cases, {bad} kinds short")
sys.exit(1 if bad else 0)
