//! `agent-runner-fleet watch`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use agent_runner_inventory::Inventory;
use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

use crate::cancel::Cancel;
use crate::error::{Error, Exit, config, usage};
use crate::history::query::Wanted;
use crate::output::print;
use crate::tui::feed::Feed;
use crate::tui::look::Look;
use crate::tui::model::Model;
use crate::tui::rows::Facts;
use crate::tui::run::{Dashboard, run as show};
use crate::tui::terminal::{Taken, refusal};
use crate::verb::watching::{Ready, Role, of_history, some_project};
use crate::verb::{Ctx, Patterns};

/// How far back the lines of the history go that the dashboard begins with, in hours, and how many they are at most.
const EARLIER: (i64, usize) = (6, 4000);

/// Show the fleet on the whole terminal, live, with keys to stop, start and silence
///
/// Hosts with the state of their agents, alerts, and of each host its rounds, events, log, disk and memory. `?` explains
/// the keys; what a key does to a host is asked about first. Guards the fleet as `monitor` does, or looks on where one
/// runs on this machine already. NO_COLOR is honoured.
#[derive(Debug, Args)]
pub struct WatchArgs {
    #[command(flatten)]
    on: Patterns,
    /// Only these projects; repeatable
    #[arg(short, long, value_name = "NAME")]
    project: Vec<String>,
}

/// Runs the verb.
///
/// # Errors
/// When there is no terminal to draw on, or the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: WatchArgs) -> Result<Exit, Error> {
    if !ctx.global.list_hosts {
        check(ctx)?;
    }
    let inventory = ctx.inventory()?;
    let projects = ctx.projects(&inventory, &args.project)?;
    let targets = ctx.targets(&inventory, &args.on.patterns)?;
    if ctx.global.list_hosts {
        return ctx.list_hosts(&targets);
    }
    some_project(&targets, &projects)?;
    let role = ctx.role(&inventory)?;
    let facts = Facts {
        groups: groups(&inventory),
        stale_after: Duration::from_secs(inventory.monitor.stale_after_s),
        guards: matches!(role, Role::Guard(..)),
        zone: TimeZone::system(),
    };
    let look = if ctx.env("NO_COLOR").is_some() { Look::Plain } else { Look::Coloured };
    let feed = earlier(ctx, &inventory)?;
    let (model, signalled) = ctx.block_on(async {
        let cancel = Cancel::new();
        cancel.listen().map_err(|error| config("cannot listen for signals").caused_by(error))?;
        let ready = ctx.prepare(&inventory, role, ctx.silent_client(), (&targets, &projects))?;
        let Ready { watcher, mut workers, lock } = ready;
        let hub = watcher.hub();
        let dashboard = Dashboard { told: hub.told(), hub, facts, feed, by: ctx.user(), look };
        let terminal = |error| config("the terminal").caused_by(error);
        let mut taken = Taken::take().map_err(terminal)?;
        let (stop, stopped) = oneshot::channel::<()>();
        // The watch has a task of its own, so that drawing holds up no stream.
        let watch = tokio::spawn(watcher.run(|_, _| ControlFlow::Continue(()), async {
            // Either way it is over.
            let _ = stopped.await;
        }));
        let model = show(dashboard, &mut taken.terminal, &mut taken.inputs, cancel.stopping()).await;
        drop(taken);
        drop(stop);
        let watched = watch.await;
        workers.shutdown().await;
        drop(lock);
        watched.map_err(|error| config("the watch ended by itself").caused_by(error))?;
        Ok((model.map_err(terminal)?, cancel.is_stopping()))
    })?;
    repeat(&model);
    Ok(if signalled { Exit::Interrupted } else { Exit::Ok })
}

/// Refuses what a whole terminal is not for.
fn check(ctx: &Ctx) -> Result<(), Error> {
    if ctx.global.json {
        return Err(usage("watch draws, it prints no JSON").hinted("agent-runner-fleet monitor --json"));
    }
    if ctx.global.ask_pass {
        return Err(usage("watch cannot ask for a password while it draws")
            .hinted("log in with a key, or through ssh-agent"));
    }
    match refusal(ctx.env("TERM").as_deref()) {
        Some(why) => Err(usage(why).hinted("agent-runner-fleet monitor prints lines instead")),
        None => Ok(()),
    }
}

/// Returns the groups of each host, in the inventory's order.
fn groups(inventory: &Inventory) -> BTreeMap<Arc<str>, Vec<Arc<str>>> {
    let mut groups: BTreeMap<Arc<str>, Vec<Arc<str>>> = BTreeMap::new();
    for group in &inventory.groups {
        for host in inventory.group_hosts(group) {
            groups.entry(host.as_str().into()).or_default().push(group.name.as_str().into());
        }
    }
    groups
}

/// Returns what the history says of the last hours.
fn earlier(ctx: &Ctx, inventory: &Inventory) -> Result<Feed, Error> {
    let now = Timestamp::now();
    let since = now.checked_sub(SignedDuration::from_hours(EARLIER.0)).unwrap_or(now);
    let wanted = Wanted { since, hosts: None, kinds: Vec::new(), most: EARLIER.1 };
    let mut feed = Feed::default();
    for line in ctx.history(inventory)?.log(&wanted).map_err(of_history)? {
        feed.recall(&line);
    }
    Ok(feed)
}

/// Shows again what was written to standard error while the dashboard covered it.
fn repeat(model: &Model) {
    for line in &model.complaints {
        print::note(line);
    }
}
