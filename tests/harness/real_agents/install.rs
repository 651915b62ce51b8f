//! Installs the CLIs through their package manager, each version once, into a cache outside the checkout.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::cli::{CLIS, Cli, PROGRAMS};
use super::table::recorded;
use crate::packages;
use crate::run::{find_program, run};
use crate::skip::Unavailable;

/// Names the cache; `/var/cache/agent-runner-clis`, or one below the home folder, without it.
pub const CACHE: &str = "AGENT_RUNNER_CLI_CACHE";

const DAY: Duration = Duration::from_secs(86_400);
const INSTALL_DEADLINE: Duration = Duration::from_secs(300);
/// What one CLI may take, in bytes.
const SIZE_MAX: u64 = 1 << 30;

/// Where the CLIs are.
#[must_use]
pub fn cache() -> PathBuf {
    if let Some(named) = std::env::var_os(CACHE).filter(|named| !named.is_empty()) {
        return named.into();
    }
    match std::env::var_os("HOME").filter(|_| !nix::unistd::geteuid().is_root()) {
        Some(home) => PathBuf::from(home).join(".cache/agent-runner-clis"),
        None => "/var/cache/agent-runner-clis".into(),
    }
}

/// The folder of a CLI's program, where it was installed before.
///
/// # Errors
/// [`Unavailable::Missing`] where it was not: nothing is brought from anywhere.
pub fn installed(cli: &Cli) -> Result<PathBuf, Unavailable> {
    let programs = cache().join(cli.folder()).join(PROGRAMS);
    if programs.join(cli.name).exists() {
        return Ok(programs);
    }
    Err(Unavailable::missing(format!("{} is not installed: run `real-agents install` first", cli.folder())))
}

/// Removes the versions of the CLIs that are neither pinned nor recorded and were not installed today; returns their
/// folders' names.
///
/// # Errors
/// When the cache cannot be listed or a folder cannot be removed.
pub fn prune() -> anyhow::Result<Vec<String>> {
    let cache = cache();
    let _lock = packages::lock(&cache.join("lock"), INSTALL_DEADLINE * 2)?;
    let kept = recorded()?.into_iter().chain(CLIS.iter().map(Cli::folder)).collect();
    let mut removed = Vec::new();
    for name in spare(&cache, &kept)? {
        let folder = cache.join(&name);
        let age = folder.metadata()?.modified()?.elapsed().unwrap_or_default();
        if age > DAY {
            fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
            removed.push(name);
        }
    }
    Ok(removed)
}

/// Folders of a cache that hold a CLI and are not among `kept`.
fn spare(cache: &Path, kept: &BTreeSet<String>) -> anyhow::Result<Vec<String>> {
    let entries = fs::read_dir(cache).with_context(|| cache.display().to_string())?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_cli = |name: &str| {
        CLIS.iter().any(|cli| name.strip_prefix(cli.name).is_some_and(|rest| rest.starts_with('-')))
    };
    Ok(names.filter(|name| is_cli(name) && !kept.contains(name)).collect())
}

/// Makes sure that a CLI is there; returns the folder of its program.
///
/// # Errors
/// [`Unavailable::Missing`] where the package manager or the package cannot be had.
pub fn install(cli: &Cli) -> Result<PathBuf, Unavailable> {
    let cache = cache();
    fs::create_dir_all(&cache).with_context(|| cache.display().to_string())?;
    let _lock = packages::lock(&cache.join("lock"), INSTALL_DEADLINE * 2)?;
    let folder = cache.join(cli.folder());
    let programs = folder.join(PROGRAMS);
    let program = programs.join(cli.name);
    if program.exists() {
        return Ok(programs);
    }
    // What an interrupted installation left is no base for the next one.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let installed = fetch(cli, &folder, &cache);
    if let Err(error) = installed {
        let _ = fs::remove_dir_all(&folder);
        return Err(Unavailable::missing(format!(
            "cannot install {}@{}: {error:#}",
            cli.package, cli.version
        )));
    }
    let size = size(&folder);
    if size > SIZE_MAX {
        let _ = fs::remove_dir_all(&folder);
        return Err(anyhow::anyhow!("{} takes {size} bytes, more than {SIZE_MAX}", cli.package).into());
    }
    if !program.exists() {
        return Err(anyhow::anyhow!("{} has no program {}", cli.package, program.display()).into());
    }
    Ok(programs)
}

fn fetch(cli: &Cli, folder: &Path, cache: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(find_program("npm").is_some(), "npm is not installed");
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]).arg(folder);
    npm.arg("--cache").arg(cache.join("npm"));
    npm.arg(format!("{}@{}", cli.package, cli.version)).args(cli.beside);
    run(&mut npm, INSTALL_DEADLINE)?.checked().map(|_| ())
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => size(&entry.path()),
        Ok(_) => entry.metadata().map_or(0, |data| data.len()),
        Err(_) => 0,
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pinned_or_recorded_and_what_is_no_cli_stays() {
        let cache = tempfile::tempdir().unwrap();
        for folder in ["claude-1.0.0", "claude-2.0.0", "npm", "claudette-1.0.0"] {
            fs::create_dir(cache.path().join(folder)).unwrap();
        }
        let kept = BTreeSet::from(["claude-2.0.0".to_owned()]);
        assert_eq!(spare(cache.path(), &kept).unwrap(), ["claude-1.0.0"]);
    }
}
