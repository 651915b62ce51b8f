//! What a round is started with: the command line and the environment, as the edge read them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::failpoint::Failpoint;
use crate::process::signals::StopSignal;

/// One round to run.
#[derive(Debug, Clone)]
pub struct RoundOptions {
    /// The configuration file.
    pub config_path: PathBuf,
    /// The phase asked for; without it the rotation decides.
    pub phase: Option<String>,
    /// What the environment says.
    pub surroundings: Surroundings,
    /// Where to die, in a crash test.
    pub failpoint: Failpoint,
}

/// What a round takes from its environment.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The home folder.
    pub home: Option<PathBuf>,
    /// The search path of commands.
    pub path: Option<OsString>,
    /// Where private scratch folders are made.
    pub temp_dir: PathBuf,
    /// Whether the startup battery is left out.
    pub battery: Battery,
    /// The folder of the operator's own configuration, `~/.config`.
    pub config_home: Option<PathBuf>,
    /// What the Loop hands down.
    pub handed: Handed,
}

/// Whether the startup battery runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Battery {
    /// It does.
    #[default]
    Run,
    /// `AGENT_RUNNER_SKIP_STARTUP_CHECK` says no.
    Skip,
}

impl Battery {
    /// Reads the value of `AGENT_RUNNER_SKIP_STARTUP_CHECK`.
    pub fn from_skip_variable(value: Option<&str>) -> Battery {
        let yes = ["1", "true", "yes", "on"];
        match value.map(|value| value.trim().to_ascii_lowercase()) {
            Some(value) if yes.contains(&value.as_str()) => Battery::Skip,
            Some(_) | None => Battery::Run,
        }
    }
}

/// What the Loop hands its rounds through the environment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Handed {
    /// The log dir of the Loop that handed this down.
    pub log_dir: Option<PathBuf>,
    /// The round's number.
    pub round_num: Option<i64>,
    /// How long the agent may take to follow the first signal.
    pub reap_grace: Option<Duration>,
    /// The signal the agent understands as a request to end well.
    pub stop_signal: Option<StopSignal>,
    /// The session to continue.
    pub resume: Option<Resume>,
}

/// A session of the agent's that this round continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The agent's flag.
    pub flag: String,
    /// The session's id.
    pub session_id: String,
}

impl Handed {
    /// Returns what is handed down for `log_dir`: nothing, when it comes from the Loop of another project whose agent
    /// started this round.
    pub fn for_log_dir(&self, log_dir: &Path) -> Handed {
        if self.log_dir.as_deref() == Some(log_dir) { self.clone() } else { Handed::default() }
    }

    /// Reads `AGENT_RUNNER_REAP_GRACE_S`: seconds above zero, at most a minute; anything else counts as absent.
    pub fn parse_reap_grace(value: &str) -> Option<Duration> {
        let seconds = value.trim().parse::<f64>().ok().filter(|seconds| *seconds > 0.0)?;
        Duration::try_from_secs_f64(seconds.min(60.0)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_battery_is_skipped_by_four_words_in_any_case() {
        for value in ["1", "TRUE", " yes", "On"] {
            assert_eq!(Battery::from_skip_variable(Some(value)), Battery::Skip, "{value}");
        }
        for value in ["0", "", "2", "skip"] {
            assert_eq!(Battery::from_skip_variable(Some(value)), Battery::Run, "{value}");
        }
        assert_eq!(Battery::from_skip_variable(None), Battery::Run);
    }

    #[test]
    fn an_unusable_grace_counts_as_absent() {
        assert_eq!(Handed::parse_reap_grace("12"), Some(Duration::from_secs(12)));
        assert_eq!(Handed::parse_reap_grace("0.5"), Some(Duration::from_millis(500)));
        for value in ["", "x", "0", "-3", "NaN"] {
            assert_eq!(Handed::parse_reap_grace(value), None, "{value}");
        }
    }

    #[test]
    fn what_another_loop_handed_down_is_not_ours() {
        let handed = Handed { log_dir: Some("/a".into()), round_num: Some(9), ..Handed::default() };
        assert_eq!(handed.for_log_dir(Path::new("/a")), handed);
        assert_eq!(handed.for_log_dir(Path::new("/b")), Handed::default());
    }
}
