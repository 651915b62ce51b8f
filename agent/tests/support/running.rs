//! Whether a process runs.

use agent_runner::process::stat::Stat;

/// Returns whether a process runs; one that only waits to be reaped does not.
pub(crate) fn is_running(pid: i32) -> bool {
    Stat::read(pid).is_some_and(|stat| !stat.is_dead())
}
