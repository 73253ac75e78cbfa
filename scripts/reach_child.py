#!/usr/bin/env python3
"""JVMs in odd places: each must load the library and send, or say why it cannot; none may hang or crash. And JVMs that
end while an exporter is busy: they must be gone half a second later.

usage: reach_child.py JAR [--java COMMAND] [--redeploy]
With --redeploy one JVM instead that gets a new class loader 60 times (needs a JVM of 11 or newer, with its compiler).
As root the read-only and noexec mounts are made in a mount namespace of their own (unshare); where that cannot be, the case
says so and counts as skipped.
"""
import argparse, glob, http.server, os, shlex, shutil, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from reach_one import Agent, HERE  # noqa: E402

LIMIT = 60
# So long a JVM may live after its program has ended. A hook that waits for an agent may take the exporter's close timeout
# (0.8 s), and what the program itself waits for (0.2 s).
ENDS_SECONDS = 0.5
GIVES_UP_SECONDS = 1.0
# What 50 class loaders may leave in memory.
GROWTH_KIB = 2 << 10


def ends(command, code, name, limit):
    """Whether a program's JVM ends when the program does; the best of three, for machines that are busy."""
    return any(ends_once(command, code, name, limit)[0] for _ in range(3))


def ends_once(command, code, name, limit):
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = child.stdout.readline()
    said = time.monotonic()
    try:
        _, errors = child.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        child.kill()
        _, errors = child.communicate()
    took = time.monotonic() - said
    ok = line.strip() == "ends" and child.returncode == code and took < limit
    print(f"{name}: exit {child.returncode}, {took:.2f} s after the program's end{'' if ok else f'   FAULT, more than {limit:.2f} s'}")
    if not ok and child.returncode != code:
        print("    " + errors.strip()[-800:].replace("\n", "\n    "))
    return ok, took


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("jar")
    parser.add_argument("--java", default="java")
    parser.add_argument("--redeploy", action="store_true")
    options = parser.parse_args()
    jar = os.path.abspath(sorted(glob.glob(options.jar))[-1])
    agent = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    threading.Thread(target=agent.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{agent.server_address[1]}"
    payload = os.path.abspath(sorted(glob.glob(os.path.join(HERE, "tests", "fixtures", "traces", "java", "*.msgpack")))[1])
    java = shlex.split(options.java)
    java[0] = shutil.which(java[0]) or java[0]
    if options.redeploy:
        # The second compiler's working memory grows by 10 and 20 MiB at a time, whoever is compiled.
        command = java + ["-Xcheck:jni", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xms64m", "-Xmx64m", "-XX:+AlwaysPreTouch", f"-Dlimit={GROWTH_KIB}",
                          os.path.join(HERE, "scripts", "reach", "Redeploy.java"),
                          jar, url, payload]
        return subprocess.run(command, timeout=600).returncode
    words = ["-jar", jar, "send", "--url", url, payload]
    scratch = tempfile.mkdtemp(prefix="reach-")
    os.chmod(scratch, 0o755)
    missing, closed = os.path.join(scratch, "missing"), os.path.join(scratch, "closed")
    os.mkdir(closed, 0o500)

    def shell(script):
        return ["sh", "-c", script]
    plain = shlex.join(java + words)
    nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups"
    # name, command, environment, whether the payload must arrive
    cases = [
        ("plain", java + words, {}, True),
        ("HOME is not set", java + words, {"HOME": None}, True),
        ("java.io.tmpdir is missing", java + [f"-Djava.io.tmpdir={missing}"] + words, {}, True),
        ("64 descriptors", shell(f"ulimit -n 64; exec {plain}"), {}, True),
        ("another user", shell(f"cd / && exec {nobody} {plain}"), {"HOME": "/nonexistent"}, True),
        ("another user, tmpdir not writable", shell(
            f"cd {scratch} && exec {nobody} {shlex.join(java + ['-Djava.io.tmpdir=' + closed] + words)}"), {"HOME": "/nonexistent"}, None),
        ("tmpdir noexec", shell(
            f"mkdir -p {scratch}/noexec && mount -t tmpfs -o noexec none {scratch}/noexec && exec {shlex.join(java + ['-Djava.io.tmpdir=' + scratch + '/noexec'] + words)}"),
            {}, True),
        ("no directory can be written", shell(
            f"mkdir -p {scratch}/ro && mount -t tmpfs -o ro none {scratch}/ro && cd {scratch}/ro && "
            f"exec {shlex.join(java + ['-Djava.io.tmpdir=' + scratch + '/ro'] + words)}"),
            {"HOME": os.path.join(scratch, "ro"), "XDG_RUNTIME_DIR": None}, None),
    ]
    failed = skipped = passed = 0
    for name, command, environment, must in cases:
        namespaced = "mount " in " ".join(command)
        if namespaced:
            if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
                print(f"SKIPPED {name}: no mount namespace of one's own")
                skipped += 1
                continue
            command = ["unshare", "-m"] + command
        env = dict(os.environ)
        for key, value in environment.items():
            env.pop(key, None)
            if value is not None:
                env[key] = value
        Agent.bodies.clear()
        started = time.monotonic()
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=LIMIT, env=env)
            code, said = done.returncode, done.stdout + done.stderr
        except subprocess.TimeoutExpired:
            code, said = "none: it hangs", ""
        arrived = len(Agent.bodies)
        explained = "LIBRARY_UNAVAILABLE" in said or "could not be" in said or "cannot" in said
        ok = code == 0 and arrived == 1 if must else (code == 0 and arrived == 1) or (isinstance(code, int) and 0 < code < 128 and explained)
        print(f"{name}: exit {code}, {arrived} arrived, {time.monotonic() - started:.1f} s{'' if ok else '   FAULT'}")
        if not ok:
            print("    " + said.strip()[-1500:].replace("\n", "\n    "))
        passed += ok
        failed += not ok
    program = java + ["-cp", jar, os.path.join(HERE, "scripts", "reach", "Exit.java")]
    # What a JVM without any exporter takes on this machine comes on top.
    _, bare = ends_once(program + [url, payload, "bare"], 0, "no exporter", LIMIT)
    for way, code in [("end", 0), ("exit", 3), ("hook", 0)]:
        for to, name in [(url, "an agent"), ("http://127.0.0.1:9", "no agent")]:
            limit = bare + ENDS_SECONDS + (GIVES_UP_SECONDS if to != url and way != "end" else 0)
            ok = ends(program + [to, payload, way], code, f"{way}, {name}", limit)
            passed += ok
            failed += not ok
    shutil.rmtree(scratch, ignore_errors=True)
    print(f"odd places: {passed} work, {failed} do not, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
