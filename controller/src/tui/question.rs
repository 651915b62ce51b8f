//! What is asked before something is done: it names the host and says what will happen. Pure.

use agent_runner::plain::plain;

use super::rows::Row;
use super::status::{self, Status};
use super::view::View;
use crate::fleetview::alert::{AlertState, Muted, Subject};
use crate::fleetview::silence::Matcher;
use crate::fleetview::state::StreamState;
use crate::span;
use crate::watcher::act::Action;

/// How long a silence is when nobody says otherwise.
const SILENCE: &str = "2h";

/// A question.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What it is about, in a few words.
    pub title: String,
    /// What will happen.
    pub lines: Vec<String>,
    /// What a yes does.
    pub wish: Wish,
}

/// What a yes does.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// These, in their order.
    Do(Vec<Action>),
    /// A silence of what all matchers match, for as long as the person writes.
    Silence {
        /// The matchers.
        matchers: Vec<Matcher>,
        /// What is written so far.
        text: String,
        /// What is wrong with it.
        problem: Option<String>,
    },
}

/// Returns the question before a stop.
///
/// # Errors
/// Why there is nothing to ask.
pub fn stop(view: &View<'_>, row: &Row) -> Result<Question, String> {
    let stream = &row.stream;
    if matches!(row.status, Status::Stopped | Status::AutoStopped) {
        return Err(format!("{stream} is stopped already"));
    }
    let mut lines =
        vec![format!("Host {}, project {}: its service is asked to stop.", stream.host, stream.project)];
    lines.push(match row.round {
        Some(number) if row.running => {
            format!("Round {number} runs now and ends first; then no other one starts.")
        }
        Some(_) | None => "No round is in progress; none starts any more.".to_owned(),
    });
    lines.push("It stays stopped until somebody starts it.".to_owned());
    lines.extend(doubt(view, row));
    Ok(Question {
        title: format!("Stop {stream}?"),
        lines,
        wish: Wish::Do(vec![Action::Stop(stream.clone())]),
    })
}

/// Returns the question before a start.
///
/// # Errors
/// Why there is nothing to ask.
pub fn start(view: &View<'_>, row: &Row) -> Result<Question, String> {
    let stream = &row.stream;
    let mut lines =
        vec![format!("Host {}, project {}: its service is started.", stream.host, stream.project)];
    match row.status {
        Status::AutoStopped => {
            return Err(format!(
                "{stream} was stopped for a detector: bring it back with R, when that is mended"
            ));
        }
        Status::Failing | Status::Throttled | Status::Idle | Status::Working => {
            return Err(format!("{stream} runs already"));
        }
        Status::Unreachable | Status::Stale | Status::Connecting | Status::Stopped => {}
    }
    lines.push("Its rounds begin at once and cost what rounds cost.".to_owned());
    lines.extend(doubt(view, row));
    Ok(Question {
        title: format!("Start {stream}?"),
        lines,
        wish: Wish::Do(vec![Action::Start(stream.clone())]),
    })
}

/// Returns the question before a service comes back that was stopped for a detector.
///
/// # Errors
/// Why there is nothing to ask.
pub fn resume(view: &View<'_>, row: &Row) -> Result<Question, String> {
    let stream = &row.stream;
    let state = view.fleet.streams.get(stream);
    let Some(stopped) = state.and_then(|state| state.stopped.as_ref()) else {
        return Err(format!("{stream} was not stopped for a detector"));
    };
    let ago = i64::try_from(status::since(stopped.at, view.now.wall)).unwrap_or_default();
    let mut lines = vec![
        format!("Host {}, project {}: its service is started again.", stream.host, stream.project),
        format!(
            "It was stopped for {} {} ago. If that is not mended, it is stopped again.",
            plain(&stopped.detector),
            span::words(ago)
        ),
    ];
    lines.extend(doubt(view, row));
    Ok(Question {
        title: format!("Resume {stream}?"),
        lines,
        wish: Wish::Do(vec![Action::Resume(vec![stream.clone()])]),
    })
}

/// Returns the question before a host's alerts are silenced.
///
/// # Errors
/// Where the host's name is no pattern.
pub fn silence_host(row: &Row) -> Result<Question, String> {
    let matchers = vec![format!("host={}", row.stream.host).parse()?];
    let lines = vec![
        format!("No alert of host {} is sent, whatever its detector.", row.stream.host),
        "They are shown all the same, and still stop the host.".to_owned(),
    ];
    let wish = Wish::Silence { matchers, text: SILENCE.to_owned(), problem: None };
    Ok(Question { title: format!("Silence {}?", row.stream.host), lines, wish })
}

/// Returns the question before an alert is silenced, or a silence is ended.
///
/// # Errors
/// Where the alert's labels are no patterns.
pub fn silence_alert(alert: &AlertState) -> Result<Question, String> {
    let key = &alert.key;
    let about = format!("{} {}", key.subject, key.detector);
    if let Some(Muted::Silenced(id)) = alert.muted {
        let lines = vec![format!("Silence {id} ends now for all that it matches; what still fires is sent.")];
        let wish = Wish::Do(vec![Action::Unsilence(id)]);
        return Ok(Question { title: format!("End the silence of {about}?"), lines, wish });
    }
    let mut matchers: Vec<Matcher> = vec![format!("detector={}", key.detector).parse()?];
    let labels = [
        ("host", key.subject.host()),
        ("project", key.subject.project()),
        ("account", key.subject.account()),
    ];
    for (label, value) in labels {
        if let Some(value) = value {
            matchers.push(format!("{label}={value}").parse()?);
        }
    }
    let whose = match &key.subject {
        Subject::Stream(stream) => format!("Host {}, project {}", stream.host, stream.project),
        Subject::Host(host) => format!("Host {host}"),
        Subject::Account(account) => format!("Account {account}"),
        Subject::Fleet => "The fleet".to_owned(),
    };
    let lines = vec![
        format!("{whose}: {} is not sent.", key.detector),
        "It is shown all the same, and still stops the host.".to_owned(),
    ];
    let wish = Wish::Silence { matchers, text: SILENCE.to_owned(), problem: None };
    Ok(Question { title: format!("Silence {about}?"), lines, wish })
}

/// Returns the question before alerts are taken note of; where all are, before that is taken back.
///
/// # Errors
/// Why there is nothing to ask.
pub fn acknowledge(about: &str, alerts: &[&AlertState]) -> Result<Question, String> {
    if alerts.is_empty() {
        return Err(format!("no alert of {about} is open"));
    }
    let names = |alerts: &[&AlertState]| {
        let names: Vec<String> =
            alerts.iter().map(|alert| format!("{} {}", alert.key.subject, alert.key.detector)).collect();
        names.join(", ")
    };
    let fresh: Vec<&AlertState> = alerts.iter().copied().filter(|alert| alert.acked.is_none()).collect();
    if fresh.is_empty() {
        let wish = Wish::Do(alerts.iter().map(|alert| Action::Unacknowledge(alert.key.clone())).collect());
        let lines = vec![format!("{}: open again, and sent again while it fires.", names(alerts))];
        return Ok(Question { title: format!("Take the note on {about} back?"), lines, wish });
    }
    let wish = Wish::Do(fresh.iter().map(|alert| Action::Acknowledge(alert.key.clone())).collect());
    let lines = vec![
        format!("{}: not sent again while it goes on.", names(&fresh)),
        "When it gets worse, it is open again.".to_owned(),
    ];
    Ok(Question { title: format!("Take note of the alerts of {about}?"), lines, wish })
}

/// Returns a warning where what is shown of a stream is old.
fn doubt(view: &View<'_>, row: &Row) -> Option<String> {
    let reason =
        match &view.fleet.streams.get(&row.stream).map(|state: &std::sync::Arc<StreamState>| &state.link) {
            Some(crate::fleetview::state::Link::Down { reason, .. }) => format!(": {}", plain(reason)),
            Some(_) | None => String::new(),
        };
    let age = span::words(i64::try_from(row.age_s).unwrap_or(i64::MAX));
    (!row.status.is_current())
        .then(|| format!("It is {} and was last heard {age} ago{reason}. This may fail.", row.status.word()))
}
