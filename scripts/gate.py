#!/usr/bin/env python3
"""Instructions of the hot rows, beside those that were recorded: a row that needs 3 % more fails.

usage: scripts/gate.py [--record] PROGRAM PAYLOADS        --record writes benches/gate.txt anew

Callgrind counts instructions, not seconds, so a busy machine does not matter. What does matter is what was compiled and
where it runs: on another compiler, C library or processor kind than the first line of benches/gate.txt says, the
numbers are printed and nothing is judged.
"""
import os
import re
import subprocess
import sys
import tempfile

ALLOWED = 1.03
BASELINE = "benches/gate.txt"


def said(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def machine():
    """What the numbers depend on beside our code."""
    compiler = said("rustc", "--version")
    target = re.search(r"host: (\S+)", said("rustc", "-vV")).group(1)
    libc = " ".join(os.confstr("CS_GNU_LIBC_VERSION").split()) if "CS_GNU_LIBC_VERSION" in os.confstr_names else "no glibc"
    wide = "avx2" if "avx2" in open("/proc/cpuinfo").read().split() else "no avx2"
    return f"{compiler}, {target}, {libc}, {wide}, {said('valgrind', '--version')}"


def count(program, payloads, row, folder):
    """Instructions of one call of a row, an item."""
    out = os.path.join(folder, row)
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*measured*",
         f"--callgrind-out-file={out}", "--log-file=/dev/null", program, payloads, row],
        capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"gate: {row}: {run.stderr[-2000:]}")
    totals = re.search(r"^(?:totals|summary): (\d+)", open(out).read(), re.M)
    instructions = int(totals.group(1)) if totals else 0
    if not instructions:
        sys.exit(f"gate: {row}: callgrind counted nothing")
    return instructions / int(run.stdout.split()[-1])


def least(record, was, measure):
    """Hash tables have a random seed, which moves some rows by 2 %: what seems too much is counted twice more."""
    now = measure()
    for _ in range(2):
        if record or (was and now > was * ALLOWED):
            now = min(now, measure())
    return now


def main():
    record = "--record" in sys.argv
    program, payloads = [a for a in sys.argv[1:] if a != "--record"]
    here = machine()
    kept, there, notes = {}, None, []
    if os.path.exists(BASELINE):
        for line in open(BASELINE):
            if line.startswith("#   "):
                notes.append(line)
            if line.startswith("# measured with: "):
                there = line.split(": ", 1)[1].strip()
            elif not line.startswith("#") and line.strip():
                row, number = line.split()[:2]
                kept[row] = float(number)
    judged = there == here and not record
    found, worse = {}, []
    print(f"{'row':26}{'recorded':>12}{'now':>12}{'':>9}   instructions an item")
    with tempfile.TemporaryDirectory() as folder:
        for row in said(program, "--list").split():
            was = kept.get(row)
            now = found[row] = least(record, was, lambda: count(program, payloads, row, folder))
            change = f"{(now / was - 1) * 100:+.1f} %" if was else "new"
            mark = ""
            if was and now > was * ALLOWED:
                worse.append(row)
                mark = "  <-- more" if judged else ""
            print(f"{row:26}{was or 0:12.1f}{now:12.1f}{change:>9}{mark}", flush=True)
    if record:
        with open(BASELINE, "w") as out:
            out.write("# Instructions an item (span, line, value) of the rows of benches/gate.rs; scripts/gate.sh --record writes this.\n")
            out.write(f"# measured with: {here}\n")
            out.writelines(notes)
            out.writelines(f"{row:26} {number:.1f}\n" for row, number in found.items())
        print(f"gate: recorded {len(found)} rows")
    elif not judged:
        print(f"gate: skipped: this is {here}; the recorded numbers are of {there}")
    elif worse:
        sys.exit(f"gate: more than {ALLOWED - 1:.0%} more instructions: {', '.join(worse)}")
    elif set(kept) != set(found):
        sys.exit(f"gate: rows differ from {BASELINE}: {', '.join(sorted(set(kept) ^ set(found)))}; --record")
    else:
        print(f"gate: {len(found)} passed, 0 failed")


main()
