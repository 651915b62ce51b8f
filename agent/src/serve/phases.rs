//! Which phase runs next, or why none may. Pure.

use jiff::Timestamp;

use super::schedule::Calendar;
use crate::provider::throttle::Throttles;

/// A phase as far as the choice needs it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its name.
    pub name: &'a str,
    /// The identity of its agent.
    pub agent: &'a str,
    /// When it may run.
    pub calendar: &'a Calendar,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// This phase runs.
    Run(Chosen),
    /// None may.
    Closed(Closed),
}

/// The phase that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Its name.
    pub phase: String,
    /// Those stepped over, in the order of the rotation.
    pub skipped: Vec<String>,
    /// Why the first of them was shut; empty when a throttle was the reason.
    pub active_window: String,
}

/// Why nothing runs, told of the candidate that can run first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The window that shuts it; empty when a throttle is the reason.
    pub active_window: String,
    /// When it can run, as far as is known.
    pub ready_at: Option<Timestamp>,
    /// The same as text with the offset of its zone; empty when unknown.
    pub resume_at: String,
    /// Its zone.
    pub timezone: String,
    /// Its name; `None` for the global schedule.
    pub phase: Option<String>,
    /// Whether any candidate is throttled.
    pub throttled: bool,
}

/// Chooses among the candidates in the order of the rotation; a throttled agent's phase is stepped over when `throttles`
/// are given.
pub fn choose(candidates: &[Candidate<'_>], throttles: Option<&Throttles>, now: Timestamp) -> Choice {
    let mut shut: Vec<Closed> = Vec::new();
    for candidate in candidates {
        let reset = throttles
            .and_then(|throttles| throttles.active(Some(candidate.agent), now))
            .map(|throttle| throttle.effective_reset(now));
        match closed(candidate, reset, now) {
            Some(closed) => shut.push(closed),
            None => {
                let active_window = shut.first().map_or("", |first| &first.active_window).to_owned();
                let skipped = shut.into_iter().filter_map(|closed| closed.phase).collect();
                return Choice::Run(Chosen { phase: candidate.name.to_owned(), skipped, active_window });
            }
        }
    }
    let throttled = shut.iter().any(|closed| closed.throttled);
    let first = shut.into_iter().min_by_key(|closed| closed.ready_at.unwrap_or(Timestamp::MAX));
    Choice::Closed(match first {
        Some(first) => Closed { throttled, ..first },
        None => Closed {
            active_window: String::new(),
            ready_at: None,
            resume_at: String::new(),
            timezone: "local".into(),
            phase: None,
            throttled,
        },
    })
}

/// Returns why the global schedule is shut; `None` when it is open.
pub fn closed_globally(calendar: &Calendar, now: Timestamp) -> Option<Closed> {
    let active_window = calendar.closed_by(now)?.to_owned();
    let ready_at = calendar.next_opening(now);
    Some(Closed {
        active_window,
        ready_at,
        resume_at: ready_at.map(|at| calendar.iso(at)).unwrap_or_default(),
        timezone: calendar.zone_name().to_owned(),
        phase: None,
        throttled: false,
    })
}

fn closed(candidate: &Candidate<'_>, reset_s: Option<i64>, now: Timestamp) -> Option<Closed> {
    let calendar = candidate.calendar;
    let by_window = calendar.closed_by(now);
    let reset = reset_s.and_then(|seconds| Timestamp::from_second(seconds).ok());
    if by_window.is_none() && reset.is_none() {
        return None;
    }
    // A throttled phase can run when both have ended: its open window alone wakes nobody.
    let ready_at = match (by_window.is_some(), reset) {
        (false, reset) => reset,
        (true, None) => calendar.next_opening(now),
        (true, Some(reset)) if calendar.is_open(reset) => Some(reset),
        (true, Some(reset)) => calendar.next_opening(reset),
    };
    Some(Closed {
        active_window: by_window.unwrap_or_default().to_owned(),
        ready_at,
        resume_at: ready_at.map(|at| calendar.iso(at)).unwrap_or_default(),
        timezone: calendar.zone_name().to_owned(),
        phase: Some(candidate.name.to_owned()),
        throttled: reset.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::Schedule;
    use crate::config::window::Window;
    use crate::store::record::Record;
    use jiff::tz::TimeZone;

    const NOW: &str = "2026-01-05T12:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    fn from_to(start_min: u16, end_min: u16) -> Calendar {
        let window = Window { text: format!("{start_min}"), days: [true; 7], start_min, end_min };
        let schedule = Schedule { timezone: None, run_windows: vec![window], pause_windows: Vec::new() };
        Calendar::new(schedule, TimeZone::UTC)
    }

    fn throttled(agent: &str, ahead_s: i64) -> Throttles {
        let reset = now().as_second() + ahead_s;
        let line = format!(
            r#"{{"event": "transient_error_detected", "agent": "{agent}", "classification": "x", "reset_at_epoch": {reset}}}"#
        );
        Throttles::fold(&[Record::parse(line.as_bytes()).unwrap()])
    }

    fn choose_of(phases: &[(&str, &Calendar)], throttles: &Throttles) -> Choice {
        let candidates: Vec<_> =
            phases.iter().map(|&(name, calendar)| Candidate { name, agent: name, calendar }).collect();
        choose(&candidates, Some(throttles), now())
    }

    #[test]
    fn the_first_open_and_unthrottled_phase_runs() {
        let (noon, night) = (from_to(720, 780), from_to(0, 60));
        let Choice::Run(run) = choose_of(&[("a", &noon), ("b", &noon)], &Throttles::default()) else {
            panic!()
        };
        assert_eq!((run.phase.as_str(), run.skipped.len()), ("a", 0));
        let Choice::Run(run) = choose_of(&[("a", &night), ("b", &noon)], &Throttles::default()) else {
            panic!()
        };
        assert_eq!(
            (run.phase.as_str(), run.skipped, run.active_window.as_str()),
            ("b", vec!["a".into()], "outside run_windows")
        );
        let Choice::Run(run) = choose_of(&[("a", &noon), ("b", &noon)], &throttled("a", 60)) else {
            panic!()
        };
        assert_eq!((run.phase.as_str(), run.active_window.as_str()), ("b", ""));
    }

    #[test]
    fn with_none_open_the_one_that_opens_first_is_told() {
        let (one, two) = (from_to(840, 900), from_to(780, 800));
        let Choice::Closed(closed) = choose_of(&[("a", &one), ("b", &two)], &Throttles::default()) else {
            panic!()
        };
        assert_eq!(
            (closed.phase.as_deref(), closed.resume_at.as_str()),
            (Some("b"), "2026-01-05T13:00:00+00:00")
        );
        assert_eq!((closed.timezone.as_str(), closed.throttled), ("local", false));
    }

    #[test]
    fn a_throttled_phase_wakes_at_its_reset_and_not_at_its_open_window() {
        let noon = from_to(720, 780);
        let Choice::Closed(closed) = choose_of(&[("a", &noon)], &throttled("a", 600)) else { panic!() };
        assert_eq!(closed.ready_at, Some("2026-01-05T12:10:00Z".parse().unwrap()));
        assert!(closed.throttled && closed.active_window.is_empty());
        let Choice::Closed(closed) = choose_of(&[("a", &noon)], &throttled("a", 7200)) else { panic!() };
        assert_eq!(closed.ready_at, Some("2026-01-05T14:00:00Z".parse().unwrap()));
        let night = from_to(0, 60);
        let Choice::Closed(closed) = choose_of(&[("a", &night)], &throttled("a", 7200)) else { panic!() };
        assert_eq!(closed.ready_at, Some("2026-01-06T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn the_global_schedule_tells_no_phase() {
        assert_eq!(closed_globally(&from_to(720, 780), now()), None);
        let closed = closed_globally(&from_to(0, 60), now()).unwrap();
        assert_eq!((closed.phase, closed.resume_at.as_str()), (None, "2026-01-06T00:00:00+00:00"));
    }
}
