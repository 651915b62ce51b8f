//! What every verb gets: the global options and the edge of the world (environment, current program, account).

use std::env;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User, getuid};

use crate::output::Format;
use crate::provider::Presets;
use crate::service::{Account, Acting};

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
            let user = User::from_uid(getuid()).ok()??;
            Some(user.dir)
        })
    }

    /// Returns the user's folder of configurations: `$XDG_CONFIG_HOME`, which counts when it is absolute, or
    /// `~/.config`.
    pub fn config_home(&self) -> Option<PathBuf> {
        let named = self.env("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        named.or_else(|| Some(self.home()?.join(".config")))
    }

    /// Returns the folders of the operator's presets: the user's, then the project's.
    pub fn preset_folders(&self, work_dir: Option<&Path>) -> Vec<PathBuf> {
        Presets::folders(self.config_home().as_deref(), work_dir)
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

    /// Returns this program's absolute path by the name that survives an upgrade: the deployed link when it leads
    /// here, else the name it was called by, else [`Ctx::program`].
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn stable_program(&self) -> io::Result<PathBuf> {
        let program = self.program()?;
        let Ok(real) = program.canonicalize() else { return Ok(program) };
        let deployed = self.home().map(|home| home.join(".local/bin/agent-runner"));
        let system = Path::new("/usr/local/bin/agent-runner").to_owned();
        let mut names = deployed.into_iter().chain([system]).chain(self.called_as());
        let leads_here = |name: &PathBuf| name.canonicalize().is_ok_and(|path| path == real);
        Ok(names.find(leads_here).unwrap_or(program))
    }

    /// Returns the account this process acts as.
    pub fn account(&self) -> Account {
        let uid = getuid();
        let user = User::from_uid(uid).ok().flatten();
        let gid = nix::unistd::getgid();
        let runtime_dir = self.env("XDG_RUNTIME_DIR").map(PathBuf::from).or_else(|| {
            let usual = PathBuf::from(format!("/run/user/{uid}"));
            usual.is_dir().then_some(usual)
        });
        Account {
            user: user.as_ref().map_or_else(|| uid.to_string(), |user| user.name.clone()),
            group: group_name(gid),
            uid: uid.as_raw(),
            gid: gid.as_raw(),
            home: self.home().unwrap_or_else(|| "/".into()),
            runtime_dir,
            acting: Acting::Itself,
        }
    }

    /// Returns the account that called `sudo` to become root; `None` when this is no such call.
    pub fn sudo_account(&self) -> Option<Account> {
        let name = self.env("SUDO_USER").filter(|_| getuid().is_root())?;
        let user = User::from_name(&name).ok().flatten().filter(|user| user.uid != Uid::from_raw(0))?;
        Some(Account {
            group: group_name(user.gid),
            user: user.name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            home: user.dir,
            runtime_dir: None,
            acting: Acting::RootFor,
        })
    }

    /// Returns the name this program was called by, when it is one that can be called again.
    fn called_as(&self) -> Option<PathBuf> {
        let name = PathBuf::from(env::args_os().next()?);
        if name.components().count() > 1 || name.is_absolute() {
            return std::path::absolute(name).ok();
        }
        let path = env::var_os("PATH")?;
        env::split_paths(&path).map(|dir| dir.join(&name)).find(|candidate| candidate.is_file())
    }
}

fn group_name(gid: Gid) -> String {
    Group::from_gid(gid).ok().flatten().map_or_else(|| gid.to_string(), |group| group.name)
}
