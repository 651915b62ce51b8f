//! The script: installed, told what to do, and asked afterwards what it saw.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::mode::Mode;
use crate::process::Process;

/// The agent itself, for [`Host::put`](crate::lab::Host::put).
pub const SCRIPT: &str = include_str!("claude.sh");

/// Puts the agent into `dir` under a CLI's name and returns its path.
///
/// # Errors
/// Where it cannot be written.
pub fn install(dir: &Path, name: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(dir)?;
    let path = dir.join(name);
    // Written aside and renamed: an open script of a run in progress must not change below its shell, and no
    // other process that forks in this moment may hold it open for writing (ETXTBSY).
    let fresh = dir.join(format!(".{name}.new"));
    fs::write(&fresh, SCRIPT)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))?;
    fs::rename(&fresh, &path)?;
    Ok(path)
}

/// Says what the next runs in this work tree do: each takes one mode, and the last one stays.
///
/// # Errors
/// Where it cannot be written.
pub fn set_mode(work_dir: &Path, modes: &[Mode]) -> io::Result<()> {
    let state = state(work_dir);
    fs::create_dir_all(&state)?;
    fs::write(state.join("mode.set"), lines(modes))?;
    fs::rename(state.join("mode.set"), state.join("mode"))
}

/// The shell command that does on a host what [`set_mode`] does here; `work_dir` has to be a git tree.
#[must_use]
pub fn mode_command(work_dir: &str, modes: &[Mode]) -> String {
    let state = format!("{work_dir}/.git/fake-agent");
    let lines = lines(modes);
    format!(
        "mkdir -p {state} && printf '{}' >{state}/mode.set && mv {state}/mode.set {state}/mode",
        lines.replace('\n', "\\n")
    )
}

/// How often it has been started in this work tree.
#[must_use]
pub fn runs(work_dir: &Path) -> usize {
    fs::read_to_string(state(work_dir).join("runs")).unwrap_or_default().lines().count()
}

/// What the last run got on its standard input.
#[must_use]
pub fn prompt(work_dir: &Path) -> Option<String> {
    fs::read_to_string(state(work_dir).join("prompt")).ok()
}

/// The arguments of the last run.
#[must_use]
pub fn argv(work_dir: &Path) -> Vec<String> {
    let text = fs::read_to_string(state(work_dir).join("argv")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// What the runs left, or are, that still lives: hanging agents, grandchildren with a session of their own.
#[must_use]
pub fn left_behind(work_dir: &Path) -> Vec<Process> {
    let pids = fs::read_to_string(state(work_dir).join("pids")).unwrap_or_default();
    pids.lines()
        .filter_map(|pid| Process::find(pid.parse().ok()?))
        .filter(|process| process.is_alive())
        .collect()
}

fn state(work_dir: &Path) -> PathBuf {
    let git = work_dir.join(".git");
    if git.is_dir() { git.join("fake-agent") } else { work_dir.join(".fake-agent") }
}

fn lines(modes: &[Mode]) -> String {
    modes.iter().map(|mode| format!("{mode}\n")).collect()
}
