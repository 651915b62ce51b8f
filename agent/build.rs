//! Hands the target triple to the program, which reports it in `--version --json`.

fn main() {
    let target = std::env::var_os("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=AGENT_RUNNER_TARGET={}", target.to_string_lossy());
    println!("cargo::rerun-if-changed=build.rs");
}
