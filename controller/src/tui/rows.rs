//! The rows of the host table: one per stream, sorted, filtered, grouped. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agent_runner::plain::plain;
use agent_runner::witness::alert::Severity;
use jiff::tz::TimeZone;

use super::status::{self, Status};
use crate::fleetview::alert::{AlertState, Phase};
use crate::fleetview::state::{Fleet, Moment, StreamId, StreamState};

/// What does not change while the dashboard runs.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The groups of each host, in the inventory's order.
    pub groups: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    /// The age at which what a stream said is old.
    pub stale_after: Duration,
    /// Whether this watch stops hosts and keeps history; else another one on this machine does.
    pub guards: bool,
    /// Where the operator's clock is.
    pub zone: TimeZone,
}

/// One stream as a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Whose.
    pub stream: StreamId,
    /// How it is.
    pub status: Status,
    /// The account of its host.
    pub account: Option<Arc<str>>,
    /// The groups of its host.
    pub groups: Vec<Arc<str>>,
    /// The agent's release there.
    pub version: Option<String>,
    /// The newest round.
    pub round: Option<i64>,
    /// Whether that one is in progress.
    pub running: bool,
    /// How the last finished round ended, 0 for well, and how long it took in seconds.
    pub last: Option<(i64, Option<f64>)>,
    /// Percent of the disk in use.
    pub disk_pct: Option<f64>,
    /// Memory left.
    pub mem_mb: Option<i64>,
    /// Seconds since the last word.
    pub age_s: u64,
    /// The detectors whose alerts fire and are neither muted nor taken note of, the worst first.
    pub firing: Vec<Arc<str>>,
    /// The worst of them.
    pub worst: Option<Severity>,
    /// Open alerts that are muted or taken note of.
    pub quiet: usize,
}

/// What rows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// What needs a person first.
    Urgency,
    /// The host's name.
    Host,
    /// The age of the last word.
    Age,
    /// The number of the newest round.
    Round,
    /// The fullest disk first.
    Disk,
}

/// What rows are put together by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// Nothing.
    None,
    /// The account of the host.
    Account,
    /// The first group of the host.
    Group,
    /// The agent's release.
    Version,
}

impl Sort {
    /// Returns the next one, around.
    pub fn next(self) -> Sort {
        match self {
            Sort::Urgency => Sort::Host,
            Sort::Host => Sort::Age,
            Sort::Age => Sort::Round,
            Sort::Round => Sort::Disk,
            Sort::Disk => Sort::Urgency,
        }
    }

    /// Returns its name.
    pub fn word(self) -> &'static str {
        match self {
            Sort::Urgency => "urgency",
            Sort::Host => "host",
            Sort::Age => "age",
            Sort::Round => "round",
            Sort::Disk => "disk",
        }
    }
}

impl Grouping {
    /// Returns the next one, around.
    pub fn next(self) -> Grouping {
        match self {
            Grouping::None => Grouping::Account,
            Grouping::Account => Grouping::Group,
            Grouping::Group => Grouping::Version,
            Grouping::Version => Grouping::None,
        }
    }

    /// Returns its name.
    pub fn word(self) -> &'static str {
        match self {
            Grouping::None => "none",
            Grouping::Account => "account",
            Grouping::Group => "group",
            Grouping::Version => "version",
        }
    }

    /// Returns what a row is put under.
    pub fn of(self, row: &Row) -> Option<String> {
        let or = |name: Option<String>, none: &str| Some(name.unwrap_or_else(|| none.to_owned()));
        match self {
            Grouping::None => None,
            Grouping::Account => or(row.account.as_ref().map(ToString::to_string), "no account"),
            Grouping::Group => or(row.groups.first().map(ToString::to_string), "no group"),
            Grouping::Version => or(row.version.clone(), "version not known"),
        }
    }
}

/// Returns a row for every stream, by name.
pub fn rows(fleet: &Fleet, facts: &Facts, now: Moment) -> Vec<Row> {
    let mut by_host: BTreeMap<&str, Vec<&AlertState>> = BTreeMap::new();
    for alert in fleet.alerts.open() {
        if let Some(host) = alert.key.subject.host() {
            by_host.entry(host).or_default().push(alert);
        }
    }
    fleet
        .streams
        .iter()
        .map(|(stream, state)| {
            let alerts = by_host.get(&*stream.host).map(Vec::as_slice).unwrap_or_default();
            let on =
                |alert: &&AlertState| alert.key.subject.project().is_none_or(|name| *name == stream.project);
            row(fleet, facts, (stream, state), alerts.iter().copied().filter(on), now)
        })
        .collect()
}

fn row<'a>(
    fleet: &Fleet,
    facts: &Facts,
    (stream, state): (&StreamId, &StreamState),
    alerts: impl Iterator<Item = &'a AlertState>,
    now: Moment,
) -> Row {
    let (loud, quiet): (Vec<_>, Vec<_>) =
        alerts.filter(|alert| alert.phase == Phase::Firing).partition(|alert| is_loud(alert));
    let mut firing: Vec<(Reverse<Severity>, Arc<str>)> =
        loud.iter().map(|alert| (Reverse(alert.severity), alert.key.detector.clone())).collect();
    firing.sort();
    firing.dedup_by(|a, b| a.1 == b.1);
    // An alert about the connection says nothing of a project that is heard.
    let of_project = |alert: &&&AlertState| alert.key.subject.project().is_some();
    let critical =
        loud.iter().chain(&quiet).filter(of_project).any(|alert| alert.severity == Severity::Critical);
    let said = state.state.as_ref();
    Row {
        stream: stream.clone(),
        status: status::of(state, critical, now, facts.stale_after),
        account: fleet.account(&stream.host).cloned(),
        groups: facts.groups.get(&stream.host).cloned().unwrap_or_default(),
        version: state.hello.as_ref().map(|hello| plain(&hello.version)),
        round: said.and_then(|said| said.round_num),
        running: said.is_some_and(|said| said.running),
        last: said.and_then(|said| {
            let code = said.last_exit_code?;
            let shown = if state.last_ended_well() == Some(true) { 0 } else { code };
            Some((shown, said.last_duration_s))
        }),
        disk_pct: said.and_then(|said| said.disk_used_pct),
        mem_mb: said.and_then(|said| said.mem_available_mb),
        age_s: status::age(state, now).as_secs(),
        worst: loud.iter().map(|alert| alert.severity).max(),
        firing: firing.into_iter().map(|(_, detector)| detector).collect(),
        quiet: quiet.len(),
    }
}

/// Returns whether an alert asks for a person: it fires, nothing mutes it, and nobody has taken note.
pub fn is_loud(alert: &AlertState) -> bool {
    alert.phase == Phase::Firing && alert.muted.is_none() && alert.acked.is_none()
}

/// Returns whether a row holds every word of a filter, in any of its fields; a word after `!` it must not hold.
pub fn matches(row: &Row, filter: &str) -> bool {
    let mut fields = vec![row.stream.to_string(), row.status.word().to_owned()];
    fields.extend(row.account.iter().chain(&row.groups).chain(&row.firing).map(ToString::to_string));
    fields.extend(row.version.clone());
    let text = fields.join("\n").to_lowercase();
    filter.to_lowercase().split_whitespace().all(|word| match word.strip_prefix('!') {
        Some("") => true,
        Some(not) => !text.contains(not),
        None => text.contains(word),
    })
}

/// Sorts rows; equal ones by name.
pub fn sort(rows: &mut [Row], by: Sort, grouping: Grouping, descending: bool) {
    rows.sort_by(|a, b| {
        let order = match by {
            Sort::Urgency => (a.status, Reverse(a.worst)).cmp(&(b.status, Reverse(b.worst))),
            Sort::Host => std::cmp::Ordering::Equal,
            Sort::Age => b.age_s.cmp(&a.age_s),
            Sort::Round => b.round.cmp(&a.round),
            Sort::Disk => b.disk_pct.unwrap_or(-1.0).total_cmp(&a.disk_pct.unwrap_or(-1.0)),
        };
        let order =
            order.then_with(|| natural(&a.stream.host, &b.stream.host)).then_with(|| a.stream.cmp(&b.stream));
        let order = if descending { order.reverse() } else { order };
        grouping.of(a).cmp(&grouping.of(b)).then(order)
    });
}

/// Compares names as people count: pi2 before pi10.
fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (Some(left), Some(right)) = (a.chars().next(), b.chars().next()) else {
            return a.len().cmp(&b.len());
        };
        let digits = |text: &str| text.find(|one: char| !one.is_ascii_digit()).unwrap_or(text.len());
        let order = if left.is_ascii_digit() && right.is_ascii_digit() {
            let ((one, rest_a), (other, rest_b)) = (a.split_at(digits(a)), b.split_at(digits(b)));
            (a, b) = (rest_a, rest_b);
            let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
            one.len().cmp(&other.len()).then_with(|| one.cmp(other))
        } else {
            (a, b) = (a.split_at(left.len_utf8()).1, b.split_at(right.len_utf8()).1);
            left.cmp(&right)
        };
        if order.is_ne() {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture::{at, facts, shelf};

    fn all() -> Vec<Row> {
        rows(&shelf(), &facts(), at(1000))
    }

    fn names(rows: &[Row]) -> Vec<&str> {
        rows.iter().map(|row| &*row.stream.host).collect()
    }

    #[test]
    fn a_filter_holds_when_every_word_does() {
        for (filter, expected) in [
            ("", &["pi1", "pi10", "pi2", "pi3", "pi4", "pi5", "pi6", "pi7", "pi8"][..]),
            ("PI1", &["pi1", "pi10"]),
            ("team-b", &["pi3", "pi4"]),
            ("team-b !pi4", &["pi3"]),
            ("oauth", &["pi2"]),
            ("unreachable", &["pi5"]),
            ("attic working", &["pi10"]),
            ("! pi2", &["pi2"]),
            ("nothing", &[]),
        ] {
            let rows: Vec<Row> = all().into_iter().filter(|row| matches(row, filter)).collect();
            assert_eq!(names(&rows), expected, "{filter:?}");
        }
    }

    #[test]
    fn rows_are_sorted_as_people_count_and_the_urgent_come_first() {
        let sorted = |by, grouping, descending| {
            let mut rows = all();
            sort(&mut rows, by, grouping, descending);
            names(&rows).join(" ")
        };
        assert_eq!(sorted(Sort::Host, Grouping::None, false), "pi1 pi2 pi3 pi4 pi5 pi6 pi7 pi8 pi10");
        assert_eq!(sorted(Sort::Host, Grouping::None, true), "pi10 pi8 pi7 pi6 pi5 pi4 pi3 pi2 pi1");
        assert_eq!(sorted(Sort::Urgency, Grouping::None, false), "pi3 pi5 pi6 pi2 pi8 pi7 pi4 pi1 pi10");
        assert_eq!(sorted(Sort::Disk, Grouping::None, false).split(' ').next(), Some("pi3"));
        assert_eq!(sorted(Sort::Age, Grouping::None, false).split(' ').next(), Some("pi5"));
        assert_eq!(sorted(Sort::Host, Grouping::Account, false), "pi5 pi6 pi7 pi8 pi10 pi1 pi2 pi3 pi4");
    }

    #[test]
    fn leading_zeros_do_not_change_the_order() {
        for (a, b, expected) in [
            ("pi2", "pi10", std::cmp::Ordering::Less),
            ("pi02", "pi2", std::cmp::Ordering::Equal),
            ("a", "b1", std::cmp::Ordering::Less),
            ("rack1-2", "rack1-10", std::cmp::Ordering::Less),
            ("\u{fc}1", "\u{fc}1", std::cmp::Ordering::Equal),
        ] {
            assert_eq!(natural(a, b), expected, "{a} {b}");
        }
    }
}
