//! Asking `ssh -G` for what files alone cannot settle, and remembering what it said.
//!
//! An answer is kept in the user's cache folder under everything it depends on: the question and, for every file of
//! the configuration, its path, time and size. `Match exec` and canonical names depend on more than files, so an
//! answer is used for ten minutes only.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use agent_runner::process::capture::{Capture, capture};
use agent_runner::process::child::{Environment, Stdin};
use agent_runner_inventory::ssh_config::Overrides;
use sha2::{Digest as _, Sha256};

/// The most that `ssh -G` may say, in bytes.
const OUTPUT: usize = 1 << 18;
/// How long `ssh -G` may take; a `Match exec` of the operator's runs inside.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long an answer is used.
const FRESH: Duration = Duration::from_secs(600);

/// Asks `ssh -G`.
#[derive(Debug, Clone, Default)]
pub(super) struct SshG {
    folder: Option<PathBuf>,
    /// Of all files of the configuration.
    state: String,
    /// A configuration that `ssh` would not find by itself.
    roots: Vec<PathBuf>,
}

impl SshG {
    /// Returns what asks about a configuration that consists of `files`; without a folder nothing is remembered.
    pub(super) fn new(folder: Option<PathBuf>, files: &[PathBuf]) -> SshG {
        let mut state = String::new();
        for file in files {
            let Ok(found) = fs::metadata(file) else { continue };
            let (s, ns) = (found.mtime(), found.mtime_nsec());
            state.push_str(&format!("{}\0{s}.{ns}\0{}\0", file.display(), found.len()));
        }
        SshG { folder, state, roots: Vec::new() }
    }

    /// Names the files to read, the stronger one first. `ssh` looks for them in the home folder of the account, also
    /// where `HOME` names another.
    #[must_use]
    pub(super) fn reading(mut self, roots: &[PathBuf]) -> SshG {
        self.roots = roots.iter().filter(|file| file.exists()).cloned().collect();
        self
    }

    /// Returns what `ssh -G` says of a host.
    ///
    /// # Errors
    /// When it cannot be run or fails, in words.
    pub(super) fn ask(&self, host: &str, overrides: &Overrides) -> Result<String, String> {
        let argv = argv(host, overrides);
        let kept = self.folder.as_ref().map(|folder| folder.join(self.key(&argv)));
        if let Some(said) = kept.as_deref().and_then(fresh) {
            return Ok(said);
        }
        let said = self.run(argv)?;
        if let Some(path) = &kept
            && let Err(error) = keep(path, &said)
        {
            // Only speed is lost.
            tracing::debug!(path = %path.display(), %error, "what ssh -G said is not remembered");
        }
        Ok(said)
    }

    fn run(&self, mut argv: Vec<OsString>) -> Result<String, String> {
        if self.roots.is_empty() {
            return run(argv);
        }
        let failed = |error: std::io::Error| format!("cannot write a configuration for `ssh -G`: {error}");
        let mut both = tempfile::NamedTempFile::new().map_err(failed)?;
        for file in &self.roots {
            writeln!(both, "Include \"{}\"", file.display()).map_err(failed)?;
        }
        argv.splice(2..2, ["-F".into(), both.path().into()]);
        run(argv)
    }

    fn key(&self, argv: &[OsString]) -> String {
        let mut hash = Sha256::new();
        for word in argv {
            hash.update(word.as_encoded_bytes());
            hash.update([0]);
        }
        hash.update(&self.state);
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn argv(host: &str, overrides: &Overrides) -> Vec<OsString> {
    let mut argv: Vec<OsString> = vec!["ssh".into(), "-G".into()];
    let options = [
        ("User", overrides.user.clone()),
        ("Port", overrides.port.map(|port| port.to_string())),
        ("HostName", overrides.host_name.clone()),
    ];
    for (keyword, value) in options {
        if let Some(value) = value {
            argv.extend(["-o".into(), format!("{keyword}={value}").into()]);
        }
    }
    argv.extend(["--".into(), host.into()]);
    argv
}

fn run(argv: Vec<OsString>) -> Result<String, String> {
    let asked = Capture {
        argv,
        cwd: "/".into(),
        env: Environment::inherited(),
        stdin: Stdin::Null,
        timeout: DEADLINE,
        output_limit: OUTPUT,
    };
    let said = capture(asked).map_err(|error| format!("needs `ssh -G`, which does not run: {error}"))?;
    if !said.is_success() {
        let words = String::from_utf8_lossy(&said.stderr).trim().to_owned();
        return Err(format!("`ssh -G` says: {words}"));
    }
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}

/// Returns what is kept at `path`, unless it is old.
fn fresh(path: &Path) -> Option<String> {
    let age = SystemTime::now().duration_since(fs::metadata(path).ok()?.modified().ok()?).ok()?;
    (age < FRESH).then(|| fs::read_to_string(path).ok()).flatten()
}

fn keep(path: &Path, said: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    for old in fs::read_dir(folder)?.flatten().map(|entry| entry.path()) {
        if fresh_age(&old).is_none_or(|age| age >= FRESH) {
            fs::remove_file(old)?;
        }
    }
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(said.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

fn fresh_age(path: &Path) -> Option<Duration> {
    SystemTime::now().duration_since(fs::metadata(path).ok()?.modified().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_until_a_file_changes() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config");
        fs::File::create(&config).unwrap();
        let cache = dir.path().join("cache");
        let asking = || SshG::new(Some(cache.clone()), std::slice::from_ref(&config));
        let (host, overrides) = ("pi1", Overrides::default());
        let path = cache.join(asking().key(&argv(host, &overrides)));
        keep(&path, "user somebody\n").unwrap();
        assert_eq!(asking().ask(host, &overrides).unwrap(), "user somebody\n");
        fs::File::options().append(true).open(&config).unwrap().write_all(b"Host x\n").unwrap();
        assert_ne!(cache.join(asking().key(&argv(host, &overrides))), path);
        let given = Overrides { user: Some("pi".into()), ..Overrides::default() };
        assert_ne!(asking().key(&argv(host, &given)), asking().key(&argv(host, &overrides)));
    }

    #[test]
    fn an_old_answer_is_not_used_and_swept_away() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        keep(&old, "x").unwrap();
        let past = SystemTime::now() - 2 * FRESH;
        fs::File::options().write(true).open(&old).unwrap().set_modified(past).unwrap();
        assert_eq!(fresh(&old), None);
        keep(&new, "y").unwrap();
        assert!(!old.exists() && fresh(&new).as_deref() == Some("y"));
    }
}
