//! The end of a run over hosts: one result per host, counted, the bad ones last and with their words.

use std::fmt::Write as _;

use agent_runner_inventory::fold_names;
use serde::Serialize;

use agent_runner::error::in_words;

use crate::error::{Exit, HostBits};
use crate::fanout::Outcome;
use crate::ssh::SshError;

/// The most lines of a failed host's output that are repeated at the end.
pub const TAIL_LINES: usize = 20;

/// How a host ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it shall be, nothing done.
    Ok,
    /// As it shall be now.
    Changed,
    /// Never started.
    Skipped,
    /// Back on its previous release.
    Reverted,
    /// It could not be reached.
    Unreachable,
    /// What ran there failed.
    Failed,
}

impl Status {
    const ALL: [Status; 6] =
        [Status::Ok, Status::Changed, Status::Unreachable, Status::Failed, Status::Reverted, Status::Skipped];

    /// Returns the word people and JSON see.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Changed => "changed",
            Status::Skipped => "skipped",
            Status::Reverted => "reverted",
            Status::Unreachable => "unreachable",
            Status::Failed => "failed",
        }
    }

    /// Returns whether a person has to do something.
    pub fn is_bad(self) -> bool {
        match self {
            Status::Ok | Status::Changed | Status::Skipped => false,
            Status::Reverted | Status::Unreachable | Status::Failed => true,
        }
    }
}

/// One host's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostResult {
    /// The host.
    pub host: String,
    /// How it ended.
    pub status: Status,
    /// One line: what changed, or the cause.
    pub message: String,
    /// What a person can do; empty when nothing is known to help.
    pub hint: String,
    /// The last lines of what it printed, when it failed.
    pub tail: String,
}

impl HostResult {
    /// Returns a result with a message alone.
    pub fn new(host: impl Into<String>, status: Status, message: impl Into<String>) -> HostResult {
        HostResult {
            host: host.into(),
            status,
            message: message.into(),
            hint: String::new(),
            tail: String::new(),
        }
    }

    /// Adds what a person can do.
    pub fn hinted(mut self, hint: impl Into<String>) -> HostResult {
        self.hint = hint.into();
        self
    }

    /// Adds the end of what the host printed.
    pub fn with_tail(mut self, output: &str) -> HostResult {
        let lines: Vec<&str> = output.trim_end().lines().collect();
        let from = lines.len().saturating_sub(TAIL_LINES);
        self.tail = lines.get(from..).unwrap_or_default().join("\n");
        self
    }
}

/// Returns the result of a host that could not be reached, or on which something failed.
pub fn of_ssh_error(host: &str, error: &SshError) -> HostResult {
    let status = if error.unreachable() { Status::Unreachable } else { Status::Failed };
    let text = in_words(error);
    // Hosts that are one connection share its failure, which names one of them.
    let message = text.strip_prefix(&format!("{}: ", error.host())).unwrap_or(&text).to_owned();
    let result = HostResult::new(host, status, message).hinted(error.hint().unwrap_or_default());
    match error.output() {
        Some(output) => {
            let printed = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
            result.with_tail(&String::from_utf8_lossy(&printed))
        }
        None => result,
    }
}

/// Returns a host's result from what the fan-out made of it.
pub fn of_outcome<T>(host: &str, outcome: Outcome<T>, done: impl FnOnce(T) -> HostResult) -> HostResult {
    let failed = |message: String| HostResult::new(host, Status::Failed, message);
    match outcome {
        Outcome::Done(result) => done(result),
        Outcome::TimedOut(after) => failed(format!("no result within {} s", after.as_secs()))
            .hinted("give it longer with --timeout SECONDS"),
        Outcome::Panicked(words) => failed(format!("internal error: {words}")),
        Outcome::Aborted => failed("interrupted".to_owned()),
        Outcome::Skipped => HostResult::new(host, Status::Skipped, ""),
    }
}

/// Every host's result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recap {
    /// In the order of the selection.
    pub results: Vec<HostResult>,
    /// Whether the failure threshold ended the run.
    pub stopped: Stopped,
}

/// Whether a run was ended before all its hosts had started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stopped {
    /// No.
    #[default]
    No,
    /// By the failure threshold.
    ByFailures,
    /// By Ctrl-C.
    ByInterrupt,
}

impl Recap {
    /// Returns what the run ends with.
    pub fn exit(&self) -> Exit {
        match self.bits() {
            _ if self.stopped == Stopped::ByInterrupt => Exit::Interrupted,
            bits if bits == HostBits::default() => Exit::Ok,
            bits => Exit::Hosts(bits),
        }
    }

    /// Returns how many hosts ended so.
    pub fn count(&self, status: Status) -> usize {
        self.results.iter().filter(|result| result.status == status).count()
    }

    /// Returns the exit code's bits.
    pub fn bits(&self) -> HostBits {
        let reverted = self.count(Status::Reverted);
        let stopped = usize::from(self.stopped == Stopped::ByFailures);
        HostBits::FAILED
            .with(self.count(Status::Failed) + reverted)
            .and(HostBits::UNREACHABLE.with(self.count(Status::Unreachable)))
            .and(HostBits::REVERTED.with(reverted))
            .and(HostBits::STOPPED.with(stopped))
    }

    /// Returns the recap as text: the counts, then each bad host with its cause, its last lines and its remedy, then
    /// what to run next.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let counts: Vec<String> = Status::ALL
            .into_iter()
            .map(|status| (status, self.count(status)))
            .filter(|(status, count)| *count > 0 || matches!(status, Status::Ok | Status::Changed))
            .map(|(status, count)| format!("{} {count}", status.as_str()))
            .collect();
        let hosts = if self.results.len() == 1 { "host" } else { "hosts" };
        let _ = writeln!(text, "{} {hosts}: {}", self.results.len(), counts.join("  "));
        let mut bad: Vec<&HostResult> = self.results.iter().filter(|result| result.status.is_bad()).collect();
        bad.sort_by_key(|result| result.status);
        for result in &bad {
            let _ = writeln!(text, "\n{}: {}: {}", result.host, result.status.as_str(), result.message);
            for line in result.tail.lines() {
                let _ = writeln!(text, "    {line}");
            }
            if !result.hint.is_empty() {
                let _ = writeln!(text, "    hint: {}", result.hint);
            }
        }
        let skipped: Vec<&str> = self
            .results
            .iter()
            .filter(|result| result.status == Status::Skipped)
            .map(|result| result.host.as_str())
            .collect();
        if !skipped.is_empty() {
            let _ = writeln!(text, "\nnot started: {}", fold_names(&skipped));
        }
        if !bad.is_empty() {
            let _ = writeln!(text, "\nthese hosts again: --limit @failed");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_hosts_come_last_with_their_words_and_the_bits_are_ored() {
        let recap = Recap {
            results: vec![
                HostResult::new("pi1", Status::Failed, "exit 3").with_tail("one\ntwo\n"),
                HostResult::new("pi2", Status::Changed, "agent 0.1.0"),
                HostResult::new("pi3", Status::Unreachable, "connection refused").hinted("is it on?"),
                HostResult::new("pi4", Status::Skipped, ""),
            ],
            stopped: Stopped::ByFailures,
        };
        assert_eq!(recap.exit().code(), 2 | 4 | 8);
        assert_eq!(
            recap.text(),
            "4 hosts: ok 0  changed 1  unreachable 1  failed 1  skipped 1\n\
             \n\
             pi3: unreachable: connection refused\n    hint: is it on?\n\
             \n\
             pi1: failed: exit 3\n    one\n    two\n\
             \n\
             not started: pi4\n\
             \n\
             these hosts again: --limit @failed\n"
        );
    }
}
