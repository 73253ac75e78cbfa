#!/usr/bin/env python3
"""Looks into a native library (ELF, PE, Mach-O, or an archive of such) and says whether it may be shipped.

usage: native_gate.py PLATFORM FILE [EXPORTS]
PLATFORM: linux-x86_64, linux-aarch64, windows-x86_64, macos-aarch64, macos-x86_64

Checked: the processor; what it exports (exactly native/EXPORTS, exports.txt if none is named); what it needs (libraries, the
highest symbol version of glibc, no strong symbol outside native/linux/libc.txt); on macOS the oldest system, the install name
and on arm64 the signature and whether it is right; the soname of the library for C; the size, which depends on what is built in
(FEATURES of the environment). Of an archive (a static library, or the import library of a DLL): the processor, that it has every
function of the list and none of JNI, and the DLL that it names.
Prints one line; exit 1 with a line for each fault.
"""
import hashlib, os, re, struct, sys

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "native")
FLOOR = (2, 17)
FOR_C = 100_000
# The largest library without features.
LIMIT = {"linux": 2_900_000, "windows": 3_200_000, "macos": 3_400_000}
# More, where the toolchain's own standard library is in it: scripts/native_env.sh says why. It prints backtraces.
OWN_STD, BACKTRACES = 400_000, b"stack backtrace:"
# An archive has the standard library as the toolchain brings it, and what a linker would leave out.
ARCHIVE = 12_000_000
# TLS is 1.02 MB, the two compressors 0.33.
FULL = 1_400_000
NEEDED = {
    "linux": {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2"},
    "macos": {"/usr/lib/libSystem.B.dylib", "/usr/lib/libiconv.2.dylib", "/usr/lib/libcharset.1.dylib"},
    "windows": {"kernel32.dll", "ntdll.dll", "msvcrt.dll", "ws2_32.dll", "userenv.dll", "advapi32.dll", "bcryptprimitives.dll",
                "bcrypt.dll", "crypt32.dll", "secur32.dll", "shell32.dll", "ole32.dll", "user32.dll"},
}
MACOS_FLOOR = (11, 0)
# zig's linker takes no list of exports; besides ours it lets these out, of itself and of Rust's standard library.
ADDED_ON_MACOS = re.compile(r"_mh_dylib_header|__dso_handle|_RNv\w+3std9panicking11EMPTY_PANIC")


def read_list(name):
    with open(os.path.join(HERE, name)) as f:
        return {line.split()[0] for line in f if line.strip() and not line.startswith("#")}


def cstr(data, at):
    return data[at:data.index(b"\0", at)].decode()


def elf(data, arch):
    """Needed libraries, exports, strong imports, weak imports, versions, the name it is known by."""
    machine = struct.unpack_from("<H", data, 18)[0]
    want = {"x86_64": 62, "aarch64": 183}[arch]
    if machine != want:
        raise ValueError(f"the processor is {machine}, not {want}")
    shoff, = struct.unpack_from("<Q", data, 40)
    shentsize, shnum = struct.unpack_from("<HH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, shoff + i * shentsize) for i in range(shnum)]
    by_type = {}
    for s in sections:
        by_type.setdefault(s[1], s)
    dynsym, dynamic = by_type[11], by_type[6]
    strtab = sections[dynsym[6]][4]
    needed, soname = [], None
    for i in range(dynamic[5] // 16):
        tag, value = struct.unpack_from("<QQ", data, dynamic[4] + i * 16)
        if tag == 1:
            needed.append(cstr(data, strtab + value))
        elif tag == 14:
            soname = cstr(data, strtab + value)
    exports, strong, weak = set(), set(), set()
    for i in range(1, dynsym[5] // 24):
        name, info, _, shndx, _, _ = struct.unpack_from("<IBBHQQ", data, dynsym[4] + i * 24)
        name = cstr(data, strtab + name)
        if shndx:
            exports.add(name)
        elif info >> 4 == 2:
            weak.add(name)
        else:
            strong.add(name)
    versions = set()
    if 0x6FFFFFFE in by_type:
        at = by_type[0x6FFFFFFE][4]
        while True:
            _, count, _, aux, following = struct.unpack_from("<HHIII", data, at)
            p = at + aux
            for _ in range(count):
                _, flags, _, name, after = struct.unpack_from("<IHHII", data, p)
                if not flags & 2:
                    versions.add(cstr(data, strtab + name))
                p += after
            if not following:
                break
            at += following
    return needed, exports, strong, weak, versions, soname


def pe(data):
    """Needed libraries and exports of a 64-bit DLL."""
    at = struct.unpack_from("<I", data, 0x3C)[0]
    if data[at:at + 4] != b"PE\0\0":
        raise ValueError("it is no PE file")
    machine, nsections = struct.unpack_from("<HH", data, at + 4)
    if machine != 0x8664:
        raise ValueError(f"the processor is {machine:#x}, not x86_64")
    optional = at + 24
    size = struct.unpack_from("<H", data, at + 20)[0]
    directories = optional + 112
    sections = [struct.unpack_from("<IIII", data, optional + size + i * 40 + 8) for i in range(nsections)]

    def place(rva):
        for virtual, start, raw, offset in sections:
            if start <= rva < start + max(virtual, raw):
                return offset + rva - start
        raise ValueError(f"address {rva:#x} is in no section")

    exports, needed = set(), []
    rva = struct.unpack_from("<I", data, directories)[0]
    if rva:
        table = place(rva)
        count = struct.unpack_from("<I", data, table + 24)[0]
        names = place(struct.unpack_from("<I", data, table + 32)[0])
        exports = {cstr(data, place(struct.unpack_from("<I", data, names + 4 * i)[0])) for i in range(count)}
    entry = place(struct.unpack_from("<I", data, directories + 8)[0])
    while True:
        name = struct.unpack_from("<I", data, entry + 12)[0]
        if not name:
            break
        needed.append(cstr(data, place(name)).lower())
        entry += 20
    return needed, exports


def macho(data, arch):
    """Needed libraries, exports, oldest system, install name, whether it is signed."""
    magic, cpu = struct.unpack_from("<II", data, 0)
    want = {"x86_64": 0x01000007, "aarch64": 0x0100000C}[arch]
    if magic != 0xFEEDFACF or cpu != want:
        raise ValueError(f"magic {magic:#x}, processor {cpu:#x}; wanted {want:#x}")
    count = struct.unpack_from("<I", data, 16)[0]
    at, needed, exports, oldest, name, signed, trie = 32, [], set(), None, None, None, None
    for _ in range(count):
        command, size = struct.unpack_from("<II", data, at)
        if command == 0xC:
            needed.append(cstr(data, at + struct.unpack_from("<I", data, at + 8)[0]))
        elif command == 0xD:
            name = cstr(data, at + struct.unpack_from("<I", data, at + 8)[0])
        elif command == 0x32:
            oldest = struct.unpack_from("<I", data, at + 12)[0]
        elif command == 0x24:
            oldest = struct.unpack_from("<I", data, at + 8)[0]
        elif command == 0x1D:
            signed = is_signed(data, struct.unpack_from("<I", data, at + 8)[0])
        elif command == 0x80000033:
            trie = struct.unpack_from("<II", data, at + 8)
        elif command in (0x22, 0x80000022):
            trie = struct.unpack_from("<II", data, at + 40)
        at += size
    if trie:
        walk_trie(data[trie[0]:trie[0] + trie[1]], 0, b"", exports)
    return needed, exports, (oldest >> 16, oldest >> 8 & 0xFF) if oldest else None, name, signed


def is_signed(data, at):
    """Whether the hashes of the signature at this place are those of the file: a Mac ends whoever loads another one."""
    magic, _, count = struct.unpack_from(">III", data, at)
    blobs = [struct.unpack_from(">II", data, at + 12 + 8 * i) for i in range(count)] if magic == 0xFADE0CC0 else []
    for kind, offset in blobs:
        if kind != 0:
            continue
        start = at + offset
        hashes, = struct.unpack_from(">I", data, start + 16)
        slots, end = struct.unpack_from(">II", data, start + 28)
        size, algorithm, _, page = struct.unpack_from(">BBBB", data, start + 36)
        if algorithm != 2:
            return False
        for i in range(slots):
            part = data[i << page:min((i + 1) << page, end)]
            if hashlib.sha256(part).digest()[:size] != data[start + hashes + i * size:start + hashes + (i + 1) * size]:
                return False
        return slots > 0
    return False


def uleb(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def walk_trie(trie, at, prefix, names):
    """The exports of a Mach-O file stand in a tree of their letters."""
    size, at = uleb(trie, at)
    if size:
        names.add(prefix.decode().removeprefix("_"))
    at += size
    children = trie[at]
    at += 1
    for _ in range(children):
        end = trie.index(b"\0", at)
        edge = trie[at:end]
        child, at = uleb(trie, end + 1)
        walk_trie(trie, child, prefix + edge, names)


def members(data):
    """Names and bytes of what an archive holds, in the dialects of GNU, BSD and Microsoft."""
    at, names = 8, b""
    while at < len(data):
        name, size = data[at:at + 16].rstrip(), int(data[at + 48:at + 58])
        body = data[at + 60:at + 60 + size]
        at += 60 + size + size % 2
        if name.startswith(b"#1/"):
            length = int(name[3:])
            name, body = body[:length].rstrip(b"\0"), body[length:]
        elif name == b"//":
            names = body
        elif re.fullmatch(rb"/\d+", name):
            name = names[int(name[1:]):].split(b"/\n")[0].split(b"\0")[0]
        yield name.decode(errors="replace"), body


def symbols_of(name, body):
    """What the index of an archive lists; nothing if this member is no index."""
    if name in ("/", "/SYM64/"):
        word = "I" if name == "/" else "Q"
        count, = struct.unpack_from(">" + word, body)
        return body[struct.calcsize(">" + word) * (count + 1):].split(b"\0")[:count]
    if name.startswith("__.SYMDEF"):
        word = "Q" if "_64" in name else "I"
        size = struct.calcsize("<" + word)
        length, = struct.unpack_from("<" + word, body)
        texts = body[size * 2 + length:]
        return [texts[struct.unpack_from("<" + word, body, size + i)[0]:].split(b"\0")[0] for i in range(0, length, 2 * size)]
    return []


def processor(body):
    """Of an object of ELF, Mach-O or COFF; None of anything else."""
    if body[:4] == b"\x7fELF":
        return {62: "x86_64", 183: "aarch64"}.get(struct.unpack_from("<H", body, 18)[0], "another")
    if body[:4] == b"\xcf\xfa\xed\xfe":
        return {0x01000007: "x86_64", 0x0100000C: "aarch64"}.get(struct.unpack_from("<I", body, 4)[0], "another")
    if body[:2] == b"\x64\x86":
        return "x86_64"
    return None


def archive(data, system, arch, file, listed):
    """Faults of a static or an import library."""
    faults, symbols, processors, dlls = [], set(), set(), set()
    is_import = file.endswith((".dll.a", ".lib"))
    for i, (name, body) in enumerate(members(data)):
        # Microsoft's dialect has a second index, which says the same.
        if i == 1 and name == "/":
            continue
        symbols.update(s.decode(errors="replace") for s in symbols_of(name, body))
        processors.add(processor(body))
        if is_import:
            dlls.update(re.findall(rb"[\w-]+\.dll", body))
    if system == "macos":
        symbols = {s.removeprefix("_") for s in symbols}
    if processors - {arch, None} or arch not in processors:
        faults.append(f"its objects are for {processors - {None}}, not for {arch}")
    if listed - symbols:
        faults.append(f"it lacks {sorted(listed - symbols)}")
    java = sorted(s for s in symbols if s.startswith(("Java_", "JNI_")))
    if java:
        faults.append(f"it is for C, and has {java}")
    if is_import and dlls != {b"data-pipeline-ffi.dll"}:
        faults.append(f"it names {dlls}")
    if len(data) > ARCHIVE:
        faults.append(f"it has {len(data)} bytes; the limit is {ARCHIVE}")
    return faults


def main():
    if len(sys.argv) not in (3, 4):
        print(__doc__.strip())
        return 2
    platform, file = sys.argv[1:3]
    list_of_exports = sys.argv[3] if len(sys.argv) == 4 else "exports.txt"
    system, arch = platform.split("-")
    data = open(file, "rb").read()
    listed = read_list(list_of_exports)
    for_c = "-c" in list_of_exports
    stem = "data-pipeline-ffi" if for_c else "data_pipeline"
    if data[:8] == b"!<arch>\n":
        faults = archive(data, system, arch, file, listed)
        for fault in faults:
            print(f"{platform}: {os.path.basename(file)}: {fault}")
        if not faults:
            print(f"{platform}: {os.path.basename(file)}, {len(data)} bytes, has all {len(listed)} functions")
        return 1 if faults else 0
    faults, notes = [], []
    try:
        if system == "linux":
            needed, exports, strong, weak, versions, soname = elf(data, arch)
            high = max((tuple(map(int, v[6:].split("."))) for v in versions if re.fullmatch(r"GLIBC_[\d.]+", v)), default=(0,))
            if high > FLOOR:
                faults.append(f"it needs glibc {'.'.join(map(str, high))}; the floor is {'.'.join(map(str, FLOOR))}")
            other = sorted(v for v in versions if not v.startswith("GLIBC_"))
            if other:
                faults.append(f"it needs versions {other}")
            if for_c and soname != f"lib{stem}.so":
                faults.append(f"its soname is {soname}")
            unknown = strong - read_list("linux/libc.txt")
            if unknown:
                faults.append(f"it calls what native/linux/libc.txt does not list: {sorted(unknown)}")
            notes.append(f"glibc {'.'.join(map(str, high))}, weak: {', '.join(sorted(n for n in weak if not n.startswith('_')))}")
        elif system == "windows":
            needed, exports = pe(data)
            needed = [n for n in needed if not n.startswith("api-ms-win-")]
        else:
            needed, exports, oldest, name, signed = macho(data, arch)
            if oldest is None or oldest > MACOS_FLOOR:
                faults.append(f"its oldest system is {oldest}; it must be {MACOS_FLOOR}")
            if name != f"@rpath/lib{stem}.dylib":
                faults.append(f"its install name is {name}")
            if signed is False or (arch == "aarch64" and not signed):
                faults.append("its code signature is wrong" if signed is False else "it has no code signature")
            exports = {e for e in exports if not ADDED_ON_MACOS.fullmatch(e)}
            notes.append(f"macOS {oldest and '.'.join(map(str, oldest))}, {'signed' if signed else 'unsigned'}")
    except (ValueError, KeyError, struct.error) as why:
        print(f"{file}: {why}")
        return 1
    strange = sorted(set(needed) - NEEDED[system])
    if strange:
        faults.append(f"it needs libraries that not every system has: {strange}")
    exports = {e for e in exports if e and e not in ("DllMain", "_init", "_fini", "rust_eh_personality")}
    if exports != listed:
        faults.append(f"exports that are not listed: {sorted(exports - listed)}; listed, not exported: {sorted(listed - exports)}")
    # The library for C may have 100 KB more than the one for Java.
    limit = LIMIT[system] + (FULL if "full" in os.environ.get("FEATURES", "") else 0) + (FOR_C if for_c else 0)
    if BACKTRACES in data:
        limit += OWN_STD
        notes.append("with the toolchain's standard library")
    if len(data) > limit:
        faults.append(f"it has {len(data)} bytes; the limit is {limit}")
    for fault in faults:
        print(f"{platform}: {fault}")
    if not faults:
        print(f"{platform}: {len(data)} bytes, {len(exports)} exports, needs {', '.join(sorted(set(needed)))}" + "".join(f"; {n}" for n in notes))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
