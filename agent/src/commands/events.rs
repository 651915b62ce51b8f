//! `agent-runner events`.

use std::io;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use crate::error::{Error, Exit};
use crate::kinds::AskedKinds;
use crate::output::{self, printed};
use crate::store::backward::Lines;
use crate::store::bisect;
use crate::store::follow::Follower;
use crate::store::layout::Layout;
use crate::store::record::{Record, glance};
use crate::store::regular::open_regular;
use crate::store::time;
use crate::verb::Ctx;
use crate::verb::observed::{self, FileName};
use crate::witness::tail::{self, Outlet};

/// Matching lines printed without `--window`.
const WINDOW: u64 = 10;

/// Query or follow the event log: the lines as they were written, one each
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// The kinds, separated by commas
    #[arg(long, value_name = "KIND,..", required = true, value_delimiter = ',')]
    kind: Vec<String>,
    /// Print the last N matching lines of this month [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with_all = ["tail", "since"])]
    window: Option<u64>,
    /// Follow the log until interrupted
    #[arg(long)]
    tail: bool,
    /// Replay everything from this time on (ISO 8601; without an offset UTC)
    #[arg(long, value_name = "TIME", value_parser = time_argument)]
    since: Option<Timestamp>,
}

/// Runs the verb.
///
/// # Errors
/// When the configuration is missing or an event file cannot be read.
pub fn run(ctx: &Ctx, args: EventsArgs) -> Result<Exit, Error> {
    let config = observed::load(ctx, FileName::Any)?;
    let layout = Layout::new(&config.runtime.log_dir);
    let mut kinds = AskedKinds::new(args.kind);
    match (args.since, args.tail) {
        (None, false) => window(&layout, &mut kinds, args.window.unwrap_or(WINDOW))?,
        (Some(since), false) => replay(&layout, &mut kinds, since)?,
        (since, true) => {
            // Whoever waits for what never comes is told before.
            doubt(&kinds);
            return follow(&layout, &mut kinds, since).map(|()| Exit::Ok);
        }
    }
    doubt(&kinds);
    Ok(Exit::Ok)
}

fn doubt(kinds: &AskedKinds) {
    kinds.complaints().for_each(|complaint| output::note(&complaint));
}

fn window(layout: &Layout, kinds: &mut AskedKinds, count: u64) -> Result<(), Error> {
    let month = layout.events_file(Timestamp::now());
    match open_regular(&month) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error)),
        Ok(_) => {}
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let matching = Lines::new(vec![month]).filter(|line| matches(kinds, line));
    let newest_first: Vec<Vec<u8>> = matching.take(count).collect();
    let mut outlet = Outlet::default();
    newest_first.iter().rev().for_each(|line| outlet.line(line));
    printed(outlet.flush())
}

fn replay(layout: &Layout, kinds: &mut AskedKinds, since: Timestamp) -> Result<(), Error> {
    let files = layout.events_files();
    let mut follower = from_time(layout, &files, since).map_err(unreadable)?;
    let mut outlet = Outlet::default();
    let read = follower.poll(&files, |line| {
        if matches(kinds, &line.bytes) && is_since(&line.bytes, since) {
            outlet.line(&line.bytes);
        }
    });
    printed(outlet.flush())?;
    read.map_err(unreadable)
}

fn follow(layout: &Layout, kinds: &mut AskedKinds, since: Option<Timestamp>) -> Result<(), Error> {
    let files = layout.events_files();
    let follower = match since {
        Some(since) => from_time(layout, &files, since).map_err(unreadable)?,
        None => Follower::from_end(&files),
    };
    // What is written from now on is wanted whatever its clock says.
    let replayed: Vec<(PathBuf, u64)> = Follower::from_end(&files).places(&files);
    let followed = tail::follow(layout, follower, |line, outlet| {
        let old = since.is_some_and(|since| {
            let written = replayed.iter().any(|(path, end)| {
                path.file_name().is_some_and(|name| *name == *line.cursor.file) && line.cursor.offset <= *end
            });
            written && !is_since(&line.bytes, since)
        });
        if !old && matches(kinds, &line.bytes) {
            outlet.line(&line.bytes);
        }
    });
    match followed {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        followed => followed.map_err(unreadable),
    }
}

/// Returns a follower that begins near a time: older months are done, the time's own month begins where halving finds
/// it.
fn from_time(layout: &Layout, files: &[PathBuf], since: Timestamp) -> io::Result<Follower> {
    let first = layout.events_file(since);
    let older: Vec<PathBuf> = files.iter().filter(|path| **path < first).cloned().collect();
    let mut follower = Follower::from_end(&older);
    if files.contains(&first) {
        follower.set(&first, bisect::first_since(&first, since)?);
    }
    Ok(follower)
}

fn matches(kinds: &mut AskedKinds, line: &[u8]) -> bool {
    match glance(line) {
        Some((_, kind)) => kinds.meet(kind),
        None => Record::parse(line).is_some_and(|record| kinds.meet(&record.kind)),
    }
}

fn is_since(line: &[u8], since: Timestamp) -> bool {
    bisect::time_of(line).is_some_and(|at| at >= since)
}

fn unreadable(error: io::Error) -> Error {
    Error::failed("reading the event log").caused_by(error)
}

fn time_argument(text: &str) -> Result<Timestamp, String> {
    time::parse(text).ok_or_else(|| "not an ISO 8601 time, such as 2026-03-01T05:06:07Z".to_owned())
}
