//! A host as one row of the page and of `/api/v1/hosts`. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use agent_runner::event::ended_well;
use agent_runner::witness::alert::Severity;
use serde::Serialize;

use crate::fleetview::alert::{AlertState, Phase};
use crate::fleetview::rounds::{Round, Rounds};
use crate::fleetview::state::{Fleet, Link, Reach, Silent, StreamId, StreamState};

/// Rounds drawn in a row.
const STRIP: usize = 24;

/// How a service stands, the worst first. What is not heard is never `active`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Silent for too long, and no connection comes about.
    Unreachable,
    /// Silent for too long.
    Silent,
    /// The connection is gone and not given up yet.
    NoLink,
    /// Stopped for a detector.
    AutoStopped,
    /// Stopped by somebody.
    Stopped,
    /// Nothing was heard yet.
    Connecting,
    /// The service runs.
    Active,
}

impl Standing {
    /// All of them, the worst first.
    pub const ALL: [Standing; 7] = [
        Standing::Unreachable,
        Standing::Silent,
        Standing::NoLink,
        Standing::AutoStopped,
        Standing::Stopped,
        Standing::Connecting,
        Standing::Active,
    ];

    /// Returns how a stream stands.
    pub fn of(stream: &StreamState) -> Standing {
        match (stream.silent, &stream.link, &stream.state) {
            (Some(Silent::Unreachable), _, _) => Standing::Unreachable,
            (Some(Silent::Stale), _, _) => Standing::Silent,
            (None, Link::Down { reach: Reach::Reached | Reach::Unreached, .. }, _) => Standing::NoLink,
            (None, Link::Connecting, _) | (None, Link::Up, None) => Standing::Connecting,
            (None, Link::Up, Some(state)) if state.active => Standing::Active,
            (None, Link::Up, Some(_)) if stream.stopped.is_some() => Standing::AutoStopped,
            (None, Link::Up, Some(_)) => Standing::Stopped,
        }
    }

    /// Returns whether what is known of the service is true now.
    pub fn is_known(self) -> bool {
        matches!(self, Standing::Active | Standing::Stopped | Standing::AutoStopped)
    }

    /// Returns the word for people.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Unreachable => "unreachable",
            Standing::Silent => "silent",
            Standing::NoLink => "no link",
            Standing::AutoStopped => "auto-stopped",
            Standing::Stopped => "stopped",
            Standing::Connecting => "connecting",
            Standing::Active => "active",
        }
    }
}

/// How much a host needs a person, the most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A critical alert, an auto-stop, no way to it.
    Bad,
    /// A warning, no data.
    Warn,
    /// Stopped on purpose.
    Off,
    /// Not heard yet.
    Wait,
    /// All is well.
    Good,
}

impl Level {
    /// Returns the word for people, and for the page's style.
    pub fn word(self) -> &'static str {
        match self {
            Level::Bad => "bad",
            Level::Warn => "warn",
            Level::Off => "off",
            Level::Wait => "wait",
            Level::Good => "good",
        }
    }

    fn of(standing: Standing, worst: Option<Severity>) -> Level {
        let by_standing = match standing {
            Standing::Unreachable | Standing::AutoStopped => Level::Bad,
            Standing::Silent | Standing::NoLink => Level::Warn,
            Standing::Stopped => Level::Off,
            Standing::Connecting => Level::Wait,
            Standing::Active => Level::Good,
        };
        let by_alert = match worst {
            Some(Severity::Critical) => Level::Bad,
            Some(Severity::Warning) => Level::Warn,
            Some(Severity::Info) | None => Level::Good,
        };
        by_standing.min(by_alert)
    }
}

/// A project on a host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StreamRow {
    /// Its name.
    pub project: Arc<str>,
    /// How it stands.
    pub standing: Standing,
    /// The newest round's number.
    pub round: Option<i64>,
    /// Whether that is in progress, as far as is known now.
    pub running: bool,
    /// Its phase.
    pub phase: Option<String>,
    /// How the last finished round ended.
    pub exit_code: Option<i64>,
    /// Whether that was well.
    #[serde(skip)]
    pub ended_well: bool,
    /// How long that took, in tenths of a second.
    pub took_s: Option<f64>,
    /// Percent of the log dir's disk in use.
    pub disk_pct: Option<i64>,
    /// Memory available.
    pub mem_mb: Option<i64>,
    /// What rounds of the last day cost, in US dollars.
    pub cost_usd: f64,
    /// Until when the provider throttles.
    pub throttled_until: Option<String>,
    /// The detectors that cannot judge there.
    pub cannot_judge: Vec<String>,
    /// The detector it was stopped for.
    pub stopped_for: Option<String>,
    /// Why there is no connection.
    pub lost: Option<String>,
    /// A letter per round, the newest last: `o` well, `x` badly, `t` cut off, `r` in progress, `-` not known.
    pub rounds: String,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostRow {
    /// Its name in the inventory.
    pub name: Arc<str>,
    /// The login it shares with others.
    pub account: Option<Arc<str>>,
    /// How much it needs a person.
    pub level: Level,
    /// How the worst of its projects stands.
    pub standing: Standing,
    /// The same for people.
    pub word: &'static str,
    /// What it does, for people.
    pub note: String,
    /// Detectors of the alerts that fire and are neither silenced nor explained by another.
    pub alerts: Vec<Arc<str>>,
    /// Its projects.
    pub streams: Vec<StreamRow>,
}

/// Returns a row for each watched host.
pub fn rows(fleet: &Fleet) -> BTreeMap<Arc<str>, HostRow> {
    let mut alerts: BTreeMap<&str, Vec<&AlertState>> = BTreeMap::new();
    for alert in fleet.alerts.open().filter(|alert| alert.phase == Phase::Firing && alert.muted.is_none()) {
        if let Some(host) = alert.key.subject.host() {
            alerts.entry(host).or_default().push(alert);
        }
    }
    let mut streams: BTreeMap<&Arc<str>, Vec<StreamRow>> = BTreeMap::new();
    for (id, state) in &fleet.streams {
        streams.entry(&id.host).or_default().push(stream(id, state));
    }
    let row = |(name, streams): (&Arc<str>, Vec<StreamRow>)| {
        let account = fleet.account(name).cloned();
        let row = row(name.clone(), account, streams, alerts.get(&**name).map_or(&[], Vec::as_slice));
        (name.clone(), row)
    };
    streams.into_iter().map(row).collect()
}

fn row(
    name: Arc<str>,
    account: Option<Arc<str>>,
    streams: Vec<StreamRow>,
    alerts: &[&AlertState],
) -> HostRow {
    let standing = streams.iter().map(|stream| stream.standing).min().unwrap_or(Standing::Connecting);
    let worst = alerts.iter().map(|alert| alert.severity).max();
    let mut detectors: Vec<Arc<str>> = alerts.iter().map(|alert| alert.key.detector.clone()).collect();
    detectors.sort_unstable();
    detectors.dedup();
    HostRow {
        name,
        account,
        level: Level::of(standing, worst),
        standing,
        word: standing.word(),
        note: note(&streams),
        alerts: detectors,
        streams,
    }
}

/// Returns a stream's row.
pub fn stream(id: &StreamId, stream: &StreamState) -> StreamRow {
    let standing = Standing::of(stream);
    let state = stream.state.as_ref();
    let running = standing.is_known() && state.is_some_and(|state| state.running);
    let cents: f64 = stream.trend.iter().map(|point| point.cost_usd).sum::<f64>() * 100.0;
    StreamRow {
        project: id.project.clone(),
        standing,
        round: state.and_then(|state| state.round_num),
        running,
        phase: state.and_then(|state| state.phase.clone()),
        exit_code: state.and_then(|state| state.last_exit_code),
        ended_well: stream.last_ended_well() == Some(true),
        took_s: state.and_then(|state| state.last_duration_s).map(|took| (took * 10.0).round() / 10.0),
        disk_pct: state.and_then(|state| state.disk_used_pct).and_then(whole),
        mem_mb: state.and_then(|state| state.mem_available_mb),
        cost_usd: cents.round() / 100.0,
        throttled_until: state.and_then(|state| state.throttled_until.clone()),
        cannot_judge: state
            .iter()
            .flat_map(|state| &state.cannot_judge)
            .map(|blindness| blindness.detector.clone())
            .collect(),
        stopped_for: stream.stopped.as_ref().map(|stopped| stopped.detector.clone()),
        lost: match &stream.link {
            Link::Down { reason, .. } => Some(reason.clone()),
            Link::Connecting | Link::Up => None,
        },
        rounds: letters(&stream.rounds, running),
    }
}

fn whole(value: f64) -> Option<i64> {
    let text = format!("{value:.0}");
    text.parse().ok()
}

/// Returns a letter per round, the newest last.
fn letters(rounds: &Rounds, running: bool) -> String {
    let count = rounds.iter().len();
    let letter = |(place, round): (usize, &Round)| outcome(round, running && place + 1 == count);
    rounds.iter().enumerate().skip(count.saturating_sub(STRIP)).map(letter).collect()
}

/// Returns the letter for how a round ended.
pub fn outcome(round: &Round, running: bool) -> char {
    match (round.cause.as_deref(), round.ended) {
        (Some(cause), _) if ended_well(cause) => 'o',
        (Some("timeout"), _) => 't',
        (Some(_), _) => 'x',
        (None, None) if running => 'r',
        (None, _) => '-',
    }
}

fn note(streams: &[StreamRow]) -> String {
    let of = |stream: &StreamRow| {
        let project = stream.project.to_string();
        if let Some(reason) = &stream.lost {
            return format!("{reason} \u{b7} {project}");
        }
        let mut words = Vec::new();
        if let Some(detector) = &stream.stopped_for {
            words.push(format!("stopped for {detector}"));
        }
        if let Some(round) = stream.round {
            words.push(format!("round {round}{}", if stream.running { " running" } else { "" }));
        }
        if let (Some(code), false) = (stream.exit_code, stream.running) {
            let how = if stream.ended_well { "ok".to_owned() } else { format!("exit {code}") };
            words.push(stream.took_s.map_or(how.clone(), |took| format!("{how} {}", seconds(took))));
        }
        if stream.throttled_until.is_some() {
            words.push("throttled".to_owned());
        }
        if !stream.cannot_judge.is_empty() {
            words.push(format!("{} cannot judge", stream.cannot_judge.join(", ")));
        }
        // The project is the same on most hosts: it comes last, where a narrow tile cuts.
        words.push(project);
        words.join(" \u{b7} ")
    };
    streams.iter().map(of).collect::<Vec<_>>().join("; ")
}

/// Returns a duration as a person says it.
fn seconds(took: f64) -> String {
    match took {
        ..10.0 => format!("{took:.1} s"),
        10.0..600.0 => format!("{took:.0} s"),
        _ => format!("{:.0} min", took / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::view::tests::{T0, blind, fleet, lose, say, silence_of};

    fn only(fleet: &Fleet) -> HostRow {
        rows(fleet).into_values().next().unwrap()
    }

    #[test]
    fn what_is_not_heard_is_never_shown_as_up() {
        let mut fleet = fleet(1);
        assert_eq!(only(&fleet).standing, Standing::Connecting);
        say(&mut fleet, "pi0001", true);
        let up = only(&fleet);
        assert_eq!((up.standing, up.level, up.word), (Standing::Active, Level::Good, "active"));
        assert!(up.streams[0].running && up.note.contains("running"), "{}", up.note);
        lose(&mut fleet, "pi0001", "connection reset");
        let lost = only(&fleet);
        assert_eq!((lost.standing, lost.level), (Standing::NoLink, Level::Warn));
        assert!(!lost.streams[0].running && lost.note.contains("connection reset"), "{}", lost.note);
        silence_of(&mut fleet, "pi0001");
        let gone = only(&fleet);
        assert_eq!((gone.standing, gone.level), (Standing::Unreachable, Level::Bad));
        assert!(!gone.streams[0].running);
    }

    #[test]
    fn a_host_whose_detectors_cannot_judge_does_not_look_all_well() {
        let mut fleet = fleet(2);
        say(&mut fleet, "pi0001", true);
        say(&mut fleet, "pi0002", true);
        blind(&mut fleet, "pi0001", "round.log: no access");
        let rows = rows(&fleet);
        let (bad, good) = (&rows["pi0001"], &rows["pi0002"]);
        assert_eq!((bad.level, good.level), (Level::Warn, Level::Good));
        assert_eq!((&*bad.alerts[0], bad.alerts.len()), ("detectors_blind", 1));
        assert!(bad.note.contains("oauth_fail cannot judge") && !good.note.contains("judge"), "{}", bad.note);
        assert_eq!(bad.streams[0].cannot_judge, ["oauth_fail"]);
    }

    #[test]
    fn a_letter_tells_how_a_round_ended() {
        let round = |cause: Option<&str>, ended: bool| Round {
            number: 1,
            phase: None,
            started: Some(T0),
            ended: ended.then_some(T0),
            cause: cause.map(str::to_owned),
            exit_code: None,
            duration_s: None,
            cost_usd: None,
        };
        for (cause, ended, running, expected) in [
            (Some("clean"), true, false, 'o'),
            (Some("grace_kill"), true, false, 'o'),
            (Some("timeout"), true, false, 't'),
            (Some("error"), true, false, 'x'),
            (Some("killed by a moon"), true, true, 'x'),
            (None, false, true, 'r'),
            (None, false, false, '-'),
            (None, true, true, '-'),
        ] {
            assert_eq!(outcome(&round(cause, ended), running), expected, "{cause:?} {ended} {running}");
        }
    }

    #[test]
    fn the_worst_of_standing_and_alerts_is_the_level() {
        for (standing, severity, expected) in [
            (Standing::Active, None, Level::Good),
            (Standing::Active, Some(Severity::Info), Level::Good),
            (Standing::Active, Some(Severity::Warning), Level::Warn),
            (Standing::Active, Some(Severity::Critical), Level::Bad),
            (Standing::Stopped, Some(Severity::Info), Level::Off),
            (Standing::Stopped, Some(Severity::Warning), Level::Warn),
            (Standing::AutoStopped, None, Level::Bad),
            (Standing::Silent, None, Level::Warn),
        ] {
            assert_eq!(Level::of(standing, severity), expected, "{standing:?} {severity:?}");
        }
    }
}
