//! Which process a recorded pid means: pids are recycled, a pid with its start time is not.

use std::fs;
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::stat::Stat;

/// Start times that differ by less than this many seconds are the same: boot time is known to the second only.
const SAME_START_S: f64 = 1.0;

/// A process, as it is recorded in files.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The process id.
    pub pid: i32,
    /// When it started, in seconds since the epoch; a record without it is taken at its word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_time: Option<f64>,
}

impl Identity {
    /// Returns the identity of a process that exists.
    pub fn of(pid: i32) -> Option<Identity> {
        create_time(pid).map(|at| Identity { pid, create_time: Some(at) })
    }

    /// Returns this process's own identity.
    pub fn own() -> Identity {
        let pid = Pid::this().as_raw();
        Identity { pid, create_time: create_time(pid) }
    }

    /// Returns whether the recorded process still runs and may be signalled by us. A recycled pid, a pid that was
    /// never valid and a process of somebody else all count as not alive.
    pub fn is_alive(&self) -> bool {
        self.pid > 1 && self.is_same_start() && kill(Pid::from_raw(self.pid), None) == Ok(())
    }

    /// Returns whether the recorded process is alive and has not ended: one that nobody has reaped yet (process 1 of a
    /// container often never does) runs nothing any more.
    pub fn is_running(&self) -> bool {
        self.is_alive() && Stat::read(self.pid).is_some_and(|stat| !stat.is_dead())
    }

    /// Returns whether no process has this identity any more; one of somebody else still counts as existing.
    pub fn is_gone(&self) -> bool {
        self.pid <= 1 || !self.is_same_start() || kill(Pid::from_raw(self.pid), None) == Err(Errno::ESRCH)
    }

    fn is_same_start(&self) -> bool {
        match self.create_time {
            None => true,
            Some(recorded) => {
                create_time(self.pid).is_some_and(|actual| (actual - recorded).abs() < SAME_START_S)
            }
        }
    }
}

/// Returns when a process started, in seconds since the epoch.
pub fn create_time(pid: i32) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "ticks since boot stay far below 2^52")]
    let ticks = Stat::read(pid)?.start_ticks as f64;
    Some(boot_time()? + ticks / ticks_per_second())
}

/// Returns the kernel's clock ticks per second, the unit of [`Stat::start_ticks`].
pub fn ticks_per_second() -> f64 {
    static TICKS: OnceLock<f64> = OnceLock::new();
    *TICKS.get_or_init(|| {
        // SAFETY: sysconf only reads its integer argument.
        let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        // 100 is the value on every architecture we are built for.
        i32::try_from(ticks).ok().filter(|&ticks| ticks > 0).map_or(100.0, f64::from)
    })
}

/// Returns the boot time in seconds since the epoch. Read anew each time: it moves with the system clock, and the
/// recorded start times have to move with it.
fn boot_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recorded_process_itself_is_alive() {
        let own = Identity::own();
        let started = own.create_time.unwrap();
        assert!(own.is_alive() && !own.is_gone());
        assert!(Identity { create_time: None, ..own }.is_alive());
        assert!(Identity { create_time: Some(started + 0.9), ..own }.is_alive());
        for other in [
            Identity { create_time: Some(started + 1.1), ..own },
            Identity { pid: 1, create_time: None },
            Identity { pid: 0, create_time: None },
            Identity { pid: -1, create_time: None },
            Identity { pid: i32::MAX, create_time: None },
        ] {
            assert!(!other.is_alive(), "{other:?}");
        }
    }

    #[test]
    fn records_read_with_and_without_a_start_time() {
        let full: Identity = serde_json::from_str(r#"{"pid": 7, "create_time": 1.5}"#).unwrap();
        assert_eq!(full, Identity { pid: 7, create_time: Some(1.5) });
        let bare: Identity = serde_json::from_str(r#"{"pid": 7}"#).unwrap();
        assert_eq!(serde_json::to_string(&bare).unwrap(), r#"{"pid":7}"#);
    }
}
