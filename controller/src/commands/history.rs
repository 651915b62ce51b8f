//! `agent-runner-fleet history`.

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::error::{Error, Exit};
use crate::history::query::{LogLine, Wanted};
use crate::output::{chart, history_lines, print};
use crate::span;
use crate::verb::Ctx;
use crate::verb::context::printed;
use crate::verb::watching::{self, of_history};

/// Show what happened on the fleet: alerts, stops, links, events, and who asked for what; --chart sums rounds, failures and cost up
///
/// Reads what `monitor` on this machine has written, also while it runs. It keeps 90 days.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// How far back: 90s, 30m, 2h, 7d
    #[arg(long, value_name = "SPAN", value_parser = span::parse, default_value = "24h")]
    since: u64,
    /// Only these hosts; repeatable, as in --limit
    #[arg(long, value_name = "PATTERN")]
    host: Vec<String>,
    /// Only these, separated by commas: event, alert, resolved, stop, stop_failed, brake, resume, link, reboot; asked, ack, unack, silence of what people asked for; or the name of an event, a detector or a verb
    #[arg(long, value_name = "KIND,..", value_delimiter = ',')]
    kind: Vec<String>,
    /// The newest so many lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1000)]
    lines: usize,
    /// Rounds and failures per hour, and cost per account, as bars
    #[arg(long, conflicts_with_all = ["kind", "lines"])]
    chart: bool,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory, the selection or the history is wrong.
pub fn run(ctx: &Ctx, args: HistoryArgs) -> Result<Exit, Error> {
    let inventory = ctx.inventory()?;
    if ctx.global.list_hosts {
        return ctx.list_names(&ctx.names(&inventory, &args.host)?);
    }
    let hosts = if ctx.means_all(&args.host) {
        None
    } else {
        Some(ctx.names(&inventory, &args.host)?.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let store = ctx.history(&inventory)?;
    let span = SignedDuration::from_secs(i64::try_from(args.since).unwrap_or(i64::MAX));
    let now = Timestamp::now();
    let since = now.checked_sub(span).unwrap_or(Timestamp::UNIX_EPOCH);
    if args.chart {
        let mut hours = store.hours(since).map_err(of_history)?;
        hours.retain(|(host, ..)| hosts.as_ref().is_none_or(|hosts| hosts.contains(host)));
        let accounts = watching::hosts(&inventory);
        let account = |host: &str| accounts.get(host).and_then(|facts| facts.account.clone());
        if ctx.global.json {
            for (host, hour, sums) in &hours {
                let at = Timestamp::from_second(hour * 3600).unwrap_or(now);
                printed(print::json_line(&json!({
                    "schema": 1,
                    "hour": agent_runner::store::time::stamp(at),
                    "host": host,
                    "account": account(host),
                    "rounds": sums.rounds,
                    "failures": sums.failures,
                    "cost_usd": sums.cost_usd,
                })))?;
            }
            return Ok(Exit::Ok);
        }
        let text = chart::text(&hours, (since, now), account, &TimeZone::system());
        printed(print::text(&text))?;
        return Ok(Exit::Ok);
    }
    let wanted = Wanted { since, hosts, kinds: args.kind, most: args.lines };
    let lines: Vec<LogLine> = store.log(&wanted).map_err(of_history)?;
    let zone = TimeZone::system();
    for line in &lines {
        printed(if ctx.global.json {
            print::json_line(&history_lines::json(line))
        } else {
            print::text(&format!("{}\n", history_lines::text(line, &zone)))
        })?;
    }
    if lines.is_empty() && !ctx.global.json {
        print::note("nothing is known of that time; `monitor` writes it down while it runs");
    }
    Ok(Exit::Ok)
}
