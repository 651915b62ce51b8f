//! Bundles the agents that the controller carries.
//!
//! With `AGENT_RUNNER_BUNDLE` naming a folder, its files `agent-runner-<target>` are compressed and embedded: that is
//! how a release is made. Without it the agent is built here for this machine, so that a plain `cargo build`,
//! `cargo test` or `cargo install` gives a controller that can deploy. Nothing is downloaded at run time.

#![expect(clippy::disallowed_methods, reason = "a build script's world is cargo's environment and OUT_DIR")]

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=AGENT_RUNNER_BUNDLE");
    let out = PathBuf::from(required("OUT_DIR")?);
    let agents = match env::var_os("AGENT_RUNNER_BUNDLE").filter(|value| !value.is_empty()) {
        Some(folder) => bundled(Path::new(&folder))?,
        None => vec![native(&out)?],
    };
    let mut table = String::from("&[\n");
    for (target, path) in agents {
        let binary = fs::read(&path).map_err(|error| format!("reading {}: {error}", path.display()))?;
        let compressed = out.join(format!("{target}.gz"));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&binary)?;
        fs::write(&compressed, encoder.finish()?)?;
        let digest = Sha256::digest(&binary);
        let sha256 = digest.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        writeln!(
            table,
            "    Embedded {{ target: {target:?}, sha256: {sha256:?}, size: {}, gzip: include_bytes!({compressed:?}) }},",
            binary.len()
        )?;
    }
    table.push(']');
    fs::write(out.join("bundle.rs"), table)?;
    Ok(())
}

/// Returns the agents of a bundle folder, by target.
fn bundled(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(folder)
        .map_err(|error| format!("AGENT_RUNNER_BUNDLE names {}: {error}", folder.display()))?;
    let mut agents = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(target) = name.strip_prefix("agent-runner-").filter(|target| target.contains("-linux-")) {
            println!("cargo::rerun-if-changed={}", path.display());
            agents.push((target.to_owned(), path.clone()));
        }
    }
    agents.sort();
    if agents.is_empty() {
        return Err(format!(
            "AGENT_RUNNER_BUNDLE names {}, which holds no agent-runner-<target> file",
            folder.display()
        )
        .into());
    }
    Ok(agents)
}

/// Builds the agent for the machine that the controller is built for: static where its musl target is installed.
///
/// Cargo watches its sources and not the result, which is newer than the start of this script and so always "changed".
fn native(out: &Path) -> Result<(String, PathBuf)> {
    let workspace = PathBuf::from(required("CARGO_MANIFEST_DIR")?).join("..");
    for source in [
        "agent/src",
        "agent/presets",
        "agent/link",
        "agent/Cargo.toml",
        "agent/build.rs",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    let target = native_target()?;
    let release = required("PROFILE")? == "release";
    let folder = out.join("agent");
    let mut cargo = Command::new(required("CARGO")?);
    cargo
        .current_dir(&workspace)
        .args(["build", "--package", "agent-runner", "--bin", "agent-runner", "--target", &target])
        .args(["--profile", if release { "agent" } else { "dev" }])
        .args(["--config", "profile.dev.debug=0", "--config", "profile.dev.strip=true"])
        .arg("--target-dir")
        .arg(&folder);
    // Clippy's wrapper and this package's own flags are not meant for the agent.
    for variable in
        ["RUSTC_WORKSPACE_WRAPPER", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"]
    {
        cargo.env_remove(variable);
    }
    let status = cargo.status().map_err(|error| format!("running cargo for the agent: {error}"))?;
    if !status.success() {
        return Err(format!("building the agent for {target} ended with {status}").into());
    }
    let profile = if release { "agent" } else { "debug" };
    let binary = folder.join(&target).join(profile).join("agent-runner");
    Ok((target, binary))
}

fn native_target() -> Result<String> {
    let target = required("TARGET")?;
    let Some(machine) = target.strip_suffix("-unknown-linux-gnu") else { return Ok(target) };
    let musl = format!("{machine}-unknown-linux-musl");
    let output =
        Command::new(required("RUSTC")?).args(["--print", "target-libdir", "--target", &musl]).output()?;
    let libraries = String::from_utf8_lossy(&output.stdout);
    let installed = output.status.success() && Path::new(libraries.trim()).is_dir();
    Ok(if installed { musl } else { target })
}

fn required(variable: &str) -> Result<String> {
    env::var(variable).map_err(|error| format!("{variable}: {error}").into())
}
