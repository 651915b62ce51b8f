//! The newest rounds as a strip: how long each took, and how it ended; and the figures of a day as lines.

use agent_runner::event::ended_well;
use agent_runner::plain::plain;
use ratatui::style::Style;
use ratatui::text::Span;

use super::page::Page;
use super::screen::Scene;
use crate::fleetview::rounds::{Round, Rounds, Trend};
use crate::fleetview::state::StreamState;
use crate::output::chart;

/// Columns that the words beside a line of figures take.
const WORDS: usize = 34;

/// Draws the rounds; `listed` of them also in words, the newest first.
pub(super) fn rounds(page: &mut Page<'_>, state: &StreamState, (scene, listed): (&Scene<'_>, usize)) {
    let all: Vec<&Round> = state.rounds.iter().collect();
    page.heading(&heading(&state.rounds), false);
    let skipped = all.len().saturating_sub(page.columns());
    let shown: Vec<&Round> = all.iter().skip(skipped).copied().collect();
    if shown.is_empty() {
        page.text("none was seen yet", scene.look.faint());
        return;
    }
    let now = scene.view.now.wall;
    let durations: Vec<f64> = shown
        .iter()
        .map(|round| {
            let so_far = round
                .started
                .filter(|_| round.ended.is_none())
                .map(|at| now.duration_since(at).as_secs_f64());
            round.duration_s.or(so_far).unwrap_or_default().max(0.0)
        })
        .collect();
    let bars = chart::line(&durations);
    let style = |round: &Round| if is_bad(round) { scene.look.bad() } else { Style::new() };
    let spans = bars.chars().zip(&shown).map(|(bar, round)| Span::styled(bar.to_string(), style(round)));
    page.line(spans.collect::<Vec<_>>());
    let spans = shown.iter().map(|round| Span::styled(letter(round).to_string(), style(round)));
    page.line(spans.collect::<Vec<_>>());
    for round in shown.iter().rev().take(listed) {
        page.text(&words(round, scene), style(round));
    }
}

/// Draws disk and memory of the last hours.
pub(super) fn trend(page: &mut Page<'_>, trend: &Trend, scene: &Scene<'_>) {
    let columns = page.columns().saturating_sub(WORDS).max(8);
    let points: Vec<_> = trend.iter().collect();
    let points: Vec<_> = points.iter().skip(points.len().saturating_sub(columns)).collect();
    let disk: Vec<f64> = points.iter().filter_map(|point| point.disk_used_pct).collect();
    // Far below what any host has: the cast loses nothing.
    let memory: Vec<f64> =
        points.iter().filter_map(|point| point.mem_available_mb).map(|mb| mb as f64).collect();
    let hours = (points.len() * 5).div_ceil(60).max(1);
    page.heading(&format!("disk and memory, the last {hours} h"), false);
    let look = scene.look;
    for (name, values, most, unit) in [("disk", &disk, 100.0, "% used"), ("memory", &memory, 0.0, " MB left")]
    {
        match values.last() {
            Some(newest) => page.line(vec![
                Span::styled(format!("{name:<7}"), look.faint()),
                Span::raw(chart::line_to(values, most)),
                Span::raw(format!(" {newest:.0}{unit}")),
            ]),
            None => page.text(&format!("{name:<7}not known"), look.faint()),
        }
    }
}

fn heading(rounds: &Rounds) -> String {
    let ended = rounds.iter().filter(|round| round.ended.is_some());
    let (bad, good): (Vec<_>, Vec<_>) = ended.partition(|round| is_bad(round));
    let cost: f64 = rounds.iter().filter_map(|round| round.cost_usd).sum();
    let cost = if cost > 0.0 { format!("   {cost:.2} USD") } else { String::new() };
    format!("rounds: {} ok, {} not{cost}", good.len(), bad.len())
}

fn is_bad(round: &Round) -> bool {
    match (round.cause.as_deref(), round.exit_code) {
        (Some(cause), _) => !ended_well(cause),
        (None, Some(code)) => code != 0,
        (None, None) => false,
    }
}

/// Returns one letter for how a round ended.
fn letter(round: &Round) -> char {
    match round.cause.as_deref() {
        _ if round.ended.is_none() => '\u{25b6}',
        None => '\u{b7}',
        Some(cause) if ended_well(cause) => '\u{b7}',
        Some("error") => 'x',
        Some(cause) => plain(cause).chars().next().map_or('?', |first| first.to_ascii_uppercase()),
    }
}

fn words(round: &Round, scene: &Scene<'_>) -> String {
    let clock =
        |at: jiff::Timestamp| at.to_zoned(scene.view.facts.zone.clone()).strftime("%H:%M:%S").to_string();
    let at = round.ended.or(round.started).map_or_else(|| "--:--:--".to_owned(), clock);
    let how = match (round.ended, round.cause.as_deref(), round.exit_code) {
        (None, _, _) => "runs".to_owned(),
        (Some(_), Some("clean"), _) => "ok".to_owned(),
        (Some(_), Some("error") | None, Some(code)) if code != 0 => format!("exit {code}"),
        (Some(_), Some(cause), _) => cause.to_owned(),
        (Some(_), None, _) => "ended".to_owned(),
    };
    let took = round.duration_s.map(|seconds| format!("  {seconds:.1} s")).unwrap_or_default();
    let phase = round.phase.as_ref().map(|phase| format!("  {phase}")).unwrap_or_default();
    let cost = round.cost_usd.map(|cost| format!("  {cost:.2} USD")).unwrap_or_default();
    plain(&format!("{at}  {} {how}{took}{phase}{cost}", round.number))
}
