//! Link settings of the native library.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).as_deref() == Ok(value);
    if !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,relro,-z,now");
    // `strip` of the profile is lost beside the package's own `opt-level`.
    if is("PROFILE", "release") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--strip-all");
    }
    // The linker of this target is LLD since Rust 1.90; it folds functions that came out equal.
    if is("CARGO_CFG_TARGET_ARCH", "x86_64") && is("CARGO_CFG_TARGET_ENV", "gnu") && is("PROFILE", "release")
    {
        println!("cargo:rustc-cdylib-link-arg=-Wl,--icf=all");
    }
}
