//! `agent-runner watch`.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use clap::Args;

use super::peek::{self, Detail};
use crate::error::{Error, Exit};
use crate::output::{self, Format};
use crate::peek::fit::fit;
use crate::peek::view::View;
use crate::process::signals::{SignalInput, Signals};
use crate::process::terminal::{self, Keys, Size};
use crate::process::wait::{self, Interest};
use crate::verb::Ctx;

/// Another screen without cursor and without wrapping, so that what was there before comes back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// A terminal that knows these shows the frame at once; the others ignore them.
const BEGIN: &str = "\x1b[?2026h\x1b[H";
const END: &str = "\x1b[J\x1b[?2026l";
const CLEAR_LINE: &str = "\x1b[K";
/// Where the terminal does not tell its size.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// Show what is going on, again and again
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    #[command(flatten)]
    detail: Detail,
}

/// Runs the verb until `q`, SIGINT or SIGTERM, or until a look fails.
///
/// # Errors
/// What the failing look returned.
pub fn run(ctx: &Ctx, args: WatchArgs) -> Result<Exit, Error> {
    let on_screen = io::stdout().is_terminal() && ctx.format == Format::Pretty;
    let mut wanted = vec![SignalInput::Int, SignalInput::Term, SignalInput::Hup, SignalInput::Winch];
    if on_screen {
        wanted.extend([SignalInput::Tstp, SignalInput::Cont]);
    }
    let signals =
        Signals::block(&wanted).map_err(|error| Error::failed("listening to signals").caused_by(error))?;
    // The first look may fail without touching the screen.
    peek::look(ctx, &args.detail, peek::colour(ctx))?;
    if !on_screen {
        return look_again(ctx, &args, &signals, None);
    }
    let keys = Keys::listen();
    shown(output::print_drawn(ENTER))?;
    let result = look_again(ctx, &args, &signals, keys.as_ref());
    shown(output::print_drawn(LEAVE))?;
    result
}

fn look_again(ctx: &Ctx, args: &WatchArgs, signals: &Signals, keys: Option<&Keys>) -> Result<Exit, Error> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let on_screen = stdout.is_terminal() && ctx.format == Format::Pretty;
    loop {
        let view = peek::look(ctx, &args.detail, peek::colour(ctx))?;
        let deadline = Instant::now() + Duration::from_secs(args.interval);
        // The same look again, where only the terminal's size has changed.
        loop {
            let frame = if on_screen {
                frame(&view, terminal::size(stdout.as_fd()))
            } else {
                format!("{}{}", view.head, view.events)
            };
            match output::print_drawn(&frame) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Ok),
                printed => shown(printed)?,
            }
            let mut ends = vec![(signals.as_fd(), Interest::Read), (stdout.as_fd(), Interest::Hangup)];
            ends.extend(keys.map(|_| (stdin.as_fd(), Interest::Read)));
            let woken = wait::wait_for(&ends, Some(deadline))
                .map_err(|error| Error::failed("waiting for the next look").caused_by(error))?;
            match news(&woken, signals, keys) {
                News::Time => break,
                News::Changed => {}
                News::Suspend => match suspend(signals, keys)? {
                    Suspended::GoesOn => break,
                    Suspended::Ends => return Ok(Exit::Ok),
                },
                News::Continued if keys.is_some_and(|keys| !keys.in_front()) => {
                    if suspend(signals, keys)? == Suspended::Ends {
                        return Ok(Exit::Ok);
                    }
                    break;
                }
                News::Continued => {
                    if let Some(keys) = keys {
                        keys.listen_again();
                    }
                    break;
                }
                News::End => return Ok(Exit::Ok),
            }
        }
    }
}

/// How a time without the terminal ended.
#[derive(Debug, PartialEq, Eq)]
enum Suspended {
    GoesOn,
    Ends,
}

/// Gives the terminal back, stops as Ctrl-Z asks, and takes the terminal again. Who lets it go on in the background leaves
/// the terminal to the shell: it stops again, unless it was told to end.
fn suspend(signals: &Signals, keys: Option<&Keys>) -> Result<Suspended, Error> {
    let in_front = || keys.is_none_or(Keys::in_front);
    if in_front() {
        shown(output::print_drawn(LEAVE))?;
        if let Some(keys) = keys {
            keys.pause();
        }
    }
    loop {
        signals.suspend().map_err(|error| Error::failed("stopping as Ctrl-Z asks").caused_by(error))?;
        match signals.next() {
            Some(SignalInput::Term | SignalInput::Int | SignalInput::Hup) => return Ok(Suspended::Ends),
            Some(SignalInput::Cont) if !in_front() => {}
            _ => break,
        }
    }
    if let Some(keys) = keys {
        keys.listen_again();
    }
    shown(output::print_drawn(ENTER))?;
    Ok(Suspended::GoesOn)
}

/// What a wait ended with.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// The next look is due, or was asked for with a key.
    Time,
    /// The terminal may show something else now, such as with another size.
    Changed,
    /// Ctrl-Z was pressed.
    Suspend,
    /// Somebody stopped this process and lets it go on.
    Continued,
    /// Nobody wants to see more.
    End,
}

/// The descriptors that are waited for, in this order.
const SIGNALS: usize = 0;
const OUTPUT: usize = 1;
const KEYS: usize = 2;

fn news(woken: &[usize], signals: &Signals, keys: Option<&Keys>) -> News {
    // One at a time: what else has come is still there at the next wait.
    if woken.contains(&OUTPUT) {
        News::End
    } else if woken.contains(&SIGNALS) {
        match signals.next() {
            Some(SignalInput::Winch) | None => News::Changed,
            Some(SignalInput::Tstp) => News::Suspend,
            Some(SignalInput::Cont) => News::Continued,
            Some(_) => News::End,
        }
    } else if woken.contains(&KEYS) {
        match keys.and_then(Keys::pressed) {
            Some(b'q' | b'Q') | None => News::End,
            Some(_) => News::Time,
        }
    } else {
        News::Time
    }
}

/// Returns what draws a page over the one before it, without clearing the screen first: that would flicker. Each line is
/// cleared before it is written; after it, the cursor may stand on its last character.
fn frame(view: &View, size: Option<Size>) -> String {
    let lines = fit(view, size.unwrap_or(USUAL));
    let lines: Vec<String> = lines.into_iter().map(|line| format!("{CLEAR_LINE}{line}")).collect();
    format!("{BEGIN}{}{END}", lines.join("\r\n"))
}

fn shown(result: io::Result<()>) -> Result<(), Error> {
    result.map_err(|error| Error::failed("writing to stdout").caused_by(error))
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{Signal, raise};

    use super::*;

    #[test]
    fn a_signal_that_comes_with_a_key_is_heard_and_ends_nothing() {
        // Sent to this thread, so that the other tests' threads never see it.
        let signals = Signals::block(&[SignalInput::Winch, SignalInput::Tstp]).unwrap();
        for (signal, expected) in [(Signal::SIGWINCH, News::Changed), (Signal::SIGTSTP, News::Suspend)] {
            raise(signal).unwrap();
            assert_eq!(news(&[SIGNALS, KEYS], &signals, None), expected);
        }
        assert_eq!(news(&[SIGNALS, OUTPUT], &signals, None), News::End);
        assert_eq!(news(&[], &signals, None), News::Time);
    }

    #[test]
    fn a_line_as_wide_as_the_terminal_keeps_its_last_character() {
        let view = View { head: format!("{}\nnext\n", "x".repeat(80)), events: String::new() };
        let drawn = frame(&view, None);
        assert!(
            drawn.contains(&format!("{CLEAR_LINE}{}\r\n{CLEAR_LINE}next{END}", "x".repeat(80))),
            "{drawn:?}"
        );
    }
}
