//! `agent-runner-fleet alerts`.

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::error::{Error, Exit, usage};
use crate::fleetview::alert::{Ack, AlertState, Key};
use crate::fleetview::detectors::DETECTORS;
use crate::history::Store;
use crate::output::{alert_lines, print};
use crate::span;
use crate::verb::context::printed;
use crate::verb::watching::of_history;
use crate::verb::{Ctx, Patterns};

/// The most past alerts that are shown.
const MOST: usize = 1000;

/// Show open alerts, and past ones with --since; take note of one with --ack
///
/// Reads what `monitor` on this machine writes, also while it runs. An alert that was taken note of is not repeated;
/// when it gets worse, it is open again. IDs are what the list shows.
#[derive(Debug, Args)]
pub struct AlertsArgs {
    #[command(flatten)]
    on: Patterns,
    /// Also those that ended within this time: 90s, 30m, 2h, 7d
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    since: Option<u64>,
    /// Take note of this open alert
    #[arg(long, value_name = "ID", conflicts_with_all = ["patterns", "since", "unack", "list"])]
    ack: Option<String>,
    /// Take that back
    #[arg(long, value_name = "ID", conflicts_with_all = ["patterns", "since", "list"])]
    unack: Option<String>,
    /// List the controller's own detectors
    #[arg(long, conflicts_with_all = ["patterns", "since"])]
    list: bool,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory, the selection or the history is wrong.
pub fn run(ctx: &Ctx, args: AlertsArgs) -> Result<Exit, Error> {
    if args.list {
        ctx.selects_nothing("alerts --list", "the detectors are the same for every host")?;
        return list(ctx);
    }
    if args.ack.is_some() || args.unack.is_some() {
        ctx.selects_nothing("taking note of an alert", "its id says which one it is")?;
    }
    let inventory = ctx.inventory()?;
    if ctx.global.list_hosts {
        return ctx.list_names(&ctx.names(&inventory, &args.on.patterns)?);
    }
    let mut store = ctx.history(&inventory)?;
    let now = Timestamp::now();
    if let Some(id) = args.ack.as_ref() {
        let key = open(&store, id)?;
        store.acknowledge(&key, &Ack { by: ctx.user(), at: now }).map_err(of_history)?;
        print::note(&format!("{} {}: taken note of", key.subject, key.detector));
        return Ok(Exit::Ok);
    }
    if let Some(id) = args.unack.as_ref() {
        let key = open(&store, id)?;
        store.unacknowledge(&key, &Ack { by: ctx.user(), at: now }).map_err(of_history)?;
        print::note(&format!("{} {}: open again", key.subject, key.detector));
        return Ok(Exit::Ok);
    }
    let all = ctx.means_all(&args.on.patterns);
    let names = if all { Vec::new() } else { ctx.names(&inventory, &args.on.patterns)? };
    let wanted = |alert: &AlertState| {
        // An account's or the fleet's alert is everybody's.
        all || alert.key.subject.host().is_none_or(|host| names.iter().any(|name| name.as_str() == &**host))
    };
    let mut alerts: Vec<AlertState> = Vec::new();
    if let Some(seconds) = args.since {
        let span = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        let from = now.checked_sub(span).unwrap_or(Timestamp::UNIX_EPOCH);
        alerts.extend(store.past_alerts(from, MOST).map_err(of_history)?.into_iter().rev());
    }
    alerts.extend(store.open_alerts().map_err(of_history)?);
    alerts.retain(wanted);
    for alert in &alerts {
        printed(if ctx.global.json {
            print::json_line(&alert_lines::json(alert, &inventory.fleet.name, now))
        } else {
            print::text(&format!("{}\n", alert_lines::text(alert, now)))
        })?;
    }
    if alerts.is_empty() && !ctx.global.json {
        print::note("no alert is open");
    }
    Ok(Exit::Ok)
}

/// Returns the open alert that an id means.
fn open(store: &Store, id: &str) -> Result<Key, Error> {
    let open = store.open_alerts().map_err(of_history)?;
    let mut found = open.iter().filter(|alert| !id.is_empty() && alert.key.id().starts_with(id));
    let Some(alert) = found.next() else {
        return Err(usage(format!("no open alert has the id {id}")).hinted("agent-runner-fleet alerts"));
    };
    if found.next().is_some() {
        return Err(usage(format!("more than one open alert has an id that begins with {id}")));
    }
    Ok(alert.key.clone())
}

fn list(ctx: &Ctx) -> Result<Exit, Error> {
    for detector in DETECTORS {
        printed(if ctx.global.json {
            print::json_line(&json!({
                "schema": 1,
                "detectors": detector.names,
                "severity": detector.severity,
                "fires": detector.fires,
            }))
        } else {
            print::text(&format!(
                "{} ({})\n  fires when  {}\n",
                detector.names.join(", "),
                detector.severity.as_str(),
                detector.fires
            ))
        })?;
    }
    Ok(Exit::Ok)
}
