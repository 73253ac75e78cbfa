//! Compiles the yardstick `benches/walk.c` with the system's C compiler, so that it runs in the same process and in the
//! same rounds as our walk. `-O2`, as the file's own usage says.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=../walk.c");
    println!("cargo:rerun-if-changed=src/walk_in_process.c");
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let object = out.join("walk.o");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    run(Command::new(compiler).args(["-O2", "-c", "src/walk_in_process.c", "-o"]).arg(&object));
    run(Command::new("ar").arg("crs").arg(out.join("libwalkc.a")).arg(&object));
    println!("cargo:rustc-link-search=native={}", out.display());
    println!("cargo:rustc-link-lib=static=walkc");
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
    assert!(status.success(), "{command:?} failed: {status}");
}
