//! Running a relay: ssh, its lines, its end, the pause, again.

use std::ffi::OsString;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::backoff::{Failure, Link};
use super::command::{Relayed, Remote, argv};
use super::translate::{Said, Translator};
use crate::error::Exit;
use crate::event::Event;
use crate::masking;
use crate::process::child::Environment;
use crate::process::exit_status::ExitStatus;
use crate::process::piped::Piped;
use crate::process::signals::{SignalInput, Signals};
use crate::process::wait::{self, Interest};
use crate::witness::stream::HEARTBEAT_S;

/// How long ssh may take to follow TERM.
const GRACE: Duration = Duration::from_secs(5);
/// Lines of ssh's stderr that say why it failed, and characters of them that are kept.
const COMPLAINT_LINES: usize = 20;
const COMPLAINT_CHARS: usize = 500;
/// How long a link that should have a heartbeat may be silent.
const SILENCE: Duration = Duration::from_secs(4 * HEARTBEAT_S);

/// What the relay does to the world.
pub struct Edge<'a> {
    /// Prints something; an error ends the relay, because nobody reads any more.
    pub say: &'a dyn Fn(Said) -> io::Result<()>,
    /// Writes an event into this machine's log.
    pub log: &'a dyn Fn(&Event),
    /// Tells the person.
    pub note: &'a dyn Fn(&str),
}

/// How a relay ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// A signal, or nobody reads.
    Told,
    /// The link was down for too long; why it failed last.
    GaveUp(String),
}

/// Relays until told to end, or until the link has been down for `tolerance`.
///
/// # Errors
/// When ssh cannot be started, signals cannot be taken, or printing fails.
pub fn run(remote: &Remote, relayed: Relayed, tolerance: Duration, edge: &Edge<'_>) -> io::Result<End> {
    let signals = Signals::block(&[SignalInput::Term, SignalInput::Int, SignalInput::Hup])?;
    let mut translator = Translator::new(relayed);
    let mut link = Link::default();
    loop {
        let begun = Instant::now();
        let Lost { spoke, status, complaint } = match connection(remote, &mut translator, &signals, edge)? {
            Connection::Told => return Ok(End::Told),
            Connection::Lost(lost) => lost,
        };
        if translator.is_astray() {
            (edge.note)(&format!(
                "{}: the log there is another one now; it is read from its beginning",
                remote.host
            ));
            continue;
        }
        if !spoke && status.code() == i64::from(Exit::Usage.code()) && translator.refused() {
            (edge.note)(&format!(
                "{}: the program there has no stream; its log is followed by time: lines before the first one that is \
                 told may be missed when the link ends, and so may those after its clock went back",
                remote.host
            ));
            continue;
        }
        let verdict = link.failed(Failure { begun, over: Instant::now(), spoke }, tolerance);
        let since = translator.place().since.clone();
        let elapsed_s = verdict.elapsed.as_secs_f64();
        let Some(pause) = verdict.pause else {
            (edge.log)(&Event::MonitorRemoteGiveup {
                host: remote.host.clone(),
                returncode: status.code(),
                total_attempts: verdict.attempt.into(),
                total_elapsed_s: elapsed_s,
                cap_s: tolerance.as_secs_f64(),
                final_error: complaint.clone(),
                resume_since: since,
            });
            return Ok(End::GaveUp(complaint));
        };
        (edge.log)(&Event::MonitorRemoteBlip {
            host: remote.host.clone(),
            returncode: status.code(),
            error: complaint.clone(),
            attempt: verdict.attempt.into(),
            elapsed_s,
            cap_s: tolerance.as_secs_f64(),
            resume_since: since,
            next_sleep_s: pause.as_secs_f64(),
        });
        let why = complaint.trim_end().lines().last().unwrap_or_default();
        (edge.note)(&format!(
            "{}: the link ended ({why}); trying again in {:.0} s",
            remote.host,
            pause.as_secs_f64()
        ));
        if told_within(&signals, Instant::now() + pause)? {
            return Ok(End::Told);
        }
    }
}

enum Connection {
    Told,
    Lost(Lost),
}

struct Lost {
    spoke: bool,
    status: ExitStatus,
    complaint: String,
}

fn connection(
    remote: &Remote,
    translator: &mut Translator,
    signals: &Signals,
    edge: &Edge<'_>,
) -> io::Result<Connection> {
    translator.connecting(RandomState::new().hash_one(()));
    let words: Vec<OsString> =
        argv(remote, translator.relayed(), translator.place()).into_iter().map(OsString::from).collect();
    let mut ssh = Piped::start(&words, Path::new("/"), &Environment::inherited())?;
    let has_heartbeat = translator.has_heartbeat();
    let (mut heard, mut spoke, mut failure) = (Instant::now(), false, None);
    let mut silent = false;
    let stdout = io::stdout();
    loop {
        let is_over = ssh.is_over();
        let mut is_heard = false;
        ssh.read(|line| {
            is_heard = true;
            for said in translator.line(line, Timestamp::now()) {
                if failure.is_none() {
                    failure = (edge.say)(said).err();
                }
            }
        });
        if failure.is_some() {
            break;
        }
        if is_heard {
            // Only now: whoever reads here may have taken their time, which is no silence over there.
            (heard, spoke) = (Instant::now(), true);
        }
        silent = has_heartbeat && heard.elapsed() >= SILENCE;
        if is_over || silent || translator.is_astray() {
            break;
        }
        let mut waited = vec![(signals.as_fd(), Interest::Read), (stdout.as_fd(), Interest::Hangup)];
        waited.extend(ssh.descriptors().into_iter().map(|fd| (fd, Interest::Read)));
        let ready = wait::wait_for(&waited, has_heartbeat.then(|| heard + SILENCE))?;
        if ready.iter().any(|&index| index < 2) {
            ssh.end(GRACE);
            return Ok(Connection::Told);
        }
    }
    let status = ssh.end(GRACE);
    ssh.read(|_| {});
    if let Some(error) = failure {
        return if error.kind() == io::ErrorKind::BrokenPipe { Ok(Connection::Told) } else { Err(error) };
    }
    let said = masking::mask_and_cut(&ssh.complaint(COMPLAINT_LINES), COMPLAINT_CHARS);
    let complaint = match (silent, said.is_empty()) {
        (true, _) => format!("no heartbeat for {} s", SILENCE.as_secs()),
        (false, true) => format!("ssh ended with {status}"),
        (false, false) => said,
    };
    Ok(Connection::Lost(Lost { spoke, status, complaint }))
}

fn told_within(signals: &Signals, deadline: Instant) -> io::Result<bool> {
    let stdout = io::stdout();
    let waited = [(signals.as_fd(), Interest::Read), (stdout.as_fd(), Interest::Hangup)];
    Ok(!wait::wait_for(&waited, Some(deadline))?.is_empty())
}
