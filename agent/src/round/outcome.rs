//! How a round ended: pure.

use std::time::Duration;

use crate::process::exit_status::signal_name;

/// How the agent ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AgentEnd {
    /// Its code; negative is a signal.
    pub exit_code: i64,
    /// Its wall time.
    pub duration: Duration,
    /// Who ended it.
    pub cause: EndedBy,
}

/// Who ended the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// It came to its end by itself, or somebody else's signal ended it.
    Itself,
    /// The wall clock.
    WallClock,
    /// We did, for staying after its result.
    Grace,
    /// We did, because the operator cancelled the round and it did not end by itself.
    Cancel,
}

/// What the `round` process says of its round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoundExit {
    /// The agent exited with 0, or we ended it for its time.
    Done,
    /// The agent exited with another code, or died by a signal.
    AgentFailed,
    /// We were told to end.
    Interrupted,
}

impl AgentEnd {
    /// Returns whether we ended it, for the wall clock or the grace.
    pub fn timed_out(&self) -> bool {
        match self.cause {
            EndedBy::Itself | EndedBy::Cancel => false,
            EndedBy::WallClock | EndedBy::Grace => true,
        }
    }

    /// Returns whether we ended it, for whatever reason.
    pub fn was_stopped(&self) -> bool {
        self.cause != EndedBy::Itself
    }

    /// Returns whether it exited with 0 in time.
    pub fn is_ok(&self) -> bool {
        self.exit_code == 0 && !self.timed_out()
    }

    /// Returns whether what it left dirty is dealt with now: a failed, signalled or timed-out round keeps its tree for
    /// the next one.
    pub fn leaves_its_tree(&self) -> bool {
        self.is_ok() || self.cause == EndedBy::Grace
    }

    /// Returns whether a signal ended it, its own way of telling included.
    pub fn is_signal_death(&self) -> bool {
        self.signal().is_some()
    }

    /// Returns the event's word for it.
    pub fn exit_cause(&self) -> String {
        match (self.cause, self.signal(), self.exit_code) {
            (EndedBy::Grace, _, _) => "grace_kill".to_owned(),
            (EndedBy::WallClock, _, _) => "timeout".to_owned(),
            (EndedBy::Itself | EndedBy::Cancel, Some(name), _) => format!("signal:{name}"),
            (EndedBy::Itself | EndedBy::Cancel, None, 0) => "clean".to_owned(),
            (EndedBy::Itself | EndedBy::Cancel, None, _) => "error".to_owned(),
        }
    }

    /// Returns its wall time in seconds, with milliseconds.
    pub fn duration_s(&self) -> f64 {
        (self.duration.as_secs_f64() * 1000.0).round() / 1000.0
    }

    /// Returns what the process says of the round.
    pub fn round_exit(&self) -> RoundExit {
        if self.exit_code == 0 || self.timed_out() { RoundExit::Done } else { RoundExit::AgentFailed }
    }

    /// Returns the name of the signal that ended it: a negative code, or the shell's 128 + n.
    fn signal(&self) -> Option<&'static str> {
        let told = self.exit_code >= 0;
        let number = if told { self.exit_code - 128 } else { -self.exit_code };
        let number = i32::try_from(number).ok().filter(|&number| number > 0)?;
        signal_name(number).filter(|_| !told || ends_a_process(number))
    }
}

/// Returns whether a process can have died of a signal. Gemini CLI exits with the HTTP status of its provider, of which
/// a byte is left: 400 is 128 + SIGSTKFLT then, 401 SIGCHLD, 403 SIGSTOP.
fn ends_a_process(number: i32) -> bool {
    const NEVER: [i32; 9] = [
        libc::SIGSTKFLT,
        libc::SIGCHLD,
        libc::SIGCONT,
        libc::SIGSTOP,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGURG,
        libc::SIGWINCH,
    ];
    !NEVER.contains(&number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ended_well;

    fn check(exit_code: i64, cause: EndedBy, expected: (&str, RoundExit)) {
        let end = AgentEnd { exit_code, duration: Duration::from_micros(1_234_567), cause };
        assert_eq!((end.exit_cause().as_str(), end.round_exit()), expected, "{exit_code}");
        assert_eq!(
            ended_well(&end.exit_cause()),
            ["clean", "grace_kill"].contains(&expected.0),
            "{exit_code}"
        );
        assert!((end.duration_s() - 1.235).abs() < f64::EPSILON);
    }

    #[test]
    fn the_cause_is_the_first_that_applies() {
        use EndedBy::{Grace, Itself, WallClock};
        use RoundExit::{AgentFailed, Done};
        check(0, Itself, ("clean", Done));
        check(1, Itself, ("error", AgentFailed));
        check(-9, Itself, ("signal:SIGKILL", AgentFailed));
        check(143, Itself, ("signal:SIGTERM", AgentFailed));
        check(128, Itself, ("error", AgentFailed));
        check(255, Itself, ("error", AgentFailed));
        for status in [400, 401, 403, 404, 429, 500, 503] {
            check(status % 256, Itself, ("error", AgentFailed));
        }
        check(-15, WallClock, ("timeout", Done));
        check(3, WallClock, ("timeout", Done));
        check(-9, Grace, ("grace_kill", Done));
    }

    #[test]
    fn only_a_good_or_lingering_round_hands_its_tree_on() {
        let end = |exit_code, cause| AgentEnd { exit_code, duration: Duration::ZERO, cause };
        assert!(end(0, EndedBy::Itself).leaves_its_tree());
        assert!(end(-15, EndedBy::Grace).leaves_its_tree());
        assert!(!end(0, EndedBy::WallClock).leaves_its_tree());
        assert!(!end(1, EndedBy::Itself).leaves_its_tree());
        assert!(!end(-9, EndedBy::Itself).leaves_its_tree());
    }
}
