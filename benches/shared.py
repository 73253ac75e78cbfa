"""What the measurements of the clients and those of the report begin with: payloads of N spans, and the classes of the
published Java tracer, whose sender is called as it is."""

import os
import zipfile

TRACER = "1.68.1"


def tracer(out):
    """
    Makes a class path of DDAgentApi and its HTTP client, which dd-java-agent keeps as .classdata in folders: `out`, or None
    if the tracer is not there.
    """
    jar = f"build/clients/dd-java-agent-{TRACER}.jar"
    if os.path.exists(f"{out}/done"):
        return out
    if not os.path.exists(jar):
        return None
    with zipfile.ZipFile(jar) as file:
        for name in file.namelist():
            part, _, rest = name.partition("/")
            if name.endswith(".classdata") and part in ("shared", "trace"):
                path = os.path.join(out, rest[: -len("data")])
            elif name.endswith(".class") and not name.startswith("META-INF/"):
                path = os.path.join(out, name)
            else:
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as to:
                to.write(file.read(name))
    open(f"{out}/done", "w").close()
    return out


def payloads(source, out, sizes):
    """spans_N.msgpack in `out` for 1 and each of `sizes`: so many spans in traces of ten, of the web payload `source`."""
    generator = open("benches/gen_payloads.py").read()
    tools = {}
    # The generator writes files when it is imported.
    exec(generator[generator.index("def skip(") : generator.index("REAL = {")], tools)
    with open(f"build/bench/payloads/{source}.msgpack", "rb") as file:
        traces = list(tools["items"](file.read()))
    bodies = {1: open("build/bench/payloads/web_1x1.msgpack", "rb").read()}
    for spans in sizes:
        count = spans // 10
        bodies[spans] = b"\xdd" + count.to_bytes(4, "big") + b"".join(traces[:count])
    os.makedirs(out, exist_ok=True)
    for spans, body in bodies.items():
        with open(f"{out}/spans_{spans}.msgpack", "wb") as file:
            file.write(body)
