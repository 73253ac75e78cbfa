//! Link settings of the native library.
//!
//! On Linux a release library is linked against stubs of the C library that hold only what glibc 2.17 and musl have
//! (`native/linux/libc.txt`), so the machine that builds it does not decide where it runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What the library may call, relative to the manifest.
const LIBC: &str = "native/linux/libc.txt";
/// What it brings along.
const SHIM: &str = "native/linux/shim.c";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={LIBC}");
    println!("cargo:rerun-if-changed={SHIM}");
    println!("cargo:rerun-if-env-changed=DATA_PIPELINE_HOST_LIBC");
    println!("cargo:rerun-if-env-changed=DATA_PIPELINE_SYMBOLS");
    let is = |name: &str, value: &str| env::var(name).as_deref() == Ok(value);
    let release = is("PROFILE", "release");
    // The library for C has a name of its own.
    let for_c = env::var_os("CARGO_FEATURE_CAPI").is_some() && env::var_os("CARGO_FEATURE_JNI").is_none();
    let name = if for_c { "libdata-pipeline-ffi" } else { "libdata_pipeline" };
    if is("CARGO_CFG_TARGET_OS", "macos") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/{name}.dylib");
    }
    if !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,relro,-z,now");
    if for_c {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{name}.so");
        // Who closes it with dlclose does not wait for its threads.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    if !release || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    // `strip` of the profile is lost beside the package's own `opt-level`. Who wants the symbols asks for them
    // (scripts/natives.sh puts them into a file beside the library).
    if env::var_os("DATA_PIPELINE_SYMBOLS").is_none() {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--strip-all");
    }
    // The linker of this target is LLD since Rust 1.90; it folds functions that came out equal.
    if is("CARGO_CFG_TARGET_ARCH", "x86_64") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--icf=all");
        // It also puts functions and data beside others that look like them: DEFLATE sees no further back than 32 KB,
        // so the JAR becomes 2 % smaller.
        if llvm().is_some_and(|version| version >= 21) {
            println!("cargo:rustc-cdylib-link-arg=-Wl,--bp-compression-sort=both");
        }
    }
    // A crate that only links the rlib has no use for this, and an instrumented build needs the host's own library.
    if env::var_os("DATA_PIPELINE_HOST_LIBC").is_none()
        && let Err(why) = link_with_stubs(for_c)
    {
        println!(
            "cargo:warning=the library will need the C library of this machine, since stubs could not be made: {why}"
        );
    }
}

/// The version of LLVM that the compiler brings along, and with it that of LLD.
fn llvm() -> Option<u32> {
    let said = Command::new(env::var_os("RUSTC")?).arg("-vV").output().ok()?.stdout;
    let said = String::from_utf8(said).ok()?;
    said.lines().find_map(|line| line.strip_prefix("LLVM version: "))?.split('.').next()?.parse().ok()
}

/// Makes the stubs and the shim, and has the library linked with them.
fn link_with_stubs(for_c: bool) -> Result<(), String> {
    let (arch, target) = (variable("CARGO_CFG_TARGET_ARCH")?, variable("TARGET")?);
    let compiler = compiler(&arch, &target)?;
    let out = PathBuf::from(variable("OUT_DIR")?).join("libc");
    fs::create_dir_all(&out).map_err(|e| e.to_string())?;
    for (library, symbols) in libraries(&arch)? {
        let name = library.split(".so").next().unwrap_or_default();
        let (source, map) = (out.join(format!("{name}.s")), out.join(format!("{name}.map")));
        write(&source, &assembly(&symbols))?;
        write(&map, &versions(&symbols))?;
        let file = out.join(&library);
        run(Command::new(&compiler)
            .args(["-shared", "-nostdlib", "-Wl,--build-id=none", "-o"])
            .arg(&file)
            .arg(&source)
            .arg(format!("-Wl,-soname,{library}"))
            .arg(format!("-Wl,--version-script={}", map.display())))?;
        // What `-lNAME` finds.
        let link = out.join(format!("{name}.so"));
        fs::copy(&file, link).map_err(|e| e.to_string())?;
    }
    // The unwinder comes along; musl systems have no libgcc_s.
    write(&out.join("libgcc_s.so"), "GROUP ( -l:libgcc_eh.a -l:libgcc.a )\n")?;
    for merged in ["librt.so", "libutil.so"] {
        write(&out.join(merged), "INPUT ( -lc )\n")?;
    }
    let shim = out.join("shim.o");
    let face = if for_c { "-DFOR_C" } else { "-DFOR_JAVA" };
    run(Command::new(&compiler).args(["-c", "-O2", "-fPIC", face, "-o"]).arg(&shim).arg(SHIM))?;
    println!("cargo:rustc-cdylib-link-arg=-L{}", out.display());
    // A function that no stub has is an error here, not a surprise on another machine.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,defs");
    println!("cargo:rustc-cdylib-link-arg={}", shim.display());
    Ok(())
}

type Symbols = BTreeMap<String, Vec<String>>;

/// Library -> version -> names.
fn libraries(arch: &str) -> Result<BTreeMap<String, Symbols>, String> {
    let text = fs::read_to_string(LIBC).map_err(|e| format!("{LIBC}: {e}"))?;
    let mut libraries: BTreeMap<String, Symbols> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let (Some(name), Some(library), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Err(format!("{LIBC}: {line:?} is not a name, a library and a version"));
        };
        let version = if arch == "x86_64" { version } else { "2.17" };
        let versions = libraries.entry(library.to_owned()).or_default();
        versions.entry(version.to_owned()).or_default().push(name.to_owned());
    }
    Ok(libraries)
}

fn assembly(symbols: &Symbols) -> String {
    let mut text = String::from(".text\n");
    for name in symbols.values().flatten() {
        let _ = writeln!(text, ".globl {name}\n.type {name},%function\n{name}: .byte 0");
    }
    text.push_str(".section .note.GNU-stack,\"\",%progbits\n");
    text
}

fn versions(symbols: &Symbols) -> String {
    let mut text = String::new();
    for (version, names) in symbols {
        let _ = writeln!(text, "GLIBC_{version} {{ global: {}; }};", names.join("; "));
    }
    text
}

/// The C compiler of the target: the one that cargo links with, if it was told one.
fn compiler(arch: &str, target: &str) -> Result<String, String> {
    if target == variable("HOST")? {
        return Ok(env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
    }
    let linker = format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace('-', "_"));
    println!("cargo:rerun-if-env-changed={linker}");
    Ok(env::var(linker).unwrap_or_else(|_| format!("{arch}-linux-gnu-gcc")))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|e| format!("{name}: {e}"))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{}: {e}", command.get_program().to_string_lossy()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}", said.lines().next().unwrap_or_default()))
}
