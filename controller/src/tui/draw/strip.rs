//! The strip at the top, and the line at the bottom.

use std::collections::BTreeSet;

use agent_runner::plain::plain;
use ratatui::style::Style;
use ratatui::text::Span;

use super::page::Page;
use super::screen::Scene;
use crate::tui::model::{Mode, Screen};
use crate::tui::status::{STRIP, Status};
use crate::tui::text::{fit, width};

/// How many lines it takes.
pub(super) const LINES: u16 = 3;

/// Draws the strip: who, when; how many are how; alerts, brake, sinks.
pub(super) fn head(mut page: Page<'_>, scene: Scene<'_>) {
    let (view, look) = (scene.view, scene.look);
    let fleet = view.fleet;
    let hosts: BTreeSet<&str> = fleet.streams.keys().map(|stream| &*stream.host).collect();
    let clock = view.now.wall.to_zoned(view.facts.zone.clone()).strftime("%H:%M:%S").to_string();
    let role = if view.facts.guards { "" } else { "looks on: another monitor guards   " };
    let right = format!("{role}{clock}");
    let left = format!(
        "{}   {} on {}",
        plain(&fleet.name),
        count(fleet.streams.len(), "project"),
        count(hosts.len(), "host")
    );
    let room = page.columns().saturating_sub(width(&right) + 1);
    let left = fit(&left, room);
    let gap = " ".repeat(page.columns().saturating_sub(width(&left) + width(&right)));
    page.line(vec![Span::styled(left, look.heading()), Span::raw(gap), Span::raw(right)]);
    page.line(statuses(&scene, page.columns()));
    page.line(health(&scene));
}

/// How many are in each status, in words as long as there is room for.
fn statuses(scene: &Scene<'_>, columns: usize) -> Vec<Span<'static>> {
    let words: [fn(Status) -> &'static str; 3] = [Status::word, Status::short, |_| ""];
    let parts = |word: fn(Status) -> &'static str| -> Vec<(Style, String)> {
        let part = |status: Status| {
            let count = scene.view.counts.get(&status)?;
            let text = format!("{} {count} {}", status.sign(), word(status));
            Some((scene.look.status(status), text.trim_end().to_owned()))
        };
        STRIP.into_iter().filter_map(part).collect()
    };
    let fits = |parts: &Vec<(Style, String)>| {
        parts.iter().map(|(_, part)| width(part) + 2).sum::<usize>() <= columns + 2
    };
    let fitting = words.into_iter().map(parts).find(fits).unwrap_or_else(|| parts(|_| ""));
    fitting.into_iter().flat_map(|(style, part)| [Span::styled(part, style), Span::raw("  ")]).collect()
}

fn health(scene: &Scene<'_>) -> Vec<Span<'static>> {
    let (view, look) = (scene.view, scene.look);
    let (loud, quiet) = view.loud_and_quiet();
    let alerts = if loud > 0 { look.bad() } else { Style::new() };
    let mut spans = vec![Span::styled(format!("alerts: {loud} open"), alerts)];
    if quiet > 0 {
        spans.push(Span::raw(format!(", {quiet} quiet")));
    }
    if view.brake_holds() {
        spans.extend([Span::raw("   "), Span::styled("brake: HOLDS STOPS BACK", look.bad())]);
    } else {
        spans.push(Span::raw("   brake: free"));
    }
    let sinks = &view.fleet.sinks;
    let failing = sinks.iter().find_map(|sink| Some((sink, sink.failing.as_ref()?)));
    let waiting: u64 = sinks.iter().map(|sink| sink.waiting).sum();
    match failing {
        Some((sink, why)) => {
            let text = format!("sinks: {} fails, {waiting} wait: {}", plain(&sink.name), plain(why));
            spans.extend([Span::raw("   "), Span::styled(text, look.bad())]);
        }
        None if sinks.is_empty() => spans.push(Span::raw("   sinks: none")),
        None => spans.push(Span::raw(format!("   sinks: {} ok, {waiting} wait", sinks.len()))),
    }
    if scene.feed.missed > 0 {
        spans.push(Span::styled(format!("   {} events not shown", scene.feed.missed), look.faint()));
    }
    spans
}

/// Draws the last line: what is written, what was said, or which keys there are.
pub(super) fn foot(mut page: Page<'_>, scene: Scene<'_>) {
    let (model, look) = (scene.model, scene.look);
    if matches!(model.mode, Mode::Filter(_)) {
        let keys = "   (words; !word for not; Enter keeps it, Esc takes it back)";
        page.line(vec![
            Span::styled(format!("/{}", plain(&model.filter)), look.heading()),
            Span::styled(" ", look.chosen()),
            Span::styled(keys, look.faint()),
        ]);
        return;
    }
    let asked = if model.underway > 0 { format!("{} under way   ", model.underway) } else { String::new() };
    if let Some(notice) = model.notice(scene.view.now.wall) {
        let style = if notice.bad { look.bad() } else { look.heading() };
        page.text(&format!("{asked}{}", notice.text), style);
        return;
    }
    let keys = match model.screen {
        Screen::Hosts => "? help  / filter  Enter open  s sort  a alerts  S stop  T start  M mute  q quit",
        Screen::Alerts => "? help  A note  M mute  Enter host  a hosts  S stop  T start  R resume  q quit",
        Screen::Detail(_) => "? help  Esc back  p log  S stop  T start  R resume  M mute  A note  q quit",
    };
    page.text(&format!("{asked}{keys}"), look.faint());
}

fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}
