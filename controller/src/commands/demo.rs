//! `agent-runner-fleet demo`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use agent_runner::apply::manifest::Part;
use agent_runner_inventory::{Inventory, Selection};
use clap::Args;

use super::monitor::View;
use crate::cancel::Cancel;
use crate::connection::{self, Connections, Given};
use crate::demo::hosts::{DemoHosts, NAMES};
use crate::demo::story::{Cue, Story};
use crate::deploy::host::Depth;
use crate::deploy::run::{Conduct, run as roll_out};
use crate::error::{Error, Exit, config};
use crate::fanout::FanoutOptions;
use crate::fleetview::beginning::Beginning;
use crate::output::fleet_lines::Detail;
use crate::output::print;
use crate::output::progress::{Progress, Show};
use crate::runs::Recorder;
use crate::ssh::{Client, ClientOptions};
use crate::targets::{self, Projects, Target};
use crate::verb::context::printed;
use crate::verb::order::{Order, Pace, What, tasks};
use crate::verb::watching::watched;
use crate::verb::{Ctx, agent_verb};
use crate::watcher::watch::{Setup, Watcher};

/// The host whose login expires.
const VICTIM: &str = "pi2";
/// How long the story may take before something is wrong, in seconds.
const PATIENCE_S: u64 = 100;

/// Start three throw-away SSH hosts in this process and show the whole job on them
///
/// Deploys the agent to them, lets a scripted agent CLI commit work round after round, shows the live fleet view, lets
/// one host's login expire and that host be stopped, and cleans up. Needs no root, no sshd, no network; only git and sh.
#[derive(Debug, Args)]
pub struct DemoArgs {}

/// Runs the verb.
///
/// # Errors
/// When the hosts cannot be started, or the story does not come to its end.
pub fn run(ctx: &Ctx, _args: DemoArgs) -> Result<Exit, Error> {
    ctx.selects_nothing("demo", "it plays on three hosts of its own")?;
    let path = ctx.env("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".to_owned());
    ctx.block_on(async {
        let mut ctx = ctx.clone();
        say("Three SSH hosts start inside this process, each with a home and a repository of its own.")?;
        let cancel = Cancel::new();
        cancel.listen().map_err(|error| config("cannot listen for signals").caused_by(error))?;
        let hosts = DemoHosts::start(&ctx.user(), &path)
            .await
            .map_err(|error| config("the demo's hosts cannot be started").caused_by(error))?;
        ctx.global.inventory = Some(hosts.inventory());
        let played = play(&ctx, &hosts, &cancel).await;
        let cleaned = hosts.shutdown().await;
        let exit = played?;
        cleaned.map_err(|error| config("the demo's hosts could not be removed whole").caused_by(error))?;
        say("The hosts are gone again: no process, no file and no port is left.")?;
        Ok(exit)
    })
}

async fn play(ctx: &Ctx, hosts: &DemoHosts, cancel: &Cancel) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let projects = ctx.projects(&inventory, &[])?;
    let targets = targets(ctx, hosts, &inventory)?;
    // The operator's own keys and agent have no business here.
    let client = Client::new(ClientOptions::default());
    deploy(ctx, (&client, &inventory), (&targets, &projects), cancel).await?;
    if cancel.is_stopping() {
        return Ok(Exit::Interrupted);
    }
    say("\nEvery host runs its agent now, round after round. This is the fleet in one stream:")?;
    let (story, fleet) =
        follow(ctx, (&client, &inventory), watched(&targets, &projects), (hosts, cancel)).await?;
    drop(fleet);
    for target in &targets {
        // The hosts go away right after; what is left of a service goes with them.
        let _ = agent_verb::ask_all(&client, target, projects.on(&target.name), &["kill"]).await;
    }
    if cancel.is_stopping() {
        return Ok(Exit::Interrupted);
    }
    summary(&story)
}

fn targets(ctx: &Ctx, hosts: &DemoHosts, inventory: &Inventory) -> Result<Vec<Target>, Error> {
    let mut local = connection::local(Some(hosts.root()), &ctx.user(), &ctx.machine(), BTreeMap::new());
    // Neither the operator's nor the machine's ssh_config speaks of these hosts.
    hosts.root().clone_into(&mut local.system_dir);
    let connections =
        Connections::load(local, Given::default()).map_err(|error| config(error.to_string()))?;
    let names = inventory.select(&Selection::default()).map_err(|error| config(error.to_string()))?;
    targets::resolve(inventory, names, &connections).map_err(|error| config(error.to_string()))
}

async fn deploy(
    ctx: &Ctx,
    (client, inventory): (&Client, &Inventory),
    (targets, projects): (&[Target], &Projects<'_>),
    cancel: &Cancel,
) -> Result<(), Error> {
    say("\nagent-runner-fleet deploy: first one host, then the others.")?;
    let order = Order {
        verb: "deploy",
        projects: Vec::new(),
        what: What::Inventory(Part::All),
        depth: Depth::Apply,
        pace: Pace::default(),
        resumed: None,
        of_run: None,
        diff: false,
    };
    let tasks = tasks(ctx, (inventory, targets, projects), &order, &ctx.by())?;
    let show = if ctx.show() == Show::Live { Show::Live } else { Show::Steps };
    let progress = Arc::new(Progress::new(show, "deploy", tasks.len()));
    let options = FanoutOptions {
        forks: ctx.forks(inventory),
        most: ctx.forks(inventory),
        per_host_deadline: Some(Duration::from_secs(PATIENCE_S)),
        cancel: cancel.clone(),
    };
    let conduct = Conduct {
        rules: &inventory.rollout,
        canary: false,
        options,
        progress: progress.clone(),
        record: Recorder::default(),
    };
    let (recap, _) = roll_out(client, tasks, &conduct).await;
    progress.finish();
    say(recap.text().trim_end())?;
    if !cancel.is_stopping() && recap.results.iter().any(|result| result.status.is_bad()) {
        return Err(config("the deploy failed"));
    }
    Ok(())
}

async fn follow(
    ctx: &Ctx,
    (client, inventory): (&Client, &Inventory),
    watched: Vec<crate::watcher::streams::Watched>,
    (hosts, cancel): (&DemoHosts, &Cancel),
) -> Result<(Story, crate::fleetview::state::Fleet), Error> {
    let mut story = Story::new(&NAMES, VICTIM);
    let mut view = View::new(ctx, Detail::Rounds);
    let mut failure = None;
    let end = async {
        tokio::select! {
            () = cancel.stopping() => {}
            () = tokio::time::sleep(Duration::from_secs(PATIENCE_S)) => {}
        }
    };
    let tell = |fleet: &_, told: &[_]| {
        if view.tell(fleet, told).is_break() {
            return ControlFlow::Break(());
        }
        match story.hear(told) {
            Cue::Wait => ControlFlow::Continue(()),
            Cue::Expire => {
                view.line(&format!("         -- the login of {VICTIM} expires --"));
                match hosts.expire_login(VICTIM) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        failure = Some(error);
                        ControlFlow::Break(())
                    }
                }
            }
            Cue::End => ControlFlow::Break(()),
        }
    };
    let setup = Setup {
        client: client.clone(),
        watched,
        policy: inventory.monitor.clone(),
        beginning: Beginning { name: inventory.fleet.name.as_str().into(), ..Beginning::default() },
        journal: None,
    };
    let fleet = Watcher::new(setup).run(tell, end).await;
    view.finish(&fleet);
    match failure {
        Some(error) => Err(config("the login could not be made to expire").caused_by(error)),
        None => Ok((story, fleet)),
    }
}

fn summary(story: &Story) -> Result<Exit, Error> {
    let count = |rounds: &BTreeMap<String, usize>| rounds.values().sum::<usize>();
    say(&format!(
        "\n3 deploys, {} rounds well, {} rounds with a refused login, 1 auto-stop: {}.",
        count(&story.good),
        count(&story.bad),
        story.stopped.join(", ")
    ))?;
    if story.is_told() {
        return Ok(Exit::Ok);
    }
    Err(config(format!(
        "the story did not come to its end within {PATIENCE_S} s: stopped were {:?}",
        story.stopped
    )))
}

fn say(text: &str) -> Result<(), Error> {
    printed(print::text(&format!("{text}\n")))
}
