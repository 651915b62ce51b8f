//! Plays one case: a home and a work tree of their own, the configuration that `init` writes, a round, and what came
//! of it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent_runner::store::layout::Layout;
use anyhow::Context as _;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;

use super::case::Case;
use super::cli::Cli;
use super::page::{self, Steps};
use super::recording::{LOG_MAX, Outcome, Recording, STOPPED, read};
use super::scrub::Scrub;
use crate::mock_provider::{Behavior, MockProvider};
use crate::run::{Output, find_program, run};
use crate::wait;

/// The wall clock of a round that ends by itself, in seconds.
const BUDGET_S: u64 = 150;
/// More than a round of the longest budget takes.
const ROUND_DEADLINE: Duration = Duration::from_secs(240);
const STEP_DEADLINE: Duration = Duration::from_secs(60);

/// How the prompt begins.
pub(super) const FIRST_WORDS: &str = "Do the next step of the work";

const PROMPT: &str = "Do the next step of the work, commit it, and say so. The work is a file named work.md at the top of \
    this repository: every step adds one line to it and nothing else. A step counts only when it is committed, with a \
    message of a few words. Do not look at other files, do not ask anybody anything, and do not plan more than the one \
    step. When the step is committed, end with one short sentence that says what was done. If something is in the way, \
    say what it is in one sentence and end, so that the next round finds the work tree as it was before. Leave no process \
    running.\n";

/// Where one case is played.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The CLI.
    pub cli: &'a Cli,
    /// The folder of its program.
    pub programs: &'a Path,
    /// The program `agent-runner`.
    pub agent_runner: &'a Path,
    /// A folder that is not there yet.
    pub folder: PathBuf,
}

/// Plays one case.
///
/// # Errors
/// When anything but the CLI fails, and when the CLI uses another key than the provider's.
pub fn play(stage: &Stage<'_>, case: Case) -> anyhow::Result<Recording> {
    let mock = MockProvider::start(case.behavior())?;
    // The discard port: nobody listens where only loopback is.
    let nobody = case == Case::Provider(Behavior::Unreachable);
    let url = if nobody { "http://127.0.0.1:9".to_owned() } else { mock.url() };
    let begun = seconds();
    stage.set_up(&url, budget(stage.cli, case))?;
    let before = pids();
    let said = stage.folder.join("round.txt");
    let mut also = Vec::new();
    let round_code = if case == Case::Served {
        let served = stage.serve(&url, &mock);
        if served.is_err() {
            left_behind(&before, &stage.folder);
        }
        let served = served?;
        also.extend(served.also);
        served.code
    } else {
        stage.round(&url, &said, || in_the_middle(case, &mock))?
    };
    let seen = mock.seen();
    anyhow::ensure!(seen.iter().all(|seen| !seen.foreign_key), "a key that is not the provider's was sent");
    let told_to_people = fs::read_to_string(&said).unwrap_or_default();
    let layout = stage.layout().with_context(|| format!("the round said: {told_to_people}"))?;
    let events = events(&layout)?;
    anyhow::ensure!(
        events.iter().any(|event| event["event"] == "agent_spawn"),
        "the agent was not started; the round said: {told_to_people}"
    );
    // A round that is stopped tells no exit of its agent.
    let exit = events.iter().rfind(|event| event["event"] == "agent_exit").unwrap_or(&Value::Null);
    let log = newest_log(&layout).context("the round's log")?;
    if case.behavior() == Behavior::Helper {
        also.push(stage.helper()?.to_owned());
    }
    if case == Case::Stopped {
        mock.behave(Behavior::Idle);
        also.push(stage.continued(&url, &mock)?.to_owned());
    }
    let left = left_behind(&before, &stage.folder);
    anyhow::ensure!(left.is_empty(), "left behind: {left:?}");
    let requests = seen.iter().filter(|seen| seen.asked).count();
    anyhow::ensure!(
        requests >= case.least_requests(),
        "only {requests} requests: the CLI did not come so far"
    );
    let scrub = Scrub { texts: stage.texts(&url), begun };
    let log = without_repetition(scrub.clean(&log)?);
    let mut outcome = Outcome {
        exit_code: exit["exit_code"].as_i64().unwrap_or(-1),
        exit_cause: exit["exit_cause"].as_str().unwrap_or(STOPPED).to_owned(),
        timed_out: exit["timed_out"].as_bool().unwrap_or(false),
        round_code,
        requests,
        // Whether a CLI that is told to end still prints its last record depends on the machine's load.
        marker: case != Case::Stopped && stage.marker(&log),
        also,
        round_events: told(case, &events),
        read: Vec::new(),
    };
    outcome.read = read(stage.cli.name, &log, &outcome)?;
    Ok(Recording { log, outcome })
}

/// A log of pi without the records of half a message, and without those that say again what others say, one kind after
/// the other until it is small enough to keep. No rule reads any of them.
fn without_repetition(log: Vec<u8>) -> Vec<u8> {
    const REPEATING: [&str; 5] =
        ["message_update", "turn_end", "message_start", "tool_execution_update", "tool_execution_end"];
    REPEATING.iter().fold(log, |log, kind| {
        if log.len() < LOG_MAX {
            return log;
        }
        let begin = format!("{{\"type\":\"{kind}\"");
        let lines = log.split_inclusive(|byte| *byte == b'\n');
        lines.filter(|line| !line.starts_with(begin.as_bytes())).collect::<Vec<_>>().concat()
    })
}

/// The version a CLI tells.
///
/// # Errors
/// When it cannot be run.
pub fn version(stage: &Stage<'_>) -> anyhow::Result<String> {
    fs::create_dir_all(stage.home())?;
    fs::create_dir_all(stage.work())?;
    let mut command = stage.command("http://127.0.0.1:9", &stage.programs.join(stage.cli.name));
    let output = run(command.arg("--version"), STEP_DEADLINE)?;
    let told = format!("{}{}", output.stdout, output.stderr);
    output.checked().map(|_| told.trim().to_owned())
}

impl Stage<'_> {
    fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// What the page says for this CLI.
    pub(super) fn steps(&self) -> anyhow::Result<Steps> {
        page::steps(self.cli.name)
    }

    /// Makes the project by the page's own lines.
    fn set_up(&self, url: &str, budget_s: u64) -> anyhow::Result<()> {
        fs::create_dir_all(self.work())?;
        fs::create_dir_all(self.home())?;
        for (path, text) in self.cli.files(url) {
            let path = self.home().join(path);
            fs::create_dir_all(path.parent().context("a file of a home")?)?;
            fs::write(&path, text)?;
        }
        self.checked(url, OsStr::new("git"), &["init", "--quiet", "--initial-branch=main"])?;
        // In the repository: the shell of Gemini CLI does not see the user's own git configuration.
        self.checked(url, OsStr::new("git"), &["config", "user.name", "Mock"])?;
        self.checked(url, OsStr::new("git"), &["config", "user.email", "mock@example.invalid"])?;
        let editor = self.home().join("editor");
        fs::write(&editor, format!("#!/bin/sh\ncat >\"$1\" <<'END'\n{PROMPT}END\n"))?;
        fs::set_permissions(&editor, fs::Permissions::from_mode(0o755))?;
        for line in self.steps()?.prepare {
            self.shell(url, &line)?.checked()?;
            if line.starts_with("agent-runner init") {
                self.settle(budget_s)?;
            }
        }
        Ok(())
    }

    /// What an operator changes in the configuration, and a wall clock that nobody has to wait half an hour for.
    fn settle(&self, budget_s: u64) -> anyhow::Result<()> {
        let config = self.work().join("agent-runner.toml");
        let mut text = fs::read_to_string(&config)?;
        for (from, to) in self.cli.replaced {
            anyhow::ensure!(text.contains(from), "the preset has no {from}");
            text = text.replace(from, to);
        }
        anyhow::ensure!(text.contains("= 1800"), "the preset has no round_timeout_s of 1800");
        Ok(fs::write(&config, text.replacen("= 1800", &format!("= {budget_s}"), 1))?)
    }

    /// Runs the page's one round, sends SIGTERM to it when `interrupt` says so, and returns its exit code.
    fn round(
        &self,
        url: &str,
        said: &Path,
        interrupt: impl Fn() -> anyhow::Result<bool>,
    ) -> anyhow::Result<i32> {
        let mut shell = self.command(url, Path::new("/bin/sh"));
        let mut child = spawn(shell.args(["-c", &format!("exec {}", self.steps()?.round)]), said)?;
        if interrupt()? {
            kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
        }
        end(&mut child, ROUND_DEADLINE)
    }

    /// Runs one line as a person types it in the work tree.
    pub(super) fn shell(&self, url: &str, line: &str) -> anyhow::Result<Output> {
        let mut shell = self.command(url, Path::new("/bin/sh"));
        run(shell.args(["-c", line]).env("EDITOR", self.home().join("editor")), ROUND_DEADLINE)
    }

    /// A command in the work tree with the CLI's environment and nothing else.
    fn command(&self, url: &str, program: &Path) -> Command {
        let node = find_program("node").and_then(|node| Some(node.parent()?.to_owned()));
        let system = ["/usr/bin", "/bin"].map(PathBuf::from);
        let own = self.agent_runner.parent().map(Path::to_owned);
        let folders = [self.programs.to_owned()].into_iter().chain(own).chain(node).chain(system);
        let mut command = Command::new(program);
        command.current_dir(self.work()).env_clear().env("HOME", self.home());
        command.env("PATH", std::env::join_paths(folders).unwrap_or_default());
        command.env("LANG", "C.UTF-8").env("TMPDIR", self.home()).envs(self.cli.env(url));
        command
    }

    fn checked(&self, url: &str, program: &OsStr, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = self.command(url, Path::new(program));
        run(command.args(arguments), STEP_DEADLINE)?.checked().map(|_| ())
    }

    pub(super) fn layout(&self) -> anyhow::Result<Layout> {
        let projects = self.home().join(".agent-runner");
        let project = fs::read_dir(&projects)
            .with_context(|| projects.display().to_string())?
            .next()
            .context("no log dir")??;
        Ok(Layout::new(project.path().join("logs")))
    }

    /// What became of the process that the CLI's tool left behind.
    fn helper(&self) -> anyhow::Result<&'static str> {
        let Ok(pid) = fs::read_to_string(self.work().join("helper.pid")) else {
            return Ok("helper not started");
        };
        let pid: i32 = pid.trim().parse()?;
        let gone = wait::until(Duration::from_secs(10), || kill(Pid::from_raw(pid), None).is_err());
        if gone {
            return Ok("helper ended");
        }
        kill(Pid::from_raw(pid), Signal::SIGKILL)?;
        Ok("helper left running")
    }

    /// Whether the session that was stopped goes on: the provider sees the old tool call again.
    pub(super) fn continued(&self, url: &str, mock: &MockProvider) -> anyhow::Result<&'static str> {
        let Some(arguments) = self.cli.resume else { return Ok("no way to continue a session") };
        let mut command = self.command(url, &self.programs.join(self.cli.name));
        let output = run(command.args(arguments), STEP_DEADLINE)?;
        let known = mock.seen().iter().any(|seen| seen.asked && seen.body.contains("one step further"));
        Ok(if output.success() && known { "session continues" } else { "session is lost" })
    }

    fn marker(&self, log: &[u8]) -> bool {
        let presets = agent_runner::provider::Presets::embedded();
        let own = presets.rules_for(self.cli.name).and_then(|rules| rules.terminal_marker.clone());
        let marker = own.unwrap_or_else(|| "\"type\":\"result\"".into());
        !marker.is_empty() && log.windows(marker.len()).any(|window| window == marker.as_bytes())
    }

    fn texts(&self, url: &str) -> Vec<(String, String)> {
        let shown = |path: PathBuf| path.display().to_string();
        let slug = |path: &str| path.replace(['/', '.', '_'], "-");
        let (home, work) = (shown(self.home()), shown(self.work()));
        vec![
            (slug(&work), "-work".into()),
            (work, "/work".into()),
            (home, "/home/mock".into()),
            (shown(self.programs.to_owned()), "/usr/local/bin".into()),
            (
                self.programs.parent().map_or_else(String::new, |folder| shown(folder.to_owned())),
                "/usr/local/lib".into(),
            ),
            (url.to_owned(), "http://127.0.0.1:8080".into()),
        ]
    }
}

fn budget(cli: &Cli, case: Case) -> u64 {
    match case {
        Case::Provider(Behavior::Hang | Behavior::HangLater) | Case::Patient(_) => cli.start_s,
        Case::Provider(
            Behavior::Limited
            | Behavior::LimitedUntil
            | Behavior::AccountLimit
            | Behavior::Broken
            | Behavior::Overloaded
            | Behavior::Cut
            | Behavior::Garbage
            | Behavior::Unreachable,
        ) => cli.patience_s,
        Case::Provider(_) | Case::LoggedOut | Case::Stopped | Case::Served => BUDGET_S,
    }
}

fn spawn(command: &mut Command, said: &Path) -> anyhow::Result<Child> {
    let said = fs::File::create(said)?;
    let quiet = command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
    Ok(quiet.process_group(0).spawn()?)
}

fn end(child: &mut Child, deadline: Duration) -> anyhow::Result<i32> {
    let status = wait::value(deadline, || child.try_wait().ok().flatten());
    let Some(status) = status else {
        killpg(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGKILL)?;
        child.wait()?;
        anyhow::bail!("the round did not end within {deadline:?}");
    };
    Ok(status.code().unwrap_or(-1))
}

pub(super) fn events(layout: &Layout) -> anyhow::Result<Vec<Value>> {
    let mut events = Vec::new();
    for file in layout.events_files() {
        let text = fs::read_to_string(&file)?;
        events.extend(text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()));
    }
    Ok(events)
}

/// Whether the round is to be interrupted, once it is in the middle of a turn.
fn in_the_middle(case: Case, mock: &MockProvider) -> anyhow::Result<bool> {
    if case != Case::Stopped {
        return Ok(false);
    }
    let asked = || mock.seen().iter().filter(|seen| seen.asked).count();
    anyhow::ensure!(wait::until(STEP_DEADLINE, || asked() >= 2), "the second request did not come");
    Ok(true)
}

/// Kinds of what a round tells when it is not as every other round; of a service, what its newest round tells.
fn told(case: Case, events: &[Value]) -> Vec<String> {
    const USUAL: [&str; 6] =
        ["round_start", "agent_spawn", "agent_exit", "round_end", "substrate_snapshot", "round_progress"];
    let newest = events.iter().filter_map(|event| event["round_num"].as_i64()).max();
    let of_it = |event: &&Value| case != Case::Served || event["round_num"].as_i64() == newest;
    let kinds = events.iter().filter(of_it).filter_map(|event| event["event"].as_str());
    kinds.filter(|kind| !USUAL.contains(kind)).map(str::to_owned).collect()
}

pub(super) fn newest_log(layout: &Layout) -> anyhow::Result<Vec<u8>> {
    let logs = fs::read_dir(layout.rounds_dir())?.filter_map(|entry| Some(entry.ok()?.path()));
    let log =
        logs.filter(|path| path.extension() == Some(OsStr::new("log"))).max().context("no round log")?;
    Ok(fs::read(log)?)
}

fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Processes that were not there before and have the stage's folder in their environment: ended, and named.
fn left_behind(before: &[i32], folder: &Path) -> Vec<String> {
    let name = folder.as_os_str().as_encoded_bytes();
    let ours = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(name.len()).any(|window| window == name)
    };
    let mut left = Vec::new();
    for pid in pids().into_iter().filter(|pid| !before.contains(pid)).filter(ours) {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        left.push(String::from_utf8_lossy(&command).replace('\0', " "));
        // It may have ended meanwhile.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    left
}

fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
