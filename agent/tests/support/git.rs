//! git as a test itself runs it: with a name, and with nobody's configuration.
#![expect(clippy::unwrap_used, reason = "a test without git cannot set up its world")]

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs git in a work tree and returns what it printed, without the line's end.
pub(crate) fn git(work_dir: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "T").env(format!("GIT_{role}_EMAIL"), "t@example.org");
    }
    let done = git.args(arguments).current_dir(work_dir).stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
}
