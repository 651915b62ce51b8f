//! `agent-runner-fleet silence`.

use clap::Args;
use jiff::Timestamp;

use crate::error::{Error, Exit, usage};
use crate::fleetview::silence::{Matcher, Silence};
use crate::output::{alert_lines, print};
use crate::span;
use crate::verb::Ctx;
use crate::verb::context::printed;
use crate::verb::watching::of_history;
use crate::watcher::act::until;

/// Send nothing of some alerts for a while; without matchers, list the silences
///
/// A matcher is LABEL=PATTERN or LABEL!=PATTERN with * and ? in it; the labels are host, project, account, detector
/// and severity; all matchers must match. Hosts are named by matchers only, not by --limit and its like. A silenced alert is shown by `alerts` and still stops hosts. A `monitor`
/// that runs takes it up within a second or two.
#[derive(Debug, Args)]
pub struct SilenceArgs {
    /// What to silence: host=pi*, detector=hung
    #[arg(value_name = "MATCHER")]
    matchers: Vec<Matcher>,
    /// How long: 90s, 30m, 2h, 7d
    #[arg(long = "for", value_name = "SPAN", value_parser = span::parse, default_value = "2h")]
    seconds: u64,
    /// Why, for the others
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    comment: String,
    /// End this silence now
    #[arg(long, value_name = "NUMBER", conflicts_with = "matchers")]
    expire: Option<i64>,
}

/// Runs the verb.
///
/// # Errors
/// When the inventory or the history is wrong, or there is no such silence.
pub fn run(ctx: &Ctx, args: SilenceArgs) -> Result<Exit, Error> {
    // Matchers also hold for hosts that are added later, and all of them have to match: no selection says that.
    ctx.selects_nothing("silence", "name hosts with matchers: silence 'host=pi*' 'host!=pi07'")?;
    let inventory = ctx.inventory()?;
    let mut store = ctx.history(&inventory)?;
    let now = Timestamp::now();
    if let Some(id) = args.expire {
        if !store.expire(id, &ctx.user(), now).map_err(of_history)? {
            return Err(usage(format!("no silence {id} is in force")).hinted("agent-runner-fleet silence"));
        }
        print::note(&format!("silence {id} has ended"));
        return Ok(Exit::Ok);
    }
    if args.matchers.is_empty() {
        let silences = store.silences(now).map_err(of_history)?;
        for silence in &silences {
            printed(show(ctx, silence, now))?;
        }
        if silences.is_empty() && !ctx.global.json {
            print::note("nothing is silenced");
        }
        return Ok(Exit::Ok);
    }
    let until = until(now, args.seconds);
    let by = ctx.user();
    let mut silence = Silence { id: 0, matchers: args.matchers, comment: args.comment, by, from: now, until };
    silence.id = store.silence(&silence).map_err(of_history)?;
    printed(show(ctx, &silence, now))?;
    Ok(Exit::Ok)
}

fn show(ctx: &Ctx, silence: &Silence, now: Timestamp) -> std::io::Result<()> {
    if ctx.global.json {
        print::json_line(&alert_lines::silence_json(silence))
    } else {
        print::text(&format!("{}\n", alert_lines::silence_text(silence, now)))
    }
}
