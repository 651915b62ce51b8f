//! `monitor --host`: what is asked for becomes a relay.

use std::io;
use std::time::Duration;

use super::Ctx;
use crate::config::types::Config;
use crate::error::{Error, Exit};
use crate::event::KINDS;
use crate::output;
use crate::output::printed;
use crate::store::atomic;
use crate::store::event_log::EventLog;
use crate::store::layout::Layout;
use crate::witness::alert_line;
use crate::witness::relay::command::{Relayed, Remote, is_host};
use crate::witness::relay::one_answer;
use crate::witness::relay::run::{self, Edge, End};
use crate::witness::relay::translate::Said;

/// Returns every kind this program knows.
pub(crate) fn all_kinds() -> Vec<String> {
    KINDS.iter().map(|kind| kind.name.to_owned()).collect()
}

/// Relays until told to end or until the host is given up.
///
/// # Errors
/// When the host's name is none, ssh cannot be started, or the link is down for too long.
pub(crate) fn relay(ctx: &Ctx, config: &Config, remote: &Remote, relayed: Relayed) -> Result<Exit, Error> {
    check_host(remote)?;
    let log = EventLog::new(Layout::new(&config.runtime.log_dir));
    let format = ctx.format;
    let edge = Edge {
        say: &|said| print(format, said),
        log: &|event| {
            // The relay's own log may be the first thing in this folder; a relay without one still relays.
            let _ = atomic::make_folder(log.layout().root());
            log.append(event);
        },
        note: &output::note,
    };
    let tolerance = Duration::from_secs(config.monitor.remote_failure_tolerance_s);
    match run::run(remote, relayed, tolerance, &edge) {
        Ok(End::Told) => Ok(Exit::Ok),
        Ok(End::GaveUp(why)) => {
            let error = Error::failed(format!(
                "{}: gave up after {} s without a line: {why}",
                remote.host,
                tolerance.as_secs()
            ));
            Err(error.hinted(remedy(remote)))
        }
        Err(error) => Err(Error::failed("relaying over ssh").caused_by(error)),
    }
}

/// Asks once: what the verb there prints is printed here, and its code is ours.
///
/// # Errors
/// When the host's name is none, or there is no answer of the program there.
pub(crate) fn once(ctx: &Ctx, remote: &Remote, verb: &[&str]) -> Result<Exit, Error> {
    check_host(remote)?;
    let json: &[&str] = if ctx.format == output::Format::Json { &["--json"] } else { &[] };
    let answer = one_answer::ask(remote, &[verb, json].concat())
        .map_err(|error| Error::failed("asking over ssh").caused_by(error))?;
    printed(output::print_bytes(&answer.stdout))?;
    output::raw_error(&String::from_utf8_lossy(&answer.stderr));
    let host = &remote.host;
    let exit = Exit::ALL.into_iter().find(|exit| i64::from(exit.code()) == answer.status.code());
    match exit {
        _ if answer.timed_out => {
            let patience = one_answer::PATIENCE.as_secs();
            Err(Error::failed(format!("{host}: no answer within {patience} s")).hinted(remedy(remote)))
        }
        _ if answer.truncated => Err(Error::failed(format!("{host}: the answer is too long"))),
        Some(exit) => Ok(exit),
        // What the program there never ends with: it was not reached.
        None => {
            Err(Error::failed(format!("{host}: ssh ended with {}", answer.status)).hinted(remedy(remote)))
        }
    }
}

fn check_host(remote: &Remote) -> Result<(), Error> {
    if is_host(&remote.host) {
        return Ok(());
    }
    Err(Error::failed(format!("{:?} is no host for ssh", remote.host)))
}

fn remedy(remote: &Remote) -> String {
    format!("`ssh {} -- agent-runner --version` must work by itself", remote.host)
}

fn print(format: output::Format, said: Said) -> io::Result<()> {
    match said {
        Said::Line(mut line) => {
            line.push(b'\n');
            output::print_bytes(&line)
        }
        Said::Blind(blindness) => {
            output::note(&blindness.to_string());
            Ok(())
        }
        Said::Begun(alert) => output::print(&alert_line::text(format, &alert)),
        Said::Resolved { detector, identity, firing_for_s } => output::print(&alert_line::text(
            format,
            &alert_line::resolved(&detector, &identity, firing_for_s),
        )),
    }
}
