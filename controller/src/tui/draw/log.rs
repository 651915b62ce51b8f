//! What a stream said last, and the end of its newest round's log.

use jiff::Timestamp;
use ratatui::style::Style;
use ratatui::text::Span;

use super::page::Page;
use super::screen::Scene;
use crate::fleetview::state::StreamId;
use crate::tui::feed::Said;
use crate::tui::text::fit;

/// Draws the newest events, the newest last.
pub(super) fn events(page: &mut Page<'_>, stream: &StreamId, scene: &Scene<'_>) {
    page.heading("events", false);
    let all: Vec<&Said> = scene.feed.of(stream).collect();
    if all.is_empty() {
        page.text("none yet", scene.look.faint());
    }
    let skipped = all.len().saturating_sub(page.room());
    for said in all.into_iter().skip(skipped) {
        let room = page.columns().saturating_sub(9);
        page.line(vec![
            Span::styled(format!("{} ", clock(said.at, scene)), scene.look.faint()),
            Span::styled(fit(&said.text, room), scene.look.tone(said.tone)),
        ]);
    }
}

/// Draws the end of the log, or why there is none.
pub(super) fn tail(page: &mut Page<'_>, stream: &StreamId, scene: &Scene<'_>) {
    let tail = scene.model.tail.as_ref().filter(|tail| tail.stream == *stream);
    let scroll = scene.model.scroll;
    let up = if scroll > 0 { format!("   {scroll} lines up") } else { String::new() };
    page.heading(&format!("log of the newest round{up}"), true);
    let faint = scene.look.faint();
    match tail.and_then(|tail| tail.lines.as_ref()) {
        Some(Ok(lines)) if lines.is_empty() => page.text("it is empty", faint),
        Some(Ok(lines)) => {
            let end = lines.len().saturating_sub(scroll);
            let begin = end.saturating_sub(page.room());
            for line in lines.iter().take(end).skip(begin) {
                page.text(line, Style::new());
            }
        }
        Some(Err(why)) => page.text(why, scene.look.bad()),
        None if tail.is_some_and(|tail| tail.waits) => page.text("is being fetched", faint),
        None => page.text("not fetched; p fetches it", faint),
    }
}

fn clock(at: Timestamp, scene: &Scene<'_>) -> String {
    at.to_zoned(scene.view.facts.zone.clone()).strftime("%H:%M:%S").to_string()
}
