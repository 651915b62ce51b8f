//! `agent-runner peek`.

use clap::Args;
use jiff::Timestamp;

use crate::error::{Error, Exit};
use crate::output::printed;
use crate::output::{self, Format};
use crate::peek::answer::Answer;
use crate::peek::select::select;
use crate::peek::view::{self, Colour, View};
use crate::peek::{self, Asked, PeekError, RoundAsked};
use crate::provider::Presets;
use crate::verb::Ctx;
use crate::verb::observed::{self, FileName};

/// Show what is going on
#[derive(Debug, Args)]
pub struct PeekArgs {
    #[command(flatten)]
    pub(super) detail: Detail,
}

/// How much to show.
#[derive(Debug, Args)]
pub(super) struct Detail {
    /// Show one round in detail: its number, or `latest`
    #[arg(long, value_name = "N|latest", value_parser = round_argument)]
    round: Option<RoundAsked>,
    /// With --round, show the end of its log
    #[arg(long, requires = "round")]
    log: bool,
    /// Show the newest N events
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    events: u64,
    /// Print one value only, as JSON: keys and list indexes joined by dots
    #[arg(long, value_name = "PATH")]
    select: Option<String>,
}

/// Runs the verb.
///
/// # Errors
/// When the configuration cannot be loaded, or the round or the selected value is unknown.
pub fn run(ctx: &Ctx, args: PeekArgs) -> Result<Exit, Error> {
    let View { head, events } = look(ctx, &args.detail, colour(ctx))?;
    let text = format!("{head}{events}");
    let drawn = args.detail.select.is_none() && ctx.format == Format::Pretty;
    printed(if drawn { output::print_drawn(&text) } else { output::print(&text) })?;
    Ok(Exit::Ok)
}

/// Returns what a look prints.
pub(super) fn look(ctx: &Ctx, detail: &Detail, colour: Colour) -> Result<View, Error> {
    let config = observed::load(ctx, FileName::Fixed)?;
    let presets = Presets::load(&ctx.preset_folders(Some(&config.runtime.work_dir)));
    let asked = Asked {
        round: detail.round,
        log_lines: detail.log.then(Asked::default_log_lines),
        events: usize::try_from(detail.events).unwrap_or(usize::MAX),
    };
    let answer = peek::look(&config, ctx.account(), &presets, asked).map_err(no_answer)?;
    let alone = |head| View { head, events: String::new() };
    match (&detail.select, ctx.format) {
        (Some(path), _) => selected(&answer, path).map(alone),
        (None, Format::Json) => json(&answer).map(alone),
        (None, Format::Pretty) => Ok(view::view(&answer, Timestamp::now(), colour)),
    }
}

/// Returns whether the page is coloured.
pub(super) fn colour(ctx: &Ctx) -> Colour {
    let coloured = output::colour(ctx.env("NO_COLOR").as_deref(), ctx.env("CLICOLOR_FORCE").as_deref());
    if coloured { Colour::On } else { Colour::Off }
}

fn selected(answer: &Answer, path: &str) -> Result<String, Error> {
    let whole = serde_json::to_value(answer)
        .map_err(|error| Error::failed("writing the answer as JSON").caused_by(error))?;
    if path.is_empty() || path == "." {
        return json(answer);
    }
    match select(&whole, path) {
        Some(value) => json(value),
        None => {
            let keys = whole.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
            let hint = format!("the first step is one of {}", keys.unwrap_or_default().join(", "));
            Err(Error::failed(format!("nothing is at `{path}`")).hinted(hint))
        }
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|error| Error::failed("writing the answer as JSON").caused_by(error))?;
    Ok(format!("{text}\n"))
}

fn no_answer(error: PeekError) -> Error {
    match error {
        PeekError::UnknownRound(..) => Error::failed(error.to_string()),
        PeekError::Unreadable { .. } => Error::failed("the log cannot be read").caused_by(error),
    }
}

fn round_argument(text: &str) -> Result<RoundAsked, String> {
    match text {
        "latest" => Ok(RoundAsked::Latest),
        number => number.parse().map(RoundAsked::Number).map_err(|_| "not a number, nor `latest`".to_owned()),
    }
}
