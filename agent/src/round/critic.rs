//! The critic: the operator's program that reviews what the rounds did. Advisory: whatever it does, the round goes on.

use std::ffi::OsString;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agent_run;
use super::scene::Scene;
use crate::config::types::{Config, Critic};
use crate::error::in_words;
use crate::event::Event;
use crate::masking::mask_and_cut;
use crate::peek::{self, answer::RecentRound};
use crate::process::capture::{Capture, Captured, capture};
use crate::process::child::{Environment, Stdin};
use crate::process::signals::Signals;
use crate::store::backward::Lines;
use crate::store::layout::Layout;
use crate::store::record::Record;
use crate::store::round_context::Finding;
use crate::witness::alert::Alert;
use crate::witness::monitor;

/// The form of [`Snapshot`].
const SCHEMA_VERSION: u32 = 1;
/// Events in the snapshot.
const EVENTS: usize = 100;
/// Bytes of the diff stat in the snapshot.
const DIFF_MAX: usize = 8 * 1024;
/// Bytes of the critic's output that are looked at.
const OUTPUT_MAX: usize = 64 * 1024;
/// Findings taken from one run; characters of a finding's texts; characters of its detector's name.
const FINDINGS_MAX: usize = 20;
const TEXT_MAX: usize = 500;
const NAME_MAX: usize = 64;
/// Characters kept of why it failed.
const COMPLAINT_MAX: usize = 1024;
/// Bytes looked back for the newest findings.
const LOOK_BACK: u64 = 320 * 1024;
/// How long git may take to name HEAD.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// What the critic reads.
#[derive(Debug, Serialize)]
struct Snapshot {
    schema_version: u32,
    round_num: i64,
    project: String,
    recent_rounds: Vec<RecentRound>,
    recent_events: Vec<Value>,
    detectors: Vec<Alert>,
    diff_stat: String,
}

/// One line of what it prints; further keys are its own business.
#[derive(Debug, Deserialize)]
struct Printed {
    severity: String,
    detector: String,
    message: String,
    #[serde(default)]
    suggested_action: String,
}

/// A critic whose turn this round is.
pub(super) struct Due {
    critic: Critic,
    head: Option<String>,
}

/// Returns the critic when it is its turn; to be asked before the agent runs, for what has changed since.
pub(super) fn due(scene: &Scene) -> Option<Due> {
    let critic = scene.config.critic.as_ref().filter(|_| !scene.config.runtime.dry_run)?;
    let every = i64::try_from(critic.every_n).ok()?;
    if scene.round_num % every != 0 {
        return None;
    }
    let head = scene.tolerate("name HEAD for the critic", scene.git.head(HEAD_LIMIT)).flatten();
    Some(Due { critic: critic.clone(), head })
}

/// Lets it review, and writes its findings.
pub(super) fn review(scene: &Scene, due: &Due, signals: &Signals) {
    if signals.next().is_some() {
        return;
    }
    let snapshot = snapshot(scene, due);
    // Text, numbers and maps with string keys always serialise.
    let mut stdin = serde_json::to_vec(&snapshot).unwrap_or_default();
    stdin.push(b'\n');
    let done = capture(Capture {
        argv: due.critic.command.iter().map(OsString::from).collect(),
        cwd: scene.work_dir().clone(),
        env: Environment::inherited().without("AGENT_RUNNER_FAILPOINT"),
        stdin: Stdin::Bytes(stdin),
        timeout: Duration::from_secs(due.critic.timeout_s),
        output_limit: OUTPUT_MAX,
    });
    // What it left running has no more right to stay than what the agent left.
    agent_run::end_leftovers(scene, agent_run::LEFTOVER_GRACE);
    let done = match done {
        Ok(done) => done,
        Err(error) => return tell_failure(scene, "io", &in_words(&error)),
    };
    for finding in findings(&done.stdout) {
        scene.emit(&Event::CriticFinding {
            round_num: scene.round_num,
            severity: finding.severity,
            detector: finding.detector,
            message: finding.message,
            suggested_action: finding.suggested_action,
        });
    }
    if let Some((kind, why)) = failure(&done, due.critic.timeout_s) {
        tell_failure(scene, kind, &why);
    }
}

/// Returns what the critic said after the newest round, oldest first.
pub(super) fn newest_findings(layout: &Layout) -> Vec<Finding> {
    let mut lines = Lines::new(layout.events_files());
    let mut newest_first = Vec::new();
    while lines.bytes_read() < LOOK_BACK && newest_first.len() < FINDINGS_MAX {
        let Some(record) = lines.next().map(|line| Record::parse(&line)) else { break };
        let Some(record) = record else { continue };
        match record.kind.as_str() {
            // They are written behind the end of their round.
            "round_end" => break,
            "critic_finding" => newest_first.push(Finding {
                severity: record.str("severity").unwrap_or_default().to_owned(),
                detector: record.str("detector").unwrap_or_default().to_owned(),
                message: record.str("message").unwrap_or_default().to_owned(),
                suggested_action: record.str("suggested_action").unwrap_or_default().to_owned(),
            }),
            _ => {}
        }
    }
    newest_first.reverse();
    newest_first
}

fn snapshot(scene: &Scene, due: &Due) -> Snapshot {
    let (recent_rounds, recent_events) = peek::recent(scene.layout(), EVENTS);
    let alerts = scene.tolerate("judge for the critic", alerts(&scene.config)).unwrap_or_default();
    let changed = due.head.as_ref().map(|head| scene.git.diff_stat(head));
    let changed = changed.and_then(|stat| scene.tolerate("say what changed for the critic", stat));
    Snapshot {
        schema_version: SCHEMA_VERSION,
        round_num: scene.round_num,
        project: scene.config.project().to_owned(),
        recent_rounds,
        recent_events,
        detectors: alerts,
        diff_stat: changed.map(|stat| mask_and_cut(&stat, DIFF_MAX)).unwrap_or_default(),
    }
}

fn alerts(config: &Config) -> std::io::Result<Vec<Alert>> {
    let evaluation = monitor::look_once(config, Timestamp::now())?;
    Ok(evaluation.alerts.into_iter().map(|(_, alert)| alert).collect())
}

/// Returns the lines that are findings, masked and cut; what is none is passed over.
fn findings(output: &[u8]) -> Vec<Finding> {
    let text = String::from_utf8_lossy(output);
    let printed = text.lines().filter_map(|line| serde_json::from_str::<Printed>(line.trim()).ok());
    printed.filter_map(finding).take(FINDINGS_MAX).collect()
}

fn finding(printed: Printed) -> Option<Finding> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let named = !printed.detector.is_empty()
        && printed.detector.len() <= NAME_MAX
        && printed.detector.chars().all(is_name);
    let known = ["info", "warning", "critical"].contains(&printed.severity.as_str());
    let message = mask_and_cut(printed.message.trim(), TEXT_MAX);
    (named && known && !message.is_empty()).then(|| Finding {
        severity: printed.severity,
        detector: printed.detector,
        message,
        suggested_action: mask_and_cut(printed.suggested_action.trim(), TEXT_MAX),
    })
}

fn failure(done: &Captured, timeout_s: u64) -> Option<(&'static str, String)> {
    if done.timed_out {
        return Some(("timeout", format!("took longer than {timeout_s} s")));
    }
    let said = String::from_utf8_lossy(&done.stderr);
    (!done.status.is_success()).then(|| ("exit", format!("{}: {}", done.status, said.trim())))
}

fn tell_failure(scene: &Scene, error_type: &str, why: &str) {
    scene.emit(&Event::HookFailed {
        hook_name: "critic".to_owned(),
        hook_kind: "critic".to_owned(),
        error_type: error_type.to_owned(),
        error_message: mask_and_cut(why, COMPLAINT_MAX),
        traceback: String::new(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, expected: &[&str]) {
        let messages: Vec<String> =
            findings(output.as_bytes()).into_iter().map(|finding| finding.message).collect();
        assert_eq!(messages, expected, "{output}");
    }

    #[test]
    fn only_whole_findings_are_taken() {
        check(
            r#"{"severity": "info", "detector": "scope", "message": "m", "suggested_action": "a"}"#,
            &["m"],
        );
        check(r#"{"severity": "warning", "detector": "a-b.c", "message": " m ", "more": 1}"#, &["m"]);
        check(r#"{"severity": "fatal", "detector": "scope", "message": "m"}"#, &[]);
        check(r#"{"severity": "info", "detector": "a b", "message": "m"}"#, &[]);
        check(r#"{"severity": "info", "detector": "scope", "message": " "}"#, &[]);
        check(r#"{"severity": "info", "detector": "scope", "message": 7}"#, &[]);
        check("chatter\n\n{\"severity\": \"critical\", \"detector\": \"x\", \"message\": \"n\"}\n{", &["n"]);
    }

    #[test]
    fn a_flood_is_bounded_and_secrets_are_masked() {
        let line = format!(
            "{{\"severity\": \"info\", \"detector\": \"x\", \"message\": \"ghp_{} {}\"}}\n",
            "a1B2".repeat(9),
            "y".repeat(900)
        );
        let found = findings(line.repeat(100).as_bytes());
        assert_eq!(found.len(), FINDINGS_MAX);
        assert!(found.iter().all(|finding| finding.message.chars().count() <= TEXT_MAX));
        assert!(!found[0].message.contains("a1B2"), "{}", found[0].message);
    }
}
