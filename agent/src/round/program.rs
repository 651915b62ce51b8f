//! Which program an agent's command names, and what tells one version of it from another.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::config::types::{Agent, Config};
use crate::store::time;

/// Returns the program that starts an agent, when there is one on its search path.
pub fn of(config: &Config, agent: &Agent, path: Option<&OsStr>) -> Option<PathBuf> {
    let word = agent.exec_prefix.iter().chain(&agent.command).next()?;
    find(word, config, agent, path)
}

/// Returns the program whose output is read: the agent itself, whatever starts it.
pub fn read(config: &Config, agent: &Agent, path: Option<&OsStr>) -> Option<PathBuf> {
    find(agent.command.first()?, config, agent, path)
}

/// Returns a program's real file with its time and size: another version of it says something else.
pub fn stamp(program: &Path) -> Option<String> {
    let file = fs::canonicalize(program).ok()?;
    let meta = fs::metadata(&file).ok()?;
    let changed = Timestamp::try_from(meta.modified().ok()?).ok()?;
    Some(format!("{} {} {} bytes", file.display(), time::stamp(changed), meta.len()))
}

/// A word with a slash is relative to the work dir, else it is on the search path, whose empty and relative entries
/// are relative to the work dir too.
fn find(word: &str, config: &Config, agent: &Agent, path: Option<&OsStr>) -> Option<PathBuf> {
    let work_dir = &config.runtime.work_dir;
    if word.contains('/') {
        return Some(work_dir.join(word)).filter(|program| is_executable(program));
    }
    // What execvp falls back to.
    let path = agent.env.get("PATH").map(OsStr::new).or(path).unwrap_or(OsStr::new("/bin:/usr/bin"));
    let mut folders =
        path.as_bytes().split(|&byte| byte == b':').map(|entry| Path::new(OsStr::from_bytes(entry)));
    let program = |folder: &Path| work_dir.join(folder).join(word);
    folders.find(|folder| !word.is_empty() && is_executable(&program(folder))).map(program)
}

fn is_executable(path: &Path) -> bool {
    let is_program =
        fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    is_program && nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok()
}
