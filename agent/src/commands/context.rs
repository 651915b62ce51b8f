//! What every verb gets: the global options and the edge of the world (environment, current program).

use std::env;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::output::Format;
use crate::provider::Presets;

/// The global options, as given.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// `--config`, default `./agent-runner.toml`.
    pub config: PathBuf,
    /// Whether `--config` was given.
    pub config_given: ConfigGiven,
    /// `--json` or not.
    pub format: Format,
}

/// Where the configuration's path comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigGiven {
    /// `--config PATH`.
    ByOption,
    /// The default in the current directory.
    ByDefault,
}

impl Ctx {
    /// Returns an environment variable; empty and non-UTF-8 values count as unset.
    #[expect(clippy::disallowed_methods, reason = "this is the edge where verbs read the environment")]
    pub fn env(&self, name: impl AsRef<OsStr>) -> Option<String> {
        env::var(name).ok().filter(|value| !value.is_empty())
    }

    /// Returns the home folder: `$HOME`, or the password database's.
    pub fn home(&self) -> Option<PathBuf> {
        self.env("HOME").map(PathBuf::from).or_else(|| {
            let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok()??;
            Some(user.dir)
        })
    }

    /// Returns the folders of the operator's presets: the user's, then the project's.
    pub fn preset_folders(&self, work_dir: Option<&Path>) -> Vec<PathBuf> {
        let config_home = self.env("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let config_home = config_home.or_else(|| Some(self.home()?.join(".config")));
        Presets::folders(config_home.as_deref(), work_dir)
    }

    /// Returns this program's absolute path, also when its file was replaced since the start.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn program(&self) -> io::Result<PathBuf> {
        let path = env::current_exe()?;
        let text = path.to_string_lossy();
        Ok(text.strip_suffix(" (deleted)").map_or_else(|| path.clone(), |kept| Path::new(kept).to_owned()))
    }
}
