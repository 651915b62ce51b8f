//! One stream: who it is, how it is, what it did, what it says.

use agent_runner::plain::plain;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::page::Page;
use super::screen::Scene;
use super::{log, rounds};
use crate::fleetview::alert::AlertState;
use crate::fleetview::state::{Link, StreamId, StreamState};
use crate::fleetview::told::StoppedBy;
use crate::output::alert_lines::mark;
use crate::span;
use crate::tui::rows::{Row, is_loud};
use crate::tui::status::since;
use crate::tui::text::fit;

/// From this width on there are two columns.
const TWO: u16 = 120;
/// Detectors that cannot judge are shown with their reason, so many; the alert counts them all.
const BLIND: usize = 3;

/// Draws a stream on the whole body.
pub(super) fn whole((buffer, body): (&mut Buffer, Rect), stream: &StreamId, scene: Scene<'_>) {
    if body.width < TWO {
        let mut page = Page::new(buffer, body, scene.look);
        about(&mut page, stream, (&scene, 2));
        let events = (page.room() / 3).clamp(3, 9);
        log::events(&mut page.split(events), stream, &scene);
        log::tail(&mut page, stream, &scene);
        return;
    }
    let left = Rect { width: body.width * 2 / 5, ..body };
    let right = Rect { x: left.right() + 1, width: body.width - left.width - 1, ..body };
    beside(Page::new(buffer, left, scene.look), stream, scene);
    for y in body.top()..body.bottom() {
        buffer.set_span(left.right(), y, &Span::styled("\u{2502}", scene.look.faint()), 1);
    }
    log::tail(&mut Page::new(buffer, right, scene.look), stream, &scene);
}

/// Draws a stream beside something else, without its log.
pub(super) fn beside(mut page: Page<'_>, stream: &StreamId, scene: Scene<'_>) {
    about(&mut page, stream, (&scene, 8));
    log::events(&mut page, stream, &scene);
}

fn about(page: &mut Page<'_>, stream: &StreamId, (scene, listed): (&Scene<'_>, usize)) {
    let Some(state) = scene.view.fleet.streams.get(stream) else { return };
    let Some(row) = scene.view.row(stream) else { return };
    // What is short of room leaves the words about single rounds out first.
    let listed = if page.room() < 24 { 0 } else { listed };
    facts(page, (&row, state), scene);
    let alerts: Vec<&AlertState> =
        scene.view.alerts.iter().copied().filter(|alert| on(alert, stream)).collect();
    if !alerts.is_empty() {
        page.heading("alerts", false);
        for alert in alerts.iter().take(if listed == 0 { 2 } else { 6 }) {
            let style = if is_loud(alert) { scene.look.severity(alert.severity) } else { scene.look.faint() };
            let quiet = if is_loud(alert) { String::new() } else { format!("({}) ", alert.status()) };
            let words = format!("{}: {}", alert.key.detector, alert.message);
            let room = page.columns().saturating_sub(mark(alert.severity).len());
            page.line(vec![
                Span::styled(mark(alert.severity), style),
                Span::raw(fit(&format!(" {quiet}{}", plain(&words)), room)),
            ]);
        }
    }
    rounds::rounds(page, state, (scene, listed));
    rounds::trend(page, &state.trend, scene);
}

fn on(alert: &AlertState, stream: &StreamId) -> bool {
    let subject = &alert.key.subject;
    subject.host() == Some(&stream.host) && subject.project().is_none_or(|project| *project == stream.project)
}

fn facts(page: &mut Page<'_>, (row, state): (&Row, &StreamState), scene: &Scene<'_>) {
    let look = page.look();
    page.line(vec![
        Span::styled(format!("{} {}", row.status.sign(), row.status.word()), look.status(row.status)),
        Span::styled(format!("  {}", row.stream), look.heading()),
    ]);
    if let Link::Down { reason, .. } = &state.link {
        page.text(&format!("no connection: {}", plain(reason)), look.bad());
    }
    if let Some(stopped) = &state.stopped {
        let ago = i64::try_from(since(stopped.at, scene.view.now.wall)).unwrap_or_default();
        let by = match stopped.by {
            StoppedBy::Controller => "by the controller",
            StoppedBy::Host => "by its own monitor",
        };
        page.text(
            &format!(
                "stopped for {} {by} {} ago; R brings it back",
                plain(&stopped.detector),
                span::words(ago)
            ),
            look.bad(),
        );
    }
    page.text(&round(row, state, scene), Style::new());
    for blindness in state.state.iter().flat_map(|said| &said.cannot_judge).take(BLIND) {
        page.text(&plain(&blindness.to_string()), look.bad());
    }
    let mut words: Vec<String> = Vec::new();
    words.extend(row.account.as_ref().map(|account| format!("account {account}")));
    if !row.groups.is_empty() {
        words.push(format!("in {}", row.groups.join(", ")));
    }
    words.extend(row.version.as_ref().map(|version| format!("agent {version}")));
    words.push(
        if state.monitor_active() { "its own monitor guards it" } else { "no monitor of its own" }.to_owned(),
    );
    page.text(&plain(&words.join("   ")), look.faint());
    let age = span::words(i64::try_from(row.age_s).unwrap_or(i64::MAX));
    let mut words = vec![match &state.hello {
        Some(_) => format!("last heard {age} ago"),
        None => format!("not heard since this watch began {age} ago"),
    }];
    words.extend(
        state.skew_s.filter(|skew| skew.abs() > 2).map(|skew| format!("its clock is {skew:+} s off")),
    );
    words.extend(
        state.garbled.as_ref().map(|nuisance| format!("{} lines were no lines of a stream", nuisance.count)),
    );
    page.text(&words.join("   "), look.faint());
}

fn round(row: &Row, state: &StreamState, scene: &Scene<'_>) -> String {
    let Some(said) = &state.state else { return "nothing is known of its service yet".to_owned() };
    let was = if row.status.is_current() { "" } else { "was then: " };
    let service = if said.active { "service active" } else { "service stopped" };
    let mut words = format!("{was}{service}");
    if let Some(number) = said.round_num {
        let phase = said.phase.as_ref().map(|phase| format!(" ({phase})")).unwrap_or_default();
        let at = said.since.as_deref().and_then(agent_runner::store::time::parse);
        let ago = at.map(|at| span::words(i64::try_from(since(at, scene.view.now.wall)).unwrap_or_default()));
        let when = match (said.running, ago) {
            (true, Some(ago)) => format!(" runs for {ago}"),
            (true, None) => " runs".to_owned(),
            (false, Some(ago)) => format!(" ended {ago} ago"),
            (false, None) => " ended".to_owned(),
        };
        words.push_str(&format!(", round {number}{phase}{when}"));
    }
    if let Some(until) = &said.throttled_until {
        words.push_str(&format!(", throttled until {until}"));
    }
    plain(&words)
}
