//! `agent-runner-fleet lock`, and what `unlock` shares with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agent_runner::apply::Held;
use agent_runner::apply::manifest::{By, Hold, MANIFEST_VERSION};
use clap::Args;

use crate::error::{Error, Exit};
use crate::output::recap::{self, HostResult, Status};
use crate::remote;
use crate::runs::Begin;
use crate::span;
use crate::ssh::{Exec, ExitStatus, Output};
use crate::verb::{Ctx, Patterns, agent_verb};

/// Hold hosts still: no deploy, push or rollback comes through until unlock
///
/// The lock lies on the hosts, so every controller meets it: it says who holds the host, since when, from where and why,
/// and ends with 75. It ends by itself. What runs there goes on. Hosts without an agent cannot be locked.
#[derive(Debug, Args)]
pub struct LockArgs {
    #[command(flatten)]
    on: Patterns,
    /// Why, for whoever meets the lock
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// How long at most: 90s, 30m, 8h, 2d
    #[arg(long, value_name = "TIME", default_value = "8h", value_parser = span::parse)]
    ttl: u64,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: LockArgs) -> Result<Exit, Error> {
    let (ttl_s, reason) = (args.ttl, args.reason);
    let says = move |by| {
        let hold = Hold { hold: MANIFEST_VERSION, by, ttl_s, reason: reason.clone() };
        serde_json::to_vec(&hold).expect("names and numbers are JSON")
    };
    each(ctx, &args.on, Ask { verb: "lock", words: &["apply", "--lock"], done: Status::Changed, says })
}

/// What the hosts' lock is asked for.
pub(super) struct Ask<'a, S> {
    pub(super) verb: &'a str,
    pub(super) words: &'a [&'a str],
    /// How a host ends that did it.
    pub(super) done: Status,
    /// What is said to it, given who asks.
    pub(super) says: S,
}

/// Asks every selected host's lock.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub(super) fn each<S>(ctx: &Ctx, on: &Patterns, ask: Ask<'_, S>) -> Result<Exit, Error>
where
    S: Fn(By) -> Vec<u8> + Clone + Send + Sync + 'static,
{
    let inventory = ctx.inventory()?;
    let targets = ctx.targets(&inventory, &on.patterns)?;
    if ctx.global.list_hosts {
        return ctx.list_hosts(&targets);
    }
    let hosts: Vec<String> = targets.iter().map(|target| target.name.to_string()).collect();
    let count = hosts.len();
    let by = ctx.by();
    let begin = Begin { hosts, ..Begin::now(&by, ask.verb, &inventory.fleet.name) };
    let record = ctx.record(&begin);
    let refused = Arc::new(AtomicUsize::new(0));
    let told = refused.clone();
    let (script, done, says) = (remote::on_host(ask.words), ask.done, ask.says);
    let recap = ctx.each_host(&inventory, ask.verb, targets, move |client, target| {
        let (exec, says) = (Exec::command(script.clone()), says.clone());
        let (refused, by) = (told.clone(), by.clone());
        async move {
            let host = target.name.to_string();
            let answered = async {
                let session = client.session(&target.settings).await?;
                let by = By { key: session.login().key.clone(), ..by };
                session.exec(target.exec(exec.stdin(says(by)))).await
            };
            match answered.await {
                Ok(output) => {
                    let (result, is_held) = answer(&host, &output, done);
                    refused.fetch_add(usize::from(is_held), Ordering::Relaxed);
                    result
                }
                Err(error) => recap::of_ssh_error(&host, &error),
            }
        }
    })?;
    recap.results.iter().for_each(|result| record.host(result, None));
    ctx.print_results(&recap)?;
    let exit = ctx.finish(&inventory, &recap)?;
    let exit = if refused.load(Ordering::Relaxed) == count { Exit::Locked } else { exit };
    record.end(exit.code());
    Ok(exit)
}

/// Returns how a host ended, and whether somebody else's lock is why.
fn answer(host: &str, output: &Output, done: Status) -> (HostResult, bool) {
    if output.status == ExitStatus::Code(remote::NOT_INSTALLED) {
        return (agent_verb::not_installed(host), false);
    }
    match serde_json::from_slice::<Held>(&output.stdout) {
        Ok(Held { done: true, owner, .. }) => {
            let status = if owner.is_some() { done } else { Status::Ok };
            let said = owner.map_or_else(|| "nobody held it".to_owned(), |owner| owner.to_string());
            (HostResult::new(host, status, said), false)
        }
        Ok(Held { owner, .. }) => {
            let (said, hint) = owner.map(|owner| (owner.to_string(), owner.remedy(host))).unwrap_or_default();
            (HostResult::new(host, Status::Failed, said).hinted(hint), true)
        }
        Err(_) => {
            let message = format!("the agent there knows no lock ({})", output.status);
            let result = HostResult::new(host, Status::Failed, message);
            (result.with_tail(&String::from_utf8_lossy(&output.stderr)), false)
        }
    }
}
