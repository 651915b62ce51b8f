//! Standing still on purpose, for the tests that cut cables and power at every step of a deploy. Compiled into debug
//! builds only.
//!
//! `AGENT_RUNNER_FLEET_STAND_AT=STEP:FOLDER` makes a deploy that reaches the step write `FOLDER/HOST` and go on when
//! that file is gone. `AGENT_RUNNER_FLEET_HOST_FAIL_AT=FAULT` hands a fault of the agent's own (`kill:STEP`,
//! `stop:STEP`, `fail:STEP`) to `apply` on the host.

/// A step of a host's deploy, named as in `docs/fleet.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing was asked yet.
    Probe,
    /// The probe has answered.
    Plan,
    /// The agent is about to be uploaded.
    Upload,
    /// Half of it is sent.
    HalfSent,
    /// The manifest is about to be sent.
    Stage,
    /// The release is switched, and a round of the old one still runs.
    Drain,
    /// The new connection stands, nothing was asked over it.
    Confirm,
    /// The host has kept the release, nobody has recorded it.
    Record,
}

#[cfg(debug_assertions)]
mod active {
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use super::Step;

    /// How often it is looked whether it goes on.
    const LOOK_EVERY: Duration = Duration::from_millis(20);
    /// A test that died lets nobody stand for ever.
    const AT_MOST: Duration = Duration::from_secs(120);

    impl Step {
        fn name(self) -> &'static str {
            match self {
                Step::Probe => "probe",
                Step::Plan => "plan",
                Step::Upload => "upload",
                Step::HalfSent => "half_sent",
                Step::Stage => "stage",
                Step::Drain => "drain",
                Step::Confirm => "confirm",
                Step::Record => "record",
            }
        }

        /// Stands still where it was asked for.
        pub(crate) async fn reach(self, host: &str) {
            let Some(folder) = place(self) else { return };
            let sign = folder.join(host);
            // A sign that cannot be written shows in the test that waits for it.
            let _ = std::fs::File::create(&sign);
            let wait = async {
                while Path::new(&sign).exists() {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            };
            let _ = tokio::time::timeout(AT_MOST, wait).await;
        }
    }

    /// Returns the fault that the agent on the host is to make.
    pub(crate) fn fault() -> Option<String> {
        variable("AGENT_RUNNER_FLEET_HOST_FAIL_AT")
    }

    fn place(step: Step) -> Option<PathBuf> {
        let text = variable("AGENT_RUNNER_FLEET_STAND_AT")?;
        let (name, folder) = text.split_once(':')?;
        (name == step.name()).then(|| PathBuf::from(folder))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "faults are asked for through the environment, by tests only"
    )]
    fn variable(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

#[cfg(not(debug_assertions))]
mod active {
    use super::Step;

    impl Step {
        /// Does nothing: this build has no failpoints.
        pub(crate) async fn reach(self, _host: &str) {}
    }

    /// Returns nothing: this build has no failpoints.
    pub(crate) fn fault() -> Option<String> {
        None
    }
}

pub(crate) use active::fault;
