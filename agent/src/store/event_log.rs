//! Appending events: one write per line, a doorbell after it, and no loss without a count.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use serde::Serialize;

use super::layout::Layout;
use super::{doorbell, json, regular, time};
use crate::event::Event;

/// The event log of one log dir, open for appending.
#[derive(Debug)]
pub struct EventLog {
    layout: Layout,
    dropped: AtomicI64,
}

impl EventLog {
    /// Returns the log of a log dir; nothing is opened before the first event.
    pub fn new(layout: Layout) -> EventLog {
        EventLog { layout, dropped: AtomicI64::new(0) }
    }

    /// Returns the layout it writes to.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Appends an event and rings the doorbells. A line that cannot be written (a full disk, a vanished folder) is
    /// counted; the count is written as `events_dropped` before the next line that can.
    pub fn append(&self, event: &Event) {
        // A refused write is counted inside; supervision goes on without it.
        let _ = self.try_append(event);
    }

    /// Appends an event like [`EventLog::append`] and tells whether it is on disk.
    ///
    /// # Errors
    /// What opening or writing returned; the loss is counted.
    pub fn try_append(&self, event: &Event) -> io::Result<()> {
        let written = self.write(event);
        if written.is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        written
    }

    fn write(&self, event: &Event) -> io::Result<()> {
        let now = Timestamp::now();
        let path = self.layout.events_file(now);
        let dropped = self.dropped.load(Ordering::Relaxed);
        let mut lines = Vec::new();
        if dropped > 0 {
            push_line(&mut lines, now, &Event::EventsDropped { count: dropped })?;
        }
        push_line(&mut lines, now, event)?;
        append_line(&path, &lines)?;
        self.dropped.fetch_sub(dropped, Ordering::Relaxed);
        doorbell::ring(&self.layout.notify_dir());
        Ok(())
    }
}

/// Appends whole lines to a file with one write, after a newline when the file ends in a torn line.
///
/// # Errors
/// What opening or writing returned.
pub fn append_line(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o666).custom_flags(libc::O_NONBLOCK);
    let mut file = regular::insist(options.open(path)?)?;
    if ends_torn(&file)? { file.write_all(&[b"\n", lines].concat()) } else { file.write_all(lines) }
}

#[derive(Serialize)]
struct Line<'a> {
    ts: &'a str,
    #[serde(flatten)]
    event: &'a Event,
}

fn push_line(out: &mut Vec<u8>, at: Timestamp, event: &Event) -> io::Result<()> {
    out.extend(json::line(&Line { ts: &time::stamp(at), event })?);
    out.push(b'\n');
    Ok(())
}

fn ends_torn(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let mut last = [0; 1];
    Ok(length > 0 && file.read_at(&mut last, length - 1)? == 1 && last != *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_spaced_ordered_and_start_on_their_own_line() {
        let dir = tempfile::tempdir().unwrap();
        let log = EventLog::new(Layout::new(dir.path()));
        let path = log.layout().events_file(Timestamp::now());
        append_line(&path, b"{\"torn\": ").unwrap();
        log.append(&Event::RoundEnd { round_num: 7 });
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().nth(1).unwrap();
        assert!(line.starts_with("{\"ts\": \"20"), "{line}");
        assert!(line.ends_with("Z\", \"event\": \"round_end\", \"round_num\": 7}"), "{line}");
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn a_loss_is_counted_and_told_when_writing_works_again() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("gone");
        let log = EventLog::new(Layout::new(&root));
        log.append(&Event::RoundEnd { round_num: 1 });
        log.append(&Event::RoundEnd { round_num: 2 });
        std::fs::create_dir(&root).unwrap();
        log.append(&Event::RoundEnd { round_num: 3 });
        log.append(&Event::RoundEnd { round_num: 4 });
        let text = std::fs::read_to_string(log.layout().events_file(Timestamp::now())).unwrap();
        let kinds: Vec<_> =
            text.lines().map(|l| super::super::record::Record::parse(l.as_bytes()).unwrap().kind).collect();
        assert_eq!(kinds, ["events_dropped", "round_end", "round_end"]);
        assert!(text.contains("\"count\": 2"));
    }
}
