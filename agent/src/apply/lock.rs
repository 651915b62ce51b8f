//! The lock of a deploy: a folder, because making one is atomic everywhere, with its owner inside and an end of life.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::manifest::By;
use crate::store::{atomic, regular, time};

/// The largest record of a lock's owner that is read, in bytes.
const OWNER_MAX: u64 = 64 * 1024;

/// Seconds a lock without an owner file is respected: its maker is between two steps.
const UNOWNED_S: i64 = 60;

/// Who holds a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The user on the controller's machine.
    pub user: String,
    /// The controller's machine.
    pub machine: String,
    /// The run.
    pub run: String,
    /// Since when.
    pub since: String,
    /// Seconds after `since` when it is nobody's.
    pub ttl_s: u64,
    /// Why a person holds the host; `None` when a deploy is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Owner {
    /// Returns the owner of a lock taken now.
    pub fn new(by: &By, now: Timestamp, ttl_s: u64) -> Owner {
        Owner {
            user: by.user.clone(),
            machine: by.machine.clone(),
            run: by.run.clone(),
            since: time::stamp(now),
            ttl_s,
            reason: None,
        }
    }

    /// Says what a person can do about it.
    #[must_use]
    pub fn remedy(&self, host: &str) -> String {
        let ends = match time::parse(&self.since) {
            Some(since) => {
                time::stamp(since + jiff::SignedDuration::from_secs(self.ttl_s.min(1 << 32) as i64))
            }
            None => return format!("agent-runner-fleet unlock {host}"),
        };
        match self.reason {
            Some(_) => format!("the lock ends {ends}; sooner with: agent-runner-fleet unlock {host}"),
            None => format!(
                "wait for it; a lock that a dead run left ends {ends}, sooner with: agent-runner-fleet unlock --force {host}"
            ),
        }
    }

    fn expired(&self, now: Timestamp) -> bool {
        let ttl = i64::try_from(self.ttl_s).unwrap_or(i64::MAX);
        time::parse(&self.since).is_none_or(|since| since.as_second().saturating_add(ttl) < now.as_second())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Owner { user, machine, run, since, .. } = self;
        match &self.reason {
            Some(reason) => write!(f, "{user}@{machine} holds it since {since}: {reason}"),
            None => write!(f, "{user}@{machine} deploys here since {since} (run {run})"),
        }
    }
}

/// What came of trying.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is ours, or was already: the same run enters again, and its time starts anew.
    Ours,
    /// Somebody else holds it.
    Held(Owner),
}

/// Takes the lock, also over an expired one.
pub(super) fn take(path: &Path, owner: &Owner, now: Timestamp) -> io::Result<Taken> {
    for _ in 0..3 {
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {
                write(path, owner)?;
                return Ok(Taken::Ours);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        match read(path) {
            Some(holder) if holder.run == owner.run => {
                write(path, owner)?;
                return Ok(Taken::Ours);
            }
            Some(holder) if !holder.expired(now) => return Ok(Taken::Held(holder)),
            None if is_young(path, now) => return Ok(Taken::Held(unknown(now))),
            Some(_) | None => clear(path)?,
        }
    }
    Ok(Taken::Held(unknown(now)))
}

/// Gives the lock back when this run holds it.
pub(super) fn release(path: &Path, run: &str) -> io::Result<()> {
    match read(path) {
        Some(holder) if holder.run == run => clear(path),
        Some(_) | None => Ok(()),
    }
}

/// Gives the lock back whoever holds it.
pub(super) fn break_open(path: &Path) -> io::Result<()> {
    clear(path)
}

/// Returns who holds the lock, unless its time is over.
pub(super) fn held(path: &Path, now: Timestamp) -> Option<Owner> {
    read(path).filter(|holder| !holder.expired(now))
}

/// Returns who holds the lock.
pub(super) fn read(path: &Path) -> Option<Owner> {
    serde_json::from_slice(&regular::read(&owner_file(path), OWNER_MAX).ok()?).ok()
}

/// Renames the folder away first, so that of two that clear it only one removes it.
fn clear(path: &Path) -> io::Result<()> {
    let away = path.with_extension(format!("stale-{}", std::process::id()));
    match fs::rename(path, &away) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => fs::remove_dir_all(&away),
    }
}

fn write(path: &Path, owner: &Owner) -> io::Result<()> {
    atomic::replace_json(&owner_file(path), owner)
}

fn owner_file(path: &Path) -> PathBuf {
    path.join("owner")
}

fn is_young(path: &Path, now: Timestamp) -> bool {
    let made =
        fs::metadata(path).and_then(|meta| meta.modified()).ok().and_then(|at| Timestamp::try_from(at).ok());
    made.is_some_and(|made| now.as_second() - made.as_second() < UNOWNED_S)
}

fn unknown(now: Timestamp) -> Owner {
    let by = By { user: "unknown".into(), machine: "unknown".into(), run: String::new(), key: None };
    Owner::new(&by, now, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(run: &str, now: Timestamp) -> Owner {
        let by = By { user: "u".into(), machine: "m".into(), run: run.into(), key: None };
        Owner::new(&by, now, 60)
    }

    #[test]
    fn one_run_at_a_time_the_same_run_again_and_anybody_after_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deploy.lock");
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |s: i64| Timestamp::from_second(now.as_second() + s).unwrap();
        assert_eq!(take(&path, &owner("a", now), now).unwrap(), Taken::Ours);
        assert_eq!(take(&path, &owner("b", now), at(60)).unwrap(), Taken::Held(owner("a", now)));
        assert_eq!(take(&path, &owner("a", at(50)), at(50)).unwrap(), Taken::Ours);
        assert!(matches!(take(&path, &owner("b", at(61)), at(61)).unwrap(), Taken::Held(_)));
        assert_eq!(take(&path, &owner("b", at(111)), at(111)).unwrap(), Taken::Ours);
        release(&path, "a").unwrap();
        assert_eq!(read(&path).unwrap().run, "b");
        release(&path, "b").unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_lock_whose_maker_died_before_signing_it_is_respected_only_shortly() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deploy.lock");
        fs::create_dir(&path).unwrap();
        let now = Timestamp::now();
        assert!(matches!(take(&path, &owner("a", now), now).unwrap(), Taken::Held(_)));
        let later = Timestamp::from_second(now.as_second() + 61).unwrap();
        assert_eq!(take(&path, &owner("a", later), later).unwrap(), Taken::Ours);
    }
}
