//! A snapshot told line by line, and one `check` for the detectors' tables.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Detector, Found};
use crate::config::types::Disk;
use crate::host;
use crate::store::record::Record;
use crate::store::time;
use crate::witness::alert::Alert;
use crate::witness::snapshot::{Evidence, Matches, Snapshot};
use crate::witness::thresholds::Thresholds;

/// The defaults of the configuration, with a budget of 1000 s and a phase `long` of 4000 s.
pub(crate) fn thresholds() -> Thresholds {
    Thresholds {
        budget_s: 1000,
        phase_budget_s: [("long".to_owned(), 4000)].into(),
        disk: Disk {
            warning_pct: 90.0,
            critical_pct: 95.0,
            growth_window_s: 1800,
            disk_growth_pct_per_hr_warning: 5.0,
            inode_growth_pct_per_hr_warning: 5.0,
        },
        memory: host::Thresholds {
            full_avg10_critical: 60.0,
            some_avg10_warning: 5.0,
            swap_out_noise_floor_mb: 32,
            free_low_mb: 16,
            avail_min_mb: 200,
        },
        auth_fail_hint: "log in again".into(),
        supervisor_stale_s: 1500,
    }
}

/// What the log tells, one line a second from the hour on.
pub(crate) struct Story {
    pub(crate) snapshot: Snapshot,
    pub(crate) at: Timestamp,
}

impl Story {
    pub(crate) fn new() -> Story {
        Story { snapshot: Snapshot::default(), at: "2026-03-01T12:00:00Z".parse().unwrap() }
    }

    /// Lets time pass.
    pub(crate) fn after_s(mut self, seconds: i64) -> Story {
        self.at += SignedDuration::from_secs(seconds);
        self
    }

    /// The next event.
    pub(crate) fn event(mut self, kind: &str, fields: Value) -> Story {
        let record = record(self.at, kind, &fields);
        self.snapshot.event(&record);
        self.after_s(1)
    }

    /// The next host sample.
    pub(crate) fn sample(mut self, fields: Value) -> Story {
        self.snapshot.samples.line(&record(self.at, "round_end", &fields), 1800);
        self.after_s(1)
    }

    /// A whole round whose agent ended like this.
    pub(crate) fn round(self, round_num: i64, exit: &Exit) -> Story {
        let story = self.event("round_start", json!({"round_num": round_num, "phase": null})).event(
            "agent_exit",
            json!({"round_num": round_num, "exit_code": exit.code, "duration_s": exit.duration_s,
                    "timed_out": exit.timed_out, "exit_cause": exit.cause}),
        );
        let mut story = story.event("round_end", json!({"round_num": round_num}));
        if let Some(newest) = story.snapshot.exits.back_mut() {
            newest.log = Evidence::Read(exit.log);
        }
        story
    }

    pub(crate) fn alerts(&self, detector: &Detector) -> Vec<Alert> {
        let found: Vec<Found> = (detector.detect)(&self.snapshot, &thresholds(), self.at).unwrap();
        found.into_iter().map(|found| detector.alert(found, self.at)).collect()
    }

    pub(crate) fn alert(&self, detector: &Detector) -> Option<Alert> {
        self.alerts(detector).pop()
    }

    pub(crate) fn check(&self, detector: &Detector, fires: Fires) {
        let alert = self.alert(detector);
        assert_eq!(alert.is_some(), fires == Fires::Yes, "{}: {alert:?}\n{:?}", detector.name, self.snapshot);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fires {
    Yes,
    No,
}

/// How an agent ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exit {
    pub(crate) code: i64,
    pub(crate) duration_s: f64,
    pub(crate) timed_out: bool,
    pub(crate) cause: &'static str,
    pub(crate) log: Matches,
}

/// A round that went well.
pub(crate) const GOOD: Exit = Exit {
    code: 0,
    duration_s: 300.0,
    timed_out: false,
    cause: "exited",
    log: Matches { auth: false, network: false },
};

/// A round whose agent failed at once.
pub(crate) const SHORT: Exit = Exit { code: 1, duration_s: 59.9, ..GOOD };

fn record(at: Timestamp, kind: &str, fields: &Value) -> Record {
    let mut line = json!({"ts": time::stamp(at), "event": kind});
    line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    Record::parse(line.to_string().as_bytes()).unwrap()
}
