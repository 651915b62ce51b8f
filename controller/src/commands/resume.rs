//! `agent-runner-fleet resume`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::context::printed;
use super::watching::{of_history, watched};
use super::{Ctx, Patterns};
use crate::error::{Error, Exit, HostBits, usage};
use crate::fleetview::act::{ActionError, ask};
use crate::fleetview::resume::plan;
use crate::fleetview::state::{AutoStopped, StreamId};
use crate::fleetview::streams::Watched;
use crate::history::Entry;
use crate::output::print;
use crate::span;
use crate::ssh::Client;

/// Start services again that were stopped for a detector, staggered
///
/// Hosts that share an account come back one after another, accounts side by side: if the login still fails, one host
/// finds out, and the rest of its account is left alone. Without patterns, all of them.
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
}

/// Runs the verb.
///
/// # Errors
/// When the inventory, the selection or the history is wrong.
pub fn run(ctx: &Ctx, args: ResumeArgs) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let projects = ctx.projects(&inventory, &args.project)?;
    let targets = ctx.targets(&inventory, &args.on.patterns)?;
    let mut store = ctx.history(&inventory)?;
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
    let hosts = super::watching::hosts(&inventory);
    let plan = plan(stopped.keys().cloned(), |host| hosts.get(host)?.account.clone());
    if ctx.global.list_hosts {
        for stream in plan.chains.iter().flatten() {
            printed(print::text(&format!("{}\n", stream.host)))?;
        }
        return Ok(Exit::Ok);
    }
    let question = format!("Start {} services again?", stopped.len());
    if !ctx.global.json && !ctx.confirm(&question)? {
        return Err(usage("nothing was started"));
    }
    let pause = Duration::from_secs(args.stagger);
    let back: Arc<Mutex<Vec<StreamId>>> = Arc::default();
    let failures = ctx.block_on(async {
        let client = ctx.client();
        let chains = plan.chains.into_iter().map(|chain| {
            let (client, back, by_id, stopped) = (&client, &back, &by_id, &stopped);
            async move {
                let mut left = chain.iter();
                let mut first = true;
                let mut failures = 0;
                while let Some(stream) = left.next() {
                    if !std::mem::take(&mut first) {
                        tokio::time::sleep(pause).await;
                    }
                    let Some(watched) = by_id.get(stream) else { continue };
                    match start(client, watched).await {
                        Ok(()) => {
                            show(ctx, stream, stopped.get(stream), None);
                            back.lock().unwrap_or_else(PoisonError::into_inner).push(stream.clone());
                        }
                        Err(error) => {
                            failures += 1;
                            show(ctx, stream, stopped.get(stream), Some(&error));
                            // What is wrong with one host of an account may be wrong with the account.
                            let rest = left.by_ref().count();
                            if rest > 0 {
                                failures += rest;
                                print::note(&format!("the {rest} after {stream} are left alone"));
                            }
                        }
                    }
                }
                failures
            }
        });
        Ok(futures::future::join_all(chains).await.into_iter().sum::<usize>())
    })?;
    let back = std::mem::take(&mut *back.lock().unwrap_or_else(PoisonError::into_inner));
    let now = Timestamp::now();
    let by = ctx.user();
    let entries: Vec<Entry> = back.iter().flat_map(|stream| remembered(stream, &by, now)).collect();
    store.write(&entries).map_err(of_history)?;
    Ok(if failures > 0 { Exit::Hosts(HostBits::FAILED) } else { Exit::Ok })
}

async fn start(client: &Client, watched: &Watched) -> Result<(), String> {
    let with_cause = |error: ActionError| match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    let status = ask(client, watched, "start").await.map_err(with_cause)?;
    if status.active { Ok(()) } else { Err("it was started and is not active".to_owned()) }
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

fn show(ctx: &Ctx, stream: &StreamId, stopped: Option<&AutoStopped>, failure: Option<&String>) {
    let detector = stopped.map_or("", |stopped| stopped.detector.as_str());
    let said = if ctx.global.json {
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
