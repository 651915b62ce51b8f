//! One host's deploy, step by step: probe, upload, apply, and the confirmation over a new connection.
//!
//! The host itself plans, stages, switches and, unless it hears a confirmation, puts the old release back; see the
//! agent's `apply`. Here is only the conversation.

use std::time::Duration;

use agent_runner::apply::manifest::{Drain, Healthy, Manifest, Scope};
use agent_runner::apply::report::{Change, Outcome, Problem, Report, What};
use agent_runner::version::{PROTOCOL, Version};
use tokio::time::{Instant, sleep};

use super::probe::{self, Facts, Places};
use crate::bundle::{self, Agent};
use crate::output::recap::{HostResult, Status};
use crate::ssh::{Client, Exec, ExitStatus, Output, Payload, Session, Settings, SshError, Sudo, Upload};

/// How long an `apply` may take: it validates, clones and restarts.
const APPLY_DEADLINE: Duration = Duration::from_secs(300);
/// Between two questions whether a switched release is well.
const CONFIRM_PAUSE: Duration = Duration::from_millis(500);
/// Between them while a long round drains, at most.
const DRAIN_PAUSE: Duration = Duration::from_secs(5);
/// How long a new connection may take to come about before the release counts as the one that broke the login.
const LOGIN_DEADLINE: Duration = Duration::from_secs(30);
/// What a host needs beside the binary itself, in KiB.
const ROOM_KIB: u64 = 1024;

/// What is done to one host, and how it is reached.
#[derive(Debug, Clone)]
pub struct HostDeploy {
    /// The host's name.
    pub host: String,
    /// How to reach it.
    pub settings: Settings,
    /// What it shall have.
    pub manifest: Manifest,
    /// Where its projects run; all of them in one.
    pub scope: Scope,
    /// How to become root, when the inventory says so.
    pub sudo: Option<Sudo>,
    /// How far to go.
    pub depth: Depth,
}

/// How far a deploy goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Only look.
    Check,
    /// Change what differs.
    Apply,
}

/// How a host ended, with what differs or was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// For the recap.
    pub result: HostResult,
    /// In order; empty when nothing differs or nothing is known.
    pub changes: Vec<Change>,
}

/// Deploys to one host; `step` is told what happens.
pub async fn deploy(client: &Client, task: &HostDeploy, step: impl Fn(&str)) -> Deployed {
    let run = Run { client, task, step };
    match run.run().await {
        Ok(deployed) => deployed,
        Err(stopped) => Deployed { result: stopped.into_result(&task.host), changes: Vec::new() },
    }
}

/// Why a host's deploy ended before its end.
enum Halt {
    /// The connection, or what ran over it.
    Ssh(SshError),
    /// The host, with its remedy and the last words.
    Host { status: Status, message: String, remedy: String, tail: String },
}

impl From<SshError> for Halt {
    fn from(error: SshError) -> Halt {
        Halt::Ssh(error)
    }
}

impl Halt {
    fn failed(message: impl Into<String>) -> Halt {
        Halt::Host {
            status: Status::Failed,
            message: message.into(),
            remedy: String::new(),
            tail: String::new(),
        }
    }

    fn into_result(self, host: &str) -> HostResult {
        match self {
            Halt::Ssh(error) => crate::output::recap::of_ssh_error(host, &error),
            Halt::Host { status, message, remedy, tail } => {
                HostResult::new(host, status, message).hinted(remedy).with_tail(&tail)
            }
        }
    }
}

struct Run<'a, S> {
    client: &'a Client,
    task: &'a HostDeploy,
    step: S,
}

impl<S: Fn(&str)> Run<'_, S> {
    async fn run(&self) -> Result<Deployed, Halt> {
        (self.step)("probing");
        let session = self.client.session(&self.task.settings).await?;
        let places = Places::of(self.task.scope);
        let script = probe::script(places);
        let output = self.exec(&session, script, self.manifest()?, Duration::from_secs(60)).await?;
        let probed = probe::read(&String::from_utf8_lossy(&output.stdout))
            .map_err(|error| with_output(error.to_string(), &output))?;
        let agent = self.agent(&probed.facts)?;
        if let Some(report) =
            probed.report.filter(|_| probed.facts.installed == Some(agent.release().folder()))
        {
            if report.outcome == Outcome::Unchanged {
                return Ok(Deployed { result: self.result(Status::Ok, ""), changes: Vec::new() });
            }
            if report.outcome == Outcome::Refused {
                return Err(refusal(&report, &output));
            }
            if self.task.depth == Depth::Check {
                return Ok(self.drift(report.changes));
            }
        } else if self.task.depth == Depth::Check {
            let what = format!("agent {} is not installed", agent.version);
            return Ok(Deployed { result: self.result(Status::Changed, what), changes: Vec::new() });
        } else {
            self.upload(&session, places, &agent).await?;
        }
        self.switch(&session, places, &agent).await
    }

    /// Chooses the agent for the host, or says what stands in the way.
    fn agent(&self, facts: &Facts) -> Result<Agent, Halt> {
        let agent = bundle::agent_for(&facts.machine).ok_or_else(|| {
            let carried: Vec<&str> = bundle::agents().iter().map(|agent| agent.machine).collect();
            Halt::Host {
                status: Status::Failed,
                message: format!("this controller carries no agent for {}", facts.machine),
                remedy: format!("use a release that does; this one carries {}", carried.join(", ")),
                tail: String::new(),
            }
        })?;
        let needed = agent.size / 1024 * 2 + ROOM_KIB;
        match probe::obstacle(facts, needed, self.task.scope) {
            None => Ok(agent),
            Some((message, remedy)) => {
                Err(Halt::Host { status: Status::Failed, message, remedy, tail: String::new() })
            }
        }
    }

    /// Puts the binary into its version folder and sees that it runs there.
    async fn upload(&self, session: &Session, places: Places, agent: &Agent) -> Result<(), Halt> {
        (self.step)("uploading the agent");
        let folder = agent.release().folder();
        // Uploads name a path below the home; a system-wide place is filled from there as root.
        let relative = format!(".local/share/agent-runner/versions/{folder}/agent-runner");
        let payload = Payload::Gzip(agent.gzip.into());
        session.upload(Upload::new(payload, relative.clone(), agent.sha256).mode(0o755)).await?;
        let binary = format!("{}/versions/{folder}/agent-runner", places.share);
        let place = match self.task.scope {
            Scope::User | Scope::Detached => String::new(),
            Scope::System => {
                format!("install -D -m 755 \"{}/{relative}\" \"{binary}\" && ", self.home(session).await?)
            }
        };
        let script = format!("{place}exec \"{binary}\" --json --version");
        let output = self.exec(session, script, Vec::new(), Duration::from_secs(30)).await?;
        let version: Option<Version> = serde_json::from_slice(&output.stdout).ok();
        match version {
            Some(version) if version.protocol == PROTOCOL => Ok(()),
            Some(version) => Err(Halt::failed(format!(
                "the uploaded agent speaks protocol {}, not {PROTOCOL}",
                version.protocol
            ))),
            None => Err(with_output("the uploaded agent does not run there".into(), &output)),
        }
    }

    async fn home(&self, session: &Session) -> Result<String, Halt> {
        let output = session.exec(Exec::command("printf %s \"$HOME\"")).await?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Applies the manifest with the new binary, then confirms over a new connection.
    async fn switch(&self, session: &Session, places: Places, agent: &Agent) -> Result<Deployed, Halt> {
        (self.step)("applying");
        let binary = format!("\"{}/versions/{}/agent-runner\"", places.share, agent.release().folder());
        let script = format!("exec {binary} --json apply");
        let output = self.exec(session, script, self.manifest()?, APPLY_DEADLINE).await?;
        let report = read_report(&output)?;
        match report.outcome {
            Outcome::Unchanged => Ok(Deployed { result: self.result(Status::Ok, ""), changes: Vec::new() }),
            Outcome::Refused | Outcome::Failed => Err(refusal(&report, &output)),
            Outcome::Reverted => Err(reverted(&report)),
            Outcome::Confirmed => Ok(self.changed(report.changes, agent)),
            Outcome::Switched | Outcome::Waiting | Outcome::Drift => {
                let release = report.pending.clone().ok_or_else(|| {
                    with_output("the agent switched without naming the release to confirm".into(), &output)
                })?;
                self.confirm(&binary, &release).await?;
                Ok(self.changed(report.changes, agent))
            }
        }
    }

    /// Asks over a new connection until the host is well: an old connection proves nothing about the login.
    async fn confirm(&self, binary: &str, release: &str) -> Result<(), Halt> {
        (self.step)("confirming");
        let fresh = tokio::time::timeout(LOGIN_DEADLINE, self.client.connect(&self.task.settings)).await;
        let session = match fresh {
            Ok(Ok(session)) => session,
            Ok(Err(error)) => return Err(self.unconfirmed(&error.to_string())),
            Err(_) => return Err(self.unconfirmed("no new connection came about")),
        };
        let deadline = Instant::now() + self.patience();
        let script = format!("exec {binary} --json apply --confirm {}", crate::ssh::quote(release));
        loop {
            let output = self.exec(&session, script.clone(), Vec::new(), Duration::from_secs(60)).await?;
            let report = read_report(&output)?;
            let note = report.notes.first().cloned().unwrap_or_default();
            match report.outcome {
                Outcome::Confirmed => return Ok(()),
                Outcome::Reverted => return Err(reverted(&report)),
                Outcome::Refused
                | Outcome::Failed
                | Outcome::Unchanged
                | Outcome::Drift
                | Outcome::Switched => {
                    return Err(refusal(&report, &output));
                }
                Outcome::Waiting if Instant::now() >= deadline => {
                    return Err(self.unconfirmed(&format!("it is not well in time: {note}")));
                }
                Outcome::Waiting => {
                    (self.step)(if note.is_empty() { "confirming" } else { &note });
                    let drains = report.services.iter().any(|service| service.round_num.is_some());
                    sleep(if drains { self.drain_pause() } else { CONFIRM_PAUSE }).await;
                }
            }
        }
    }

    /// How long a release may take to become well: the host's own deadline, the longest round where rounds drain, and
    /// once more where a round of the new release has to end well.
    fn patience(&self) -> Duration {
        let manifest = &self.task.manifest;
        let round_s = longest_round_s(manifest);
        let drain_s = match manifest.drain {
            Drain::Now => 0,
            Drain::Seconds(seconds) => seconds,
            Drain::Round => round_s,
        };
        let healthy_s = match manifest.healthy {
            Healthy::Active => 0,
            Healthy::Round => round_s,
        };
        Duration::from_secs(manifest.confirm_s + drain_s + healthy_s)
    }

    /// How long to wait before asking again while a round drains: each question keeps the host from reverting for
    /// another `confirm_s`, so several have to fit into that.
    fn drain_pause(&self) -> Duration {
        let confirm = Duration::from_secs(self.task.manifest.confirm_s);
        (confirm / 4).clamp(CONFIRM_PAUSE, DRAIN_PAUSE)
    }

    fn unconfirmed(&self, why: &str) -> Halt {
        Halt::Host {
            status: Status::Reverted,
            message: format!("not confirmed: {why}"),
            remedy: format!(
                "the host puts its previous release back within {} s",
                self.task.manifest.confirm_s
            ),
            tail: String::new(),
        }
    }

    fn manifest(&self) -> Result<Vec<u8>, Halt> {
        serde_json::to_vec(&self.task.manifest)
            .map_err(|error| Halt::failed(format!("the manifest: {error}")))
    }

    async fn exec(
        &self,
        session: &Session,
        script: String,
        stdin: Vec<u8>,
        deadline: Duration,
    ) -> Result<Output, Halt> {
        let exec = Exec::command(script).stdin(stdin).deadline(Some(deadline));
        let exec = match &self.task.sudo {
            Some(sudo) => sudo.wrap(exec),
            None => exec,
        };
        Ok(session.exec(exec).await?)
    }

    fn result(&self, status: Status, message: impl Into<String>) -> HostResult {
        HostResult::new(self.task.host.clone(), status, message)
    }

    fn drift(&self, changes: Vec<Change>) -> Deployed {
        Deployed { result: self.result(Status::Changed, summary(&changes)), changes }
    }

    fn changed(&self, changes: Vec<Change>, agent: &Agent) -> Deployed {
        let mut what = summary(&changes);
        if what.is_empty() {
            what = format!("agent {}", agent.version);
        }
        Deployed { result: self.result(Status::Changed, what), changes }
    }
}

/// The most file names that a line names.
const NAMED: usize = 3;

/// Says in one line what changed: the agent, the files by their short names, the services.
fn summary(changes: &[Change]) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut files: Vec<&str> = Vec::new();
    // What keeps our files out of git's sight is no news to a person.
    for change in changes.iter().filter(|change| !change.name.ends_with(".git/info/exclude")) {
        let short = change.name.rsplit('/').next().unwrap_or(&change.name);
        match change.what {
            What::Binary => said.push(format!("agent {}", env!("CARGO_PKG_VERSION"))),
            What::File => files.push(short),
            What::Env => said.push("environment".to_owned()),
            What::Repo => said.push(format!("clone of {short}")),
            What::Unit => said.push(short.to_owned()),
            What::Service => said.push(format!("{} {short}", change.action.as_str())),
        }
    }
    files.dedup();
    let more = files.len().saturating_sub(NAMED);
    files.truncate(NAMED);
    if more > 0 {
        said.insert(0, format!("{} and {more} more files", files.join(", ")));
    } else if !files.is_empty() {
        said.insert(0, files.join(", "));
    }
    said.join(", ")
}

fn longest_round_s(manifest: &Manifest) -> u64 {
    let configs = manifest.projects.iter().flat_map(|project| {
        project.files.iter().filter(|file| file.path == "agent-runner.toml").map(|file| &file.content)
    });
    let stop_times = configs.filter_map(|text| {
        let path = std::path::Path::new("/agent-runner.toml");
        let loaded =
            agent_runner::config::types::Config::parse(text, path, Some(std::path::Path::new("/"))).ok()?;
        Some(loaded.config.stop_timeout_s())
    });
    stop_times.max().unwrap_or_default()
}

fn read_report(output: &Output) -> Result<Report, Halt> {
    serde_json::from_slice(&output.stdout).map_err(|_| with_output("the agent gave no report".into(), output))
}

fn with_output(message: String, output: &Output) -> Halt {
    let ended = match &output.status {
        ExitStatus::Code(code) => format!("exit {code}"),
        ExitStatus::Signal(signal) => format!("signal {signal}"),
    };
    let mut tail = String::from_utf8_lossy(&output.stderr).into_owned();
    if tail.trim().is_empty() {
        tail = String::from_utf8_lossy(&output.stdout).into_owned();
    }
    Halt::Host {
        status: Status::Failed,
        message: format!("{message} ({ended})"),
        remedy: String::new(),
        tail,
    }
}

fn refusal(report: &Report, output: &Output) -> Halt {
    match report.problems.first() {
        Some(_) => problems(Status::Failed, &report.problems),
        None => with_output("the agent refused without a reason".into(), output),
    }
}

fn reverted(report: &Report) -> Halt {
    if report.problems.is_empty() {
        return Halt::Host {
            status: Status::Reverted,
            message: "the previous release is back".into(),
            remedy: String::new(),
            tail: String::new(),
        };
    }
    problems(Status::Reverted, &report.problems)
}

fn problems(status: Status, problems: &[Problem]) -> Halt {
    let messages: Vec<String> = problems
        .iter()
        .map(|problem| match &problem.project {
            Some(project) => format!("{project}: {}", problem.message),
            None => problem.message.clone(),
        })
        .collect();
    let remedy = problems.iter().map(|problem| problem.remedy.clone()).find(|remedy| !remedy.is_empty());
    let mut lines = messages.into_iter();
    Halt::Host {
        status,
        message: lines.next().unwrap_or_default(),
        remedy: remedy.unwrap_or_default(),
        tail: lines.collect::<Vec<_>>().join("\n"),
    }
}
