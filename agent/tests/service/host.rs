//! A host of its own for each test.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use agent_runner::apply::manifest::{
    AgentRelease, By, Drain, File, Healthy, MANIFEST_VERSION, Manifest, Part, Project, Scope, Service,
};
use agent_runner::apply::report::{Outcome, Report};
use agent_runner::service::Status;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::git::git;
use crate::wait;

/// A host with one project called `research`.
pub(super) struct Host {
    dir: TempDir,
}

impl Host {
    /// Returns a host with a git work tree and nothing deployed.
    pub(super) fn new() -> Host {
        let host = Host { dir: tempfile::tempdir().unwrap() };
        let work_dir = host.work_dir();
        fs::create_dir_all(&work_dir).unwrap();
        host.git(&["init", "--quiet"]);
        host.git(&["commit", "--quiet", "--allow-empty", "-m", "start"]);
        host
    }

    pub(super) fn home(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    pub(super) fn work_dir(&self) -> PathBuf {
        self.home().join("research")
    }

    pub(super) fn log_dir(&self) -> PathBuf {
        self.home().join(".agent-runner/research/logs")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.home().join(".local/state/agent-runner")
    }

    pub(super) fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.home().join(relative)).unwrap()
    }

    /// Waits until a file has something in it, and returns that.
    pub(super) fn wait_for(&self, relative: &str) -> String {
        let path = self.home().join(relative);
        wait::value(relative, || fs::read_to_string(&path).ok().filter(|text| !text.trim().is_empty()))
    }

    pub(super) fn write(&self, relative: &str, content: &str) {
        let path = self.home().join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().write_all(content.as_bytes()).unwrap();
    }

    pub(super) fn git(&self, arguments: &[&str]) -> String {
        git(&self.work_dir(), arguments)
    }

    /// Returns a command in this host's environment and nothing else.
    pub(super) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_clear()
            .env("HOME", self.home())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("GIT_AUTHOR_NAME", "t")
            .env("GIT_AUTHOR_EMAIL", "t@localhost")
            .env("GIT_COMMITTER_NAME", "t")
            .env("GIT_COMMITTER_EMAIL", "t@localhost")
            .stdin(Stdio::null());
        command
    }

    /// Runs a verb on the project and returns the service's state.
    pub(super) fn verb(&self, args: &[&str]) -> Status {
        let output = self.agent(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs the program on the project, with `--json`.
    pub(super) fn agent(&self, args: &[&str]) -> Output {
        let config = self.work_dir().join("agent-runner.toml");
        let mut command = self.command(program());
        command.arg("--json").arg("--config").arg(config).args(args).output().unwrap()
    }

    /// Runs `apply` with a manifest.
    pub(super) fn apply(&self, manifest: &Manifest, args: &[&str]) -> Report {
        let output = self.apply_with(manifest, args, None);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }

    /// Runs `apply` with something else on its stdin.
    pub(super) fn ask(&self, asked: &impl serde::Serialize, args: &[&str]) -> serde_json::Value {
        let output = self.apply_with(asked, args, None);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }

    /// Runs `apply` with a manifest, perhaps with a fault.
    pub(super) fn apply_with(
        &self,
        manifest: &impl serde::Serialize,
        args: &[&str],
        fault: Option<&str>,
    ) -> Output {
        let mut command = self.command(program());
        command.arg("apply").args(args).arg("--json").stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.envs(fault.map(|fault| ("AGENT_RUNNER_FAIL_AT", fault)));
        let mut child = command.spawn().unwrap();
        let text = serde_json::to_vec(manifest).unwrap();
        child.stdin.take().unwrap().write_all(&text).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Runs `apply --confirm` or `apply --revert`.
    pub(super) fn decide(&self, option: &str, id: &str) -> Report {
        let output = self.command(program()).args(["apply", option, id, "--json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }

    /// Confirms a switch, asking again as long as the host waits for something.
    pub(super) fn confirm(&self, switched: &Report) -> Report {
        let id = switched.pending.as_ref().unwrap();
        wait::value("a decision", || {
            Some(self.decide("--confirm", id)).filter(|report| report.outcome != Outcome::Waiting)
        })
    }

    /// Returns every path below the home folder with what would change if it were written: inode, time and size.
    pub(super) fn snapshot(&self) -> BTreeMap<PathBuf, (u64, i64, i64, u64)> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.home()];
        while let Some(folder) = folders.pop() {
            // What vanishes meanwhile is not there.
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let Ok(meta) = fs::symlink_metadata(entry.path()) else { continue };
                found.insert(entry.path(), (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.size()));
                if meta.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        found
    }

    /// Returns a manifest that wants `prompt` and whatever `change` does to it, detached.
    pub(super) fn manifest(&self, prompt: &str, change: impl FnOnce(&mut Manifest)) -> Manifest {
        let file = |path: &str, content: String| File { path: path.into(), content, secret: false };
        let mut manifest = Manifest {
            manifest: MANIFEST_VERSION,
            fleet: "attic".into(),
            host: "here".into(),
            by: By { user: "me".into(), machine: "desk".into(), run: "run-1".into(), key: None },
            agents: Vec::new(),
            projects: vec![Project {
                name: "research".into(),
                work_dir: "~/research".into(),
                repo: None,
                files: vec![
                    file("agent-runner.toml", config("sleep 600", "")),
                    file("prompts/main.md", prompt.to_owned()),
                ],
                mirrored: vec!["prompts".into()],
                env: None,
                service: Service { scope: Scope::Detached, monitor: false },
            }],
            confirm_s: 600,
            drain: Drain::Round,
            healthy: Healthy::Active,
            only: Part::All,
            downgrade: false,
        };
        change(&mut manifest);
        manifest
    }
}

impl Host {
    /// Ends the guard of a switch, as a person or the kernel would.
    pub(super) fn end_guard(&self) {
        let pid = fs::read(self.state().join("guard.json"))
            .ok()
            .and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok()?.get("pid")?.as_i64());
        if let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) {
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if self.work_dir().join("agent-runner.toml").exists() {
            self.agent(&["kill"]);
        }
        self.end_guard();
    }
}

/// Returns the program under test.
pub(super) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_agent-runner"))
}

/// Returns the program under test as a manifest names it.
pub(super) fn release(version: &str, file: &Path) -> AgentRelease {
    let hash = Sha256::digest(fs::read(file).unwrap());
    let sha256 = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    AgentRelease { machine: std::env::consts::ARCH.into(), version: version.into(), sha256 }
}

/// Returns a configuration whose agent runs a shell script, with more lines for `[runtime]`.
pub(super) fn config(script: &str, runtime: &str) -> String {
    format!(
        "schema_version = 1\n\n[agent]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\nprompt_arg_template = []\n\
         prompt_delivery = \"stdin\"\n\n[runtime]\nwork_dir = \".\"\nlog_dir = \"~/.agent-runner/{{project}}/logs\"\n\
         restart_delay_s = 1\nround_timeout_s = 300\n{runtime}\n\n[prompt]\nfile = \"prompts/main.md\"\n"
    )
}

/// A prompt that is long enough for the startup battery.
pub(super) const PROMPT: &str = concat!(
    "Please go on with the work described in this repository, one small step at a time, and commit each.\n",
    "Please go on with the work described in this repository, one small step at a time, and commit each.\n",
    "Please go on with the work described in this repository, one small step at a time, and commit each.\n",
    "Please go on with the work described in this repository, one small step at a time, and commit each.\n",
    "Please go on with the work described in this repository, one small step at a time, and commit each.\n",
    "Please go on with the work described in this repository, one small step at a time, and commit each.\n",
);
