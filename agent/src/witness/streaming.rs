//! Speaking the stream: hello, then events, state and alerts as they come, a heartbeat when nothing does. Reads only.
//!
//! It ends when its reader goes away, so that a lost ssh connection leaves nobody behind on the host.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::sys::stat::{SFlag, fstat};
use serde_json::Value;

use super::episode::{Change, Episodes};
use super::monitor::{FIRST_LOOK, look_of};
use super::reader::{Reader, Start};
use super::rehearsal;
use super::state::{self, Alive};
use super::stream::{self, HEARTBEAT_S, Hello, State, StreamLine};
use super::thresholds::Thresholds;
use super::wake::{Wake, Woken};
use crate::config::types::Config;
use crate::host;
use crate::output;
use crate::process::signals::{SignalInput, Signals};
use crate::process::wait::Interest;
use crate::sha256;
use crate::store::follow::{Cursor, Follower, Line};
use crate::store::layout::Layout;
use crate::store::presence::Presence;
use crate::store::time;
use crate::version;

/// How long a reader may take nothing until it counts as gone.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes collected before they are printed, while there is more to read.
const BATCH: usize = 64 * 1024;

/// Speaks until the reader goes away or a signal comes. `load` reads the configuration again; a broken one leaves the
/// last good one in force.
///
/// # Errors
/// When signals cannot be taken, or the event files cannot be read at all.
pub fn speak(config: Config, start: Start, load: impl Fn() -> Option<Config>) -> io::Result<()> {
    let signals = Signals::block(&[SignalInput::Term, SignalInput::Int, SignalInput::Hup])?;
    let layout = Layout::new(&config.runtime.log_dir);
    let begin = match start {
        Start::End => end_of(&layout),
        Start::Cursor(cursor) => cursor.marked(layout.root()),
    };
    let mut wake = Wake::new(layout.clone());
    let mut speaker = Speaker {
        reader: Reader::new(layout.clone(), FIRST_LOOK, Start::Cursor(begin.clone())),
        layout,
        config,
        episodes: Episodes::default(),
        state: None,
        pending: Vec::new(),
        spoken: Instant::now(),
        failure: None,
    };
    speaker.hello(begin);
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let asked_for_more = stdin_is_a_line();
    loop {
        speaker.poll()?;
        if speaker.failure.is_some() {
            return Ok(());
        }
        let mut others = vec![(signals.as_fd(), Interest::Read), (stdout.as_fd(), Interest::Hangup)];
        if asked_for_more {
            others.push((stdin.as_fd(), Interest::Read));
        }
        match wake.wait(&others, speaker.next_heartbeat())? {
            Woken::Other(2) if !stdin_ended()? => {}
            Woken::Other(_) => return Ok(()),
            Woken::Written | Woken::Deadline => {}
        }
        if let Some(config) = load() {
            if config.runtime.log_dir != speaker.config.runtime.log_dir {
                // Places in one log dir mean nothing in another: the reader begins anew.
                return Ok(());
            }
            speaker.config = config;
        }
    }
}

struct Speaker {
    layout: Layout,
    config: Config,
    reader: Reader,
    episodes: Episodes,
    state: Option<State>,
    pending: Vec<u8>,
    spoken: Instant,
    failure: Option<io::Error>,
}

impl Speaker {
    fn hello(&mut self, begin: Cursor) {
        let hello = StreamLine::Hello(Hello {
            protocol: version::PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            project: self.config.project().to_owned(),
            boot_id: host::boot_id(&host::Root::default()).unwrap_or_default(),
            at: time::stamp(Timestamp::now()),
            monitor_active: Presence::is_announced(&self.layout.monitor_lock()),
            auto_stop_on: self.config.monitor.auto_stop_on.clone(),
            cursor: Some(begin),
        });
        self.say(&hello);
    }

    fn poll(&mut self) -> io::Result<()> {
        let look = look_of(&self.config);
        let mut reader =
            std::mem::replace(&mut self.reader, Reader::new(self.layout.clone(), FIRST_LOOK, Start::End));
        let read = reader.poll(&look, |line| self.event(line));
        self.reader = reader;
        let now = Timestamp::now();
        let mut state = state::of(self.reader.snapshot(), Alive::look(&self.layout), now);
        state.monitor_active = Some(Presence::is_announced(&self.layout.monitor_lock()));
        // A file that cannot be read has no digest; what is wrong with it is the next round's to say.
        state.config_sha256 = sha256::of_file(&self.config.path).ok();
        let evaluation = rehearsal::judge(self.reader.snapshot(), &Thresholds::of(&self.config), now);
        state.cannot_judge = evaluation.cannot_judge();
        if self.state.as_ref() != Some(&state) {
            self.say(&StreamLine::State(state.clone()));
            self.state = Some(state);
        }
        for change in self.episodes.observe(&evaluation, now) {
            self.say(&match change {
                Change::Begun { identity, alert } | Change::Sharpened { identity, alert } => {
                    StreamLine::Alert { identity, alert }
                }
                Change::Resolved { detector, identity, firing_for_s } => {
                    StreamLine::Resolved { detector, identity, firing_for_s }
                }
            });
        }
        if self.pending.is_empty() && Instant::now() >= self.next_heartbeat() {
            self.say(&StreamLine::Heartbeat { at: time::stamp(now) });
        }
        self.write();
        read
    }

    fn event(&mut self, line: Line) {
        let text = String::from_utf8_lossy(&line.bytes);
        // A damaged line is no event; the next one carries the place behind it.
        let Ok(Value::Object(_)) = serde_json::from_str(&text) else { return };
        self.add(stream::event_line(&line.cursor, text.as_bytes()));
    }

    fn say(&mut self, line: &StreamLine) {
        self.add(serde_json::to_vec(line));
    }

    fn add(&mut self, line: serde_json::Result<Vec<u8>>) {
        match line {
            Ok(bytes) => {
                self.pending.extend(bytes);
                self.pending.push(b'\n');
            }
            Err(error) => self.failure = Some(error.into()),
        }
        if self.pending.len() >= BATCH {
            self.write();
        }
    }

    fn write(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() || self.failure.is_some() {
            return;
        }
        self.spoken = Instant::now();
        self.failure = output::print_to_reader(&pending, PATIENCE).err();
    }

    fn next_heartbeat(&self) -> Instant {
        self.spoken + Duration::from_secs(HEARTBEAT_S)
    }
}

/// Returns the place behind everything there is; where there is nothing yet, the beginning of this month's file.
fn end_of(layout: &Layout) -> Cursor {
    Follower::from_end(&layout.events_files()).newest().unwrap_or_else(|| {
        let file = layout.events_file(Timestamp::now());
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Cursor::at(name, 0)
    })
}

/// Returns whether stdin is a connection whose end means that nobody listens any more; a file or `/dev/null` is not.
fn stdin_is_a_line() -> bool {
    let Ok(stat) = fstat(io::stdin().as_fd()) else { return false };
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    kind == SFlag::S_IFIFO || kind == SFlag::S_IFSOCK
}

/// Reads away what was sent, which means nothing, and returns whether that was all there will ever be.
fn stdin_ended() -> io::Result<bool> {
    let mut bytes = [0; 512];
    match io::stdin().lock().read(&mut bytes) {
        Ok(count) => Ok(count == 0),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}
