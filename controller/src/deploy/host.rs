//! One host's deploy, step by step: probe, upload, apply, and the confirmation over a new connection.
//!
//! The host itself plans, stages, switches and, unless it hears a confirmation, puts the old release back; see the
//! agent's `apply`. Here is only the conversation.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agent_runner::apply::manifest::Scope;
use agent_runner::apply::newer;
use agent_runner::apply::report::{Change, Outcome, Report};
use agent_runner::version::{PROTOCOL, Version};
use tokio::time::{Instant, sleep, timeout};

use super::halt::{Halt, read_report, refusal, reverted, unprobed, with_output};
use super::place::Placing;
use super::probe::{self, Facts, Known, Places, Probed};
use super::summary::summary;
use super::turn::Turn;
use super::wish::Wish;
use crate::bundle::{self, Agent};
use crate::failpoint::{self, Step};
use crate::output::recap::{HostResult, Status};
use crate::ssh::{Client, Exec, Output, Payload, Session, Settings, Sudo, Upload};

/// How long an `apply` may take, without what it clones: it validates and restarts.
const APPLY_DEADLINE: Duration = Duration::from_secs(300);
/// Between two questions whether a switched release is well.
const CONFIRM_PAUSE: Duration = Duration::from_millis(500);
/// Between them while a long round drains, at most.
const DRAIN_PAUSE: Duration = Duration::from_secs(5);
/// How long a new connection may take to come about before the release counts as the one that broke the login.
const LOGIN_DEADLINE: Duration = Duration::from_secs(30);
/// What a host needs beside the binary itself, in KiB.
const ROOM_KIB: u64 = 1024;
/// Where a login's own agents are, below its home.
const HOME_SHARE: &str = ".local/share/agent-runner";
/// The largest report, in bytes: it holds a diff of every file.
const REPORT_MAX: usize = 16 << 20;

/// What is done to one host, and how it is reached.
#[derive(Debug, Clone)]
pub struct HostDeploy {
    /// The host's name.
    pub host: String,
    /// How to reach it.
    pub settings: Settings,
    /// What it is asked for.
    pub wish: Wish,
    /// Where its projects run; all of them in one.
    pub scope: Scope,
    /// How to become root, when the inventory says so.
    pub sudo: Option<Sudo>,
    /// How far to go.
    pub depth: Depth,
    /// How long it may take in all, without the wait for its turn; `None` is as long as its rounds take.
    pub deadline: Option<Duration>,
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
    /// What a person should know without it being wrong.
    pub notes: Vec<String>,
    /// Whether somebody else's lock kept us out.
    pub is_held: bool,
    /// The fingerprint of the key that we logged in with.
    pub key: Option<String>,
}

impl Deployed {
    /// Returns a host of which nothing more is known than its result.
    pub fn only(result: HostResult) -> Deployed {
        Deployed { result, changes: Vec::new(), notes: Vec::new(), is_held: false, key: None }
    }
}

/// Deploys to one host, when its turn comes; `step` is told what happens.
pub async fn deploy(client: &Client, task: &HostDeploy, turn: &mut Turn, step: impl Fn(&str)) -> Deployed {
    let (applies, switched) = (AtomicBool::new(false), AtomicBool::new(false));
    let run = Run { client, task, step, key: OnceLock::new(), applies, switched };
    let ended = run.run(turn).await;
    let key = run.key.get().cloned();
    match ended {
        Ok(deployed) => Deployed { key, ..deployed },
        Err(halt) => {
            let is_held = halt.is_held();
            let mut result = halt.into_result(&task.host);
            if result.hint.is_empty() && run.applies.load(Ordering::Relaxed) {
                result.hint = format!(
                    "what was not confirmed the host puts back within {} s; then: agent-runner-fleet deploy --limit {}",
                    task.wish.confirm_s(),
                    task.host
                );
            }
            Deployed { is_held, key, ..Deployed::only(result) }
        }
    }
}

struct Run<'a, S> {
    client: &'a Client,
    task: &'a HostDeploy,
    step: S,
    /// The fingerprint of the key that we logged in with.
    key: OnceLock<String>,
    /// Whether a manifest was sent: from then on something may have been switched.
    applies: AtomicBool,
    /// Whether it was, and waits for its confirmation.
    switched: AtomicBool,
}

impl<S: Fn(&str)> Run<'_, S> {
    async fn run(&self, turn: &mut Turn) -> Result<Deployed, Halt> {
        (self.step)("probing");
        Step::Probe.reach(&self.task.host).await;
        let began = Instant::now();
        let login = async { Ok(self.client.session(&self.task.settings).await?) };
        let session = self.within(self.task.deadline, login).await?;
        if let Some(key) = &session.login().key {
            self.key.get_or_init(|| key.clone());
        }
        let left = self.task.deadline.map(|all| all.saturating_sub(began.elapsed()));
        if !turn.comes().await {
            return Ok(Deployed::only(self.result(Status::Skipped, "")));
        }
        self.within(left, self.work(&session)).await
    }

    /// Does what may take so long; what comes too late is dropped, and the host goes on by itself.
    async fn within<T>(
        &self,
        left: Option<Duration>,
        work: impl Future<Output = Result<T, Halt>>,
    ) -> Result<T, Halt> {
        let Some(left) = left else { return work.await };
        timeout(left, work).await.unwrap_or_else(|_| {
            let words = format!("no result within {} s", self.task.deadline.unwrap_or_default().as_secs());
            let (switched, applies) =
                (self.switched.load(Ordering::Relaxed), self.applies.load(Ordering::Relaxed));
            Err(match (switched, applies) {
                (true, _) => self.unconfirmed(&words),
                (false, true) => Halt::failed(words),
                (false, false) => Halt::with_remedy(words, "give it longer with --timeout SECONDS"),
            })
        })
    }

    async fn work(&self, session: &Session) -> Result<Deployed, Halt> {
        let places = Places::of(self.task.scope);
        let script = probe::script(places, self.task.wish.verb());
        let output = self.exec(session, script, self.text()?, Duration::from_secs(60)).await?;
        let mut probed = probe::read(&String::from_utf8_lossy(&output.stdout))
            .map_err(|error| unprobed(&error, &output))?;
        Step::Plan.reach(&self.task.host).await;
        if self.task.depth == Depth::Apply {
            self.enable_linger(session, &mut probed.facts).await?;
        }
        let Some(agent) = self.agent(&probed.facts)? else {
            return self.with_what_is_there(session, places, (probed, &output)).await;
        };
        let folder = agent.release().folder();
        let stays = probed.facts.installed.as_deref().filter(|installed| self.outranks(installed, &agent));
        let speaks = stays.or(Some(folder.as_str()));
        match probed.report {
            Some(report) if probed.facts.installed.as_deref() == speaks || self.only_looks() => {
                if let Some(deployed) = self.settled(report, &output)? {
                    return Ok(deployed);
                }
            }
            Some(_) | None if self.only_looks() => {
                let changes = self.task.wish.from_nothing(&folder);
                let result = self.result(Status::Changed, summary(&changes));
                let notes =
                    vec!["no agent answers there yet: what differs is not known in detail".to_owned()];
                return Ok(Deployed { changes, notes, ..Deployed::only(result) });
            }
            Some(Report { held_by: Some(owner), .. }) => return Err(Halt::Held { owner: Box::new(owner) }),
            Some(_) | None => {}
        }
        let folder = match stays {
            Some(installed) => installed.to_owned(),
            None => {
                if probed.facts.installed.as_deref() != Some(folder.as_str()) {
                    self.upload(session, places, &agent).await?;
                }
                folder
            }
        };
        let what = format!("agent {}", agent.version);
        self.switch(session, &program(places, &folder), &what).await
    }

    /// Does what needs no other agent than the one that is there.
    async fn with_what_is_there(
        &self,
        session: &Session,
        places: Places,
        (probed, output): (Probed, &Output),
    ) -> Result<Deployed, Halt> {
        let (Some(folder), Some(report)) = (probed.facts.installed, probed.report) else {
            let remedy = format!("agent-runner-fleet deploy --limit {}", self.task.host);
            return Err(Halt::with_remedy("no agent that understands this is installed there", remedy));
        };
        match self.settled(report, output)? {
            Some(deployed) => Ok(deployed),
            None => self.switch(session, &program(places, &folder), "").await,
        }
    }

    /// Returns how the host ends when the report says all there is to say; `None` when something is left to be done.
    fn settled(&self, report: Report, output: &Output) -> Result<Option<Deployed>, Halt> {
        match report.outcome {
            Outcome::Unchanged => {
                Ok(Some(Deployed { notes: report.notes, ..Deployed::only(self.result(Status::Ok, "")) }))
            }
            Outcome::Refused => Err(refusal(&report, output)),
            Outcome::Drift | Outcome::Switched | Outcome::Waiting | Outcome::Confirmed => {
                match (self.task.depth, report.held_by) {
                    (Depth::Apply, Some(owner)) => Err(Halt::Held { owner: Box::new(owner) }),
                    (Depth::Apply, None) => Ok(None),
                    (Depth::Check, held) => {
                        let mut notes = report.notes;
                        notes.extend(held.map(|owner| format!("locked: {owner}")));
                        let result = self.result(Status::Changed, summary(&report.changes));
                        Ok(Some(Deployed { changes: report.changes, notes, ..Deployed::only(result) }))
                    }
                }
            }
            Outcome::Reverted | Outcome::Failed => Err(refusal(&report, output)),
        }
    }

    fn only_looks(&self) -> bool {
        self.task.depth == Depth::Check
    }

    /// Returns whether the agent in a version folder is newer than ours, and stays.
    fn outranks(&self, installed: &str, ours: &Agent) -> bool {
        let newer =
            newer::version(installed).is_some_and(|version| newer::compare(version, ours.version).is_gt());
        newer && !self.task.wish.downgrades()
    }

    /// Lets services outlive the login where they would not and sudo allows it. What it cannot do the report says.
    async fn enable_linger(&self, session: &Session, facts: &mut Facts) -> Result<(), Halt> {
        if self.task.scope != Scope::User || facts.systemd == Known::No || facts.linger == Known::Yes {
            return Ok(());
        }
        (self.step)("enabling lingering");
        let exec = Exec::command(probe::ENABLE_LINGER).deadline(Some(Duration::from_secs(30)));
        let output = session.exec(exec).await?;
        if output.success() {
            facts.linger = Known::Yes;
            facts.user_bus = Known::Yes;
        }
        Ok(())
    }

    /// Chooses the agent for the host, or says what stands in the way; `None` when none is brought along.
    fn agent(&self, facts: &Facts) -> Result<Option<Agent>, Halt> {
        if !self.task.wish.brings_agent() {
            return Ok(None);
        }
        let agent = bundle::agent_for(&facts.machine).ok_or_else(|| {
            let carried: Vec<&str> = bundle::agents().iter().map(|agent| agent.machine).collect();
            let message = format!("this controller carries no agent for {}", facts.machine);
            let remedy = format!("use a release that does; this one carries {}", carried.join(", "));
            Halt::with_remedy(message, remedy)
        })?;
        let is_there = facts.installed.as_deref() == Some(agent.release().folder().as_str());
        let needed = if is_there { 0 } else { agent.size / 1024 * 2 + ROOM_KIB };
        match probe::obstacle(facts, needed, self.task.scope) {
            None => Ok(Some(agent)),
            Some((message, remedy)) => Err(Halt::with_remedy(message, remedy)),
        }
    }

    /// Puts the binary into its version folder and sees that it runs there.
    async fn upload(&self, session: &Session, places: Places, agent: &Agent) -> Result<(), Halt> {
        (self.step)("uploading the agent");
        Step::Upload.reach(&self.task.host).await;
        let folder = agent.release().folder();
        // Uploads name a path below the home; a system-wide place is filled from there as root.
        let own = match self.task.scope {
            Scope::User | Scope::Detached => format!("{HOME_SHARE}/versions/{folder}"),
            Scope::System => format!("{HOME_SHARE}/incoming/{folder}"),
        };
        let (payload, relative) = (Payload::Gzip(agent.gzip.into()), format!("{own}/agent-runner"));
        session.upload(Upload::new(payload, relative.clone(), agent.sha256).mode(0o755)).await?;
        let binary = format!("{}/versions/{folder}/agent-runner", places.share);
        let place = match self.task.scope {
            Scope::User | Scope::Detached => String::new(),
            Scope::System => Placing {
                home: &self.home(session).await?,
                uploaded: &relative,
                binary: &binary,
                size: agent.size,
                sha256: agent.sha256,
            }
            .script(),
        };
        let script = format!("{place}exec \"{binary}\" --json --version");
        let output = self.exec(session, script, Vec::new(), Duration::from_secs(30)).await;
        if self.task.scope == Scope::System {
            // As the login whose it is: root removes nothing in a folder of somebody else's.
            let clear =
                format!("rm -rf -- {own}; rmdir {HOME_SHARE}/incoming {HOME_SHARE} 2>/dev/null; true");
            session.exec(Exec::command(clear)).await?;
        }
        let output = output?;
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

    /// Applies with the agent that shall run there, then confirms over a new connection.
    async fn switch(&self, session: &Session, binary: &str, what: &str) -> Result<Deployed, Halt> {
        (self.step)("applying");
        Step::Stage.reach(&self.task.host).await;
        self.applies.store(true, Ordering::Relaxed);
        let fault = failpoint::fault()
            .map(|fault| format!("export AGENT_RUNNER_FAIL_AT={}; ", crate::ssh::quote(&fault)));
        let script = format!("{}exec {binary} --json {}", fault.unwrap_or_default(), self.task.wish.verb());
        let deadline = APPLY_DEADLINE + self.task.wish.clones_within();
        let output = self.exec(session, script, self.text()?, deadline).await?;
        let report = read_report(&output)?;
        match report.outcome {
            Outcome::Unchanged => {
                let result = self.result(Status::Ok, "");
                return Ok(Deployed { notes: report.notes, ..Deployed::only(result) });
            }
            Outcome::Refused | Outcome::Failed => return Err(refusal(&report, &output)),
            Outcome::Reverted => return Err(reverted(&report)),
            Outcome::Confirmed => {}
            Outcome::Switched | Outcome::Waiting | Outcome::Drift => {
                let release = report.pending.clone().ok_or_else(|| {
                    with_output("the agent switched without naming the release to confirm".into(), &output)
                })?;
                self.confirm(binary, &release).await?;
            }
        }
        Step::Record.reach(&self.task.host).await;
        let said = summary(&report.changes);
        let message = if said.is_empty() { what.to_owned() } else { said };
        let result = self.result(Status::Changed, message);
        Ok(Deployed { changes: report.changes, notes: report.notes, ..Deployed::only(result) })
    }

    /// Asks over a new connection until the host is well: an old connection proves nothing about the login.
    async fn confirm(&self, binary: &str, release: &str) -> Result<(), Halt> {
        (self.step)("confirming");
        self.switched.store(true, Ordering::Relaxed);
        let fresh = timeout(LOGIN_DEADLINE, self.client.connect(&self.task.settings)).await;
        let session = match fresh {
            Ok(Ok(session)) => session,
            Ok(Err(error)) => return Err(self.unconfirmed(&error.to_string())),
            Err(_) => return Err(self.unconfirmed("no new connection came about")),
        };
        Step::Confirm.reach(&self.task.host).await;
        let deadline = Instant::now() + Duration::from_secs(self.task.wish.patience_s());
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
                    if drains {
                        Step::Drain.reach(&self.task.host).await;
                    }
                    sleep(if drains { self.drain_pause() } else { CONFIRM_PAUSE }).await;
                }
            }
        }
    }

    /// How long to wait before asking again while a round drains: each question keeps the host from reverting for
    /// another `confirm_s`, so several have to fit into that.
    fn drain_pause(&self) -> Duration {
        let confirm = Duration::from_secs(self.task.wish.confirm_s());
        (confirm / 4).clamp(CONFIRM_PAUSE, DRAIN_PAUSE)
    }

    fn unconfirmed(&self, why: &str) -> Halt {
        Halt::Host {
            status: Status::Reverted,
            message: format!("not confirmed: {why}"),
            remedy: format!(
                "the host puts its previous release back within {} s",
                self.task.wish.confirm_s()
            ),
            tail: String::new(),
        }
    }

    fn text(&self) -> Result<Vec<u8>, Halt> {
        let key = self.key.get().map(String::as_str);
        self.task.wish.text(key).map_err(|error| Halt::failed(format!("the manifest: {error}")))
    }

    async fn exec(
        &self,
        session: &Session,
        script: String,
        stdin: Vec<u8>,
        deadline: Duration,
    ) -> Result<Output, Halt> {
        let mut exec = Exec::command(script).stdin(stdin).deadline(Some(deadline));
        exec.output_limit = REPORT_MAX;
        let exec = match &self.task.sudo {
            Some(sudo) => sudo.wrap(exec),
            None => exec,
        };
        Ok(session.exec(exec).await?)
    }

    fn result(&self, status: Status, message: impl Into<String>) -> HostResult {
        HostResult::new(self.task.host.clone(), status, message)
    }
}

/// Returns the agent of a version folder as shell text.
fn program(places: Places, folder: &str) -> String {
    format!("\"{}/versions/{folder}/agent-runner\"", places.share)
}
