//! Takes a run down: by a guard that outlives the owner, however the owner ends, or later by anybody.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use super::layout::{RUNS, RunId};
use crate::process::Process;
use crate::run::run;
use crate::wait;

const SCRIPT: &str = include_str!("teardown.sh");
const DEADLINE: Duration = Duration::from_secs(120);

/// A run whose files exist.
#[derive(Debug)]
pub struct Run {
    id: RunId,
    owner: Option<Process>,
}

/// Every run on this machine.
///
/// # Errors
/// Where the folder of runs cannot be read.
pub fn runs() -> anyhow::Result<Vec<Run>> {
    let entries = match fs::read_dir(RUNS) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context(RUNS),
    };
    let ids = entries.flatten().filter_map(|entry| RunId::parse(entry.file_name().to_str()?));
    Ok(ids.map(Run::open).collect())
}

impl Run {
    fn open(id: RunId) -> Self {
        let owner = fs::read(id.folder().join("owner")).ok();
        let owner = owner.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { id, owner }
    }

    /// Its id: the middle of its hosts' names.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// Whether the process that started it still lives.
    #[must_use]
    pub fn has_owner(&self) -> bool {
        self.owner.is_some_and(Process::is_alive)
    }

    /// Ends its hosts and removes everything it made, whether or not its owner lives.
    ///
    /// # Errors
    /// Where something is left, with a list of it.
    pub fn down(&self) -> anyhow::Result<()> {
        let arguments = ["-c", SCRIPT, "teardown", self.id.as_str()];
        run(Command::new("/bin/sh").args(arguments), DEADLINE)?.checked().map(|_| ())
    }
}

/// Takes a run down as soon as the other end of its standard input is closed: by [`Guard::down`], or by the
/// kernel when this process dies.
#[derive(Debug)]
pub(super) struct Guard {
    child: Child,
}

impl Guard {
    pub(super) fn start(id: &RunId) -> anyhow::Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let child = Command::new("/bin/sh")
            .args(["-c", &format!("cat >/dev/null\n{SCRIPT}"), "lab-guard", id.as_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .current_dir("/")
            .spawn()
            .context("cannot start the guard of the lab")?;
        Ok(Self { child })
    }

    /// Takes the run down and waits for it.
    ///
    /// # Errors
    /// Where something is left; the guard has said what.
    pub(super) fn down(&mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        let status = wait::value(DEADLINE, || self.child.try_wait().ok().flatten());
        let status = status.context("the lab is still not down")?;
        anyhow::ensure!(status.success(), "the lab left something behind: see above");
        Ok(())
    }
}
