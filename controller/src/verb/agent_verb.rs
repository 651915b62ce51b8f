//! The agent's own verbs, on every project of the selected hosts: what `status`, `start`, `stop`, `kill`, `cancel` and
//! `restart` have in common.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use agent_runner::service::Status as Service;
use agent_runner_inventory::{HostName, Inventory, Project};
use clap::Args;
use jiff::Timestamp;

use super::context::printed;
use super::deed::Deed;
use super::{Ctx, Patterns};
use crate::error::{Error, Exit, usage};
use crate::fleetview::state::StreamId;
use crate::history::{Asked, Entry};
use crate::output::print;
use crate::output::recap::{self, HostResult, Recap, Status};
use crate::output::result_line::ResultLine;
use crate::remote;
use crate::span;
use crate::ssh::{Client, Exec, ExitStatus, Output, Session, SshError};
use crate::targets::Target;

/// The hosts and projects a verb is for.
#[derive(Debug, Clone, Args)]
pub struct ProjectPatterns {
    #[command(flatten)]
    hosts: Patterns,
    /// Only these projects; repeatable
    #[arg(short, long, value_name = "NAME")]
    project: Vec<String>,
}

impl ProjectPatterns {
    /// The projects that were named; none is all.
    pub(crate) fn projects(&self) -> &[String] {
        &self.project
    }
}

/// Runs an agent's verb that changes something on every selected project, shows the service's state after it, and writes
/// down who asked for it.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, on: &ProjectPatterns, verb: &[&'static str]) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let (targets, places) = targets(ctx, &inventory, on)?;
    if ctx.global.list_hosts {
        return ctx.list_hosts(&targets);
    }
    let name = verb.first().copied().unwrap_or_default();
    let asked_at = Timestamp::now();
    let doing = ctx.begin(&inventory, &targets, &Deed { verb: name, projects: on.projects(), command: None });
    let (recap, answers) = ask_hosts(ctx, &inventory, (targets, &places), verb)?;
    let shown = show(ctx, &recap, &answers);
    let exit = ctx.finish(&inventory, &recap)?;
    // Last: whoever stops something in a hurry does not wait for a disk, and a closed stdout changes nothing of it.
    doing.end(&recap, exit);
    let asked = Asked { at: asked_at, by: &ctx.user(), what: name, run: Some(&doing.run), error: None };
    ctx.remember(&inventory, &lines(asked, &recap, &answers, &places));
    shown.map(|()| exit)
}

/// As [`run`], with a verb that only looks.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn look(ctx: &Ctx, on: &ProjectPatterns, verb: &[&'static str]) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let (targets, places) = targets(ctx, &inventory, on)?;
    if ctx.global.list_hosts {
        return ctx.list_hosts(&targets);
    }
    let (recap, answers) = ask_hosts(ctx, &inventory, (targets, &places), verb)?;
    show(ctx, &recap, &answers)?;
    ctx.finish(&inventory, &recap)
}

fn ask_hosts(
    ctx: &Ctx,
    inventory: &Inventory,
    (targets, places): (Vec<Target>, &Places),
    verb: &[&'static str],
) -> Result<(Recap, Answers), Error> {
    let name = verb.first().copied().unwrap_or_default();
    let (words, on) = (verb.to_vec(), places.clone());
    let answers: Arc<Mutex<Answers>> = Arc::default();
    let all = answers.clone();
    let recap = ctx.each_host(inventory, name, targets, move |client, target| {
        let on = on.get(&target.name).cloned().unwrap_or_default();
        let (verb, answers) = (words.clone(), all.clone());
        async move {
            let host = target.name.to_string();
            let session = match client.session(&target.settings).await {
                Ok(session) => session,
                Err(error) => return recap::of_ssh_error(&host, &error),
            };
            let mut said = Vec::new();
            for (project, work_dir) in on {
                match ask((&session, &target), &work_dir, &verb).await {
                    Ok(Ok(service)) => {
                        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                        answers.entry(host.clone()).or_default().push((project.clone(), service));
                        said.push(project);
                    }
                    Ok(Err(output)) => return refused(&host, &project, &output),
                    Err(error) => return recap::of_ssh_error(&host, &error),
                }
            }
            HostResult::new(host, Status::Ok, said.join(", "))
        }
    })?;
    let answers = std::mem::take(&mut *answers.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((recap, answers))
}

/// Returns the lines of the history: a line for each project of each host that was tried.
fn lines(asked: Asked<'_>, recap: &Recap, answers: &Answers, places: &Places) -> Vec<Entry> {
    let mut lines = Vec::new();
    for result in recap.results.iter().filter(|result| result.status != Status::Skipped) {
        let on = places.iter().find(|(host, _)| host.as_str() == result.host).map(|(_, on)| on);
        for (project, _) in on.into_iter().flatten() {
            let is_of = |(one, _): &(String, Service)| one == project;
            let answered = answers.get(&result.host).is_some_and(|answers| answers.iter().any(is_of));
            // The first refusal of a host ends its turn: the projects behind it were not asked.
            let of_another = on
                .into_iter()
                .flatten()
                .any(|(one, _)| one != project && result.message.starts_with(&format!("{one}: ")));
            let message =
                if of_another { format!("not asked: {}", result.message) } else { result.message.clone() };
            let error = (!answered).then_some(message.as_str());
            let id = StreamId { host: result.host.as_str().into(), project: project.as_str().into() };
            lines.push(Asked { error, ..asked }.of(&id));
        }
    }
    lines
}

/// What the agent of each host said of its projects.
type Answers = HashMap<String, Vec<(String, Service)>>;

/// Shows the services in the order of the inventory. As JSON that is a line a project; a host that did not do what it was
/// asked has a line of its own.
fn show(ctx: &Ctx, recap: &Recap, answers: &Answers) -> Result<(), Error> {
    for result in &recap.results {
        for (project, service) in answers.get(&result.host).into_iter().flatten() {
            if ctx.global.json {
                let ok = HostResult::new(result.host.clone(), Status::Ok, "");
                let line = ResultLine::of(&ok).project(project).with("service", service);
                printed(print::json_line(&line))?;
            } else {
                let words = in_words(service);
                printed(print::text(&format!("{}  {project}  {words}\n", result.host)))?;
            }
        }
        if ctx.global.json && result.status != Status::Ok {
            printed(print::json_line(&ResultLine::of(result)))?;
        }
    }
    Ok(())
}

/// The projects of each host: name and work tree.
pub(crate) type Places = HashMap<HostName, Vec<(String, String)>>;

/// Returns the selected hosts that have one of the selected projects, and their projects.
///
/// # Errors
/// When the selection is wrong, or no host has such a project.
pub(crate) fn targets(
    ctx: &Ctx,
    inventory: &Inventory,
    on: &ProjectPatterns,
) -> Result<(Vec<Target>, Places), Error> {
    let projects = ctx.projects(inventory, &on.project)?;
    let mut targets = ctx.targets(inventory, &on.hosts.patterns)?;
    targets.retain(|target| !projects.on(&target.name).is_empty());
    if targets.is_empty() {
        return Err(usage("none of the selected hosts has such a project"));
    }
    let places = targets.iter().map(|target| {
        let on = projects.on(&target.name).iter();
        (target.name.clone(), on.map(|one| (one.name.clone(), one.work_dir.clone())).collect())
    });
    let places = places.collect();
    Ok((targets, places))
}

/// Runs the agent's verb on a host's projects, one after another.
///
/// # Errors
/// The first failure of the connection.
pub async fn ask_all(
    client: &Client,
    target: &Target,
    projects: &[&Project],
    verb: &[&str],
) -> Result<(), SshError> {
    let session = client.session(&target.settings).await?;
    for project in projects {
        ask((&session, target), &project.work_dir, verb).await?.ok();
    }
    Ok(())
}

/// Returns the service's state after the verb, or what the verb printed when it failed.
async fn ask(
    (session, target): (&Session, &Target),
    work_dir: &str,
    verb: &[&str],
) -> Result<Result<Service, Output>, SshError> {
    let output = session.exec(target.exec(Exec::command(remote::agent(work_dir, verb)))).await?;
    let service = serde_json::from_slice(&output.stdout).ok().filter(|_| output.success());
    Ok(service.ok_or(output))
}

fn in_words(service: &Service) -> String {
    let state = if service.active { "active" } else { "stopped" };
    match service.uptime_s {
        Some(seconds) if service.active => {
            format!("{state} for {} ({})", span::words(seconds), service.mode.as_str())
        }
        Some(_) | None => format!("{state} ({})", service.mode.as_str()),
    }
}

/// Returns the result of a host on which the agent did not do what it was asked.
pub(crate) fn refused(host: &str, project: &str, output: &Output) -> HostResult {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let result =
        HostResult::new(host, Status::Failed, format!("{project}: the agent refused ({})", output.status));
    if output.status == ExitStatus::Code(remote::NOT_INSTALLED) {
        return not_installed(host);
    }
    result.with_tail(&said)
}

/// Returns the result of a host that has no agent.
pub(crate) fn not_installed(host: &str) -> HostResult {
    HostResult::new(host, Status::Failed, "agent-runner is not installed there")
        .hinted(format!("agent-runner-fleet deploy --limit {host}"))
}
