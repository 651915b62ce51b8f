//! `agent-runner-fleet events`.

use std::sync::{Arc, Mutex, PoisonError};

use agent_runner::kinds::AskedKinds;
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::error::{Error, Exit};
use crate::output::print;
use crate::output::progress::Show;
use crate::output::recap::{self, HostResult, Status};
use crate::remote;
use crate::ssh::{Exec, ExitStatus, Source};
use crate::verb::context::printed;
use crate::verb::on_hosts::{Pass, Span};
use crate::verb::{Ctx, agent_verb};

/// The most events of one host and project that are taken in one go.
const MOST: u32 = 10_000;

/// Show events of the projects on many hosts, by time; --tail follows them
///
/// Asks each host's agent, so it needs no `monitor`. Clocks of hosts that are off show in the order.
#[derive(Debug, Args)]
pub struct EventsArgs {
    #[command(flatten)]
    on: agent_verb::ProjectPatterns,
    /// The kinds, separated by commas
    #[arg(long, value_name = "KIND,..", value_delimiter = ',', required = true)]
    kind: Vec<String>,
    /// The last so many of each project
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)), conflicts_with = "since")]
    window: u32,
    /// From this time on: 2026-11-22T10:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Go on with what is written from now on, until Ctrl-C
    #[arg(long, conflicts_with = "window")]
    tail: bool,
}

/// One event and whose it is.
struct Found {
    at: String,
    host: String,
    project: String,
    event: Value,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the selection is wrong.
pub fn run(ctx: &Ctx, args: EventsArgs) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    let (targets, on) = agent_verb::targets(ctx, &inventory, &args.on)?;
    if ctx.global.list_hosts {
        return ctx.list_hosts(&targets);
    }
    let mut kinds = AskedKinds::new(&args.kind);
    if args.tail {
        // Whoever waits for what never comes is told before.
        kinds.complaints().for_each(|complaint| print::note(&complaint));
    }
    let mut verb = vec!["events".to_owned(), "--kind".into(), args.kind.join(",")];
    if let Some(since) = args.since {
        verb.extend(["--since".into(), agent_runner::store::time::stamp(since)]);
    }
    if args.tail {
        verb.push("--tail".into());
    } else if args.since.is_none() {
        verb.extend(["--window".into(), args.window.to_string()]);
    }
    let (span, show) = match (args.tail, ctx.show()) {
        // Lines that come and a live line would write over each other.
        (true, Show::Live) => (Span::UntilInterrupted, Show::Lines),
        (true, show) => (Span::UntilInterrupted, show),
        (false, show) => (Span::UpTo(ctx.deadline()), show),
    };
    let found: Arc<Mutex<Vec<Found>>> = Arc::default();
    let (all, json, tail) = (found.clone(), ctx.global.json, args.tail);
    let pass = Pass { verb: "events", show, span };
    let recap = ctx.each_host_in(&inventory, pass, targets, move |client, target| {
        let projects = on.get(&target.name).cloned().unwrap_or_default();
        let (verb, all) = (verb.clone(), all.clone());
        async move {
            let host = target.name.to_string();
            let session = match client.session(&target.settings).await {
                Ok(session) => session,
                Err(error) => return recap::of_ssh_error(&host, &error),
            };
            let words: Vec<&str> = verb.iter().map(String::as_str).collect();
            let following = projects.iter().map(|(project, work_dir)| {
                let exec = target.exec(Exec::command(remote::agent(work_dir, &words)));
                let exec = if tail { exec.hold_stdin().deadline(None) } else { exec };
                let (session, all, host) = (&session, &all, &host);
                async move {
                    let mut stream = session.stream(exec).await?;
                    let mut complaint = String::new();
                    while let Some(line) = stream.next().await {
                        let text = String::from_utf8_lossy(&line.bytes).into_owned();
                        if line.source == Source::Stderr {
                            complaint = text;
                            continue;
                        }
                        let Ok(event @ Value::Object(_)) = serde_json::from_str::<Value>(&text) else {
                            continue;
                        };
                        let at = event.get("ts").and_then(Value::as_str).unwrap_or_default().to_owned();
                        let one = Found { at, host: host.clone(), project: project.clone(), event };
                        if !tail {
                            all.lock().unwrap_or_else(PoisonError::into_inner).push(one);
                        } else if shown(&one, json).is_err() {
                            break;
                        }
                    }
                    stream.finish().await.map(|status| (status, complaint))
                }
            });
            for ended in futures::future::join_all(following).await {
                match ended {
                    Ok((ExitStatus::Code(0), _)) => {}
                    Ok((status, complaint)) => {
                        return HostResult::new(
                            host,
                            Status::Failed,
                            format!("the agent refused ({status})"),
                        )
                        .with_tail(&complaint);
                    }
                    Err(error) => return recap::of_ssh_error(&host, &error),
                }
            }
            HostResult::new(host, Status::Ok, "")
        }
    })?;
    let mut found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
    found.sort_by(|one, other| (&one.at, &one.host).cmp(&(&other.at, &other.host)));
    for one in &found {
        kinds.meet(one.event.get("event").and_then(Value::as_str).unwrap_or_default());
        printed(shown(one, ctx.global.json))?;
    }
    if !args.tail {
        kinds.complaints().for_each(|complaint| print::note(&complaint));
    }
    ctx.finish(&inventory, &recap)
}

fn shown(one: &Found, json: bool) -> std::io::Result<()> {
    let Found { host, project, event, .. } = one;
    if json {
        print::json_line(&json!({"schema": 1, "host": host, "project": project, "event": event}))
    } else {
        print::text(&format!("{host}/{project}: {event}\n"))
    }
}
