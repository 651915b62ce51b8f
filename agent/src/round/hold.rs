//! The round lock and who holds it. The holder file tells people; the lock decides.

use jiff::Timestamp;

use super::error::RoundError;
use crate::error::in_words;
use crate::output;
use crate::process::identity::Identity;
use crate::process::tree;
use crate::store::holder::{self, Holder};
use crate::store::layout::Layout;
use crate::store::lock::Lock;
use crate::store::state::Read;
use crate::store::time;

/// The round lock, held until this is dropped; the holder file is removed just before.
#[derive(Debug)]
pub struct Hold {
    _lock: Lock,
    layout: Layout,
    holder: Holder,
    /// What the holder file said when the lock was taken: a round that did not come to its end left it.
    pub left: Read<Holder>,
}

/// Takes the round lock. The holder file is written by [`Hold::announce`].
///
/// # Errors
/// [`RoundError::Held`] when another round holds it.
pub fn take(layout: &Layout) -> Result<Hold, RoundError> {
    let path = layout.round_lock();
    match Lock::try_take(&path) {
        Ok(Some(lock)) => {
            let left = holder::read(layout);
            let own = Identity::own();
            let holder = Holder::new(own, time::stamp(Timestamp::now()), &tree::command_line(own.pid));
            Ok(Hold { _lock: lock, layout: layout.clone(), holder, left })
        }
        Ok(None) => {
            let who = describe(&holder::read(layout), Timestamp::now(), Identity::is_alive);
            Err(RoundError::Held(format!("another round holds {} ({who})", path.display())))
        }
        Err(source) => Err(RoundError::Lock { path, source }),
    }
}

impl Hold {
    /// Writes the holder file with what is known of the round.
    pub fn announce(&mut self, round_num: i64, agent: Option<Identity>) {
        self.holder.round_num = Some(round_num);
        self.holder.agent_pid = agent.map(|agent| agent.pid);
        self.holder.agent_create_time = agent.and_then(|agent| agent.create_time);
        if let Err(error) = holder::write(&self.layout, &self.holder) {
            output::note(&format!(
                "cannot write {}: {}",
                self.layout.round_lock_holder().display(),
                in_words(&error)
            ));
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Err(error) = holder::remove(&self.layout) {
            output::note(&format!(
                "cannot remove {}: {}",
                self.layout.round_lock_holder().display(),
                in_words(&error)
            ));
        }
    }
}

/// Describes the holder of a lock that is held.
fn describe(holder: &Read<Holder>, now: Timestamp, is_alive: impl Fn(&Identity) -> bool) -> String {
    let holder = match holder {
        Read::Missing => return "its holder file is missing".to_owned(),
        Read::Unusable(reason) => return format!("its holder file is unreadable: {reason}"),
        Read::Usable(holder) => holder,
    };
    if !is_alive(&holder.round()) {
        return format!("its holder file is stale: pid {} is gone", holder.pid);
    }
    let age = time::parse(&holder.started_at)
        .map_or_else(String::new, |at| format!(", for {} s", now.duration_since(at).as_secs().max(0)));
    format!("pid {}{age}: {}", holder.pid, holder.cmdline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_named_with_its_age_or_said_to_be_stale() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let round = Identity { pid: 7, create_time: None };
        let holder = Holder::new(round, "2026-01-01T00:00:18.000Z".into(), "agent-runner round");
        let usable = Read::Usable(holder);
        assert_eq!(describe(&usable, now, |_| true), "pid 7, for 42 s: agent-runner round");
        assert_eq!(describe(&usable, now, |_| false), "its holder file is stale: pid 7 is gone");
        assert_eq!(describe(&Read::Missing, now, |_| true), "its holder file is missing");
    }

    #[test]
    fn a_held_lock_is_refused_and_released_with_its_holder_file() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let mut hold = take(&layout).unwrap();
        assert_eq!(hold.left, Read::Missing);
        hold.announce(3, None);
        let refused = take(&layout).unwrap_err();
        assert!(refused.to_string().contains("agent-runner.lock"), "{refused}");
        assert_eq!(refused.exit(), crate::error::Exit::Environment);
        drop(hold);
        assert!(!layout.round_lock_holder().exists());
        drop(take(&layout).unwrap());
    }
}
