//! `agent-runner watch`.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use clap::Args;

use super::Ctx;
use super::peek::{self, Detail};
use crate::error::{Error, Exit};
use crate::output::{self, Format};
use crate::process::signals::{SignalInput, Signals};
use crate::process::wait::{self, Interest};

/// Another screen without cursor and without wrapping, so that what was there before comes back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Show what is going on, again and again
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    #[command(flatten)]
    detail: Detail,
}

/// Runs the verb until SIGINT or SIGTERM, or until a look fails.
///
/// # Errors
/// What the failing look returned.
pub fn run(ctx: &Ctx, args: WatchArgs) -> Result<Exit, Error> {
    let signals = Signals::block(&[SignalInput::Int, SignalInput::Term])
        .map_err(|error| Error::failed("listening to signals").caused_by(error))?;
    // The first look may fail without touching the screen.
    peek::page(ctx, &args.detail, peek::colour(ctx))?;
    if !io::stdout().is_terminal() || ctx.format == Format::Json {
        return look_again(ctx, &args, &signals, Screen::Appended);
    }
    shown(output::print(ENTER))?;
    let result = look_again(ctx, &args, &signals, Screen::Redrawn);
    shown(output::print(LEAVE))?;
    result
}

/// Where the page goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Screen {
    /// Over itself.
    Redrawn,
    /// One after the other.
    Appended,
}

fn look_again(ctx: &Ctx, args: &WatchArgs, signals: &Signals, screen: Screen) -> Result<Exit, Error> {
    let stdout = io::stdout();
    loop {
        let page = peek::page(ctx, &args.detail, peek::colour(ctx))?;
        let frame = match screen {
            Screen::Appended => page,
            Screen::Redrawn => {
                let lines: String = page.lines().map(|line| format!("{line}{CLEAR_LINE}\r\n")).collect();
                format!("{HOME}{lines}{CLEAR_BELOW}")
            }
        };
        match output::print(&frame) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Ok),
            printed => shown(printed)?,
        }
        let deadline = Instant::now() + Duration::from_secs(args.interval);
        let ends = [(signals.as_fd(), Interest::Read), (stdout.as_fd(), Interest::Hangup)];
        let ended = wait::wait_for(&ends, Some(deadline))
            .map_err(|error| Error::failed("waiting for the next look").caused_by(error))?;
        if !ended.is_empty() {
            return Ok(Exit::Ok);
        }
    }
}

fn shown(result: io::Result<()>) -> Result<(), Error> {
    result.map_err(|error| Error::failed("writing to stdout").caused_by(error))
}
