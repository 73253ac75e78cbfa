#!/usr/bin/env python3
"""Programs in C against the library of one platform, as `scripts/capi.sh build all` leaves it: built by CMake, run, counted.

usage: reach_c.py PLATFORM [--cc "COMPILER WORD..."] [--run "COMMAND..." | --link-only] [--links "shared static"] [--programs "NAME..."]

PLATFORM   build/capi/PLATFORM is what is tried
--cc       the compiler, if it is not this machine's own (a cross build for CMake then)
--run      what runs a program of that platform: qemu, wine, a loader
--link-only  nothing here runs such a program: what it asks its loader for is looked at instead
--links    which of the two libraries is tried
--programs programs of tests/c that run beside the example (without it: none)

The example of examples/c is built with find_package against the shared and against the static library, and sends one trace to
an agent here; it is built with pkg-config, too, where that is there. tests/c/layout.c, the static assertions, is compiled as C99 and, with the same compiler, as C++17.
"""
import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from bindings import Agent, start_agent
from native_gate import elf, macho, pe

ROOT = Path(__file__).resolve().parents[1]
SYSTEMS = {"linux": "Linux", "windows": "Windows", "macos": "Darwin"}
SHARED = {"linux": "libdata-pipeline-ffi.so", "windows": "data-pipeline-ffi.dll", "macos": "@rpath/libdata-pipeline-ffi.dylib"}


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=900, check=False, **more)
    if done.returncode:
        sys.exit(f"reach_c: {' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout.strip()


class Case:
    def __init__(self, asked):
        self.platform, self.programs = asked.platform, asked.programs.split()
        self.system, self.arch = asked.platform.split("-")
        self.tree = ROOT / "build/capi" / asked.platform
        # Two compilers for one platform do not share a folder.
        self.out = ROOT / "build/reach/c" / (asked.platform + ("-musl" if "musl" in asked.cc else ""))
        self.cc, self.runner, self.link_only = asked.cc.split(), asked.run.split(), asked.link_only
        self.exe = ".exe" if self.system == "windows" else ""
        self.lib = self.tree / ("bin" if self.system == "windows" else "lib")
        self.said = []
        if not self.tree.is_dir():
            sys.exit(f"reach_c: {self.tree.relative_to(ROOT)} is missing; scripts/capi.sh build {asked.platform} makes it")
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)

    def compiler(self, plus_plus=False):
        """The C compiler, or the C++ compiler that comes with it."""
        words = self.cc or [next(name for name in ("cc", "gcc", "clang") if shutil.which(name))]
        if not plus_plus:
            return words
        words = ["c++" if word == "cc" else word for word in words]
        return [words[0].removesuffix("gcc") + "g++" if words[0].endswith("gcc") else words[0], *words[1:]]

    def layout(self):
        flags = ["-pedantic", "-Wall", "-Wextra", "-Werror", f"-I{self.tree}/include", "-c", ROOT / "tests/c/layout.c"]
        run(*self.compiler(), "-std=c99", *flags, "-o", self.out / "layout.o")
        plus = self.compiler(plus_plus=True)
        if shutil.which(plus[0]) is None:
            self.said.append("C99 reads the headers")
            return
        run(*plus, "-x", "c++", "-std=c++17", *flags, "-o", self.out / "layout.o")
        self.said.append("C99 and C++17 read the headers")

    def example(self, link):
        build = self.out / link
        words = ["cmake", "-S", ROOT / "examples/c", "-B", build, f"-DCMAKE_PREFIX_PATH={self.tree}",
                 f"-DDATA_PIPELINE={link}", "-DCMAKE_BUILD_TYPE=Release"]
        if self.cc:
            words += [f"-DCMAKE_SYSTEM_NAME={SYSTEMS[self.system]}", f"-DCMAKE_SYSTEM_PROCESSOR={self.arch}",
                      f"-DCMAKE_C_COMPILER={';'.join(self.cc)}"]
        environment = dict(os.environ)
        if self.cc and self.system == "macos":
            # CMake asks a Mac for its version; without an answer it knows no @rpath.
            answer = self.out / "bin/sw_vers"
            answer.parent.mkdir(exist_ok=True)
            answer.write_text("#!/bin/sh\necho 11.0\n")
            answer.chmod(0o755)
            environment["PATH"] = f"{answer.parent}:{environment['PATH']}"
            words.append("-DCMAKE_OSX_SYSROOT=")
        run(*words, env=environment)
        run("cmake", "--build", build, "--config", "Release")
        found = [p for p in (build / f"send_spans{self.exe}", build / "Release" / f"send_spans{self.exe}") if p.exists()]
        program = found[0]
        data = program.read_bytes()
        needed = {"linux": lambda: elf(data, self.arch)[0], "windows": lambda: pe(data)[0],
                  "macos": lambda: macho(data, self.arch)[0]}[self.system]()
        if (SHARED[self.system] in needed) != (link == "shared"):
            sys.exit(f"reach_c: {program} is to be linked with the {link} library, and needs {needed}")
        if self.link_only:
            self.said.append(f"{link}: linked, not run")
            return
        before = Agent.traces
        printed = self.start(program)
        if Agent.traces - before != 1 or "status 200, 1 traces, 2 spans" not in printed:
            sys.exit(f"reach_c: {program}: {Agent.traces - before} traces arrived; it said {printed}")
        self.said.append(f"{link}: a trace arrived")

    def package(self):
        """The same program by pkg-config, which finds everything from where its file lies."""
        if shutil.which("pkg-config") is None:
            return
        environment = os.environ | {"PKG_CONFIG_LIBDIR": str(self.tree / "lib/pkgconfig")}
        words = run("pkg-config", "--cflags", "--libs", "data-pipeline-ffi", env=environment).split()
        run(*self.compiler(), "-std=c99", ROOT / "examples/c/send_spans.c", *words, "-o", self.out / f"by_pkg_config{self.exe}")
        self.said.append("found by pkg-config")

    def start(self, program):
        """Beside its library, which is how Windows finds it; elsewhere the path is in the program or told."""
        if self.system == "windows":
            shutil.copy(self.lib / SHARED["windows"], program.parent)
        environment = os.environ | {"DD_TRACE_AGENT_URL": URL, "LD_LIBRARY_PATH": str(self.lib), "QEMU_SET_ENV": f"LD_LIBRARY_PATH={self.lib}"}
        if self.runner:
            # For what is run, not for who runs it.
            del environment["LD_LIBRARY_PATH"]
        return run(*self.runner, program, env=environment)

    def tests(self):
        for name in self.programs:
            program = self.out / f"{name}{self.exe}"
            # The agent of the tests is written for Linux: only programs that need none are run elsewhere.
            sources = [ROOT / f"tests/c/{name}.c"] + ([ROOT / "tests/c/agent.c"] if self.system == "linux" else [])
            run(*self.compiler(), "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{self.tree}/include", f"-I{ROOT}/tests/c", *sources,
                "-o", program, f"-L{self.tree}/lib", "-ldata-pipeline-ffi",
                *(["-Wl,-Bstatic", "-lpthread"] if self.system == "windows" else ["-lpthread", f"-Wl,-rpath,{self.lib}"]))
            self.start(program)
        if self.programs:
            self.said.append(f"{', '.join(self.programs)} of tests/c passed")


def main():
    global URL
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("platform", choices=[f"{s}-{a}" for s in SYSTEMS for a in ("x86_64", "aarch64")])
    reader.add_argument("--cc", default="")
    reader.add_argument("--run", default="")
    reader.add_argument("--link-only", action="store_true")
    reader.add_argument("--programs", default="")
    reader.add_argument("--links", default="shared static")
    asked = reader.parse_args()
    case = Case(asked)
    URL = start_agent()
    case.layout()
    for link in asked.links.split():
        case.example(link)
    # This machine's own compiler for Windows may be Microsoft's.
    if case.cc or case.system != "windows":
        case.package()
    if not case.link_only:
        case.tests()
    print(f"{case.out.name}: {'; '.join(case.said)}")


if __name__ == "__main__":
    main()
