//! The controller's own record of its runs: one file of JSON lines per run, written as hosts end, so that a run that
//! was killed can be resumed and a finished one be looked up.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use agent_runner::apply::manifest::By;
use agent_runner::store::time;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::output::recap::{HostResult, Status};

/// How many runs of a fleet are kept: rollouts, which can be resumed, and deeds.
const KEPT: usize = 200;
const DEEDS_KEPT: usize = 500;
/// Where the records of deeds are, below the user's state folder.
const DEEDS: &str = "agent-runner-fleet/deeds";
/// The largest record that is read, in bytes.
const SIZE_MAX: u64 = 64 << 20;

/// One line of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    Begin(Begin),
    Host {
        ts: String,
        host: String,
        status: String,
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    End {
        ts: String,
        exit: u8,
    },
}

/// What a run set out to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// When.
    pub ts: String,
    /// Its name.
    pub run: String,
    /// What was asked for: `deploy`, `rollback`..
    pub verb: String,
    /// Who asked.
    pub user: String,
    /// From where.
    pub machine: String,
    /// The fleet.
    pub fleet: String,
    /// The projects that were named; none is all.
    pub projects: Vec<String>,
    /// The hosts, in the order they are worked on.
    pub hosts: Vec<String>,
    /// What was run, for `exec`: its beginning, secrets masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// What is known of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// What it set out to do.
    #[serde(flatten)]
    pub begin: Begin,
    /// How each host that was started ended.
    pub ended: BTreeMap<String, Ended>,
    /// What it ended with; `None` when it was killed, or is at work.
    pub exit: Option<u8>,
}

/// How one host ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// When.
    pub ts: String,
    /// The recap's word.
    pub status: String,
    /// The recap's line.
    pub message: String,
    /// The fingerprint of the key it was logged in with, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Writes one run down.
#[derive(Debug, Default)]
pub struct Recorder {
    file: Option<Mutex<File>>,
}

impl Begin {
    /// Returns the beginning of a run by somebody.
    pub fn now(by: &By, verb: &str, fleet: &str) -> Begin {
        Begin {
            ts: time::stamp(Timestamp::now()),
            run: by.run.clone(),
            verb: verb.to_owned(),
            user: by.user.clone(),
            machine: by.machine.clone(),
            fleet: fleet.to_owned(),
            projects: Vec::new(),
            hosts: Vec::new(),
            command: None,
        }
    }
}

impl Run {
    /// Returns the hosts that have to be done (again), in the run's order: those that ended badly and those that never
    /// ended.
    pub fn unfinished(&self) -> Vec<&str> {
        let well = [Status::Ok.as_str(), Status::Changed.as_str()];
        let done =
            |host: &&String| self.ended.get(*host).is_some_and(|ended| well.contains(&ended.status.as_str()));
        self.begin.hosts.iter().filter(|host| !done(host)).map(String::as_str).collect()
    }
}

impl Recorder {
    /// Begins a record in a fleet's folder; older ones beyond the newest 200 go, of deeds beyond the newest 500.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(folder: &Path, begin: &Begin) -> io::Result<Recorder> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let path = folder.join(format!("{}.jsonl", begin.run));
        let file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(path)?;
        let recorder = Recorder { file: Some(Mutex::new(file)) };
        recorder.write(&Line::Begin(begin.clone()))?;
        let kept =
            if folder.parent().is_some_and(|parent| parent.ends_with(DEEDS)) { DEEDS_KEPT } else { KEPT };
        for old in names(folder).iter().rev().skip(kept) {
            // Another run may have removed it.
            let _ = fs::remove_file(folder.join(old));
        }
        Ok(recorder)
    }

    /// Records how a host ended, and the fingerprint of the key it was logged in with. A full disk costs the record, not
    /// the run.
    pub fn host(&self, result: &HostResult, key: Option<&str>) {
        let line = Line::Host {
            ts: time::stamp(Timestamp::now()),
            host: result.host.clone(),
            status: result.status.as_str().to_owned(),
            message: result.message.clone(),
            key: key.map(str::to_owned),
        };
        let _ = self.write(&line);
    }

    /// Records what the run ended with.
    pub fn end(&self, exit: u8) {
        let _ = self.write(&Line::End { ts: time::stamp(Timestamp::now()), exit });
    }

    fn write(&self, line: &Line) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        // A panic elsewhere leaves the file whole: lines are written in one piece.
        file.lock().unwrap_or_else(std::sync::PoisonError::into_inner).write_all(&text)
    }
}

/// Returns where the records of a fleet are, below the user's state folder.
pub fn folder(state: &Path, fleet: &str) -> PathBuf {
    state.join("agent-runner-fleet/runs").join(fleet)
}

/// Returns where the records of what else was done on a fleet's hosts are: apart, so that no number of them pushes out a
/// rollout that is to be resumed.
pub fn deeds(state: &Path, fleet: &str) -> PathBuf {
    state.join(DEEDS).join(fleet)
}

/// Returns the runs there are, the oldest first; what is damaged is left out.
pub fn all(folder: &Path) -> Vec<Run> {
    names(folder).iter().filter_map(|name| read(&folder.join(name))).collect()
}

/// Returns one run by its name, or the newest one of `verb` for `last`.
pub fn find(folder: &Path, name: &str, verb: &str) -> Option<Run> {
    if name == "last" {
        return all(folder).into_iter().rfind(|run| run.begin.verb == verb);
    }
    let names = names(folder);
    names
        .iter()
        .find(|file| file.strip_suffix(".jsonl") == Some(name))
        .and_then(|file| read(&folder.join(file)))
}

/// Names begin with the time in milliseconds, so they sort by it.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".jsonl"))
        .collect();
    names.sort();
    names
}

fn read(path: &Path) -> Option<Run> {
    let mut text = String::new();
    File::open(path).ok()?.take(SIZE_MAX).read_to_string(&mut text).ok()?;
    let mut lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let Some(Line::Begin(begin)) = lines.next() else { return None };
    let mut run = Run { begin, ended: BTreeMap::new(), exit: None };
    for line in lines {
        match line {
            Line::Begin(_) => {}
            Line::Host { ts, host, status, message, key } => {
                run.ended.insert(host, Ended { ts, status, message, key });
            }
            Line::End { exit, .. } => run.exit = Some(exit),
        }
    }
    Some(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(run: &str, hosts: &[&str]) -> Begin {
        let by = By { user: "me".into(), machine: "desk".into(), run: run.into(), key: None };
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Begin { hosts, ..Begin::now(&by, "deploy", "attic") }
    }

    #[test]
    fn a_killed_run_tells_which_hosts_are_left_in_its_order() {
        let dir = tempfile::tempdir().unwrap();
        let recorder = Recorder::begin(dir.path(), &begin("100-1", &["c", "a", "b", "d"])).unwrap();
        recorder.host(&HostResult::new("c", Status::Changed, "all"), Some("SHA256:abc"));
        recorder.host(&HostResult::new("a", Status::Reverted, "no"), None);
        // What a kill leaves of the last line.
        fs::OpenOptions::new()
            .append(true)
            .open(dir.path().join("100-1.jsonl"))
            .unwrap()
            .write_all(b"{\"type\":\"ho")
            .unwrap();
        let run = find(dir.path(), "last", "deploy").unwrap();
        assert_eq!((run.unfinished(), run.exit), (vec!["a", "b", "d"], None));
        assert_eq!(run.ended["c"].key.as_deref(), Some("SHA256:abc"));
        assert_eq!(find(dir.path(), "100-1", "deploy"), Some(run));
        assert_eq!(find(dir.path(), "last", "rollback"), None);
    }

    #[test]
    fn the_newest_runs_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..KEPT + 3 {
            Recorder::begin(dir.path(), &begin(&format!("{:06}-1", number), &[])).unwrap().end(0);
        }
        let runs = all(dir.path());
        assert_eq!((runs.len(), runs[0].begin.run.as_str()), (KEPT, "000003-1"));
        assert!(runs.iter().all(|run| run.exit == Some(0)));
    }

    #[test]
    fn no_number_of_deeds_pushes_out_a_run_that_may_be_resumed() {
        let state = tempfile::tempdir().unwrap();
        let (runs, deeds) = (folder(state.path(), "attic"), super::deeds(state.path(), "attic"));
        Recorder::begin(&runs, &begin("000001-1", &["pi1"])).unwrap();
        for number in 0..DEEDS_KEPT + 3 {
            let said = Begin { command: Some("uname -r".into()), ..begin(&format!("{number:06}-2"), &[]) };
            Recorder::begin(&deeds, &said).unwrap().end(0);
        }
        assert_eq!(all(&runs).len(), 1);
        let kept = all(&deeds);
        assert_eq!((kept.len(), kept[0].begin.run.as_str()), (DEEDS_KEPT, "000003-2"));
        assert_eq!(kept[0].begin.command.as_deref(), Some("uname -r"));
    }
}
