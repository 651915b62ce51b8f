//! Why a host's deploy ended before its end, as the recap shows it.

use agent_runner::apply::Owner;
use agent_runner::apply::report::{Problem, Report};

use super::probe::ProbeError;
use crate::output::recap::{self, HostResult, Status};
use crate::ssh::{ExitStatus, Output, SshError, sudo_refusal};

/// Why a host's deploy ended before its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// The connection, or what ran over it.
    Ssh(SshError),
    /// The host, with its remedy and the last words.
    Host { status: Status, message: String, remedy: String, tail: String },
    /// Somebody else holds the host.
    Held { owner: Box<Owner> },
}

impl From<SshError> for Halt {
    fn from(error: SshError) -> Halt {
        Halt::Ssh(error)
    }
}

impl Halt {
    pub(super) fn failed(message: impl Into<String>) -> Halt {
        Halt::with_remedy(message, "")
    }

    pub(super) fn with_remedy(message: impl Into<String>, remedy: impl Into<String>) -> Halt {
        Halt::Host {
            status: Status::Failed,
            message: message.into(),
            remedy: remedy.into(),
            tail: String::new(),
        }
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self, Halt::Held { .. })
    }

    pub(super) fn into_result(self, host: &str) -> HostResult {
        match self {
            Halt::Ssh(error) => recap::of_ssh_error(host, &error),
            Halt::Host { status, message, remedy, tail } => {
                HostResult::new(host, status, message).hinted(remedy).with_tail(&tail)
            }
            Halt::Held { owner } => {
                HostResult::new(host, Status::Failed, owner.to_string()).hinted(owner.remedy(host))
            }
        }
    }
}

pub(super) fn read_report(output: &Output) -> Result<Report, Halt> {
    serde_json::from_slice(&output.stdout).map_err(|_| with_output("the agent gave no report".into(), output))
}

/// Why a probe told nothing: sudo let it not run, or something else answered.
pub(super) fn unprobed(error: &ProbeError, output: &Output) -> Halt {
    match sudo_refusal(&output.stderr) {
        Some((why, remedy)) => Halt::with_remedy(why, remedy),
        None => with_output(error.to_string(), output),
    }
}

pub(super) fn with_output(message: String, output: &Output) -> Halt {
    let ended = match &output.status {
        ExitStatus::Code(code) => format!("exit {code}"),
        ExitStatus::Signal(signal) => format!("signal {signal}"),
    };
    let mut tail = String::from_utf8_lossy(&output.stderr).into_owned();
    if tail.trim().is_empty() {
        tail = String::from_utf8_lossy(&output.stdout).into_owned();
    }
    Halt::Host {
        status: Status::Failed,
        message: format!("{message} ({ended})"),
        remedy: String::new(),
        tail,
    }
}

pub(super) fn refusal(report: &Report, output: &Output) -> Halt {
    if let Some(owner) = &report.held_by {
        return Halt::Held { owner: Box::new(owner.clone()) };
    }
    match report.problems.first() {
        Some(_) => problems(Status::Failed, &report.problems),
        None => with_output("the agent refused without a reason".into(), output),
    }
}

pub(super) fn reverted(report: &Report) -> Halt {
    if report.problems.is_empty() {
        return Halt::Host {
            status: Status::Reverted,
            message: "the previous release is back".into(),
            remedy: String::new(),
            tail: String::new(),
        };
    }
    problems(Status::Reverted, &report.problems)
}

fn problems(status: Status, problems: &[Problem]) -> Halt {
    let messages: Vec<String> = problems
        .iter()
        .map(|problem| match &problem.project {
            Some(project) => format!("{project}: {}", problem.message),
            None => problem.message.clone(),
        })
        .collect();
    let remedy = problems.iter().map(|problem| problem.remedy.clone()).find(|remedy| !remedy.is_empty());
    let mut lines = messages.into_iter();
    Halt::Host {
        status,
        message: lines.next().unwrap_or_default(),
        remedy: remedy.unwrap_or_default(),
        tail: lines.collect::<Vec<_>>().join("\n"),
    }
}
