//! The detectors in the order they run.

use jiff::Timestamp;

use super::{
    Blind, Detector, anomaly_repetitive_active, disk_critical, disk_growth, disk_warning, hung, mem_pressure,
    mem_pressure_gate_inert, mem_signal_unavailable, network_fail, oauth_fail, orphan_chain,
    rate_limit_active, smoke_fail_rate, supervisor_stale, timeout_rate,
};
use crate::witness::alert::{Alert, Blindness};
use crate::witness::snapshot::Snapshot;
use crate::witness::thresholds::Thresholds;

/// All of them.
pub const DETECTORS: &[Detector] = &[
    timeout_rate::DETECTOR,
    hung::DETECTOR,
    orphan_chain::DETECTOR,
    disk_warning::DETECTOR,
    disk_critical::DETECTOR,
    disk_growth::DETECTOR,
    mem_pressure::DETECTOR,
    mem_signal_unavailable::DETECTOR,
    mem_pressure_gate_inert::DETECTOR,
    smoke_fail_rate::DETECTOR,
    oauth_fail::DETECTOR,
    network_fail::DETECTOR,
    rate_limit_active::DETECTOR,
    anomaly_repetitive_active::DETECTOR,
    supervisor_stale::DETECTOR,
];

/// What one poll found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evaluation {
    /// The alerts that hold, each with its identity.
    pub alerts: Vec<(String, Alert)>,
    /// The detectors that could not judge.
    pub blind: Vec<(&'static str, Blind)>,
}

impl Evaluation {
    /// Returns the detectors that could not judge, as they are told.
    pub fn cannot_judge(&self) -> Vec<Blindness> {
        let told = |(detector, blind): &(&'static str, Blind)| Blindness {
            detector: (*detector).to_owned(),
            error: blind.to_string(),
        };
        self.blind.iter().map(told).collect()
    }
}

/// Runs every detector.
pub fn evaluate(snapshot: &Snapshot, thresholds: &Thresholds, now: Timestamp) -> Evaluation {
    evaluate_those(DETECTORS, snapshot, thresholds, now)
}

/// Runs some of the detectors.
pub fn evaluate_those<'a>(
    detectors: impl IntoIterator<Item = &'a Detector>,
    snapshot: &Snapshot,
    thresholds: &Thresholds,
    now: Timestamp,
) -> Evaluation {
    let mut evaluation = Evaluation::default();
    for detector in detectors {
        match (detector.detect)(snapshot, thresholds, now) {
            Ok(found) => evaluation.alerts.extend(found.into_iter().map(|found| {
                let alert = detector.alert(found, now);
                (detector.identity_of(&alert), alert)
            })),
            Err(blind) => evaluation.blind.push((detector.name, blind)),
        }
    }
    evaluation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_in_the_table_once() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/src/witness/detectors");
        let mut files: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .filter(|name| !["mod", "detector", "table", "fixture"].contains(&name.as_str()))
            .collect();
        files.sort();
        let mut names: Vec<&str> = DETECTORS.iter().map(|detector| detector.name).collect();
        names.sort_unstable();
        assert_eq!(names, files);
    }

    #[test]
    fn an_empty_log_is_healthy() {
        let thresholds = super::super::fixture::thresholds();
        let evaluation = evaluate(&Snapshot::default(), &thresholds, "2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(evaluation, Evaluation::default());
    }
}
