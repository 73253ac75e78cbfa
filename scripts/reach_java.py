#!/usr/bin/env python3
"""A JAR in the ways that JVMs load it: usage: reach_java.py JAR PART

  modules   the module path of Java 11 and newer; --enable-native-access and --illegal-native-access=deny of 24 and newer
  jlink     images with our module and the flag baked in; an image of java.base alone
  cds       archives of classes (AppCDS) with the JAR on the class path
  nested    inside an executable JAR of Spring Boot                    (Maven Central: spring-boot-loader)
  osgi      as a bundle that resolves and is imported                  (Maven Central: org.apache.felix.framework; a JDK)
  graal     META-INF/native-image names all that our library asks a JVM for by name: the JUnit tests under an agent that
            writes it down, since no native-image builder can be had here    (a JDK, gcc, and what `gradle testClassPath` leaves)
  groovy    the Gradle scripts parse under Groovy 4                    (Maven Central: groovy)
  gradle    the build on Gradle 8.11.1 with its configuration cache, no warning  (as `make test` lays it out)

Exits with 0, with 1 for a fault, with 77 if what the part needs cannot be had. Looks for JVMs in build/jvms and /usr/lib/jvm.
"""
import glob, http.server, json, os, re, shutil, subprocess, sys, tempfile, threading, zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from reach_one import Agent, HERE  # noqa: E402

LIMIT = 240
MODULE = "com.datadog.pipeline"
MAIN = MODULE + ".cli.Main"
ROOT = os.path.abspath(HERE)
PAYLOAD = sorted(glob.glob(os.path.join(ROOT, "tests", "fixtures", "traces", "java", "*.msgpack")))[1]


class Skipped(Exception):
    pass


class Fault(Exception):
    pass


def homes():
    """Every JVM by its version: the newest home of each, one with a compiler before one without."""
    found = {}
    for home in sorted(glob.glob(os.path.join(ROOT, "build", "jvms", "*")) + glob.glob("/usr/lib/jvm/*")):
        java = os.path.join(home, "bin", "java")
        if os.path.islink(home) or not os.access(java, os.X_OK):
            continue
        said = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
        version = re.search(r'version "(?:1\.)?(\d+)', said)
        if version:
            number = int(version.group(1))
            if number not in found or os.path.exists(os.path.join(home, "bin", "javac")):
                found[number] = home
    return found


def agent():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def run(command, expect=0, silent=False, says=(), says_not=(), arrives=0, limit=LIMIT):
    """Runs a JVM and compares what it says and what the agent gets."""
    Agent.bodies.clear()
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=limit)
    said = done.stdout + done.stderr
    faults = []
    if expect is not None and done.returncode != expect:
        faults.append(f"it ended with {done.returncode}, not {expect}")
    if silent and done.stderr.strip():
        faults.append("it is not silent")
    faults += [f"it does not say {text!r}" for text in says if text not in said]
    faults += [f"it says {text!r}" for text in says_not if text in said]
    if len(Agent.bodies) < arrives or arrives and Agent.bodies[0] != open(PAYLOAD, "rb").read():
        faults.append("the payload did not arrive unchanged")
    if faults:
        raise Fault("; ".join(faults) + "\n  " + " ".join(command) + "\n" + said[-3000:])
    return said


def fetch(group, artifact, version):
    """One artifact of Maven Central."""
    to = os.path.join(ROOT, "build", "reach", "mvn")
    name = os.path.join(to, f"{artifact}-{version}.jar")
    if not os.path.exists(name):
        if not shutil.which("mvn"):
            raise Skipped("Maven is not installed")
        subprocess.run(["mvn", "-q", "dependency:copy", f"-Dartifact={group}:{artifact}:{version}", f"-DoutputDirectory={to}"],
                       capture_output=True, timeout=LIMIT)
    if not os.path.exists(name):
        raise Skipped(f"{group}:{artifact}:{version} could not be fetched")
    return name


def modules(jar, scratch):
    known = {n: home for n, home in homes().items() if n >= 11}
    if not known:
        raise Skipped("no JVM of Java 11 or newer was found")
    url = agent()
    words = ["send", "--url", url, PAYLOAD]
    for number, home in sorted(known.items()):
        java = os.path.join(home, "bin", "java")
        path = [java, "-p", jar]
        run(path + ["-m", f"{MODULE}/{MAIN}"] + words, arrives=1)
        run(path + ["-m", f"{MODULE}/{MAIN}", "doctor", "--url", url], says=["traces would arrive"])
        if number < 24:
            print(f"Java {number}: the module path works")
            continue
        # The JVM says once that a module loads native code; the flag means that this is meant.
        allow = f"--enable-native-access={MODULE}"
        run(path + [allow, "-m", f"{MODULE}/{MAIN}"] + words, silent=True, arrives=1)
        deny = "--illegal-native-access=deny"
        run(path + [deny, "-m", f"{MODULE}/{MAIN}", "doctor", "--url", url], expect=1, says=[allow], says_not=["ALL-UNNAMED"])
        run(path + [deny, allow, "-m", f"{MODULE}/{MAIN}"] + words, silent=True, arrives=1)
        unnamed = "--enable-native-access=ALL-UNNAMED"
        classes = [java, "-cp", jar]
        run(classes + [deny, MAIN, "doctor", "--url", url], expect=1, says=[unnamed], says_not=[allow])
        run(classes + [deny, unnamed, MAIN] + words, silent=True, arrives=1)
        # Who starts the JAR itself has said enough: its manifest allows it.
        run([java, deny, "-jar", jar] + words, silent=True, arrives=1)
        print(f"Java {number}: module path and class path, allowed, denied, explained")


def jlink(jar, scratch):
    linkers = {n: os.path.join(home, "bin", "jlink") for n, home in homes().items() if n >= 11}
    linkers = {n: tool for n, tool in linkers.items() if os.access(tool, os.X_OK)}
    if not linkers:
        raise Skipped("no JDK with jlink was found")
    url = agent()
    words = ["send", "--url", url, PAYLOAD]
    for number, tool in sorted(linkers.items()):
        image, base = os.path.join(scratch, f"image{number}"), os.path.join(scratch, f"base{number}")
        bake = [f"--add-options=--enable-native-access={MODULE}"] if number >= 24 else []
        run([tool, "-p", jar, "--add-modules", MODULE, "--output", image] + bake)
        run([os.path.join(image, "bin", "java"), "-m", f"{MODULE}/{MAIN}"] + words, silent=True, arrives=1)
        run([tool, "--add-modules", "java.base", "--output", base])
        java = [os.path.join(base, "bin", "java")] + (["--enable-native-access=ALL-UNNAMED"] if number >= 24 else [])
        listed = run([java[0], "--list-modules"])
        if listed.split() != [listed.split()[0]] or not listed.startswith("java.base"):
            raise Fault(f"the image has more than java.base: {listed}")
        run(java + ["-cp", jar, MAIN] + words, silent=True, arrives=1)
        run(java + ["-cp", jar, MAIN, "doctor", "--verbose", "--url", url], silent=True, says=["traces would arrive", "java.management"])
        print(f"Java {number}: an image with our module" + (" and the flag" if bake else "") + "; java.base alone, doctor included")


def cds(jar, scratch):
    known = {n: home for n, home in homes().items() if n >= 13}
    url = agent()
    done = 0
    for number, home in sorted(known.items()):
        java = [os.path.join(home, "bin", "java")] + (["--enable-native-access=ALL-UNNAMED"] if number >= 24 else [])
        if subprocess.run(java + ["-Xshare:on", "-version"], capture_output=True).returncode:
            print(f"Java {number}: has no archive of its own classes to build on, left out")
            continue
        archive = os.path.join(scratch, f"app{number}.jsa")
        words = ["-cp", jar, MAIN, "send", "--url", url, PAYLOAD]
        run(java + [f"-XX:ArchiveClassesAtExit={archive}"] + words, arrives=1)
        used = java + [f"-XX:SharedArchiveFile={archive}", "-Xshare:on"]
        said = run(used + ["-Xlog:class+load"] + words, arrives=1)
        line = next((l for l in said.splitlines() if f"{MODULE}.TraceExporter source" in l), "")
        if "shared objects file" not in line:
            raise Fault(f"TraceExporter does not come from the archive: {line}")
        run(used + words, silent=True, arrives=1)
        print(f"Java {number}: an archive with our classes is made and used")
        done += 1
    if not done:
        raise Skipped("no JVM of Java 13 or newer with an archive of its own was found")


def nested(jar, scratch):
    known = homes()
    url = agent()
    # The old loader ran on Java 8 and has a URL handler of its own; the new one needs 17.
    for version, launcher, least in (("2.7.18", "org.springframework.boot.loader.JarLauncher", 8),
                                     ("3.5.0", "org.springframework.boot.loader.launch.JarLauncher", 17)):
        loader = fetch("org.springframework.boot", "spring-boot-loader", version)
        fat = os.path.join(scratch, f"boot-{version}.jar")
        with zipfile.ZipFile(fat, "w", zipfile.ZIP_STORED) as out, zipfile.ZipFile(loader) as classes:
            out.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\nMain-Class: {launcher}\nStart-Class: {MAIN}\n"
                         "Spring-Boot-Classes: BOOT-INF/classes/\nSpring-Boot-Lib: BOOT-INF/lib/\n\n")
            for name in classes.namelist():
                if name.startswith("org/") or name.startswith("META-INF/services/"):
                    out.writestr(name, classes.read(name))
            out.writestr("BOOT-INF/classes/", b"")
            out.writestr("BOOT-INF/lib/", b"")
            out.write(jar, "BOOT-INF/lib/data-pipeline.jar")
        fit = {n: home for n, home in known.items() if n >= least}
        for number, home in sorted(fit.items()):
            allow = ["--enable-native-access=ALL-UNNAMED"] if number >= 24 else []
            java = [os.path.join(home, "bin", "java")] + allow + ["-jar", fat]
            run(java + ["send", "--url", url, PAYLOAD], arrives=1, says_not=["Exception"])
        print(f"Spring Boot's loader {version}: works on Java {', '.join(map(str, sorted(fit))) or '(none found)'}")


def osgi(jar, scratch):
    felix = fetch("org.apache.felix", "org.apache.felix.framework", "7.0.5")
    compilers = [(n, home) for n, home in sorted(homes().items()) if n >= 11 and os.access(os.path.join(home, "bin", "javac"), os.X_OK)]
    if not compilers:
        raise Skipped("no JDK was found that compiles the bundle")
    number, home = compilers[0]
    example = os.path.join(ROOT, "examples", "osgi")
    bundle, host = os.path.join(scratch, "bundle"), os.path.join(scratch, "host")
    javac = [os.path.join(home, "bin", "javac"), "--release", "8", "-Xlint:-options", "-cp", os.pathsep.join([jar, felix])]
    run(javac + ["-d", bundle, os.path.join(example, "Consumer.java")])
    run(javac + ["-d", host, os.path.join(example, "Launcher.java")])
    consumer = os.path.join(scratch, "consumer.jar")
    version = re.search(r"^version=(\S+)", open(os.path.join(ROOT, "gradle.properties")).read(), re.M).group(1)
    with zipfile.ZipFile(consumer, "w") as out:
        out.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\nBundle-ManifestVersion: 2\nBundle-SymbolicName: consumer\n"
                     f"Bundle-Activator: consumer.Consumer\nImport-Package: org.osgi.framework,{MODULE};version=\n \"[{version},1)\"\n\n")
        out.write(os.path.join(bundle, "consumer", "Consumer.class"), "consumer/Consumer.class")
    url = agent()
    for n, jvm in sorted(homes().items()):
        java = [os.path.join(jvm, "bin", "java")] + (["--enable-native-access=ALL-UNNAMED"] if n >= 24 else [])
        cache = os.path.join(scratch, f"cache{n}")
        run(java + ["-cp", os.pathsep.join([host, felix]), "Launcher", url, PAYLOAD, cache, jar, consumer], arrives=1,
            says=[f"{MODULE} {version} is active", "bundle consumer: AgentResponse{status=200"])
        print(f"Java {n}: the bundle resolves in Felix and another one imports it")


def groovy(jar, scratch):
    parser = fetch("org.apache.groovy", "groovy", "4.0.33")
    scripts = sorted(glob.glob(os.path.join(ROOT, "*.gradle")) + glob.glob(os.path.join(ROOT, "gradle", "**", "*.gradle"), recursive=True))
    check = os.path.join(scratch, "parse.groovy")
    with open(check, "w") as out:
        # No further than the syntax tree: Gradle's own classes are not there.
        out.write("import org.codehaus.groovy.control.*\nargs.each { def unit = new CompilationUnit(); unit.addSource(new File(it));\n"
                  "unit.compile(Phases.CONVERSION); println 'parsed ' + it }\n")
    said = run(["java", "-cp", parser, "groovy.ui.GroovyMain", check] + scripts)
    print(f"Groovy 4 parses {said.count('parsed ')} scripts")


def graal(jar, scratch):
    """What a native image does with the metadata cannot be tried here; that nothing is missing in it can."""
    headers = [home for n, home in sorted(homes().items()) if os.path.exists(os.path.join(home, "include", "jvmti.h"))]
    if not headers or not shutil.which("gcc"):
        raise Skipped("no JDK with jvmti.h, or no gcc")
    home, traced, library = headers[0], os.path.join(scratch, "traced"), os.path.join(scratch, "libjni_trace.so")
    run(["gcc", "-O1", "-shared", "-fPIC", f"-I{home}/include", f"-I{home}/include/linux", "-o", library,
         os.path.join(ROOT, "tests", "jni_trace.c")])
    console = fetch("org.junit.platform", "junit-platform-console-standalone", "1.14.4")
    listed = os.path.join(ROOT, "build", "test.classpath")
    tests = os.environ.get("TEST_CLASSES") or (open(listed).read().strip() if os.path.exists(listed) else "")
    if not tests:
        raise Skipped("the JUnit tests are not compiled (gradle testClassPath)")
    classes = ["SendTest", "AsyncTest", "DialogueTest", "FaultsTest", "ConvertToolTest", "ObfuscationTest", "StatsTest", "BuilderTest"]
    run([os.path.join(home, "bin", "java"), f"-agentpath:{library}={traced}", f"-Dfixtures={ROOT}/tests/fixtures", f"-Djar={jar}",
         "-jar", console, "execute", "--class-path", os.pathsep.join([jar, tests]), "--details", "none", "--disable-banner"]
        + [word for c in classes for word in ("-c", f"{MODULE}.{c}")], expect=None)
    with zipfile.ZipFile(jar) as content:
        config = json.loads(content.read(f"META-INF/native-image/{MODULE}/data-pipeline/jni-config.json"))
    known = set()
    for entry in config:
        known.add((entry["name"], "", ""))
        if entry.get("unsafeAllocated"):
            known.add((entry["name"], "", "unsafe"))
        known |= {(entry["name"], m["name"], ",".join(m["parameterTypes"])) for m in entry.get("methods", [])}
    asked = set()
    for line in open(traced):
        name, member, signature = line.rstrip("\n").split(" ")
        plain = name if name.startswith("[") else name[1:-1].replace("/", ".")
        inner = re.match(r"\((.*)\)", signature)
        asked.add((plain, member, ",".join(types(inner.group(1))) if inner else signature))
    missing = sorted(asked - known)
    if missing:
        raise Fault("jni-config.json lacks " + "; ".join(map(str, missing)))
    if len(asked) < 8:
        raise Fault(f"only {len(asked)} look-ups were seen: the agent does not work")
    print(f"{len(asked)} classes and members that the library asks for by name, all in jni-config.json; no image was built")


def types(descriptor):
    """The parameters of a signature, as the metadata writes them."""
    names = dict(zip("ZBCSIJFD", ("boolean", "byte", "char", "short", "int", "long", "float", "double")))
    for array, primitive, name in re.findall(r"(\[*)(?:([ZBCSIJFD])|L([^;]+);)", descriptor):
        yield (names[primitive] if primitive else name.replace("/", ".")) + "[]" * len(array)


def gradle(jar, scratch):
    if not shutil.which("gradle"):
        raise Skipped("there is no Gradle that could fetch the other one")
    script = [os.path.join(ROOT, "gradle", "gradle8", "gradle8.sh"), "-p", ROOT]
    tasks = ["classes", "java16Classes", "java21Classes", "moduleInfoClasses", "sourcesJar", "-x", "cargoBuild"]
    cached = ["--configuration-cache", "--warning-mode", "fail"]
    shutil.rmtree(os.path.join(ROOT, ".gradle", "configuration-cache"), ignore_errors=True)
    run(script + tasks + cached, says=["Configuration cache entry stored"], limit=1200)
    run(script + tasks + cached, says=["Configuration cache entry reused"], limit=1200)
    print("Gradle 8.11.1 keeps the configuration of the build and uses it again, without a warning")


PARTS = {f.__name__: f for f in (modules, jlink, cds, nested, osgi, graal, groovy, gradle)}


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in PARTS:
        print(__doc__)
        return 2
    scratch = tempfile.mkdtemp(prefix="reach-java-")
    try:
        PARTS[sys.argv[2]](os.path.abspath(sys.argv[1]), scratch)
        return 0
    except Skipped as why:
        print(f"SKIPPED {sys.argv[2]}: {why}")
        return 77
    except (Fault, subprocess.TimeoutExpired) as why:
        print(f"FAULT {why}")
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
