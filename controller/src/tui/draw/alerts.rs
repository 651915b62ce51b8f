//! The open alerts, and all that is known of the chosen one.

use agent_runner::plain::plain;
use ratatui::style::Style;

use super::page::{Page, window};
use super::screen::Scene;
use super::table::age;
use crate::fleetview::alert::{AlertState, Muted, Phase};
use crate::output::alert_lines::mark;
use crate::span;
use crate::tui::model::Screen;
use crate::tui::rows::is_loud;
use crate::tui::text::{width, wrap};

/// Lines for the chosen alert, where it is what is looked at.
const CHOSEN: usize = 6;

/// Draws the list; where alerts are what is looked at, with the chosen one below it.
pub(super) fn list(mut page: Page<'_>, scene: Scene<'_>) {
    let (model, view, look) = (scene.model, scene.view, scene.look);
    let focused = model.screen == Screen::Alerts;
    if page.room() == 0 {
        return;
    }
    page.heading(&heading(&scene), focused);
    if view.alerts.is_empty() {
        page.text("no alert is open", look.faint());
        return;
    }
    let chosen = view.alert(model);
    let at =
        view.alerts.iter().position(|alert| Some(alert.key.clone()) == chosen.map(|alert| alert.key.clone()));
    let below = if focused && page.room() > CHOSEN * 2 { CHOSEN } else { 0 };
    let room = page.room().saturating_sub(below).min(view.alerts.len());
    let mut rows = page.split(room);
    let first = if focused { window(at.unwrap_or(0), view.alerts.len(), room) } else { 0 };
    let subject = view.alerts.iter().map(|alert| width(&alert.key.subject.to_string())).max().unwrap_or(0);
    let subject = subject.clamp(8, rows.columns() / 4);
    let detector = view.alerts.iter().map(|alert| width(&alert.key.detector)).max().unwrap_or(0).clamp(8, 20);
    for (number, alert) in view.alerts.iter().enumerate().skip(first).take(room) {
        let ground = if focused && Some(number) == at { look.chosen() } else { Style::new() };
        let style = if is_loud(alert) { Style::new() } else { look.faint() };
        let mark_style = if is_loud(alert) { look.severity(alert.severity) } else { look.faint() };
        let mark = match alert.phase {
            Phase::Pending => "[....]",
            Phase::Firing | Phase::Resolved => mark(alert.severity),
        };
        let seconds = u64::try_from(alert.firing_for_s(view.now.wall)).unwrap_or(0);
        let rest = rows.columns().saturating_sub(6 + 4 + subject + detector + 4);
        rows.cells(
            &[
                (6, mark.to_owned(), mark_style),
                (4, format!("{:>4}", age(seconds)), style),
                (subject, plain(&alert.key.subject.to_string()), style),
                (detector, plain(&alert.key.detector), style),
                (rest, format!("{}{}", standing(alert), plain(&alert.message)), style),
            ],
            ground,
        );
    }
    if let Some(alert) = chosen.filter(|_| below > 0) {
        whole(&mut page, alert, &scene);
    }
}

fn heading(scene: &Scene<'_>) -> String {
    let (loud, quiet) = scene.view.loud_and_quiet();
    let silences = scene.view.fleet.silences.len();
    let silences = if silences > 0 { format!("   silences: {silences}") } else { String::new() };
    format!("alerts: {loud} open, {quiet} quiet{silences}")
}

/// Returns what is to be known before the message.
fn standing(alert: &AlertState) -> String {
    match (alert.phase, &alert.muted, &alert.acked) {
        (Phase::Pending, _, _) => "(not yet) ".to_owned(),
        (_, Some(Muted::Silenced(id)), _) => format!("(silence {id}) "),
        (_, Some(Muted::Inhibited(by)), _) => format!("(explained by {}) ", plain(by)),
        (_, None, Some(ack)) => format!("(noted by {}) ", plain(&ack.by)),
        (Phase::Firing | Phase::Resolved, None, None) => String::new(),
    }
}

fn whole(page: &mut Page<'_>, alert: &AlertState, scene: &Scene<'_>) {
    let look = scene.look;
    page.heading(&format!("{} {}", plain(&alert.key.subject.to_string()), plain(&alert.key.detector)), false);
    for line in wrap(&plain(&alert.message), page.columns(), 2) {
        page.text(&line, Style::new());
    }
    let mut words = vec![format!("for {}", span::words(alert.firing_for_s(scene.view.now.wall)))];
    words.push(format!("id {}", alert.key.id()));
    words.extend(alert.account.as_ref().map(|account| format!("account {account}")));
    words.push(match alert.sent {
        0 => "not sent".to_owned(),
        1 => "sent once".to_owned(),
        times => format!("sent {times} times"),
    });
    if let Some(Muted::Silenced(id)) = alert.muted
        && let Some(silence) = scene.view.fleet.silences.iter().find(|silence| silence.id == id)
    {
        let left = silence.until.as_second() - scene.view.now.wall.as_second();
        words.push(format!("silenced by {} for another {}", plain(&silence.by), span::words(left.max(0))));
    }
    page.text(&words.join("   "), look.faint());
    let context: Vec<String> = alert.context.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !context.is_empty() {
        page.text(&plain(&context.join(" ")), look.faint());
    }
}
