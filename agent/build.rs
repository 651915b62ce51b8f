//! Hands the target triple to the program, which reports it in `--version --json`, and links what a host runs small.

use std::env;
use std::path::Path;

fn main() {
    let target = env::var_os("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=AGENT_RUNNER_TARGET={}", target.to_string_lossy());
    println!("cargo::rerun-if-changed=build.rs");
    link_small();
}

/// Only the profile `agent` is optimised for size, and it aborts on a panic, which a build script is not told.
fn link_small() {
    let is = |name: &str, wanted: &str| env::var_os(name).is_some_and(|value| value == wanted);
    let by_lld = env::var_os("RUSTC_LINKER").is_some_and(|linker| Path::new(&linker).ends_with("rust-lld"));
    if is("CARGO_CFG_TARGET_ENV", "musl") && is("OPT_LEVEL", "z") && by_lld {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("link/no-unwind.ld");
        println!("cargo::rerun-if-changed={}", script.display());
        println!("cargo::rustc-link-arg-bins=-T{}", script.display());
        println!("cargo::rustc-link-arg-bins=--no-eh-frame-hdr");
        // What is relocated at the start, packed: musl has read this form since 1.2.4.
        println!("cargo::rustc-link-arg-bins=--pack-dyn-relocs=relr");
        // Functions of one body are one function: nothing here compares their addresses.
        println!("cargo::rustc-link-arg-bins=--icf=all");
    }
}
