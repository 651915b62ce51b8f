//! Who changed this host, when, and what came of it: one line each.

use std::fs;
use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::manifest::By;
use super::places::Places;
use crate::store::backward::Lines;
use crate::store::{event_log, json, time};

/// The size at which the audit is put aside as `audit.jsonl.1`, in bytes.
const SIZE_MAX: u64 = 4 << 20;

/// How many lines back an id is looked for.
const LOOK_BACK: usize = 2000;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) ts: String,
    pub(super) fleet: String,
    pub(super) host: String,
    pub(super) user: String,
    pub(super) machine: String,
    pub(super) run: String,
    /// The fingerprint of the key that the controller logged in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    pub(super) id: String,
    pub(super) projects: Vec<String>,
    pub(super) result: Result,
    #[serde(default)]
    pub(super) detail: String,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Result {
    /// It was switched and waits.
    Switched,
    /// It is kept.
    Confirmed,
    /// Everything was put back.
    Reverted,
    /// It could not be put back whole.
    Failed,
    /// A person holds the host; `detail` says why.
    Locked,
    /// The lock was given back.
    Unlocked,
}

impl Entry {
    pub(super) fn now(by: &By, id: &str, result: Result) -> Entry {
        Entry {
            ts: time::stamp(Timestamp::now()),
            fleet: String::new(),
            host: String::new(),
            user: by.user.clone(),
            machine: by.machine.clone(),
            run: by.run.clone(),
            key: by.key.clone(),
            id: id.to_owned(),
            projects: Vec::new(),
            result,
            detail: String::new(),
        }
    }
}

/// Appends a line.
pub(super) fn append(places: &Places, entry: &Entry) -> io::Result<()> {
    let path = places.audit();
    if fs::metadata(&path).is_ok_and(|meta| meta.len() > SIZE_MAX) {
        fs::rename(&path, path.with_extension("jsonl.1"))?;
    }
    let mut line = json::line(entry)?;
    line.push(b'\n');
    event_log::append_line(&path, &line)
}

/// Returns the newest line of an id.
pub(super) fn newest(places: &Places, id: &str) -> Option<Entry> {
    Lines::new(vec![places.audit()])
        .take(LOOK_BACK)
        .filter_map(|line| serde_json::from_slice::<Entry>(&line).ok())
        .find(|entry| entry.id == id)
}
