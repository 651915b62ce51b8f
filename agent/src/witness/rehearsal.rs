//! Running the detectors so that one that crashes costs its own judgement and no other's.
//!
//! The release build aborts on a panic. So a copy of the process runs them first; the original runs those that came
//! through. They are pure, so what went well in the copy goes well here.

use std::fs;
use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;

use super::detectors::{Blind, DETECTORS, Detector, Evaluation, evaluate, evaluate_those};
use super::snapshot::Snapshot;
use super::thresholds::Thresholds;
use crate::masking::mask_and_cut;
use crate::process::isolate::{Isolated, isolate};

/// All detectors take well under a millisecond; one that takes this long does not end.
const LIMIT: Duration = Duration::from_secs(10);

/// Begins the line that names the detector about to run.
const ABOUT_TO_RUN: &str = "detector: ";

/// Characters kept of what a crash says.
const SAID_MAX: usize = 300;

/// Runs every detector; one that crashes or does not end is among those that could not judge.
///
/// A process with more than one thread, which the program never is, cannot be copied safely: there they run unguarded.
pub fn judge(snapshot: &Snapshot, thresholds: &Thresholds, now: Timestamp) -> Evaluation {
    if has_one_thread() {
        judge_by(DETECTORS, snapshot, thresholds, now)
    } else {
        evaluate(snapshot, thresholds, now)
    }
}

fn has_one_thread() -> bool {
    fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.take(2).count() == 1)
}

fn judge_by(
    table: &'static [Detector],
    snapshot: &Snapshot,
    thresholds: &Thresholds,
    now: Timestamp,
) -> Evaluation {
    let mut well: Vec<&'static Detector> = table.iter().collect();
    let mut crashed = Vec::new();
    loop {
        let rehearsed = isolate(LIMIT, || {
            for detector in &well {
                // The original learns from it whose turn it was.
                let _ = writeln!(io::stderr(), "{ABOUT_TO_RUN}{}", detector.name);
                let _ = (detector.detect)(snapshot, thresholds, now);
            }
        });
        let (said, how) = match rehearsed {
            // Where no copy can be made the host is short of memory: the more it must be judged.
            Ok(Isolated::Done) | Err(_) => break,
            Ok(Isolated::Crashed { status, said }) => (said, format!("crashed ({status})")),
            Ok(Isolated::TimedOut { said }) => (said, format!("did not end within {} s", LIMIT.as_secs())),
        };
        let Some(place) = culprit(&said, &well) else { break };
        let detector = well.remove(place);
        crashed.push((detector.name, Blind(format!("{how}{}", last_words(&said)))));
    }
    let mut evaluation = evaluate_those(well, snapshot, thresholds, now);
    evaluation.blind.extend(crashed);
    evaluation
}

/// Returns the place of the detector that was named last.
fn culprit(said: &str, ran: &[&Detector]) -> Option<usize> {
    let name = said.lines().rev().find_map(|line| line.strip_prefix(ABOUT_TO_RUN))?;
    ran.iter().position(|detector| detector.name == name)
}

/// Returns what was said after the last detector was named, on one line.
fn last_words(said: &str) -> String {
    let words: Vec<&str> = said.lines().rev().take_while(|line| !line.starts_with(ABOUT_TO_RUN)).collect();
    let line =
        words.into_iter().rev().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    if line.is_empty() { line } else { format!(": {}", mask_and_cut(&line, SAID_MAX)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::witness::alert::{AutoAction, Severity};
    use crate::witness::detectors::Found;

    const fn detector(
        name: &'static str,
        detect: fn(&Snapshot, &Thresholds, Timestamp) -> Result<Vec<Found>, Blind>,
    ) -> Detector {
        Detector {
            name,
            severity: Severity::Warning,
            action: AutoAction::None,
            identity: &[],
            fires: "",
            reads: "",
            thresholds: |_| String::new(),
            detect,
        }
    }

    static TABLE: &[Detector] = &[
        detector("first", |_, _, _| Ok(vec![Found::new("one".into(), [])])),
        detector("bad", |_, _, _| panic!("no such round")),
        detector("worse", |_, _, _| std::process::abort()),
        detector("last", |_, _, _| Ok(vec![Found::new("two".into(), [])])),
    ];

    #[test]
    fn a_detector_that_crashes_is_named_and_the_others_still_judge() {
        let thresholds = crate::witness::detectors::fixture::thresholds();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let evaluation = judge_by(TABLE, &Snapshot::default(), &thresholds, now);
        let fired: Vec<&str> = evaluation.alerts.iter().map(|(identity, _)| identity.as_str()).collect();
        assert_eq!(fired, ["first", "last"]);
        let blind: Vec<&str> = evaluation.blind.iter().map(|(name, _)| *name).collect();
        assert_eq!(blind, ["bad", "worse"]);
        assert!(
            evaluation.blind.iter().all(|(_, why)| why.0.starts_with("crashed")),
            "{:?}",
            evaluation.blind
        );
    }

    #[test]
    fn the_last_words_are_those_after_the_last_name() {
        let said = "detector: first\ndetector: bad\n\nthread 'main' panicked at x.rs:1:\nno such round\n";
        assert_eq!(last_words(said), ": thread 'main' panicked at x.rs:1: no such round");
        assert_eq!(last_words("detector: bad\n"), "");
    }
}
