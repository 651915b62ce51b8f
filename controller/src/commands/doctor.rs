//! `agent-runner-fleet doctor`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use agent_runner::apply::manifest::Manifest;
use agent_runner::config::types::Config;
use agent_runner_inventory::{HostName, fold_names};
use clap::Args;
use jiff::Timestamp;

use crate::deploy::checkup::{self, Finding, Wanted, WantedProject, Weight};
use crate::deploy::host::{Depth, HostDeploy};
use crate::deploy::wish::Wish;
use crate::error::{Error, Exit};
use crate::output::print;
use crate::output::recap::{self, HostResult, Status};
use crate::output::result_line::ResultLine;
use crate::ssh::Exec;
use crate::verb::Ctx;
use crate::verb::agent_verb::{self, ProjectPatterns};
use crate::verb::context::printed;
use crate::verb::order::{self, Order, Pace, What};

/// Check everything a deploy needs of the hosts
///
/// Kernel and machine, room, writable folders and what is in their way, systemd, the user's bus and lingering, sudo, git,
/// the clock, each project's work tree and agent CLI; each lack with its remedy. Writes nothing.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    on: ProjectPatterns,
}

/// What was found on a host.
type Found = (String, Vec<Finding>);

/// Runs the verb.
///
/// # Errors
/// When the inventory, the selection or a project's files are wrong.
pub fn run(ctx: &Ctx, args: DoctorArgs) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let (targets, _) = agent_verb::targets(ctx, &inventory, &args.on)?;
    if ctx.global.list_hosts {
        return ctx.list_hosts(&targets);
    }
    let projects = ctx.projects(&inventory, args.on.projects())?;
    let order = Order {
        verb: "doctor",
        projects: Vec::new(),
        what: What::Inventory(agent_runner::apply::manifest::Part::All),
        depth: Depth::Check,
        pace: Pace::default(),
        resumed: None,
        of_run: None,
        diff: false,
    };
    let tasks = order::tasks(ctx, (&inventory, &targets, &projects), &order, &ctx.by())?;
    let wanted: HashMap<HostName, Wanted> =
        targets.iter().map(|target| target.name.clone()).zip(tasks.iter().map(wanted)).collect();
    let all: Arc<Mutex<Vec<Found>>> = Arc::default();
    let told = all.clone();
    let recap = ctx.each_host(&inventory, "doctor", targets, move |client, target| {
        let (all, wanted) = (told.clone(), wanted.get(&target.name).cloned());
        async move {
            let host = target.name.to_string();
            let Some(wanted) = wanted else { return HostResult::new(host, Status::Skipped, "") };
            let exec = Exec::script(&checkup::script(&wanted));
            let answered = async { client.session(&target.settings).await?.exec(exec).await };
            let output = match answered.await {
                Ok(output) => output,
                Err(error) => return recap::of_ssh_error(&host, &error),
            };
            let now = Timestamp::now().as_second();
            let found = checkup::judge(&String::from_utf8_lossy(&output.stdout), &Wanted { now, ..wanted });
            let result = judged(&host, &found);
            all.lock().unwrap_or_else(PoisonError::into_inner).push((host, found));
            result
        }
    })?;
    let found = std::mem::take(&mut *all.lock().unwrap_or_else(PoisonError::into_inner));
    show(ctx, &recap.results, found)?;
    ctx.finish(&inventory, &recap)
}

fn wanted(task: &HostDeploy) -> Wanted {
    let manifest = match &task.wish {
        Wish::Manifest(manifest) => Some(manifest),
        Wish::Rollback(_) => None,
    };
    let projects = manifest.map(|manifest| projects(manifest)).unwrap_or_default();
    Wanted { scope: task.scope, projects, agents: Wanted::agents(), now: 0 }
}

fn projects(manifest: &Manifest) -> Vec<WantedProject> {
    let program = |content: &str| {
        let path = std::path::Path::new("/agent-runner.toml");
        let loaded = Config::parse(content, path, Some(std::path::Path::new("/"))).ok()?;
        loaded.config.agent.command.first().cloned()
    };
    let own = |project: &agent_runner::apply::manifest::Project| WantedProject {
        name: project.name.clone(),
        work_dir: project.work_dir.clone(),
        is_cloned: project.repo.is_some(),
        program: project
            .files
            .iter()
            .find(|file| file.path == "agent-runner.toml")
            .and_then(|file| program(&file.content))
            .unwrap_or_default(),
    };
    manifest.projects.iter().map(own).collect()
}

fn judged(host: &str, found: &[Finding]) -> HostResult {
    let blocks: Vec<&Finding> = found.iter().filter(|one| one.weight == Weight::Blocks).collect();
    let warnings = found.len() - blocks.len();
    let said = match warnings {
        0 => String::new(),
        1 => "1 warning".to_owned(),
        many => format!("{many} warnings"),
    };
    let Some(first) = blocks.first() else { return HostResult::new(host, Status::Ok, said) };
    let more = match blocks.len() {
        1 => String::new(),
        many => format!(" (and {} more)", many - 1),
    };
    HostResult::new(host, Status::Failed, format!("{}{more}", first.what)).hinted(first.remedy.clone())
}

/// Shows each finding once with the hosts it is about; as JSON a line per host.
fn show(ctx: &Ctx, results: &[HostResult], found: Vec<Found>) -> Result<(), Error> {
    if ctx.global.json {
        for result in results {
            let own = found.iter().find(|(host, _)| *host == result.host).map(|(_, found)| found);
            printed(print::json_line(&ResultLine::of(result).with("findings", own)))?;
        }
        return Ok(());
    }
    let mut folded: Vec<(Finding, Vec<&str>)> = Vec::new();
    // In the order of the inventory, not of the answers.
    for host in results.iter().map(|result| result.host.as_str()) {
        for (_, findings) in found.iter().filter(|(name, _)| name == host) {
            for finding in findings {
                match folded.iter_mut().find(|(known, _)| known == finding) {
                    Some((_, hosts)) => hosts.push(host),
                    None => folded.push((finding.clone(), vec![host])),
                }
            }
        }
    }
    folded.sort_by_key(|(finding, _)| finding.weight);
    for (finding, hosts) in folded {
        let word = match finding.weight {
            Weight::Blocks => "blocks",
            Weight::Warns => "warns ",
        };
        let text = format!("{word}  {}: {}\n        {}\n", fold_names(&hosts), finding.what, finding.remedy);
        printed(print::text(&text))?;
    }
    Ok(())
}
