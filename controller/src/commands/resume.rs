//! `agent-runner-fleet resume`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use crate::error::{Error, Exit, HostBits, usage};
use crate::fleetview::resume::{Chain, plan};
use crate::fleetview::state::{AutoStopped, StreamId};
use crate::history::{Entry, HistoryError, Store};
use crate::output::print;
use crate::span;
use crate::verb::context::printed;
use crate::verb::watching::{self, of_history, watched};
use crate::verb::{Ctx, Patterns};
use crate::watcher::back::{Pace, Step, bring_back};
use crate::watcher::streams::Watched;

/// Start services again that were stopped for a detector, staggered
///
/// Hosts that share an account come back one after another, accounts side by side. Where the login had failed, the first
/// one has to end a round well before the others follow: if it still fails, one host finds out, and the rest of its
/// account is left alone. Without patterns, all of them.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    #[command(flatten)]
    on: Patterns,
    /// Only these projects; repeatable
    #[arg(short, long, value_name = "NAME")]
    project: Vec<String>,
    /// The pause between two hosts of one account: 90s, 5m
    #[arg(long, value_name = "SPAN", value_parser = span::parse, default_value = "10s")]
    stagger: u64,
    /// How long the first host of an account may take for a round that ends well; then the others are left alone
    #[arg(long, value_name = "SPAN", value_parser = span::parse, default_value = "15m")]
    wait: u64,
    /// Start the others without waiting for a round of the first
    #[arg(long, conflicts_with = "wait")]
    unproven: bool,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory, the selection or the history is wrong.
pub fn run(ctx: &Ctx, args: ResumeArgs) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let projects = ctx.projects(&inventory, &args.project)?;
    let targets = ctx.targets(&inventory, &args.on.patterns)?;
    let store = ctx.history(&inventory)?;
    let by_id: HashMap<StreamId, Watched> =
        watched(&targets, &projects).into_iter().map(|one| (one.id.clone(), one)).collect();
    let stopped: HashMap<StreamId, AutoStopped> = store
        .stops()
        .map_err(of_history)?
        .into_iter()
        .filter(|(stream, _)| by_id.contains_key(stream))
        .collect();
    if stopped.is_empty() {
        print::note("no selected host was stopped for a detector");
        return Ok(Exit::Ok);
    }
    let hosts = watching::hosts(&inventory);
    let by_detector = stopped.iter().map(|(stream, stopped)| (stream.clone(), stopped.detector.as_str()));
    let plan = plan(by_detector, |host| hosts.get(host)?.account.clone());
    if ctx.global.list_hosts {
        for stream in plan.chains.iter().flat_map(|chain| &chain.streams) {
            printed(print::text(&format!("{}\n", stream.host)))?;
        }
        return Ok(Exit::Ok);
    }
    let question = format!("Start {} services again?", stopped.len());
    if !ctx.global.json && !ctx.confirm(&question)? {
        return Err(usage("nothing was started"));
    }
    let pace = Pace {
        stagger: Duration::from_secs(args.stagger),
        proof: (!args.unproven).then(|| Duration::from_secs(args.wait)),
    };
    let way = Mutex::new(Way { ctx, stopped: &stopped, by: ctx.user(), store, failures: 0, unwritten: None });
    ctx.block_on(async {
        let client = ctx.client();
        let chains = plan.chains.iter().map(|chain| {
            let find = |stream: &StreamId| by_id.get(stream).cloned();
            bring_back(&client, chain, find, pace, |step| {
                way.lock().unwrap_or_else(PoisonError::into_inner).tell(chain, &step);
            })
        });
        futures::future::join_all(chains).await;
        Ok(())
    })?;
    let way = way.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = way.unwritten {
        return Err(of_history(error));
    }
    Ok(if way.failures > 0 { Exit::Hosts(HostBits::FAILED) } else { Exit::Ok })
}

/// What is told and remembered on the way back.
struct Way<'a> {
    ctx: &'a Ctx,
    stopped: &'a HashMap<StreamId, AutoStopped>,
    by: String,
    store: Store,
    failures: usize,
    unwritten: Option<HistoryError>,
}

impl Way<'_> {
    fn tell(&mut self, chain: &Chain, step: &Step<'_>) {
        let account = chain.account.as_deref().unwrap_or_default();
        match step {
            Step::Back(stream) => {
                self.show(stream, None);
                // At once: whoever ends this verb while it waits has started this one all the same.
                if let Err(error) = self.store.write(&remembered(stream, &self.by, Timestamp::now())) {
                    self.unwritten.get_or_insert(error);
                }
            }
            Step::Proving { stream, others, most } => print::note(&format!(
                "waiting for a round of {stream} that ends well, up to {} s, before the other {others} of {account}",
                most.as_secs()
            )),
            Step::Failed { stream, back: true, why } => {
                self.failures += 1;
                print::note(&format!("{stream}: {why}"));
            }
            Step::Failed { stream, back: false, why } => {
                self.failures += 1;
                self.show(stream, Some(why));
            }
            Step::LeftAlone { stream, after } => {
                self.failures += 1;
                self.show(
                    stream,
                    Some(&format!("left alone, because of {after} of the same account ({account})")),
                );
            }
        }
    }

    fn show(&self, stream: &StreamId, failure: Option<&str>) {
        let detector = self.stopped.get(stream).map_or("", |stopped| stopped.detector.as_str());
        let said = if self.ctx.global.json {
            print::json_line(&json!({
                "schema": 1,
                "host": stream.host,
                "project": stream.project,
                "detector": detector,
                "resumed": failure.is_none(),
                "error": failure,
            }))
        } else {
            print::text(&match failure {
                None => format!("{stream}  started again; it was stopped for {detector}\n"),
                Some(why) => format!("{stream}  not started: {why}\n"),
            })
        };
        // A closed stdout leaves nobody to show it to; the exit code still tells.
        let _ = said;
    }
}

fn remembered(stream: &StreamId, by: &str, now: Timestamp) -> [Entry; 2] {
    let log = Entry::Log {
        at: now,
        host: stream.host.to_string(),
        project: stream.project.to_string(),
        kind: "resume",
        name: "resume".to_owned(),
        body: json!({"by": by}).to_string(),
    };
    [log, Entry::Resumed(stream.clone())]
}
