//! Dying on purpose, for the crash test that kills a round at every step. Compiled into test and debug builds only.

macro_rules! steps {
    ($($(#[doc = $doc:literal])+ $variant:ident $name:literal,)+) => {
        /// A step of a round behind which it can be made to die.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Step { $($(#[doc = $doc])+ $variant,)+ }

        impl Step {
            /// Every step, in the order of a round.
            pub const ALL: &[Step] = &[$(Step::$variant),+];

            /// Returns the step's name, as `AGENT_RUNNER_FAILPOINT` gives it.
            pub fn name(self) -> &'static str {
                match self { $(Step::$variant => $name,)+ }
            }
        }
    };
}

steps! {
    /// The battery has passed.
    Preflight "preflight",
    /// The lock is taken.
    Lock "lock",
    /// The holder file is written.
    Holder "holder",
    /// round-context.json is written.
    Context "context",
    /// What was dirty is recorded.
    Snapshot "snapshot",
    /// `round_start` is written.
    RoundStart "round_start",
    /// `agent_spawn` is written, no agent runs yet.
    AgentSpawn "agent_spawn",
    /// The agent runs, nobody has recorded it.
    Spawned "spawned",
    /// The agent runs and the holder file names it.
    Running "running",
    /// The agent is reaped.
    Reaped "reaped",
    /// `agent_exit` is written.
    AgentExit "agent_exit",
    /// The goal checks are done.
    GoalChecks "goal_checks",
    /// `dirty_detected` is written.
    DirtyDetected "dirty_detected",
    /// The stash is made, nothing names it yet.
    StashMade "stash_made",
    /// orphan-state.json names the stash.
    OrphanState "orphan_state",
    /// The operator's files are put back.
    PutBack "put_back",
    /// status.json is written.
    Status "status",
    /// `round_end` is written.
    RoundEnd "round_end",
    /// The provider's output is being read, in a process of its own: this step ends that process only.
    InHook "in_hook",
    /// The provider's output has been read.
    Hooks "hooks",
    /// The holder file is removed.
    HolderRemoved "holder_removed",
}

/// Where this process dies, if anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failpoint {
    #[cfg(any(debug_assertions, feature = "failpoints"))]
    at: Option<Step>,
}

#[cfg(any(debug_assertions, feature = "failpoints"))]
impl Failpoint {
    /// Reads the value of `AGENT_RUNNER_FAILPOINT`; an unknown name dies nowhere.
    pub fn from_variable(value: Option<&str>) -> Failpoint {
        Failpoint { at: Step::ALL.iter().copied().find(|step| Some(step.name()) == value) }
    }

    /// Dies by SIGKILL, as an out-of-memory kill or a power cut would have it, when this is the step.
    pub fn reach(self, step: Step) {
        if self.at == Some(step) {
            // Nothing comes after a KILL of oneself that succeeds, and it cannot fail.
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
        }
    }
}

#[cfg(not(any(debug_assertions, feature = "failpoints")))]
impl Failpoint {
    /// Ignores the variable: this build has no failpoints.
    pub fn from_variable(_value: Option<&str>) -> Failpoint {
        Failpoint::default()
    }

    /// Does nothing.
    pub fn reach(self, _step: Step) {}
}
