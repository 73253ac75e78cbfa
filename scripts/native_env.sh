# shellcheck shell=sh
# How the libraries that we ship are built; sourced by the scripts that build one, in the root of the checkout.
#   RUSTFLAGS  what the compiler is told: native/rustflags.txt, and no path of this machine in the file, so that two machines
#              make the same one
#   std        words for cargo that have it build the standard library as well, for size and without its printer of
#              backtraces (our panics are silent and know their place): 0.33 MB less. cargo wants to be told the target
#              then. The flag is unstable, so RUSTC_BOOTSTRAP is set; the compiler is the stable one all the same.
# The source of the standard library is a component of the toolchain. Without it, or with OWN_STD=0, the toolchain's own
# standard library is taken, and std is empty. Commands of cargo are run by `with_std`, which takes the toolchain's own, too, if
# the other cannot be built (it has dependencies of its own, which may not be there without a network).
RUSTFLAGS="${RUSTFLAGS:-} $(grep -v '^#' native/rustflags.txt | tr '\n' ' ')"
RUSTFLAGS="$RUSTFLAGS --remap-path-prefix=$PWD=. --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
RUSTFLAGS="$RUSTFLAGS --remap-path-prefix=$(rustc --print sysroot)/lib/rustlib/src/rust=rust"
export RUSTFLAGS
std=""
if [ "${OWN_STD:-1}" != 0 ]; then
  if scripts/setup.sh rust-src; then
    std="-Zbuild-std=std,panic_unwind -Zbuild-std-features=optimize_for_size"
    export RUSTC_BOOTSTRAP=1
  else
    echo "the source of Rust's standard library cannot be had (rust-src): the library will be 0.33 MB larger" >&2
  fi
fi

with_std() { # COMMAND...
  if [ -n "$std" ]; then
    # shellcheck disable=SC2086  # std is words
    "$@" $std && return
    echo "Rust's standard library could not be built: the toolchain's own is taken, 0.33 MB larger" >&2
    std=""
    unset RUSTC_BOOTSTRAP
  fi
  "$@"
}
