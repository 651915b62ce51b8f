//! `agent-runner.lock.holder`: who holds the round lock, and which agent it runs.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::layout::Layout;
use super::state::{self, Read, read_object};
use crate::process::identity::Identity;

/// The longest command line kept, in characters.
const CMDLINE_MAX: usize = 80;

/// The holder of the round lock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Holder {
    /// The round's process.
    pub pid: i32,
    /// When it took the lock.
    pub started_at: String,
    /// Its command line, at most 80 characters.
    pub cmdline: String,
    /// When its process started, in seconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create_time: Option<f64>,
    /// The round's number, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_num: Option<i64>,
    /// The agent, which leads a session and group of its own, once it is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_pid: Option<i32>,
    /// When the agent's process started, in seconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_create_time: Option<f64>,
}

impl Holder {
    /// Returns a holder that runs no agent yet.
    pub fn new(round: Identity, started_at: String, cmdline: &str) -> Holder {
        Holder {
            pid: round.pid,
            started_at,
            cmdline: cmdline.chars().take(CMDLINE_MAX).collect(),
            create_time: round.create_time,
            round_num: None,
            agent_pid: None,
            agent_create_time: None,
        }
    }

    /// Returns the round's identity.
    pub fn round(&self) -> Identity {
        Identity { pid: self.pid, create_time: self.create_time }
    }

    /// Returns the agent's identity, when one was started.
    pub fn agent(&self) -> Option<Identity> {
        self.agent_pid.map(|pid| Identity { pid, create_time: self.agent_create_time })
    }
}

/// Reads who holds, or last held, the round lock. Only the lock itself tells whether it is held.
pub fn read(layout: &Layout) -> Read<Holder> {
    read_object(&layout.round_lock_holder())
        .and_then(|object| parse(&object).ok_or_else(|| "names no process".to_owned()))
}

/// Writes the holder: one plain write, because only the holder of the lock writes it and a torn file says as much as a
/// missing one.
///
/// # Errors
/// When it cannot be written.
pub fn write(layout: &Layout, holder: &Holder) -> io::Result<()> {
    let text = serde_json::to_vec(holder)?;
    let path = layout.round_lock_holder();
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options.open(path)?.write_all(&text)
}

/// Removes the file, just before the lock is released.
///
/// # Errors
/// When it exists and cannot be removed.
pub fn remove(layout: &Layout) -> io::Result<()> {
    state::remove(&layout.round_lock_holder())
}

fn parse(object: &Map<String, Value>) -> Option<Holder> {
    let pid =
        |key: &str| object.get(key)?.as_i64().and_then(|pid| i32::try_from(pid).ok()).filter(|&pid| pid > 1);
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(Holder {
        pid: pid("pid")?,
        started_at: text("started_at"),
        cmdline: text("cmdline"),
        create_time: object.get("create_time").and_then(Value::as_f64),
        round_num: object.get("round_num").and_then(Value::as_i64),
        agent_pid: pid("agent_pid"),
        agent_create_time: object.get("agent_create_time").and_then(Value::as_f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_old_fields_and_reads_files_without_the_new() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let round = Identity { pid: 7, create_time: Some(1.25) };
        let mut holder = Holder::new(round, "2026-01-01T00:00:00.000Z".into(), &"x".repeat(100));
        write(&layout, &holder).unwrap();
        let text = std::fs::read_to_string(layout.round_lock_holder()).unwrap();
        assert!(text.ends_with(r#""create_time":1.25}"#), "{text}");
        assert_eq!(holder.cmdline.len(), 80);
        holder.agent_pid = Some(8);
        holder.agent_create_time = Some(2.5);
        write(&layout, &holder).unwrap();
        let read_back = read(&layout).usable().unwrap();
        assert_eq!(read_back, holder);
        assert_eq!(read_back.agent(), Some(Identity { pid: 8, create_time: Some(2.5) }));
        remove(&layout).unwrap();
        assert_eq!(read(&layout), Read::Missing);
    }
}
