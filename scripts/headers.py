#!/usr/bin/env python3
"""The headers under include/, made by cbindgen from src/capi and from nothing else.

usage: scripts/headers.py            writes them (builds cbindgen into build/cbindgen the first time: a minute)
       scripts/headers.py --check    says whether they belong to the sources: by making them where cbindgen is there, else
                                     by a hash of the sources that stands in include/sources.sha256

cbindgen knows one header; the reference has four, and we one more. So everything is made at once, and what was made is
divided by the file of src/capi that a name comes from.
"""
import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CBINDGEN, VERSION = ROOT / "build/cbindgen/bin/cbindgen", "0.29.4"
STAMP = ROOT / "include/sources.sha256"
GENERATION = "libdatadog 41.0.0 (revision 9d6b2ffb)"
# Header, source files in the order of its functions, what it includes, what it is.
HEADERS = [
    ("datadog/common.h", ["common"], [], "slices, and the error of the functions for logging"),
    ("datadog/data-pipeline.h", ["error", "value", "config", "exporter", "span", "event", "chunks"], ["common.h"],
     "exporters, and spans built in native memory"),
    ("datadog/shared-runtime.h", ["runtime"], ["common.h"], "what exporters are forked and shut down by"),
    ("datadog/log.h", ["log"], ["common.h"], "where log lines go"),
    ("data-pipeline.h", ["figures", "pipeline", "payloads"], ["datadog/common.h", "datadog/data-pipeline.h"],
     "what the reference's interface cannot reach: every setting, the queue, the account, questions"),
]
RENAMED = {name: f"dp_{name}" for name in "Account Counts Flush Question Response SendOptions Text".split()} | {"Failure": "dp_Error"}
CONFIG = """
language = "C"
style = "both"
documentation_style = "c99"
no_includes = true
line_length = 110
[export]
prefix = "ddog_"
renaming_overrides_prefixing = true
include = ["TracerValueKind", "Question"]
[export.mangle]
rename_types = "PascalCase"
[enum]
prefix_with_name = true
rename_variants = "ScreamingSnakeCase"
[export.rename]
""" + "".join(f'"{ours}" = "{theirs}"\n' for ours, theirs in RENAMED.items())

COMMON = """
// A CharSlice of a string literal, without the zero at its end.
#ifdef __cplusplus
#define DDOG_CHARSLICE_C(string) (ddog_CharSlice{ "" string, sizeof(string) - 1 })
#else
#define DDOG_CHARSLICE_C(string) ((ddog_CharSlice){ .ptr = "" string, .len = sizeof(string) - 1 })
#endif
// The same, for initialisers of static values.
#define DDOG_CHARSLICE_C_BARE(string) { "" string, sizeof(string) - 1 }
"""
DATA_PIPELINE = """
// The interface that this header is source-compatible with.
#define DDOG_DATA_PIPELINE_GENERATION "41.0.0"

// How long an attempt may take that nobody set a time for, in milliseconds, where the reference says so.
#define ddog_Endpoint_DEFAULT_TIMEOUT 3000

// Names of the limits of stats.
#define ddog_CollapsedFieldSet_RESOURCE_NAME 1
#define ddog_CollapsedFieldSet_HTTP_ENDPOINT 2
#define ddog_CollapsedFieldSet_PEER_TAGS 4
#define ddog_CollapsedFieldSet_ADDITIONAL_TAGS 8
"""
OWNERSHIP = """// What holds for every function:
// - A null error is success. An error is the caller's, and is freed by the function of its type, once: it is a plain
//   struct at an address, so nothing here can notice that it is freed twice.
// - What comes out through an out pointer is the caller's, and is freed by the function of its type. After an error
//   nothing was written there.
// - A handle is no address. One that is null, was freed or was never made is an error (INVALID_ARGUMENT); freeing it is
//   nothing, and counted.
// - A slice must be readable until the call returns; its bytes are copied. Texts are UTF-8 and may hold zeros.
// - Any thread may call anything; a span, an event and a list of chunks by one thread at a time, if the order matters.
// - No function prints, installs signal handlers, or lets a panic out.
"""


def sources():
    return {name: (ROOT / f"src/capi/{name}.rs").read_text() for _, names, _, _ in HEADERS for name in names}


def digest():
    whole = hashlib.sha256(Path(__file__).read_bytes())
    for name, text in sorted(sources().items()):
        whole.update(name.encode() + b"\0" + text.encode())
    return whole.hexdigest()


def cbindgen():
    if not CBINDGEN.exists():
        print("headers: building cbindgen into build/cbindgen", flush=True)
        command = ["cargo", "install", "--quiet", "--locked", "--root", str(CBINDGEN.parents[1]), "cbindgen", "--version", f"={VERSION}"]
        subprocess.run(command, check=True)
    with tempfile.TemporaryDirectory() as place:
        config, source = Path(place, "cbindgen.toml"), Path(place, "all.rs")
        config.write_text(CONFIG)
        source.write_text(re.sub(r"^//!.*", "", "\n".join(sources().values()), flags=re.M))
        run = subprocess.run([CBINDGEN, "--quiet", "--config", config, source], capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(f"headers: cbindgen: {run.stderr}")
    # The reference leaves the word out here.
    text = run.stdout.replace("DDOG_TRACER_VALUE_KIND_", "DDOG_TRACER_VALUE_")
    # An enum of one byte is a byte, and names; C++ has no room for an enum and a type of one name.
    text = re.sub(r"enum (\w+)\n#if .*\n  : (\w+)\n#endif.*\n \{([^}]*)\};\n#if .*\n.*\n#else\n(.*)\n#endif.*",
                  r"enum {\3};\n\4", text)
    return text.replace("\n\n\n", "\n\n")


def homes():
    """C name -> the source file that it comes from."""
    found = {}
    for name, text in sources().items():
        for kind, ident in re.findall(r"^pub (?:extern \"C\" fn|(struct|enum|type)) (\w+)", text, re.M):
            found[RENAMED.get(ident, f"ddog_{ident}") if kind else ident] = name
    return found


def name_of(block):
    """What a block of C defines."""
    code = re.sub(r"^//.*\n", "", block, flags=re.M)
    if code.startswith("enum {"):
        return code.rstrip(";").split()[-1]
    if found := re.match(r"(?:typedef )?enum (\w+) \{|typedef struct (\w+) \{", code):
        return found[1] or found[2]
    if found := re.match(r"typedef .*?(\w+);", code, re.S):
        return found[1]
    found = re.search(r"(\w+)\(", code)
    return found and found[1]


def headers():
    blocks = {}
    home = homes()
    for block in re.split(r"\n{2,}", cbindgen().strip()):
        name = name_of(block)
        if name is None:
            sys.exit(f"headers: what is this?\n{block}")
        # A slice stands where its values do.
        of = name
        if found := re.fullmatch(r"ddog_(?:Slice|Vec)_(\w+)", name):
            of = f"ddog_{found[1]}" if f"ddog_{found[1]}" in home else "ddog_Slice"
        if of not in home:
            sys.exit(f"headers: no file of src/capi has {name}")
        blocks.setdefault(home[of], []).append(block)
    for path, names, includes, what in HEADERS:
        guard = re.sub(r"\W", "_", path).upper()
        head = f"// {path}: {what}.\n// Made by `python3 scripts/headers.py` from src/capi. Change the sources, not this file.\n"
        if path.startswith("datadog/"):
            head += f"// Source-compatible with the headers of {GENERATION}; binaries of other generations are no drop-in.\n"
        head += "//\n" + OWNERSHIP if path != "datadog/common.h" else ""
        of_file = [block for name in names for block in blocks.get(name, [])]
        types = [b for b in of_file if re.search(r"^(typedef|enum|struct .*\{)", b, re.M) and not re.search(r"\w\($|\w\(\w", b.split("\n")[-1])]
        functions = [b for b in of_file if b not in types]
        # cbindgen's order: what a type needs stands before it.
        order = {b: i for i, b in enumerate(b for many in blocks.values() for b in many)}
        types = in_need_order(types, order)
        text = head + f"\n#ifndef {guard}\n#define {guard}\n\n#include <stdarg.h>\n#include <stdbool.h>\n#include <stdint.h>\n#include <stdlib.h>\n"
        text += "".join(f"#include <{'datadog/' if path.startswith('datadog/') else ''}{name}>\n" for name in includes)
        text += DATA_PIPELINE if path == "datadog/data-pipeline.h" else ""
        if path == "datadog/data-pipeline.h":
            text += "\n// A runtime; its functions are in shared-runtime.h.\ntypedef struct ddog_ForkSafeRuntime ddog_ForkSafeRuntime;\n"
        if path == "datadog/shared-runtime.h":
            # C11 lets a typedef come twice, C99 does not.
            types = [b for b in types if name_of(b) != "ddog_ForkSafeRuntime"]
            text = text.replace("#include <datadog/common.h>\n", "#include <datadog/common.h>\n#include <datadog/data-pipeline.h>\n")
        text += "\n" + "\n\n".join(types) + "\n"
        text += COMMON if path == "datadog/common.h" else ""
        text += "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n" + "\n\n".join(functions) + "\n"
        text += f"\n#ifdef __cplusplus\n}}\n#endif\n\n#endif // {guard}\n"
        yield ROOT / "include" / path, text


def in_need_order(types, order):
    """Each after what it holds by value; else as cbindgen has them."""
    done, left = [], sorted(types, key=order.get)
    names = {name_of(b): b for b in types}
    while left:
        for block in left:
            code = re.sub(r"//.*", "", block)
            needs = {n for n in re.findall(r"\bddog_\w+|\bdp_\w+", code) if n in names and names[n] is not block}
            # A slice has a pointer only, but a typedef must come before its use all the same.
            if all(names[n] in done for n in needs):
                done.append(block)
                left.remove(block)
                break
        else:
            sys.exit(f"headers: types need each other: {[name_of(b) for b in left]}")
    return done


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    check = bool(arguments)
    if check and not CBINDGEN.exists():
        if not STAMP.exists() or STAMP.read_text().strip() != digest():
            sys.exit("headers: src/capi has changed; run python3 scripts/headers.py")
        return
    stale = []
    for path, text in [*headers(), (STAMP, digest() + "\n")]:
        if not path.exists() or path.read_text() != text:
            stale.append(str(path.relative_to(ROOT)))
            if not check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
                print("wrote", stale[-1])
    if check and stale:
        sys.exit(f"headers: stale: {', '.join(stale)}; run python3 scripts/headers.py")


main(sys.argv[1:])
