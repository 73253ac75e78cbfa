"""mkdist.py gradle-api-X.jar OUTDIR groovy-*.jar ant*.jar kotlin-stdlib-*.jar: a Gradle installation out of the API JAR."""
import os, re, sys, zipfile
api, out, extra = sys.argv[1], sys.argv[2], sys.argv[3:]
ver = re.search(r'gradle-api-(.+)\.jar$', api).group(1)
lib = os.path.join(out, 'lib'); os.makedirs(os.path.join(lib, 'plugins'), exist_ok=True)
real = {os.path.basename(p): os.path.abspath(p) for p in extra}
HOST = 'gradle-base-services'                     # all classes go into this module's JAR: every worker process loads it
fat = f'{HOST}-{ver}.jar'
PROPS = re.compile(r'(gradle-.+)-classpath\.properties')
DROP = re.compile(r'META-INF/(INDEX\.LIST|[^/]+\.(SF|RSA|DSA)|services/javax?\..*)|module-info\.class')
SIZE = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}

def unshade(b):                                   # constant pool: relocated JUnit names back to the user's JUnit
    n, i, o, k = int.from_bytes(b[8:10], 'big'), 10, bytearray(b[:10]), 1
    while k < n:
        t = b[i]
        if t == 1:
            ln = int.from_bytes(b[i+1:i+3], 'big'); u = b[i+3:i+3+ln]
            for p in (b'org/junit', b'org/opentest4j', b'junit/', b'org/hamcrest'):
                u = u.replace(b'org/gradle/internal/impldep/' + p, p)
                u = u.replace(b'org.gradle.internal.impldep.' + p.replace(b'/', b'.'), p.replace(b'/', b'.'))
            o += b'\x01' + len(u).to_bytes(2, 'big') + u; i += 3 + ln
        else:
            o += b[i:i+1+SIZE[t]]; i += 1 + SIZE[t]; k += t in (5, 6)
        k += 1
    return bytes(o + b[i:])

src, wanted, modules = zipfile.ZipFile(api), set(), {}
for n in src.namelist():
    if m := PROPS.fullmatch(n):
        p = dict(l.split('=', 1) for l in src.read(n).decode().splitlines() if '=' in l)
        jars = [j for j in p.get('runtime', '').split(',') if j]; wanted.update(jars)
        keep = ([] if m[1] == HOST else [fat]) + [j for j in jars if j in real]
        modules[m[1]] = f"projects={p.get('projects', '')}\nruntime={','.join(keep)}\n"
for name, needs in (('gradle-gradle-cli', 'gradle-launcher'), ('gradle-daemon-server', 'gradle-launcher'), ('gradle-java-compiler-plugin', '')):
    modules.setdefault(name, f'projects={needs}\nruntime={fat}\n')
with zipfile.ZipFile(os.path.join(lib, fat), 'w') as o:
    for n in src.namelist():
        if DROP.fullmatch(n) or PROPS.fullmatch(n): continue
        b = src.read(n)
        if n.startswith('org/gradle/api/internal/tasks/testing/') and n.endswith('.class'): b = unshade(b)
        o.writestr(zipfile.ZipInfo(n, (2020, 1, 1, 0, 0, 0)), b)
    o.writestr(f'{HOST}-classpath.properties', modules.pop(HOST))
for name, text in modules.items():
    with zipfile.ZipFile(os.path.join(lib, f'{name}-{ver}.jar'), 'w') as o: o.writestr(f'{name}-classpath.properties', text)
for j in wanted - set(real): zipfile.ZipFile(os.path.join(lib, j), 'w').close()
for j, p in real.items(): os.symlink(p, os.path.join(lib, j))
